/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/snapshot.c and tell.c: what a host tells of itself.
 */
#include "cluster.h"

#include <stdio.h>

#include "common/counters.h"

#define MANY	20000	/* channels: a snapshot of several chunks */

static void
join(struct mate *w, unsigned i)
{
	char name[32];

	snprintf(name, sizeof(name), "some-long-channel-name-%u", i);
	SAY(w, join, .app = B("1"), .channel = bytes_str(name), .n = 1);
}

static void
leave(struct mate *w, unsigned i)
{
	char name[32];

	snprintf(name, sizeof(name), "some-long-channel-name-%u", i);
	SAY(w, leave, .app = B("1"), .channel = bytes_str(name), .n = 1);
}

static uint64_t
count_at(struct rig *g, unsigned i)
{
	char name[32];
	struct census *c = census_find(g->router, B("1"));
	struct route *t;

	snprintf(name, sizeof(name), "some-long-channel-name-%u", i);
	t = c != NULL ? route_find(c, bytes_str(name)) : NULL;
	return t != NULL ? route_count(t) : 0;
}

static struct host *
first_host(struct rig *g)
{
	return TAILQ_FIRST(&g->router->hosts);
}

/* A host with many channels, and one that comes later. */
static void
test_newcomer(void **state)
{
	struct cluster *c = cluster_new("");
	struct rig *a = cluster_host(c, 1, 0), *b;
	struct mate *w = rig_worker(a, 1);

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		join(w, i);
	cluster_later(c, 1000);
	b = cluster_host(c, 2, 0);
	cluster_later(c, 1000);
	assert_int_equal(first_host(b)->state, HOST_KNOWN);
	assert_int_equal(first_host(b)->n_rows, MANY);
	assert_true(c->published[ENVELOPE_SNAPSHOT] > 10);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(count_at(b, i), 1);
	cluster_free(c);
}

static struct mate *changing;
static unsigned chunks;

/* The channel with which the next chunk begins. */
static unsigned
next_of(struct router *r)
{
	struct item *it = r->tell.snapshot.next;
	struct item_name name;
	char number[8] = "";

	assert_non_null(it);
	item_ops(it->kind)->name(it, &name);
	memcpy(number, name.channel.p + strlen("some-long-channel-name-"),
	    name.channel.n - strlen("some-long-channel-name-"));
	return (unsigned)atoi(number);
}

/* While the second chunk is under way, things change that earlier and later
 * chunks hold, also those that are next. */
static bool
change_meanwhile(struct cluster *c, const struct envelope *e,
    const struct port *to)
{
	unsigned next;

	if (e->kind != ENVELOPE_SNAPSHOT || to->rig->router->node != 2 ||
	    e->node != 1 || ++chunks != 2)
		return false;
	leave(changing, 0);
	leave(changing, MANY - 1);
	join(changing, 1);
	join(changing, MANY - 2);
	join(changing, MANY);
	next = next_of(c->ports[0].rig->router);
	assert_in_range(next, 1000, MANY - 3000);
	for (unsigned i = next - 1000; i < next + 2500; i++)
		(i % 2 ? leave : join)(changing, i);
	return false;
}

static void
test_changes_meanwhile(void **state)
{
	struct cluster *c = cluster_new("");
	struct rig *a = cluster_host(c, 1, 0), *b;
	uint64_t sent;

	(void)state;
	changing = rig_worker(a, 1);
	for (unsigned i = 0; i < MANY; i++)
		join(changing, i);
	cluster_later(c, 1000);
	b = cluster_host(c, 2, 0);
	sent = counter.snapshots_sent;
	chunks = 0;
	c->lose = change_meanwhile;
	cluster_later(c, 3000);
	assert_true(chunks >= 10);
	assert_int_equal(first_host(b)->state, HOST_KNOWN);
	assert_int_equal(counter.snapshots_sent, sent + 2);	/* b's, too */
	assert_int_equal(first_host(b)->n_rows, a->router->tell.rows);
	for (unsigned i = 0; i <= MANY; i++)
		assert_int_equal(count_at(b, i), count_at(a, i));
	cluster_free(c);
}

/* More changes with each chunk than a chunk holds. */
static bool
change_always(struct cluster *c, const struct envelope *e,
    const struct port *to)
{
	(void)c;
	if (e->kind != ENVELOPE_SNAPSHOT || to->rig->router->node != 2 ||
	    e->node != 1)
		return false;
	for (unsigned i = 0; i < MANY / 4 * 3 && chunks % 4 == 0; i++)
		join(changing, i);
	chunks++;
	assert_true(chunks < 50);
	return false;
}

static void
test_it_ends(void **state)
{
	struct cluster *c = cluster_new("");
	struct rig *a = cluster_host(c, 1, 0), *b;

	(void)state;
	changing = rig_worker(a, 1);
	for (unsigned i = 0; i < MANY; i++)
		join(changing, i);
	cluster_later(c, 1000);
	b = cluster_host(c, 2, 0);
	chunks = 0;
	c->lose = change_always;
	cluster_later(c, 3000);
	assert_in_range(chunks, 10, 25);
	assert_int_equal(first_host(b)->state, HOST_KNOWN);
	assert_int_equal(count_at(b, 1), count_at(a, 1));
	cluster_free(c);
}

