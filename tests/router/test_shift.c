/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/shift.c: connections change workers, and nobody hears of it;
 * workers that expect subscribers; marks.
 */
#include "driver.h"

#define P "presence-p"

static struct rig *g;
static struct mate *a, *b, *c;		/* the elder, its heir, somebody else */

static void
begin(const char *ini)
{
	g = rig_new(ini);
	a = rig_worker(g, 1);
	b = rig_worker(g, 2);
	c = rig_worker(g, 3);
}

static void
joins(struct mate *w, const char *channel, uint64_t cookie)
{
	SAY(w, join, .app = B("1"), .channel = bytes_str(channel), .n = 1,
	    .cookie = cookie);
}

static void
enters(struct mate *w, const char *user, uint64_t cookie)
{
	SAY(w, join, .app = B("1"), .channel = B(P), .n = 1, .cookie = cookie,
	    .flags = JOIN_PRESENCE, .user = bytes_str(user),
	    .member = B("{}"));
}

static void
expects(struct mate *w, const char *channel, uint64_t cookie, uint64_t flags)
{
	SAY(w, join, .app = B("1"), .channel = bytes_str(channel),
	    .cookie = cookie, .flags = JOIN_HEIR | flags);
}

static void
expects_no_more(struct mate *w, const char *channel)
{
	SAY(w, leave, .app = B("1"), .channel = bytes_str(channel));
}

static void
leaves(struct mate *w, const char *channel, const char *user)
{
	SAY(w, leave, .app = B("1"), .channel = bytes_str(channel), .n = 1,
	    .user = bytes_str(user));
}

static void
publishes(struct mate *w, uint64_t serial, const char *channel)
{
	SAY(w, publish, .serial = serial, .app = B("1"),
	    .channel = bytes_str(channel), .event = B("e"), .data = B("1"));
}

/* Who is moved: in `channel` (as `user`, "" is nobody), or in none (NULL). */
struct mover {
	const char	*channel, *user, *signed_in;
	uint64_t	 was, conn, epoch;
	bool		 closed;
};

static void
says_moved(struct mate *w, const struct mate *elder, const struct mover *m)
{
	struct bytes channel = bytes_str(m->channel != NULL ? m->channel : "");
	struct bytes user = bytes_str(m->user != NULL ? m->user : "");
	struct bytes object = user.n > 0 ? B("{}") : user, watched = B("w");
	uint32_t n = m->channel != NULL;
	struct bytes signed_in = bytes_str(m->signed_in != NULL ?
	    m->signed_in : "");

	SAY(w, moved, .slot = elder->slot, .generation = elder->generation,
	    .app = B("1"), .was = m->was, .conn = m->conn, .open = !m->closed,
	    .channels_out = { &channel, n }, .users_out = { &user, n },
	    .members_out = { &object, n }, .user = signed_in,
	    .watch_out = { &watched, signed_in.n > 0 }, .first = 1,
	    .epoch = m->epoch != 0 ? m->epoch : g->router->epoch);
}

#define MOVED(to, from, ...)	says_moved(to, from, &(struct mover){ __VA_ARGS__ })

static void
load(struct mate *w, uint64_t open, uint64_t came, uint64_t went)
{
	SAY(w, load, .app = B("1"), .open = open, .subscribed = open,
	    .came = came, .went = went, .came_subscribed = came,
	    .went_subscribed = went);
}

/* What c hears of a channel or of connections. */
static void
asks(unsigned kind, const char *name, const char *row)
{
	static uint64_t cookie;
	char *end = xasprintf("done %d", (int)++cookie);

	SAY(c, query, .cookie = cookie, .kind = kind, .app = B("1"),
	    .name = bytes_str(name));
	rig_run(g);
	if (row != NULL)
		GETS(c, row);
	GETS(c, end);
	free(end);
}

static void
forget_lines(struct mate *w)
{
	while (w->n_lines > 0)
		free(w->lines[--w->n_lines]);
}

static void
silence(void)
{
	rig_run(g);
	GETS_NONE(a);
	GETS_NONE(b);
	GETS_NONE(c);
}

/* ---- workers that expect subscribers ------------------------------------- */

