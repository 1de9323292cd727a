/* SPDX-License-Identifier: MIT
 *
 * The router process: its loop, and one handler per message.
 *
 * Runs in: the router.
 */
#include "router/router.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/process.h"
#include "common/util.h"
#include "router/control.h"
#include "router/inspect.h"
#include "router/report.h"

#define ORPHAN_MS	5000	/* without a master: wait so long for workers */
#define SCRATCH_KEEP	(1u << 20)

#define MSG_ROLE	router
#define MSG_CTX		struct peer
#include "common/dispatch.inc"

int
router_take(struct peer *from, unsigned type, struct unpacker *u,
    const char **why)
{
	return router_dispatch(from, from->ipc, type, u, why);
}

/* ---- life --------------------------------------------------------------- */

/* Larger than what any router before had: microseconds since 1970, which still
 * fit a JavaScript number. */
static uint64_t
new_epoch(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* What no other router has begun at, here or on another host: who comes back to
 * one with the position of another is not taken for its own.  Fits a JavaScript
 * number. */
static uint64_t
any_epoch(void)
{
	uint64_t n;

	random_fill(&n, sizeof(n));
	return n >> 12;
}

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;

	(void)fd, (void)what;
	r->now = clock_ms();
	router_tick(r);
}

struct router *
router_new(struct event_base *base, int master_fd)
{
	struct timeval second = { 1, 0 };
	struct router *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->now = clock_ms();
	r->epoch = new_epoch();
	r->last_epoch = any_epoch();
	TAILQ_INIT(&r->peers);
	TAILQ_INIT(&r->answers);
	TAILQ_INIT(&r->marks);
	TAILQ_INIT(&r->pending);
	TAILQ_INIT(&r->hosts);
	TAILQ_INIT(&r->countings);
	LIST_INIT(&r->controls);
	LIST_INIT(&r->inspections);
	LIST_INIT(&r->fresh);
	census_init(r);
	watchers_init(&r->watchers);
	history_init(&r->history);
	replays_init(&r->replays);
	shifts_init(r);
	passage_init(r);
	fetch_init(r);
	sync_init(r);
	heir_init(r);
	taps_init(r);
	hooks_init(r);
	r->master = peer_master(r, master_fd);
	r->second = event_new(base, -1, EV_PERSIST, on_second, r);
	if (r->second == NULL || event_add(r->second, &second) < 0)
		fatal("no timer");
	return r;
}

void
router_free(struct router *r)
{
	struct peer *p;

	controls_done(r);
	elder_done(r);
	heir_done(r);
	sync_done(r);
	r->sync.on = true;	/* nobody is told of what ends here */
	hosts_done(r);
	TAILQ_FOREACH(p, &r->peers, link)
		p->gone = true;
	peers_bury(r);
	history_done(&r->history);
	replays_done(r);
	census_done(r);
	hash_done(&r->watchers);
	shifts_done(r);
	hooks_done(r);
	carrier_close(r);
	passage_done(r);
	peer_free(r->master);
	event_free(r->second);
	taps_done(r);
	config_free(r->config);
	buf_done(&r->scratch);
	free(r);
}

void
router_settings(struct router *r, struct config *config)
{
	config_free(r->config);
	r->config = config;
	if (r->carrier == NULL) {
		carrier_open(r);
		hosts_init(r);
	}
	history_limits(&r->history, config->router.cache_ttl,
	    config->router.cache_size, r->now);
	census_settings(r);
	hooks_settings(r);
}

void
router_orphaned(struct router *r)
{
	r->stopping = true;
	r->last_moment = r->now + ORPHAN_MS;
}

/* ---- the loop ----------------------------------------------------------- */

void
router_tick(struct router *r)
{
	log_due();
	history_purge(&r->history, r->now);
	replays_tick(r);
	peers_watch(r);
	controls_tick(r);
	report_send(r);
}

static void
router_ends(struct router *r)
{
	r->done = ((TAILQ_EMPTY(&r->peers) || elder_yielded(r)) &&
	    hooks_ended(r)) || r->now >= r->last_moment;
	if (!r->done)
		return;
	hooks_give_up(r);
	if (!elder_yielded(r))
		hosts_bye(r);
	carrier_turn(r);
}

