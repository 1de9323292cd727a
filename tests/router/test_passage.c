/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/passage.c: messages over a played broker, between one to
 * three hosts.
 */
#include "broker.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/counters.h"
#include "router/payload.h"

static void
join(struct mate *w, struct bytes channel)
{
	SAY(w, join, .app = B("1"), .channel = channel, .n = 1);
}

static void
publish(struct mate *w, uint64_t serial, struct bytes channel,
    struct bytes data)
{
	SAY(w, publish, .serial = serial, .app = B("1"), .channel = channel,
	    .event = B("\"e\""), .data = data);
}

static void
heard(struct mate *w)
{
	while (w->n_lines > 0)
		free(w->lines[--w->n_lines]);
}

/* Two hosts, a worker each, both in "news". */
struct pair {
	struct broker	 b;
	struct rig	*g, *h;
	struct port	*pg, *ph;
	struct mate	*a, *c;		/* of g, of h */
};

static void
pair_of(struct pair *p, const char *ini)
{
	memset(p, 0, sizeof(*p));
	memset(&counter, 0, sizeof(counter));
	p->g = broker_rig(&p->b, ini, 1);
	p->h = broker_rig(&p->b, ini, 2);
	p->pg = port_of(&p->b, p->g);
	p->ph = port_of(&p->b, p->h);
	p->a = rig_worker(p->g, 1);
	p->c = rig_worker(p->h, 1);
	join(p->a, B("news"));
	join(p->c, B("news"));
	broker_run(&p->b);
	heard(p->a);
	heard(p->c);
}

/* A host that waits for echoes: its broker has answered once. */
static void
settled(struct pair *p)
{
	publish(p->a, 1, B("news"), B("0"));
	publish(p->c, 1, B("news"), B("0"));
	broker_run(&p->b);
	assert_false(p->g->router->passage.degraded);
	assert_false(p->h->router->passage.degraded);
	heard(p->a);
	heard(p->c);
}

/* ---- the usual way ------------------------------------------------------ */

static void
test_reaches_both_hosts(void **state)
{
	struct pair p;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	SAY(p.a, publish, .serial = 2, .app = B("1"), .channel = B("news"),
	    .event = B("\"e\""), .data = B("\"x\""), .user = B("\"u\""),
	    .except_a = 4, .except_b = 5,
	    .flags = PUBLISH_CLIENT | PUBLISH_ALONE);
	broker_run(&p.b);
	/* Others may have come to its worker in the meantime. */
	GETS(p.a, "deliver news \"e\"=\"x\" from=1 n=2 at=3");
	GETS(p.a, "ack 2");
	GETS(p.c, "deliver news \"e\"=\"x\" from=0 n=0 at=3");
	GETS_NONE(p.a);
	GETS_NONE(p.c);
	broker_done(&p.b);
}

/* Neither delivered nor acknowledged before it is back. */
static void
test_waits_for_the_echo(void **state)
{
	struct pair p;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	p.pg->mute = true;
	publish(p.a, 2, B("news"), B("1"));
	publish(p.a, 3, B("nobody"), B("2"));
	broker_run(&p.b);
	GETS_NONE(p.a);
	/* Another host is first at the broker, so it is first everywhere. */
	publish(p.c, 2, B("news"), B("other"));
	broker_run(&p.b);
	GETS(p.a, "deliver news \"e\"=other from=0 n=0 at=3");
	GETS_NONE(p.a);
	p.pg->mute = false;
	broker_run(&p.b);
	GETS(p.a, "deliver news \"e\"=1 from=1 n=2 at=4");
	GETS(p.a, "ack 3");
	GETS(p.c, "deliver news \"e\"=other from=1 n=2 at=3");
	GETS(p.c, "ack 2");
	GETS(p.c, "deliver news \"e\"=1 from=0 n=0 at=4");
	GETS_NONE(p.c);
	broker_done(&p.b);
}

