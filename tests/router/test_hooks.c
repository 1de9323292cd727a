/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/hooks.c, hooks_tell.c and roll.c: what the courier is told by
 * one router, and what it is told again.  When one router follows another, and
 * over several hosts: test_hooks_hosts.c.
 */
#include "courier.h"

#include <stdio.h>

#include <event2/event.h>

#include "common/log.h"

/* ---- states ------------------------------------------------------------------- */

static void
test_channels(void **state)
{
	struct rig *g = rig_new(STATES);
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	join(a, "n", 0);
	join(b, "n", 0);
	rig_run(g);
	GETS(k, "occupied n");
	leave(a, "n");
	rig_run(g);
	GETS_NONE(k);
	leave(b, "n");
	rig_run(g);
	GETS(k, "vacated n");
	/* All of it in one turn. */
	join(a, "n", 0);
	leave(a, "n");
	join(b, "n", 0);
	rig_run(g);
	GETS(k, "occupied n");
	GETS(k, "vacated n");
	GETS(k, "occupied n");
	/* It expects some: nobody is there. */
	SAY(a, join, .app = B("1"), .channel = B("x"), .flags = JOIN_HEIR);
	rig_run(g);
	GETS_NONE(k);
	mate_dies(b);
	rig_run(g);
	GETS(k, "vacated n");
	GETS_NONE(k);
	rig_free(g);
}

/* The channel first when somebody comes, last when all have gone. */
static void
test_members(void **state)
{
	struct rig *g = rig_new(STATES);
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	enter(a, "presence-r", "ann", 0);
	enter(b, "presence-r", "ann", 0);
	enter(b, "presence-r", "bob", 0);
	rig_run(g);
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "added presence-r bob");
	go(a, "presence-r", "ann");
	rig_run(g);
	GETS_NONE(k);
	go(b, "presence-r", "ann");
	go(b, "presence-r", "bob");
	rig_run(g);
	GETS(k, "removed presence-r ann");
	GETS(k, "removed presence-r bob");
	GETS(k, "vacated presence-r");
	enter(a, "presence-r", "ann", 0);
	enter(b, "presence-r", "bob", 0);
	rig_run(g);
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "added presence-r bob");
	mate_dies(b);
	rig_run(g);
	GETS(k, "removed presence-r bob");
	mate_dies(a);
	rig_run(g);
	GETS(k, "removed presence-r ann");
	GETS(k, "vacated presence-r");
	GETS_NONE(k);
	rig_free(g);
}

/* Of what nobody wants nothing is told, and nothing kept. */
static void
test_only_what_is_wanted(void **state)
{
	struct rig *g = rig_new(HOOK "events = member_removed\n"
	    "app = chat\n[app other]\nid = 2\nkey = o\nsecret = s\n");
	struct mate *a = rig_worker(g, 1);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	join(a, "n", JOIN_COUNT);
	SAY(a, join, .app = B("2"), .channel = B("presence-2"), .n = 1,
	    .user = B("ann"), .member = B("{}"), .flags = JOIN_PRESENCE);
	client_event(a, 1, "1", "");
	SAY(a, connection, .open = 1, .app = B("1"), .serial = 2);
	SAY(a, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
	    .cookie = 1, .flags = JOIN_CACHE);
	enter(a, "presence-1", "ann", 0);
	rig_run(g);
	GETS(k, "added presence-1 ann");
	GETS_NONE(k);
	rig_free(g);

	g = rig_new("");
	a = rig_worker(g, 1);
	enter(a, "presence-1", "ann", 0);
	join(a, "n", 0);
	client_event(a, 1, "1", "");
	rig_run(g);
	assert_int_equal(g->router->hooks.serial, 0);
	assert_int_equal(g->router->hooks.octets, 0);
	rig_free(g);
}

static void
test_connections_move(void **state)
{
	struct bytes channels[] = { B("n"), B("presence-r") };
	struct bytes users[] = { B(""), B("ann") }, objects[] = { B(""),
		B("{}") };
	struct rig *g = rig_new(STATES);
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	join(a, "n", 0);
	enter(a, "presence-r", "ann", 0);
	rig_run(g);
	GETS(k, "occupied n");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	SAY(b, moved, .slot = a->slot, .generation = a->generation,
	    .app = B("1"), .was = 7, .conn = 8, .open = 1,
	    .channels_out = { channels, 2 }, .users_out = { users, 2 },
	    .members_out = { objects, 2 }, .epoch = g->router->epoch,
	    .first = 1);
	rig_run(g);
	mate_dies(a);
	rig_run(g);
	GETS_NONE(k);
	mate_dies(b);
	rig_run(g);
	GETS(k, "vacated n");
	GETS(k, "removed presence-r ann");
	GETS(k, "vacated presence-r");
	GETS_NONE(k);
	rig_free(g);
}

