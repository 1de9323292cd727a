/* SPDX-License-Identifier: MIT
 *
 * The life of one process under the master.
 *
 * A dead router costs nobody a connection: the workers get a link to the new
 * one and tell it what they hold.  A dead worker costs its own connections.
 *
 * Runs in: master.  Owns: see child.h.
 */
#include <event2/event.h>

#include <sys/wait.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "master/beside.h"
#include "master/handed.h"
#include "master/master.h"
#include "master/replace.h"
#include "master/spawn.h"
#include "master/spread.h"
#include "master/tell.h"

#define BACKOFF_MIN_MS	100
#define BACKOFF_MAX_MS	10000
#define SETTLED_MS	30000	/* who lived so long has not failed early */
#define START_GRACE_MS	10000	/* libraries are set up before the first pong */
#define END_GRACE_MS	2000	/* from the link's end to the process's */
#define SILENT_LOOKS	2	/* before it is called silent */
#define LOOP_FAILS	3	/* early deaths that are called a loop */
#define START_FAILS	4	/* early deaths that end a start */

#define MSG_ROLE	master
#define MSG_CTX		struct child
#include "common/dispatch.inc"

/* ---- roles --------------------------------------------------------------- */

enum { ROLE_ROUTER, ROLE_WORKER, ROLE_COURIER };

static const struct child_role roles[] = {
	{ "router", CONFIG_ROUTER, NULL },
	{ "worker", CONFIG_WORKER, tell_worker },
	{ "courier", CONFIG_COURIER, tell_courier },
};

const char *
child_state_name(const struct child *c)
{
	static const char *const names[] = { "down", "starting", "up",
		"ending" };

	return names[c->state];
}

const char *
child_name(const struct child *c)
{
	static char name[32];

	if (!child_is_worker(c))
		return c->role->name;
	snprintf(name, sizeof(name), "%s %u", c->role->name, c->slot);
	return name;
}

static void
state_set(struct child *c, enum child_state state)
{
	c->state = state;
	c->since_ms = clock_ms();
}

void
child_ping(struct child *c, uint64_t n)
{
	c->asked = n;
	TELL(c, ping, .n = n, .version = MSG_VERSION,
	    .ending = master.ending,
	    .silent = crew_router(master.crew[CREW_IN_FORCE])->silent_ms);
}

/* Those that come serve later, all together. */
void
child_go(struct child *c)
{
	bool serves = child_is_worker(c) && child_crew(c) != CREW_COMING;

	TELL(c, go, .expect = child_is_router(c) ? children_linked() : 0);
	if (serves)
		TELL(c, serve, .end_ = "");
	c->fresh = false;
	if (serves)
		replace_brought_up(c);
}

/* ---- start --------------------------------------------------------------- */

static void
on_gone(void *ctx, struct ipc *ipc, const char *why)
{
	struct child *c = ctx;

	snprintf(c->lost, sizeof(c->lost), "%s", why != NULL ? why : "");
	ipc_free(ipc);
	c->ipc = NULL;
	state_set(c, CHILD_ENDING);
}

static const struct ipc_ops child_ops = {
	.on_message = master_dispatch,
	.on_gone = on_gone,
};

static pid_t
child_fork(struct child *c, int link, const char **why)
{
	char title[64];

	snprintf(title, sizeof(title), "peald: %s", child_name(c));
	return spawn(master.exe, title, link, why);
}