/* Nobody here listens: it goes out and is done with. */
static void
test_not_for_this_host(void **state)
{
	struct pair p;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	join(p.c, B("far"));
	broker_run(&p.b);
	p.pg->mute = true;
	publish(p.a, 2, B("far"), B("1"));
	rig_run(p.g);
	GETS(p.a, "ack 2");
	p.pg->mute = false;
	broker_run(&p.b);
	GETS_NONE(p.a);
	GETS(p.c, "deliver far \"e\"=1 from=0 n=0 at=1");
	broker_done(&p.b);
}

/* Acknowledged is up to the oldest that is still in flight. */
static void
test_acks_are_cumulative(void **state)
{
	struct pair p;
	struct topic far, news;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	join(p.a, B("far"));
	broker_run(&p.b);
	heard(p.a);
	far = carrier_topic(p.g->router, B("1"), B("far"));
	news = carrier_topic(p.g->router, B("1"), B("news"));
	assert_int_not_equal(far.lane, news.lane);
	p.pg->mute = true;
	publish(p.a, 2, B("news"), B("1"));
	publish(p.a, 3, B("far"), B("2"));
	publish(p.a, 4, B("news"), B("3"));
	rig_run(p.g);
	GETS_NONE(p.a);
	/* The second one is back first (another lane). */
	p.pg->upcalls->published(p.pg->ctx,
	    p.g->router->passage.number - 1, "dropped");
	rig_run(p.g);
	GETS(p.a, "deliver far \"e\"=2 from=1 n=3 at=1");
	GETS_NONE(p.a);
	assert_true(port_take(p.pg));
	assert_true(port_give(p.pg));
	rig_run(p.g);
	GETS(p.a, "deliver news \"e\"=1 from=1 n=2 at=3");
	GETS(p.a, "ack 3");
	p.pg->mute = false;
	broker_run(&p.b);
	GETS(p.a, "deliver news \"e\"=3 from=1 n=4 at=4");
	GETS(p.a, "ack 4");
	GETS_NONE(p.a);
	broker_done(&p.b);
}

/* ---- a broker that does not answer -------------------------------------- */

static void
test_echo_timeout(void **state)
{
	struct pair p;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	p.pg->mute = true;
	publish(p.a, 2, B("news"), B("1"));
	publish(p.a, 3, B("news"), B("2"));
	rig_run(p.g);
	rig_later(p.g, 999);
	GETS_NONE(p.a);
	rig_later(p.g, 1);
	GETS(p.a, "deliver news \"e\"=1 from=1 n=2 at=3");
	GETS(p.a, "deliver news \"e\"=2 from=1 n=3 at=4");
	GETS(p.a, "ack 3");
	assert_true(p.g->router->passage.degraded);
	assert_int_equal(counter.backplane_degraded, 1);
	assert_int_equal(counter.backplane_echo_timeouts, 1);
	/* At once now, and published all the same. */
	publish(p.a, 4, B("news"), B("3"));
	rig_run(p.g);
	GETS(p.a, "deliver news \"e\"=3 from=1 n=4 at=5");
	GETS(p.a, "ack 4");
	/* It wakes up: nothing comes twice. */
	rig_later(p.g, 1001);
	assert_true(p.g->router->passage.degraded);
	p.pg->mute = false;
	broker_run(&p.b);
	GETS_NONE(p.a);
	GETS(p.c, "deliver news \"e\"=1 from=0 n=0 at=3");
	GETS(p.c, "deliver news \"e\"=2 from=0 n=0 at=4");
	GETS(p.c, "deliver news \"e\"=3 from=0 n=0 at=5");
	GETS_NONE(p.c);
	/* The lane that was late has to show that it is not any more. */
	publish(p.a, 5, B("news"), B("4"));
	broker_run(&p.b);
	GETS(p.a, "deliver news \"e\"=4 from=1 n=5 at=6");
	GETS(p.a, "ack 5");
	assert_false(p.g->router->passage.degraded);
	assert_int_equal(counter.backplane_degraded, 0);
	p.pg->mute = true;
	publish(p.a, 6, B("news"), B("5"));
	rig_run(p.g);
	GETS_NONE(p.a);
	p.pg->mute = false;
	broker_run(&p.b);
	GETS(p.a, "deliver news \"e\"=5 from=1 n=6 at=7");
	GETS(p.a, "ack 6");
	GETS_NONE(p.a);
	broker_done(&p.b);
}

