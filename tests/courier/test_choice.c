/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier/choice.c and miss.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/util.h"
#include "courier/choice.h"
#include "courier/miss.h"

#define CHANNELS	3000

static const uint64_t nodes[] = { 11, 0x2222222222222222, 3, ~0ULL };

/* What a host says that lives with those of the mask. */
static void
set(struct choice *c, uint64_t own, unsigned mask)
{
	struct buf frame = { 0 };
	struct msg_reader *reader = msg_reader_new();
	struct msg_hook_hosts m;
	struct unpacker u;
	struct bytes list[NELEM(nodes)];
	char room[NELEM(nodes)][8];
	const char *why;
	unsigned type;
	uint32_t n = 0;

	for (unsigned i = 0; i < NELEM(nodes); i++) {
		if (!(mask & 1u << i))
			continue;
		for (unsigned k = 0; k < 8; k++)
			room[n][k] = (char)(nodes[i] >> (56 - 8 * k));
		list[n] = bytes_of(room[n], 8);
		n++;
	}
	msg_pack_hook_hosts(&frame, &(struct msg_hook_hosts){ .own = own,
	    .nodes_out = { list, n } });
	assert_int_equal(msg_read(reader, bytes_skip(buf_view(&frame), 4),
	    &type, &u, &why), 0);
	assert_int_equal(msg_unpack_hook_hosts(&u, &m, &why), 0);
	choice_set(c, m.own, &m.nodes);
	msg_reader_free(reader);
	buf_done(&frame);
}

static uint64_t
chosen(const struct choice *c, unsigned i)
{
	char name[20];

	snprintf(name, sizeof(name), "channel-%u", i);
	return choice_choose(c, B("1001"), bytes_str(name));
}

static void
all_hosts_choose_the_same(void **state)
{
	unsigned each[NELEM(nodes)] = { 0 };
	struct choice a, b;

	(void)state;
	choice_init(&a);
	choice_init(&b);
	set(&a, nodes[0], 15);
	set(&b, nodes[3], 15);
	for (unsigned i = 0; i < CHANNELS; i++) {
		assert_int_equal(chosen(&a, i), chosen(&b, i));
		for (unsigned k = 0; k < NELEM(nodes); k++)
			each[k] += chosen(&a, i) == nodes[k];
	}
	for (unsigned k = 0; k < NELEM(nodes); k++)
		assert_in_range(each[k], CHANNELS / 5, CHANNELS / 3);
	choice_done(&a);
	choice_done(&b);
}

/* Hosts of other releases must agree: what it was is what it is. */
static void
choice_does_not_change_with_releases(void **state)
{
	static const unsigned was[] = { 1, 3, 2, 1, 1, 2, 1, 3, 1, 0, 0, 1, 1,
		3, 1, 0 };
	struct choice c;

	(void)state;
	choice_init(&c);
	set(&c, nodes[0], 15);
	for (unsigned i = 0; i < NELEM(was); i++)
		assert_int_equal(chosen(&c, i), nodes[was[i]]);
	choice_done(&c);
}

static void
who_leaves_moves_only_his(void **state)
{
	struct choice all, less;

	(void)state;
	choice_init(&all);
	choice_init(&less);
	set(&all, nodes[0], 15);
	set(&less, nodes[0], 13);
	for (unsigned i = 0; i < CHANNELS; i++)
		if (chosen(&all, i) != nodes[1])
			assert_int_equal(chosen(&all, i), chosen(&less, i));
	choice_done(&all);
	choice_done(&less);
}

static void
alone_all_is_ours(void **state)
{
	struct choice c;

	(void)state;
	choice_init(&c);
	assert_true(choice_chosen(&c, B("1"), B("a")));
	set(&c, nodes[0], 1);
	assert_true(choice_chosen(&c, B("1"), B("a")));
	assert_false(choice_many(&c));
	choice_remember(&c, &(struct notice){ .kind = 1, .app = B("1") }, 1);
	assert_true(TAILQ_EMPTY(&c.recent));
	choice_done(&c);
}

static void
hear(void *ctx, const struct notice *n)
{
	buf_fmt(ctx, "%u:%.*s/%.*s/%.*s ", n->kind, (int)n->app.n, n->app.p,
	    (int)n->channel.n, n->channel.p, (int)n->user.n, n->user.p);
}