void
child_spawn(struct child *c)
{
	const char *why = NULL;
	int ends[2];

	if (ipc_pair(ends) < 0) {
		log_error("no socket pair for %s: %s", child_name(c),
		    strerror(errno));
		child_schedule(c);
		return;
	}
	c->pid = child_fork(c, ends[1], &why);
	close(ends[1]);
	if (c->pid < 0) {
		c->pid = 0;
		close(ends[0]);
		log_error("cannot start %s: %s", child_name(c), why);
		child_schedule(c);
		return;
	}
	c->ipc = ipc_new(master.base, ends[0], false, &child_ops, c);
	c->fresh = c->own = true;
	/* One that was told to make room has not died. */
	master.restarts[c->slot] += c->spawns != 0 && !c->told_to_stop;
	c->spawns += !c->told_to_stop;
	c->told_to_stop = false;
	c->yielded = false;
	c->lost[0] = '\0';
	c->generation = ++master.generation[c->slot];
	c->spawned_ms = c->heard_ms = clock_ms();
	c->asked = c->answered = 0;
	c->unanswered = 0;
	c->silent_ms = 0;
	c->version = c->waiting = 0;
	c->pass = (struct child_pass){ 0 };
	state_set(c, CHILD_STARTING);
}

void
child_adopt(struct child *c, int link)
{
	c->ipc = link < 0 ? NULL :
	    ipc_new(master.base, link, false, &child_ops, c);
	c->fresh = c->own = false;
}

static void
on_respawn(int fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	if (master.stopping || c->pid != 0)
		return;
	if (c->slot == SLOT_COURIER)
		beside_bring_up();
	else
		crew_bring_up(c->crew, c->slot, 1);
}

void
child_init(struct child *c, struct crew *crew, unsigned slot)
{
	c->crew = crew;
	c->slot = slot;
	c->role = &roles[slot == SLOT_ROUTER ? ROLE_ROUTER :
	    slot == SLOT_COURIER ? ROLE_COURIER : ROLE_WORKER];
	c->respawn = evtimer_new(master.base, on_respawn, c);
	if (c->respawn == NULL)
		fatal("no memory for a timer");
}

/* ---- death and replacement ----------------------------------------------- */

static uint64_t
backoff_ms(unsigned fails)
{
	uint64_t ms = BACKOFF_MIN_MS;

	if (fails == 0)
		return 0;
	while (--fails != 0 && ms < BACKOFF_MAX_MS)
		ms *= 2;
	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

void
child_schedule(struct child *c)
{
	uint64_t ms = backoff_ms(c->fails);
	struct timeval in = timeval_ms(ms);

	c->fails++;
	/* The service can do without webhooks. */
	if (!master.ready && c->fails >= START_FAILS &&
	    c->slot != SLOT_COURIER) {
		master_give_up("a process cannot be started; its own lines "
			       "above say why");
		return;
	}
	if (c->fails > LOOP_FAILS)
		log_error("%s keeps dying: %u times without living %d s; next "
		    "try in %" PRIu64 " ms", child_name(c), c->fails,
		    SETTLED_MS / 1000, ms);
	evtimer_add(c->respawn, &in);
}

static void
death_log(const struct child *c, int status)
{
	char how[96];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "killed by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "exit status %d",
		    WEXITSTATUS(status));
	if (master.stopping || c->told_to_stop ||
	    (c->handed.settled && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0))
		log_debug("%s has ended pid=%d how=%s", child_name(c),
		    (int)c->pid, log_value(bytes_str(how)));
	else
		log_error("%s has died%s pid=%d generation=%" PRIu64
		    " how=%s%s%s", child_name(c), replace_refills(c) ?
		    " and is replaced" : "", (int)c->pid, c->generation,
		    log_value(bytes_str(how)), c->lost[0] != '\0' ?
		    " link=" : "", c->lost[0] != '\0' ?
		    log_value(bytes_str(c->lost)) : "");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		log_error("%s made a system call that the jail refuses; the "
		    "kernel's audit log names it, and [peal] jail = log only "
		    "reports", child_name(c));
}

