/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/replay.c and room.c: what is kept of rooms, for whom, how
 * long; and their names on a broker that others share.
 */
#include "broker.h"

#include <inttypes.h>
#include <stdio.h>

#include "router/room.h"

#define ROOMS	"[rooms]\napp = 1\nhistory = 3\nhistory_ttl = 60s\n"

static void
publish(struct mate *w, uint64_t serial, const char *channel, const char *text)
{
	SAY(w, publish, .serial = serial, .app = B("1"),
	    .channel = bytes_str(channel), .event = B("\"message\""),
	    .data = bytes_str(text), .flags = PUBLISH_TEXT);
}

static void
join(struct mate *w, const char *channel, uint64_t cookie, uint64_t flags,
    uint64_t epoch, uint64_t offset)
{
	SAY(w, join, .app = B("1"), .channel = bytes_str(channel), .n = 1,
	    .cookie = cookie, .flags = flags, .since_epoch = epoch,
	    .since_offset = offset);
}

static void
leave(struct mate *w, const char *channel)
{
	SAY(w, leave, .app = B("1"), .channel = bytes_str(channel), .n = 1);
}

static struct route *
find(struct rig *g, const char *channel)
{
	return route_find(census_get(g->router, B("1")), bytes_str(channel));
}

/* The epoch of a channel that is there. */
static uint64_t
epoch(struct rig *g, const char *channel)
{
	struct route *t = find(g, channel);

	assert_non_null(t);
	return t->epoch;
}

static void
say_three(struct rig *g, struct mate *a, struct mate *b)
{
	publish(b, 1, "room-7", "one");
	publish(b, 2, "room-7", "");
	publish(b, 3, "room-7", "three");
	rig_run(g);
	GETS(a, "deliver room-7 \"message\"=one from=2 n=1 at=1");
	GETS(a, "deliver room-7 \"message\"= from=2 n=2 at=2");
	GETS(a, "deliver room-7 \"message\"=three from=2 n=3 at=3");
	GETS(b, "ack 3");
}

static void
test_replay(void **state)
{
	struct rig *g = rig_new(ROOMS);
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	uint64_t e;

	(void)state;
	join(a, "room-7", 1, JOIN_REPLAY, 0, 0);
	rig_run(g);
	GETS(a, "subscribed room-7 cookie=1 count=1");
	say_three(g, a, b);
	e = epoch(g, "room-7");
	join(b, "room-7", 2, JOIN_REPLAY, e, 1);
	rig_run(g);
	GETS(b, "replay room-7 cookie=2 \"message\"= text at=2");
	GETS(b, "replay room-7 cookie=2 \"message\"=three text at=3");
	GETS(b, "subscribed room-7 cookie=2 count=2");
	/* Only three are kept. */
	publish(b, 4, "room-7", "four");
	join(b, "room-7", 3, JOIN_REPLAY, e, 0);
	join(b, "room-7", 4, JOIN_REPLAY, e, 4);
	join(b, "room-7", 5, JOIN_REPLAY, e + 1, 0);
	join(b, "room-7", 6, JOIN_REPLAY, 0, 0);
	join(b, "room-7", 7, 0, e, 0);
	rig_run(g);
	GETS(b, "deliver room-7 \"message\"=four from=2 n=4 at=4");
	GETS(b, "replay room-7 cookie=3 \"message\"= text at=2");
	GETS(b, "replay room-7 cookie=3 \"message\"=three text at=3");
	GETS(b, "replay room-7 cookie=3 \"message\"=four text at=4");
	GETS(b, "subscribed room-7 cookie=3 count=3");
	GETS(b, "subscribed room-7 cookie=4 count=4");
	GETS(b, "subscribed room-7 cookie=5 count=5");
	GETS(b, "subscribed room-7 cookie=6 count=6");
	GETS(b, "subscribed room-7 cookie=7 count=7");
	rig_free(g);
}

/* No room, or nobody who would come back. */
static void
test_not_kept(void **state)
{
	struct rig *g = rig_new(ROOMS "[rooms b]\napp = 1\npath = /b\n"
	    "sse_path = /b/\nchannel = none-\nhistory = 0\n");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	join(a, "room-7", 0, 0, 0, 0);
	join(a, "other-7", 0, JOIN_REPLAY, 0, 0);
	join(a, "none-7", 0, JOIN_REPLAY, 0, 0);
	publish(a, 1, "room-7", "x");
	publish(a, 2, "other-7", "x");
	publish(a, 3, "none-7", "x");
	publish(a, 4, "room-8", "x");
	rig_run(g);
	assert_null(find(g, "room-7")->replay);
	assert_null(find(g, "other-7")->replay);
	assert_null(find(g, "none-7")->replay);
	assert_null(find(g, "room-8"));
	assert_int_equal(g->router->replays.octets, 0);
	rig_free(g);
}

