/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/route.c: the way of a message, its numbers, its order.
 */
#include "driver.h"

static void
join(struct mate *w, struct bytes channel, uint64_t cookie)
{
	SAY(w, join, .app = B("1"), .channel = channel, .n = 1,
	    .cookie = cookie);
}

static void
publish(struct mate *w, uint64_t serial, struct bytes channel,
    struct bytes data)
{
	SAY(w, publish, .serial = serial, .app = B("1"), .channel = channel,
	    .event = B("\"e\""), .data = data);
}

static void
test_only_subscribers_get_it(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2),
	    *c = rig_worker(g, 3);

	(void)state;
	join(b, B("news"), 1);
	join(c, B("other"), 2);
	rig_run(g);
	GETS(b, "subscribed news cookie=1 count=1");
	GETS(c, "subscribed other cookie=2 count=1");
	publish(a, 1, B("news"), B("1"));
	publish(a, 2, B("nobody"), B("2"));
	publish(a, 3, B("news"), B("3"));
	rig_run(g);
	GETS(b, "deliver news \"e\"=1 from=1 n=1 at=1");
	GETS(b, "deliver news \"e\"=3 from=1 n=3 at=2");
	GETS_NONE(b);
	GETS_NONE(c);
	GETS(a, "ack 3");
	GETS_NONE(a);
	rig_free(g);
}

static void
test_applications_are_apart(void **state)
{
	struct rig *g = rig_new("[app two]\nid = 2\nkey = k2\nsecret = s\n");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	join(a, B("news"), 0);
	SAY(a, publish, .serial = 1, .app = B("2"), .channel = B("news"),
	    .event = B("\"e\""));
	rig_run(g);
	GETS(a, "ack 1");
	GETS_NONE(a);
	rig_free(g);
}

/* All workers see the same order, whoever published. */
static void
test_one_order(void **state)
{
	struct rig *g = rig_new("");
	struct mate *w[3];
	size_t i, k;

	(void)state;
	for (i = 0; i < 3; i++) {
		w[i] = rig_worker(g, (unsigned)i + 1);
		join(w[i], B("news"), 0);
	}
	rig_run(g);
	for (k = 1; k <= 20; k++) {
		for (i = 0; i < 3; i++)
			publish(w[i], k, B("news"), B("1"));
		if (k % 4 == 0)
			rig_run(g);
	}
	for (i = 0; i < 3; i++) {
		/* Acknowledgements come in between. */
		for (k = 0; k < w[i]->n_lines; k++) {
			if (strncmp(w[i]->lines[k], "ack", 3) != 0)
				continue;
			free(w[i]->lines[k]);
			memmove(w[i]->lines + k, w[i]->lines + k + 1,
			    (--w[i]->n_lines - k) * sizeof(char *));
			k--;
		}
		assert_int_equal(w[i]->n_lines, 60);
		for (k = 0; k < 60; k++)
			assert_string_equal(w[i]->lines[k], w[0]->lines[k]);
	}
	rig_free(g);
}

/* What a worker repeats on the same link is not routed again. */
static void
test_repeated_serials(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	join(b, B("news"), 0);
	rig_run(g);
	publish(a, 5, B("news"), B("5"));
	rig_run(g);
	publish(a, 4, B("news"), B("4"));
	publish(a, 5, B("news"), B("5"));
	publish(a, 6, B("news"), B("6"));
	rig_run(g);
	GETS(b, "deliver news \"e\"=5 from=1 n=5 at=1");
	GETS(b, "deliver news \"e\"=6 from=1 n=6 at=2");
	GETS_NONE(b);
	GETS(a, "ack 5");
	GETS(a, "ack 6");
	rig_free(g);
}

