/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/peer.c: acknowledgements, pressure, death of workers.
 */
#include "driver.h"

#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"

#define BIG	(1u << 20)	/* more than a socket takes at once */

static char big[BIG];

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
drop_lines(struct mate *w)
{
	while (w->n_lines > 0)
		free(w->lines[--w->n_lines]);
}

/* A worker that does not read holds back only what it should have got. */
static void
test_ack_waits_for_the_write(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2),
	    *c = rig_worker(g, 3);

	(void)state;
	join(b, B("big"));
	join(c, B("small"));
	rig_run(g);
	b->asleep = true;
	publish(c, 1, B("small"), B("1"));
	publish(a, 1, B("big"), bytes_of(big, sizeof(big)));
	rig_run(g);
	GETS_NONE(a);
	publish(a, 2, B("small"), B("2"));
	rig_run(g);
	/* Serials are acknowledged in order. */
	GETS_NONE(a);
	GETS(c, "deliver small \"e\"=1 from=3 n=1 at=1");
	GETS(c, "ack 1");
	GETS(c, "deliver small \"e\"=2 from=1 n=2 at=2");
	b->asleep = false;
	rig_run(g);
	GETS(a, "ack 2");
	GETS_NONE(a);
	rig_free(g);
}

static void
test_ack_of_many_batches(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	uint64_t n;

	(void)state;
	join(b, B("big"));
	rig_run(g);
	b->asleep = true;
	publish(a, 1, B("big"), bytes_of(big, sizeof(big)));
	for (n = 2; n < 2 + 2 * BATCHES_MAX; n++) {
		publish(a, n, B("big"), B("1"));
		rig_run(g);
	}
	GETS_NONE(a);
	assert_int_equal(a->peer->n_batches, BATCHES_MAX);
	b->asleep = false;
	rig_run(g);
	assert_int_equal(a->peer->n_batches, 0);
	assert_int_equal(b->n_lines, 2 * BATCHES_MAX + 1);
	assert_true(a->n_lines > 0);
	assert_string_equal(a->lines[a->n_lines - 1], "ack 129");
	rig_free(g);
}

static void
test_ack_when_the_target_dies(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	join(b, B("big"));
	rig_run(g);
	b->asleep = true;
	publish(a, 1, B("big"), bytes_of(big, sizeof(big)));
	rig_run(g);
	publish(a, 2, B("big"), B("1"));
	rig_run(g);
	GETS_NONE(a);
	mate_dies(b);
	rig_run(g);
	assert_true(a->n_lines > 0);
	assert_string_equal(a->lines[a->n_lines - 1], "ack 2");
	rig_free(g);
}

/* In the very turn in which it should have got something. */
static void
test_ack_when_the_target_dies_at_once(void **state)
{
	struct rig *g = rig_new("");
	struct mate *b = rig_worker(g, 2), *a = rig_worker(g, 1);

	(void)state;
	join(b, B("news"));
	rig_run(g);
	publish(a, 1, B("news"), B("1"));
	assert_true(write(a->fd, a->out.p, a->out.n) == (ssize_t)a->out.n);
	buf_clear(&a->out);
	ipc_read_now(a->peer->ipc);
	mate_dies(b);
	event_base_loop(g->base, EVLOOP_NONBLOCK);
	rig_run(g);
	GETS(a, "ack 1");
	rig_free(g);
}

/* Its own link needs no waiting: the ack comes behind the message. */
static void
test_ack_behind_own_message(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	join(a, B("big"));
	rig_run(g);
	publish(a, 1, B("big"), B("1"));
	rig_run(g);
	GETS(a, "deliver big \"e\"=1 from=1 n=1 at=1");
	GETS(a, "ack 1");
	rig_free(g);
}

static void
client_event(struct mate *w, uint64_t serial, struct bytes data)
{
	SAY(w, publish, .serial = serial, .app = B("1"), .channel = B("news"),
	    .event = B("\"e\""), .data = data, .flags = PUBLISH_CLIENT);
}

/* Nobody waits for it: it leaves with the next thing that does. */
static void
test_ack_of_client_events(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	join(b, B("news"));
	join(a, B("own"));
	rig_run(g);
	client_event(a, 1, B("1"));
	client_event(a, 2, B("2"));
	rig_run(g);
	GETS(b, "deliver news \"e\"=1 from=1 n=1 at=1");
	GETS(b, "deliver news \"e\"=2 from=1 n=2 at=2");
	GETS_NONE(a);
	publish(b, 1, B("own"), B("3"));
	rig_run(g);
	GETS(b, "ack 1");
	GETS(a, "deliver own \"e\"=3 from=2 n=1 at=1");
	GETS(a, "ack 2");
	/* Somebody waits for what came behind. */
	client_event(a, 3, B("4"));
	rig_run(g);
	GETS_NONE(a);
	publish(a, 4, B("news"), B("5"));
	rig_run(g);
	GETS(a, "ack 4");
	rig_free(g);
}

