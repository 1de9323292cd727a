/* SPDX-License-Identifier: MIT
 *
 * What questions are to come to.
 */
#include "asked.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "router/control.h"
#include "router/control_parts.h"
#include "router/inspect.h"

#define LINE		100	/* octets of a channel's line, at most */

#define OK		"{\"ok\":true}\n"
#define STARTING	\
	"{\"ok\":false,\"error\":\"the router is starting, try again\"," \
	"\"again\":true}\n"
#define AGAIN		"{\"ok\":false,\"error\":\"" REPLACED "\"," \
	"\"again\":true}\n"

struct asker askers[ASKERS];
struct closing closings[IDS];
struct rig *rig, *heir;
enum moment moment;
bool opened_told[2][MATES];
unsigned n_ids, seed;
struct asked_seen seen;

/* ---- who is there ---------------------------------------------------------- */

bool
lives(const struct mate *w)
{
	return w->fd >= 0;
}

size_t
index_of(const struct mate *w)
{
	return (size_t)(w - w->rig->mates);
}

struct asker *
find_asker(unsigned id)
{
	for (unsigned i = 0; i < ASKERS; i++)
		if (askers[i].stand != FREE && askers[i].id == id)
			return &askers[i];
	return NULL;
}

void
forget(struct asker *a)
{
	if (a->mate == NULL && !a->left)
		close(a->fd);
	buf_done(&a->got);
	buf_done(&a->want);
	a->stand = FREE;
}

/* ---- the model: what an asker is to get ------------------------------------- */

static void
ends(struct asker *a, const char *line)
{
	buf_str(&a->want, line);
	a->stand = ENDS;
	seen.answers++;
	seen.again += strstr(line, "\"again\"") != NULL;
	if (a->left)
		forget(a);
}

/* Each worker closes this user, once. */
static void
closes(const struct asker *a)
{
	struct closing *k = &closings[a->id];

	k->rig = a->rig;
	seen.closed++;
	for (size_t i = 0; i < a->rig->n_mates; i++)
		k->due[i] += lives(&a->rig->mates[i]);
}

static void
sort_rows(struct asker *a)
{
	for (unsigned i = 1; i < a->n_rows; i++)
		for (unsigned k = i; k > 0 &&
		    a->rows[k].backlog > a->rows[k - 1].backlog; k--) {
			struct row r = a->rows[k];

			a->rows[k] = a->rows[k - 1];
			a->rows[k - 1] = r;
		}
}

static void
completes(struct asker *a)
{
	bool kick = a->verb == KICK_SOCKET || a->verb == KICK_USER;
	struct buf line = { 0 };
	const char *comma = ",\"missing\":[";

	if (a->verb == SLOW)
		sort_rows(a);
	for (unsigned i = 0; i < a->n_rows && i < a->limit; i++)
		buf_str(&a->want, a->rows[i].text);
	buf_fmt(&line, "{\"ok\":true,\"%s\":%" PRIu64, kick ? "closed" :
	    "total", a->total);
	for (unsigned slot = 0; slot < 64; slot++) {
		if (!(a->missing >> slot & 1))
			continue;
		buf_fmt(&line, "%s%u", comma, slot);
		comma = ",";
	}
	buf_str(&line, a->missing != 0 ? "]}\n" : "}\n");
	if (a->verb == KICK_USER)
		closes(a);
	ends(a, buf_cstr(&line));
	buf_done(&line);
}

void
complete_if_all(struct asker *a)
{
	for (unsigned i = 0; i < MATES; i++)
		if (a->waits[i])
			return;
	completes(a);
}

static void
waits(struct asker *a)
{
	a->stand = WAITS;
	a->deadline = a->rig->router->now + INSPECT_MS;
	for (size_t i = 0; i < a->rig->n_mates; i++) {
		const struct mate *w = &a->rig->mates[i];

		if (!lives(w))
			continue;
		a->waits[i] = w->peer->version >= 5;
		if (!a->waits[i])
			a->missing |= 1ull << w->slot;
	}
	complete_if_all(a);
}

static void
publishes(struct asker *a)
{
	for (unsigned i = 0; i < ASKERS; i++)
		if (askers[i].stand == TAILS && askers[i].rig == a->rig &&
		    askers[i].verb == TAIL)
			buf_fmt(&askers[i].want, "%u\n", a->id);
	seen.published++;
	ends(a, OK);
}

/* The router has its line, and looks at it. */
void
begins(struct asker *a)
{
	const struct router *r = a->rig->router;
	bool yields = r->elder.stage >= ELDER_YIELDS;

	if (a->verb == NONSENSE)
		ends(a, "{\"ok\":false,\"error\":\"unknown verb\"}\n");
	else if (a->verb == HOSTS)
		ends(a, OK);
	else if (elder_frozen(r))
		ends(a, STARTING);
	else if (a->verb == CHANNELS)
		ends(a, "");
	else if (a->verb == PUBLISH)
		publishes(a);
	else if (yields)
		ends(a, AGAIN);
	else if (a->verb == TAIL || a->verb == TAIL_OPENED)
		a->stand = TAILS;
	else
		waits(a);
}

