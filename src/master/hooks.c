/* SPDX-License-Identifier: MIT
 *
 * What the courier says of its targets: see hooks.h.
 *
 * Runs in: master.  Owns: see hooks.h.
 */
#include <stdlib.h>

#include "common/hash.h"
#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "master/hooks.h"
#include "master/master.h"
#include "master/state.h"

#define REPORT_MAX	16384	/* octets of what is said of a target */
#define GONE_MAX	64	/* targets that are none any more */

/* Members that only grow. */
static const struct bytes grows[] = { BYTES("delivered"), BYTES("requests"),
	BYTES("refused"), BYTES("dropped"), BYTES("expired") };
#define GROWS	(sizeof(grows) / sizeof(grows[0]))

/* Nothing but uint64_t: it is carried over an exec. */
struct counts {
	uint64_t	 generation;	/* of the courier that spoke last */
	uint64_t	 before[GROWS];	/* counted by those before it */
	uint64_t	 own[GROWS];
};
#define COUNTS	(sizeof(struct counts) / sizeof(uint64_t))

struct report {
	struct hash_link hash;		/* by target */
	char		*target;
	bool		 wanted;	/* the settings in force have it */
	struct buf	 json;		/* with the sums */
	struct counts	 counts;
};

static struct report	**reports;	/* those that are gone first, in the
					   order in which they went */
static size_t		 n_reports;
static struct hash	 by_target;

void	master_on_hook_report(struct child *, struct ipc *,
	    const struct msg_hook_report *);

static struct bytes
target_key(const struct hash_link *l)
{
	return bytes_str(container_of(l, const struct report, hash)->target);
}

static struct report *
report_find(struct bytes target)
{
	struct hash_link *l = n_reports == 0 ? NULL :
	    hash_find(&by_target, target);

	return l != NULL ? container_of(l, struct report, hash) : NULL;
}

/* There may be thousands that say something each second. */
static bool
is_target(struct bytes name)
{
	const struct report *r = report_find(name);

	if (r != NULL)
		return r->wanted;
	for (size_t i = 0; i < master.config->n_webhook; i++)
		if (bytes_eq(bytes_str(master.config->webhook[i].label), name))
			return true;
	return false;
}

static struct report *
report_add(struct bytes target)
{
	struct report *r = report_find(target);

	if (r != NULL)
		return r;
	if (n_reports == 0)
		hash_init(&by_target, target_key);
	reports = xreallocarray(reports, n_reports + 1, sizeof(*reports));
	r = reports[n_reports++] = xcalloc(1, sizeof(*r));
	r->target = bytes_dup(target);
	r->wanted = true;
	hash_insert(&by_target, &r->hash);
	return r;
}

static void
report_free(struct report *r)
{
	hash_remove(&by_target, &r->hash);
	free(r->target);
	buf_done(&r->json);
	free(r);
}

/* It may come back, and what comes back begins at 0. */
static void
report_rest(struct report *r)
{
	for (size_t i = 0; i < GROWS; i++) {
		r->counts.before[i] += r->counts.own[i];
		r->counts.own[i] = 0;
	}
	buf_reuse(&r->json);
}

static void
mark_wanted(void)
{
	struct report *r;

	for (size_t i = 0; i < n_reports; i++)
		reports[i]->wanted = false;
	for (size_t i = 0; i < master.config->n_webhook; i++) {
		r = report_find(bytes_str(master.config->webhook[i].label));
		if (r != NULL)
			r->wanted = true;
	}
}

static void
reports_clear(void)
{
	hash_done(&by_target);
	free(reports);
	reports = NULL;
	n_reports = 0;
}

/* Those that are gone to the front, as they stand; so many there are. */
static size_t
gone_first(void)
{
	struct report **all = xcalloc(n_reports, sizeof(*all));
	size_t n = 0, gone;

	for (size_t i = 0; i < n_reports; i++)
		if (!reports[i]->wanted)
			all[n++] = reports[i];
	gone = n;
	for (size_t i = 0; i < n_reports; i++)
		if (reports[i]->wanted)
			all[n++] = reports[i];
	free(reports);
	reports = all;
	return gone;
}

void
hook_reports_prune(void)
{
	size_t gone, over;

	if (n_reports == 0)
		return;
	mark_wanted();
	gone = gone_first();
	for (size_t i = 0; i < gone; i++)
		report_rest(reports[i]);
	over = gone > GONE_MAX ? gone - GONE_MAX : 0;
	for (size_t i = 0; i < over; i++)
		report_free(reports[i]);
	n_reports -= over;
	memmove(reports, reports + over, n_reports * sizeof(*reports));
}

