/* SPDX-License-Identifier: MIT
 *
 * The table of all processes under the master.
 *
 * Runs in: master.  Owns: the table.
 */
#include <event2/event.h>

#include <stdlib.h>

#include "common/closes.h"
#include "common/log.h"
#include "common/util.h"
#include "master/master.h"
#include "master/tell.h"

#define TICK_LATE_MS	3000	/* we were not run: silence proves nothing */

static struct child *
child_router(void)
{
	return &master.child[SLOT_ROUTER];
}

/* ---- start and end ------------------------------------------------------- */

/* Starts n slots together: all processes first, so that they set up their
 * libraries at the same time. */
void
children_bring_up(unsigned first, unsigned n)
{
	struct child *router = child_router(), *c;

	for (unsigned i = first; i < first + n; i++)
		child_spawn(&master.child[i]);
	for (unsigned i = first; i < first + n; i++)
		if (master.child[i].fresh)
			tell_setup(&master.child[i]);
	for (unsigned i = SLOT_WORKER_FIRST; i < master.n_child; i++) {
		c = &master.child[i];
		if (c->ipc != NULL && router->ipc != NULL &&
		    (c->fresh || router->fresh))
			tell_link(router, c);
	}
	for (unsigned i = first; i < first + n; i++)
		if (master.child[i].fresh)
			child_go(&master.child[i]);
}

void
children_start(unsigned workers)
{
	master.n_child = SLOT_WORKER_FIRST + workers;
	master.child = xcalloc(master.n_child, sizeof(*master.child));
	for (unsigned i = 0; i < master.n_child; i++)
		child_init(&master.child[i], i);
	children_bring_up(0, master.n_child);
}

void
children_free(void)
{
	for (unsigned i = 0; i < master.n_child; i++) {
		if (master.child[i].ipc != NULL)
			ipc_free(master.child[i].ipc);
		event_free(master.child[i].respawn);
	}
	free(master.child);
	master.child = NULL;
	master.n_child = 0;
	tell_done();
}

/* ---- watch --------------------------------------------------------------- */

bool
children_reaped(pid_t pid, int status)
{
	for (unsigned i = 0; i < master.n_child; i++) {
		if (master.child[i].pid != pid)
			continue;
		child_died(&master.child[i], status);
		return true;
	}
	return false;
}

void
children_tick(uint64_t now)
{
	static uint64_t last;
	bool late = last == 0 || now - last > TICK_LATE_MS;

	last = now;
	for (unsigned i = 0; i < master.n_child; i++) {
		struct child *c = &master.child[i];

		if (c->pid == 0)
			continue;
		if (late)
			c->heard_ms = now;
		child_watch(c, now);
	}
}

void
children_flush(void)
{
	for (unsigned i = 0; i < master.n_child; i++)
		if (master.child[i].ipc != NULL)
			ipc_flush(master.child[i].ipc);
}

/* ---- state and orders ---------------------------------------------------- */

bool
children_up(void)
{
	for (unsigned i = 0; i < master.n_child; i++)
		if (master.child[i].state != CHILD_UP)
			return false;
	return true;
}

unsigned
children_workers(void)
{
	unsigned n = 0;

	for (unsigned i = SLOT_WORKER_FIRST; i < master.n_child; i++)
		n += master.child[i].ipc != NULL;
	return n;
}

unsigned
children_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < master.n_child; i++)
		n += master.child[i].pid != 0;
	return n;
}

void
children_settings(void)
{
	for (unsigned i = 0; i < master.n_child; i++) {
		if (master.child[i].ipc == NULL)
			continue;
		tell_settings(&master.child[i]);
		if (i >= SLOT_WORKER_FIRST)
			tell_certificates(&master.child[i]);
	}
}

void
children_log(void)
{
	for (unsigned i = 0; i < master.n_child; i++)
		if (master.child[i].ipc != NULL)
			tell_log(&master.child[i]);
}

uint64_t
children_ask(void)
{
	uint64_t highest = 0;
	struct child *c;

	for (unsigned i = 0; i < master.n_child; i++)
		if (master.child[i].asked > highest)
			highest = master.child[i].asked;
	highest++;
	for (unsigned i = 0; i < master.n_child; i++) {
		c = &master.child[i];
		if (c->ipc == NULL)
			continue;
		c->asked = highest;
		TELL(c, ping, .n = highest);
	}
	return highest;
}

/* A process that was started since knows the new settings anyway: its numbers
 * begin again, and it is not waited for. */
bool
children_answered(uint64_t asked)
{
	const struct child *c;

	for (unsigned i = 0; i < master.n_child; i++) {
		c = &master.child[i];
		if (c->ipc != NULL && c->asked >= asked && c->answered < asked)
			return false;
	}
	return true;
}

void
children_stop_workers(uint64_t grace_ms)
{
	struct child *c;

	for (unsigned i = SLOT_WORKER_FIRST; i < master.n_child; i++) {
		c = &master.child[i];
		evtimer_del(c->respawn);
		c->told_to_stop = true;
		if (c->ipc != NULL)
			TELL(c, stop, .grace_ms = grace_ms,
			    .close_code = close_info[CLOSE_DRAIN].wire);
	}
	evtimer_del(child_router()->respawn);
}

void
children_stop_router(void)
{
	struct child *c = child_router();

	if (c->told_to_stop)
		return;
	c->told_to_stop = true;
	if (c->ipc != NULL)
		TELL(c, stop, .grace_ms = 0, .close_code = 0);
}

void
children_kill(void)
{
	for (unsigned i = 0; i < master.n_child; i++)
		child_kill(&master.child[i]);
}

void
children_sum(struct counters *sum)
{
	*sum = master.retired;
	for (unsigned i = 0; i < master.n_child; i++)
		counters_add(sum, &master.child[i].counters);
}

int
child_control(int fd, struct bytes request)
{
	struct child *router = child_router();

	if (router->ipc == NULL || master.stopping)
		return -1;
	tell_control(router, fd, request);
	return 0;
}