/* ---- events ------------------------------------------------------------------ */

static void
test_client_events(void **state)
{
	struct rig *g = rig_new(CLIENT);
	struct mate *a = rig_worker(g, 1);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	client_event(a, 1, "{\"x\":1}", "");
	client_event(a, 2, "2", "\"a\\u006en\"");
	client_event(a, 3, "3", "42");
	client_event(a, 4, "4", "{}");
	/* Told again, and one of the back end. */
	client_event(a, 3, "3", "42");
	SAY(a, publish, .serial = 5, .app = B("1"), .channel = B("c"),
	    .event = B("\"e\""), .data = B("5"));
	/* Nobody hears it but the sender: not even his worker. */
	SAY(a, publish, .serial = 6, .app = B("1"), .channel = B("c"),
	    .event = B("\"client-f\""), .data = B("6"), .except_a = 7,
	    .except_b = 8, .flags = PUBLISH_CLIENT | PUBLISH_ALONE);
	rig_run(g);
	GETS(k, "client c \"client-e\"={\"x\":1} by= 5.6");
	GETS(k, "client c \"client-e\"=2 by=ann 5.6");
	GETS(k, "client c \"client-e\"=3 by=42 5.6");
	GETS(k, "client c \"client-e\"=4 by= 5.6");
	GETS(k, "client c \"client-f\"=6 by= 7.8");
	GETS_NONE(k);
	rig_free(g);
}

static void
test_connections(void **state)
{
	struct rig *g = rig_new(HOOK "events = connection_closed\n");
	struct mate *a = rig_worker(g, 1);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	SAY(a, connection, .open = 1, .app = B("1"), .socket_a = 1,
	    .socket_b = 2, .serial = 1);
	SAY(a, connection, .app = B("1"), .socket_a = 1, .socket_b = 2,
	    .user = B("ann"), .code = 4009, .why = B("kicked"), .serial = 2);
	SAY(a, connection, .app = B("1"), .socket_a = 1, .socket_b = 2,
	    .user = B("ann"), .code = 4009, .why = B("kicked"), .serial = 2);
	rig_run(g);
	GETS(k, "closed 1.2 by=ann code=4009 kicked");
	GETS_NONE(k);
	/* Acknowledged, though nobody waits for it. */
	rig_later(g, 1000);
	GETS(a, "ack 2");
	rig_free(g);
}

static void
test_misses(void **state)
{
	struct rig *g = rig_new(HOOK "events = cache_miss\n");
	struct mate *a = rig_worker(g, 1);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	for (uint64_t i = 1; i <= 3; i++)
		SAY(a, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
		    .cookie = i, .flags = JOIN_CACHE);
	/* One that is told to a new router has heard so. */
	SAY(a, join, .app = B("1"), .channel = B("cache-d"), .n = 1,
	    .cookie = 4, .flags = JOIN_CACHE | JOIN_SYNC);
	SAY(a, join, .app = B("1"), .channel = B("cache-e"), .cookie = 5,
	    .flags = JOIN_CACHE | JOIN_HEIR);
	rig_run(g);
	GETS(k, "miss cache-c");
	GETS_NONE(k);
	rig_later(g, HOOKS_MISS);
	SAY(a, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
	    .cookie = 6, .flags = JOIN_CACHE);
	rig_run(g);
	GETS(k, "miss cache-c");
	SAY(a, publish, .serial = 1, .app = B("1"), .channel = B("cache-c"),
	    .event = B("e"), .data = B("1"), .flags = PUBLISH_CACHE);
	rig_later(g, HOOKS_MISS);
	SAY(a, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
	    .cookie = 7, .flags = JOIN_CACHE);
	rig_run(g);
	GETS_NONE(k);
	rig_free(g);
}