/* The router knows that nobody listens any more. */
void
goes(struct asker *a)
{
	if (a->stand == WAITS && a->verb == KICK_USER)
		closes(a);
	forget(a);
}

void
is_missing(struct rig *g, const struct mate *w)
{
	for (unsigned i = 0; i < ASKERS; i++) {
		struct asker *a = &askers[i];

		if (a->stand != WAITS || a->rig != g ||
		    !a->waits[index_of(w)])
			continue;
		a->waits[index_of(w)] = false;
		a->missing |= 1ull << w->slot;
		complete_if_all(a);
	}
}

void
expire(struct rig *g, uint64_t now)
{
	for (unsigned i = 0; i < ASKERS; i++) {
		struct asker *a = &askers[i];

		if (a->stand != WAITS || a->rig != g || now < a->deadline)
			continue;
		for (size_t k = 0; k < g->n_mates; k++)
			if (a->waits[k])
				a->missing |= 1ull << g->mates[k].slot;
		completes(a);
	}
}

void
replaced(struct asker *a)
{
	if (a->left)
		goes(a);
	else
		ends(a, AGAIN);
}

/* ---- what comes ------------------------------------------------------------ */

static void
hear_inspect(struct mate *w, const char *line)
{
	unsigned id = 0;
	uint64_t cookie = 0;
	const char *user = strstr(line, "user=a"),
	    *socket = strstr(line, "socket=");
	struct asker *a;

	sscanf(line, "inspect %" SCNu64, &cookie);
	if (user == NULL || sscanf(user, "user=a%u ", &id) != 1)
		sscanf(socket, "socket=%u.7", &id);
	a = find_asker(id);
	/* Who went at once, or whose router yielded, is not known any more. */
	if (a != NULL && a->rig == w->rig)
		a->cookie = cookie;
}

static void
hear_told(struct mate *w, const char *line)
{
	unsigned id = 0;
	int at = 0;
	struct asker *a;
	bool end;

	sscanf(line, "told %u %n", &id, &at);
	end = strncmp(line + at, "end ", 4) == 0;
	a = find_asker(id);
	if (a == NULL || a->mate != w || a->left || a->end)
		fail_msg("seed %u: nobody waits for \"%s\"", seed, line);
	buf_str(&a->got, line + at + (end ? 4 : 0));
	a->end = end;
}

static void
hear_line(struct mate *w, const char *line)
{
	unsigned id = 0;

	if (strncmp(line, "inspect ", 8) == 0)
		hear_inspect(w, line);
	else if (strncmp(line, "told ", 5) == 0)
		hear_told(w, line);
	else if (sscanf(line, "terminate a%u", &id) == 1)
		closings[id].got[index_of(w)]++;
	else if (strncmp(line, "tailed ", 7) == 0)
		opened_told[w->rig == heir][index_of(w)] =
		    strstr(line, "opened=1") != NULL;
}

static void
hear(struct rig *g)
{
	for (size_t i = 0; g != NULL && i < g->n_mates; i++) {
		struct mate *w = &g->mates[i];

		for (size_t k = 0; k < w->n_lines; k++) {
			if (lives(w))
				hear_line(w, w->lines[k]);
			free(w->lines[k]);
		}
		w->n_lines = 0;
	}
}

/* True if something came. */
static bool
read_fd(struct asker *a)
{
	ssize_t n;

	if (a->stand == FREE || a->mate != NULL || a->left || a->asleep ||
	    a->end)
		return false;
	n = read(a->fd, buf_room(&a->got, 65536), 65536);
	if (n > 0)
		a->got.n += (size_t)n;
	a->end = n == 0;
	return n >= 0;
}

/* Until nothing happens any more. */
static void
run(void)
{
	bool more = true;

	while (more) {
		more = false;
		for (int i = 0; i < 3; i++) {
			rig_run(rig);
			if (heir != NULL)
				rig_run(heir);
		}
		hear(rig);
		hear(heir);
		for (unsigned i = 0; i < ASKERS; i++)
			more |= read_fd(&askers[i]);
	}
}

/* ---- is it what the model says? ---------------------------------------------- */

/* A tail's lines: only what was published, and the last one. */
static void
simplify(const struct buf *got, struct buf *out)
{
	const char *p = got->p, *end;

	if (got->n == 0)
		return;
	for (end = p + got->n; p < end;) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		const char *data = memmem(p, (size_t)(end - p),
		    "\"data\":\"", 8);

		assert_non_null(stop);
		if (data != NULL && data < stop)
			buf_fmt(out, "%lu\n", strtoul(data + 8, NULL, 10));
		else
			buf_add(out, p, (size_t)(stop - p) + 1);
		p = stop + 1;
	}
}

