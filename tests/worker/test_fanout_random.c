/* SPDX-License-Identifier: MIT
 *
 * Runs of messages: whatever the router says in one read, and whoever comes and
 * goes meanwhile, each client hears the same octets as when every message goes
 * out alone.  Random scripts; PEAL_TEST_SEED=n plays one of them.
 */
#include "common/counters.h"
#include "tests/worker/test_core.h"
#include "worker/fanout.h"

#define SCRIPTS		(getenv("PEAL_TEST_BRIEF") == NULL ? 150u : 15u)
#define READS		40		/* in a script */
#define CLIENTS		12
#define CHANNELS	4

static struct guest {
	struct client	*cl;
	int		 peer;
	struct buf	 heard;
	size_t		 from;		/* octets of heard, when it came */
	uint64_t	 applied;
} guests[CLIENTS];

/* Joins that the router has not answered, the oldest first. */
static struct {
	struct {
		uint64_t	 cookie;
		unsigned	 channel;
	}		 at[256];
	unsigned	 n;
} asked;

static const struct bytes channels[CHANNELS] = {
	BYTES("one"), BYTES("two"), BYTES("private-cache-three"),
	BYTES("presence-four"),
};

static uint64_t dice, serial, epoch;
static bool singly;

static unsigned
roll(unsigned n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)(dice >> 33) % n;
}

static bool
one_in(unsigned n)
{
	return roll(n) == 0;
}

/* ---- a front door of four variants ------------------------------------------- */

/* Variant 3 does not hear of every third event. */
static struct frame *
picky_encode(const struct message *m, unsigned variant)
{
	static struct buf out;

	if (variant == 3 && m->kind == MESSAGE_EVENT && m->event.n % 3 == 0)
		return NULL;
	buf_reuse(&out);
	buf_fmt(&out, "%c%u%d ", "EARC"[m->kind], variant, (int)m->count);
	buf_bytes(&out, channel_name(m->channel));
	buf_bytes(&out, m->kind == MESSAGE_EVENT ? m->event : m->id);
	buf_bytes(&out, m->kind == MESSAGE_EVENT ? m->data : m->object);
	buf_char(&out, '\n');
	return frame_of(buf_view(&out));
}

static void
picky_subscribed(struct client *cl, struct sub *s, struct bytes channel,
    const struct subscription *info, const char *why)
{
	struct buf out = { 0 };
	struct frame *f;

	(void)s, (void)info, (void)why;
	buf_fmt(&out, "S ");
	buf_bytes(&out, channel);
	buf_char(&out, '\n');
	f = frame_of(buf_view(&out));
	client_send(cl, f);
	frame_unref(f);
	buf_done(&out);
}

static const struct front picky = {
	.name = "picky",
	.subscribed = picky_subscribed,
	.variant = test_variant,
	.encode = picky_encode,
};

/* ---- between two reads ---------------------------------------------------------- */

static void
come(unsigned i)
{
	struct guest *g = &guests[i];

	g->cl = test_client(&g->peer);
	g->cl->front = &picky;
	g->cl->state.variant = (uint8_t)(i % 4);
	g->cl->state.socket_a = 100 + i;
	g->cl->state.socket_b = 1;
	g->from = g->heard.n;
	g->applied = 0;
	if (one_in(3)) {	/* it was handed over, and has this already */
		g->applied = serial + roll(20);
		fanout_applied(g->cl, epoch, g->applied);
	}
}

/* The other end gets all that was sent. */
static void
hear(struct guest *g)
{
	ssize_t n;

	while ((n = recv(g->peer, buf_room(&g->heard, 65536), 65536,
	    MSG_DONTWAIT)) > 0)
		g->heard.n += (size_t)n;
}

