/* SPDX-License-Identifier: MIT
 *
 * What a connection may be in the middle of when it is moved to another process:
 * each situation makes one, and shows later, of another made of its record, that
 * it goes on as if nothing had been.  Their names are those of the files in
 * tests/worker/records: none may go, or be renamed.
 */
#ifndef PEAL_TEST_SITUATIONS_H
#define PEAL_TEST_SITUATIONS_H

#include "tests/worker/peers.h"
#include "worker/deflate.h"

#define DOCUMENT	"{\"user_id\":\"ann\",\"user_info\":{\"n\":1}}"

static struct buf words;

static void
say(struct peer *p)
{
	peer_say(p, buf_view(&words));
	buf_clear(&words);
}

static bool
heard(struct peer *p, const char *what)
{
	bool found;

	peer_read_all(p);
	found = p->heard.n > 0 &&
	    memmem(p->heard.p, p->heard.n, what, strlen(what)) != NULL;
	buf_clear(&p->heard);
	return found;
}

static void
say_text(struct peer *p, const char *text)
{
	say_frame(&words, 0x81, bytes_str(text), 0xa1b2c3d4);
	say(p);
}

/* ---- situations ----------------------------------------------------------------- */

static void
request_idle(struct peer *p)
{
	peer_open(p, 1, false);
	peer_say(p, B("GET /up HTTP/1.1\r\nHost: h\r\n\r\n"));
}

static void
ask_up(struct peer *p)
{
	peer_say(p, B("GET /up HTTP/1.1\r\nHost: h\r\n\r\n"));
	assert_true(heard(p, "200 OK"));
}

static void
request_head(struct peer *p)
{
	peer_open(p, 1, false);
	peer_say(p, B("GET /up HTT"));
}

static void
rest_of_head(struct peer *p)
{
	peer_say(p, B("P/1.1\r\nHost: h\r\n\r\n"));
	assert_true(heard(p, "200 OK"));
}

static void
request_body(struct peer *p)
{
	peer_open(p, 1, false);
	peer_say(p, B("POST /apps/1/events HTTP/1.1\r\nHost: h\r\n"
	    "Expect: 100-continue\r\nContent-Length: 6\r\n\r\n{}"));
}

static void
rest_of_body(struct peer *p)
{
	peer_say(p, B("    GET /up HTTP/1.1\r\nHost: h\r\n\r\n"));
	peer_read_all(p);
	assert_null(memmem(p->heard.p, p->heard.n, "100 Cont", 8));
	assert_non_null(memmem(p->heard.p, p->heard.n, "401", 3));
	assert_true(heard(p, "200 OK"));
}

static void
request_chunks(struct peer *p)
{
	peer_open(p, 1, false);
	peer_say(p, B("POST /apps/1/events HTTP/1.1\r\nHost: h\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n5;ext\r\n}   "));
}

static void
rest_of_chunks(struct peer *p)
{
	peer_say(p, B(" \r\n0\r\nT: x\r\n\r\nGET /up HTTP/1.1\r\nHost: h\r\n\r\n"));
	peer_read_all(p);
	assert_non_null(memmem(p->heard.p, p->heard.n, "401", 3));
	assert_true(heard(p, "200 OK"));
}

static void
proxy_half(struct peer *p)
{
	peer_open(p, 1, true);
	peer_say(p, B("PROXY TCP4 192.0.2.33 192.0"));
}

static void
rest_of_proxy(struct peer *p)
{
	peer_say(p, B(".2.1 1 2\r\nGET /up HTTP/1.1\r\nHost: h\r\n\r\n"));
	assert_true(heard(p, "200 OK"));
	assert_string_equal(conn_from(peer_conn(p)), "192.0.2.33");
}

static void
pusher(struct peer *p)
{
	peer_open(p, 1, false);
	say_upgrade(&words, "/app/app-key", false);
	say(p);
}

static void
pusher_deflate(struct peer *p)
{
	peer_open(p, 1, false);
	say_upgrade(&words, "/app/app-key", true);
	say(p);
}

static void
pusher_pings(struct peer *p)
{
	say_text(p, "{\"event\":\"pusher:ping\"}");
	assert_true(heard(p, "pusher:pong"));
}

static void
subscribe(struct peer *p, const char *key, const char *channel,
    const char *data)
{
	struct buf text = { 0 };

	say_subscribe(&text, p, key, channel, data);
	say_frame(&words, 0x81, buf_view(&text), 0x01020304);
	say(p);
	buf_done(&text);
}

static void
pusher_channels(struct peer *p)
{
	pusher(p);
	subscribe(p, "app-key", "public-1", NULL);
	subscribe(p, "app-key", "private-1", NULL);
	subscribe(p, "app-key", "presence-1", DOCUMENT);
	subscribe(p, "app-key", "cache-1", NULL);
}

