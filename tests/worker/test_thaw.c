/* SPDX-License-Identifier: MIT
 *
 * Records of every release must thaw for ever: $srcdir/tests/worker/records has a
 * folder of each, with the records of the situations below.  What is no record,
 * or does not fit here, is refused, and costs nothing.
 *	test_thaw --write FOLDER	writes those of this release
 */
#include "tests/worker/peers.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>

#include "common/packed.h"
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

/* ---- every release ---------------------------------------------------------------- */

static void
read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	buf_clear(out);
	while ((n = fread(buf_room(out, 65536), 1, 65536, f)) > 0)
		out->n += n;
	fclose(f);
}

static int
visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static unsigned
thaw_release(const char *in)
{
	struct buf record = { 0 };
	char path[PATH_MAX];
	unsigned n = 0;
	size_t i;

	for (i = 0; i < NELEM(situations); i++) {
		snprintf(path, sizeof(path), "%.3600s/%s.record", in,
		    situations[i].name);
		/* Older releases did not have all of them. */
		if (access(path, R_OK) < 0)
			continue;
		read_file(path, &record);
		goes_on(&situations[i], buf_view(&record));
		n++;
	}
	buf_done(&record);
	return n;
}

static unsigned
files_in(const char *in)
{
	struct dirent **names;
	int i, n = scandir(in, &names, visible, alphasort);

	assert_true(n >= 0);
	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return (unsigned)n;
}

static void
records_of_every_release(void **state)
{
	const char *srcdir = getenv("srcdir");
	char path[PATH_MAX], one[PATH_MAX];
	struct dirent **names;
	struct peer two[2];
	int i, n;

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/worker/records",
	    srcdir != NULL ? srcdir : ".");
	n = scandir(path, &names, visible, alphasort);
	assert_true(n > 0);
	resident(two);
	for (i = 0; i < n; i++) {
		snprintf(one, sizeof(one), "%.3000s/%.500s", path,
		    names[i]->d_name);
		/* None may be left out. */
		assert_int_equal(thaw_release(one), files_in(one));
		free(names[i]);
	}
	free(names);
	resident_done(two);
}

static void
records_of_now(void **state)
{
	struct buf record = { 0 };
	struct peer two[2];
	size_t i;

	(void)state;
	resident(two);
	for (i = 0; i < NELEM(situations); i++) {
		record_of(&situations[i], &record);
		goes_on(&situations[i], buf_view(&record));
	}
	resident_done(two);
	buf_done(&record);
}

/* ---- what is skipped and what is missing ------------------------------------------- */

/* Every field at its largest goes through octets and comes back. */
static void
every_field(void **state)
{
	struct bytes pair[] = { BYTES("a"), BYTES("") };
	struct buf out = { 0 };
	struct record r, back;
	const char *why;

	(void)state;
#define NUM(number, name, max, def)	r.name = (max);
#define FLAG(number, name)		r.name = true;
#define OCTETS(number, name, max)	r.name = B(#name);
#define LIST(number, name, max, each)	r.name = (struct record_list){ pair, 2 };
#include "tables/record.def"
	assert_int_equal(record_pack(&r, &out, &why), 0);
	assert_int_equal(record_unpack(buf_view(&out), &back, &why), 0);
#define NUM(number, name, max, def)	assert_true(back.name == (max));
#define FLAG(number, name)		assert_true(back.name);
#define OCTETS(number, name, max)	assert_true(bytes_eq(back.name, B(#name)));
#define LIST(number, name, max, each) \
	assert_true(back.name.n == 2 && bytes_eq(back.name.at[0], pair[0]));
#include "tables/record.def"
	record_done(&back);
	buf_done(&out);
}

/* What a later release adds is passed over. */
static void
unknown_fields(void **state)
{
	struct buf record = { 0 }, longer = { 0 };
	struct packed in;
	struct peer two[2];
	struct bytes rest;
	uint32_t n;

	(void)state;
	resident(two);
	record_of(&situations[7], &record);
	in = packed_open(buf_view(&record));
	n = packed_map(&in, 1000);
	rest = packed_rest(&in);
	pack_map(&longer, n + 3);
	pack_u64(&longer, 240);
	pack_nil(&longer);
	buf_bytes(&longer, rest);
	pack_u64(&longer, 241);
	pack_array(&longer, 2);
	pack_map(&longer, 1);
	pack_bytes(&longer, B("key"));
	pack_u64(&longer, 1);
	pack_bytes(&longer, B("more"));
	pack_u64(&longer, 100000);
	pack_u64(&longer, 5);
	goes_on(&situations[7], buf_view(&longer));
	resident_done(two);
	buf_done(&record);
	buf_done(&longer);
}

