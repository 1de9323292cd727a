/* SPDX-License-Identifier: MIT
 *
 * Questions about single connections, asked of all workers.
 *
 * Runs in: the router.
 */
#include "router/inspect.h"

#include <stdlib.h>

#include "common/json.h"
#include "common/util.h"
#include "router/router.h"

#define VERSION	5	/* MSG_VERSION of workers that can be asked */
#define MOST	(1u << 24)	/* connections of one */

/* A line of a worker. */
struct row {
	uint64_t	backlog;
	size_t		at, n;		/* in text */
};

struct inspection {
	LIST_ENTRY(inspection)	 link;
	struct router		*router;
	uint64_t		 cookie;
	uint64_t		 deadline;	/* clock_ms() */
	uint64_t		 limit;
	bool			 slow;
	inspect_done		*done;
	void			*to;
	uint64_t		 waits[PEERS_MAX / 64];	/* by peer->index */
	unsigned		 n_waits;
	struct row		*rows;
	size_t			 n_rows, cap_rows;
	struct buf		 text;
	struct inspection_end	 end;
};

/* ---- who is asked ------------------------------------------------------- */

static bool
waits_for(const struct inspection *i, const struct peer *p)
{
	return (i->waits[p->index / 64] >> p->index % 64 & 1) != 0;
}

static void
wait_for(struct inspection *i, const struct peer *p, bool on)
{
	uint64_t bit = 1ull << p->index % 64;

	if (waits_for(i, p) == on)
		return;
	i->waits[p->index / 64] ^= bit;
	i->n_waits += on ? 1 : -1u;
}

static void
miss(struct inspection *i, const struct peer *p)
{
	if (p->slot < INSPECT_SLOTS)
		i->end.missing[p->slot / 64] |= 1ull << p->slot % 64;
}

struct inspection *
inspect_begin(struct router *r, const struct msg_inspect *question,
    inspect_done *done, void *to)
{
	struct inspection *i = xcalloc(1, sizeof(*i));
	struct msg_inspect m = *question;
	struct peer *p;

	i->router = r;
	m.cookie = i->cookie = ++r->last_inspection;
	i->deadline = r->now + INSPECT_MS;
	i->limit = m.limit;
	i->slow = m.slow != 0;
	i->end.kick = m.kick != 0;
	i->done = done;
	i->to = to;
	LIST_INSERT_HEAD(&r->inspections, i, link);
	TAILQ_FOREACH(p, &r->peers, link) {
		if (p->gone || p->version < VERSION) {
			miss(i, p);
			continue;
		}
		wait_for(i, p, true);
		msg_pack_inspect(ipc_out(p->ipc), &m);
	}
	return i;
}

void
inspect_cancel(struct inspection *i)
{
	LIST_REMOVE(i, link);
	free(i->rows);
	buf_done(&i->text);
	free(i);
}

/* ---- what they answer --------------------------------------------------- */

static void
keep(struct inspection *i, struct bytes line, uint64_t backlog)
{
	if (i->text.n + line.n > INSPECT_OCTETS)
		return;
	if (i->n_rows == i->cap_rows) {
		i->cap_rows = i->cap_rows * 2 + 64;
		i->rows = xreallocarray(i->rows, i->cap_rows,
		    sizeof(*i->rows));
	}
	i->rows[i->n_rows++] = (struct row){ .backlog = backlog,
	    .at = i->text.n, .n = line.n };
	buf_bytes(&i->text, line);
}

/* A line with its end; -1: it is none of a connection. */
static int
hear_line(struct inspection *i, struct bytes line)
{
	struct json all, backlog;
	const struct json_want want[] = { { BYTES("backlog"), &backlog } };
	const char *why;
	uint64_t n = 0;

	if (json_read(line, &all, want, NELEM(want), &why) < 0 ||
	    all.type != JSON_OBJECT || json_u64(&backlog, &n) < 0)
		return -1;
	if (i->slow || i->n_rows < i->limit)
		keep(i, line, n);
	return 0;
}

static int
hear_lines(struct inspection *i, struct bytes lines)
{
	uint64_t n = 0;

	while (lines.n > 0) {
		ptrdiff_t end = bytes_find(lines, '\n');

		if (end < 0 || ++n > i->limit || hear_line(i,
		    bytes_of(lines.p, (size_t)end + 1)) < 0)
			return -1;
		lines = bytes_skip(lines, (size_t)end + 1);
	}
	return 0;
}

static struct inspection *
find(struct router *r, uint64_t cookie)
{
	struct inspection *i;

	LIST_FOREACH(i, &r->inspections, link)
		if (i->cookie == cookie)
			return i;
	return NULL;
}

void
inspect_heard(struct peer *from, const struct msg_inspected *m)
{
	struct inspection *i = find(from->router, m->cookie);

	if (i == NULL || !waits_for(i, from))
		return;
	if (hear_lines(i, m->lines) < 0) {
		peer_refuse(from, "connections that cannot be");
		return;
	}
	if (!m->end)
		return;
	if (m->refused)
		miss(i, from);
	i->end.total += m->n < MOST ? m->n : MOST;
	wait_for(i, from, false);
}

void
inspections_forget(struct router *r, const struct peer *dead)
{
	struct inspection *i;

	LIST_FOREACH(i, &r->inspections, link) {
		if (!waits_for(i, dead))
			continue;
		miss(i, dead);
		wait_for(i, dead, false);
	}
}

/* ---- the end ------------------------------------------------------------ */

/* The longest first; else as they came. */
static int
by_backlog(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	if (a->backlog != b->backlog)
		return a->backlog > b->backlog ? -1 : 1;
	return a->at < b->at ? -1 : 1;
}

static void
finish(struct inspection *i)
{
	struct buf out = { 0 };

	if (i->slow && i->n_rows > 0)
		qsort(i->rows, i->n_rows, sizeof(*i->rows), by_backlog);
	for (size_t k = 0; k < i->n_rows && k < i->limit; k++)
		buf_add(&out, i->text.p + i->rows[k].at, i->rows[k].n);
	i->end.rows = buf_view(&out);
	i->done(i->to, &i->end);
	buf_done(&out);
	inspect_cancel(i);
}

void
inspections_turn(struct router *r)
{
	struct inspection *i, *next;

	for (i = LIST_FIRST(&r->inspections); i != NULL; i = next) {
		next = LIST_NEXT(i, link);
		if (i->n_waits == 0)
			finish(i);
	}
}

void
inspections_tick(struct router *r)
{
	struct inspection *i;
	struct peer *p;

	LIST_FOREACH(i, &r->inspections, link) {
		if (r->now < i->deadline)
			continue;
		TAILQ_FOREACH(p, &r->peers, link) {
			if (!waits_for(i, p))
				continue;
			miss(i, p);
			wait_for(i, p, false);
		}
	}
}
