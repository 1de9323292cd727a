/* SPDX-License-Identifier: MIT
 *
 * Records of a hand-over (worker/record.h, thaw.c).  What thaws can be packed
 * again, the copy thaws too, and both serve their peer and end like any other.
 */
#include <sys/socket.h>
#include <event2/event.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "fuzz.h"
#include "worker/app.h"
#include "front/front.h"
#include "worker/conn.h"
#include "worker/forwarded.h"
#include "worker/freeze.h"
#include "worker/request.h"
#include "worker/uplink.h"
#include "worker/worker.h"

static char *any[] = { (char []){ "*" } }, *key[] = { (char []){ "app-key" } };
static char *addresses[] = { (char []){ "unix:/tmp/none" } };

static struct config_app apps[] = {
	{ .id = (char []){ "1" }, .secret = (char []){ "app-secret" },
	  .key = { key, 1 }, .allowed_origins = { any, 1 }, .enabled = true,
	  .max_message_size = 10000, .ping_interval = 60000,
	  .client_events = CLIENT_EVENTS_ALL, .max_channels = 100,
	  .max_channel_name = 200, .max_event_name = 200,
	  .max_presence_member = 2048, .max_watchlist = 100 },
	{ .id = (char []){ "2" }, .secret = (char []){ "app-secret" },
	  .allowed_origins = { any, 1 }, .enabled = true },
};
static struct config_listen listens[] = {
	{ .label = NULL },
	{ .label = (char []){ "behind" }, .address = { addresses, 1 },
	  .proxy_protocol = true },
};
static struct config_rooms rooms[] = {
	{ .app = (char []){ "1" }, .path = (char []){ "/" },
	  .sse_path = (char []){ "/sse/" }, .channel = (char []){ "room-" },
	  .event = (char []){ "message" }, .allowed_origins = { any, 1 },
	  .max_message_size = 10000, .publish = true, .ping_interval = 30000,
	  .sse_keepalive = 15000, .token_timeout = 10000 },
	{ .label = (char []){ "closed" }, .app = (char []){ "2" },
	  .path = (char []){ "/closed" }, .sse_path = (char []){ "/events/" },
	  .channel = (char []){ "private-room-" },
	  .event = (char []){ "message" }, .allowed_origins = { any, 1 },
	  .max_message_size = 10000, .publish = true, .ping_interval = 30000,
	  .token_secret = (char []){ "a secret of more than 32 characters" },
	  .sse_keepalive = 15000, .token_timeout = 10000 },
};
static struct config settings = {
	.app = apps, .n_app = NELEM(apps),
	.listen = listens, .n_listen = NELEM(listens),
	.rooms = rooms, .n_rooms = NELEM(rooms),
	.http = {
		.max_request_size = 10000, .max_header_size = 8192,
		.max_headers = 64, .header_timeout = 10000,
		.body_timeout = 20000, .keepalive_timeout = 75000,
		.max_connections_per_address = 1000,
	},
	.websocket = {
		.max_fragments = 1024, .max_backlog = 4 << 20,
		.max_backlog_total = 256 << 20,
		.backlog_timeout = 60000, .close_timeout = 5000,
	},
	.router.publish_window = 1 << 20,
};

/* Channels that records may name are live, as if they were expected. */
static void
channels(void)
{
	static const struct {
		const char *app, *name;
		unsigned kind;
	} live[] = {
		{ "1", "public-1", 0 }, { "1", "private-1", CHANNEL_PRIVATE },
		{ "1", "presence-1", CHANNEL_PRIVATE | CHANNEL_PRESENCE },
		{ "1", "cache-1", CHANNEL_CACHE }, { "1", "room-7", 0 },
		{ "2", "private-room-7", CHANNEL_PRIVATE },
	};
	struct app *app;
	size_t i;

	for (i = 0; i < NELEM(live); i++) {
		struct msg_subscribed m = {
			.app = bytes_str(live[i].app),
			.channel = bytes_str(live[i].name),
		};

		app = app_by_id(m.app);
		channel_expect(app, m.channel, live[i].kind);
		m.cookie = channel_find(app, m.channel)->expect;
		channel_on_subscribed(&m);
		MUST(channel_find(app, m.channel)->live);
	}
}

static void
set_up(void)
{
	if (worker.config != NULL)
		return;
	log_set_level(LOG_LEVEL_ERROR);
	worker.config = &settings;
	worker.base = event_base_new();
	worker.tls = xcalloc(settings.n_listen, sizeof(*worker.tls));
	worker_clock();
	conns_init(worker.base, 1ull << 56);
	apps_init(&settings);
	fronts_settings(&settings);
	forwarded_init(&settings);
	channels();
}

static struct conn *
make(struct bytes record, int fd)
{
	static const struct uplink_elder elder = { .slot = 1, .was = 1 };
	struct thawed t;
	const char *why = NULL;

	if (thaw(fd, record, &t, &why) < 0) {
		MUST(why != NULL);
		return NULL;
	}
	if (client_of(t.conn) != NULL) {
		uplink_came(client_of(t.conn), &elder);
		uplink_moved(client_of(t.conn));
	}
	return t.conn;
}

static void
turn(void)
{
	event_base_loop(worker.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	conns_go_on();
	requests_turn();
	clients_turn();
	conns_turn();
}

/* It is read and written as if it had always been here, and ends. */
static void
live(struct conn *c, int peer)
{
	static const char frames[] =
	    "\x8a\x80" "abcd" "\x80\x81" "abcd" "\x03" "\x89\x80" "abcd";
	uint64_t id = c->id;
	int i;

	thaw_wake(c);
	turn();
	send(peer, frames, sizeof(frames) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (i = 0; i < 3; i++)
		turn();
	conns_sweep(worker.now + 100, true);
	turn();
	c = conns_find(id);
	if (c != NULL)
		conn_kill(c, CLOSE_PEER_RESET);
	turn();
	MUST(conns_count() == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf again = { 0 };
	struct conn *c, *copy;
	const char *why;
	int fds[2];

	set_up();
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	c = make(bytes_of(p, n), fds[1]);
	if (c == NULL) {
		close(fds[0]);
		close(fds[1]);
		return 0;
	}
	MUST(freeze_pack(c, 1, 1, &again, &why) == 0);
	copy = make(buf_view(&again), dup(fds[1]));
	MUST(copy != NULL && copy->in_n == c->in_n &&
	    copy->queued == c->queued && copy->stage == c->stage);
	freeze_done(c);
	live(copy, fds[0]);
	close(fds[0]);
	buf_done(&again);
	return 0;
}