static void
turn(void)
{
	bool waits;
	unsigned i;

	do {
		waits = conns_turn();
		event_base_loop(worker.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		for (i = 0; i < CLIENTS; i++) {
			if (guests[i].cl == NULL)
				continue;
			hear(&guests[i]);
			waits |= guests[i].cl->conn->first != NULL;
		}
	} while (waits);
}

/* It has not heard what was not for it: events are "eNUMBER-sSERIAL-A:B.". */
static void
check_heard(unsigned i)
{
	struct guest *g = &guests[i];
	char *at, *end, own[16];

	snprintf(own, sizeof(own), "-%u:1.", 100 + i);
	buf_char(&g->heard, '\0');
	at = g->heard.p + g->from;
	if (strstr(at, own) != NULL)
		fail_msg("client %u hears what it was excepted from", i);
	while ((at = strstr(at, "-s")) != NULL) {
		if (strtoull(at + 2, &end, 10) <= g->applied)
			fail_msg("client %u hears what it had", i);
		at = end;
	}
	g->heard.n--;
}

static void
go(unsigned i)
{
	turn();
	check_heard(i);
	test_client_end(guests[i].cl, guests[i].peer);
	guests[i].cl = NULL;
}

/* What the worker tells the router. */
static void
note_joins(void)
{
	struct msg_join m;
	struct unpacker u;
	const char *why;
	unsigned type, i;

	while ((type = next_message(&u)) != MSG_NONE) {
		if (type != MSG_join || msg_unpack_join(&u, &m, &why) < 0 ||
		    m.cookie == 0)
			continue;
		for (i = 0; !bytes_eq(channels[i], m.channel); i++)
			continue;
		assert_true(asked.n < NELEM(asked.at));
		asked.at[asked.n].cookie = m.cookie;
		asked.at[asked.n++].channel = i;
	}
}

static void
subscribe(struct client *cl, unsigned i)
{
	struct sub *s = channel_sub(cl, channels[i]);
	char user[16];

	if (s != NULL) {
		channel_unsubscribe(s);
		return;
	}
	snprintf(user, sizeof(user), "%u", cl->state.socket_a);
	channel_subscribe(cl, channels[i], channel_kind(channels[i], 200),
	    i == 3 ? bytes_str(user) : bytes_of(NULL, 0),
	    i == 3 ? B("{}") : bytes_of(NULL, 0));
}

static void
between(void)
{
	unsigned n = roll(6), i;

	while (n-- > 0) {
		i = roll(CLIENTS);
		if (guests[i].cl == NULL)
			come(i);
		else if (one_in(8))
			go(i);
		else
			subscribe(guests[i].cl, roll(CHANNELS));
	}
	note_joins();
}

/* ---- what the router says -------------------------------------------------------- */

/* What a read has brought stays until the end of it, and no longer. */
static char brought[200][48];
static unsigned n_brought;

static void
say_deliver(unsigned channel)
{
	static char text[6000];
	char *event = brought[n_brought++];
	struct msg_deliver m = {
		.app = B("1"), .channel = channels[channel],
		.epoch = epoch, .serial = ++serial,
	};

	memset(text, 'x', sizeof(text));
	m.data = bytes_of(text, one_in(20) ? sizeof(text) : roll(30));
	if (one_in(3)) {
		m.except_a = 100 + roll(CLIENTS + 2);
		m.except_b = one_in(9) ? 2 : 1;
	}
	m.event = bytes_of(event, (size_t)snprintf(event,
	    sizeof(brought[0]), "e%u-s%u-%u:%u.", roll(2000),
	    (unsigned)serial, (unsigned)m.except_a, (unsigned)m.except_b));
	channel_on_deliver(&m);
}

static void
say_count(unsigned channel)
{
	struct msg_count m = {
		.app = B("1"), .channel = channels[channel],
		.count = roll(9), .epoch = epoch, .serial = ++serial,
	};

	channel_on_count(&m);
}

static void
say_member(bool added)
{
	char user[8];
	struct bytes u = bytes_of(user,
	    (size_t)snprintf(user, sizeof(user), "u%u", roll(9)));
	struct msg_member_added a = {
		.app = B("1"), .channel = channels[3], .user = u,
		.member = B("{}"), .epoch = epoch, .serial = ++serial,
	};
	struct msg_member_removed r = {
		.app = B("1"), .channel = channels[3], .user = u,
		.epoch = epoch, .serial = serial,
	};

	if (added)
		presence_on_added(&a);
	else
		presence_on_removed(&r);
}

static void
say_roster(void)
{
	struct msg_roster m = {
		.app = B("1"), .channel = channels[3],
		.epoch = epoch, .serial = ++serial,
	};
	struct msg_member row = {
		.app = B("1"), .channel = channels[3],
		.user = one_in(2) ? B("u1") : B("u2"), .member = B("{}"),
	};

	presence_on_member(&row);
	presence_on_roster(&m);
}

static void
say_subscribed(void)
{
	struct msg_subscribed m = { .app = B("1"), .count = roll(9) };

	if (asked.n == 0)
		return;
	m.cookie = asked.at[0].cookie;
	m.channel = channels[asked.at[0].channel];
	asked.n--;
	for (unsigned i = 0; i < asked.n; i++)
		asked.at[i] = asked.at[i + 1];
	channel_on_subscribed(&m);
}

/* As a client that is closed leaves at once. */
static void
say_terminate(void)
{
	struct guest *g = &guests[roll(CLIENTS)];

	if (g->cl != NULL)
		channel_leave_all(g->cl);
}

static const uint8_t types[] = {
	MSG_deliver, MSG_deliver, MSG_deliver, MSG_deliver, MSG_deliver,
	MSG_deliver, MSG_deliver, MSG_deliver, MSG_deliver, MSG_deliver,
	MSG_count, MSG_member_added, MSG_member_added, MSG_member_removed,
	MSG_roster, MSG_subscribed, MSG_subscribed, MSG_terminate,
};

static void
say(unsigned channel)
{
	unsigned type = types[roll(NELEM(types))];

	fanout_before(type);
	switch (type) {
	case MSG_deliver:
		say_deliver(channel);
		break;
	case MSG_count:
		say_count(channel);
		break;
	case MSG_subscribed:
		say_subscribed();
		break;
	case MSG_terminate:
		say_terminate();
		break;
	case MSG_roster:
		say_roster();
		break;
	default:
		say_member(type == MSG_member_added);
	}
	if (singly)
		fanout_flush();
}

static void
one_read(void)
{
	unsigned n = one_in(5) ? 200 : roll(20), channel = roll(CHANNELS);

	while (n-- > 0) {
		if (one_in(10))
			channel = roll(CHANNELS);
		say(channel);
	}
	fanout_flush();
	memset(brought, 'x', sizeof(brought));
	n_brought = 0;
	note_joins();
	turn();
}

/* ---- twice the same ---------------------------------------------------------------- */

struct result {
	struct buf	 heard[CLIENTS];
	uint64_t	 out, delivered;
};

static void
play(uint64_t seed, bool alone, struct result *r)
{
	uint64_t out = counter.messages_out, delivered = counter.delivered;
	unsigned i;

	dice = seed * 0x9e3779b97f4a7c15u;
	singly = alone;
	epoch++;
	serial = 0;
	for (i = 0; i < READS; i++) {
		between();
		one_read();
	}
	for (i = 0; i < CLIENTS; i++) {
		if (guests[i].cl != NULL)
			go(i);
		r->heard[i] = guests[i].heard;
		memset(&guests[i].heard, 0, sizeof(guests[i].heard));
	}
	note_joins();
	while (asked.n > 0)
		say_subscribed();
	note_joins();
	r->out = counter.messages_out - out;
	r->delivered = counter.delivered - delivered;
}

static void
compare(uint64_t seed)
{
	struct result a, b;
	unsigned i;

	play(seed, true, &a);
	play(seed, false, &b);
	for (i = 0; i < CLIENTS; i++) {
		if (!bytes_eq(buf_view(&a.heard[i]), buf_view(&b.heard[i])))
			fail_msg("PEAL_TEST_SEED=%llu: client %u differs",
			    (unsigned long long)seed, i);
		buf_done(&a.heard[i]);
		buf_done(&b.heard[i]);
	}
	assert_int_equal(a.out, b.out);
	assert_int_equal(a.delivered, b.delivered);
	assert_true(a.out > 0);
}

static void
together_is_as_singly(void **state)
{
	const char *one = getenv("PEAL_TEST_SEED");
	uint64_t seed;

	(void)state;
	test_config.websocket.max_backlog = 1u << 30;
	if (one != NULL)
		compare(strtoull(one, NULL, 10));
	else
		for (seed = 1; seed <= SCRIPTS; seed++)
			compare(seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(together_is_as_singly,
		    core_setup, core_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
