/* SPDX-License-Identifier: MIT
 *
 * Random clients, random pieces, random moves: each script is run twice, once as
 * it is and once with connections that are frozen, packed and thawed between its
 * steps (or taken up again where they were).  What every peer reads and what the
 * router is told must be the same.
 *
 *	PEAL_TEST_ROUNDS=100000		more scripts
 *	PEAL_TEST_SEED=17		this one alone
 */
#include "tests/worker/peers.h"

#include "common/log.h"
#include "worker/deflate.h"

#define PEERS	3
#define STEPS	160
#define ROUNDS	(getenv("PEAL_TEST_BRIEF") == NULL ? 400u : 40u)
#define CALM_MS	4500		/* nobody is closed for silence within */

/* ---- dice ------------------------------------------------------------------------ */

struct dice {
	uint64_t	 state;
};

static uint32_t
roll(struct dice *d, uint32_t below)
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 7;
	d->state ^= d->state << 17;
	return (uint32_t)(d->state * 0x2545f4914f6cdd1dull >> 33) % below;
}

static bool
one_in(struct dice *d, uint32_t n)
{
	return roll(d, n) == 0;
}

#define PICK(d, array)	((array)[roll((d), NELEM(array))])

/* ---- what a peer says -------------------------------------------------------------- */

static const char *const channels[] = { "public-1", "public-2", "private-1",
    "presence-1", "presence-2", "cache-1" };

struct voice {
	bool		 behind_proxy, deflate;
	bool		 plain;		/* nothing is answered at once */
	const char	*key;
	struct buf	 says;
};

/* Letters of one and of two octets. */
static void
put_text(struct dice *d, struct buf *out, uint32_t n)
{
	while (n-- > 0)
		buf_str(out, one_in(d, 9) ? "\303\274" : one_in(d, 5) ? " " :
		    "a");
}

/* One message in a frame or several, with other frames between them. */
static void
put_message(struct dice *d, struct voice *v, unsigned opcode,
    struct bytes payload)
{
	struct buf small = { 0 };
	unsigned first = opcode;
	size_t n;

	if (v->deflate && one_in(d, 2)) {
		deflate_message(payload, 15, &small);
		payload = buf_view(&small);
		first |= 0x40;
	}
	while (payload.n > 0 && one_in(d, 3)) {
		n = 1 + roll(d, (uint32_t)payload.n);
		say_frame(&v->says, first, bytes_of(payload.p, n),
		    roll(d, UINT32_MAX));
		first = 0;
		payload = bytes_skip(payload, n);
		if (!v->plain && one_in(d, 3))
			say_frame(&v->says, 0x89, B("between"), 77);
	}
	say_frame(&v->says, first | 0x80, payload, roll(d, UINT32_MAX));
	buf_done(&small);
}

static void
put_subscribe(struct dice *d, const struct peer *p, struct voice *v,
    struct buf *text)
{
	const char *name = PICK(d, channels);
	char data[64];

	if (one_in(d, 2))
		snprintf(data, sizeof(data), "{\"user_id\":\"shared\"}");
	else
		snprintf(data, sizeof(data), "{\"user_id\":\"u%u\"}", p->n);
	say_subscribe(text, p, v->key, name,
	    strncmp(name, "presence", 8) == 0 ? data : NULL);
}

static void
put_pusher_text(struct dice *d, const struct peer *p, struct voice *v,
    struct buf *text)
{
	char data[64];

	switch (roll(d, 9)) {
	case 0: case 1: case 2:
		put_subscribe(d, p, v, text);
		break;
	case 3:
		buf_fmt(text, "{\"event\":\"pusher:unsubscribe\",\"data\":"
		    "{\"channel\":\"%s\"}}", PICK(d, channels));
		break;
	case 4: case 5:
		/* Where there is no room its sender is not read any more, and
		 * who is moved then is heard up to the next one. */
		if (v->plain)
			break;
		buf_fmt(text, "{\"event\":\"client-e\",\"channel\":\"%s\","
		    "\"data\":\"", PICK(d, channels));
		put_text(d, text, one_in(d, 4) ? roll(d, 2000) : roll(d, 40));
		buf_str(text, "\"}");
		break;
	case 6:
		snprintf(data, sizeof(data), "{\"id\":\"u%u\",\"watchlist\":"
		    "[\"bob\"]}", p->n);
		say_signin(text, p, v->key, data);
		break;
	case 7:
		buf_str(text, "{\"event\":\"pusher:ping\",\"data\":{}}");
		break;
	default:
		buf_str(text, "no JSON ");
		put_text(d, text, roll(d, 60));
	}
}

