/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/carrier.c and raw.c: lanes, names, numbers, rooms whose wire
 * is raw.
 */
#include "broker.h"

#include <stdio.h>

#include "common/counters.h"

/* Hosts of one fleet may be of different builds: these must never change. */
static void
test_lanes(void **state)
{
	struct broker b = { 0 };
	struct rig *g = broker_rig(&b, "", 1);
	static const struct {
		struct bytes	app, channel;
		unsigned	lane;
	} known[] = {
		{ BYTES(""), BYTES("hosts"), 14 },
		{ BYTES("1"), BYTES("news"), 19 },
		{ BYTES("app"), BYTES("presence-room.1"), 54 },
	};
	bool used[LANES] = { false };
	unsigned n = 0;

	(void)state;
	for (size_t i = 0; i < NELEM(known); i++)
		assert_int_equal(carrier_topic(g->router, known[i].app,
		    known[i].channel).lane, known[i].lane);
	assert_int_equal(carrier_cluster().lane, known[0].lane);
	for (int i = 0; i < 5000; i++) {
		char name[32];
		struct topic t;

		snprintf(name, sizeof(name), "room-%d", i);
		t = carrier_topic(g->router, B("1"), bytes_str(name));
		assert_true(t.lane < LANES);
		used[t.lane] = true;
	}
	for (size_t i = 0; i < LANES; i++)
		n += used[i];
	assert_int_equal(n, LANES);
	broker_done(&b);
}

/* Each envelope has the next number, from the router's generation on. */
static void
test_numbers(void **state)
{
	struct broker b = { 0 };
	struct rig *g = broker_rig(&b, "", 1);
	struct port *port = port_of(&b, g);
	struct envelope e;
	struct parcel *p;
	uint64_t last;

	(void)state;
	g->router->generation = 5;
	passage_start(g->router);
	last = ENVELOPE_NUMBER(5);
	port->mute = true;
	for (int i = 0; i < 3; i++)
		assert_true(carrier_broadcast(g->router, ENVELOPE_BEAT,
		    B("x"), false));
	TAILQ_FOREACH(p, &port->publish, link) {
		assert_int_equal(envelope_open(bytes_of(p->octets, p->n),
		    B(""), &e), ENVELOPE_GOOD);
		assert_int_equal(e.node, 1);
		assert_int_equal(e.incarnation, 1001);
		if (e.number >> 40 == 5)
			assert_int_equal(e.number, ++last);
	}
	assert_int_equal(last, ENVELOPE_NUMBER(5) + 3);
	/* Without the broker only what is urgent is kept. */
	port_down(port, 0);
	assert_false(carrier_broadcast(g->router, ENVELOPE_BEAT, B("x"),
	    false));
	assert_true(carrier_broadcast(g->router, ENVELOPE_BYE, B("x"), true));
	broker_done(&b);
}

/* ---- raw ---------------------------------------------------------------- */

#define ROOMS	"[backplane]\ndriver = redis\n[rooms chat]\nwire = raw\nraw_channel = chat:\n" \
	"channel = room-\nallowed_origins = *\n"

static void
say(struct mate *w, uint64_t serial, struct bytes text)
{
	SAY(w, publish, .serial = serial, .app = B("1"),
	    .channel = B("room-7"), .event = B("\"message\""), .data = text,
	    .flags = PUBLISH_TEXT);
}

/* Somebody who is no Peal says something. */
static void
node_says(struct port *port, struct bytes text)
{
	port_hears(port, B("1"), B("chat:7"), text);
	TAILQ_LAST(&port->inbox, parcels)->raw = true;
}

struct room {
	struct broker	 b;
	struct rig	*g, *h;
	struct port	*pg;
	struct mate	*a, *c;
};

static void
room_of_two(struct room *o, const char *ini)
{
	memset(o, 0, sizeof(*o));
	memset(&counter, 0, sizeof(counter));
	o->g = broker_rig(&o->b, ini, 1);
	o->h = broker_rig(&o->b, ini, 2);
	o->pg = port_of(&o->b, o->g);
	o->a = rig_worker(o->g, 1);
	o->c = rig_worker(o->h, 1);
	SAY(o->a, join, .app = B("1"), .channel = B("room-7"), .n = 1);
	SAY(o->c, join, .app = B("1"), .channel = B("room-7"), .n = 1);
	broker_run(&o->b);
	assert_false(o->g->router->passage.degraded);
}

