/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/answer.c: questions to the census.
 */
#include "driver.h"

#include <stdio.h>
#include <unistd.h>

static void
join(struct mate *w, const char *channel)
{
	SAY(w, join, .app = B("1"), .channel = bytes_str(channel), .n = 1);
}

static void
leave(struct mate *w, const char *channel)
{
	SAY(w, leave, .app = B("1"), .channel = bytes_str(channel), .n = 1);
}

static void
ask(struct mate *w, unsigned kind, struct bytes name, uint64_t cookie)
{
	SAY(w, query, .cookie = cookie, .kind = kind, .app = B("1"),
	    .name = name);
}

static void
push(struct mate *w)
{
	assert_int_equal(write(w->fd, w->out.p, w->out.n), w->out.n);
	buf_clear(&w->out);
}

static void
test_rows(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	join(a, "news-1");
	join(a, "news-1");
	join(a, "other");
	rig_run(g);
	join(b, "news-1");
	SAY(b, join, .app = B("1"), .channel = B("presence-r"), .n = 2,
	    .flags = JOIN_PRESENCE, .user = B("u"), .member = B("{}"));
	rig_run(g);
	ask(a, QUERY_CHANNELS, B(""), 1);
	ask(a, QUERY_CHANNELS, B("news-"), 2);
	ask(a, QUERY_CHANNEL, B("presence-r"), 3);
	ask(a, QUERY_CHANNEL, B("nothing"), 4);
	ask(a, QUERY_USERS, B("presence-r"), 5);
	ask(a, QUERY_USERS, B("other"), 6);
	ask(a, QUERY_USERS, B("nothing"), 7);
	rig_run(g);
	GETS(a, "row news-1 3/0");
	GETS(a, "row other 1/0");
	GETS(a, "row presence-r 2/1");
	GETS(a, "done 1");
	GETS(a, "row news-1 3/0");
	GETS(a, "done 2");
	GETS(a, "row presence-r 2/1");
	GETS(a, "done 3");
	GETS(a, "done 4");
	GETS(a, "row u {}");
	GETS(a, "done 5");
	GETS(a, "done 6");
	GETS(a, "done 7");
	GETS_NONE(a);
	rig_free(g);
}

/* What another worker wrote before the question was asked is in the answer,
 * whichever link the loop looked at first. */
static void
test_reads_all_first(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	join(b, "news");
	push(b);
	ask(a, QUERY_CHANNELS, B(""), 1);
	push(a);
	/* Only the question has been read when the turn ends. */
	ipc_read_now(a->peer->ipc);
	router_turn(g->router);
	rig_run(g);
	GETS(a, "row news 1/0");
	GETS(a, "done 1");
	rig_free(g);
}

static void
fill(struct mate *w, unsigned n)
{
	char name[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "c%05u", i);
		join(w, name);
	}
}

/* One slice a turn; what goes meanwhile is stepped over, also where the walk
 * stands. */
static void
test_slices(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);
	unsigned i;
	char name[32];

	(void)state;
	fill(a, 3 * SLICE);
	rig_run(g);
	ask(a, QUERY_CHANNELS, B(""), 1);
	push(a);
	ipc_read_now(a->peer->ipc);
	assert_true(router_turn(g->router));
	/* The next slice would start with c01000; two of it go. */
	leave(a, "c01000");
	leave(a, "c01001");
	leave(a, "c00003");
	leave(a, "c02999");
	push(a);
	ipc_read_now(a->peer->ipc);
	rig_run(g);
	assert_int_equal(a->n_lines, 3 * SLICE - 3 + 1);
	for (i = 0; i < SLICE; i++) {
		snprintf(name, sizeof(name), "row c%05u 1/0", i);
		GETS(a, name);
	}
	GETS(a, "row c01002 1/0");
	rig_free(g);
}

static void
test_slices_of_users(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);
	unsigned i;
	char name[32];

	(void)state;
	for (i = 0; i < 2 * SLICE; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		SAY(a, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
		    .flags = JOIN_PRESENCE, .user = bytes_str(name));
	}
	rig_run(g);
	while (a->n_lines > 0)
		free(a->lines[--a->n_lines]);
	ask(a, QUERY_USERS, B("presence-r"), 1);
	ask(a, QUERY_USERS, B("presence-r"), 2);
	push(a);
	ipc_read_now(a->peer->ipc);
	assert_true(router_turn(g->router));
	/* All of them leave: the channel is gone. */
	for (i = 0; i < 2 * SLICE; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		SAY(a, leave, .app = B("1"), .channel = B("presence-r"), .n = 1,
		    .user = bytes_str(name));
	}
	push(a);
	ipc_read_now(a->peer->ipc);
	assert_true(TAILQ_EMPTY(&census_get(g->router, B("1"))->order));
	rig_run(g);
	/* The first one stood behind the other by then. */
	assert_string_equal(a->lines[a->n_lines - 2], "done 2");
	assert_string_equal(a->lines[a->n_lines - 1], "done 1");
	rig_free(g);
}