/* A release that knew nothing but these. */
static void
missing_fields(void **state)
{
	struct buf record = { 0 };
	struct record r = { .stage = RECORD_WEBSOCKET, .front = B("pusher"),
	    .app = B("1"), .established = true };
	const char *why;

	(void)state;
	assert_int_equal(record_pack(&r, &record, &why), 0);
	goes_on(&situations[5], buf_view(&record));
	buf_done(&record);
}

/* ---- refusals ------------------------------------------------------------------------ */

static void
refused(const struct record *r, const char *because)
{
	struct buf record = { 0 };
	struct peer p;
	const char *why = "";

	assert_int_equal(record_pack(r, &record, &why), 0);
	if (make_of(&p, buf_view(&record), &why) == 0)
		fail_msg("not refused: %s", because);
	assert_string_equal(why, because);
	buf_done(&record);
}

static void
what_is_not_here(void **state)
{
	static const struct record good = {
		.stage = RECORD_WEBSOCKET, .front = BYTES("pusher"),
		.app = BYTES("1"), .user = BYTES("ann"),
		.address = BYTES("0123456789abcdef"), .counted = true,
	};
	static const struct bytes guest =
	    BYTES("\x83\x01\xa0\x02\x01\x03\xa6room-7");
	struct bytes name = B("nowhere"), nobody = B("");
	struct record r;

	(void)state;
#define WITH(...)	(r = good, __VA_ARGS__, &r)
	refused(WITH(r.stage = 0), "record: of a kind that is not known here");
	refused(WITH(r.app = B("9")), "its application is gone");
	refused(WITH(r.front = B("none")), "its front door is gone");
	refused(WITH(r.front = B("sse")), "its front door is gone");
	refused(WITH(r.stage = RECORD_STREAM), "its front door is gone");
	refused(WITH(r.channels = ((struct record_list){ &name, 1 }),
	    r.members = ((struct record_list){ &nobody, 1 })),
	    "a channel is not live here");
	refused(WITH(r.channels = ((struct record_list){ &name, 1 })),
	    "record: channels and members differ");
	refused(WITH(r.front = B("rooms")), "record: no such guest");
	refused(WITH(r.front = B("rooms"),
	    r.of_front = B("\x81\x01\xa4gone")), "its [rooms] section is gone");
	refused(WITH(r.front = B("rooms"), r.app = B("2"), r.of_front = guest),
	    "may stay no longer");
	refused(WITH(r.stage = RECORD_PROXY, r.listen_label = B("x")),
	    "its [listen] section is gone");
	refused(WITH(r.address = B("short")), "record: no such address");
	refused(WITH(r.out_first = 1),
	    "record: less to send than it says");
	refused(WITH(r.stage = RECORD_HTTP, r.body = true),
	    "record: no such body");
	refused(WITH(r.stage = RECORD_HTTP, r.body = true, r.in = B("GET"),
	    r.chunk_in = 4), "record: no such body");
	refused(WITH(r.stage = RECORD_HTTP, r.body = true, r.in = B("GET"),
	    r.chunk_state = 99), "record: no such body");
	refused(WITH(r.window_bits = 15), "record: no such compression");
	refused(WITH(r.window_bits = 8, r.deflate = true),
	    "record: no such compression");
	refused(WITH(r.variant = 16), "record: no such compression");
	refused(WITH(r.stage = RECORD_STREAM, r.front = B("sse"),
	    r.partial_kind = 2), "record: a stream with messages");
	refused(WITH(r.partial_kind = 1, r.partial = B("\xff")),
	    "record: no such message");
	refused(WITH(r.partial_kind = 2, r.partial_compressed = true),
	    "record: no such message");
	refused(WITH(r.partial_kind = 2, r.partial_fin = true),
	    "record: no such message");
}

/* Cut off anywhere, or with an octet changed: refused, or something else, but
 * nothing breaks. */
static void
damaged(void **state)
{
	struct buf record = { 0 };
	struct peer two[2], p;
	const char *why;
	size_t i, k, n;
	char was, *copy;

	(void)state;
	resident(two);
	for (k = 0; k < NELEM(situations); k++) {
		if (strcmp(situations[k].name, "pusher-unsent") == 0)
			continue;	/* long, and nothing new */
		record_of(&situations[k], &record);
		for (n = 0; n < record.n; n++) {
			copy = xmalloc(n + 1);
			memcpy(copy, record.p, n);
			assert_int_equal(make_of(&p, bytes_of(copy, n), &why),
			    -1);
			free(copy);
		}
		for (i = 0; i < record.n; i++) {
			was = record.p[i];
			record.p[i] ^= (char)(1 + i % 255);
			if (make_of(&p, buf_view(&record), &why) == 0) {
				thaw_wake(peer_conn(&p));
				peer_done(&p);
			}
			record.p[i] = was;
		}
	}
	resident_done(two);
	buf_done(&record);
}