/* What the broker has forgotten does not hold up what it has not. */
static void
test_order_of_a_lane(void **state)
{
	struct pair p;
	struct parcel *lost;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	p.pg->mute = true;
	publish(p.a, 2, B("news"), B("1"));
	publish(p.a, 3, B("news"), B("2"));
	rig_run(p.g);
	lost = TAILQ_FIRST(&p.pg->publish);
	TAILQ_REMOVE(&p.pg->publish, lost, link);
	TAILQ_INSERT_TAIL(&p.pg->publish, lost, link);
	assert_true(port_take(p.pg));
	assert_true(port_give(p.pg));
	rig_run(p.g);
	GETS(p.a, "deliver news \"e\"=1 from=1 n=2 at=3");
	GETS(p.a, "deliver news \"e\"=2 from=1 n=3 at=4");
	GETS(p.a, "ack 3");
	p.pg->mute = false;
	broker_run(&p.b);
	GETS_NONE(p.a);
	broker_done(&p.b);
}

static void
test_broker_goes_away(void **state)
{
	struct pair p;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	p.pg->mute = true;
	publish(p.a, 2, B("news"), B("1"));
	rig_run(p.g);
	port_down(p.pg, 0);
	publish(p.a, 3, B("news"), B("2"));
	rig_run(p.g);
	GETS(p.a, "deliver news \"e\"=1 from=1 n=2 at=3");
	GETS(p.a, "deliver news \"e\"=2 from=1 n=3 at=4");
	GETS(p.a, "ack 3");
	assert_int_equal(counter.backplane_degraded, 1);
	assert_int_equal(counter.backplane_echo_timeouts, 0);
	p.pg->mute = false;
	port_up(p.pg);
	broker_run(&p.b);
	GETS_NONE(p.a);
	GETS(p.c, "deliver news \"e\"=1 from=0 n=0 at=3");
	GETS(p.c, "deliver news \"e\"=2 from=0 n=0 at=4");
	/* Those copies came back in time. */
	assert_int_equal(counter.backplane_degraded, 0);
	/* Sent again, because the answer to them was lost: only once. */
	port_down(p.pg, 6);
	port_up(p.pg);
	broker_run(&p.b);
	GETS_NONE(p.a);
	GETS_NONE(p.c);
	assert_true(counter.duplicates >= 2);
	broker_done(&p.b);
}

/* A topic that is not live here is not waited for, but what is older is. */
static void
test_gap(void **state)
{
	struct pair p;
	struct topic news;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	p.pg->mute = true;
	publish(p.a, 2, B("news"), B("1"));
	rig_run(p.g);
	GETS_NONE(p.a);
	news = carrier_topic(p.g->router, B("1"), B("news"));
	p.pg->upcalls->gap(p.pg->ctx, &news);
	publish(p.a, 3, B("news"), B("2"));
	rig_run(p.g);
	GETS(p.a, "deliver news \"e\"=1 from=1 n=2 at=3");
	GETS(p.a, "deliver news \"e\"=2 from=1 n=3 at=4");
	GETS(p.a, "ack 3");
	assert_false(p.g->router->passage.degraded);
	p.pg->upcalls->joined(p.pg->ctx, &news, (struct position){ 0, 0 });
	p.pg->mute = false;
	broker_run(&p.b);
	GETS_NONE(p.a);
	publish(p.a, 4, B("news"), B("3"));
	broker_run(&p.b);
	GETS(p.a, "deliver news \"e\"=3 from=1 n=4 at=5");
	broker_done(&p.b);
}

/* Who listened here is gone before it is back: nothing is waited for any more,
 * and the broker is not to blame. */
