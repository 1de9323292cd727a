/* SPDX-License-Identifier: MIT
 *
 * A worker process: see worker.h.
 */
#include <sys/socket.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/process.h"
#include "common/util.h"
#include "front/front.h"
#include "worker/api_wait.h"
#include "worker/app.h"
#include "worker/ask.h"
#include "worker/channel.h"
#include "worker/client.h"
#include "worker/conn.h"
#include "worker/drain.h"
#include "worker/fanout.h"
#include "worker/forwarded.h"
#include "worker/handover.h"
#include "worker/inherit.h"
#include "worker/inspect.h"
#include "worker/listener.h"
#include "worker/page_files.h"
#include "worker/pass.h"
#include "worker/presence.h"
#include "worker/request.h"
#include "worker/uplink.h"
#include "worker/usage.h"
#include "worker/worker.h"

#define MSG_ROLE	worker
#define MSG_CTX		struct worker
#include "common/dispatch.inc"

#define SWEEP_WHOLE	20000	/* conns looked at in one go */
#define LAST_WORDS_MS	1000
#define EARLY_MS	50	/* between two reports that nobody asked for */
#define ROUTERLESS	30	/* seconds; the master brings a new router in
				   less than half of it */

struct worker worker;

static bool		 done;
static bool		 in_jail;
static uint64_t		 reported, reported_ms;	/* connections, and when */
static uint32_t		 most_conns;	/* since memory was given back */

/* PEM text of each [listen] section until the contexts are made. */
static struct pem {
	char	*chain, *key;
	size_t	 chain_n, key_n;
} *pems;
static char		 ticket_keys[TLS_TICKET_KEYS];

static int	on_router_message(void *, struct ipc *, unsigned,
		    struct unpacker *, const char **);
static void	on_router_gone(void *, struct ipc *, const char *);
static void	on_router_read(void *);

static const struct ipc_ops router_ops = {
	.on_message = on_router_message,
	.on_gone = on_router_gone,
	.on_handed_out = on_router_read,
};

void
worker_clock(void)
{
	worker.now_ms = clock_ms();
	worker.now = (uint32_t)(worker.now_ms / 1000) + 1;
}

void
worker_trace(const char *what, struct bytes text, struct bytes more)
{
	if (worker.config->debug)
		log_watch(what, text, more);
}

/* ---- setup, as the master tells it --------------------------------------------- */

void
worker_on_start(struct worker *w, struct ipc *from, const struct msg_start *m)
{
	char who[32];

	(void)from;
	process_start(m);
	w->slot = m->slot;
	w->generation = m->generation;
	w->origin = m->slot << 32 | m->generation;
	w->master_version = m->version;
	snprintf(who, sizeof(who), "worker/%llu", (unsigned long long)m->slot);
	log_init(who);
	conns_init(w->base, m->slot << 56 | (m->generation & 0xffff) << 40);
}

/* Who is on the way out may look at the old ones until the end. */
static void
retire_settings(struct config *old)
{
	static struct config **kept;
	static size_t n_kept;

	if (!apps_use(old)) {
		config_free(old);
		return;
	}
	kept = xreallocarray(kept, n_kept + 1, sizeof(*kept));
	kept[n_kept++] = old;
}

void
worker_on_settings(struct worker *w, struct ipc *from,
    const struct msg_settings *m)
{
	struct config *old = w->config;

	(void)from;
	w->config = process_settings(m);
	apps_init(w->config);
	fronts_settings(w->config);
	forwarded_init(w->config);
	if (old == NULL) {
		w->tls = xcalloc(w->config->n_listen, sizeof(*w->tls));
		pems = xcalloc(w->config->n_listen, sizeof(*pems));
	} else {
		clients_leave();
		listeners_settings();
		retire_settings(old);
	}
}

void
worker_on_log(struct worker *w, struct ipc *from, const struct msg_log *m)
{
	(void)w, (void)from;
	process_log(m);
}

void
worker_on_listener(struct worker *w, struct ipc *from,
    const struct msg_listener *m)
{
	(void)from;
	process_needs(w->config, "a listener");
	if (m->section >= w->config->n_listen)
		fatal("listener of an unknown section");
	listener_add(m);
}

static void
make_context(unsigned section)
{
	const struct pem *p = &pems[section];
	struct tls_context *fresh;
	const char *why;

	if (p->chain == NULL)
		return;
	fresh = tls_context_new(bytes_of(p->chain, p->chain_n),
	    bytes_of(p->key, p->key_n),
	    worker.config->listen[section].tls_min_version,
	    bytes_of(ticket_keys, sizeof(ticket_keys)), &why);
	if (fresh == NULL) {
		if (!in_jail)
			die("certificate of [listen] section %u: %s", section,
			    why);
		log_error("certificate not taken section=%u why=\"%s\"",
		    section, why);
		return;
	}
	/* Streams that use the old one hold it. */
	if (worker.tls[section] != NULL)
		tls_context_free(worker.tls[section]);
	worker.tls[section] = fresh;
}

