/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/pending.c and fetch.c: subscriptions that wait for the
 * broker, cache channels over two hosts, questions about them.
 */
#include "broker.h"

#include "common/counters.h"

static void
join(struct mate *w, struct bytes channel, uint64_t cookie, uint64_t flags)
{
	SAY(w, join, .app = B("1"), .channel = channel, .n = 1,
	    .cookie = cookie, .flags = flags);
}

static void
leave(struct mate *w, struct bytes channel)
{
	SAY(w, leave, .app = B("1"), .channel = channel, .n = 1);
}

static void
publish(struct mate *w, uint64_t serial, struct bytes channel,
    struct bytes data)
{
	SAY(w, publish, .serial = serial, .app = B("1"), .channel = channel,
	    .event = B("\"e\""), .data = data, .flags = PUBLISH_CACHE);
}

struct one {
	struct broker	 b;
	struct rig	*g;
	struct port	*port;
	struct mate	*a;
};

static void
one_of(struct one *o)
{
	memset(o, 0, sizeof(*o));
	memset(&counter, 0, sizeof(counter));
	o->g = broker_rig(&o->b, "", 1);
	o->port = port_of(&o->b, o->g);
	o->a = rig_worker(o->g, 1);
}

static void
test_waits_for_the_join(void **state)
{
	struct one o;

	(void)state;
	one_of(&o);
	o.port->mute = true;
	join(o.a, B("news"), 7, 0);
	join(o.a, B("news"), 8, 0);
	broker_run(&o.b);
	GETS_NONE(o.a);
	o.port->mute = false;
	broker_run(&o.b);
	GETS(o.a, "subscribed news cookie=7 count=2");
	GETS(o.a, "subscribed news cookie=8 count=2");
	/* Live already. */
	o.port->mute = true;
	join(o.a, B("news"), 9, 0);
	broker_run(&o.b);
	GETS(o.a, "subscribed news cookie=9 count=3");
	broker_done(&o.b);
}

static void
test_nobody_hangs(void **state)
{
	struct one o;

	(void)state;
	one_of(&o);
	o.port->mute = true;
	join(o.a, B("news"), 7, 0);
	rig_run(o.g);
	rig_later(o.g, 999);
	GETS_NONE(o.a);
	rig_later(o.g, 1);
	GETS(o.a, "subscribed news cookie=7 count=1");
	join(o.a, B("other"), 8, 0);
	rig_run(o.g);
	GETS_NONE(o.a);
	port_down(o.port, 0);
	rig_run(o.g);
	GETS(o.a, "subscribed other cookie=8 count=1");
	join(o.a, B("third"), 9, JOIN_CACHE);
	rig_run(o.g);
	GETS(o.a, "subscribed third cookie=9 count=1");
	o.port->mute = false;
	port_up(o.port);
	broker_run(&o.b);
	GETS_NONE(o.a);
	assert_true(route_find(census_get(o.g->router, B("1")),
	    B("news"))->joined);
	broker_done(&o.b);
}

/* A broker that is not there when we start is waited for once. */
static void
test_start_without_broker(void **state)
{
	struct one o;
	struct rig *g;
	struct mate *a;

	(void)state;
	one_of(&o);
	port_down(o.port, 0);
	o.g->router->reach.tried = false;
	o.g->router->reach.started = o.g->router->now;
	g = o.g;
	a = o.a;
	join(a, B("news"), 1, 0);
	rig_run(g);
	GETS_NONE(a);
	rig_later(g, 1000);
	GETS(a, "subscribed news cookie=1 count=1");
	join(a, B("other"), 2, 0);
	rig_run(g);
	GETS(a, "subscribed other cookie=2 count=1");
	broker_done(&o.b);
}

/* Left before it was answered; a worker that dies. */
static void
test_taken_back(void **state)
{
	struct one o;
	struct mate *b;

	(void)state;
	one_of(&o);
	b = rig_worker(o.g, 2);
	o.port->mute = true;
	join(o.a, B("news"), 7, 0);
	join(b, B("other"), 8, 0);
	rig_run(o.g);
	leave(o.a, B("news"));
	mate_dies(b);
	rig_run(o.g);
	assert_true(TAILQ_EMPTY(&o.g->router->pending));
	join(o.a, B("news"), 9, 0);
	o.port->mute = false;
	broker_run(&o.b);
	GETS(o.a, "subscribed news cookie=9 count=1");
	GETS_NONE(o.a);
	broker_done(&o.b);
}