/* Who comes back in time has missed nothing, even if nobody was there. */
static void
test_deserted(void **state)
{
	struct rig *g = rig_new(ROOMS);
	struct mate *a = rig_worker(g, 1);
	uint64_t e;

	(void)state;
	join(a, "room-7", 0, JOIN_REPLAY, 0, 0);
	rig_run(g);
	e = epoch(g, "room-7");
	leave(a, "room-7");
	rig_run(g);
	rig_later(g, 59000);
	publish(a, 1, "room-7", "x");
	join(a, "room-7", 1, JOIN_REPLAY, e, 0);
	rig_run(g);
	GETS(a, "replay room-7 cookie=1 \"message\"=x text at=1");
	GETS(a, "subscribed room-7 cookie=1 count=1");
	GETS(a, "ack 1");
	/* A worker that dies leaves too. */
	mate_dies(a);
	rig_run(g);
	rig_later(g, 59999);
	assert_int_equal(epoch(g, "room-7"), e);
	rig_later(g, 1);
	assert_null(find(g, "room-7"));
	assert_int_equal(g->router->replays.octets, 0);
	a = rig_worker(g, 2);
	join(a, "room-7", 2, JOIN_REPLAY, e, 0);
	rig_run(g);
	GETS(a, "subscribed room-7 cookie=2 count=1");
	assert_int_not_equal(epoch(g, "room-7"), e);
	rig_free(g);
}

static void
test_time(void **state)
{
	struct rig *g = rig_new(ROOMS "[rooms b]\napp = 1\npath = /b\n"
	    "sse_path = /b/\nchannel = long-\nhistory_ttl = 1h\n");
	struct mate *a = rig_worker(g, 1);
	uint64_t e;

	(void)state;
	join(a, "room-7", 0, JOIN_REPLAY, 0, 0);
	join(a, "long-7", 0, JOIN_REPLAY, 0, 0);
	publish(a, 1, "room-7", "old");
	publish(a, 2, "long-7", "x");
	rig_run(g);
	GETS(a, "deliver room-7 \"message\"=old from=1 n=1 at=1");
	GETS(a, "deliver long-7 \"message\"=x from=1 n=2 at=1");
	GETS(a, "ack 2");
	e = epoch(g, "room-7");
	rig_later(g, 59999);
	publish(a, 3, "room-7", "new");
	rig_run(g);
	GETS(a, "deliver room-7 \"message\"=new from=1 n=3 at=2");
	GETS(a, "ack 3");
	rig_later(g, 1);
	join(a, "room-7", 1, JOIN_REPLAY, e, 0);
	join(a, "long-7", 2, JOIN_REPLAY, epoch(g, "long-7"), 0);
	rig_run(g);
	GETS(a, "replay room-7 cookie=1 \"message\"=new text at=2");
	GETS(a, "subscribed room-7 cookie=1 count=2");
	GETS(a, "replay long-7 cookie=2 \"message\"=x text at=1");
	GETS(a, "subscribed long-7 cookie=2 count=2");
	rig_free(g);
}

/* All together within cache_size, and cache channels first. */
static void
test_size(void **state)
{
	static char big[20001];
	struct rig *g = rig_new("[router]\ncache_size = 64k\n" ROOMS);
	struct mate *a = rig_worker(g, 1);
	struct replays *all = &g->router->replays;
	uint64_t e;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	join(a, "room-1", 0, JOIN_REPLAY, 0, 0);
	join(a, "room-2", 0, JOIN_REPLAY, 0, 0);
	rig_run(g);
	e = epoch(g, "room-1");
	publish(a, 1, "room-1", big);
	publish(a, 2, "room-1", big);
	publish(a, 3, "room-2", big);
	rig_run(g);
	assert_true(all->octets > 60000 && all->octets <= 65536);
	publish(a, 4, "room-2", big);
	rig_run(g);
	assert_true(all->octets > 60000 && all->octets <= 65536);
	join(a, "room-1", 9, JOIN_REPLAY, e, 1);
	rig_run(g);
	assert_int_equal(epoch(g, "room-1"), e);
	SAY(a, publish, .serial = 5, .app = B("1"), .channel = B("cache-x"),
	    .event = B("\"e\""), .data = bytes_str(big),
	    .flags = PUBLISH_CACHE);
	rig_run(g);
	rig_later(g, 1000);
	assert_true(all->octets < 50000);
	assert_true(all->octets + g->router->history.octets <= 65536);
	rig_free(g);
}

static void
test_many_deserted(void **state)
{
	struct rig *g = rig_new("[router]\ncache_size = 64k\n" ROOMS);
	struct mate *a = rig_worker(g, 1);
	char name[40];
	unsigned i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "room-%u", i);
		join(a, name, 0, JOIN_REPLAY, 0, 0);
		leave(a, name);
	}
	rig_run(g);
	rig_later(g, 1000);
	assert_true(g->router->replays.octets <= 65536);
	assert_null(find(g, "room-1"));
	assert_non_null(find(g, "room-999"));
	rig_free(g);
}

/* A deserted room that there is no memory for stays while a message of it goes
 * its way. */