/* Also of a channel of which no worker wants the number; and not twice the same. */
static void
test_counts(void **state)
{
	struct rig *g = rig_new(HOOK "events = subscription_count\n");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	join(a, "n", 0);
	join(b, "n", 0);
	enter(a, "presence-r", "ann", 0);
	rig_run(g);
	GETS(k, "counted n 2");
	GETS_NONE(k);
	GETS_NONE(b);
	leave(a, "n");
	join(a, "n", 0);
	rig_run(g);
	GETS_NONE(k);
	/* Above that not more often than workers are told. */
	SAY(a, join, .app = B("1"), .channel = B("n"), .n = COUNT_FEW);
	rig_run(g);
	GETS_NONE(k);
	rig_later(g, COUNT_EVERY);
	GETS(k, "counted n 102");
	mate_dies(a);
	rig_run(g);
	GETS(k, "counted n 1");
	leave(b, "n");
	rig_run(g);
	GETS(k, "counted n 0");
	GETS_NONE(k);
	/* The application has them off, as it is by default. */
	rig_settings(g, "[webhook a]\nurl = https://hooks.example.org/\n");
	rig_run(g);
	GETS(k, "roll");
	GETS(k, "rolled");
	join(b, "n", 0);
	rig_later(g, 1000);
	GETS(k, "occupied n");
	GETS_NONE(k);
	rig_free(g);
}

/* ---- links ---------------------------------------------------------------------- */

/* What is not acknowledged is told again, in its order, then all that is there. */
static void
test_new_link(void **state)
{
	struct rig *g = rig_new(HOOK "events = channel_occupied, member_added, "
	    "client_event\n");
	struct mate *a = rig_worker(g, 1), *k;

	(void)state;
	join(a, "n", 0);
	join(a, "m", 0);
	client_event(a, 1, "1", "");
	rig_run(g);
	k = courier(g);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "occupied n");
	GETS(k, "occupied m");
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	GETS(k, "roll");
	GETS(k, "occupied n");
	GETS(k, "occupied m");
	GETS(k, "rolled");
	ack(k);
	rig_run(g);
	assert_int_equal(g->router->hooks.octets, 0);
	client_event(a, 2, "2", "");
	rig_run(g);
	GETS(k, "client c \"client-e\"=2 by= 5.6");
	ack(k);
	client_event(a, 3, "3", "");
	leave(a, "m");
	rig_run(g);
	mate_dies(k);
	rig_run(g);
	enter(a, "presence-r", "ann", 0);
	rig_run(g);

	k = courier(g);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "client c \"client-e\"=3 by= 5.6");
	GETS(k, "vacated m");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "roll");
	GETS(k, "occupied n");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "rolled");
	GETS_NONE(k);
	rig_free(g);
}

/* One that acknowledges what it was not told has lost its senses. */
static void
test_bad_ack(void **state)
{
	struct rig *g = rig_new(CLIENT);
	struct mate *a = rig_worker(g, 1), *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	client_event(a, 1, "1", "");
	rig_run(g);
	log_set_level(LOG_LEVEL_ERROR);
	SAY(k, hook_ack, .serial = k->serial + 1);
	rig_run(g);
	assert_null(g->router->hooks.ipc);
	k = courier(g);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	rig_free(g);
}

static void
test_settings(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *k;

	(void)state;
	join(a, "n", 0);
	enter(a, "presence-r", "ann", 0);
	rig_run(g);
	rig_settings(g, HOOK "events = member_added\n");
	k = courier(g);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "roll");
	GETS(k, "added presence-r ann");
	GETS(k, "rolled");
	/* One more kind, on the same link. */
	rig_settings(g, STATES);
	rig_run(g);
	GETS(k, "roll");
	GETS(k, "occupied n");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "rolled");
	/* Fewer, or the same, need no words. */
	rig_settings(g, STATES "batching = no\n");
	rig_settings(g, HOOK "events = channel_vacated\n");
	rig_run(g);
	GETS_NONE(k);
	go(a, "presence-r", "ann");
	rig_run(g);
	GETS(k, "vacated presence-r");
	rig_settings(g, "");
	leave(a, "n");
	rig_run(g);
	GETS_NONE(k);
	assert_int_equal(g->router->hooks.octets, 0);
	rig_free(g);
}

/* ---- much of it ---------------------------------------------------------------- */

static void
name(char text[16], const char *what, unsigned i)
{
	snprintf(text, 16, "%s%u", what, i);
}

/* Lines of one kind that came since. */
static unsigned
lines_with(struct mate *k, const char *start)
{
	unsigned n = 0;

	for (size_t i = 0; i < k->n_lines; i++)
		n += strncmp(k->lines[i], start, strlen(start)) == 0;
	return n;
}

static void
forget_lines(struct mate *k)
{
	while (k->n_lines > 0)
		free(k->lines[--k->n_lines]);
}

enum { CHANNELS = 3000, MEMBERS = 2000 };

