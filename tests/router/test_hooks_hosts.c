/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/hooks.c, hooks_tell.c and roll.c: what the courier is told when
 * one router follows another, over several hosts, and at the end.  Under random
 * schedules: test_hosts_random.c, test_succession_random.c, test_shift_random.c.
 */
#include "courier.h"

#include "common/log.h"
#include "router/payload.h"

/* ---- one router after another --------------------------------------------------- */

/* Nothing is said before it knows what there is. */
static void
test_new_router(void **state)
{
	struct rig *g = rig_new(HOOK "events = channel_occupied, member_added, "
	    "client_event, subscription_count\n");
	struct mate *a, *b, *k;

	(void)state;
	rig_starting(g, 2);
	k = courier(g);
	GETS_NONE(k);
	a = rig_worker(g, 1);
	join(a, "n", JOIN_SYNC);
	enter(a, "presence-r", "ann", JOIN_SYNC);
	client_event(a, 1, "1", "");
	rig_run(g);
	GETS_NONE(k);
	b = rig_worker(g, 2);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	GETS(k, "roll");
	GETS(k, "occupied n");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "rolled");
	/* A number that was there is no news, another one is. */
	GETS_NONE(k);
	join(b, "n", 0);
	rig_run(g);
	GETS(k, "counted n 2");
	GETS_NONE(k);
	rig_free(g);
}

static struct rig *elder, *heir;

static void
both_run(void)
{
	for (int i = 0; i < 3; i++) {
		rig_run(elder);
		rig_run(heir);
	}
}

static struct mate *
moves(struct mate *w)
{
	struct mate *to = rig_stranger(heir, (unsigned)w->slot);

	mate_dies(w);
	SAY(to, hello, .version = MSG_VERSION, .slot = w->slot,
	    .generation = to->generation);
	return to;
}

static void
test_heir(void **state)
{
	static const char ini[] = HOOK "events = channel_occupied, "
	    "member_added, client_event, subscription_count\n";
	struct mate *a, *k;

	(void)state;
	elder = rig_new(ini);
	a = rig_worker(elder, 1);
	k = courier(elder);
	gets_empty_roll(k);
	join(a, "n", 0);
	join(a, "m", 0);
	enter(a, "presence-r", "ann", 0);
	rig_run(elder);
	GETS(k, "occupied n");
	GETS(k, "occupied m");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "counted n 1");
	GETS(k, "counted m 1");
	heir = rig_heir(ini, NULL, elder);
	both_run();
	/* What the courier has not acknowledged holds the elder up, but not for
	 * long. */
	client_event(a, 1, "1", "");
	both_run();
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	elder_yield(elder->router);
	both_run();
	assert_false(elder_yielded(elder->router));
	rig_later(elder, HOOKS_YIELD / 2);
	assert_false(elder_yielded(elder->router));
	ack(k);
	both_run();
	assert_true(elder_yielded(elder->router));
	assert_null(elder->router->hooks.ipc);

	/* m is left, and o entered, in that moment. */
	client_event(a, 2, "2", "");
	a = moves(a);
	heir_take_over(heir->router, 1);
	join(a, "n", JOIN_SYNC);
	enter(a, "presence-r", "ann", JOIN_SYNC);
	join(a, "o", JOIN_SYNC);
	client_event(a, 2, "2", "");
	SAY(a, synced, .end_ = "");
	both_run();
	join(a, "p", 0);
	leave(a, "o");
	rig_run(heir);
	k = courier(heir);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "client c \"client-e\"=2 by= 5.6");
	/* The numbers of what is gone. */
	GETS(k, "counted m 0");
	GETS(k, "occupied p");
	GETS(k, "counted o 0");
	GETS(k, "counted p 1");
	GETS(k, "roll");
	GETS(k, "occupied n");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "occupied p");
	GETS(k, "rolled");
	GETS_NONE(k);
	rig_free(elder);
	rig_free(heir);
}

/* Nobody waits longer for a courier that does not answer. */
static void
test_yields_without_the_courier(void **state)
{
	struct mate *a, *k;

	(void)state;
	elder = rig_new(CLIENT);
	a = rig_worker(elder, 1);
	k = courier(elder);
	heir = rig_heir(CLIENT, NULL, elder);
	both_run();
	k->asleep = true;
	client_event(a, 1, "1", "");
	both_run();
	elder_yield(elder->router);
	both_run();
	assert_false(elder_yielded(elder->router));
	rig_later(elder, HOOKS_YIELD);
	assert_true(elder_yielded(elder->router));
	rig_free(elder);
	rig_free(heir);
}

