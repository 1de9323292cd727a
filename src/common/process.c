/* SPDX-License-Identifier: MIT
 *
 * What all children of the master do alike: see process.h.
 */
#include "common/process.h"

#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/util.h"

/* Without locks, as a process has one thread; and what the user's environment
 * says to libevent is not for servers. */
static struct event_base *
loop_new(void)
{
	struct event_config *ec = event_config_new();
	struct event_base *base;

	if (ec == NULL || event_config_set_flag(ec, EVENT_BASE_FLAG_NOLOCK |
	    EVENT_BASE_FLAG_IGNORE_ENV) < 0 ||
	    (base = event_base_new_with_config(ec)) == NULL)
		fatal("cannot make an event loop");
	event_config_free(ec);
	return base;
}

struct event_base *
process_begin(const char *who)
{
	log_init(who);
	fd_limit_raise();
	return loop_new();
}

void
process_turn(struct event_base *base, bool more)
{
	event_base_loop(base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0));
}

void
process_start(const struct msg_start *m)
{
	if (m->version < MSG_OLDEST)
		fatal("the master speaks version %llu, this is %d",
		    (unsigned long long)m->version, MSG_VERSION);
}

void
process_log_settings(const struct config *c)
{
	log_settings((enum log_level)c->peal.log_level,
	    (enum log_format)c->peal.log_format, c->peal.log);
}

struct config *
process_settings(const struct msg_settings *m)
{
	char *why;
	struct config *c = config_unpack(m->packed, &why);

	if (c == NULL)
		fatal("settings from the master: %s", why);
	process_log_settings(c);
	return c;
}

void
process_log(const struct msg_log *m)
{
	int old = log_fd();

	log_to_fd(m->fd);
	if (old > STDERR_FILENO)
		close(old);
}

void
process_ping(struct ipc *master, const struct msg_ping *m)
{
	msg_pack_pong(ipc_out(master), &(struct msg_pong){ .n = m->n });
}

void
process_needs(const struct config *c, const char *what)
{
	if (c == NULL)
		die("%s came before the settings", what);
}

void
process_lock(enum jail_role role, const struct config *c)
{
	const char *why;

	if (jail_enter(role, c->peal.user, c->peal.jail, &why) < 0)
		die("cannot lock this process in: %s", why);
}

void
process_report(struct ipc *master)
{
	static struct buf packed;

	buf_clear(&packed);
	counters_pack(&counter, &packed);
	msg_pack_counters(ipc_out(master), &(struct msg_counters){
	    .packed = buf_view(&packed), .version = MSG_VERSION });
}