static void
test_listener_leaves_in_flight(void **state)
{
	struct pair p;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	p.pg->mute = true;
	publish(p.a, 2, B("news"), B("1"));
	rig_run(p.g);
	GETS_NONE(p.a);
	SAY(p.a, leave, .app = B("1"), .channel = B("news"), .n = 1);
	rig_run(p.g);
	GETS(p.a, "ack 2");
	assert_int_equal(p.g->router->passage.flights.live, 0);
	p.pg->mute = false;
	broker_run(&p.b);
	GETS(p.c, "deliver news \"e\"=1 from=0 n=0 at=3");
	rig_later(p.g, 1000);
	rig_run(p.g);
	assert_int_equal(counter.backplane_echo_timeouts, 0);
	assert_false(p.g->router->passage.degraded);
	broker_done(&p.b);
}

/* And with a worker that dies with its listeners. */
static void
test_listeners_die_in_flight(void **state)
{
	struct pair p;
	struct mate *b;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	b = rig_worker(p.g, 2);
	p.pg->mute = true;
	publish(b, 1, B("news"), B("1"));
	rig_run(p.g);
	mate_dies(p.a);
	rig_run(p.g);
	GETS(b, "ack 1");
	p.pg->mute = false;
	broker_run(&p.b);
	rig_later(p.g, 1000);
	rig_run(p.g);
	assert_int_equal(counter.backplane_echo_timeouts, 0);
	broker_done(&p.b);
}

/* Many in flight, most of what is between them not: the table grows, and gives
 * up what is behind. */
static void
test_many_in_flight(void **state)
{
	struct pair p;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	p.pg->mute = true;
	for (uint64_t n = 2; n < 5000; n++)
		publish(p.a, n, n % 3 == 0 ? B("news") : B("far"), B("1"));
	rig_run(p.g);
	heard(p.a);
	assert_int_equal(p.g->router->passage.flights.live, 1666);
	for (int i = 0; i < 2500; i++)
		assert_true(port_take(p.pg));
	while (port_give(p.pg))
		rig_run(p.g);
	assert_true(p.a->n_lines >= 2 * 800);
	p.pg->mute = false;
	broker_run(&p.b);
	assert_string_equal(p.a->lines[p.a->n_lines - 1], "ack 4999");
	assert_int_equal(p.g->router->passage.flights.n, 0);
	for (uint64_t n = 3, i = 0; n < 5000; n += 3) {
		char line[100];

		snprintf(line, sizeof(line), "deliver news \"e\"=1 from=1 n=%"
		    PRIu64 " at=%" PRIu64, n, n / 3 + 2);
		while (strncmp(p.a->lines[i], "ack", 3) == 0)
			i++;
		assert_string_equal(p.a->lines[i++], line);
	}
	broker_done(&p.b);
}

/* More than is kept in flight. */
static void
test_too_much_in_flight(void **state)
{
	struct pair p;
	struct bytes large;

	(void)state;
	if (getenv("PEAL_TEST_BRIEF") != NULL)
		return;		/* minutes under valgrind */
	large = bytes_of(xcalloc(1, 20u << 20), 20u << 20);
	memset((char *)(uintptr_t)large.p, '1', large.n);
	pair_of(&p, "");
	settled(&p);
	p.pg->mute = true;
	for (uint64_t n = 2; n < 5; n++)
		publish(p.a, n, B("news"), large);
	rig_run(p.g);
	assert_int_equal(p.a->n_lines, 0);
	publish(p.a, 5, B("news"), large);
	rig_run(p.g);
	assert_int_equal(counter.backplane_degraded, 1);
	for (int i = 0; i < 4; i++)
		assert_memory_equal(p.a->lines[i], "deliver", 7);
	assert_int_equal(p.g->router->passage.flights.octets.cap, 0);
	broker_done(&p.b);
	free((char *)(uintptr_t)large.p);
}

/* Somebody else on the broker speaks in our name: what could not be ours is not
 * kept. */