/* All that makes it leave alone. */
static void
test_ack_of_client_events_is_due(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	uint64_t n;

	(void)state;
	join(b, B("news"));
	rig_run(g);
	client_event(a, 1, B("1"));
	rig_run(g);
	GETS_NONE(a);
	rig_later(g, 1000);
	GETS(a, "ack 1");
	client_event(a, 2, B("1"));
	rig_run(g);
	GETS_NONE(a);
	SAY(a, mark, .cookie = 7);
	rig_run(g);
	GETS(a, "ack 2");
	GETS(a, "marked 7");
	for (n = 3; n < 200 && a->n_lines == 0; n++) {
		client_event(a, n, bytes_of(big, 1000));
		rig_run(g);
	}
	assert_in_range(n, 10, 30);
	drop_lines(a);
	client_event(a, n, B("1"));
	rig_run(g);
	GETS_NONE(a);
	g->router->stopping = true;
	g->router->last_moment = UINT64_MAX;
	rig_run(g);
	assert_int_equal(a->n_lines, 1);
	rig_free(g);
}

/* What is acknowledged by the way is not all that has piled up. */
static void
test_ack_of_a_part(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2),
	    *c = rig_worker(g, 3), *d = rig_worker(g, 4);

	(void)state;
	join(a, B("own"));
	join(b, B("news"));
	join(c, B("big"));
	rig_run(g);
	b->asleep = c->asleep = true;
	publish(d, 1, B("news"), bytes_of(big, sizeof(big)));
	publish(d, 2, B("big"), bytes_of(big, sizeof(big)));
	client_event(a, 1, B("1"));
	rig_run(g);
	SAY(a, publish, .serial = 2, .app = B("1"), .channel = B("big"),
	    .event = B("\"e\""), .data = bytes_of(big, 10000),
	    .flags = PUBLISH_CLIENT);
	rig_run(g);
	b->asleep = false;
	rig_run(g);
	publish(d, 3, B("own"), B("2"));
	rig_run(g);
	GETS(a, "deliver own \"e\"=2 from=4 n=3 at=1");
	GETS(a, "ack 1");
	SAY(a, publish, .serial = 3, .app = B("1"), .channel = B("big"),
	    .event = B("\"e\""), .data = bytes_of(big, 10000),
	    .flags = PUBLISH_CLIENT);
	rig_run(g);
	GETS_NONE(a);
	c->asleep = false;
	rig_run(g);
	assert_true(a->n_lines > 0);
	assert_string_equal(a->lines[a->n_lines - 1], "ack 3");
	rig_free(g);
}

/* The sender is the only one there: its worker is not told. */
static void
test_alone(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2),
	    *c = rig_worker(g, 3);
	unsigned alone = PUBLISH_CLIENT | PUBLISH_ALONE;

	(void)state;
	join(a, B("news"));
	rig_run(g);
	SAY(a, publish, .serial = 1, .app = B("1"), .channel = B("news"),
	    .event = B("\"e\""), .data = B("1"), .flags = alone);
	rig_run(g);
	GETS_NONE(a);
	join(b, B("news"));
	rig_run(g);
	SAY(a, publish, .serial = 2, .app = B("1"), .channel = B("news"),
	    .event = B("\"e\""), .data = B("2"), .flags = alone);
	rig_run(g);
	GETS(b, "deliver news \"e\"=2 from=1 n=2 at=2");
	GETS_NONE(a);
	join(c, B("news"));
	rig_run(g);
	SAY(a, publish, .serial = 3, .app = B("1"), .channel = B("news"),
	    .event = B("\"e\""), .data = B("3"), .flags = alone);
	client_event(a, 4, B("4"));
	rig_run(g);
	GETS(b, "deliver news \"e\"=3 from=1 n=3 at=3");
	GETS(b, "deliver news \"e\"=4 from=1 n=4 at=4");
	GETS(c, "deliver news \"e\"=3 from=1 n=3 at=3");
	GETS(c, "deliver news \"e\"=4 from=1 n=4 at=4");
	GETS(a, "deliver news \"e\"=4 from=1 n=4 at=4");
	GETS(a, "ack 4");
	GETS_NONE(a);
	rig_free(g);
}

static void
test_pressure(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2), *c;
	uint64_t n;

	(void)state;
	join(b, B("big"));
	rig_run(g);
	b->asleep = true;
	for (n = 1; n <= 10; n++)
		publish(a, n, B("big"), bytes_of(big, sizeof(big)));
	rig_run(g);
	GETS(a, "xoff");
	GETS_NONE(a);
	c = rig_worker(g, 3);
	GETS(c, "xoff");
	b->asleep = false;
	rig_run(g);
	assert_int_equal(b->n_lines, 12);
	assert_string_equal(b->lines[11], "xon");
	GETS(c, "xon");
	assert_true(a->n_lines >= 2);
	/* Ready for the next time, also if the slow one dies. */
	drop_lines(a);
	drop_lines(b);
	b->asleep = true;
	for (n = 11; n <= 20; n++)
		publish(a, n, B("big"), bytes_of(big, sizeof(big)));
	rig_run(g);
	GETS(a, "xoff");
	mate_dies(b);
	rig_run(g);
	assert_true(a->n_lines >= 2);
	assert_false(g->router->xoff);
	rig_free(g);
}

