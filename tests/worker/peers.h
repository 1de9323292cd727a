/* SPDX-License-Identifier: MIT
 *
 * For tests of a hand-over: connections that come in through the real doors, a
 * router that is played and writes down what it is told, and a clock and dice
 * that the test holds (link with LDFLAGS_PEERS), so that two runs are alike.
 */
#ifndef PEAL_TEST_PEERS_H
#define PEAL_TEST_PEERS_H

#include <errno.h>
#include <stdio.h>

#include "common/counters.h"
#include "common/crypto.h"
#include "tests/worker/test_core.h"
#include "worker/address.h"
#include "worker/forwarded.h"
#include "worker/freeze.h"
#include "worker/record.h"
#include "worker/request.h"

#define SECRET		"app-secret"
#define ROOM_SECRET	"a secret of more than 32 characters"
#define EPOCH		77
#define UNTIL		"2000000000"	/* tokens are good */

/* ---- clock and dice --------------------------------------------------------- */

static uint64_t peers_ms = 5000000;	/* since the host was started */
static unsigned peers_now;		/* whose octets are read */

uint64_t	__wrap_clock_ms(void);
uint64_t	__wrap_clock_wall_ms(void);
uint32_t	__wrap_random_1_to(uint32_t);

uint64_t
__wrap_clock_ms(void)
{
	return peers_ms;
}

uint64_t
__wrap_clock_wall_ms(void)
{
	return 1700000000000ull + peers_ms;
}

/* Only socket ids are drawn: PEER.PEER+500. */
uint32_t
__wrap_random_1_to(uint32_t limit)
{
	static unsigned draws;

	return draws++ % 2 == 0 ? 100 + peers_now :
	    600 + peers_now < limit ? 600 + peers_now : limit;
}

/* ---- settings --------------------------------------------------------------- */

static const char peers_settings[] =
    "[listen]\naddress = 127.0.0.1:0\n"
    "[listen behind]\naddress = unix:/tmp/none\nproxy_protocol = yes\n"
    "[http]\ntrusted_proxies = unix\nmax_connections_per_address = 1000\n"
    "[websocket]\ncompression_threshold = 40\nmax_backlog = 1g\n"
    "backlog_timeout = 1h\nmax_fragments = 3\n"
    "[app one]\nid = 1\nkey = app-key\nsecret = " SECRET "\n"
    "ping_interval = 7s\nrate_limiting = yes\nrate_limit_attempts = 12\n"
    "rate_limit_window = 2s\nclient_event_rate = 1\n"
    "authorization_timeout = 9s\n"
    "[app two]\nid = 2\nkey = key-two\nsecret = " SECRET "\n"
    "max_connections = 100\nsubscription_count = yes\n"
    "[rooms]\napp = one\nbinary = yes\nping_interval = 5s\n"
    "[rooms closed]\napp = two\npath = /closed\nsse_path = /events/\n"
    "channel = private-room-\ntoken_secret = " ROOM_SECRET "\n";

static struct config *
peers_load(const char *text)
{
	char name[] = "/tmp/peal-peers.XXXXXX";
	struct config_source from = { .file = name };
	struct config *c;
	int fd = mkstemp(name);
	char *why = NULL;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	c = config_load(&from, &why);
	unlink(name);
	if (c == NULL)
		fail_msg("%s", why);
	return c;
}

static void
peers_use(struct config *c)
{
	worker.config = c;
	free(worker.tls);
	worker.tls = xcalloc(c->n_listen, sizeof(*worker.tls));
	apps_init(c);
	fronts_settings(c);
	forwarded_init(c);
}

/* ---- the played router ------------------------------------------------------ */

struct asked {				/* a join or connect, to be answered */
	bool	 connect;
	uint64_t cookie, conn, flags;
	char	*app, *channel, *user, *member;
};

static struct {
	struct buf	 log;
	bool		 slow;		/* answers only when told to */
	struct asked	 asked[4096];
	unsigned	 n_asked;
	struct { char *channel, *user, *member; unsigned n; } members[256];
	unsigned	 n_members;
	uint64_t	 serial, offset, open[3], subscribed[3];
} played;