/* How a WebSocket may end. */
static void
put_end(struct dice *d, struct buf *out)
{
	switch (roll(d, 8)) {
	case 0:
		say_frame(out, 0x81, B("\303("), 9);	/* no UTF-8 */
		break;
	case 1:
		say_frame(out, 0x83, B("x"), 9);	/* no such opcode */
		break;
	case 2:
		buf_str(out, "\x81\x01x");		/* not masked */
		break;
	case 3:
		say_frame(out, 0xc1, B("not deflated"), 9);
		break;
	case 4:
		say_frame(out, 0x88, B("\x03\xe8" "bye"), 9);
		break;
	case 5:
		say_frame(out, 0x88, B("\x03"), 9);
		break;
	case 6:
		say_frame(out, 0x80, B("goes on, but what?"), 9);
		break;
	default:
		buf_add(out, "\x81\xff\0\0\0\0\x10\0\0\0abcd", 14);
	}
	buf_str(out, "what is behind the end");
}

static void
put_pusher(struct dice *d, const struct peer *p, struct voice *v)
{
	struct buf text = { 0 };
	uint32_t n = 3 + roll(d, 25);
	char target[64];

	v->key = one_in(d, 2) ? "key-two" : "app-key";
	v->deflate = one_in(d, 2);
	snprintf(target, sizeof(target), "/app/%s?protocol=7", v->key);
	say_upgrade(&v->says, target, v->deflate);
	while (n-- > 0) {
		buf_clear(&text);
		put_pusher_text(d, p, v, &text);
		put_message(d, v, one_in(d, 5) ? 2 : 1, buf_view(&text));
		if (one_in(d, 5))
			say_frame(&v->says, one_in(d, 2) ? 0x89 : 0x8a,
			    B("control"), roll(d, UINT32_MAX));
	}
	buf_done(&text);
	if (one_in(d, 3))
		put_end(d, &v->says);
}

static void
put_room(struct dice *d, struct voice *v)
{
	bool closed = one_in(d, 3), late = closed && one_in(d, 2);
	struct buf text = { 0 };
	uint32_t n = 1 + roll(d, 15);
	char target[256];

	v->deflate = one_in(d, 2);
	snprintf(target, sizeof(target), "%s?room=7&token=%s",
	    closed ? "/closed" : "/", closed && !late ? say_token("7") : "");
	say_upgrade(&v->says, target, v->deflate);
	if (late)
		put_message(d, v, 1, bytes_str(one_in(d, 5) ? "wrong" :
		    say_token("7")));
	while (n-- > 0) {
		buf_clear(&text);
		put_text(d, &text, one_in(d, 5) ? roll(d, 3000) : roll(d, 30));
		put_message(d, v, !closed && one_in(d, 4) ? 2 : 1,
		    buf_view(&text));
	}
	buf_done(&text);
	if (!v->plain && one_in(d, 4))
		put_end(d, &v->says);
}

/* A signed request of the API. */
static void
put_api(struct dice *d, struct buf *out)
{
	static const char *const bodies[] = {
		"{\"name\":\"e\",\"channel\":\"public-1\",\"data\":\"x\"}",
		"{\"name\":\"e\",\"channels\":[\"cache-1\"],\"data\":\"{}\"}",
		"{}",
	};
	const char *body = one_in(d, 3) ? "" : PICK(d, bodies);
	const char *path = body[0] != '\0' ? "/apps/1/events" :
	    "/apps/1/channels", *method = body[0] != '\0' ? "POST" : "GET";
	char query[256], hex[64], md5[32];
	struct bytes parts[] = { bytes_str(method), B("\n"), bytes_str(path),
	    B("\n"), { query, 0 } };
	size_t n = strlen(body), half = n / 2;

	md5_hex(bytes_str(body), md5);
	snprintf(query, sizeof(query), "auth_key=app-key&auth_timestamp="
	    "1700005000&auth_version=1.0&body_md5=%.32s", md5);
	parts[4] = bytes_str(query);
	hmac_sha256_hex(B(SECRET), parts, NELEM(parts), hex);
	buf_fmt(out, "%s %s?%s&auth_signature=%.64s HTTP/1.1\r\nHost: h\r\n",
	    method, path, query, hex);
	if (n > 0 && one_in(d, 2))
		buf_fmt(out, "Transfer-Encoding: chunked\r\n\r\n"
		    "%zx\r\n%.*s\r\n%zX;ext=\"x\"\r\n%s\r\n0\r\nTrailer: y\r\n\r\n",
		    half, (int)half, body, n - half, body + half);
	else
		buf_fmt(out, "%sContent-Length: %zu\r\n\r\n%s",
		    one_in(d, 3) ? "Expect: 100-continue\r\n" : "", n, body);
}