static void
hears_channels(struct peer *p)
{
	static const char *const names[] = { "public-1", "private-1",
	    "presence-1", "cache-1" };
	struct client *cl = client_of(peer_conn(p));
	size_t i;

	assert_int_equal(cl->n_subs, 4);
	assert_true(cl->state.authorized);
	for (i = 0; i < NELEM(names); i++) {
		played_deliver(B("1"), bytes_str(names[i]), B("\"e\""),
		    B("\"told\""), B(""), 0, 0, 0);
		run();
		assert_true(heard(p, names[i]));
	}
	say_text(p, "{\"event\":\"client-e\",\"channel\":\"presence-1\","
	    "\"data\":{}}");
	assert_non_null(strstr(buf_cstr(&played.log), "\"ann\" 101.601"));
	say_text(p, "{\"event\":\"pusher:unsubscribe\","
	    "\"data\":{\"channel\":\"private-1\"}}");
	assert_int_equal(cl->n_subs, 3);
}

static void
pusher_user(struct peer *p)
{
	struct buf text = { 0 };

	pusher(p);
	say_signin(&text, p, "app-key", "{\"id\":\"ann\",\"watchlist\":"
	    "[\"bob\",\"eve\"]}");
	say_frame(&words, 0x81, buf_view(&text), 3);
	say(p);
	buf_done(&text);
}

static void
is_the_user(struct peer *p)
{
	const struct client_user *u = client_of(peer_conn(p))->user;

	assert_non_null(u);
	assert_true(bytes_eq(u->id, B("ann")));
	assert_int_equal(u->n_watch, 2);
	assert_true(bytes_eq(u->watch[1], B("eve")));
	subscribe(p, "app-key", "#server-to-user-ann", NULL);
	assert_true(heard(p, "subscription_succeeded"));
}

static void
message_half(struct peer *p)
{
	pusher(p);
	say_frame(&words, 0x01, B("{\"event\":\"pusher:"), 0x11223344);
	say_frame(&words, 0x89, B("hello"), 0x55667788);
	say_frame(&words, 0x80, B("ping\",\"data\":\"\303\274\"}"), 0x99aabbcc);
	words.n -= 3;		/* in the middle of a letter */
	say(p);
}

static void
rest_of_message(struct peer *p)
{
	struct buf all = { 0 };

	say_frame(&all, 0x80, B("ping\",\"data\":\"\303\274\"}"), 0x99aabbcc);
	peer_say(p, bytes_of(all.p + all.n - 3, 3));
	assert_true(heard(p, "pusher:pong"));
	buf_done(&all);
}

static void
say_deflated(struct buf *out)
{
	static const char text[] = "{\"event\":\"pusher:ping\",\"data\":\""
	    "long long long long long long long long long text\"}";
	struct buf small = { 0 };

	deflate_message(bytes_str(text), 15, &small);
	say_frame(out, 0x41, bytes_of(small.p, 9), 0x10203040);
	say_frame(out, 0x80, bytes_of(small.p + 9, small.n - 9), 0x50607080);
	buf_done(&small);
}

static void
deflated_half(struct peer *p)
{
	pusher_deflate(p);
	say_deflated(&words);
	words.n = 6 + 9 + 6 + 4;
	say(p);
}

static void
rest_of_deflated(struct peer *p)
{
	struct buf all = { 0 };

	say_deflated(&all);
	peer_say(p, bytes_skip(buf_view(&all), 6 + 9 + 6 + 4));
	assert_true(heard(p, "pusher:pong"));
	buf_done(&all);
}

static void
head_half(struct peer *p)
{
	pusher(p);
	peer_say(p, B("\x81"));
}

static void
rest_of_frame(struct peer *p)
{
	say_frame(&words, 0x81, B("{\"event\":\"pusher:ping\"}"), 5);
	peer_say(p, bytes_skip(buf_view(&words), 1));
	buf_clear(&words);
	assert_true(heard(p, "pusher:pong"));
}

/* More than its socket takes. */
static void
unsent(struct peer *p)
{
	static char much[60000];
	int i;

	memset(much, 'z', sizeof(much));
	much[0] = much[sizeof(much) - 1] = '"';
	pusher(p);
	subscribe(p, "app-key", "public-1", NULL);
	for (i = 0; i < 2; i++)
		played_deliver(B("1"), B("public-1"), B("\"e\""),
		    bytes_of(much, sizeof(much)), B(""), 0, 0, 0);
	run();
	peer_read_all(p);
	for (i = 0; i < 2; i++)
		played_deliver(B("1"), B("public-1"), B("\"e\""),
		    bytes_of(much, 300), B(""), 0, 0, 0);
	/* One on its way, the others behind it. */
	freeze_begin(peer_conn(p));
}