static void
test_raw(void **state)
{
	struct room o;
	struct parcel *p;

	(void)state;
	room_of_two(&o, ROOMS);
	o.pg->mute = true;
	say(o.a, 1, B("hi"));
	SAY(o.a, publish, .serial = 2, .app = B("1"), .channel = B("room-7"),
	    .event = B("\"e\""), .data = B("\"a\\u0062\""));
	rig_run(o.g);
	/* The bare text, and of an event's string what it says. */
	p = TAILQ_FIRST(&o.pg->publish);
	while (!p->raw)
		p = TAILQ_NEXT(p, link);
	assert_string_equal(p->channel, "chat:7");
	assert_string_equal(p->octets, "hi");
	p = TAILQ_NEXT(p, link);
	assert_string_equal(p->octets, "ab");
	GETS_NONE(o.a);
	/* Somebody says the same before ours is there: three in all. */
	node_says(o.pg, B("hi"));
	broker_run(&o.b);
	GETS(o.a, "deliver room-7 \"message\"=hi from=1 n=1 at=1");
	GETS(o.a, "ack 1");
	o.pg->mute = false;
	broker_run(&o.b);
	GETS(o.a, "deliver room-7 \"message\"=hi from=0 n=0 at=2");
	GETS(o.a, "deliver room-7 \"e\"=\"a\\u0062\" from=1 n=2 at=3");
	GETS(o.a, "ack 2");
	GETS_NONE(o.a);
	GETS(o.c, "deliver room-7 \"message\"=hi from=0 n=0 at=1");
	GETS(o.c, "deliver room-7 \"message\"=ab from=0 n=0 at=2");
	GETS_NONE(o.c);
	broker_done(&o.b);
}

/* Delivered without the broker: the copies do not come again. */
static void
test_raw_outage(void **state)
{
	struct room o;

	(void)state;
	room_of_two(&o, ROOMS);
	o.pg->mute = true;
	say(o.a, 1, B("one"));
	rig_run(o.g);
	rig_later(o.g, 1000);
	GETS(o.a, "deliver room-7 \"message\"=one from=1 n=1 at=1");
	GETS(o.a, "ack 1");
	port_down(o.pg, 0);
	say(o.a, 2, B("two"));
	rig_run(o.g);
	GETS(o.a, "deliver room-7 \"message\"=two from=1 n=2 at=2");
	GETS(o.a, "ack 2");
	port_up(o.pg);
	o.pg->mute = false;
	broker_run(&o.b);
	GETS_NONE(o.a);
	GETS(o.c, "deliver room-7 \"message\"=one from=0 n=0 at=1");
	GETS(o.c, "deliver room-7 \"message\"=two from=0 n=0 at=2");
	/* Another's "two" is no copy. */
	node_says(o.pg, B("two"));
	broker_run(&o.b);
	GETS(o.a, "deliver room-7 \"message\"=two from=0 n=0 at=3");
	broker_done(&o.b);
}

/* Taken by the broker while nobody here listened: no copy is due, and another's
 * text is not taken for it. */
static void
test_raw_gap(void **state)
{
	struct room o;
	struct topic topic = { .app = B("1"), .channel = B("chat:7"),
	    .raw = true };

	(void)state;
	room_of_two(&o, ROOMS);
	o.pg->mute = true;
	o.pg->upcalls->gap(o.pg->ctx, &topic);
	say(o.a, 1, B("one"));
	rig_run(o.g);
	GETS(o.a, "deliver room-7 \"message\"=one from=1 n=1 at=1");
	GETS(o.a, "ack 1");
	assert_int_equal(o.g->router->raws.by_number.count, 1);
	o.pg->upcalls->published(o.pg->ctx, o.g->router->passage.number, NULL);
	assert_int_equal(o.g->router->raws.by_number.count, 0);
	o.pg->upcalls->joined(o.pg->ctx, &topic, (struct position){ 0, 0 });
	node_says(o.pg, B("one"));
	broker_run(&o.b);
	GETS(o.a, "deliver room-7 \"message\"=one from=0 n=0 at=2");
	broker_done(&o.b);
}

static void
test_raw_binary(void **state)
{
	struct room o;

	(void)state;
	room_of_two(&o, ROOMS);
	node_says(o.pg, B("\xff\xfe"));
	broker_run(&o.b);
	GETS_NONE(o.a);
	assert_int_equal(counter.backplane_bad_payload, 1);
	node_says(o.pg, B("\xc3\xa4"));
	broker_run(&o.b);
	GETS(o.a, "deliver room-7 \"message\"=\xc3\xa4 from=0 n=0 at=1");
	broker_done(&o.b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_raw_outage),
		cmocka_unit_test(test_raw_gap),
		cmocka_unit_test(test_raw_binary),
	};

	return cmocka_run_group_tests_name("carrier", tests, NULL, NULL);
}
