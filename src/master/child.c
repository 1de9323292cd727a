/* SPDX-License-Identifier: MIT
 *
 * The life of the processes under the master.
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
#include <stdlib.h>
#include <unistd.h>

#include "common/closes.h"
#include "common/log.h"
#include "common/util.h"
#include "master/master.h"
#include "master/spawn.h"

#define BACKOFF_MIN_MS	100
#define BACKOFF_MAX_MS	10000
#define SETTLED_MS	30000	/* who lived so long has not failed early */
#define START_GRACE_MS	10000	/* libraries are set up before the first pong */
#define END_GRACE_MS	2000	/* from the link's end to the process's */
#define TICK_LATE_MS	3000	/* we were not run: silence proves nothing */
#define LOOP_FAILS	3	/* early deaths that are called a loop */
#define START_FAILS	4	/* early deaths that end a start */

/* Sends a message without a descriptor. */
#define SEND(child, name, ...) \
	msg_pack_##name(ipc_out((child)->ipc), \
	    &(struct msg_##name){ __VA_ARGS__ })

static struct buf frame;	/* of a message with a descriptor */

static void	child_schedule(struct child *);

#define MSG_ROLE	master
#define MSG_CTX		struct child
#include "common/dispatch.inc"

/* ---- roles ------------------------------------------------------------------ */

static void	worker_prepare(struct child *);
static void	router_prepare(struct child *);

struct child_role {
	const char	*name;
	enum config_view view;
	/* The messages between start, settings, log and the links. */
	void		(*prepare)(struct child *);
};

static const struct child_role roles[] = {
	{ "router", CONFIG_ROUTER, router_prepare },
	{ "worker", CONFIG_WORKER, worker_prepare },
};

static const struct child_role *
role_of(unsigned slot)
{
	return &roles[slot == SLOT_ROUTER ? 0 : 1];
}

const char *
child_role_name(const struct child *c)
{
	return c->role->name;
}

const char *
child_state_name(const struct child *c)
{
	static const char *const names[] = { "down", "starting", "up",
		"ending" };

	return names[c->state];
}

/* "router" or "worker 2", good until the next call. */
static const char *
child_name(const struct child *c)
{
	static char name[32];

	if (c->slot == SLOT_ROUTER)
		return "router";
	snprintf(name, sizeof(name), "worker %u", c->slot);
	return name;
}

static struct child *
child_router(void)
{
	return &master.child[SLOT_ROUTER];
}

static void
state_set(struct child *c, enum child_state state)
{
	c->state = state;
	c->since_ms = clock_ms();
}

/* ---- what a new process is told ------------------------------------------------ */

static void
send_settings(struct child *c)
{
	struct buf packed = { 0 };

	config_pack(master.config, c->role->view, &packed);
	SEND(c, settings, .packed = buf_view(&packed));
	if (packed.n != 0)
		explicit_bzero(packed.p, packed.n);
	buf_done(&packed);
}

static void
send_log(struct child *c)
{
	struct msg_log m = { .fd = log_fd() };

	buf_clear(&frame);
	msg_pack_log(&frame, &m);
	ipc_put_fd(c->ipc, buf_view(&frame), m.fd);
}

static void
send_listener(struct child *c, const struct listen_address *a)
{
	struct msg_listener m = {
		.fd = listen_fd(a, c->slot - SLOT_WORKER_FIRST),
		.section = a->section, .local = a->local,
		.address = bytes_str(a->text),
	};

	buf_clear(&frame);
	msg_pack_listener(&frame, &m);
	ipc_put_fd(c->ipc, buf_view(&frame), m.fd);
}

static void
send_certificates(struct child *c)
{
	const struct certificate *cert;

	for (size_t i = 0; i < master.config->n_listen; i++) {
		cert = &master.certificates[i];
		if (cert->chain.n != 0)
			SEND(c, certificate, .section = i,
			    .chain = buf_view(&cert->chain),
			    .key = buf_view(&cert->key));
	}
}

static void
worker_prepare(struct child *c)
{
	for (size_t i = 0; i < master.listen.n; i++)
		send_listener(c, &master.listen.at[i]);
	send_certificates(c);
	SEND(c, tickets,
	    .keys = bytes_of(master.tickets, sizeof(master.tickets)));
}

static void
router_prepare(struct child *c)
{
	(void)c;
}

static void
child_prepare(struct child *c)
{
	SEND(c, start, .version = MSG_VERSION, .node = master.node,
	    .incarnation = master.incarnation, .slot = c->slot,
	    .generation = c->generation);
	send_settings(c);
	send_log(c);
	c->role->prepare(c);
}

/* A worker and the router get the ends of a new pair. */
static void
link_make(struct child *router, struct child *worker)
{
	struct msg_router_link down;
	struct msg_worker_link up;
	int ends[2];

	if (ipc_pair(ends) < 0) {
		log_error("no socket pair for %s: %s", child_name(worker),
		    strerror(errno));
		return;
	}
	down = (struct msg_router_link){ .fd = ends[0] };
	up = (struct msg_worker_link){ .fd = ends[1], .slot = worker->slot,
		.generation = worker->generation };
	buf_clear(&frame);
	msg_pack_router_link(&frame, &down);
	ipc_put_fd(worker->ipc, buf_view(&frame), down.fd);
	buf_clear(&frame);
	msg_pack_worker_link(&frame, &up);
	ipc_put_fd(router->ipc, buf_view(&frame), up.fd);
	close(ends[0]);
	close(ends[1]);
}

static void
child_go(struct child *c)
{
	SEND(c, go, .expect = c->slot == SLOT_ROUTER ? children_workers() : 0);
	c->fresh = false;
}

/* ---- start ------------------------------------------------------------------------ */

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

	if (c->slot == SLOT_ROUTER)
		snprintf(title, sizeof(title), "peald: router");
	else
		snprintf(title, sizeof(title), "peald: worker %u", c->slot);
	return spawn(master.exe, title, link, why);
}

