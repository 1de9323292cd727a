/* SPDX-License-Identifier: MIT
 *
 * The courier process: its loop, and one handler per message.
 *
 * Runs in: the courier.
 */
#include "courier/courier.h"

#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/crypto.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/process.h"
#include "common/tls.h"
#include "common/util.h"
#include "courier/body.h"
#include "courier/http.h"
#include "courier/ledger.h"
#include "courier/news.h"


#define MSG_ROLE	courier
#define MSG_CTX		struct link
#include "common/dispatch.inc"

int
courier_take(struct link *from, unsigned type, struct unpacker *u,
    const char **why)
{
	return courier_dispatch(from, from->ipc, type, u, why);
}

/* ---- life --------------------------------------------------------------------- */

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	courier_tick(arg);
}

/* The turn behind it does what is due. */
static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

static void
ask_name(void *ctx, uint64_t cookie, struct bytes host)
{
	struct courier *c = ctx;

	msg_pack_lookup(ipc_out(c->master->ipc),
	    &(struct msg_lookup){ .cookie = cookie, .host = host });
}

struct courier *
courier_new(struct event_base *base, int master_fd)
{
	struct timeval second = { 1, 0 };
	struct courier *c = xcalloc(1, sizeof(*c));

	c->base = base;
	c->now = clock_ms();
	c->held = true;		/* until go */
	TAILQ_INIT(&c->routers);
	said_init(&c->said, &news_of_said, c);
	misses_init(&c->misses);
	choice_init(&c->choice);
	targets_init(&c->targets);
	journal_init(&c->journal);
	names_init(&c->names, ask_name, c);
	c->http = http_new(base, &c->rules, &c->names);
	c->master = link_master(c, master_fd);
	c->second = event_new(base, -1, EV_PERSIST, on_second, c);
	c->wake = evtimer_new(base, on_wake, c);
	if (c->second == NULL || c->wake == NULL ||
	    event_add(c->second, &second) < 0)
		fatal("no timer");
	return c;
}

void
courier_free(struct courier *c)
{
	struct link *l;

	c->reading = true;
	targets_done(c);
	http_free(c->http);
	names_done(&c->names);
	address_rules_done(&c->rules);
	journal_done(&c->journal);
	choice_done(&c->choice);
	misses_done(&c->misses);
	said_done(&c->said);
	while ((l = TAILQ_FIRST(&c->routers)) != NULL) {
		TAILQ_REMOVE(&c->routers, l, next);
		link_free(l);
	}
	link_free(c->master);
	event_free(c->second);
	event_free(c->wake);
	config_free(c->config);
	buf_done(&c->authorities);
	buf_done(&c->scratch);
	buf_done(&c->text);
	free(c->to);
	free(c);
}

/* The earlier of two routers has said all it will, to us alone; the one that stays
 * says the rest to the next courier. */
static bool
reads_no_more(const struct courier *c)
{
	const struct link *l = TAILQ_FIRST(&c->routers);

	return c->stopping && !c->deliver &&
	    (l == NULL || TAILQ_NEXT(l, next) == NULL);
}

static void
courier_stop(struct courier *c, uint64_t grace_ms)
{
	c->stopping = true;
	c->deliver = grace_ms > 0 && !c->journal.durable && c->going;
	c->last_moment = c->now + (c->deliver ? grace_ms : COURIER_END_MS);
	if (c->deliver) {
		targets_hurry(c);
		return;
	}
	targets_stop(c);
	links_hold(c, reads_no_more(c));
}

void
courier_orphaned(struct courier *c)
{
	if (!c->stopping)
		courier_stop(c, 0);
}

/* ---- the loop ------------------------------------------------------------------- */

static void
report(struct courier *c)
{
	targets_tick(c);
	if (!c->master->gone)
		process_report(c->master->ipc);
}

void
courier_tick(struct courier *c)
{
	c->now = clock_ms();
	log_due();
	names_tick(&c->names, c->now);
	report(c);
}

/* What is held back goes out at once when nobody can come back any more: routers
 * are gone, and no other host will say it. */
static bool
expire(struct courier *c)
{
	uint64_t due, hold_back = c->config->courier.hold_back;
	bool last = c->deliver && links_current(c) == NULL &&
	    !choice_many(&c->choice);
	struct timeval tv;

	if (!c->said.settled && !last)
		return false;
	if (last)
		hold_back = 0;
	if (said_expire(&c->said, c->now, hold_back))
		return true;
	if ((due = said_due(&c->said, hold_back)) == 0) {
		event_del(c->wake);
		return false;
	}
	tv = timeval_ms(due > c->now ? due - c->now : 0);
	event_add(c->wake, &tv);
	return false;
}