/* A channel that is dropped and made again starts with another epoch. */
static void
test_position(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);
	struct census *c = census_get(g->router, B("1"));
	uint64_t epoch;

	(void)state;
	join(a, B("news"), 0);
	publish(a, 1, B("news"), B("1"));
	rig_run(g);
	epoch = route_find(c, B("news"))->epoch;
	assert_int_equal(route_find(c, B("news"))->offset, 1);
	SAY(a, leave, .app = B("1"), .channel = B("news"), .n = 1);
	rig_run(g);
	assert_null(route_find(c, B("news")));
	join(a, B("news"), 0);
	rig_run(g);
	assert_true(route_find(c, B("news"))->epoch > epoch);
	assert_int_equal(route_find(c, B("news"))->offset, 0);
	rig_free(g);
}

static void
test_kick(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	SAY(a, kick, .serial = 1, .app = B("1"), .user = B("u"));
	SAY(a, kick, .serial = 1, .app = B("1"), .user = B("u"));
	rig_run(g);
	GETS(b, "terminate u");
	GETS_NONE(b);
	GETS(a, "terminate u");
	GETS(a, "ack 1");
	GETS_NONE(a);
	rig_free(g);
}

/* Joins that are no joins end the link, not the router. */
static void
test_bad_join(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	SAY(a, join, .app = B("1"), .channel = B("x"), .n = 0);
	SAY(b, leave, .app = B("1"), .channel = B("x"), .n = 1);
	SAY(b, leave, .app = B("9"), .channel = B("x"), .n = 1,
	    .user = B("u"));
	rig_run(g);
	assert_ptr_equal(TAILQ_FIRST(&g->router->peers), b->peer);
	assert_null(TAILQ_NEXT(b->peer, link));
	rig_free(g);
}

/* ---- a backplane that takes its time ------------------------------------ */

static const struct backplane_up *slow_up;
static void *slow_ctx;

static void *
slow_open(const struct config_backplane *set, struct event_base *base,
    const struct backplane_up *up, void *ctx, const char **why)
{
	(void)set, (void)base, (void)why;
	slow_up = up;
	slow_ctx = ctx;
	return &slow_up;
}

static void
slow_close(void *self)
{
	(void)self;
}

static void
slow_topic(void *self, const struct topic *t)
{
	(void)self, (void)t;
}

static void
slow_join(void *self, const struct topic *t, struct position since)
{
	(void)self, (void)t, (void)since;
}

static void
slow_publish(void *self, const struct topic *t, struct bytes octets,
    uint64_t cookie)
{
	(void)self, (void)t, (void)octets, (void)cookie;
}

static const struct backplane slow = {
	.name = "slow", .open = slow_open, .close = slow_close,
	.start = slow_close, .flush = slow_close,
	.join = slow_join, .leave = slow_topic, .publish = slow_publish,
};

static void
test_slow_backplane(void **state)
{
	struct rig *g = rig_backplane("", &slow);
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	struct topic news = { .app = B("1"), .channel = B("news") };
	const struct position nowhere = { 0, 0 };

	(void)state;
	slow_up->up(slow_ctx);
	join(a, B("news"), 1);
	join(a, B("other"), 2);
	join(b, B("news"), 3);
	rig_run(g);
	GETS_NONE(a);
	mate_dies(b);
	rig_run(g);
	slow_up->joined(slow_ctx, &news, nowhere);
	rig_run(g);
	GETS(a, "subscribed news cookie=1 count=1");
	/* Taken back before it was answered: never answered. */
	SAY(a, leave, .app = B("1"), .channel = B("other"), .n = 1);
	rig_run(g);
	news.channel = B("other");
	slow_up->joined(slow_ctx, &news, nowhere);
	join(a, B("news"), 4);
	rig_run(g);
	GETS(a, "subscribed news cookie=4 count=2");
	GETS_NONE(a);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_subscribers_get_it),
		cmocka_unit_test(test_applications_are_apart),
		cmocka_unit_test(test_one_order),
		cmocka_unit_test(test_repeated_serials),
		cmocka_unit_test(test_position),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_bad_join),
		cmocka_unit_test(test_slow_backplane),
	};

	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