static void
test_no_room_for_deserted(void **state)
{
	static char big[20001];
	struct rig *g = rig_new("[router]\ncache_size = 64k\n" ROOMS);
	struct mate *a = rig_worker(g, 1);
	char name[40];
	unsigned i;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "room-%u", i);
		join(a, name, 0, JOIN_REPLAY, 0, 0);
		leave(a, name);
	}
	rig_run(g);
	rig_later(g, 1000);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "room-%u", i);
		if (find(g, name) != NULL)
			break;
	}
	SAY(a, publish, .serial = 1, .app = B("1"), .channel = B("cache-x"),
	    .event = B("\"e\""), .data = bytes_str(big),
	    .flags = PUBLISH_CACHE);
	publish(a, 2, name, "x");
	rig_run(g);
	GETS(a, "ack 2");
	rig_later(g, 1000);
	assert_null(find(g, name));
	rig_free(g);
}

/* Fewer, or none: at once, or with the next message. */
static void
test_settings(void **state)
{
	struct rig *g = rig_new(ROOMS);
	struct mate *a = rig_worker(g, 1);
	uint64_t e;

	(void)state;
	join(a, "room-7", 0, JOIN_REPLAY, 0, 0);
	publish(a, 1, "room-7", "one");
	publish(a, 2, "room-7", "two");
	rig_run(g);
	GETS(a, "deliver room-7 \"message\"=one from=1 n=1 at=1");
	GETS(a, "deliver room-7 \"message\"=two from=1 n=2 at=2");
	GETS(a, "ack 2");
	e = epoch(g, "room-7");
	rig_settings(g, "[rooms]\napp = 1\nhistory = 1\n");
	publish(a, 3, "room-7", "three");
	join(a, "room-7", 1, JOIN_REPLAY, e, 0);
	rig_run(g);
	GETS(a, "deliver room-7 \"message\"=three from=1 n=3 at=3");
	GETS(a, "replay room-7 cookie=1 \"message\"=three text at=3");
	GETS(a, "subscribed room-7 cookie=1 count=2");
	GETS(a, "ack 3");
	rig_settings(g, "");
	publish(a, 4, "room-7", "four");
	join(a, "room-7", 2, JOIN_REPLAY, e, 0);
	rig_run(g);
	GETS(a, "deliver room-7 \"message\"=four from=1 n=4 at=4");
	GETS(a, "subscribed room-7 cookie=2 count=3");
	GETS(a, "ack 4");
	rig_later(g, 1000);
	assert_true(TAILQ_EMPTY(&g->router->replays.order));
	rig_free(g);
}

/* ---- with other hosts ---------------------------------------------------- */

/* A deserted room goes on listening to what other hosts say. */
static void
test_hosts(void **state)
{
	struct broker b = { 0 };
	struct rig *g = broker_rig(&b, ROOMS, 1), *h = broker_rig(&b, ROOMS, 2);
	struct mate *a, *c;
	uint64_t e;

	(void)state;
	broker_run(&b);
	a = rig_worker(g, 1);
	c = rig_worker(h, 1);
	join(a, "room-7", 0, JOIN_REPLAY, 0, 0);
	broker_run(&b);
	e = epoch(g, "room-7");
	leave(a, "room-7");
	broker_run(&b);
	publish(c, 1, "room-7", "from afar");
	broker_run(&b);
	join(a, "room-7", 1, JOIN_REPLAY, e, 0);
	broker_run(&b);
	GETS(a, "replay room-7 cookie=1 \"message\"=from afar text at=1");
	GETS(a, "subscribed room-7 cookie=1 count=1");
	/* Then it does not. */
	leave(a, "room-7");
	broker_run(&b);
	assert_true(find(g, "room-7")->joined);
	rig_later(g, 60000);
	broker_run(&b);
	assert_null(find(g, "room-7"));
	broker_done(&b);
}

/* ---- names ---------------------------------------------------------------- */

static void
test_names(void **state)
{
	struct rig *g = rig_new("[backplane]\ndriver = redis\n[rooms]\n"
	    "app = 1\nwire = raw\n[rooms b]\napp = 1\npath = /b\n"
	    "sse_path = /b/\nchannel = b-\n");
	struct buf name = { 0 };
	struct bytes app;

	(void)state;
	assert_true(room_raw_name(g->router, B("1"), B("room-7"), &name));
	assert_true(bytes_eq(buf_view(&name), B("chat:7")));
	buf_clear(&name);
	assert_false(room_raw_name(g->router, B("1"), B("b-7"), &name));
	assert_false(room_raw_name(g->router, B("2"), B("room-7"), &name));
	assert_false(room_raw_name(g->router, B("1"), B("room-"), &name));
	assert_int_equal(name.n, 0);
	assert_true(room_of_raw_name(g->router, B("chat:a:b"), &app, &name));
	assert_true(bytes_eq(app, B("1")));
	assert_true(bytes_eq(buf_view(&name), B("room-a:b")));
	assert_false(room_of_raw_name(g->router, B("chat:"), &app, &name));
	assert_false(room_of_raw_name(g->router, B("chat"), &app, &name));
	buf_done(&name);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_not_kept),
		cmocka_unit_test(test_deserted),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_many_deserted),
		cmocka_unit_test(test_no_room_for_deserted),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