bool
router_turn(struct router *r)
{
	bool more;

	r->now = clock_ms();
	/* Nobody is here before there are settings. */
	if (r->config == NULL) {
		r->done = r->stopping;
		return false;
	}
	/* Who has yielded tells nobody that workers leave: they go to its heir. */
	if (!elder_frozen(r)) {
		peers_last_words(r);
		peers_bury(r);
	}
	carrier_due(r);
	heir_turn(r);
	sync_turn(r);
	more = users_turn(r);
	more |= answers_turn(r);
	controls_turn(r);
	inspections_turn(r);
	more |= hosts_turn(r);
	counts_push(r);
	carrier_turn(r);
	controls_write(r);
	/* Before anything is acknowledged that it is to be told. */
	more |= hooks_turn(r);
	more |= peers_flush(r);
	report_turn(r);
	marks_turn(r);
	elder_turn(r);
	if (!r->master->gone && peer_backlog(r->master) > 0)
		ipc_flush(r->master->ipc);
	if (r->scratch.cap > SCRATCH_KEEP)
		buf_done(&r->scratch);
	if (r->stopping)
		router_ends(r);
	return more;
}

int
router_main(void)
{
	static struct router *r;	/* found by leak checkers at exit */
	bool more = false;

	r = router_new(process_begin("router"), PROCESS_LINK);
	while (!r->done) {
		process_turn(r->base, more);
		more = router_turn(r);
	}
	report_last(r);
	return 0;
}

/* ---- what the master says ----------------------------------------------- */

void
router_on_start(struct peer *from, struct ipc *ipc, const struct msg_start *m)
{
	struct router *r = from->router;

	(void)ipc;
	process_start(m);
	r->node = m->node;
	r->incarnation = m->incarnation;
	r->generation = m->generation;
}

void
router_on_settings(struct peer *from, struct ipc *ipc,
    const struct msg_settings *m)
{
	(void)ipc;
	router_settings(from->router, process_settings(m));
}

void
router_on_log(struct peer *from, struct ipc *ipc, const struct msg_log *m)
{
	(void)from, (void)ipc;
	process_log(m);
}

void
router_on_worker_link(struct peer *from, struct ipc *ipc,
    const struct msg_worker_link *m)
{
	(void)ipc;
	process_needs(from->router->config, "a worker's link");
	peer_new(from->router, m->fd, m->slot, m->generation);
}

void
router_on_go(struct peer *from, struct ipc *ipc, const struct msg_go *m)
{
	struct router *r = from->router;

	process_needs(r->config, "go");
	process_lock(carrier_alone(r) ? JAIL_ROUTER : JAIL_ROUTER_BACKPLANE,
	    r->config);
	carrier_start(r);
	if (heir_waits(r)) {
		heir_go(r);
		return;
	}
	sync_go(r, m->expect);
	msg_pack_ready(ipc_out(ipc), &(struct msg_ready){ .end_ = "" });
}

void
router_on_ping(struct peer *from, struct ipc *ipc, const struct msg_ping *m)
{
	(void)from;
	process_ping(ipc, m);
}

/* Workers have their connections to close yet, and publish while they do. */
void
router_on_stop(struct peer *from, struct ipc *ipc, const struct msg_stop *m)
{
	struct router *r = from->router;

	(void)ipc;
	r->stopping = true;
	r->last_moment = r->now + m->grace_ms + ORPHAN_MS;
}

void
router_on_router_heir(struct peer *from, struct ipc *ipc,
    const struct msg_router_heir *m)
{
	(void)ipc;
	elder_begin(from->router, m->fd);
}

void
router_on_router_elder(struct peer *from, struct ipc *ipc,
    const struct msg_router_elder *m)
{
	(void)ipc;
	heir_begin(from->router, m->fd);
}

void
router_on_yield(struct peer *from, struct ipc *ipc, const struct msg_yield *m)
{
	(void)ipc, (void)m;
	elder_yield(from->router);
}

void
router_on_take_over(struct peer *from, struct ipc *ipc,
    const struct msg_take_over *m)
{
	(void)ipc;
	heir_take_over(from->router, m->expect);
}

void
router_on_control(struct peer *from, struct ipc *ipc,
    const struct msg_control *m)
{
	(void)ipc;
	control_take(from->router, m->fd, m->request);
}

void
router_on_courier_link(struct peer *from, struct ipc *ipc,
    const struct msg_courier_link *m)
{
	(void)ipc;
	hooks_link(from->router, m->fd);
}

/* ---- what workers say --------------------------------------------------- */

/* Keeps the message for later if not all is known yet: of all hosts, or of this
 * one. */
#define HOLD(name)		HOLD_IF(name, from->router->sync.on)
#define HOLD_UNTOLD(name)	HOLD_IF(name, !from->router->sync.told)
#define HOLD_IF(name, early) do {					\
	struct router *r_ = from->router;				\
									\
	if (early) {							\
		buf_clear(&r_->scratch);				\
		msg_pack_##name(&r_->scratch, m);			\
		sync_hold(r_, from, MSG_##name, buf_view(&r_->scratch)); \
		return;							\
	}								\
} while (0)

