/* SPDX-License-Identifier: MIT
 *
 * Telling clients to reconnect: see drain.h.
 *
 * The list has a random order.  Each step takes from it so many that it would be
 * empty at the end of the time, and rounds by a throw of dice: so each client's
 * moment is uniform, and one who joins later is no exception.
 */
#include <stdlib.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/client.h"
#include "worker/conn.h"
#include "worker/drain.h"
#include "worker/request.h"
#include "worker/worker.h"

#define STEP_MS		20
#define LOOK_MS		1000	/* between two looks at all conns */
#define LINGER_MS	1000	/* for close frames to be answered */

static struct {
	struct event	*timer;		/* NULL: nothing was begun */
	bool		 all;		/* the end, and not a hand-over */
	bool		 (*pick)(const struct conn *);
	uint64_t	 deadline;	/* as was asked for */
	uint64_t	 until;		/* those in the list are told by then */
	uint64_t	 stepped, looked, told;		/* ms, the last time */
	uint64_t	*ids;		/* to be told, in a random order */
	uint32_t	 n, cap;
} drain;

/* ---- the list -------------------------------------------------------------- */

/* 0 to n - 1; nobody gains by guessing it (Marsaglia's xorshift). */
static uint32_t
draw(uint32_t n)
{
	static uint64_t x;

	while (x == 0)
		random_fill(&x, sizeof(x));
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)((x >> 32) % n);
}

static void
list_swap(uint32_t i, uint32_t k)
{
	uint64_t id = drain.ids[i];

	drain.ids[i] = drain.ids[k];
	drain.ids[k] = id;
}

static bool
is_wanted(const struct conn *c)
{
	return !c->closing && !c->dead && (drain.all || drain.pick(c));
}

static void
list_add(struct conn *c, void *arg)
{
	(void)arg;
	if (!is_wanted(c))
		return;
	if (drain.n == drain.cap) {
		drain.cap += drain.cap / 2 + 64;
		drain.ids = xreallocarray(drain.ids, drain.cap,
		    sizeof(*drain.ids));
	}
	drain.ids[drain.n++] = c->id;
	list_swap(drain.n - 1, draw(drain.n));
}

static void
look(uint64_t now)
{
	drain.n = 0;
	drain.looked = drain.stepped = now;
	drain.until = drain.deadline;
	if (!drain.all && drain.until <= now)
		drain.until = now + LOOK_MS;
	conns_each(list_add, NULL);
}

/* ---- a step ---------------------------------------------------------------- */

/* In the middle of saying something, or about to begin. */
static bool
has_begun(const struct conn *c)
{
	return c->opening || (c->stage == &request_stage &&
	    (c->in_n > 0 || c->of_stage != NULL));
}

/* True if it need not be thought of again. */
static bool
tell(uint64_t id, bool late)
{
	struct conn *c = conns_find(id);

	if (c == NULL || !is_wanted(c))
		return true;
	if (c->frozen || (has_begun(c) && !late))
		return false;
	client_close_conn(c, CLOSE_DRAIN);
	/* An HTTP request that is not answered yet stays. */
	return c->closing || c->dead;
}

/* So many that the rest goes down in a straight line, a fraction by chance. */
static uint32_t
due(uint64_t now)
{
	uint64_t left = drain.until - drain.stepped, part;

	if (now >= drain.until)
		return drain.n;
	part = drain.n * (now - drain.stepped);
	return (uint32_t)(part / left + (draw((uint32_t)left) < part % left));
}

static void
step(uint64_t now)
{
	uint32_t n = due(now), first = drain.n - n, kept = first, i;
	bool late = now >= drain.until;

	drain.stepped = now;
	for (i = first; i < drain.n; i++) {
		if (tell(drain.ids[i], late))
			drain.told = now;
		else
			drain.ids[kept++] = drain.ids[i];
	}
	drain.n = kept;
	/* Who must wait is drawn again, at any time. */
	for (i = first; i < kept; i++)
		list_swap(i, draw(kept));
}

static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	struct timeval next = { 0, STEP_MS * 1000 };
	uint64_t now = clock_ms();

	(void)fd, (void)what, (void)arg;
	worker_clock();
	step(now);
	if (now - drain.looked >= LOOK_MS && (!drain.all || drain.n == 0))
		look(now);
	event_add(drain.timer, &next);
}

/* ---- beginning and end ------------------------------------------------------ */

static void
begin(struct event_base *base, uint64_t ms)
{
	uint64_t now = clock_ms();

	if (drain.timer == NULL)
		drain.timer = event_new(base, -1, 0, on_step, NULL);
	if (drain.timer == NULL)
		fatal("cannot make a timer");
	if (now + ms < drain.deadline)
		drain.deadline = now + ms;
	look(now);
	on_step(-1, 0, NULL);
}

void
drain_start(struct event_base *base, uint64_t grace_ms)
{
	if (!drain.all)
		drain.deadline = UINT64_MAX;	/* that was another matter */
	drain.all = true;
	log_info("draining connections=%u grace_ms=%llu", conns_count(),
	    (unsigned long long)grace_ms);
	begin(base, grace_ms);
}

void
drain_pace(struct event_base *base, uint64_t pace_ms,
    bool (*pick)(const struct conn *))
{
	if (drain.all)
		return;
	if (drain.pick == NULL)
		drain.deadline = UINT64_MAX;
	drain.pick = pick;
	begin(base, pace_ms);
}

static bool
is_over(uint64_t from)
{
	return drain.timer != NULL && (conns_count() == 0 ||
	    clock_ms() >= from + LINGER_MS);
}

bool
drain_late(void)
{
	return drain.all && (conns_count() == conns_late() ||
	    clock_ms() >= drain.deadline);
}

bool
drain_done(void)
{
	return drain.all && is_over(drain.deadline);
}

bool
drain_over(void)
{
	uint64_t last = drain.told > drain.deadline ? drain.told :
	    drain.deadline;

	return is_over(last) && (drain.n == 0 || conns_count() == 0);
}
