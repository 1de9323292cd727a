/* SPDX-License-Identifier: MIT
 *
 * The time before a stop: see stop.h.
 */
#include <event2/event.h>

#include <inttypes.h>

#include "common/log.h"
#include "common/notify.h"
#include "common/util.h"
#include "master/master.h"
#include "master/state.h"
#include "master/stop.h"

static struct event *timer;
static uint64_t ends_ms, grace;		/* 0: there is none */

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	master_stop(grace);
}

static void
wait_for_it(void)
{
	uint64_t now = clock_ms(), ms = ends_ms > now ? ends_ms - now : 0;
	struct timeval in = timeval_ms(ms);

	if (timer == NULL)
		timer = evtimer_new(master.base, on_time, NULL);
	if (timer == NULL || event_add(timer, &in) < 0)
		fatal("cannot make a timer");
	master.ending = true;
}

void
stop_ask(uint64_t grace_ms)
{
	uint64_t delay = master.config->peal.stop_delay;

	grace = grace_ms;
	if (delay == 0 || master.stopping || master.ending) {
		master_stop(grace);
		return;
	}
	log_info("not ready any more, stopping in %" PRIu64 " ms", delay);
	notify_send("STATUS=stopping in %" PRIu64 " ms", delay);
	ends_ms = clock_ms() + delay;
	wait_for_it();
	/* Workers hear of it at once. */
	(void)children_ask();
}

void
stop_save(struct state *s)
{
	s->stop_ms = ends_ms;
	s->stop_grace_ms = grace;
}

void
stop_restore(const struct state *s)
{
	ends_ms = s->stop_ms;
	grace = s->stop_grace_ms;
	if (ends_ms != 0)
		wait_for_it();
}

void
stop_done(void)
{
	if (timer != NULL)
		event_free(timer);
	timer = NULL;
}