static void
test_own_that_is_not(void **state)
{
	struct msg_publish m = { .event = B("\"e\""), .data = B("\xff\xfe"),
		.flags = PUBLISH_CACHE, .serial = 1 };
	struct envelope e = { .node = 1, .incarnation = 1001, .number = 99,
		.kind = ENVELOPE_EVENT, .app = B("1"),
		.channel = B("cache-x") };
	struct buf payload = { 0 }, octets = { 0 };
	struct pair p;

	(void)state;
	pair_of(&p, "");
	join(p.a, B("cache-x"));
	broker_run(&p.b);
	assert_int_equal(p.g->router->node, 1);
	assert_int_equal(p.g->router->incarnation, 1001);
	for (int sound = 0; sound < 2; sound++) {
		if (sound)
			m.data = B("good");
		event_pack(&payload, 7, &m);
		e.payload = buf_view(&payload);
		buf_clear(&octets);
		envelope_seal(&octets, &e, B(""));
		port_hears(p.pg, B("1"), B("cache-x"), buf_view(&octets));
		broker_run(&p.b);
		assert_int_equal(counter.backplane_bad_payload, !sound);
		assert_int_equal(counter.cached, sound);
		counter.backplane_bad_payload = 0;
	}
	buf_done(&payload);
	buf_done(&octets);
	broker_done(&p.b);
}

/* However many hosts there seem to be, and publishers on them. */
static void
test_seen_is_bounded(void **state)
{
	struct seen *s[70];
	uint64_t all = 0;

	(void)state;
	for (size_t i = 0; i < NELEM(s); i++) {
		s[i] = seen_new(&all);
		for (uint64_t n = 1; n <= SEEN_MAX + 10; n++)
			assert_false(seen_before(s[i], 3, n, n, 1));
		assert_true(s[i]->rows.count == SEEN_MAX || all >= SEEN_ALL);
	}
	assert_true(all <= SEEN_ALL + NELEM(s) * SEEN_LEAST);
	assert_int_equal(s[69]->rows.count, SEEN_LEAST);
	assert_true(seen_before(s[69], 3, SEEN_MAX + 10, 7, 7));
	/* An old publisher says an old word with a new number. */
	assert_true(seen_before(s[69], 3, SEEN_MAX + 11, SEEN_MAX + 10, 1));
	for (size_t i = 0; i < NELEM(s); i++)
		seen_free(s[i]);
	assert_int_equal(all, 0);
}

/* ---- those who die ------------------------------------------------------ */

static void
test_publisher_dies_in_flight(void **state)
{
	struct pair p;
	struct mate *b;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	b = rig_worker(p.g, 2);
	p.pg->mute = true;
	publish(b, 1, B("news"), B("1"));
	rig_run(p.g);
	publish(p.a, 2, B("news"), B("2"));
	rig_run(p.g);
	publish(b, 2, B("news"), B("3"));
	rig_run(p.g);
	mate_dies(b);
	rig_run(p.g);
	p.pg->mute = false;
	broker_run(&p.b);
	GETS(p.a, "deliver news \"e\"=1 from=2 n=1 at=3");
	GETS(p.a, "deliver news \"e\"=2 from=1 n=2 at=4");
	GETS(p.a, "deliver news \"e\"=3 from=2 n=2 at=5");
	GETS(p.a, "ack 2");
	GETS_NONE(p.a);
	broker_done(&p.b);
}

/* A router that replaces another gets again what was not acknowledged. */
static void
test_router_is_replaced(void **state)
{
	struct pair p;
	struct rig *n;
	struct mate *a;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	publish(p.a, 2, B("news"), B("1"));
	publish(p.a, 3, B("news"), B("2"));
	broker_run(&p.b);
	heard(p.c);
	n = broker_rig(&p.b, "", 1);
	n->router->incarnation = p.g->router->incarnation;
	n->router->passage.number = ENVELOPE_NUMBER(1);
	a = rig_stranger(n, 1);
	a->peer->generation = a->generation = p.a->generation;
	a->peer->origin = p.a->peer->origin;
	SAY(a, hello, .version = MSG_VERSION, .slot = 1,
	    .generation = a->generation);
	join(a, B("news"));
	publish(a, 3, B("news"), B("2"));
	publish(a, 4, B("news"), B("3"));
	SAY(a, synced, .end_ = "");
	port_down(p.pg, 0);
	broker_run(&p.b);
	GETS(p.c, "deliver news \"e\"=3 from=0 n=0 at=5");
	GETS_NONE(p.c);
	assert_int_equal(counter.duplicates, 1);
	broker_done(&p.b);
}