void
child_died(struct child *c, int status)
{
	uint64_t now = clock_ms();

	/* Its last words may say why it went. */
	if (c->ipc != NULL)
		ipc_read_now(c->ipc);
	death_log(c, status);
	numbers_retire(c);
	if (c->ipc != NULL)
		ipc_free(c->ipc);
	c->ipc = NULL;
	c->pid = 0;
	state_set(c, CHILD_DOWN);
	if (now - c->spawned_ms >= SETTLED_MS)
		c->fails = 0;
	if (c->slot == SLOT_COURIER)
		beside_died();
	if (!master.stopping && replace_refills(c))
		child_schedule(c);
	master_child_changed();
}

/* ---- watch --------------------------------------------------------------- */

void
child_kill(struct child *c)
{
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
}

/* An answer that one look finds missing may be under way, on a busy machine or
 * when all of us stood still. */
static void
note_silence(struct child *c, uint64_t now)
{
	c->unanswered = c->asked != c->answered ? c->unanswered + 1 : 0;
	c->silent_ms = c->unanswered >= SILENT_LOOKS ? now - c->heard_ms : 0;
}

void
child_watch(struct child *c, uint64_t now)
{
	uint64_t limit = master.config->peal.watchdog;

	if (c->state == CHILD_ENDING) {
		if (now - c->since_ms > END_GRACE_MS && !master.stopping)
			child_kill(c);
		return;
	}
	if (c->state == CHILD_STARTING)
		limit += START_GRACE_MS;
	if (c->asked != c->answered && now - c->heard_ms > limit) {
		log_error("%s has not answered for %" PRIu64 " ms: killed "
		    "pid=%d", child_name(c), now - c->heard_ms, (int)c->pid);
		child_kill(c);
		return;
	}
	note_silence(c, now);
	child_ping(c, c->asked + 1);
}

/* ---- what they say ------------------------------------------------------- */

void
master_on_ready(struct child *c, struct ipc *ipc, const struct msg_ready *m)
{
	(void)ipc;
	(void)m;
	if (c->state != CHILD_STARTING)
		return;
	c->heard_ms = clock_ms();
	state_set(c, CHILD_UP);
	if (master.ready && c->spawns > 1)
		log_info("%s is up again pid=%d generation=%" PRIu64,
		    child_name(c), (int)c->pid, c->generation);
	master_child_changed();
}

void
master_on_pong(struct child *c, struct ipc *ipc, const struct msg_pong *m)
{
	(void)ipc;
	c->heard_ms = clock_ms();
	if (m->n <= c->answered || m->n > c->asked)
		return;
	c->answered = m->n;
	c->unanswered = 0;
	c->silent_ms = 0;
	master_child_changed();
}

void
master_on_counters(struct child *c, struct ipc *ipc,
    const struct msg_counters *m)
{
	struct counters read;

	(void)ipc;
	if (counters_unpack(&read, m->packed) < 0) {
		log_warn("%s sent counters that do not fit", child_name(c));
		return;
	}
	numbers_told(c, &read);
	c->version = m->version;
	spread_heard(c);
}

void
master_on_progress(struct child *c, struct ipc *ipc,
    const struct msg_progress *m)
{
	(void)ipc;
	if (!child_is_worker(c) || child_crew(c) != CREW_LEAVING)
		return;
	handed_progress(c, m);
	master_child_changed();
}

void
master_on_yielded(struct child *c, struct ipc *ipc,
    const struct msg_yielded *m)
{
	(void)ipc, (void)m;
	c->yielded = true;
	master_child_changed();
}

static struct child *
worker_find(uint64_t slot, uint64_t generation)
{
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (c->pid != 0 && child_is_worker(c) && c->slot == slot &&
		    c->generation == generation)
			return c;
	return NULL;
}

void
master_on_stalled(struct child *router, struct ipc *ipc,
    const struct msg_stalled *m)
{
	struct child *c;

	(void)ipc;
	if (!child_is_router(router) ||
	    (c = worker_find(m->slot, m->generation)) == NULL)
		return;
	log_error("%s does not read what the router sends: killed pid=%d",
	    child_name(c), (int)c->pid);
	child_kill(c);
}