static void
rest_is_sent(struct peer *p)
{
	peer_read_all(p);
	assert_true(p->heard.n > 600);
	buf_clear(&p->heard);
	pusher_pings(p);
}

static void
room(struct peer *p)
{
	peer_open(p, 1, false);
	say_upgrade(&words, "/?room=7", true);
	say(p);
}

static void
room_echoes(struct peer *p)
{
	say_text(p, "said in a room");
	assert_true(heard(p, "said in a room"));
}

static void
room_untrusted(struct peer *p)
{
	peer_open(p, 1, false);
	say_upgrade(&words, "/closed?room=7", false);
	say(p);
}

static void
shows_token(struct peer *p)
{
	assert_false(client_of(peer_conn(p))->established);
	say_text(p, say_token("7"));
	assert_true(client_of(peer_conn(p))->established);
	room_echoes(p);
}

static void
stream(struct peer *p)
{
	peer_open(p, 1, false);
	peer_say(p, B("GET /sse/7 HTTP/1.1\r\nHost: h\r\n\r\n"));
}

static void
stream_goes_on(struct peer *p)
{
	played_deliver(B("1"), B("room-7"), B("\"message\""), B("said"),
	    B(""), 0, 0, PUBLISH_TEXT);
	run();
	assert_true(heard(p, "data: said\n"));
}

static const struct situation {
	const char	*name;
	void		(*make)(struct peer *);
	void		(*go_on)(struct peer *);
} situations[] = {
	{ "http-idle", request_idle, ask_up },
	{ "http-head", request_head, rest_of_head },
	{ "http-body", request_body, rest_of_body },
	{ "http-chunks", request_chunks, rest_of_chunks },
	{ "proxy", proxy_half, rest_of_proxy },
	{ "pusher", pusher, pusher_pings },
	{ "pusher-deflate", pusher_deflate, pusher_pings },
	{ "pusher-channels", pusher_channels, hears_channels },
	{ "pusher-user", pusher_user, is_the_user },
	{ "pusher-fragments", message_half, rest_of_message },
	{ "pusher-deflated", deflated_half, rest_of_deflated },
	{ "pusher-head", head_half, rest_of_frame },
	{ "pusher-unsent", unsent, rest_is_sent },
	{ "room", room, room_echoes },
	{ "room-untrusted", room_untrusted, shows_token },
	{ "stream", stream, stream_goes_on },
};

/* Whoever has all channels, so that they are live. */
static void
resident(struct peer *two)
{
	peer_open(&two[0], 8, false);
	say_upgrade(&words, "/app/app-key", false);
	say(&two[0]);
	subscribe(&two[0], "app-key", "public-1", NULL);
	subscribe(&two[0], "app-key", "private-1", NULL);
	subscribe(&two[0], "app-key", "presence-1", DOCUMENT);
	subscribe(&two[0], "app-key", "cache-1", NULL);
	subscribe(&two[0], "app-key", "room-7", NULL);
	peer_open(&two[1], 9, false);
	say_upgrade(&words, "/app/key-two", false);
	say(&two[1]);
	subscribe(&two[1], "key-two", "private-room-7", NULL);
}

static void
resident_done(struct peer *two)
{
	peer_done(&two[0]);
	peer_done(&two[1]);
	buf_done(&words);
	buf_clear(&played.log);
}

/* Its record; the connection is gone then. */
static void
record_of(const struct situation *s, struct buf *record)
{
	struct peer p;
	const char *why;

	s->make(&p);
	freeze_begin(peer_conn(&p));
	if (!move_pack(&p, record, &why))
		fail_msg("%s: %s", s->name, why);
	freeze_undo(peer_conn(&p));
	peer_done(&p);
}

/* A connection of it, on a socket of its own.  -1 with why. */
static int
make_of(struct peer *p, struct bytes record, const char **why)
{
	static const struct uplink_elder elder = { .slot = 2, .generation = 3,
	    .was = 4, .epoch = EPOCH };
	struct client *cl;
	struct thawed t;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds), 0);
	*p = (struct peer){ .n = 1, .fd = fds[0], .open = true };
	if (thaw(fds[1], record, &t, why) < 0) {
		/* It is ours yet. */
		assert_int_equal(close(fds[1]), 0);
		close(fds[0]);
		return -1;
	}
	cl = client_of(t.conn);
	if (cl != NULL) {
		uplink_came(cl, &elder);
		uplink_moved(cl);
	}
	p->conn = t.conn->id;
	return 0;
}

static void
goes_on(const struct situation *s, struct bytes record)
{
	struct peer p;
	const char *why;

	if (make_of(&p, record, &why) < 0)
		fail_msg("%s: refused: %s", s->name, why);
	thaw_wake(peer_conn(&p));
	run_for(&p);
	s->go_on(&p);
	peer_done(&p);
}

#endif