static void
test_heir_hears_and_does_not_count(void **state)
{
	(void)state;
	begin("");
	joins(a, "x", 1);
	rig_run(g);
	GETS(a, "subscribed x cookie=1 count=1");
	expects(b, "x", 7, 0);
	rig_run(g);
	GETS(b, "subscribed x cookie=7 count=1");
	asks(QUERY_CHANNEL, "x", "row x 1/0");
	publishes(a, 1, "x");
	rig_run(g);
	GETS(a, "deliver x e=1 from=1 n=1 at=1");
	GETS(a, "ack 1");
	GETS(b, "deliver x e=1 from=1 n=1 at=1");
	/* It has subscribers, too: still once. */
	joins(b, "x", 0);
	publishes(b, 1, "x");
	rig_run(g);
	GETS(a, "deliver x e=1 from=2 n=1 at=2");
	GETS(b, "deliver x e=1 from=2 n=1 at=2");
	GETS(b, "ack 1");
	leaves(b, "x", "");
	leaves(a, "x", "");
	publishes(c, 1, "x");
	rig_run(g);
	GETS(b, "deliver x e=1 from=3 n=1 at=3");
	GETS(c, "ack 1");
	asks(QUERY_CHANNELS, "", NULL);
	expects_no_more(b, "x");
	publishes(c, 2, "x");
	rig_run(g);
	GETS(c, "ack 2");
	silence();
	assert_null(route_find(census_get(g->router, B("1")), B("x")));
	rig_free(g);
}

static void
test_heir_dies(void **state)
{
	(void)state;
	begin("");
	expects(b, "x", 7, 0);
	expects(b, P, 8, JOIN_PRESENCE | JOIN_ROSTER);
	rig_run(g);
	GETS(b, "subscribed x cookie=7 count=0");
	GETS(b, "roster " P " 0");
	GETS(b, "subscribed " P " cookie=8 count=0");
	mate_dies(b);
	rig_run(g);
	assert_null(route_find(census_get(g->router, B("1")), B("x")));
	assert_null(route_find(census_get(g->router, B("1")), B(P)));
	rig_free(g);
}

static void
test_heir_knows_members(void **state)
{
	(void)state;
	begin("");
	enters(a, "u", 1);
	rig_run(g);
	GETS(a, "member " P " u {}");
	GETS(a, "roster " P " 1");
	GETS(a, "subscribed " P " cookie=1 count=1");
	expects(b, P, 8, JOIN_PRESENCE | JOIN_ROSTER);
	rig_run(g);
	GETS(b, "member " P " u {}");
	GETS(b, "roster " P " 1");
	GETS(b, "subscribed " P " cookie=8 count=1");
	enters(a, "v", 2);
	rig_run(g);
	GETS(a, "added " P " v {}");
	GETS(b, "added " P " v {}");
	GETS(a, "subscribed " P " cookie=2 count=2");
	leaves(a, P, "u");
	rig_run(g);
	GETS(a, "removed " P " u");
	GETS(b, "removed " P " u");
	silence();
	rig_free(g);
}

static void
test_heir_and_counts(void **state)
{
	(void)state;
	begin("subscription_count = yes\n");
	SAY(a, join, .app = B("1"), .channel = B("x"), .n = 1, .cookie = 1,
	    .flags = JOIN_COUNT);
	rig_run(g);
	GETS(a, "subscribed x cookie=1 count=1");
	GETS(a, "count x 1");
	expects(b, "x", 7, JOIN_COUNT);
	rig_run(g);
	GETS(b, "subscribed x cookie=7 count=1");
	silence();
	MOVED(b, a, .channel = "x", .was = 1, .conn = 2);
	silence();
	SAY(a, join, .app = B("1"), .channel = B("x"), .n = 1,
	    .flags = JOIN_COUNT);
	rig_run(g);
	GETS(a, "count x 2");
	GETS(b, "count x 2");
	rig_free(g);
}

static void
test_bad_joins(void **state)
{
	(void)state;
	begin("");
	SAY(a, join, .app = B("1"), .channel = B("x"), .n = 1,
	    .flags = JOIN_HEIR);
	SAY(b, join, .app = B("1"), .channel = B("x"), .n = 0);
	SAY(c, moved, .app = B("1"), .slot = 1, .generation = 1,
	    .channels_out = { &(struct bytes){ "x", 1 }, 1 });
	rig_run(g);
	assert_true(TAILQ_EMPTY(&g->router->peers));
	rig_free(g);
}