static void
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
	c->fresh = true;
	c->told_to_stop = false;
	c->lost[0] = '\0';
	c->generation++;
	c->spawned_ms = c->heard_ms = clock_ms();
	c->asked = c->answered = 0;
	state_set(c, CHILD_STARTING);
}

/* Starts n slots together: all processes first, so that they set up their
 * libraries at the same time. */
static void
bring_up(unsigned first, unsigned n)
{
	struct child *router = child_router(), *c;

	for (unsigned i = first; i < first + n; i++)
		child_spawn(&master.child[i]);
	for (unsigned i = first; i < first + n; i++)
		if (master.child[i].fresh)
			child_prepare(&master.child[i]);
	for (unsigned i = SLOT_WORKER_FIRST; i < master.n_child; i++) {
		c = &master.child[i];
		if (c->ipc != NULL && router->ipc != NULL &&
		    (c->fresh || router->fresh))
			link_make(router, c);
	}
	for (unsigned i = first; i < first + n; i++)
		if (master.child[i].fresh)
			child_go(&master.child[i]);
}

static void
on_respawn(int fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	if (!master.stopping && c->pid == 0)
		bring_up(c->slot, 1);
}

void
children_start(unsigned workers)
{
	struct child *c;

	master.n_child = SLOT_WORKER_FIRST + workers;
	master.child = xcalloc(master.n_child, sizeof(*master.child));
	for (unsigned i = 0; i < master.n_child; i++) {
		c = &master.child[i];
		c->slot = i;
		c->role = role_of(i);
		c->respawn = evtimer_new(master.base, on_respawn, c);
		if (c->respawn == NULL)
			fatal("no memory for a timer");
	}
	bring_up(0, master.n_child);
}

/* ---- death and replacement ------------------------------------------------------------ */

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

