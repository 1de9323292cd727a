/* SPDX-License-Identifier: MIT
 *
 * The crews, and all processes under the master.
 *
 * Runs in: master.  Owns: see child.h.
 */
#include <event2/event.h>

#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"
#include "master/beside.h"
#include "master/master.h"
#include "master/reloads.h"
#include "master/replace.h"
#include "master/report.h"
#include "master/tell.h"

#define TICK_LATE_MS	3000	/* we were not run: silence proves nothing */

/* ---- crews --------------------------------------------------------------- */

struct child *
crew_router(const struct crew *crew)
{
	return &crew->at[SLOT_ROUTER];
}

bool
child_is_router(const struct child *c)
{
	return c->slot == SLOT_ROUTER;
}

bool
child_is_worker(const struct child *c)
{
	return c->slot != SLOT_ROUTER && c->slot != SLOT_COURIER;
}

/* Who says it in no counters yet is known to be of this binary, if it is. */
uint64_t
child_version(const struct child *c)
{
	return c->version == 0 && c->own ? MSG_VERSION : c->version;
}

unsigned
child_crew(const struct child *c)
{
	unsigned k = 0;

	while (k < CREWS - 1 && master.crew[k] != c->crew)
		k++;
	return k;
}

struct crew *
crew_new(unsigned workers)
{
	struct crew *crew = xcalloc(1, sizeof(*crew));

	crew->n = SLOT_WORKER_FIRST + workers;
	crew->number = master.crews + 1;
	crew->at = xcalloc(crew->n, sizeof(*crew->at));
	for (unsigned i = 0; i < crew->n; i++)
		child_init(&crew->at[i], crew, i);
	return crew;
}

struct crew *
crew_new_beside(void)
{
	struct crew *crew = xcalloc(1, sizeof(*crew));

	crew->n = 1;
	crew->at = xcalloc(1, sizeof(*crew->at));
	child_init(&crew->at[0], crew, SLOT_COURIER);
	return crew;
}

void
crew_free(struct crew *crew)
{
	for (unsigned i = 0; i < crew->n; i++) {
		if (crew->at[i].ipc != NULL)
			ipc_free(crew->at[i].ipc);
		event_free(crew->at[i].respawn);
		numbers_done(&crew->at[i].numbers);
	}
	if (crew->config != NULL) {
		certificates_free(crew->certificates, crew->config->n_listen);
		config_free(crew->config);
	}
	listen_close(&crew->listen);
	free(crew->at);
	free(crew);
}

bool
crew_up(const struct crew *crew)
{
	for (unsigned i = 0; i < crew->n; i++)
		if (crew->at[i].state != CHILD_UP)
			return false;
	return true;
}

bool
crew_gone(const struct crew *crew)
{
	for (unsigned i = 0; i < crew->n; i++)
		if (crew->at[i].pid != 0)
			return false;
	return true;
}

/* Workers get a link to the router in force if they or the router are new. */
static void
link_fresh(void)
{
	struct child *router = crew_router(master.crew[CREW_IN_FORCE]), *c;

	if (router->ipc == NULL)
		return;
	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (c->ipc != NULL && child_is_worker(c) &&
		    child_crew(c) != CREW_COMING && (c->fresh || router->fresh))
			tell_link(router, c);
	beside_link();
}

/* All processes first, so that they set up their libraries at the same time. */
void
crew_bring_up(struct crew *crew, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		child_spawn(&crew->at[i]);
	for (unsigned i = first; i < first + n; i++)
		if (crew->at[i].fresh)
			tell_setup(&crew->at[i]);
	if (crew == master.crew[CREW_IN_FORCE])
		link_fresh();
	else if (crew_router(crew)->fresh)
		tell_succession(crew_router(master.crew[CREW_IN_FORCE]),
		    crew_router(crew));
	for (unsigned i = first; i < first + n; i++)
		if (crew->at[i].fresh)
			child_go(&crew->at[i]);
}

void
children_start(unsigned workers)
{
	master.crew[CREW_BESIDE] = crew_new_beside();
	master.crew[CREW_IN_FORCE] = crew_new(workers);
	master.crews = master.crew[CREW_IN_FORCE]->number;
	crew_bring_up(master.crew[CREW_IN_FORCE], 0, SLOT_WORKER_FIRST + workers);
	beside_follow(false);
}

