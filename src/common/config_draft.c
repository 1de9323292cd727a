/* SPDX-License-Identifier: MIT
 *
 * A load under way: the config so far, where each setting was given, and the
 * first complaint.
 *
 * Runs in: master, pealctl.  Owns: the marks, the variables and the complaint;
 * its config until config_load() hands that out.  Dies: config_draft_done().
 */
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/log.h"
#include "common/util.h"

static void *
mark_struct(const struct config_draft *d, const struct config_mark *m)
{
	return config_at(d->config, m->section, m->index);
}

static struct bytes
mark_label(const struct config_draft *d, const struct config_mark *m)
{
	return bytes_str(*config_label(mark_struct(d, m)));
}

static struct config_marks *
marks_of(struct config_draft *d, const struct config_section *s)
{
	return &d->marks[s - config_sections()];
}

/* Of the section's last instance. */
static struct config_mark *
add_mark(struct config_draft *d, const struct config_section *s,
    struct config_place place)
{
	struct config_marks *all = marks_of(d, s);
	struct config_mark *m = xcalloc(1, sizeof *m);

	m->section = s;
	m->index = all->n;
	m->place = place;
	m->keys = xcalloc(s->n_keys, sizeof *m->keys);
	all->at = xreallocarray(all->at, all->n + 1, sizeof(*all->at));
	all->at[all->n] = m;
	config_names_add(&all->by_label, mark_label(d, m), all->n++);
	return m;
}

static size_t
count_sections(void)
{
	size_t n;

	for (n = 0; config_sections()[n].name != NULL; n++)
		;
	return n;
}

void
config_draft_init(struct config_draft *d)
{
	const struct config_section *s;

	*d = (struct config_draft){ .config = config_new() };
	d->marks = xcalloc(count_sections(), sizeof(*d->marks));
	for (s = config_sections(); s->name != NULL; s++)
		if (!s->many)
			add_mark(d, s, (struct config_place){ NULL, 0 });
}

static void
marks_done(struct config_marks *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free(all->at[i]->keys);
		free(all->at[i]);
	}
	free(all->at);
	config_names_done(&all->by_label);
}

void
config_draft_done(struct config_draft *d)
{
	for (size_t i = 0; i < count_sections(); i++)
		marks_done(&d->marks[i]);
	free(d->marks);
	config_names_done(&d->apps.by_id);
	config_names_done(&d->apps.by_key);
	config_names_done(&d->apps.by_label);
	config_env_done(&d->env);
	buf_done(&d->why);
	config_free(d->config);
}

struct config_mark *
config_draft_find(struct config_draft *d, const char *section,
    struct bytes label)
{
	struct config_marks *all = marks_of(d,
	    config_section_find(bytes_str(section)));
	size_t i = config_names_find(&all->by_label, label);

	return i != CONFIG_NO_NAME ? all->at[i] : NULL;
}

struct config_mark *
config_draft_nth(struct config_draft *d, const char *section, size_t i)
{
	const struct config_marks *all = marks_of(d,
	    config_section_find(bytes_str(section)));

	return i < all->n ? all->at[i] : NULL;
}

struct config_mark *
config_draft_add(struct config_draft *d, const struct config_section *s,
    struct bytes label, struct config_place place)
{
	config_append(d->config, s, label);
	return add_mark(d, s, place);
}

void
config_draft_subject(const struct config_draft *d, const struct config_mark *m,
    const char *key, struct buf *out)
{
	struct bytes label = mark_label(d, m);

	buf_fmt(out, "[%s%s%.*s]", m->section->name, label.n > 0 ? " " : "",
	    (int)label.n, label.n > 0 ? label.p : "");
	if (key != NULL)
		buf_fmt(out, " %s", key);
}

static void
show_place(struct config_place place, struct buf *out)
{
	if (place.name == NULL)
		return;
	buf_str(out, place.name);
	if (place.line > 0)
		buf_fmt(out, ":%u", place.line);
	buf_str(out, ": ");
}

/* A complaint is one line, whatever stands in the values it shows. */
static void
one_line(struct buf *why)
{
	size_t i;

	for (i = 0; i < why->n; i++)
		if ((unsigned char)why->p[i] < ' ' || why->p[i] == 0x7f)
			why->p[i] = '?';
}

int
config_draft_refuse(struct config_draft *d, struct config_place place,
    const char *fmt, ...)
{
	va_list ap;

	if (d->why.n > 0)
		return -1;
	show_place(place, &d->why);
	va_start(ap, fmt);
	buf_vfmt(&d->why, fmt, ap);
	va_end(ap);
	one_line(&d->why);
	return -1;
}

struct config_place
config_draft_place(const struct config_mark *m, const char *key)
{
	const struct config_key *k;

	k = key != NULL ? config_key_find(m->section, bytes_str(key)) : NULL;
	if (k != NULL && (m->keys[k - m->section->keys].name != NULL))
		return m->keys[k - m->section->keys];
	return m->place;
}

int
config_draft_refuse_key(struct config_draft *d, const struct config_mark *m,
    const char *key, const char *fmt, ...)
{
	va_list ap;

	if (d->why.n > 0)
		return -1;
	show_place(config_draft_place(m, key), &d->why);
	config_draft_subject(d, m, key, &d->why);
	buf_str(&d->why, ": ");
	va_start(ap, fmt);
	buf_vfmt(&d->why, fmt, ap);
	va_end(ap);
	one_line(&d->why);
	return -1;
}

static int
refuse_value(struct config_draft *d, const struct config_mark *m,
    const struct config_key *k, struct bytes value,
    struct config_place place, const char *subject, struct buf *why)
{
	struct buf text = { 0 };
	int rc;

	if (subject != NULL)
		buf_str(&text, subject);
	else
		config_draft_subject(d, m, k->name, &text);
	rc = config_draft_refuse(d, place, "%s = %s: %s", buf_cstr(&text),
	    k->type == CONFIG_SECRET ||
	    k->type == CONFIG_SECRETS ? "***" : log_bytes(value),
	    buf_cstr(why));
	buf_done(&text);
	return rc;
}

int
config_draft_set(struct config_draft *d, struct config_mark *m,
    const char *key, struct bytes value, bool add, struct config_place place,
    const char *subject)
{
	const struct config_key *k;
	struct buf why = { 0 };
	int rc;

	k = config_key_find(m->section, bytes_str(key));
	rc = config_value_set(k, mark_struct(d, m), value, add, &why);
	if (rc < 0)
		refuse_value(d, m, k, value, place, subject, &why);
	m->keys[k - m->section->keys] = place;
	buf_done(&why);
	return rc;
}