void
worker_on_certificate(struct worker *w, struct ipc *from,
    const struct msg_certificate *m)
{
	struct pem *p;

	(void)from;
	process_needs(w->config, "a certificate");
	if (m->section >= w->config->n_listen)
		fatal("certificate of an unknown section");
	p = &pems[m->section];
	free(p->chain);
	free(p->key);
	p->chain = bytes_dup(m->chain);
	p->chain_n = m->chain.n;
	p->key = bytes_dup(m->key);
	p->key_n = m->key.n;
	if (in_jail)
		make_context(m->section);
}

void
worker_on_tickets(struct worker *w, struct ipc *from,
    const struct msg_tickets *m)
{
	(void)w, (void)from;
	if (m->keys.n == sizeof(ticket_keys))
		memcpy(ticket_keys, m->keys.p, sizeof(ticket_keys));
}

void
worker_on_router_link(struct worker *w, struct ipc *from,
    const struct msg_router_link *m)
{
	(void)from;
	inherit_router_lost();
	handover_router_lost();
	w->silent = 0;		/* that was another */
	uplink_connect(w->base, m->fd, &router_ops, w);
}

void
worker_on_go(struct worker *w, struct ipc *from, const struct msg_go *m)
{
	struct msg_ready ready = { .end_ = "" };
	unsigned i;

	(void)from, (void)m;
	process_needs(w->config, "go");
	for (i = 0; i < w->config->n_listen; i++)
		make_context(i);
	page_load();
	process_lock(JAIL_WORKER, w->config);
	in_jail = true;
	msg_pack_ready(ipc_out(w->master), &ready);
}

void
worker_on_serve(struct worker *w, struct ipc *from, const struct msg_serve *m)
{
	(void)from, (void)m;
	listeners_start(w->base);
}

void
worker_on_heir(struct worker *w, struct ipc *from, const struct msg_heir *m)
{
	(void)from;
	handover_on_heir(w->base, m);
}

void
worker_on_elder(struct worker *w, struct ipc *from, const struct msg_elder *m)
{
	(void)from;
	inherit_on_elder(w->base, m);
}

void
worker_on_depart(struct worker *w, struct ipc *from, const struct msg_depart *m)
{
	(void)from;
	w->leaving = true;
	handover_on_depart(w->base, m);
}

void
worker_on_ping(struct worker *w, struct ipc *from, const struct msg_ping *m)
{
	(void)from;
	w->master_version = m->version;
	w->ending = m->ending != 0;
	w->silent = m->silent;
	/* The master compares: all workers count at the same time. */
	worker_report();
	usage_tell();
	process_ping(w->master, m);
}

void
worker_on_pass(struct worker *w, struct ipc *from, const struct msg_pass *m)
{
	(void)from;
	if (w->leaving || w->stopping)
		close(m->fd);
	else
		pass_begin(m->fd, m->count);
}

void
worker_on_take(struct worker *w, struct ipc *from, const struct msg_take *m)
{
	(void)from;
	if (w->leaving || w->stopping)
		close(m->fd);
	else
		pass_take(w->base, m->fd);
}

void
worker_on_keep(struct worker *w, struct ipc *from, const struct msg_keep *m)
{
	(void)w, (void)from, (void)m;
	pass_end();
}

/* While clients are told to go, those who come hear so in HTTP; see drain.h. */
void
worker_on_stop(struct worker *w, struct ipc *from, const struct msg_stop *m)
{
	(void)from;
	if (m->grace_ms == 0)
		listeners_stop();
	pass_end();
	w->stopping = true;
	drain_start(w->base, m->grace_ms);
}

void
worker_on_report(struct worker *w, struct ipc *from, const struct msg_report *m)
{
	(void)w, (void)from;
	ask_on_report(m);
}

/* ---- what the router says --------------------------------------------------------- */

#define FROM_ROUTER(name, call) \
	void worker_on_##name(struct worker *w, struct ipc *from, \
	    const struct msg_##name *m) { (void)w, (void)from; call; }

FROM_ROUTER(subscribed, channel_on_subscribed(m))
FROM_ROUTER(deliver, channel_on_deliver(m))
FROM_ROUTER(member_added, presence_on_added(m))
FROM_ROUTER(member_removed, presence_on_removed(m))
FROM_ROUTER(member, presence_on_member(m))
FROM_ROUTER(roster, presence_on_roster(m))
FROM_ROUTER(count, channel_on_count(m))
FROM_ROUTER(grant, client_on_grant(m))
FROM_ROUTER(ack, uplink_on_ack(m))
FROM_ROUTER(row, uplink_on_row(m))
FROM_ROUTER(done, uplink_on_done(m))
FROM_ROUTER(told, ask_on_told(m))
FROM_ROUTER(inspect, inspect_answer(m))
FROM_ROUTER(tailed, apps_tailed(m))
FROM_ROUTER(watch, client_on_watch(m))
FROM_ROUTER(terminate, client_on_terminate(m))
FROM_ROUTER(replay, channel_on_replay(m))
FROM_ROUTER(marked, handover_on_marked(m); inherit_on_marked(m))
FROM_ROUTER(xoff, (void)m; uplink_hold(true))
FROM_ROUTER(xon, (void)m; uplink_hold(false))