static void
put_http(struct dice *d, struct voice *v)
{
	static const char *const requests[] = {
		"GET /up HTTP/1.1\r\nHost: h\r\n\r\n",
		"HEAD /up HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.4\r\n"
		"\r\n",
		"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /apps/1/events HTTP/1.1\r\nHost: h\r\nContent-Length: 2"
		"\r\n\r\n{}",
	};
	uint32_t n = 1 + roll(d, 8);

	while (n-- > 0)
		if (one_in(d, 2))
			put_api(d, &v->says);
		else
			buf_str(&v->says, PICK(d, requests));
	if (one_in(d, 4))
		buf_str(&v->says, "no request\r\n\r\n");
}

static void
put_stream(struct dice *d, struct voice *v)
{
	buf_str(&v->says, one_in(d, 2) ?
	    "GET /sse/7 HTTP/1.1\r\nHost: h\r\nLast-Event-ID: 4-1\r\n\r\n" :
	    "GET /sse/7 HTTP/1.0\r\n\r\n");
	if (one_in(d, 3))
		buf_str(&v->says, "which is not listened to");
}

static void
make_voice(struct dice *d, unsigned n, bool plain, struct voice *v)
{
	const struct peer p = { .n = n };

	memset(v, 0, sizeof(*v));
	v->plain = plain;
	v->behind_proxy = one_in(d, 6);
	if (v->behind_proxy)
		buf_fmt(&v->says, "PROXY TCP4 192.0.2.%u 192.0.2.1 1 2\r\n",
		    20 + n);
	switch (roll(d, 7)) {
	case 0:
		put_http(d, v);
		break;
	case 1:
		put_stream(d, v);
		break;
	case 2: case 3:
		put_room(d, v);
		break;
	default:
		put_pusher(d, &p, v);
	}
}

/* ---- a script ---------------------------------------------------------------------- */

enum step_kind { SAY, TELL, WAIT, READ, ANSWER, SLOW, HOLD, KICK, WATCH, LEAVE };

struct step {
	enum step_kind	 kind;
	unsigned	 peer;
	uint32_t	 n;		/* octets, ms */
	const char	*channel;
};

struct script {
	unsigned	 n_peers, n_steps;
	bool		 calm, holds;
	struct voice	 voices[PEERS];
	struct step	 steps[STEPS];
};

static struct step
make_step(struct dice *d, const struct script *s)
{
	static const char *const rooms[] = { "room-7", "private-room-7" };
	static const enum step_kind kinds[] = { SAY, SAY, SAY, SAY, SAY, SAY,
	    SAY, TELL, TELL, TELL, WAIT, WAIT, READ, READ, ANSWER, SLOW,
	    HOLD, KICK, WATCH, LEAVE };
	struct step t = { .kind = PICK(d, kinds), .peer = roll(d, s->n_peers) };

	t.n = t.kind == SAY ? 1 + roll(d, one_in(d, 2) ? 12 : 900) :
	    t.kind == WAIT ? roll(d, s->calm ? CALM_MS / 20 : 4000) :
	    one_in(d, 6) ? roll(d, 20000) : roll(d, 80);
	t.channel = one_in(d, 3) ? PICK(d, rooms) : PICK(d, channels);
	/* These would make most scripts short. */
	if ((t.kind == KICK || t.kind == LEAVE) && !one_in(d, 6))
		t.kind = READ;
	if (t.kind == HOLD && !s->holds)
		t.kind = SLOW;
	return t;
}

/* No promise is: in which order several peers are closed for silence, or go on
 * that were held back; and how many octets at a time one reads that was. */
static void
make_script(uint64_t seed, struct script *s)
{
	struct dice d = { seed * 0x9e3779b97f4a7c15ull + 1 };
	unsigned i;

	s->n_peers = 1 + roll(&d, PEERS);
	s->holds = s->n_peers == 1 && one_in(&d, 3);
	s->calm = s->n_peers > 1 || s->holds;
	s->n_steps = 20 + roll(&d, STEPS - 20);
	for (i = 0; i < s->n_peers; i++)
		make_voice(&d, i, s->holds, &s->voices[i]);
	for (i = 0; i < s->n_steps; i++)
		s->steps[i] = make_step(&d, s);
}

static void
script_done(struct script *s)
{
	unsigned i;

	for (i = 0; i < s->n_peers; i++)
		buf_done(&s->voices[i].says);
}

/* ---- a run -------------------------------------------------------------------------- */