static unsigned nth_chunk;

static bool
lose_a_chunk(struct cluster *c, const struct envelope *e,
    const struct port *to)
{
	(void)c;
	return e->kind == ENVELOPE_SNAPSHOT && e->node == 1 &&
	    to->rig->router->node == 2 && ++chunks == nth_chunk;
}

/* A chunk that is lost, whichever it is, costs another snapshot. */
static void
test_lost_chunk(void **state)
{
	(void)state;
	for (nth_chunk = 1; nth_chunk < 16; nth_chunk += 5) {
		struct cluster *c = cluster_new("");
		struct rig *a = cluster_host(c, 1, 0), *b;
		struct mate *w = rig_worker(a, 1);

		for (unsigned i = 0; i < MANY; i++)
			join(w, i);
		cluster_later(c, 1000);
		b = cluster_host(c, 2, 0);
		chunks = 0;
		c->lose = lose_a_chunk;
		cluster_later(c, 4000);
		assert_true(chunks > nth_chunk);
		assert_int_equal(first_host(b)->state, HOST_KNOWN);
		assert_int_equal(first_host(b)->n_rows, MANY);
		cluster_free(c);
	}
}

/* Several who come at once need one snapshot or two, not one each. */
static void
test_one_for_all(void **state)
{
	struct cluster *c = cluster_new("");
	struct rig *a = cluster_host(c, 1, 0), *g;
	struct mate *w = rig_worker(a, 1);
	uint64_t sent;

	(void)state;
	join(w, 1);
	cluster_later(c, 1000);
	for (uint64_t node = 2; node < 8; node++)
		cluster_host(c, node, 0);
	sent = counter.snapshots_sent;
	cluster_later(c, 2000);
	for (size_t i = 1; i < c->n; i++) {
		g = c->ports[i].rig;
		assert_int_equal(count_at(g, 1), 1);
	}
	/* Each newcomer told its own. */
	assert_in_range(counter.snapshots_sent - sent, 6, 6 + 4);
	cluster_free(c);
}

/* What changes often is told once; what is as it was, not at all. */
static void
test_coalesced(void **state)
{
	struct cluster *c = cluster_new("");
	struct rig *a = cluster_host(c, 1, 0), *b = cluster_host(c, 2, 0);
	struct mate *w = rig_worker(a, 1);
	uint64_t told;

	(void)state;
	cluster_later(c, 1000);
	told = c->published[ENVELOPE_CHANGES];
	for (unsigned i = 0; i < 500; i++)
		join(w, i % 5);
	cluster_run(c);
	assert_int_equal(c->published[ENVELOPE_CHANGES], told + 1);
	assert_int_equal(count_at(b, 3), 100);
	/* Now and then one may be told at once, but not for long. */
	for (unsigned i = 0; i < 2 * TELL_BURST; i++) {
		join(w, 7);
		cluster_run(c);
	}
	assert_int_equal(c->published[ENVELOPE_CHANGES], told + 1 + TELL_BURST);
	cluster_later(c, TELL_EVERY);
	assert_int_equal(c->published[ENVELOPE_CHANGES], told + 2 + TELL_BURST);
	assert_int_equal(count_at(b, 7), 2 * TELL_BURST);
	cluster_later(c, 1000);
	told += TELL_BURST;
	join(w, 8);
	leave(w, 8);
	join(w, 3);
	leave(w, 3);
	cluster_later(c, 100);
	assert_int_equal(c->published[ENVELOPE_CHANGES], told + 2);
	cluster_free(c);
}

static struct bytes
long_name(unsigned i)
{
	static char name[1001];

	snprintf(name, sizeof(name), "%01000u", i);
	return bytes_of(name, 1000);
}

/* So much went while the broker was away that a list of it is too long. */
static void
test_much_gone_meanwhile(void **state)
{
	struct cluster *c = cluster_new("");
	struct rig *a = cluster_host(c, 1, 0), *b = cluster_host(c, 2, 0);
	struct mate *w = rig_worker(a, 1);

	(void)state;
	cluster_later(c, 1000);
	for (unsigned i = 0; i < 2200; i++)
		SAY(w, join, .app = B("1"), .channel = long_name(i), .n = 1);
	join(w, 1);
	cluster_later(c, 3000);
	assert_int_equal(first_host(b)->n_rows, 2201);
	cluster_cut(c, a);
	for (unsigned i = 0; i < 2200; i++)
		SAY(w, leave, .app = B("1"), .channel = long_name(i), .n = 1);
	cluster_later(c, 1000);
	assert_true(a->router->tell.broken);
	assert_int_equal(a->router->tell.gone.n, 0);
	assert_int_equal(first_host(b)->n_rows, 2201);
	cluster_mend(c, a);
	cluster_later(c, 2000);
	assert_int_equal(first_host(b)->n_rows, 1);
	assert_int_equal(count_at(b, 1), 1);
	cluster_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newcomer),
		cmocka_unit_test(test_changes_meanwhile),
		cmocka_unit_test(test_it_ends),
		cmocka_unit_test(test_lost_chunk),
		cmocka_unit_test(test_one_for_all),
		cmocka_unit_test(test_coalesced),
		cmocka_unit_test(test_much_gone_meanwhile),
	};

	return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