void
router_on_hello(struct peer *from, struct ipc *ipc, const struct msg_hello *m)
{
	if (m->version < MSG_OLDEST || m->slot != from->slot ||
	    m->generation != from->generation) {
		peer_refuse(from, "it is not who it should be");
		return;
	}
	from->hello = true;
	from->version = m->version;
	taps_greet(from->router, from);
	if (from->router->xoff)
		msg_pack_xoff(ipc_out(ipc), &(struct msg_xoff){ .end_ = "" });
}

void
router_on_join(struct peer *from, struct ipc *ipc, const struct msg_join *m)
{
	(void)ipc;
	if ((m->flags & JOIN_PRESENCE) && !(m->flags & JOIN_SYNC))
		HOLD(join);
	census_join(from->router, from, m);
}

void
router_on_leave(struct peer *from, struct ipc *ipc, const struct msg_leave *m)
{
	(void)ipc;
	if (m->user.n > 0)
		HOLD(leave);
	census_leave(from->router, from, m);
}

void
router_on_connect(struct peer *from, struct ipc *ipc,
    const struct msg_connect *m)
{
	(void)ipc;
	HOLD(connect);
	load_connect(census_get(from->router, m->app), from, m);
}

void
router_on_load(struct peer *from, struct ipc *ipc, const struct msg_load *m)
{
	(void)ipc;
	load_set(census_get(from->router, m->app), from, m);
}

void
router_on_signin(struct peer *from, struct ipc *ipc,
    const struct msg_signin *m)
{
	(void)ipc;
	if (!(m->flags & JOIN_SYNC))
		HOLD(signin);
	users_signin(census_get(from->router, m->app), from, m);
}

void
router_on_signout(struct peer *from, struct ipc *ipc,
    const struct msg_signout *m)
{
	(void)ipc;
	HOLD(signout);
	users_signout(census_get(from->router, m->app), from, m);
}

/* Held too: a worker that has not told its channels yet would miss it. */
void
router_on_publish(struct peer *from, struct ipc *ipc,
    const struct msg_publish *m)
{
	(void)ipc;
	HOLD_UNTOLD(publish);
	passage_publish(from->router, from, m);
}

void
router_on_kick(struct peer *from, struct ipc *ipc, const struct msg_kick *m)
{
	(void)ipc;
	HOLD_UNTOLD(kick);
	passage_kick(from->router, from, m);
}

void
router_on_query(struct peer *from, struct ipc *ipc, const struct msg_query *m)
{
	(void)ipc;
	answer_query(from->router, from, m);
}

void
router_on_synced(struct peer *from, struct ipc *ipc,
    const struct msg_synced *m)
{
	(void)ipc, (void)m;
	sync_settled(from->router, from);
}

void
router_on_mark(struct peer *from, struct ipc *ipc, const struct msg_mark *m)
{
	(void)ipc;
	HOLD(mark);
	mark_ask(from, m);
}

void
router_on_moved(struct peer *from, struct ipc *ipc, const struct msg_moved *m)
{
	(void)ipc;
	shift_connection(from->router, from, m);
}

void
router_on_connection(struct peer *from, struct ipc *ipc,
    const struct msg_connection *m)
{
	(void)ipc;
	HOLD_UNTOLD(connection);
	if (from->router->taps.n != 0)
		tap_connection(from->router, m);
	passage_connection(from->router, from, m);
}

void
router_on_ask(struct peer *from, struct ipc *ipc, const struct msg_ask *m)
{
	(void)ipc;
	control_ask(from, m);
}

void
router_on_ask_end(struct peer *from, struct ipc *ipc,
    const struct msg_ask_end *m)
{
	(void)ipc;
	control_ask_end(from, m->cookie);
}

void
router_on_inspected(struct peer *from, struct ipc *ipc,
    const struct msg_inspected *m)
{
	(void)ipc;
	inspect_heard(from, m);
}

/* ---- what the master found out ------------------------------------------- */

void
router_on_resolved(struct peer *from, struct ipc *ipc,
    const struct msg_resolved *m)
{
	struct router *r = from->router;
	char *why = bytes_dup(m->why);

	(void)ipc;
	if (!carrier_alone(r))
		r->backplane->resolved(r->carrier, m->cookie, &m->addresses,
		    why);
	free(why);
}

void
router_on_connected(struct peer *from, struct ipc *ipc,
    const struct msg_connected *m)
{
	struct router *r = from->router;

	(void)ipc;
	if (!carrier_alone(r))
		r->backplane->connected(r->carrier, m->cookie, m->fd);
	else
		close(m->fd);
}