static void
played_clear(void)
{
	unsigned i;

	for (i = 0; i < played.n_members; i++) {
		free(played.members[i].channel);
		free(played.members[i].user);
		free(played.members[i].member);
	}
	assert_int_equal(played.n_asked, 0);
	played.n_members = 0;
	played.slow = false;
	played.offset = 0;
	buf_clear(&played.log);
}

#define S(b)	(int)(b).n, (b).n > 0 ? (b).p : ""

static unsigned
member_at(struct bytes channel, struct bytes user)
{
	unsigned i;

	for (i = 0; i < played.n_members; i++)
		if (bytes_eq(bytes_str(played.members[i].channel), channel) &&
		    bytes_eq(bytes_str(played.members[i].user), user))
			break;
	return i;
}

static void
member_join(const struct asked *a)
{
	struct msg_member_added m = {
		.epoch = EPOCH, .serial = ++played.serial,
		.app = bytes_str(a->app), .channel = bytes_str(a->channel),
		.user = bytes_str(a->user), .member = bytes_str(a->member),
	};
	unsigned i = member_at(m.channel, m.user);

	if (i < played.n_members) {
		played.members[i].n++;
		return;
	}
	assert_true(i < NELEM(played.members));
	played.members[i].channel = xstrdup(a->channel);
	played.members[i].user = xstrdup(a->user);
	played.members[i].member = xstrdup(a->member);
	played.members[i].n = 1;
	played.n_members++;
	presence_on_added(&m);
}

static void
tell_roster(const struct asked *a)
{
	struct msg_roster end = {
		.epoch = EPOCH, .serial = ++played.serial,
		.app = bytes_str(a->app), .channel = bytes_str(a->channel),
	};
	struct msg_member row = { .app = end.app, .channel = end.channel };
	unsigned i;

	for (i = 0; i < played.n_members; i++) {
		if (strcmp(played.members[i].channel, a->channel) != 0)
			continue;
		row.user = bytes_str(played.members[i].user);
		row.member = bytes_str(played.members[i].member);
		presence_on_member(&row);
		end.n++;
	}
	presence_on_roster(&end);
}

static void
answer_join(const struct asked *a)
{
	struct msg_subscribed s = {
		.epoch = EPOCH, .serial = ++played.serial,
		.app = bytes_str(a->app), .channel = bytes_str(a->channel),
		.cookie = a->cookie, .count = 3, .position_epoch = 4,
		.position_offset = played.offset,
	};

	if (a->flags & JOIN_PRESENCE)
		member_join(a);
	if (a->flags & JOIN_ROSTER)
		tell_roster(a);
	if (a->flags & JOIN_CACHE && played.offset % 2 == 1) {
		s.cached = 1;
		s.event = B("\"kept\"");
		s.data = B("\"what was said last\"");
	}
	if (a->cookie != 0)
		channel_on_subscribed(&s);
}

static void
answer_one(void)
{
	struct asked a = played.asked[0];
	struct msg_grant g = { .app = bytes_str(a.app), .conn = a.conn,
	    .allowed = 1 };

	played.n_asked--;
	for (size_t i = 0; i < played.n_asked; i++)
		played.asked[i] = played.asked[i + 1];
	if (a.connect)
		client_on_grant(&g);
	else
		answer_join(&a);
	free(a.app);
	free(a.channel);
	free(a.user);
	free(a.member);
}

static void
played_ask(struct asked a)
{
	assert_true(played.n_asked < NELEM(played.asked));
	played.asked[played.n_asked++] = a;
}

static void
played_leave(const struct msg_leave *l)
{
	struct msg_member_removed m = {
		.epoch = EPOCH, .serial = ++played.serial,
		.app = l->app, .channel = l->channel, .user = l->user,
	};
	unsigned i = member_at(l->channel, l->user);

	if (l->user.n == 0 || i == played.n_members ||
	    --played.members[i].n > 0)
		return;
	free(played.members[i].channel);
	free(played.members[i].user);
	free(played.members[i].member);
	played.members[i] = played.members[--played.n_members];
	presence_on_removed(&m);
}