/* ---- other settings ------------------------------------------------------------------- */

/* Sections in another order, smaller limits: who is there stays. */
static void
under_new_settings(void **state)
{
	static const char text[] =
	    "[listen other]\naddress = 127.0.0.1:1\nserve = metrics\n"
	    "[listen front]\naddress = unix:/tmp/none, 127.0.0.1:2\n"
	    "proxy_protocol = yes\n"
	    "[http]\ntrusted_proxies = unix, 127.0.0.0/8\n"
	    "max_connections_per_address = 1\n"
	    "[app one]\nid = 1\nkey = new-key\nsecret = x\nenabled = no\n"
	    "max_channels = 1\nmax_message_size = 1k\nmax_connections = 1\n";
	static const size_t stay[] = { 0, 4, 5, 7 };
	struct config *before = worker.config, *after = peers_load(text);
	struct buf record[NELEM(stay) + 1] = { { 0 } };
	struct peer two[2], p;
	const char *why;
	size_t i;

	(void)state;
	resident(two);
	for (i = 0; i < NELEM(stay); i++)
		record_of(&situations[stay[i]], &record[i]);
	record_of(&situations[13], &record[i]);
	peers_use(after);
	for (i = 0; i < NELEM(stay); i++) {
		if (make_of(&p, buf_view(&record[i]), &why) < 0)
			fail_msg("refused: %s", why);
		/* A section, too, and what is served there. */
		if (stay[i] == 0 || stay[i] == 4)
			assert_int_equal(peer_conn(&p)->section, 1);
		thaw_wake(peer_conn(&p));
		run_for(&p);
		assert_false(p.end);
		peer_done(&p);
	}
	assert_int_equal(make_of(&p, buf_view(&record[i]), &why), -1);
	assert_string_equal(why, "its [rooms] section is gone");
	for (i = 0; i < NELEM(record); i++)
		buf_done(&record[i]);
	peers_use(before);
	resident_done(two);
	config_free(after);
}

/* Older releases do not tell where an HTTP connection came in, and a section may
 * be gone: then it sees what anybody sees. */
static void
section_not_told(void **state)
{
	static const char text[] =
	    "[listen]\naddress = 127.0.0.1:1\nserve = metrics\n"
	    "[listen public]\naddress = 127.0.0.1:2\n"
	    "[app one]\nid = 1\nkey = app-key\nsecret = x\n";
	static const char *const labels[] = { "", "gone" };
	struct config *before = worker.config, *after = peers_load(text);
	struct buf record = { 0 };
	struct peer p;
	const char *why;

	(void)state;
	peers_use(after);
	for (size_t i = 0; i < NELEM(labels); i++) {
		struct record r = { .stage = RECORD_HTTP,
		    .listen_label = bytes_str(labels[i]) };

		buf_clear(&record);
		assert_int_equal(record_pack(&r, &record, &why), 0);
		assert_int_equal(make_of(&p, buf_view(&record), &why), 0);
		assert_int_equal(peer_conn(&p)->section, 1);
		thaw_wake(peer_conn(&p));
		run_for(&p);
		peer_done(&p);
	}
	buf_done(&record);
	peers_use(before);
	config_free(after);
}

/* ---- fixtures -------------------------------------------------------------------------- */

static const char *folder;

static void
write_records(void **state)
{
	struct buf record = { 0 };
	struct peer two[2];
	char path[PATH_MAX];
	size_t i;
	int fd;

	(void)state;
	resident(two);
	for (i = 0; i < NELEM(situations); i++) {
		record_of(&situations[i], &record);
		snprintf(path, sizeof(path), "%s/%s.record", folder,
		    situations[i].name);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, record.p, record.n),
		    (ssize_t)record.n);
		close(fd);
	}
	resident_done(two);
	buf_done(&record);
}

int
main(int argc, char **argv)
{
#undef T
#define T(fn)	cmocka_unit_test_setup_teardown(fn, peers_setup, peers_teardown)
	const struct CMUnitTest writing[] = { T(write_records) };
	const struct CMUnitTest tests[] = {
		T(every_field),
		T(records_of_now),
		T(records_of_every_release),
		T(unknown_fields),
		T(missing_fields),
		T(what_is_not_here),
		T(damaged),
		T(under_new_settings),
		T(section_not_told),
	};

	if (argc == 3 && strcmp(argv[1], "--write") == 0) {
		folder = argv[2];
		return cmocka_run_group_tests(writing, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