/* Under way: what it takes to end well. */
static void
end(struct courier *c)
{
	if (c->targets.busy == 0 && (c->deliver ? links_current(c) == NULL &&
	    !targets_hopeful(&c->targets) : reads_no_more(c)))
		c->done = true;
	if (c->now >= c->last_moment)
		c->done = true;
	if (c->done)
		courier_tick(c);	/* the last numbers */
}

bool
courier_turn(struct courier *c)
{
	bool more;

	c->now = clock_ms();
	if (!c->going) {
		c->done = c->stopping;
		links_flush(c);
		return false;
	}
	http_turn(c->http);
	more = links_bury(c);
	more |= expire(c);
	targets_turn(c);
	if (ledger_write(c) == 0) {
		links_hold(c, reads_no_more(c));
		links_ack(c);
	} else
		links_hold(c, true);
	targets_send(c);
	if (c->stopping && !more)
		end(c);
	links_flush(c);
	return (more || http_waits(c->http)) && !c->done;
}

int
courier_main(void)
{
	static struct courier *c;	/* found by leak checkers at exit */
	struct event_base *base = process_begin("courier");
	bool more = false;

	tls_init();
	crypto_init();
	c = courier_new(base, PROCESS_LINK);
	while (!c->done) {
		process_turn(c->base, more);
		more = courier_turn(c);
	}
	return 0;
}

/* ---- what the master says ------------------------------------------------------- */

void
courier_on_start(struct link *from, struct ipc *ipc, const struct msg_start *m)
{
	(void)from, (void)ipc;
	process_start(m);
}

static bool
any_tls(const struct config *c)
{
	struct config_target t;
	const char *why;

	for (size_t i = 0; i < c->n_webhook; i++)
		if (config_target_parse(bytes_str(c->webhook[i].url), &t,
		    &why) == 0 && t.tls)
			return true;
	return false;
}

/* Behind the jail there are no files. */
static void
authorities_read(struct courier *c)
{
	const char *name = c->config->courier.ca_file;

	if (name == NULL ||
	    file_read(name, CONFIG_CA_FILE_MAX, &c->authorities) < 0)
		buf_done(&c->authorities);
	else
		http_authorities(c->http, buf_view(&c->authorities));
}

/* Once, with the first settings that have a target which needs them. */
static void
authorities_missed(const struct courier *c, const struct config *old)
{
	const char *name = c->config->courier.ca_file;

	if (c->authorities.n > 0 || !any_tls(c->config) ||
	    (old != NULL && any_tls(old)))
		return;
	log_warn("webhook: no certificate will be good, its authorities cannot "
	    "be read file=%s", name != NULL ? name : "");
}

void
courier_on_settings(struct link *from, struct ipc *ipc,
    const struct msg_settings *m)
{
	struct courier *c = from->courier;
	struct config *old = c->config;

	(void)ipc;
	c->config = process_settings(m);
	address_rules_set(&c->rules, &c->config->courier);
	choice_timeout(&c->choice, c->config->backplane.host_timeout);
	targets_settings(c, c->config);
	if (c->going)
		targets_settled(c);
	news_settings(c);
	if (old == NULL)
		authorities_read(c);
	authorities_missed(c, old);
	config_free(old);
}

void
courier_on_log(struct link *from, struct ipc *ipc, const struct msg_log *m)
{
	(void)from, (void)ipc;
	process_log(m);
}

void
courier_on_spool(struct link *from, struct ipc *ipc, const struct msg_spool *m)
{
	(void)ipc;
	if (m->index > 1 || from->courier->going)
		fatal("the master's journal files do not fit");
	journal_file(&from->courier->journal, (unsigned)m->index, m->fd,
	    m->durable != 0);
}

void
courier_on_hook_link(struct link *from, struct ipc *ipc,
    const struct msg_hook_link *m)
{
	(void)ipc;
	link_router(from->courier, m->fd);
}

void
courier_on_go(struct link *from, struct ipc *ipc, const struct msg_go *m)
{
	struct courier *c = from->courier;

	(void)m;
	process_needs(c->config, "go");
	process_lock(JAIL_COURIER, c->config);
	ledger_open(c);
	c->going = true;
	targets_settled(c);
	news_settings(c);
	links_hold(c, false);
	msg_pack_ready(ipc_out(ipc), &(struct msg_ready){ .end_ = "" });
}

void
courier_on_ping(struct link *from, struct ipc *ipc, const struct msg_ping *m)
{
	/* Whoever has the answer knows the numbers, too. */
	report(from->courier);
	process_ping(ipc, m);
}

void
courier_on_stop(struct link *from, struct ipc *ipc, const struct msg_stop *m)
{
	(void)ipc;
	courier_stop(from->courier, m->grace_ms);
}

void
courier_on_found(struct link *from, struct ipc *ipc, const struct msg_found *m)
{
	(void)ipc;
	names_found(&from->courier->names, m, clock_ms());
}