/* An event for a channel, as if anybody had published it. */
static void
played_deliver(struct bytes app, struct bytes channel, struct bytes event,
    struct bytes data, struct bytes user, uint64_t except_a, uint64_t except_b,
    uint64_t flags)
{
	static uint64_t serial;
	struct msg_deliver d = {
		.epoch = EPOCH, .serial = ++played.serial, .origin = 9,
		.origin_serial = ++serial, .app = app, .channel = channel,
		.position_epoch = 4, .position_offset = ++played.offset,
		.event = event, .data = data, .user = user,
		.except_a = except_a, .except_b = except_b, .flags = flags,
	};

	channel_on_deliver(&d);
}

static void
on_join(const struct msg_join *m)
{
	buf_fmt(&played.log, "join %.*s %.*s%s n=%u flags=%u %.*s %.*s %u-%u\n",
	    S(m->app), S(m->channel), m->cookie != 0 ? " ?" : "",
	    (unsigned)m->n, (unsigned)m->flags, S(m->user), S(m->member),
	    (unsigned)m->since_epoch, (unsigned)m->since_offset);
	played_ask((struct asked){
		.cookie = m->cookie, .flags = m->flags,
		.app = bytes_dup(m->app), .channel = bytes_dup(m->channel),
		.user = bytes_dup(m->user), .member = bytes_dup(m->member),
	});
}

static void
on_leave(const struct msg_leave *m)
{
	buf_fmt(&played.log, "leave %.*s %.*s n=%u %.*s\n", S(m->app),
	    S(m->channel), (unsigned)m->n, S(m->user));
	played_leave(m);
}

static void
on_connect(const struct msg_connect *m)
{
	buf_fmt(&played.log, "connect %.*s\n", S(m->app));
	played_ask((struct asked){ .connect = true, .conn = m->conn,
	    .app = bytes_dup(m->app) });
}

/* Who came and went is not to be seen in the numbers. */
static void
on_load(const struct msg_load *m)
{
	unsigned app = m->app.p[0] - '0';

	assert_true(app < NELEM(played.open));
	if (played.open[app] == m->open &&
	    played.subscribed[app] == m->subscribed)
		return;
	played.open[app] = m->open;
	played.subscribed[app] = m->subscribed;
	buf_fmt(&played.log, "load %.*s %u %u\n", S(m->app),
	    (unsigned)m->open, (unsigned)m->subscribed);
}

static void
on_signin(const struct msg_signin *m)
{
	uint32_t i;

	buf_fmt(&played.log, "signin %.*s %.*s", S(m->app), S(m->user));
	for (i = 0; i < m->watch.n; i++)
		buf_fmt(&played.log, " %.*s", S(msg_list_at(&m->watch, i)));
	buf_char(&played.log, '\n');
}

static void
on_signout(const struct msg_signout *m)
{
	buf_fmt(&played.log, "signout %.*s %.*s\n", S(m->app), S(m->user));
}

static void
on_publish(const struct msg_publish *m)
{
	struct msg_ack ack = { .serial = m->serial };

	buf_fmt(&played.log, "publish %.*s %.*s %.*s %.*s %.*s %u.%u %u\n",
	    S(m->app), S(m->channel), S(m->event), S(m->data), S(m->user),
	    (unsigned)m->except_a, (unsigned)m->except_b, (unsigned)m->flags);
	uplink_on_ack(&ack);
	played_deliver(m->app, m->channel, m->event, m->data, m->user,
	    m->except_a, m->except_b, m->flags);
}

static void
on_connection(const struct msg_connection *m)
{
	struct msg_ack ack = { .serial = m->serial };

	buf_fmt(&played.log, "%s %.*s %u.%u user=%.*s code=%u %.*s\n",
	    m->open ? "opened" : "closed", S(m->app), (unsigned)m->socket_a,
	    (unsigned)m->socket_b, S(m->user), (unsigned)m->code, S(m->why));
	uplink_on_ack(&ack);
}

static void
on_query(const struct msg_query *m)
{
	struct msg_row row = { .cookie = m->cookie, .name = B("public-1"),
	    .subscriptions = 1, .users = 1 };
	struct msg_done end = { .cookie = m->cookie };

	buf_fmt(&played.log, "query %u %.*s %.*s\n", (unsigned)m->kind,
	    S(m->app), S(m->name));
	uplink_on_row(&row);
	uplink_on_done(&end);
}