static void
stop(struct rig *g)
{
	g->router->stopping = true;
	g->router->last_moment = g->router->now + 60000;
	both_run();
}

/* The courier is being replaced itself: the next one is linked to who has yielded
 * first, and hears from there what nobody was told, and no roll. */
static void
test_waits_for_the_next_courier(void **state)
{
	uint64_t untold = counter.hooks_untold;
	struct mate *a, *k;

	(void)state;
	elder = rig_new(HOOK "events = channel_occupied, client_event\n");
	a = rig_worker(elder, 1);
	k = courier(elder);
	rig_run(elder);
	heir = rig_heir(CLIENT, NULL, elder);
	both_run();
	mate_dies(k);
	client_event(a, 1, "1", "");
	both_run();
	elder_yield(elder->router);
	both_run();
	rig_later(elder, HOOKS_YIELD);
	assert_true(elder_yielded(elder->router));
	stop(elder);
	assert_false(elder->router->done);
	k = courier(elder);
	both_run();
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	GETS_NONE(k);
	assert_false(elder->router->done);
	ack(k);
	both_run();
	assert_true(elder->router->done);
	assert_int_equal(counter.hooks_untold - untold, 0);
	rig_free(elder);
	rig_free(heir);
}

/* Not for ever, and what is lost is counted. */
static void
test_no_next_courier(void **state)
{
	uint64_t untold = counter.hooks_untold;
	struct mate *a;

	(void)state;
	elder = rig_new(CLIENT);
	a = rig_worker(elder, 1);
	heir = rig_heir(CLIENT, NULL, elder);
	both_run();
	client_event(a, 1, "1", "");
	client_event(a, 2, "2", "");
	both_run();
	elder_yield(elder->router);
	both_run();
	rig_later(elder, HOOKS_YIELD);
	stop(elder);
	assert_false(elder->router->done);
	rig_later(elder, HOOKS_ELDER);
	both_run();
	assert_true(elder->router->done);
	assert_int_equal(counter.hooks_untold - untold, 2);
	rig_free(elder);
	rig_free(heir);
}

/* ---- several hosts ----------------------------------------------------------------- */

static struct cluster *joined;
static struct rig *one, *two;

static void
two_hosts(const char *ini)
{
	joined = cluster_new(ini);
	one = cluster_host(joined, 1, 0);
	two = cluster_host(joined, 2, 0);
	cluster_run(joined);
	cluster_later(joined, 2000);
}

static void
gets_roll_of_two(struct rig *g, const char *hosts)
{
	struct mate *k = rig_courier(g);

	cluster_run(joined);
	GETS(k, hosts);
	GETS(k, "roll");
	GETS(k, "rolled");
	GETS_NONE(k);
}

static void
test_hosts_share(void **state)
{
	struct mate *a, *b, *ka, *kb;

	(void)state;
	two_hosts(STATES);
	a = rig_worker(one, 1);
	b = rig_worker(two, 1);
	gets_roll_of_two(one, "hosts own=1 lost=0 live 1 2");
	gets_roll_of_two(two, "hosts own=2 lost=0 live 2 1");
	ka = &one->courier;
	kb = &two->courier;
	/* Both hear of it, once, and of the second host's nothing. */
	join(a, "n", 0);
	cluster_later(joined, 400);
	GETS(ka, "occupied n");
	GETS(kb, "occupied n");
	join(b, "n", 0);
	enter(b, "presence-r", "ann", 0);
	cluster_later(joined, 400);
	leave(a, "n");
	cluster_later(joined, 400);
	GETS(ka, "occupied presence-r");
	GETS(ka, "added presence-r ann");
	GETS_NONE(ka);
	GETS(kb, "occupied presence-r");
	GETS(kb, "added presence-r ann");
	GETS_NONE(kb);
	leave(b, "n");
	cluster_later(joined, 400);
	GETS(ka, "vacated n");
	GETS(kb, "vacated n");

	/* It falls silent: who was lost is said before what is gone. */
	cluster_kill(joined, two);
	cluster_later(joined, 6000);
	GETS(ka, "hosts own=1 lost=2 live 1");
	GETS(ka, "removed presence-r ann");
	GETS(ka, "vacated presence-r");
	GETS_NONE(ka);
	/* It comes back, and goes in good order. */
	two = cluster_host(joined, 2, 1);
	two->router->incarnation++;
	cluster_later(joined, 2000);
	GETS(ka, "hosts own=1 lost=0 live 1 2");
	hosts_bye(two->router);
	cluster_run(joined);
	GETS(ka, "hosts own=1 lost=0 live 1");
	GETS_NONE(ka);
	cluster_free(joined);
}