/* As many lines as it says, unless the router was replaced meanwhile. */
static bool
is_list(struct bytes got)
{
	uint64_t rows = 0;
	char last[60];

	for (;;) {
		ptrdiff_t n = bytes_find(got, '\n');

		if (n < 0)
			return false;
		if ((size_t)n + 1 == got.n)
			break;
		if (!bytes_starts(got, B("{\"channel\":\"c")))
			return false;
		rows++;
		got = bytes_skip(got, (size_t)n + 1);
	}
	snprintf(last, sizeof(last), "{\"ok\":true,\"total\":%" PRIu64 "}\n",
	    rows);
	return bytes_eq(got, bytes_str(last)) || bytes_eq(got, B(AGAIN)) ||
	    bytes_eq(got, B(STARTING));
}

static bool
is_right(const struct asker *a)
{
	struct bytes got = buf_view(&a->got), want = buf_view(&a->want);
	struct buf lines = { 0 };
	bool is;

	if (a->verb == CHANNELS)
		return is_list(got);
	if (a->verb == HOSTS)
		return got.n >= want.n && bytes_eq(want,
		    bytes_skip(got, got.n - want.n));
	if (a->verb != TAIL)
		return bytes_eq(got, want);
	simplify(&a->got, &lines);
	is = a->stand == ENDS ? bytes_eq(buf_view(&lines), want) :
	    bytes_starts(want, buf_view(&lines));
	buf_done(&lines);
	return is;
}

static void
check_asker(struct asker *a)
{
	if (a->stand == FREE || a->asleep || a->left)
		return;
	if (a->stand != ENDS) {
		if (a->end)
			WRONG(a, "an early end");
		if (a->verb == TAIL ? !is_right(a) : a->got.n > 0)
			WRONG(a, "early lines");
		return;
	}
	if (!a->end)
		WRONG(a, "no end");
	if (!is_right(a))
		WRONG(a, "another answer");
	forget(a);
}

/* Whatever is asked, the router holds no more than this. */
static void
check_router(struct rig *g)
{
	const struct router *r = g->router;
	const struct control *c;
	const struct inspection *q;
	unsigned controls = 0, waiting = 0, tails = 0, leaving = 0;

	LIST_FOREACH(c, &r->controls, link) {
		controls++;
		assert_true(sink_backlog(&c->sink) < SLICE_BACKLOG +
		    SLICE * LINE);
	}
	assert_int_equal(controls, r->n_controls + r->n_asks);
	for (unsigned i = 0; i < ASKERS; i++) {
		const struct asker *a = &askers[i];

		if (a->rig != g || a->stand == FREE)
			continue;
		controls--;
		waiting += a->stand == WAITS;
		tails += a->stand == TAILS && !a->left;
		leaving += a->stand == TAILS && a->left;
	}
	q = LIST_FIRST(&r->inspections);
	assert_true((q != NULL) == (waiting != 0));
	assert_true((int)controls <= 0);
	assert_in_range(r->taps.n, tails, tails + leaving);
}

static void
check_closings(void)
{
	for (unsigned id = 1; id <= n_ids; id++) {
		const struct closing *k = &closings[id];

		for (size_t i = 0; i < MATES; i++) {
			if (k->rig != NULL && (k->rig != rig ||
			    i >= rig->n_mates || !lives(&rig->mates[i])))
				continue;
			if (k->due[i] != k->got[i])
				fail_msg("seed %u: asker %u: worker %zu closed "
				    "%u times, not %u", seed, id, i, k->got[i],
				    k->due[i]);
		}
	}
}

/* Workers tell of connections while somebody wants to see them. */
static void
check_tailed(void)
{
	bool must = false, may = false;

	for (unsigned i = 0; i < ASKERS; i++) {
		const struct asker *a = &askers[i];

		if (a->stand != TAILS || a->verb != TAIL_OPENED ||
		    a->rig != rig)
			continue;
		may = true;
		must |= !a->left;
	}
	for (size_t i = 0; i < rig->n_mates; i++) {
		if (!lives(&rig->mates[i]) || rig->mates[i].peer->version < 6)
			continue;
		assert_true(!must || opened_told[0][i]);
		assert_true(may || !opened_told[0][i]);
	}
}

static void
check(void)
{
	for (unsigned i = 0; i < ASKERS; i++)
		check_asker(&askers[i]);
	check_router(rig);
	if (heir != NULL)
		check_router(heir);
	check_closings();
	check_tailed();
}

bool
is_held(const struct rig *g)
{
	return heir_waits(g->router) || heir_same(g->router);
}

/* Its successor is in force, and looks at what it was asked: the last first, as
 * they stand in its list. */
void
held_begin(void)
{
	struct asker *a;
	unsigned id;

	if (moment != MOVED || is_held(rig))
		return;
	moment = QUIET;
	for (id = n_ids; id > 0; id--) {
		a = find_asker(id);
		if (a != NULL && a->stand == HELD)
			begins(a);
	}
}

void
run_and_check(void)
{
	run();
	held_begin();
	check();
}