#define ON(name) \
	case MSG_##name: { \
		struct msg_##name m; \
		assert_int_equal(msg_unpack_##name(&u, &m, &why), 0); \
		on_##name(&m); \
		return true; }

/* Handles one message of the worker, and answers. */
static bool
play(void)
{
	struct unpacker u;
	const char *why;

	switch (next_message(&u)) {
	case MSG_NONE:
		if (played.slow || played.n_asked == 0)
			return false;
		answer_one();
		return true;
	case MSG_moved:
		return true;
	ON(join) ON(leave) ON(connect) ON(load) ON(signin) ON(signout)
	ON(publish) ON(query) ON(connection)
	default:
		fail_msg("a message that is not played");
		return false;
	}
}

/* ---- peers ------------------------------------------------------------------ */

struct peer {
	unsigned	 n;
	int		 fd;
	uint64_t	 conn;
	struct buf	 heard;
	bool		 end;		/* the worker has closed */
	bool		 open;
};

/* Turns until nothing happens any more. */
static void
run(void)
{
	unsigned idle = 0, turns = 0;
	bool more;

	while (idle < 3) {
		assert_true(++turns < 100000);
		event_base_loop(worker.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		conns_go_on();
		requests_turn();
		clients_turn();
		uplink_turn();
		more = conns_turn();
		while (play())
			more = true;
		idle = more ? 0 : idle + 1;
	}
}

static void
run_for(const struct peer *p)
{
	peers_now = p->n;
	run();
}

static void
peer_open(struct peer *p, unsigned n, bool behind_proxy)
{
	struct listener l = { .local = true, .proxy = behind_proxy,
	    .section = behind_proxy };
	struct conn *c;
	int fds[2], small = 4608;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds), 0);
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	c = conns_accept(fds[1], &l, NULL);
	assert_non_null(c);
	*p = (struct peer){ .n = n, .fd = fds[0], .conn = c->id, .open = true };
}

static struct conn *
peer_conn(const struct peer *p)
{
	return conns_find(p->conn);
}

static void
peer_read(struct peer *p)
{
	char room[4096];
	ssize_t n;

	while ((n = recv(p->fd, room, sizeof(room), 0)) > 0)
		buf_add(&p->heard, room, (size_t)n);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		p->end = true;
}

/* All that the worker has for it. */
static void
peer_read_all(struct peer *p)
{
	size_t had;

	do {
		had = p->heard.n;
		run_for(p);
		peer_read(p);
	} while (p->heard.n > had);
}

