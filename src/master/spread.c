/* SPDX-License-Identifier: MIT
 *
 * Keeps the workers in force about equally full: see spread.h.
 *
 * Runs in: master.  Owns: see spread.h.
 */
#include <event2/event.h>

#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "common/log.h"
#include "common/util.h"
#include "master/balance.h"
#include "master/master.h"
#include "master/replace.h"
#include "master/spread.h"
#include "master/tell.h"

#define PASS_VERSION	4	/* MSG_VERSION of the first that pass */
#define PERIOD_MS	20	/* between two decisions while many come */
#define GATHER_MS	3	/* from the first that tells it */
#define TICK_MS		1000	/* then all are asked anyway */
#define SOME		64	/* one part of so many of all, but */
#define SOME_LEAST	4
#define SOME_MOST	16	/* that come are worth a decision */

_Static_assert(WORKERS_MAX <= BALANCE_MAX, "a place for each worker");

static struct event	*soon;
static bool		 asked;		/* not all have answered */
static uint64_t		 accepted;	/* by all, when last decided */
static uint64_t		 decided_ms;

static struct child *
worker_at(unsigned i)
{
	return &master.crew[CREW_IN_FORCE]->at[SLOT_WORKER_FIRST + i];
}

static unsigned
workers(void)
{
	return master.crew[CREW_IN_FORCE]->n - SLOT_WORKER_FIRST;
}

static bool
may_decide(void)
{
	return !master.stopping && workers() > 1 &&
	    (replace_phase() == REPLACE_IDLE ||
	    replace_phase() == REPLACE_DRAINING);
}

/* So many connections since the last decision.  After an exec all is new. */
static uint64_t
came_since(void)
{
	struct counters sum;

	numbers_total(&sum);
	return sum.accepted > accepted ? sum.accepted - accepted : 0;
}

/* ---- what they hold ------------------------------------------------------ */

static bool
serves(const struct child *c)
{
	return c->state == CHILD_UP && c->ipc != NULL &&
	    c->version >= PASS_VERSION;
}

/* Those that a worker will have accepted soon are its own, too.  Of a listening
 * socket the kernel tells here how many wait. */
static uint64_t
waiting_for(unsigned worker)
{
	const struct listen_address *a;
	struct tcp_info info;
	uint64_t sum = 0;
	socklen_t len;
	int fd;

	for (size_t i = 0; i < master.listen.n; i++) {
		a = &master.listen.at[i];
		for (unsigned k = 0; !a->local &&
		    (fd = listen_fd(a, worker, k)) >= 0; k++) {
			len = sizeof(info);
			if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info,
			    &len) == 0)
				sum += info.tcpi_unacked;
		}
	}
	return sum;
}

/* So many that come may make a difference. */
static uint64_t
some(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < workers(); i++)
		n += worker_at(i)->counters.connections;
	n /= SOME;
	return n < SOME_LEAST ? SOME_LEAST : n < SOME_MOST ? n : SOME_MOST;
}

static unsigned
take_stock(struct balance *w)
{
	unsigned n = workers();

	for (unsigned i = 0; i < n; i++) {
		const struct child *c = worker_at(i);

		w[i].serves = serves(c) && c->answered == c->asked;
		w[i].holds = c->counters.connections + c->waiting;
	}
	return n;
}

static void	on_soon(evutil_socket_t, short, void *);

/* Unless they are asked sooner than that anyway. */
static void
ask_in(uint64_t ms)
{
	static uint64_t due_ms;
	struct timeval in = { .tv_usec = (suseconds_t)ms * 1000 };
	uint64_t then = clock_ms() + ms;

	if (soon == NULL &&
	    (soon = evtimer_new(master.base, on_soon, NULL)) == NULL)
		fatal("no memory for a timer");
	if (evtimer_pending(soon, NULL) && due_ms <= then)
		return;
	due_ms = then;
	evtimer_add(soon, &in);
}