/* A host that is there again before anybody has missed it has died all the
 * same. */
static void
test_host_starts_again(void **state)
{
	struct mate *b, *k;

	(void)state;
	two_hosts(STATES);
	b = rig_worker(two, 1);
	gets_roll_of_two(one, "hosts own=1 lost=0 live 1 2");
	k = &one->courier;
	join(b, "n", 0);
	cluster_later(joined, 400);
	GETS(k, "occupied n");
	cluster_kill(joined, two);
	two = cluster_host(joined, 2, 1);
	two->router->incarnation++;
	cluster_later(joined, 1000);
	GETS(k, "hosts own=1 lost=2 live 1 2");
	GETS(k, "vacated n");
	GETS_NONE(k);
	cluster_free(joined);
}

/* A courier that comes later hears of a host that was lost meanwhile. */
static void
test_lost_without_a_courier(void **state)
{
	struct mate *k;

	(void)state;
	two_hosts(STATES);
	cluster_kill(joined, two);
	cluster_later(joined, 6000);
	k = rig_courier(one);
	cluster_run(joined);
	GETS(k, "hosts own=1 lost=2 live 1");
	k = rig_courier(one);
	cluster_run(joined);
	GETS(k, "hosts own=1 lost=0 live 1");
	cluster_free(joined);
}

/* All hosts hear of a miss; each courier knows whether it is the one to tell. */
static void
test_misses_of_hosts(void **state)
{
	struct mate *a, *b;

	(void)state;
	two_hosts(HOOK "events = cache_miss, client_event\n");
	a = rig_worker(one, 1);
	b = rig_worker(two, 1);
	gets_roll_of_two(one, "hosts own=1 lost=0 live 1 2");
	gets_roll_of_two(two, "hosts own=2 lost=0 live 2 1");
	SAY(a, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
	    .cookie = 1, .flags = JOIN_CACHE);
	cluster_run(joined);
	GETS(&one->courier, "miss cache-c");
	GETS(&two->courier, "miss cache-c");
	/* A client event is told where it happened, alone. */
	join(b, "c", 0);
	client_event(a, 1, "1", "");
	cluster_run(joined);
	GETS(b, "deliver c \"client-e\"=1 from=0 n=0 at=1");
	GETS(&one->courier, "client c \"client-e\"=1 by= 5.6");
	GETS_NONE(&one->courier);
	GETS_NONE(&two->courier);
	cluster_free(joined);
}

/* What other hosts write is checked; of other applications nothing is told. */
static void
test_bad_misses(void **state)
{
	static const struct {
		const char	*app, *channel;
		size_t		 n;
		bool		 good;
	} misses[] = {
		{ "1", "cache-c", 7, true }, { "1", "", 0, false },
		{ "1", "\xff", 1, false }, { "2", "cache-c", 7, false },
		{ "9", "cache-c", 7, false },
	};
	uint64_t bad = counter.backplane_bad_payload;

	(void)state;
	two_hosts(HOOK "app = 1\nevents = cache_miss\n"
	    "[app other]\nid = 2\nkey = o\nsecret = s\n");
	gets_roll_of_two(one, "hosts own=1 lost=0 live 1 2");
	for (size_t i = 0; i < NELEM(misses); i++) {
		struct buf payload = { 0 }, out = { 0 };
		struct envelope e = { .node = 2, .incarnation = 1002,
		    .number = 1000000 + i, .kind = ENVELOPE_HOOK,
		    .app = carrier_cluster().app,
		    .channel = carrier_cluster().channel };

		miss_pack(&payload, bytes_str(misses[i].app),
		    bytes_of(misses[i].channel, misses[i].n));
		if (i == 0)
			e.payload = B("\x93\xc4\x01" "1");
		else
			e.payload = buf_view(&payload);
		for (int twice = 0; twice < 2; twice++) {
			buf_clear(&out);
			envelope_seal(&out, &e, B(""));
			cluster_say(joined, buf_view(&out));
			cluster_run(joined);
			e.payload = buf_view(&payload);
			if (i > 0)
				break;
		}
		if (misses[i].good)
			GETS(&one->courier, "miss cache-c");
		GETS_NONE(&one->courier);
		buf_done(&payload);
		buf_done(&out);
	}
	assert_int_equal(counter.backplane_bad_payload - bad, 3);
	cluster_free(joined);
}