/* How far a move has come. */
enum moving { STILL, FROZEN, SEALED, ASLEEP };

struct runner {
	const struct script	*s;
	struct dice		 dice;
	bool			 moves;
	unsigned		 n_moves, n_undone, slow_ms;
	struct peer		 peers[PEERS];
	size_t			 said[PEERS];
	enum moving		 at[PEERS];
	struct buf		 record;
};

static void
wake(struct runner *r, unsigned i)
{
	struct peer *p = &r->peers[i];

	if (r->at[i] == ASLEEP)
		thaw_wake(peer_conn(p));
	else if (peer_conn(p) != NULL)
		freeze_undo(peer_conn(p));
	r->n_undone += r->at[i] != ASLEEP;
	r->n_moves += r->at[i] == ASLEEP;
	r->at[i] = STILL;
	run_for(p);
}

static void
move_on(struct runner *r, unsigned i)
{
	struct peer *p = &r->peers[i];
	struct conn *c = peer_conn(p);
	const char *why;

	if (c == NULL) {
		r->at[i] = STILL;
	} else if (r->at[i] == STILL) {
		if (freeze_may(c, &why) != FREEZE_NOW)
			return;
		freeze_begin(c);
		r->at[i] = FROZEN;
	} else if (r->at[i] == FROZEN) {
		if (!move_pack(p, &r->record, &why)) {
			wake(r, i);
			return;
		}
		r->at[i] = SEALED;
		/* Nothing comes from the router between these two. */
		if (!one_in(&r->dice, 4)) {
			move_thaw(p, &r->record);
			r->at[i] = ASLEEP;
		}
	} else {
		wake(r, i);
	}
}

static void
settle(struct runner *r, unsigned i)
{
	while (r->at[i] != STILL)
		move_on(r, i);
}

/* What would happen later to one that moves must not: its input, time. */
static void
prepare(struct runner *r, const struct step *t)
{
	unsigned i;

	for (i = 0; i < r->s->n_peers; i++)
		if (t->kind == WAIT || t->kind == HOLD || t->kind == LEAVE ||
		    (t->kind == SAY && t->peer == i) ||
		    (t->kind == KICK && t->peer == i && r->at[i] != FROZEN))
			settle(r, i);
}

static void
tell(const struct step *t)
{
	static char octets[20002];
	bool room = strstr(t->channel, "room") != NULL;
	struct bytes data = bytes_of(octets, room ? t->n : t->n + 2);

	memset(octets, '.', sizeof(octets));
	if (!room)
		octets[0] = octets[t->n + 1] = '"';
	played_deliver(one_in(&(struct dice){ t->n + 1 }, 3) ? B("2") : B("1"),
	    bytes_str(t->channel), B("\"told\""), data, B(""), 0, 0,
	    room ? PUBLISH_TEXT : 0);
}

static void
watch(const struct peer *p)
{
	static const struct bytes bob = BYTES("bob");
	struct msg_watch m = { .conn = p->conn, .online = { &bob, 1 } };

	client_on_watch(&m);
}

static void
kick(const struct runner *r, unsigned i)
{
	struct msg_terminate m = { 0 };
	char user[16];

	snprintf(user, sizeof(user), "u%u", i);
	m.user = bytes_str(user);
	m.app = r->s->voices[i].key != NULL &&
	    strcmp(r->s->voices[i].key, "key-two") == 0 ? B("2") : B("1");
	client_on_terminate(&m);
}

static void
wait_for(uint64_t ms)
{
	peers_ms += ms;
	worker_clock();
	conns_sweep(worker.now, true);
}

static void
step(struct runner *r, const struct step *t)
{
	struct peer *p = &r->peers[t->peer];
	struct bytes rest = bytes_skip(buf_view(&r->s->voices[t->peer].says),
	    r->said[t->peer]);

	peers_now = t->peer;
	if (t->kind == SAY) {
		rest.n = rest.n < t->n ? rest.n : t->n;
		r->said[t->peer] += rest.n;
		if (p->open)
			peer_say(p, rest);
	} else if (t->kind == READ) {
		if (p->open)
			peer_read(p);
	} else if (t->kind == LEAVE) {
		if (p->open)
			peer_read_all(p);
		peer_close(p);
	} else if (t->kind == TELL) {
		tell(t);
	} else if (t->kind == WAIT) {
		wait_for(t->n);
	} else if (t->kind == ANSWER) {
		if (played.n_asked > 0)
			answer_one();
	} else if (t->kind == SLOW) {
		played.slow = !played.slow;
	} else if (t->kind == HOLD) {
		uplink_hold(t->n % 2 == 0);
	} else if (t->kind == KICK) {
		kick(r, t->peer);
	} else {
		watch(p);
	}
	run_for(p);
}