/* A channel that the second host says, and, without it, the first. */
static unsigned
find(void)
{
	struct choice all, less;
	unsigned i = 0;

	choice_init(&all);
	choice_init(&less);
	set(&all, nodes[0], 15);
	set(&less, nodes[0], 13);
	while (chosen(&all, i) != nodes[1] || chosen(&less, i) != nodes[0])
		i++;
	choice_done(&all);
	choice_done(&less);
	return i;
}

/* It was to say three things, the first too long before now. */
static void
lost(uint64_t timeout, uint64_t now)
{
	struct buf heard = { 0 }, want = { 0 };
	struct choice c;
	char name[20];
	struct notice n = { .kind = 1, .app = B("1001") };

	snprintf(name, sizeof(name), "channel-%u", find());
	n.channel = bytes_str(name);
	choice_init(&c);
	choice_timeout(&c, timeout);
	set(&c, nodes[0], 15);
	choice_remember(&c, &n, 1000);		/* too old below */
	n.kind = 2;
	choice_remember(&c, &n, 5000);
	n.kind = 3;
	n.user = B("u");
	choice_remember(&c, &n, 9000);
	set(&c, nodes[0], 13);
	choice_lost(&c, nodes[2], now, hear, &heard);
	assert_int_equal(heard.n, 0);
	choice_lost(&c, nodes[1], now, hear, &heard);
	buf_fmt(&want, "2:1001/%s/ 3:1001/%s/u ", name, name);
	assert_string_equal(buf_cstr(&heard), buf_cstr(&want));
	buf_clear(&heard);
	choice_lost(&c, nodes[1], now, hear, &heard);
	assert_int_equal(heard.n, 0);
	assert_int_equal(c.octets, 0);
	buf_done(&heard);
	buf_done(&want);
	choice_done(&c);
}

static void
what_a_lost_host_was_to_say_is_said(void **state)
{
	(void)state;
	lost(0, 12000);
}

/* However long it takes to notice: what it said in its last ten seconds. */
static void
who_is_missed_late(void **state)
{
	(void)state;
	lost(60000, 72000);
}

static void
memory_of_others_is_bounded(void **state)
{
	char *big = xcalloc(1, 1000);
	struct notice n = { .kind = 1, .app = B("1"),
	    .channel = bytes_of(big, 1000) };
	struct choice c;

	(void)state;
	choice_init(&c);
	set(&c, nodes[0], 15);
	for (int i = 0; i < 50000; i++)
		choice_remember(&c, &n, 1000);
	assert_true(c.octets <= RECENT_OCTETS);
	free(big);
	choice_done(&c);
}

static void
a_miss_is_said_once_in_a_while(void **state)
{
	struct misses m;
	char name[20];

	(void)state;
	misses_init(&m);
	assert_true(misses_say(&m, B("1"), B("cache-a"), 1000));
	assert_false(misses_say(&m, B("1"), B("cache-a"), 1000));
	assert_true(misses_say(&m, B("1"), B("cache-b"), 1000));
	assert_true(misses_say(&m, B("2"), B("cache-a"), 1000));
	assert_false(misses_say(&m, B("1"), B("cache-a"), 999 + MISS_MS));
	assert_true(misses_say(&m, B("1"), B("cache-a"), 1000 + MISS_MS));
	for (unsigned i = 0; i < MISSES_MAX + 10; i++) {
		snprintf(name, sizeof(name), "x%u", i);
		assert_true(misses_say(&m, B("1"), bytes_str(name), 12000));
	}
	assert_int_equal(m.all.count, MISSES_MAX);
	misses_done(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_hosts_choose_the_same),
		cmocka_unit_test(choice_does_not_change_with_releases),
		cmocka_unit_test(who_leaves_moves_only_his),
		cmocka_unit_test(alone_all_is_ours),
		cmocka_unit_test(what_a_lost_host_was_to_say_is_said),
		cmocka_unit_test(who_is_missed_late),
		cmocka_unit_test(memory_of_others_is_bounded),
		cmocka_unit_test(a_miss_is_said_once_in_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