/* While what other hosts hold is not known, a roll would miss it. */
static void
test_roll_waits_for_hosts(void **state)
{
	struct mate *a, *b, *k;

	(void)state;
	two_hosts(STATES "[backplane]\npartition_timeout = 9s\n");
	b = rig_worker(two, 1);
	join(b, "n", 0);
	cluster_later(joined, 400);
	/* A router that is new finds no broker. */
	cluster_kill(joined, one);
	one = cluster_host(joined, 1, 1);
	cluster_cut(joined, one);
	a = rig_worker(one, 1);
	join(a, "own", 0);
	k = rig_courier(one);
	cluster_later(joined, 4000);
	GETS(k, "hosts own=1 lost=0 live 1");
	GETS(k, "occupied own");
	GETS_NONE(k);
	cluster_mend(joined, one);
	cluster_later(joined, 2000);
	GETS(k, "hosts own=1 lost=0 live 1 2");
	GETS(k, "occupied n");
	GETS(k, "roll");
	GETS(k, "occupied own");
	GETS(k, "occupied n");
	GETS(k, "rolled");
	GETS_NONE(k);
	ack(k);
	cluster_run(joined);
	/* But not for ever. */
	cluster_cut(joined, one);
	k = rig_courier(one);
	cluster_later(joined, 4000);
	GETS(k, "hosts own=1 lost=0 live 1 2");
	GETS_NONE(k);
	cluster_later(joined, 6000);
	GETS(k, "hosts own=1 lost=2 live 1");
	GETS(k, "vacated n");
	GETS(k, "roll");
	GETS(k, "occupied own");
	GETS(k, "rolled");
	GETS_NONE(k);
	cluster_free(joined);
}

/* What a worker said while a new router waits for workers and then for hosts goes
 * its way in its order. */
static void
test_order_while_waiting(void **state)
{
	struct mate *a, *k;

	(void)state;
	two_hosts(HOOK "events = client_event, connection_opened\n");
	cluster_kill(joined, one);
	one = cluster_host(joined, 1, 1);
	rig_starting(one, 1);
	k = rig_courier(one);
	a = rig_stranger(one, 1);
	SAY(a, hello, .version = MSG_VERSION, .slot = 1,
	    .generation = a->generation);
	client_event(a, 1, "1", "");
	SAY(a, connection, .open = 1, .app = B("1"), .socket_a = 1,
	    .socket_b = 2, .serial = 2);
	client_event(a, 3, "3", "");
	rig_run(one);
	SAY(a, synced, .end_ = "");
	rig_run(one);
	assert_true(one->router->sync.told && one->router->sync.on);
	cluster_later(joined, 3000);
	GETS(k, "hosts own=1 lost=0 live 1 2");
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	GETS(k, "opened 1.2 by= code=0 ");
	GETS(k, "client c \"client-e\"=3 by= 5.6");
	GETS(k, "roll");
	GETS(k, "rolled");
	GETS_NONE(k);
	GETS(a, "ack 3");
	cluster_free(joined);
}

/* At the end all leave, and the courier hears of it before the router goes. */
static void
test_end(void **state)
{
	struct rig *g = rig_new(STATES);
	struct mate *a = rig_worker(g, 1), *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	join(a, "n", 0);
	rig_run(g);
	GETS(k, "occupied n");
	ack(k);
	rig_run(g);
	g->router->stopping = true;
	g->router->last_moment = g->router->now + 100000;
	mate_dies(a);
	rig_run(g);
	assert_false(g->router->done);
	GETS(k, "vacated n");
	ack(k);
	rig_run(g);
	assert_true(g->router->done);
	rig_free(g);

	/* Who does not answer is not waited for. */
	g = rig_new(STATES);
	a = rig_worker(g, 1);
	courier(g);
	join(a, "n", 0);
	rig_run(g);
	g->router->stopping = true;
	g->router->last_moment = g->router->now + 100000;
	mate_dies(a);
	rig_run(g);
	assert_false(g->router->done);
	rig_later(g, HOOKS_END);
	assert_true(g->router->done);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_router),
		cmocka_unit_test(test_heir),
		cmocka_unit_test(test_yields_without_the_courier),
		cmocka_unit_test(test_waits_for_the_next_courier),
		cmocka_unit_test(test_no_next_courier),
		cmocka_unit_test(test_hosts_share),
		cmocka_unit_test(test_host_starts_again),
		cmocka_unit_test(test_lost_without_a_courier),
		cmocka_unit_test(test_misses_of_hosts),
		cmocka_unit_test(test_bad_misses),
		cmocka_unit_test(test_roll_waits_for_hosts),
		cmocka_unit_test(test_order_while_waiting),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests_name("hooks_hosts", tests, NULL, NULL);
}