/* ---- cache channels ----------------------------------------------------- */

struct two {
	struct broker	 b;
	struct rig	*g, *h;
	struct mate	*a, *c;
};

static void
two_of(struct two *t)
{
	memset(t, 0, sizeof(*t));
	memset(&counter, 0, sizeof(counter));
	t->g = broker_rig(&t->b, "", 1);
	t->h = broker_rig(&t->b, "", 2);
	t->a = rig_worker(t->g, 1);
	t->c = rig_worker(t->h, 1);
	/* They tell each other what they hold: nothing. */
	for (int i = 0; i < 3; i++) {
		broker_run(&t->b);
		rig_later(t->g, 1000);
		rig_later(t->h, 0);
	}
	broker_run(&t->b);
	assert_false(t->h->router->sync.on);
}

/* A host that never saw the event replays it. */
static void
test_replay_of_another_host(void **state)
{
	struct two t;

	(void)state;
	two_of(&t);
	publish(t.a, 1, B("cache-x"), B("1"));
	publish(t.a, 2, B("cache-x"), B("2"));
	broker_run(&t.b);
	GETS(t.a, "ack 2");
	join(t.c, B("cache-x"), 5, JOIN_CACHE);
	broker_run(&t.b);
	GETS(t.c, "subscribed cache-x cookie=5 count=1 at=0 cached=\"e\":2");
	/* Live messages keep it current: nothing is asked for again. */
	publish(t.a, 3, B("cache-x"), B("3"));
	broker_run(&t.b);
	GETS(t.c, "deliver cache-x \"e\"=3 from=0 n=0 at=1");
	port_of(&t.b, t.h)->mute = true;
	join(t.c, B("cache-x"), 6, JOIN_CACHE);
	broker_run(&t.b);
	GETS(t.c, "subscribed cache-x cookie=6 count=2 at=1 cached=\"e\":3");
	GETS_NONE(t.c);
	broker_done(&t.b);
}

/* What was missed while the broker could not be reached. */
static void
test_missed_in_a_gap(void **state)
{
	struct two t;
	struct port *port;

	(void)state;
	two_of(&t);
	port = port_of(&t.b, t.h);
	join(t.c, B("cache-x"), 5, JOIN_CACHE);
	broker_run(&t.b);
	publish(t.a, 1, B("cache-x"), B("1"));
	broker_run(&t.b);
	free(t.c->lines[--t.c->n_lines]);
	free(t.c->lines[--t.c->n_lines]);
	port_down(port, 0);
	publish(t.a, 2, B("cache-x"), B("2"));
	broker_run(&t.b);
	/* Answered with what there is. */
	join(t.c, B("cache-x"), 6, JOIN_CACHE);
	rig_run(t.h);
	GETS(t.c, "subscribed cache-x cookie=6 count=2 at=1 cached=\"e\":1");
	port_up(port);
	join(t.c, B("cache-x"), 7, JOIN_CACHE);
	broker_run(&t.b);
	GETS(t.c, "subscribed cache-x cookie=7 count=3 at=1 cached=\"e\":2");
	broker_done(&t.b);
}

/* The answer is older than what came live meanwhile. */
static void
test_live_wins(void **state)
{
	struct two t;
	struct port *port;

	(void)state;
	two_of(&t);
	port = port_of(&t.b, t.h);
	publish(t.a, 1, B("cache-x"), B("1"));
	broker_run(&t.b);
	port->deaf = true;
	join(t.c, B("cache-x"), 5, JOIN_CACHE);
	broker_run(&t.b);
	/* Joined; the question and its answer are on their way. */
	assert_true(port_give(port));
	broker_run(&t.b);
	publish(t.a, 2, B("cache-x"), B("2"));
	broker_run(&t.b);
	GETS_NONE(t.c);
	port->deaf = false;
	broker_run(&t.b);
	GETS(t.c, "subscribed cache-x cookie=5 count=1 at=0 cached=\"e\":1");
	GETS(t.c, "deliver cache-x \"e\"=2 from=0 n=0 at=1");
	GETS_NONE(t.c);
	broker_done(&t.b);
}