/* What comes before all workers have told what they hold waits for them. */
static void
test_early(void **state)
{
	struct pair p;
	struct rig *n;
	struct mate *a, *b;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	n = broker_rig(&p.b, "", 3);
	rig_starting(n, 2);
	a = rig_worker(n, 1);
	join(a, B("news"));
	broker_run(&p.b);
	publish(p.c, 2, B("news"), B("1"));
	publish(p.c, 3, B("news"), B("2"));
	broker_run(&p.b);
	GETS_NONE(a);
	b = rig_stranger(n, 2);
	SAY(b, hello, .version = MSG_VERSION, .slot = 2,
	    .generation = b->generation);
	join(b, B("news"));
	SAY(b, synced, .end_ = "");
	broker_run(&p.b);
	GETS(a, "deliver news \"e\"=1 from=0 n=0 at=1");
	GETS(a, "deliver news \"e\"=2 from=0 n=0 at=2");
	GETS(b, "deliver news \"e\"=1 from=0 n=0 at=1");
	GETS(b, "deliver news \"e\"=2 from=0 n=0 at=2");
	broker_done(&p.b);
}

/* ---- kick --------------------------------------------------------------- */

static void
test_kick(void **state)
{
	struct pair p;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	p.pg->mute = true;
	publish(p.a, 2, B("news"), B("bye"));
	SAY(p.a, kick, .serial = 3, .app = B("1"), .user = B("u"));
	rig_run(p.g);
	GETS_NONE(p.a);
	p.pg->mute = false;
	broker_run(&p.b);
	GETS(p.a, "deliver news \"e\"=bye from=1 n=2 at=3");
	GETS(p.a, "terminate u");
	GETS(p.a, "ack 3");
	GETS_NONE(p.a);
	GETS(p.c, "deliver news \"e\"=bye from=0 n=0 at=3");
	GETS(p.c, "terminate u");
	GETS_NONE(p.c);
	/* Without the broker: behind what was said before it. */
	p.pg->mute = true;
	publish(p.a, 4, B("news"), B("bye"));
	rig_run(p.g);
	port_down(p.pg, 0);
	SAY(p.a, kick, .serial = 5, .app = B("1"), .user = B("v"));
	rig_run(p.g);
	GETS(p.a, "deliver news \"e\"=bye from=1 n=4 at=4");
	GETS(p.a, "terminate v");
	GETS(p.a, "ack 5");
	broker_done(&p.b);
}

/* ---- what others could send --------------------------------------------- */

static void
hears(struct pair *p, const struct envelope *e, struct bytes on,
    struct bytes key)
{
	struct buf out = { 0 };

	envelope_seal(&out, e, key);
	port_hears(p->pg, B("1"), on, buf_view(&out));
	buf_done(&out);
	broker_run(&p->b);
}

