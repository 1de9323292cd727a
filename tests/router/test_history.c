/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/history.c: the last message of cache channels.
 */
#include "driver.h"

#include "common/counters.h"

static void
publish(struct mate *w, uint64_t serial, struct bytes channel,
    struct bytes data, uint64_t flags)
{
	SAY(w, publish, .serial = serial, .app = B("1"), .channel = channel,
	    .event = B("\"e\""), .data = data, .flags = flags);
}

static void
join(struct mate *w, struct bytes channel, uint64_t cookie)
{
	SAY(w, join, .app = B("1"), .channel = channel, .n = 1,
	    .cookie = cookie, .flags = JOIN_CACHE);
}

static void
leave(struct mate *w, struct bytes channel)
{
	SAY(w, leave, .app = B("1"), .channel = channel, .n = 1);
}

static void
ask(struct mate *w, struct bytes channel, uint64_t cookie)
{
	SAY(w, query, .cookie = cookie, .kind = QUERY_CHANNEL, .app = B("1"),
	    .name = channel);
}

/* Kept without subscribers, and the position goes on from it. */
static void
test_last_message(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	publish(a, 1, B("cache-x"), B("1"), PUBLISH_CACHE);
	publish(a, 2, B("cache-x"), B("\"second\""), PUBLISH_CACHE);
	publish(a, 3, B("cache-x"), B("3"), PUBLISH_CACHE | PUBLISH_CLIENT);
	join(a, B("cache-x"), 1);
	rig_run(g);
	GETS(a, "subscribed cache-x cookie=1 count=1 at=3"
	    " cached=\"e\":\"second\"");
	GETS(a, "ack 3");
	leave(a, B("cache-x"));
	join(a, B("cache-x"), 2);
	join(a, B("cache-y"), 3);
	rig_run(g);
	GETS(a, "subscribed cache-x cookie=2 count=1 at=3"
	    " cached=\"e\":\"second\"");
	GETS(a, "subscribed cache-y cookie=3 count=1");
	rig_free(g);
}

static void
test_expiry(void **state)
{
	struct rig *g = rig_new("[router]\ncache_ttl = 10s\n");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	counter.cached = 0;
	publish(a, 1, B("cache-x"), B("1"), PUBLISH_CACHE);
	rig_run(g);
	GETS(a, "ack 1");
	rig_later(g, 4000);
	ask(a, B("cache-x"), 1);
	rig_run(g);
	GETS(a, "row cache-x 0/0 cached=\"e\":1 ttl=6000");
	GETS(a, "done 1");
	/* A new message starts anew; channels with only a message are not
	 * occupied. */
	publish(a, 2, B("cache-x"), B("2"), PUBLISH_CACHE);
	SAY(a, query, .cookie = 2, .kind = QUERY_CHANNELS, .app = B("1"));
	rig_run(g);
	GETS(a, "done 2");
	GETS(a, "ack 2");
	rig_later(g, 9999);
	ask(a, B("cache-x"), 3);
	rig_run(g);
	GETS(a, "row cache-x 0/0 cached=\"e\":2 ttl=1");
	GETS(a, "done 3");
	rig_later(g, 1);
	ask(a, B("cache-x"), 4);
	rig_run(g);
	GETS(a, "done 4");
	assert_int_equal(counter.cached, 0);
	assert_true(TAILQ_EMPTY(&census_get(g->router, B("1"))->order));
	rig_free(g);
}

/* Expired but not purged yet: not given out. */
static void
test_expired_is_not_given(void **state)
{
	struct rig *g = rig_new("[router]\ncache_ttl = 10s\n");
	struct mate *a = rig_worker(g, 1);
	struct bytes event, data;
	struct route *t;

	(void)state;
	publish(a, 1, B("cache-x"), B("1"), PUBLISH_CACHE);
	join(a, B("cache-x"), 0);
	rig_run(g);
	t = route_find(census_get(g->router, B("1")), B("cache-x"));
	assert_true(history_get(t, &event, &data));
	g->router->now += 10000;
	assert_false(history_get(t, &event, &data));
	assert_int_equal(history_ttl(t), 0);
	rig_free(g);
}

static void
test_size(void **state)
{
	static char big[30000];
	struct rig *g = rig_new("[router]\ncache_size = 64k\n");
	struct mate *a = rig_worker(g, 1);
	struct bytes data = bytes_of(big, sizeof(big));

	(void)state;
	counter.cached = 0;
	memset(big, '1', sizeof(big));
	publish(a, 1, B("cache-1"), data, PUBLISH_CACHE);
	publish(a, 2, B("cache-2"), data, PUBLISH_CACHE);
	/* The same channel again: the oldest is cache-2 now. */
	publish(a, 3, B("cache-1"), data, PUBLISH_CACHE);
	rig_run(g);
	assert_int_equal(counter.cached, 2);
	publish(a, 4, B("cache-3"), data, PUBLISH_CACHE);
	rig_run(g);
	assert_int_equal(counter.cached, 2);
	assert_null(route_find(census_get(g->router, B("1")), B("cache-2")));
	assert_non_null(route_find(census_get(g->router, B("1")),
	    B("cache-1")));
	assert_true(g->router->history.octets <= 65536);
	/* What is too large alone is not kept, nor what it replaces. */
	data = bytes_of(xcalloc(1, 70000), 70000);
	publish(a, 5, B("cache-3"), data, PUBLISH_CACHE);
	rig_run(g);
	free((char *)(uintptr_t)data.p);
	assert_int_equal(counter.cached, 1);
	assert_null(route_find(census_get(g->router, B("1")), B("cache-3")));
	publish(a, 6, B("cache-1"), B("1"), PUBLISH_CACHE);
	rig_run(g);
	assert_true(g->router->history.octets < 1000);
	rig_free(g);
	assert_int_equal(counter.cached, 0);
}

static void
test_live_settings(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	publish(a, 1, B("cache-x"), B("1"), PUBLISH_CACHE);
	rig_run(g);
	GETS(a, "ack 1");
	rig_later(g, 2000);
	rig_settings(g, "[router]\ncache_ttl = 1s\n");
	ask(a, B("cache-x"), 1);
	rig_run(g);
	GETS(a, "done 1");
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_message),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_expired_is_not_given),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_live_settings),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