static void
peer_say(struct peer *p, struct bytes b)
{
	while (b.n > 0 && !p->end) {
		ssize_t n = send(p->fd, b.p, b.n, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return;
		if (n > 0)
			b = bytes_skip(b, (size_t)n);
		run_for(p);
		if (n < 0)
			peer_read(p);
	}
}

static void
peer_close(struct peer *p)
{
	if (!p->open)
		return;
	close(p->fd);
	p->open = false;
	run_for(p);
}

static void
peer_done(struct peer *p)
{
	peer_close(p);
	buf_done(&p->heard);
}

/* ---- what they say ---------------------------------------------------------- */

/* A masked frame of a client. */
static void
say_frame(struct buf *out, unsigned first, struct bytes payload, uint32_t key)
{
	unsigned char mask[4] = { key >> 24, key >> 16, key >> 8, key };
	size_t i;

	buf_char(out, (char)first);
	if (payload.n < 126) {
		buf_char(out, (char)(0x80 | payload.n));
	} else {
		assert_true(payload.n < 65536);
		buf_char(out, (char)(0x80 | 126));
		buf_char(out, (char)(payload.n >> 8));
		buf_char(out, (char)payload.n);
	}
	buf_add(out, mask, 4);
	for (i = 0; i < payload.n; i++)
		buf_char(out, payload.p[i] ^ (char)mask[i & 3]);
}

static void
say_upgrade(struct buf *out, const char *target, bool deflate)
{
	buf_fmt(out, "GET %s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "X-Forwarded-For: 192.0.2.9\r\n%s\r\n", target,
	    deflate ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
}

/* "KEY:hex" over these. */
static const char *
say_auth(const char *key, const char *a, const char *b, const char *c)
{
	static char text[128];
	struct bytes parts[] = { bytes_str(a), bytes_str(b), bytes_str(c) };
	char hex[64];

	hmac_sha256_hex(B(SECRET), parts, 3, hex);
	snprintf(text, sizeof(text), "%s:%.64s", key, hex);
	return text;
}

/* Text in which quotes and backslashes are escaped. */
static void
say_escaped(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buf_char(out, '\\');
		buf_char(out, *text);
	}
}

static void
say_subscribe(struct buf *out, const struct peer *p, const char *key,
    const char *channel, const char *data)
{
	char what[512];

	snprintf(what, sizeof(what), "%u.%u:%s%s%s", 100 + p->n, 600 + p->n,
	    channel, data != NULL ? ":" : "", data != NULL ? data : "");
	buf_fmt(out, "{\"event\":\"pusher:subscribe\",\"data\":{"
	    "\"channel\":\"%s\",\"auth\":\"%s\"", channel,
	    say_auth(key, what, "", ""));
	if (data != NULL) {
		buf_str(out, ",\"channel_data\":\"");
		say_escaped(out, data);
		buf_char(out, '"');
	}
	buf_str(out, "}}");
}

static void
say_signin(struct buf *out, const struct peer *p, const char *key,
    const char *data)
{
	char socket[32];

	snprintf(socket, sizeof(socket), "%u.%u", 100 + p->n, 600 + p->n);
	buf_fmt(out, "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"%s\","
	    "\"user_data\":\"", say_auth(key, socket, "::user::", data));
	say_escaped(out, data);
	buf_str(out, "\"}}");
}

/* The token of a room. */
static const char *
say_token(const char *room)
{
	static char text[128];
	struct bytes parts[] = { bytes_str(room), B(":"), B(UNTIL) };
	char hex[64];

	hmac_sha256_hex(B(ROOM_SECRET), parts, 3, hex);
	snprintf(text, sizeof(text), UNTIL ".%.64s", hex);
	return text;
}

/* ---- a move ----------------------------------------------------------------- */

/* The record lies in *record.  False: not now. */
static bool
move_pack(struct peer *p, struct buf *record, const char **why)
{
	buf_clear(record);
	return freeze_pack(peer_conn(p), EPOCH, played.serial, record, why) ==
	    0;
}

/* The second half, in the same process: there, and not here any more. */
static void
move_thaw(struct peer *p, const struct buf *record)
{
	struct conn *old = peer_conn(p);
	struct uplink_elder elder = { .slot = 2, .generation = 3,
	    .was = old->id, .epoch = EPOCH };
	struct thawed t;
	const char *why = "";
	int fd = dup(old->fd);

	if (thaw(fd, buf_view(record), &t, &why) != 0)
		fail_msg("refused: %s", why);
	assert_true(t.was == p->conn && t.conn->id != t.was);
	if (client_of(t.conn) != NULL)
		uplink_came(client_of(t.conn), &elder);
	freeze_done(old);
	if (client_of(t.conn) != NULL)
		uplink_moved(client_of(t.conn));
	p->conn = t.conn->id;
}

/* All of it at once.  False: not now. */
static bool
move(struct peer *p)
{
	static struct buf record;
	const char *why;

	if (peer_conn(p) == NULL ||
	    freeze_may(peer_conn(p), &why) != FREEZE_NOW)
		return false;
	freeze_begin(peer_conn(p));
	assert_true(move_pack(p, &record, &why));
	move_thaw(p, &record);
	thaw_wake(peer_conn(p));
	run_for(p);
	return true;
}

static int
peers_setup(void **state)
{
	static struct config *settings;
	struct unpacker u;

	if (settings != NULL) {
		test_connect();
		while (next_message(&u) != MSG_synced)
			;
		return 0;
	}
	core_setup(state);
	settings = peers_load(peers_settings);
	peers_use(settings);
	worker_clock();
	return 0;
}

static int
peers_teardown(void **state)
{
	run();
	assert_int_equal(conns_count(), 0);
	assert_int_equal(counter.connections, 0);
	assert_int_equal(counter.websockets, 0);
	assert_int_equal(counter.subscriptions, 0);
	assert_int_equal(counter.channels, 0);
	played_clear();
	return core_teardown(state);
}

#endif
