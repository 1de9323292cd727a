/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: who publishes, when, and how far ahead.
 *
 * Publishers are calls of the API, or clients.  Channel c is publisher
 * c % publishers', so that its messages have an order.  With a rate, publisher p
 * is due at p, p + publishers, ... of its clock, however late it is: a message
 * that had to wait was late from then on.  Without, one is due as soon as there
 * are less than `window' that not all subscribers have got.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "benchmark.h"

#define KEPT_MAX	65536	/* octets of client events not yet sent */

struct publisher {
	uint64_t	 calls;		/* in this round */
	unsigned	 turn;		/* of its channels */
};

static struct publisher *publishers;
static unsigned n_publishers, next;
static uint32_t this_round;
static uint64_t clock_at;		/* the message that is due next */
static uint64_t sent, began, base, base_published;
static char *text;			/* of a client event */

/* ---- one message -------------------------------------------------------- */

static bool
ready(unsigned p)
{
	if (plan.speaker == SPEAK_API)
		return api_ready(p);
	return hand.client[p].state == CLIENT_IN &&
	    hand.client[p].line.n_out < KEPT_MAX;
}

/* The text around the data is the same for all of a channel. */
static void
client_publish(struct client *c, unsigned channel, uint64_t due)
{
	char name[NAME_MAX_SIZE];
	uint32_t number = atomic_fetch_add(&shared->spot[channel].sent, 1);
	int n;

	plan_name(name, channel);
	n = snprintf(text, 256, "{\"event\":\"client-m\",\"channel\":\"%s\","
	    "\"data\":\"", name);
	mark_write(text + n, number, channel, due);
	memcpy(text + n + opt.size, "\"}", 2);
	stats->count[N_PUBLISHED]++;
	if (shared->rate > 0)
		client_say(c, 1, text, (size_t)n + opt.size + 2);
	else
		client_keep(c, 1, text, (size_t)n + opt.size + 2);
}

static void
publish(unsigned p, uint64_t due)
{
	unsigned own = (plan.channels + n_publishers - 1 - p) / n_publishers;
	unsigned channel = p + publishers[p].turn++ % own * n_publishers;

	publishers[p].calls++;
	sent++;
	if (plan.speaker == SPEAK_API)
		api_publish(p, channel, due);
	else
		client_publish(&hand.client[p], channel, due);
}

/* ---- with a rate -------------------------------------------------------- */

static uint64_t
due_at(uint64_t message)
{
	return began + (uint64_t)((double)message * 1e9 / shared->rate);
}

/* What is due at a publisher, as far as it is free. */
static void
catch_up(unsigned p, uint64_t now)
{
	uint64_t message;

	while ((message = publishers[p].calls * shared->speakers + p -
	    shared->first) <
	    shared->messages && due_at(message) <= now && ready(p))
		publish(p, due_at(message));
}

static void
arm(uint64_t when)
{
	struct itimerspec t = { .it_value = {
	    .tv_sec = (time_t)(when / SECOND),
	    .tv_nsec = (long)(when % SECOND) } };

	timerfd_settime(hand.timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void
rated_turn(void)
{
	uint64_t now = now_ns();
	bool fresh = false;

	for (; clock_at < shared->messages && due_at(clock_at) <= now;
	    clock_at++) {
		catch_up(shared->first +
		    (unsigned)(clock_at % shared->speakers), now);
		fresh = true;
	}
	if (fresh && clock_at < shared->messages)
		arm(due_at(clock_at));
	if (sent < clock_at)		/* some could not when it was time */
		for (unsigned i = 0; i < shared->speakers; i++)
			catch_up(shared->first + i, now);
}

/* ---- with a window ------------------------------------------------------ */

/* Messages that everybody has got: of one channel exactly, of many so many as
 * there were deliveries for. */
static uint64_t
heard_by_all(void)
{
	uint64_t least = UINT64_MAX, n;

	if (plan.channels > 1)
		return stats_sum(N_DELIVERIES) / shared->fan;
	for (unsigned i = 1; i <= plan.hands; i++) {
		n = __atomic_load_n(&shared->stats[i].complete,
		    __ATOMIC_ACQUIRE);
		least = n < least ? n : least;
	}
	return least;
}

void
speaker_heard(uint32_t number)
{
	static uint32_t got[2 * WINDOW_MAX];
	uint32_t *n = &got[number % (2 * WINDOW_MAX)];

	if (++*n < hand.n)
		return;
	*n = 0;
	__atomic_store_n(&stats->complete, stats->complete + 1,
	    __ATOMIC_RELEASE);
}

static bool
may_speak(void)
{
	uint64_t refused;

	if (sent >= shared->messages)
		return false;
	if (shared->window == 0 || shared->fan == 0)
		return true;
	refused = sent - (stats->count[N_PUBLISHED] - base_published) -
	    api_waiting();
	return sent - refused < shared->window + heard_by_all() - base;
}

static void
windowed_turn(void)
{
	uint64_t now = now_ns();

	if (shared->seconds > 0 && now - began > shared->seconds * SECOND)
		shared->messages = sent;
	for (unsigned busy = 0; busy < shared->speakers && may_speak(); ) {
		unsigned p = shared->first + next;

		next = (next + 1) % shared->speakers;
		busy++;
		if (!ready(p))
			continue;
		publish(p, now_ns());
		busy = 0;
	}
	for (unsigned p = 0; p < hand.n; p++)
		if (hand.client[p].line.n_out > 0 &&
		    !hand.client[p].line.waits)
			line_flush(&hand.client[p].line);
}

/* ---- a round ------------------------------------------------------------ */

static void
begin(void)
{
	began = now_ns();
	this_round = atomic_load(&shared->round);
	base = shared->fan > 0 ? heard_by_all() : 0;
	base_published = stats->count[N_PUBLISHED];
	sent = clock_at = next = 0;
	for (unsigned p = 0; p < n_publishers; p++)
		publishers[p].calls = 0;
}

void
speaker_turn(void)
{
	if (n_publishers == 0)
		return;
	api_turn();
	if (atomic_load(&shared->round) != this_round)
		begin();
	if (atomic_load(&shared->done) == this_round)
		return;
	if (atomic_load(&shared->halt))
		shared->messages = 0;
	else if (shared->rate > 0)
		rated_turn();
	else
		windowed_turn();
	if (sent >= shared->messages && api_waiting() == 0)
		atomic_store(&shared->done, this_round);
}

/* A hand that holds clients: when all have got a message, the speaker may go on. */
void
speaker_wake(void)
{
	static uint64_t told;
	uint64_t one = 1, all;

	if (shared->window == 0 || shared->fan == 0 || shared->rate > 0)
		return;
	all = heard_by_all();
	if (all == told)
		return;
	told = all;
	if (write(shared->wake, &one, sizeof one) < 0)
		return;		/* it is awake */
}

static void
woken(struct line *l, enum line_news news)
{
	uint64_t times;

	(void)news;
	if (read(l->fd, &times, sizeof times) < 0)
		return;
}

void
speaker_open(void)
{
	static struct line wake = { .state = LINE_OPEN, .heard = woken };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &wake };

	n_publishers = plan.speaker == SPEAK_NOT ? 0 : plan.speakers;
	if (n_publishers == 0)
		return;
	publishers = calloc(n_publishers, sizeof *publishers);
	text = malloc(opt.size + 512);
	if (publishers == NULL || text == NULL)
		die("out of memory");
	wake.fd = shared->wake;
	epoll_ctl(hand.ep, EPOLL_CTL_ADD, wake.fd, &ev);
	if (plan.speaker == SPEAK_API)
		api_open(n_publishers);
}
