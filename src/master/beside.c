/* SPDX-License-Identifier: MIT
 *
 * The courier under the master: see beside.h.
 *
 * Runs in: master.  Owns: see beside.h.
 */
#include <event2/event.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "master/beside.h"
#include "master/hooks.h"
#include "master/master.h"
#include "master/spool.h"
#include "master/state.h"
#include "master/tell.h"

#define HOOKS_VERSION	5	/* MSG_VERSION of the first that know of them */
#define STOP_MS		10000	/* from a stop to the end, in a reload */

static bool		 renew;		/* by another process, when it may be */
static uint64_t		 linked;	/* generation of the router it knows */
static uint64_t		 stopped_ms;	/* when it was told to */

static struct child *
courier(void)
{
	return &master.crew[CREW_BESIDE]->at[0];
}

bool
beside_wanted(void)
{
	return master.config->n_webhook != 0;
}

/* ---- settings ------------------------------------------------------------ */

static bool
wants_tls(const struct config *config)
{
	struct config_target t;
	const char *why;

	for (size_t i = 0; i < config->n_webhook; i++)
		if (config->webhook[i].verify &&
		    config_target_parse(bytes_str(config->webhook[i].url), &t,
		    &why) == 0 && t.tls)
			return true;
	return false;
}

/* Whatever reads as a file may be no certificates. */
static int
authorities_try(const char *path, char **why)
{
	static const char begin[] = "CERTIFICATE-----";
	struct buf text = { 0 };
	const char *words = NULL;

	if (path == NULL)
		words = "none";
	else if (file_read(path, CONFIG_CA_FILE_MAX, &text) < 0)
		words = strerror(errno);
	else if (text.n == 0 ||
	    memmem(text.p, text.n, begin, sizeof(begin) - 1) == NULL)
		words = "there is no certificate in it";
	buf_done(&text);
	if (words == NULL)
		return 0;
	*why = xasprintf("[courier] ca_file: %s%s%s: certificates of targets "
	    "cannot be checked", path != NULL ? path : "",
	    path != NULL ? ": " : "", words);
	return -1;
}

int
beside_check(const struct config *config, char **why)
{
	if (wants_tls(config) &&
	    authorities_try(config->courier.ca_file, why) < 0)
		return -1;
	return spool_check(config, why);
}

static bool
differ(const char *a, const char *b)
{
	return !bytes_eq(bytes_str(a), bytes_str(b));
}

/* What it reads before its jail, and the jail. */
bool
beside_differ(const struct config *old, const struct config *new)
{
	return differ(old->courier.spool, new->courier.spool) ||
	    differ(old->courier.ca_file, new->courier.ca_file) ||
	    differ(old->peal.user, new->peal.user) ||
	    old->peal.jail != new->peal.jail;
}

/* ---- life ---------------------------------------------------------------- */

static struct child *
router_leaving(void)
{
	const struct crew *old = master.crew[CREW_LEAVING];

	return old != NULL && crew_router(old)->pid != 0 ? crew_router(old) :
	    NULL;
}

static bool
knows_hooks(const struct child *router)
{
	return router->ipc != NULL && child_version(router) >= HOOKS_VERSION;
}

/* What a router that leaves has told nobody yet comes first. */
void
beside_bring_up(void)
{
	struct child *c = courier(), *old = router_leaving();

	if (!beside_wanted())
		return;
	spool_turn();
	child_spawn(c);
	if (!c->fresh)
		return;
	renew = false;
	linked = 0;
	tell_setup(c);
	if (old != NULL && knows_hooks(old))
		(void)tell_hooks(old, c);
	beside_link();
	child_go(c);
}

static void
stop(uint64_t grace_ms)
{
	struct child *c = courier();

	renew = false;
	if (c->ipc == NULL)
		return;
	if (!c->told_to_stop)
		stopped_ms = clock_ms();
	c->told_to_stop = true;
	TELL(c, stop, .grace_ms = grace_ms);
}

/* The old router's last words are on its link to the courier until it is gone. */
void
beside_proceed(void)
{
	if (renew && !master.stopping && router_leaving() == NULL)
		stop(0);
}

void
beside_follow(bool anew)
{
	struct child *c = courier();

	hook_reports_prune();
	if (!beside_wanted()) {
		spool_undo();
		evtimer_del(c->respawn);
		if (c->pid == 0)
			spool_drop();
		else
			stop(0);
		return;
	}
	spool_commit();
	if (c->pid == 0) {
		c->fails = 0;
		child_schedule(c);
		return;
	}
	/* One that is due stays due, whatever comes before it; that a spool waits
	 * for it may be all that an exec has left of it. */
	renew = (renew || anew || spool_waits()) && !c->told_to_stop;
	beside_proceed();
}

void
beside_died(void)
{
	struct child *c = courier();

	if (c->told_to_stop)
		c->fails = 0;
	if (!beside_wanted() && !master.stopping)
		spool_drop();
}

void
beside_stop(uint64_t grace_ms)
{
	evtimer_del(courier()->respawn);
	stop(grace_ms);
}

void
beside_tick(uint64_t now)
{
	struct child *c = courier();

	beside_link();
	if (master.stopping || c->pid == 0 || !c->told_to_stop ||
	    now - stopped_ms < STOP_MS)
		return;
	log_warn("%s does not end: killed pid=%d", child_name(c),
	    (int)c->pid);
	child_kill(c);
}

void
beside_link(void)
{
	struct child *c = courier();
	struct child *router = crew_router(master.crew[CREW_IN_FORCE]);

	if (c->ipc == NULL || c->told_to_stop ||
	    linked == router->generation || !knows_hooks(router))
		return;
	if (tell_hooks(router, c) == 0)
		linked = router->generation;
}

/* ---- over an exec -------------------------------------------------------- */

void
beside_save(struct state *s)
{
	s->courier_linked = linked;
	hook_reports_save(s);
	spool_save(s);
}

void
beside_restore(const struct state *s)
{
	linked = s->courier_linked;
	stopped_ms = clock_ms();
	hook_reports_restore(s);
	spool_restore(s);
	/* It may have waited for its turn, and the reload may fail. */
	if (beside_wanted() && courier()->pid == 0)
		child_schedule(courier());
}

void
beside_done(void)
{
	hook_reports_done();
	spool_undo();
	spool_drop();
}
