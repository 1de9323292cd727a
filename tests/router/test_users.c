/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/users.c: who is signed in, who watches whom.
 */
#include "driver.h"

#include "common/counters.h"

#define WATCH(...) .watch_out = {					\
	(struct bytes[]){ __VA_ARGS__ },				\
	sizeof((struct bytes[]){ __VA_ARGS__ }) / sizeof(struct bytes) }

static void
signin(struct mate *w, uint64_t conn, struct bytes user)
{
	SAY(w, signin, .app = B("1"), .conn = conn, .user = user);
}

static void
signout(struct mate *w, uint64_t conn, struct bytes user)
{
	SAY(w, signout, .app = B("1"), .conn = conn, .user = user);
}

static void
test_watchers(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	counter.users = 0;
	signin(b, 1, B("on"));
	rig_run(g);
	/* The list answers at once; a name twice counts once; one may watch
	 * oneself. */
	SAY(a, signin, .app = B("1"), .conn = 7, .user = B("me"),
	    WATCH(B("off"), B("on"), B("me"), B("off")));
	rig_run(g);
	GETS(a, "watch 7 online=on,me offline=off");
	assert_int_equal(counter.users, 2);
	/* Only the first and the last connection count. */
	signin(b, 2, B("on"));
	signin(b, 3, B("off"));
	signin(a, 8, B("off"));
	rig_run(g);
	GETS(a, "watch 7 online=off");
	GETS_NONE(a);
	signout(b, 3, B("off"));
	rig_run(g);
	GETS_NONE(a);
	signout(a, 8, B("off"));
	signout(b, 1, B("on"));
	signout(b, 2, B("on"));
	rig_run(g);
	assert_int_equal(a->n_lines, 2);
	assert_true(strcmp(a->lines[0], "watch 7 offline=off") == 0 ||
	    strcmp(a->lines[1], "watch 7 offline=off") == 0);
	assert_true(strcmp(a->lines[0], "watch 7 offline=on") == 0 ||
	    strcmp(a->lines[1], "watch 7 offline=on") == 0);
	GETS_NONE(b);
	rig_free(g);
	assert_int_equal(counter.users, 0);
}

/* Both signed in before either list is made, whichever link is read first. */
static void
test_lists_see_all_that_was_said(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	SAY(a, signin, .app = B("1"), .conn = 7, .user = B("p"),
	    WATCH(B("x"), B("q"), B("y")));
	SAY(b, signin, .app = B("1"), .conn = 9, .user = B("q"),
	    WATCH(B("p")));
	rig_run(g);
	GETS(a, "watch 7 online=q offline=x,y");
	GETS(b, "watch 9 online=p");
	GETS_NONE(a);
	GETS_NONE(b);
	rig_free(g);
}

static void
test_signout_ends_watching(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	SAY(a, signin, .app = B("1"), .conn = 7, .user = B("me"),
	    WATCH(B("x"), B("me")));
	rig_run(g);
	GETS(a, "watch 7 online=me offline=x");
	signout(a, 7, B("me"));
	signin(a, 8, B("x"));
	/* Never signed in: nothing. */
	signout(a, 9, B("x9"));
	signout(a, 9, B("me"));
	rig_run(g);
	GETS_NONE(a);
	assert_int_equal(census_get(g->router, B("1"))->users.count, 1);
	assert_int_equal(g->router->watchers.count, 0);
	rig_free(g);
}

/* Applications do not see each other's users. */
static void
test_applications_are_apart(void **state)
{
	struct rig *g = rig_new("[app two]\nid = 2\nkey = k2\nsecret = s\n");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	SAY(a, signin, .app = B("1"), .conn = 7, .user = B("me"),
	    WATCH(B("x")));
	SAY(a, signin, .app = B("2"), .conn = 8, .user = B("x"));
	rig_run(g);
	GETS(a, "watch 7 offline=x");
	GETS_NONE(a);
	rig_free(g);
}

static void
test_told_again(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a, *b;

	(void)state;
	rig_starting(g, 2);
	a = rig_stranger(g, 1);
	b = rig_stranger(g, 2);
	SAY(a, hello, .version = MSG_VERSION, .slot = 1, .generation = 1);
	SAY(b, hello, .version = MSG_VERSION, .slot = 2, .generation = 2);
	SAY(a, signin, .app = B("1"), .conn = 7, .user = B("me"),
	    .flags = JOIN_SYNC, WATCH(B("x"), B("y")));
	/* A new one in the meantime waits. */
	signin(a, 8, B("y"));
	SAY(a, synced, .end_ = "");
	rig_run(g);
	SAY(b, signin, .app = B("1"), .conn = 3, .user = B("x"),
	    .flags = JOIN_SYNC);
	rig_run(g);
	GETS_NONE(a);
	SAY(b, synced, .end_ = "");
	rig_run(g);
	GETS(a, "watch 7 online=y");
	signout(b, 3, B("x"));
	rig_run(g);
	GETS(a, "watch 7 offline=x");
	GETS_NONE(a);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watchers),
		cmocka_unit_test(test_lists_see_all_that_was_said),
		cmocka_unit_test(test_signout_ends_watching),
		cmocka_unit_test(test_applications_are_apart),
		cmocka_unit_test(test_told_again),
	};

	return cmocka_run_group_tests_name("users", tests, NULL, NULL);
}
