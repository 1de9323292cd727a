/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: a process: its loop, its share of the clients.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <signal.h>
#include <unistd.h>

#include "benchmark.h"
#include "wire.h"

#define EVENTS		256
#define TURN_MS		20	/* how soon a change of phase is seen */
#define LOOK		1024	/* clients that a turn looks at */
#define SILENCE		(55 * SECOND)	/* then a client pings */
#define SLICE		(SECOND / 10)

struct hand hand;

/* ---- its clients -------------------------------------------------------- */

static bool
speaks(void)
{
	return hand.index == 0;
}

/* Client i of the run is in channel i % channels, and held by hand i % hands. */
static void
fill(void)
{
	unsigned first = hand.index - 1, step = plan.hands;
	unsigned n = (plan.clients + step - 1 - first) / step;

	hand.n = speaks() ? plan.speaker == SPEAK_CLIENT ? plan.speakers : 0 : n;
	hand.client = calloc(hand.n + 1, sizeof *hand.client);
	if (hand.client == NULL)
		die("out of memory");
	for (unsigned i = 0; i < hand.n; i++) {
		unsigned id = speaks() ? plan.clients + i : first + i * step;

		client_init(&hand.client[i], id, speaks() ? i :
		    plan_channel(id));
		if (shared->joined == NULL || speaks())
			continue;
		hand.client[i].members = calloc(1, plan.clients / 4 + 1);
		if (hand.client[i].members == NULL)
			die("out of memory");
	}
}

/* Starts those whose time has come; ms until it wants to look again. */
static int
start_some(void)
{
	unsigned share = plan.inflight / plan.hands, looked;
	uint64_t now = now_ns();

	share = share > 0 ? share : 1;
	if (hand.idle == 0 || atomic_load(&shared->phase) != PHASE_OPEN)
		return TURN_MS;
	for (looked = 0; looked < LOOK && looked < hand.n &&
	    hand.opening < share && hand.idle > 0; looked++) {
		struct client *c = &hand.client[hand.next];

		hand.next = (hand.next + 1) % hand.n;
		if (c->state == CLIENT_IDLE && c->when <= now)
			client_start(c);
	}
	return hand.opening < share && hand.idle > 0 ? 1 : TURN_MS;
}

static void
stall_some(void)
{
	for (unsigned i = 0; i < hand.n; i++) {
		struct client *c = &hand.client[i];

		if (!c->stalls || c->stalled || c->state != CLIENT_IN)
			continue;
		c->stalled = true;
		line_stall(&c->line);
	}
}

/* All are looked at once in about a minute: a server may close those that say
 * nothing for longer. */
static void
ping_some(void)
{
	static const char ping[] = "{\"event\":\"pusher:ping\",\"data\":{}}";
	static unsigned at;
	static uint64_t last;
	uint64_t now = now_ns();

	if (now - last < SLICE || hand.n == 0)
		return;
	last = now;
	for (unsigned i = 0; i < hand.n / 300 + 1; i++) {
		struct client *c = &hand.client[at];

		at = (at + 1) % hand.n;
		if (c->state == CLIENT_IN && !c->stalled &&
		    now - c->spoke > SILENCE)
			client_say(c, 1, ping, sizeof ping - 1);
	}
}

/* ---- the loop ----------------------------------------------------------- */

static void
prepare(unsigned index)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	struct rlimit files;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN);	/* the overseer tells */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	hand.index = index;
	stats = &shared->stats[index];
	hand.ep = epoll_create1(EPOLL_CLOEXEC);
	hand.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (hand.ep < 0 || hand.timer < 0 ||
	    epoll_ctl(hand.ep, EPOLL_CTL_ADD, hand.timer, &ev) != 0)
		die("epoll: %s", strerror(errno));
}

static void
turn(int ms)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(hand.ep, ev, EVENTS, ms);
	uint64_t times;

	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr != NULL)
			line_event(ev[i].data.ptr, ev[i].events);
		else if (read(hand.timer, &times, sizeof times) < 0)
			continue;
	}
}

/* Of a presence channel, every second one. */
static void
leave(void)
{
	if (shared->joined == NULL)
		return;
	for (unsigned i = 0; i < hand.n; i++)
		if (hand.client[i].state == CLIENT_IN &&
		    hand.client[i].id % 2 == 1) {
			shared->joined[hand.client[i].id] = now_ns();
			client_leave(&hand.client[i]);
		}
}

void
hand_work(unsigned index)
{
	bool stalled = false, left = false;
	int ms = 0, phase;

	prepare(index);
	wire_secret(opt.secret);
	fill();
	if (speaks())
		speaker_open();
	while ((phase = atomic_load(&shared->phase)) != PHASE_END) {
		turn(ms);
		if (!stalled && atomic_load(&shared->stall)) {
			stalled = true;
			stall_some();
		}
		if (!left && phase == PHASE_LEAVE) {
			left = true;
			leave();
		}
		ping_some();
		ms = start_some();
		__atomic_store_n(&stats->opening, hand.opening,
		    __ATOMIC_RELEASE);
		if (speaks())
			speaker_turn();
		else
			speaker_wake();
	}
	for (unsigned i = 0; i < hand.n; i++)
		client_finish(&hand.client[i]);
	_exit(0);
}