/* All that was heard and told, in one text. */
static void
finish(struct runner *r, struct buf *out)
{
	unsigned i;

	for (i = 0; i < r->s->n_peers; i++)
		settle(r, i);
	played.slow = false;
	run();
	uplink_hold(false);
	run();
	for (i = 0; i < r->s->n_peers; i++) {
		if (r->peers[i].open)
			peer_read_all(&r->peers[i]);
		peer_close(&r->peers[i]);
	}
	run();
	for (i = 0; i < r->s->n_peers; i++) {
		buf_fmt(out, "\n==== peer %u, %s\n", i,
		    r->peers[i].end ? "closed" : "open");
		buf_bytes(out, buf_view(&r->peers[i].heard));
		peer_done(&r->peers[i]);
	}
	buf_str(out, "\n==== router\n");
	buf_bytes(out, buf_view(&played.log));
	buf_done(&r->record);
}

static void
run_script(const struct script *s, uint64_t seed, bool moves, struct buf *out,
    unsigned *n)
{
	struct runner r = { .s = s, .moves = moves,
	    .dice = { seed * 0xd1342543de82ef95ull + 7 } };
	unsigned i, k;

	peers_ms = 5000000;
	worker_clock();
	for (i = 0; i < s->n_peers; i++)
		peer_open(&r.peers[i], i, s->voices[i].behind_proxy);
	for (k = 0; k < s->n_steps; k++) {
		prepare(&r, &s->steps[k]);
		step(&r, &s->steps[k]);
		for (i = 0; moves && i < s->n_peers; i++)
			if (one_in(&r.dice, 3) ||
			    (r.at[i] != STILL && s->steps[k].kind == KICK))
				move_on(&r, i);
	}
	finish(&r, out);
	n[0] += r.n_moves;
	n[1] += r.n_undone;
	assert_int_equal(conns_count(), 0);
	assert_int_equal(counter.subscriptions, 0);
	assert_int_equal(counter.channels, 0);
	memset(played.open, 0, sizeof(played.open));
	memset(played.subscribed, 0, sizeof(played.subscribed));
	played_clear();
}

/* ---- both ------------------------------------------------------------------------------- */

static void
show(const char *whose, struct bytes b, size_t at)
{
	size_t from = at > 300 ? at - 300 : 0, to = at + 200, i;

	fprintf(stderr, "---- %s, %zu octets, from %zu\n", whose, b.n, from);
	for (i = from; i < to && i < b.n; i++)
		if ((unsigned char)b.p[i] >= ' ' || b.p[i] == '\n')
			fputc(b.p[i], stderr);
		else
			fprintf(stderr, "<%02x>", (unsigned char)b.p[i]);
	fputc('\n', stderr);
}

static void
compare(uint64_t seed, struct bytes stayed, struct bytes moved)
{
	size_t at = 0;

	if (bytes_eq(stayed, moved))
		return;
	while (at < stayed.n && at < moved.n && stayed.p[at] == moved.p[at])
		at++;
	show("not moved", stayed, at);
	show("moved", moved, at);
	fail_msg("PEAL_TEST_SEED=%llu differs", (unsigned long long)seed);
}

static void
both_ways(uint64_t seed, unsigned *n)
{
	static struct script s;
	struct buf stayed = { 0 }, moved = { 0 };

	make_script(seed, &s);
	run_script(&s, seed, false, &stayed, n);
	run_script(&s, seed, true, &moved, n);
	compare(seed, buf_view(&stayed), buf_view(&moved));
	script_done(&s);
	buf_done(&stayed);
	buf_done(&moved);
}

static void
moved_is_as_not_moved(void **state)
{
	const char *seed = getenv("PEAL_TEST_SEED"),
	    *rounds = getenv("PEAL_TEST_ROUNDS");
	unsigned n[2] = { 0, 0 }, k,
	    most = rounds != NULL ? (unsigned)atoi(rounds) : ROUNDS;

	(void)state;
	if (seed != NULL) {
		both_ways(strtoull(seed, NULL, 10), n);
		return;
	}
	for (k = 1; k <= most; k++)
		both_ways(k, n);
	print_message("# seeds 1 to %u: %u moved, %u stayed after all\n", most,
	    n[0], n[1]);
	assert_true(n[0] > most && n[1] > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(moved_is_as_not_moved,
		    peers_setup, peers_teardown),
	};

	/* Signatures that are wrong are part of it. */
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