/* ---- moving --------------------------------------------------------------- */

static void
test_nobody_hears(void **state)
{
	(void)state;
	begin("");
	joins(a, "x", 0);
	joins(a, "x", 0);
	enters(a, "u", 1);
	enters(c, "w", 1);
	load(a, 2, 0, 0);
	expects(b, "x", 0, 0);
	expects(b, P, 0, JOIN_PRESENCE);
	rig_run(g);
	forget_lines(a);
	forget_lines(b);
	forget_lines(c);
	MOVED(b, a, .channel = "x", .was = 1, .conn = 11);
	silence();
	MOVED(b, a, .channel = P, .user = "u", .was = 2, .conn = 12);
	silence();
	asks(QUERY_CHANNEL, "x", "row x 2/0");
	asks(QUERY_CHANNEL, P, "row " P " 2/2");
	asks(QUERY_CONNECTIONS, "", "row 1 2/2");
	/* Each sits where it is now. */
	mate_dies(a);
	rig_run(g);
	asks(QUERY_CHANNEL, "x", "row x 1/0");
	GETS_NONE(c);
	leaves(b, P, "u");
	rig_run(g);
	GETS(c, "removed " P " u");
	rig_free(g);
}

static void
test_users_move(void **state)
{
	struct bytes watched = B("w");

	(void)state;
	begin("");
	SAY(a, signin, .app = B("1"), .conn = 5, .user = B("u"),
	    .watch_out = { &watched, 1 });
	SAY(c, signin, .app = B("1"), .conn = 6, .user = B("v"),
	    .watch_out = { &(struct bytes){ "u", 1 }, 1 });
	rig_run(g);
	GETS(a, "watch 5 offline=w");
	GETS(c, "watch 6 online=u");
	MOVED(b, a, .signed_in = "u", .was = 5, .conn = 77);
	silence();
	SAY(c, signin, .app = B("1"), .conn = 8, .user = B("w"));
	rig_run(g);
	GETS(b, "watch 77 online=w");
	mate_dies(a);
	silence();
	SAY(b, signout, .app = B("1"), .conn = 77, .user = B("u"));
	rig_run(g);
	GETS(c, "watch 6 offline=u");
	rig_free(g);
}

/* A list that nobody has answered yet goes along. */
static void
test_watcher_moves_before_its_answer(void **state)
{
	struct bytes watched = B("w");

	(void)state;
	begin("");
	SAY(a, signin, .app = B("1"), .conn = 5, .user = B("u"),
	    .watch_out = { &watched, 1 });
	MOVED(b, a, .signed_in = "u", .was = 5, .conn = 77);
	rig_run(g);
	if (a->n_lines > 0)	/* in two turns */
		GETS(a, "watch 5 offline=w");
	else
		GETS(b, "watch 77 offline=w");
	silence();
	rig_free(g);
}

/* What its elder says for others comes before or after: the same. */
static void
test_old_side_goes_on(void **state)
{
	(void)state;
	begin("");
	joins(a, "x", 0);
	expects(b, "x", 0, 0);
	rig_run(g);
	MOVED(b, a, .channel = "x", .was = 1, .conn = 11);
	silence();
	/* Another client of the elder. */
	joins(a, "x", 9);
	rig_run(g);
	GETS(a, "subscribed x cookie=9 count=2");
	publishes(c, 1, "x");
	rig_run(g);
	GETS(a, "deliver x e=1 from=3 n=1 at=1");
	GETS(b, "deliver x e=1 from=3 n=1 at=1");
	GETS(c, "ack 1");
	leaves(a, "x", "");
	expects_no_more(b, "x");
	rig_run(g);
	asks(QUERY_CHANNEL, "x", "row x 1/0");
	leaves(b, "x", "");
	rig_run(g);
	asks(QUERY_CHANNEL, "x", NULL);
	rig_free(g);
}