static void
test_garbage(void **state)
{
	struct pair p;
	struct envelope e = {
		.node = 9, .incarnation = 1, .number = 5,
		.kind = ENVELOPE_EVENT, .app = B("1"), .channel = B("news"),
		.payload = B("\x98\x01\x02\xc4\x03\"e\"\xc4\x01x\xc4\x00"
		    "\x00\x00\x00"),
	};
	struct envelope f = e;

	(void)state;
	pair_of(&p, "");
	settled(&p);
	port_hears(p.pg, B("1"), B("news"), B("hello"));
	port_hears(p.pg, B("1"), B("news"), B(""));
	broker_run(&p.b);
	assert_int_equal(counter.backplane_bad_envelope, 2);
	port_hears(p.pg, B("1"), B("news"), B("\x93\x07\x01\x02"));
	broker_run(&p.b);
	assert_int_equal(counter.backplane_bad_version, 1);
	f.kind = (enum envelope_kind)77;
	hears(&p, &f, B("news"), B(""));
	assert_int_equal(counter.backplane_bad_kind, 1);
	hears(&p, &e, B("news"), B("some key that is not expected here"));
	assert_int_equal(counter.backplane_bad_signature, 1);
	/* Good, but on another topic. */
	f = e;
	f.channel = B("other");
	hears(&p, &f, B("news"), B(""));
	assert_int_equal(counter.backplane_bad_payload, 1);
	/* Not the cluster's topic. */
	f = e;
	f.kind = ENVELOPE_KICK;
	hears(&p, &f, B("news"), B(""));
	assert_int_equal(counter.backplane_bad_payload, 2);
	f = e;
	f.payload.n--;
	hears(&p, &f, B("news"), B(""));
	assert_int_equal(counter.backplane_bad_payload, 3);
	f = e;
	f.payload = B("\x98\x01\x02\xc4\x03\"e\"\xc4\x01\xff\xc4\x00"
	    "\x00\x00\x00");
	hears(&p, &f, B("news"), B(""));
	assert_int_equal(counter.backplane_bad_payload, 4);
	GETS_NONE(p.a);
	hears(&p, &e, B("news"), B(""));
	GETS(p.a, "deliver news \"e\"=x from=0 n=0 at=3");
	/* Once. */
	hears(&p, &e, B("news"), B(""));
	f = e;
	f.number++;
	hears(&p, &f, B("news"), B(""));
	GETS_NONE(p.a);
	broker_done(&p.b);
}

#define KEY	"0123456789abcdef0123456789abcdef"

static void
test_signed(void **state)
{
	struct pair p;
	struct envelope e = {
		.node = 9, .incarnation = 1, .number = 5,
		.kind = ENVELOPE_EVENT, .app = B("1"), .channel = B("news"),
		.payload = B("\x98\x01\x02\xc4\x03\"e\"\xc4\x01x\xc4\x00"
		    "\x00\x00\x00"),
	};

	(void)state;
	pair_of(&p, "[backplane]\nsigning = yes\nsigning_key = " KEY "\n");
	settled(&p);
	hears(&p, &e, B("news"), B(""));
	hears(&p, &e, B("news"), B("another key, not the one of the fleet"));
	assert_int_equal(counter.backplane_bad_signature, 2);
	GETS_NONE(p.a);
	hears(&p, &e, B("news"), B(KEY));
	GETS(p.a, "deliver news \"e\"=x from=0 n=0 at=3");
	publish(p.a, 2, B("news"), B("y"));
	broker_run(&p.b);
	GETS(p.a, "deliver news \"e\"=y from=1 n=2 at=4");
	GETS(p.c, "deliver news \"e\"=y from=0 n=0 at=3");
	broker_done(&p.b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reaches_both_hosts),
		cmocka_unit_test(test_waits_for_the_echo),
		cmocka_unit_test(test_not_for_this_host),
		cmocka_unit_test(test_acks_are_cumulative),
		cmocka_unit_test(test_echo_timeout),
		cmocka_unit_test(test_order_of_a_lane),
		cmocka_unit_test(test_broker_goes_away),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_listener_leaves_in_flight),
		cmocka_unit_test(test_listeners_die_in_flight),
		cmocka_unit_test(test_own_that_is_not),
		cmocka_unit_test(test_seen_is_bounded),
		cmocka_unit_test(test_many_in_flight),
		cmocka_unit_test(test_too_much_in_flight),
		cmocka_unit_test(test_publisher_dies_in_flight),
		cmocka_unit_test(test_router_is_replaced),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_signed),
	};

	return cmocka_run_group_tests_name("passage", tests, NULL, NULL);
}