static void
test_stalled(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	join(b, B("big"));
	rig_run(g);
	b->asleep = true;
	publish(a, 1, B("big"), bytes_of(big, sizeof(big)));
	rig_run(g);
	rig_later(g, 4999);
	GETS_NONE(&g->master);
	rig_later(g, 1);
	rig_later(g, 1000);
	GETS(&g->master, "stalled 2 2");
	GETS_NONE(&g->master);
	rig_free(g);
}

/* Everything that a worker held goes with it. */
static void
test_death(void **state)
{
	struct rig *g = rig_new("max_connections = 2\n");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	counter = (struct counters){ 0 };
	SAY(a, signin, .app = B("1"), .conn = 9, .user = B("u"),
	    .watch_out = { (struct bytes[]){ B("v"), B("w") }, 2 });
	SAY(b, signin, .app = B("1"), .conn = 5, .user = B("v"),
	    .watch_out = { (struct bytes[]){ B("u"), B("z") }, 2 });
	SAY(b, join, .app = B("1"), .channel = B("news"), .n = 3);
	SAY(b, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .user = B("v"), .member = B("{}"), .flags = JOIN_PRESENCE);
	SAY(b, load, .app = B("1"), .open = 2, .subscribed = 1);
	rig_run(g);
	SAY(a, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .user = B("u"), .member = B("{}"), .flags = JOIN_PRESENCE);
	SAY(a, connect, .app = B("1"), .conn = 3);
	rig_run(g);
	drop_lines(a);
	assert_int_equal(counter.users, 2);
	assert_int_equal(counter.members, 2);
	assert_int_equal(counter.channels, 2);
	/* What it wrote before its death counts. */
	SAY(b, publish, .serial = 1, .app = B("1"),
	    .channel = B("presence-r"), .event = B("\"last\""));
	SAY(b, query, .cookie = 1, .kind = QUERY_CHANNELS, .app = B("1"));
	assert_true(write(b->fd, b->out.p, b->out.n) == (ssize_t)b->out.n);
	buf_clear(&b->out);
	mate_dies(b);
	rig_run(g);
	GETS(a, "deliver presence-r \"last\"= from=2 n=1 at=1");
	GETS(a, "removed presence-r v");
	GETS(a, "watch 9 offline=v");
	GETS_NONE(a);
	SAY(a, connect, .app = B("1"), .conn = 4);
	SAY(a, query, .cookie = 1, .kind = QUERY_CHANNELS, .app = B("1"));
	rig_run(g);
	GETS(a, "grant 4 1");
	GETS(a, "row presence-r 1/1");
	GETS(a, "done 1");
	assert_int_equal(counter.users, 1);
	assert_int_equal(counter.members, 1);
	assert_int_equal(counter.channels, 1);
	rig_free(g);
	assert_int_equal(counter.users, 0);
	assert_int_equal(counter.members, 0);
	assert_int_equal(counter.channels, 0);
}

static bool
is_there(struct rig *g, const struct mate *w)
{
	struct peer *p;

	TAILQ_FOREACH(p, &g->router->peers, link) {
		if (p == w->peer)
			return true;
	}
	return false;
}

static void
test_who_may_say_what(void **state)
{
	struct rig *g = rig_new("");
	struct mate *early = rig_stranger(g, 1), *liar = rig_stranger(g, 2),
	    *master = rig_stranger(g, 3), *good = rig_worker(g, 4);

	(void)state;
	SAY(early, synced, .end_ = "");
	SAY(liar, hello, .version = MSG_VERSION, .slot = 7,
	    .generation = liar->generation);
	SAY(master, hello, .version = MSG_VERSION, .slot = 3,
	    .generation = master->generation);
	SAY(master, stop, .grace_ms = 0);
	rig_run(g);
	assert_false(is_there(g, early));
	assert_false(is_there(g, liar));
	assert_false(is_there(g, master));
	assert_true(is_there(g, good));
	assert_false(g->router->stopping);
	rig_free(g);
}

/* The master's words come in more than one read, or it dies before the second. */
static void
test_before_the_settings(void **state)
{
	struct event_base *base = event_base_new();
	struct router *r;
	int fds[2];

	(void)state;
	assert_int_equal(ipc_pair(fds), 0);
	r = router_new(base, fds[0]);
	assert_false(router_turn(r));
	router_tick(r);
	close(fds[1]);
	event_base_loop(base, EVLOOP_NONBLOCK);
	router_turn(r);
	assert_true(r->done);
	router_free(r);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ack_waits_for_the_write),
		cmocka_unit_test(test_ack_of_many_batches),
		cmocka_unit_test(test_ack_when_the_target_dies),
		cmocka_unit_test(test_ack_when_the_target_dies_at_once),
		cmocka_unit_test(test_ack_behind_own_message),
		cmocka_unit_test(test_ack_of_client_events),
		cmocka_unit_test(test_ack_of_client_events_is_due),
		cmocka_unit_test(test_ack_of_a_part),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_stalled),
		cmocka_unit_test(test_death),
		cmocka_unit_test(test_who_may_say_what),
		cmocka_unit_test(test_before_the_settings),
	};

	memset(big, '1', sizeof(big));
	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