static void
child_schedule(struct child *c)
{
	uint64_t ms = backoff_ms(c->fails);
	struct timeval in = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	c->fails++;
	if (!master.ready && c->fails >= START_FAILS) {
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
	if (master.stopping || c->told_to_stop)
		log_debug("%s has ended pid=%d %s", child_name(c), (int)c->pid,
		    how);
	else
		log_error("%s has died and is replaced pid=%d generation=%"
		    PRIu64 ": %s%s%s", child_name(c), (int)c->pid,
		    c->generation, how, c->lost[0] != '\0' ? "; link: " : "",
		    c->lost);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		log_error("%s made a system call that the jail refuses; the "
		    "kernel's audit log names it, and [peal] jail = log only "
		    "reports", child_name(c));
}

/* What a dead process counted still counts; what it held does not. */
static void
counters_retire(struct child *c)
{
	char *from = (char *)&c->counters, *to = (char *)&master.retired;
	size_t at;

	for (size_t i = 0; i < counter_count; i++) {
		at = counter_info[i].offset;
		if (!counter_info[i].is_gauge)
			*(uint64_t *)(void *)(to + at) +=
			    *(uint64_t *)(void *)(from + at);
	}
	memset(&c->counters, 0, sizeof(c->counters));
}

static void
child_died(struct child *c, int status)
{
	uint64_t now = clock_ms();

	death_log(c, status);
	counters_retire(c);
	if (c->ipc != NULL)
		ipc_free(c->ipc);
	c->ipc = NULL;
	c->pid = 0;
	state_set(c, CHILD_DOWN);
	if (now - c->spawned_ms >= SETTLED_MS)
		c->fails = 0;
	if (!master.stopping)
		child_schedule(c);
	master_child_changed();
}

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

/* ---- watch ------------------------------------------------------------------------------ */

static void
child_kill(struct child *c)
{
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
}

static void
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
	if (now - c->heard_ms > limit) {
		log_error("%s has not answered for %" PRIu64 " ms: killed "
		    "pid=%d", child_name(c), now - c->heard_ms, (int)c->pid);
		child_kill(c);
		return;
	}
	SEND(c, ping, .n = ++c->asked);
}

void
children_tick(uint64_t now)
{
	static uint64_t last;
	bool late = last != 0 && now - last > TICK_LATE_MS;

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

/* ---- what they say ------------------------------------------------------------------------ */

void
master_on_ready(struct child *c, struct ipc *ipc, const struct msg_ready *m)
{
	(void)ipc;
	(void)m;
	if (c->state != CHILD_STARTING)
		return;
	c->heard_ms = clock_ms();
	state_set(c, CHILD_UP);
	if (master.ready)
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
	c->counters = read;
}

void
master_on_stalled(struct child *router, struct ipc *ipc,
    const struct msg_stalled *m)
{
	struct child *c;

	(void)ipc;
	if (router->slot != SLOT_ROUTER || m->slot < SLOT_WORKER_FIRST ||
	    m->slot >= master.n_child)
		return;
	c = &master.child[m->slot];
	if (c->pid == 0 || c->generation != m->generation)
		return;
	log_error("%s does not read what the router sends: killed pid=%d",
	    child_name(c), (int)c->pid);
	child_kill(c);
}

/* ---- all of them ---------------------------------------------------------------------------- */

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
		send_settings(&master.child[i]);
		if (i >= SLOT_WORKER_FIRST)
			send_certificates(&master.child[i]);
	}
}

void
children_log(void)
{
	for (unsigned i = 0; i < master.n_child; i++)
		if (master.child[i].ipc != NULL)
			send_log(&master.child[i]);
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
		SEND(c, ping, .n = highest);
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
			SEND(c, stop, .grace_ms = grace_ms,
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
		SEND(c, stop, .grace_ms = 0, .close_code = 0);
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
	struct msg_control m = { .fd = fd, .request = request };

	if (router->ipc == NULL || master.stopping)
		return -1;
	buf_clear(&frame);
	msg_pack_control(&frame, &m);
	ipc_put_fd(router->ipc, buf_view(&frame), fd);
	return 0;
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
	buf_done(&frame);
}