static void
test_elder_is_dead(void **state)
{
	(void)state;
	begin("");
	enters(a, "u", 0);
	enters(c, "w", 0);
	expects(b, P, 0, JOIN_PRESENCE);
	load(a, 1, 0, 0);
	rig_run(g);
	forget_lines(c);
	mate_dies(a);
	rig_run(g);
	GETS(c, "removed " P " u");
	MOVED(b, a, .channel = P, .user = "u", .signed_in = "u", .was = 2,
	    .conn = 12);
	load(b, 1, 1, 0);
	rig_run(g);
	GETS(c, "added " P " u {}");
	asks(QUERY_CONNECTIONS, "", "row 1 1/1");
	rig_free(g);
}

/* It said so before its elder ended, but is read after that. */
static void
test_last_words(void **state)
{
	(void)state;
	begin("");
	enters(a, "u", 0);
	enters(c, "w", 0);
	expects(b, P, 0, JOIN_PRESENCE);
	rig_run(g);
	forget_lines(c);
	MOVED(b, a, .channel = P, .user = "u", .was = 2, .conn = 12);
	a->peer->gone = true;
	mate_dies(a);
	rig_run(g);
	GETS_NONE(c);
	rig_free(g);
}

/* Its heir took it and died, having said so or not. */
static void
test_gone_with_its_heir(void **state)
{
	(void)state;
	for (int said = 0; said < 3; said++) {
		begin("");
		joins(a, "x", 0);
		joins(a, "x", 0);
		enters(a, "u", 0);
		enters(c, "w", 0);
		load(a, 1, 0, 1);
		rig_run(g);
		forget_lines(c);
		if (said == 1)
			MOVED(b, a, .channel = "x", .was = 1, .conn = 11);
		rig_run(g);
		if (said < 2)
			mate_dies(b);
		MOVED(a, a, .channel = "x", .was = 1);
		rig_run(g);
		if (said == 2) {	/* it is read too late */
			MOVED(b, a, .channel = "x", .was = 1, .conn = 11);
			rig_run(g);
			mate_dies(b);
			rig_run(g);
		}
		asks(QUERY_CHANNEL, "x", "row x 1/0");
		asks(QUERY_CONNECTIONS, "", "row 1 1/1");
		GETS_NONE(c);
		rig_free(g);
	}
}

/* ---- a new router ---------------------------------------------------------- */

/* What elder and heir tell a new router of somebody who was on his way: in
 * which order, and whether the elder had let him go already. */
static void
tells(unsigned way)
{
	struct mover in_x = { .channel = "x", .was = 1, .conn = 1,
	    .epoch = 5 }, as_u = { .channel = P, .user = "u", .was = 2,
	    .conn = 2, .signed_in = "u", .epoch = 5 };
	bool elder_names = (way & 1) != 0, heir_first = (way & 2) != 0;

	for (int i = 0; i < 2; i++) {
		if ((i == 0) == heir_first) {
			in_x.conn = 11;
			as_u.conn = 12;
			says_moved(b, a, &in_x);
			says_moved(b, a, &as_u);
		} else if (elder_names) {
			in_x.conn = in_x.was;
			as_u.conn = as_u.was;
			says_moved(a, a, &in_x);
			says_moved(a, a, &as_u);
		}
		rig_run(g);
	}
}

static void
test_new_router(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 8; way++) {
		bool synced = (way & 4) != 0, names = (way & 1) != 0;

		g = rig_new("");
		rig_starting(g, 3);
		a = rig_stranger(g, 1);
		b = rig_stranger(g, 2);
		c = rig_stranger(g, 3);
		for (struct mate *w = a; w <= c; w++)
			SAY(w, hello, .version = MSG_VERSION,
			    .slot = w->peer->slot, .generation = w->generation);
		/* Another one in each, who stays with the elder. */
		SAY(a, join, .app = B("1"), .channel = B("x"), .n = 1,
		    .flags = JOIN_SYNC);
		expects(b, "x", 0, JOIN_SYNC);
		expects(b, P, 0, JOIN_SYNC | JOIN_PRESENCE);
		/* Whom it names is among its open ones, if it does. */
		load(a, names ? 3 : 1, 0, 0);
		load(b, 2, 2, 0);
		rig_run(g);
		if (!synced)
			tells(way);
		for (struct mate *w = a; w <= c; w++)
			SAY(w, synced, .end_ = "");
		rig_run(g);
		if (synced)
			tells(way);
		asks(QUERY_CHANNEL, "x", "row x 2/0");
		asks(QUERY_CHANNEL, P, "row " P " 1/1");
		asks(QUERY_CONNECTIONS, "", "row 1 3/3");
		if (names)
			load(a, 1, 0, 2);
		leaves(b, "x", "");
		leaves(b, P, "u");
		SAY(b, signout, .app = B("1"), .conn = 12, .user = B("u"));
		load(b, 0, 2, 0);
		rig_run(g);
		asks(QUERY_CHANNEL, "x", "row x 1/0");
		asks(QUERY_CHANNEL, P, NULL);
		asks(QUERY_CONNECTIONS, "", "row 1 1/1");
		expects_no_more(b, P);
		rig_run(g);
		assert_null(route_find(census_get(g->router, B("1")), B(P)));
		mate_dies(a);
		rig_run(g);
		asks(QUERY_CHANNEL, "x", NULL);
		asks(QUERY_CONNECTIONS, "", "row 1 0/0");
		assert_int_equal(g->router->shifts.by_name.count, 0);
		rig_free(g);
	}
}