/* Each step-th channel, and member of one that lies in the middle. */
static void
all(struct mate *a, unsigned step, bool come)
{
	char text[16];

	for (unsigned i = 0; i < CHANNELS; i += step) {
		name(text, "c", i);
		if (come)
			join(a, text, 0);
		else
			leave(a, text);
		for (unsigned m = 0; i == CHANNELS / 2 / step * step &&
		    m < MEMBERS; m += step) {
			name(text, "u", m);
			if (come)
				enter(a, "presence-r", text, 0);
			else
				go(a, "presence-r", text);
		}
	}
}

/* A roll of many rows comes in slices, while channels and members come and go
 * anywhere in it. */
static void
test_long_roll(void **state)
{
	static const unsigned steps[] = { 7, 1, 3 };
	struct rig *g = rig_new(STATES);
	struct mate *a = rig_worker(g, 1);
	struct told told;

	(void)state;
	told_init(&told);
	all(a, 1, true);
	rig_run(g);
	for (unsigned turn = 0; turn < 33; turn++) {
		unsigned step = steps[turn % 3];

		told_link(&told, g);
		/* So many turns, and then it changes. */
		for (unsigned i = 0; i < turn / 3; i++) {
			event_base_loop(g->base, EVLOOP_NONBLOCK);
			router_turn(g->router);
		}
		assert_true(turn >= 30 || roll_pending(g->router));
		all(a, step, false);
		rig_run(g);
		told_hear(&told, g);
		told_check(&told, g->router);
		told_link(&told, g);
		for (unsigned i = 0; i < turn / 3; i++) {
			event_base_loop(g->base, EVLOOP_NONBLOCK);
			router_turn(g->router);
		}
		all(a, step, true);
		rig_run(g);
		told_hear(&told, g);
		told_check(&told, g->router);
		ack(&g->courier);
		rig_run(g);
		assert_int_equal(g->router->hooks.octets, 0);
	}
	assert_int_equal(told.there.count, CHANNELS + MEMBERS + 1);
	told_done(&told);
	rig_free(g);
}

/* A courier that does not read costs no more than the queue; then it hears of
 * what is there, and of what has been dropped nothing. */
static void
test_bound(void **state)
{
	struct rig *g = rig_new(HOOK "events = channel_occupied, "
	    "client_event\n");
	struct mate *a = rig_worker(g, 1), *k = courier(g);
	struct hooks *h = &g->router->hooks;
	uint64_t untold = counter.hooks_untold, serial = 0;
	char *data = xmalloc(1u << 20), text[16];
	unsigned sent = 0;

	(void)state;
	gets_empty_roll(k);
	ack(k);
	rig_run(g);
	memset(data, '1', (1u << 20) - 1);
	data[(1u << 20) - 1] = '\0';
	k->asleep = true;
	join(a, "before", 0);
	for (unsigned i = 0; i < 20; i++) {
		client_event(a, ++serial, data, "");
		rig_run(g);
		assert_true(h->octets <= HOOKS_QUEUE);
		assert_true(hooks_backlog(g->router) <= HOOKS_WINDOW +
		    (1u << 20) + 200);
		sent++;
	}
	assert_int_equal(counter.hooks_untold - untold, 5);
	/* Deliveries and acknowledgements went on. */
	assert_int_equal(lines_with(a, "ack"), 20);
	/* Small ones find room yet, until there is none. */
	for (unsigned i = 0; !h->blind; i++) {
		assert_true(i < 100000);
		name(text, "c", i);
		join(a, text, 0);
		if (i % 1000 == 0)
			rig_run(g);
	}
	join(a, "while-blind", 0);
	leave(a, "before");
	rig_run(g);
	assert_true(h->blind && h->octets <= HOOKS_QUEUE);

	k->asleep = false;
	rig_run(g);
	assert_int_equal(lines_with(k, "client"), 15);
	assert_int_equal(lines_with(k, "roll"), 0);
	assert_int_equal(lines_with(k, "occupied while-blind"), 0);
	forget_lines(k);
	ack(k);
	rig_run(g);
	assert_false(h->blind);
	assert_int_equal(lines_with(k, "occupied before"), 0);
	assert_int_equal(lines_with(k, "occupied while-blind"), 1);
	assert_int_equal(lines_with(k, "rolled"), 1);
	forget_lines(k);
	leave(a, "while-blind");
	client_event(a, ++serial, "1", "");
	rig_run(g);
	GETS(k, "vacated while-blind");
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	GETS_NONE(k);
	free(data);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_only_what_is_wanted),
		cmocka_unit_test(test_connections_move),
		cmocka_unit_test(test_client_events),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_misses),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_new_link),
		cmocka_unit_test(test_bad_ack),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_long_roll),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests_name("hooks", tests, NULL, NULL);
}