static void
counts_take(struct counts *c, uint64_t generation, const struct json *said)
{
	struct json member;
	uint64_t n;

	for (size_t i = 0; i < GROWS; i++) {
		const struct json_want want = { grows[i], &member };

		json_pick(said, &want, 1);
		if (json_u64(&member, &n) < 0)
			n = 0;
		if (generation != c->generation || n < c->own[i])
			c->before[i] += c->own[i];
		c->own[i] = n;
	}
	c->generation = generation;
}

static void
add_member(struct buf *out, const struct json *name, const struct json *value,
    const struct counts *c)
{
	size_t i = 0;

	buf_bytes(out, name->raw);
	buf_char(out, ':');
	while (i < GROWS && (name->raw.n != grows[i].n + 2 ||
	    memcmp(name->raw.p + 1, grows[i].p, grows[i].n) != 0))
		i++;
	if (i < GROWS)
		buf_u64(out, c->before[i] + c->own[i]);
	else
		buf_bytes(out, value->raw);
}

/* What was said, with the sums. */
static void
report_put(struct report *r, const struct json *said)
{
	struct json name, value;
	size_t pos = 0;

	buf_char(&r->json, '{');
	while (json_next(said, &pos, &name, &value)) {
		if (r->json.n > 1)
			buf_char(&r->json, ',');
		add_member(&r->json, &name, &value, &r->counts);
	}
	buf_char(&r->json, '}');
}

static bool
is_of(const struct report *r, const struct json *said)
{
	struct json last, old, new;
	const struct json_want in_last = { BYTES("app"), &old },
	    in_said = { BYTES("app"), &new };
	const char *why;

	if (r->json.n == 0 ||
	    json_parse(buf_view(&r->json), &last, &why) < 0)
		return true;
	json_pick(&last, &in_last, 1);
	json_pick(said, &in_said, 1);
	return bytes_eq(old.raw, new.raw);
}

void
master_on_hook_report(struct child *c, struct ipc *ipc,
    const struct msg_hook_report *m)
{
	struct report *r;
	struct json v;
	const char *why;

	(void)ipc;
	if (c->slot != SLOT_COURIER || !is_target(m->target))
		return;
	if (m->json.n > REPORT_MAX || json_parse(m->json, &v, &why) < 0 ||
	    v.type != JSON_OBJECT) {
		log_warn("%s said of target %s what is no object",
		    child_name(c), log_bytes(m->target));
		return;
	}
	r = report_add(m->target);
	if (!is_of(r, &v))
		report_rest(r);		/* the courier counts from 0 */
	buf_clear(&r->json);
	counts_take(&r->counts, c->generation, &v);
	report_put(r, &v);
}

/* In the order of the settings. */
void
hooks_json(struct buf *out)
{
	const struct report *r;
	const char *comma = "";

	buf_char(out, '[');
	for (size_t i = 0; i < master.config->n_webhook; i++) {
		r = report_find(bytes_str(master.config->webhook[i].label));
		if (r == NULL || r->json.n == 0)
			continue;
		buf_str(out, comma);
		buf_bytes(out, buf_view(&r->json));
		comma = ",";
	}
	buf_char(out, ']');
}

void
hook_reports_save(struct state *s)
{
	struct state_hook *to;

	for (size_t i = 0; i < n_reports; i++) {
		to = state_add_hook(s);
		to->target = xstrdup(reports[i]->target);
		buf_bytes(&to->json, buf_view(&reports[i]->json));
		msg_pack_numbers(&to->counts,
		    (const uint64_t *)(const void *)&reports[i]->counts,
		    COUNTS);
	}
}

void
hook_reports_restore(const struct state *s)
{
	struct report *r;
	struct json v;
	const char *why;

	for (size_t i = 0; i < s->n_hooks; i++) {
		struct bytes text = buf_view(&s->hooks[i].json);

		if (text.n != 0 && json_parse(text, &v, &why) < 0)
			continue;
		r = report_add(bytes_str(s->hooks[i].target));
		buf_clear(&r->json);
		if (text.n != 0)
			buf_bytes(&r->json, v.raw);
		(void)msg_unpack_numbers(buf_view(&s->hooks[i].counts),
		    (uint64_t *)(void *)&r->counts, COUNTS);
	}
	hook_reports_prune();
}

void
hook_reports_done(void)
{
	for (size_t i = 0; i < n_reports; i++)
		report_free(reports[i]);
	if (n_reports > 0)
		reports_clear();
}
