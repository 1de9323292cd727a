/* SPDX-License-Identifier: MIT
 *
 * What differs between two sets of settings.
 *
 * Runs in: master.  Owns: nothing.
 */
#include "common/config_parts.h"
#include "common/json.h"
#include "common/util.h"

/* key is NULL where a whole section is on one side only; then so is the other
 * side's pointer. */
struct difference {
	const struct config_section *section;
	const struct config_key	*key;
	const char		*label;
	void			*a, *b;
	bool			 live;
};

struct visitor {
	void	(*see)(struct visitor *, const struct difference *);
	struct buf *out;
	bool	 reload;
};

static void
see(struct visitor *v, const struct difference *d)
{
	v->reload = v->reload || !d->live;
	v->see(v, d);
}

static void
visit_keys(struct visitor *v, const struct config_section *s, void *a, void *b)
{
	const struct config_key *k;

	for (k = s->keys; k->name != NULL; k++)
		if (!config_value_equal(k, a, b))
			see(v, &(struct difference){ s, k, *config_label(b),
			    a, b, k->live });
}

static struct config_names
labels_of(const struct config *c, const struct config_section *s)
{
	struct config_names labels = { .begun = false };
	size_t i;

	for (i = 0; i < config_count(c, s); i++)
		config_names_add(&labels,
		    bytes_str(*config_label(config_at(c, s, i))), i);
	return labels;
}

static void *
with_label(const struct config *c, const struct config_section *s,
    struct config_names *labels, const char *label)
{
	size_t i = config_names_find(labels, bytes_str(label));

	return i != CONFIG_NO_NAME ? config_at(c, s, i) : NULL;
}

/* Without a listener, or a door of rooms, processes must be made anew; apps and
 * webhooks come and go. */
static bool
comes_and_goes(const struct config_section *s)
{
	return strcmp(s->name, "app") == 0 || strcmp(s->name, "webhook") == 0;
}

/* Sections of a that b has too, and those it has not. */
static void
visit_section(struct visitor *v, const struct config_section *s,
    const struct config *a, const struct config *b)
{
	struct config_names of_a = labels_of(a, s), of_b = labels_of(b, s);
	bool live = comes_and_goes(s);
	void *x, *y;
	size_t i;

	for (i = 0; i < config_count(a, s); i++) {
		x = config_at(a, s, i);
		y = with_label(b, s, &of_b, *config_label(x));
		if (y != NULL)
			visit_keys(v, s, x, y);
		else
			see(v, &(struct difference){ s, NULL, *config_label(x),
			    x, NULL, live });
	}
	for (i = 0; i < config_count(b, s); i++) {
		y = config_at(b, s, i);
		if (with_label(a, s, &of_a, *config_label(y)) == NULL)
			see(v, &(struct difference){ s, NULL, *config_label(y),
			    NULL, y, live });
	}
	config_names_done(&of_a);
	config_names_done(&of_b);
}

static void
visit(struct visitor *v, const struct config *a, const struct config *b)
{
	const struct config_section *s;
	size_t i;

	for (s = config_sections(); s->name != NULL; s++)
		visit_section(v, s, a, b);
	/* Listeners are known to workers by their number. */
	for (i = 0; i < a->n_listen && i < b->n_listen; i++)
		if (!bytes_eq(bytes_str(a->listen[i].label),
		    bytes_str(b->listen[i].label)) && !v->reload)
			see(v, &(struct difference){
			    config_section_find(B("listen")), NULL, NULL,
			    &a->listen[i], &b->listen[i], false });
}

/* ---- names --------------------------------------------------------------- */

static void
put_name(struct buf *out, const struct difference *d)
{
	buf_str(out, d->section->name);
	if (d->label != NULL)
		buf_fmt(out, ".%s", d->label);
	if (d->key != NULL)
		buf_fmt(out, ".%s", d->key->name);
}

static void
see_name(struct visitor *v, const struct difference *d)
{
	buf_str(v->out, v->out->n > 0 ? ", " : "");
	put_name(v->out, d);
}

void
config_diff(const struct config *a, const struct config *b, struct buf *out,
    bool *reload)
{
	struct visitor v = { .see = see_name, .out = out };

	visit(&v, a, b);
	*reload = v.reload;
}

/* ---- rows ---------------------------------------------------------------- */

/* null where the section is not there; secrets are not shown. */
static void
put_value(struct buf *out, const struct difference *d, const void *at)
{
	struct buf text = { 0 };

	if (at == NULL) {
		buf_str(out, "null");
		return;
	}
	if (d->key == NULL)
		buf_str(&text, "");
	else if (d->key->type == CONFIG_SECRET ||
	    d->key->type == CONFIG_SECRETS)
		buf_str(&text, "***");
	else
		config_value_show(d->key, at, &text);
	json_quote(out, buf_view(&text));
	buf_done(&text);
}

static void
see_row(struct visitor *v, const struct difference *d)
{
	struct buf name = { 0 };

	put_name(&name, d);
	buf_str(v->out, "{\"setting\":");
	json_quote(v->out, buf_view(&name));
	buf_fmt(v->out, ",\"live\":%s,\"now\":", d->live ? "true" : "false");
	put_value(v->out, d, d->a);
	buf_str(v->out, ",\"file\":");
	put_value(v->out, d, d->b);
	buf_str(v->out, "}\n");
	buf_done(&name);
}

void
config_diff_rows(const struct config *now, const struct config *file,
    struct buf *out)
{
	struct visitor v = { .see = see_row, .out = out };

	visit(&v, now, file);
}