void
children_free(void)
{
	for (unsigned k = 0; k < CREWS; k++) {
		if (master.crew[k] != NULL)
			crew_free(master.crew[k]);
		master.crew[k] = NULL;
	}
	tell_done();
	report_end();
	numbers_end();
	reloads_end();
}

/* ---- watch --------------------------------------------------------------- */

struct child *
children_next(const struct child *c)
{
	unsigned k = 0, i = 0;

	if (c != NULL) {
		k = child_crew(c);
		i = (unsigned)(c - c->crew->at) + 1;
	}
	for (; k < CREWS; k++, i = 0)
		if (master.crew[k] != NULL && i < master.crew[k]->n)
			return &master.crew[k]->at[i];
	return NULL;
}

bool
children_reaped(pid_t pid, int status, const struct rusage *used)
{
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c)) {
		if (c->pid != pid)
			continue;
		numbers_used(c, used);
		child_died(c, status);
		return true;
	}
	return false;
}

void
children_tick(uint64_t now)
{
	static uint64_t last;
	bool late = last == 0 || now - last > TICK_LATE_MS;
	struct child *c;

	last = now;
	for (c = children_next(NULL); c != NULL; c = children_next(c)) {
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
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (c->ipc != NULL)
			ipc_flush(c->ipc);
}

/* ---- state and orders ---------------------------------------------------- */

bool
children_up(void)
{
	return crew_up(master.crew[CREW_IN_FORCE]);
}

unsigned
children_workers(void)
{
	struct child *c;
	unsigned n = 0;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		n += c->ipc != NULL && child_is_worker(c);
	return n;
}

unsigned
children_linked(void)
{
	struct child *c;
	unsigned n = 0;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		n += c->ipc != NULL && child_is_worker(c) &&
		    child_crew(c) != CREW_COMING;
	return n;
}

unsigned
children_count(void)
{
	struct child *c;
	unsigned n = 0;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		n += c->pid != 0;
	return n;
}

unsigned
children_routers(void)
{
	struct child *c;
	unsigned n = 0;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		n += c->pid != 0 && child_is_router(c);
	return n;
}

void
children_link(void)
{
	struct child *router = crew_router(master.crew[CREW_IN_FORCE]), *c;

	if (router->ipc == NULL)
		return;
	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (c->ipc != NULL && child_is_worker(c) &&
		    child_crew(c) != CREW_COMING)
			tell_link(router, c);
}

/* Who leaves accepts nobody, so certificates say nothing to it. */
void
children_settings(void)
{
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c)) {
		if (c->ipc == NULL)
			continue;
		tell_settings(c);
		if (child_is_worker(c) && child_crew(c) != CREW_LEAVING)
			tell_certificates(c);
	}
}

void
children_log(void)
{
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (c->ipc != NULL)
			tell_log(c);
}

uint64_t
children_ask(void)
{
	uint64_t highest = 0;
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (c->asked > highest)
			highest = c->asked;
	highest++;
	for (c = children_next(NULL); c != NULL; c = children_next(c)) {
		if (c->ipc == NULL)
			continue;
		child_ping(c, highest);
	}
	return highest;
}

/* A process that was started since knows the new settings anyway: its numbers
 * begin again, and it is not waited for. */
bool
children_answered(uint64_t asked)
{
	const struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (c->ipc != NULL && c->asked >= asked && c->answered < asked)
			return false;
	return true;
}

void
children_stop_workers(uint64_t grace_ms)
{
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c)) {
		evtimer_del(c->respawn);
		if (!child_is_worker(c))
			continue;
		c->told_to_stop = true;
		if (c->ipc != NULL)
			TELL(c, stop, .grace_ms = grace_ms);
	}
}

void
children_stop_routers(void)
{
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c)) {
		if (!child_is_router(c) || c->told_to_stop)
			continue;
		c->told_to_stop = true;
		if (c->ipc != NULL)
			TELL(c, stop, .grace_ms = 0);
	}
}

void
children_kill(void)
{
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		child_kill(c);
}

int
child_control(int fd, struct bytes request)
{
	struct child *router = crew_router(master.crew[CREW_IN_FORCE]);

	if (router->ipc == NULL || master.stopping)
		return -1;
	tell_control(router, fd, request);
	return 0;
}