static int
on_router_message(void *ctx, struct ipc *link, unsigned type,
    struct unpacker *u, const char **why)
{
	/* Numbers below hello, and from pass on, are the master's alone, but for
	 * three. */
	if (type < MSG_hello || (type >= MSG_pass && type != MSG_told &&
	    type != MSG_inspect && type != MSG_tailed)) {
		*why = "a message that is not its to send";
		return -1;
	}
	fanout_before(type);
	return worker_dispatch(ctx, link, type, u, why);
}

static void
on_router_read(void *ctx)
{
	(void)ctx;
	fanout_flush();
}

static void
on_router_gone(void *ctx, struct ipc *link, const char *why)
{
	(void)ctx;
	/* The master may have given us a new one already. */
	if (link != uplink())
		return;
	log_warn("router lost why=\"%s\"", why != NULL ? why : "closed");
	inherit_router_lost();
	handover_router_lost();
	uplink_lost();
}

/* ---- the loop -------------------------------------------------------------------- */

static void
give_up(struct worker *w)
{
	w->stopping = true;
	listeners_stop();
	drain_start(w->base, 1000);
}

static void
on_master_gone(void *ctx, struct ipc *link, const char *why)
{
	struct worker *w = ctx;

	(void)link;
	log_error("master lost, closing clients why=\"%s\"",
	    why != NULL ? why : "closed");
	ipc_free(w->master);
	w->master = NULL;
	give_up(w);
}

/* A router that runs but has refused this worker is not replaced; the worker
 * is, when it ends. */
static void
check_router(struct worker *w)
{
	static uint32_t since;

	if (uplink() != NULL || !in_jail || w->stopping)
		since = 0;
	else if (since == 0)
		since = w->now;
	else if (w->now - since >= ROUTERLESS) {
		log_error("no router for %d s, closing clients", ROUTERLESS);
		give_up(w);
	}
}

static const struct ipc_ops master_ops = {
	.on_message = worker_dispatch,
	.on_gone = on_master_gone,
};

void
worker_report(void)
{
	log_due();
	if (worker.master == NULL)
		return;
	counter.unacknowledged = uplink_unacknowledged();
	process_report(worker.master);
	reported = counter.connections;
	reported_ms = worker.now_ms;
}

/* While many come or go, the master hears of it before it asks. */
static void
report_early(void)
{
	uint64_t n = counter.connections,
	    change = n > reported ? n - reported : reported - n;

	if (change > 4 + reported / 32 &&
	    worker.now_ms - reported_ms >= EARLY_MS)
		worker_report();
}

/* After a storm has passed, the memory goes back to the system. */
static void
give_back(void)
{
	uint32_t n = conns_count();

	if (n > most_conns)
		most_conns = n;
	else if (most_conns > 1000 && n < most_conns / 4) {
		malloc_trim(0);
		most_conns = n;
	}
}

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	static unsigned eighth;
	struct timeval next = { 1, 0 };

	(void)fd, (void)what;
	worker_clock();
	if (conns_count() > SWEEP_WHOLE) {
		next = (struct timeval){ 0, 125000 };
		conns_sweep(worker.now, false);
	} else {
		conns_sweep(worker.now, true);
		eighth = 0;
	}
	if (eighth++ % 8 == 0 && worker.master != NULL) {
		give_back();
		check_router(&worker);
	}
	event_add(*(struct event **)arg, &next);
}

static void
turn_end(void)
{
	requests_turn();
	clients_turn();
	handover_turn();
	inherit_turn();
	uplink_turn();
	report_early();
	if (worker.master != NULL)
		ipc_flush(worker.master);
}

/* The last second would be missing in all sums. */
static void
last_words(void)
{
	worker_report();
	usage_tell();
	if (worker.master != NULL)
		(void)ipc_flush_wait(worker.master, LAST_WORDS_MS);
}

/* When all are gone, or the time is over, who waits at this moment is still
 * answered. */
static bool
finished(void)
{
	if (drain_late())
		listeners_stop();
	return done || drain_done() || handover_done();
}

int
worker_main(void)
{
	static struct event *second;
	struct timeval now = { 0, 0 };
	bool more = false;

	worker.base = process_begin("worker");
	crypto_init();
	tls_init();
	worker_clock();
	worker.master = ipc_new(worker.base, PROCESS_LINK, true, &master_ops,
	    &worker);
	second = event_new(worker.base, -1, 0, on_second, &second);
	event_add(second, &now);
	while (!finished()) {
		process_turn(worker.base, more);
		if (worker.config != NULL)
			conns_go_on();
		more = api_wait_turn();
		more |= inspect_turn();
		/* Counts are on their way before a client hears of them. */
		turn_end();
		more |= worker.config != NULL && conns_turn();
		fanout_turn();
		/* What those held who were buried. */
		uplink_turn();
	}
	last_words();
	return 0;
}