/* Who reads as fast as he is told, as pealctl and pages do. */
struct searcher {
	unsigned rows;
	bool	 done;
};

static void
searcher_row(void *to, uint64_t cookie, const struct msg_row *row)
{
	struct searcher *s = to;

	(void)cookie, (void)row;
	s->rows++;
}

static void
searcher_done(void *to, uint64_t cookie)
{
	struct searcher *s = to;

	(void)cookie;
	s->done = true;
}

static size_t
searcher_backlog(const void *to)
{
	(void)to;
	return 0;
}

static unsigned
rows_of(const struct searcher *all, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += all[i].rows;
	return sum;
}

/* However many search, a turn takes no longer; all come to their end, the short
 * ones soon. */
static void
test_many_lists(void **state)
{
	static const struct answer_ops ops = { searcher_row, searcher_done,
		searcher_backlog };
	struct searcher all[30] = { { 0 } }, quick = { 0 };
	struct rig *g = rig_new("[app small]\nid = 2\nkey = k2\nsecret = s2\n");
	struct mate *a = rig_worker(g, 1);
	unsigned turns = 0, before, sum;

	(void)state;
	fill(a, 5 * SLICE);
	SAY(a, join, .app = B("2"), .channel = B("one"), .n = 1);
	rig_run(g);
	for (size_t i = 0; i < NELEM(all); i++)
		answer_ask(g->router, QUERY_CHANNELS, B("1"), B(""), i, &ops,
		    &all[i]);
	answer_ask(g->router, QUERY_CHANNELS, B("2"), B(""), 0, &ops, &quick);
	for (sum = 0; !TAILQ_EMPTY(&g->router->answers); turns++, sum = before) {
		before = rows_of(all, NELEM(all)) + quick.rows;
		assert_true(before - sum <= SLICE);
		if (turns == NELEM(all) + 1)
			assert_true(quick.done);
		router_turn(g->router);
	}
	assert_in_range(turns, 5 * NELEM(all), 5 * NELEM(all) + 2);
	for (size_t i = 0; i < NELEM(all); i++) {
		assert_true(all[i].done);
		assert_int_equal(all[i].rows, 5 * SLICE);
	}
	rig_run(g);
	rig_free(g);
}

/* Lists of the API take turns among themselves alone. */
static void
test_lists_of_the_api(void **state)
{
	static const struct answer_ops ops = { searcher_row, searcher_done,
		searcher_backlog };
	struct searcher all[30] = { { 0 } };
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	fill(a, 3 * SLICE);
	rig_run(g);
	for (size_t i = 0; i < NELEM(all); i++)
		answer_ask(g->router, QUERY_CHANNELS, B("1"), B(""), i, &ops,
		    &all[i]);
	ask(a, QUERY_CHANNELS, B(""), 7);
	push(a);
	ipc_read_now(a->peer->ipc);
	for (unsigned turn = 1; turn <= 3; turn++) {
		router_turn(g->router);
		assert_int_equal(rows_of(all, NELEM(all)), turn * SLICE);
	}
	rig_run(g);
	assert_int_equal(a->n_lines, 3 * SLICE + 1);
	assert_string_equal(a->lines[3 * SLICE], "done 7");
	rig_free(g);
}

/* Who does not read gets no more slices, and may die in the middle. */
static void
test_slow_asker(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	fill(a, 60 * SLICE);
	rig_run(g);
	b->asleep = true;
	ask(b, QUERY_CHANNELS, B(""), 1);
	rig_run(g);
	assert_true(peer_backlog(b->peer) >= SLICE_BACKLOG);
	assert_true(peer_backlog(b->peer) < 2 * SLICE_BACKLOG);
	assert_false(TAILQ_EMPTY(&g->router->answers));
	b->asleep = false;
	rig_run(g);
	assert_int_equal(b->n_lines, 60 * SLICE + 1);
	b->asleep = true;
	ask(b, QUERY_CHANNELS, B(""), 2);
	rig_run(g);
	mate_dies(b);
	rig_run(g);
	assert_true(TAILQ_EMPTY(&g->router->answers));
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_reads_all_first),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_slices_of_users),
		cmocka_unit_test(test_many_lists),
		cmocka_unit_test(test_lists_of_the_api),
		cmocka_unit_test(test_slow_asker),
	};

	return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