static void
ask_soon(void)
{
	uint64_t since = clock_ms() - decided_ms;

	ask_in(since + GATHER_MS < PERIOD_MS ? PERIOD_MS - since : GATHER_MS);
}

/* When as many more have come as are worth it, if they go on like in the last
 * ms. */
static void
ask_later(uint64_t came, uint64_t worth, uint64_t ms)
{
	uint64_t next = came == 0 ? TICK_MS : ms * worth / came;

	if (next < TICK_MS)
		ask_in(next > PERIOD_MS ? next : PERIOD_MS);
}

/* ---- orders -------------------------------------------------------------- */

/* Of its last order. */
static uint64_t
left_of(const struct child *c)
{
	uint64_t done = c->counters.passed - c->pass.passed;

	return done < c->pass.count ? c->pass.count - done : 0;
}

static bool
goes_to(const struct child *c, const struct child *to)
{
	return c->pass.to == to->slot && c->pass.generation == to->generation;
}

/* What is left of an order that is nearly this one is as good. */
static void
order(struct child *c, struct child *to, uint64_t count)
{
	uint64_t left = left_of(c);

	if (goes_to(c, to) && left <= count && left >= count - count / 4)
		return;
	if (tell_pass(c, to, count) < 0)
		return;
	c->pass.to = to->slot;
	c->pass.generation = to->generation;
	c->pass.count = count;
	c->pass.passed = c->counters.passed;
}

static void
order_none(struct child *c)
{
	if (left_of(c) == 0)
		return;
	TELL(c, keep, .end_ = "");
	c->pass.count = 0;
}

/* Who has not answered yet is left alone. */
static void
decide(void)
{
	uint64_t came = came_since(), ms = clock_ms() - decided_ms;
	struct balance w[BALANCE_MAX];
	unsigned n;

	asked = false;
	accepted += came;
	decided_ms += ms;
	if (!may_decide())
		return;
	n = take_stock(w);
	balance_plan(w, n, came);
	for (unsigned i = 0; i < n; i++) {
		if (w[i].give != 0)
			order(worker_at(i), worker_at(w[i].to), w[i].give);
		else if (serves(worker_at(i)))
			order_none(worker_at(i));
	}
	ask_later(came, some(), ms);
}

/* ---- questions ----------------------------------------------------------- */

static bool
all_answered(void)
{
	for (unsigned i = 0; i < workers(); i++)
		if (serves(worker_at(i)) &&
		    worker_at(i)->answered != worker_at(i)->asked)
			return false;
	return true;
}

static void
on_soon(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	if (asked || !may_decide())
		return;
	for (unsigned i = 0; i < workers(); i++)
		if (serves(worker_at(i)))
			child_ping(worker_at(i), worker_at(i)->asked + 1);
	asked = true;
}

void
spread_tick(void)
{
	if (asked)
		decide();
	asked = true;
}

void
spread_heard(struct child *c)
{
	if (!child_is_worker(c) || child_crew(c) != CREW_IN_FORCE)
		return;
	c->waiting = waiting_for(c->slot - SLOT_WORKER_FIRST);
	if (!asked && may_decide() && came_since() >= some())
		ask_soon();
}

void
spread_check(void)
{
	if (asked && all_answered())
		decide();
}

void
spread_status(struct buf *out)
{
	struct balance w[BALANCE_MAX];
	unsigned n = take_stock(w), at = 0;

	for (unsigned i = 0; i < n; i++) {
		w[i].serves = worker_at(i)->state == CHILD_UP;
		if (w[i].holds > w[at].holds)
			at = i;
	}
	buf_fmt(out, "\"fullest\":{\"slot\":%u,\"percent\":%u}",
	    at + SLOT_WORKER_FIRST, balance_fullest(w, n));
}

void
spread_done(void)
{
	if (soon != NULL)
		event_free(soon);
	soon = NULL;
}