/* A kept value that is none is counted, and the answer comes without it. */
static void
test_kept_garbage(void **state)
{
	struct two t;
	struct parcel *kept;

	(void)state;
	two_of(&t);
	publish(t.a, 1, B("cache-x"), B("1"));
	publish(t.a, 2, B("cache-y"), B("2"));
	broker_run(&t.b);
	kept = TAILQ_FIRST(&t.b.kept);
	kept->octets[0] = 'x';
	/* One that is kept under the name of another. */
	kept = TAILQ_NEXT(kept, link);
	kept->channel[kept->channel_n - 1] = 'z';
	join(t.c, B("cache-x"), 5, JOIN_CACHE);
	join(t.c, B("cache-z"), 6, JOIN_CACHE);
	broker_run(&t.b);
	GETS(t.c, "subscribed cache-x cookie=5 count=1");
	GETS(t.c, "subscribed cache-z cookie=6 count=1");
	assert_int_equal(counter.backplane_bad_envelope, 1);
	assert_int_equal(counter.backplane_bad_payload, 1);
	broker_done(&t.b);
}

static void
test_fetch_without_answer(void **state)
{
	struct two t;
	struct port *port;

	(void)state;
	two_of(&t);
	port = port_of(&t.b, t.h);
	port->mute = true;
	join(t.c, B("cache-x"), 5, JOIN_CACHE);
	rig_run(t.h);
	assert_true(port_listen(port));
	assert_true(port_give(port));
	rig_run(t.h);
	GETS_NONE(t.c);
	rig_later(t.h, 1000);
	GETS(t.c, "subscribed cache-x cookie=5 count=1");
	port->mute = false;
	broker_run(&t.b);
	GETS_NONE(t.c);
	broker_done(&t.b);
}

/* GET /channels/cache-x?info=cache on a host that does not listen to it. */
static void
test_question(void **state)
{
	struct two t;

	(void)state;
	two_of(&t);
	publish(t.a, 1, B("cache-x"), B("1"));
	broker_run(&t.b);
	SAY(t.c, query, .cookie = 3, .kind = QUERY_CHANNEL, .app = B("1"),
	    .name = B("cache-x"));
	broker_run(&t.b);
	GETS(t.c, "row cache-x 0/0 cached=\"e\":1 ttl=1800000");
	GETS(t.c, "done 3");
	/* The next event is not heard here, so it is asked for again. */
	publish(t.a, 2, B("cache-x"), B("2"));
	broker_run(&t.b);
	TAILQ_FIRST(&t.b.kept)->ttl = 5000;
	SAY(t.c, query, .cookie = 4, .kind = QUERY_CHANNEL, .app = B("1"),
	    .name = B("cache-x"));
	broker_run(&t.b);
	GETS(t.c, "row cache-x 0/0 cached=\"e\":2 ttl=5000");
	GETS(t.c, "done 4");
	/* A broker that does not say: what there is. */
	port_of(&t.b, t.h)->mute = true;
	SAY(t.c, query, .cookie = 5, .kind = QUERY_CHANNEL, .app = B("1"),
	    .name = B("cache-x"));
	rig_run(t.h);
	GETS_NONE(t.c);
	rig_later(t.h, 1000);
	GETS(t.c, "row cache-x 0/0 cached=\"e\":2 ttl=4000");
	GETS(t.c, "done 5");
	broker_done(&t.b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_for_the_join),
		cmocka_unit_test(test_nobody_hangs),
		cmocka_unit_test(test_start_without_broker),
		cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_replay_of_another_host),
		cmocka_unit_test(test_missed_in_a_gap),
		cmocka_unit_test(test_live_wins),
		cmocka_unit_test(test_kept_garbage),
		cmocka_unit_test(test_fetch_without_answer),
		cmocka_unit_test(test_question),
	};

	return cmocka_run_group_tests_name("pending", tests, NULL, NULL);
}