/* ---- marks ------------------------------------------------------------------ */

static void
test_mark(void **state)
{
	(void)state;
	begin("");
	joins(a, "x", 0);
	joins(b, "x", 0);
	publishes(c, 1, "x");
	rig_run(g);
	GETS(b, "deliver x e=1 from=3 n=1 at=1");
	SAY(a, mark, .cookie = 4);
	rig_run(g);
	GETS(a, "deliver x e=1 from=3 n=1 at=1");
	GETS(a, "marked 4");
	assert_int_equal(a->serial, g->router->serial);
	rig_free(g);
}

/* Not before the kernel has taken what is for others. */
static void
test_mark_waits_for_the_kernel(void **state)
{
	char *large = xmalloc(1u << 20);

	(void)state;
	memset(large, '1', 1u << 20);
	begin("");
	joins(b, "x", 0);
	rig_run(g);
	b->asleep = true;
	SAY(c, publish, .serial = 1, .app = B("1"), .channel = B("x"),
	    .event = B("e"), .data = bytes_of(large, 1u << 20));
	rig_run(g);
	SAY(a, mark, .cookie = 4);
	rig_run(g);
	GETS_NONE(a);
	b->asleep = false;
	rig_run(g);
	GETS(a, "marked 4");
	b->asleep = true;
	SAY(c, publish, .serial = 2, .app = B("1"), .channel = B("x"),
	    .event = B("e"), .data = bytes_of(large, 1u << 20));
	rig_run(g);
	SAY(a, mark, .cookie = 5);
	rig_run(g);
	GETS_NONE(a);
	mate_dies(b);
	rig_run(g);
	GETS(a, "marked 5");
	SAY(a, mark, .cookie = 6);
	mate_dies(a);
	rig_run(g);
	rig_free(g);
	free(large);
}

static void
test_mark_is_held_behind_the_rest(void **state)
{
	(void)state;
	g = rig_new("");
	rig_starting(g, 2);
	a = rig_worker(g, 1);
	b = rig_stranger(g, 2);
	SAY(b, hello, .version = MSG_VERSION, .slot = 2,
	    .generation = b->generation);
	enters(a, "u", 3);
	SAY(a, mark, .cookie = 4);
	rig_run(g);
	GETS_NONE(a);
	SAY(b, synced, .end_ = "");
	rig_run(g);
	GETS(a, "member " P " u {}");
	GETS(a, "roster " P " 1");
	GETS(a, "subscribed " P " cookie=3 count=1");
	GETS(a, "marked 4");
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heir_hears_and_does_not_count),
		cmocka_unit_test(test_heir_dies),
		cmocka_unit_test(test_heir_knows_members),
		cmocka_unit_test(test_heir_and_counts),
		cmocka_unit_test(test_bad_joins),
		cmocka_unit_test(test_nobody_hears),
		cmocka_unit_test(test_users_move),
		cmocka_unit_test(test_watcher_moves_before_its_answer),
		cmocka_unit_test(test_old_side_goes_on),
		cmocka_unit_test(test_elder_is_dead),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_gone_with_its_heir),
		cmocka_unit_test(test_new_router),
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_mark_waits_for_the_kernel),
		cmocka_unit_test(test_mark_is_held_behind_the_rest),
	};

	return cmocka_run_group_tests_name("shift", tests, NULL, NULL);
}
