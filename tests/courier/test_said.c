/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier/said.c: what is announced, held back, silent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/util.h"
#include "courier/said.h"

#define HOLD	3000

static struct said said;
static struct buf heard;
static uint64_t now;

static void
hear(const char *what, struct bytes app, struct bytes channel,
    struct bytes user)
{
	buf_fmt(&heard, "%s%.*s/%.*s", what, (int)app.n, app.p,
	    (int)channel.n, channel.p);
	if (user.n != 0)
		buf_fmt(&heard, "/%.*s", (int)user.n, user.p);
	buf_char(&heard, ' ');
}

static void
on_announce(void *ctx, struct bytes app, struct bytes channel,
    struct bytes user, bool present)
{
	(void)ctx;
	hear(present ? "+" : "-", app, channel, user);
}

static void
on_silent(void *ctx, struct bytes app, struct bytes channel,
    struct bytes user)
{
	(void)ctx;
	hear("=", app, channel, user);
}

static void
on_known(void *ctx, struct bytes app, unsigned classes)
{
	(void)ctx;
	buf_fmt(&heard, "!%.*s:%u ", (int)app.n, app.p, classes);
}

static const struct said_ops ops = { on_announce, on_silent, on_known };

static void
expect(const char *text)
{
	assert_string_equal(buf_cstr(&heard), text);
	buf_clear(&heard);
}

static void
tell(const char *app, const char *channel, const char *user, bool present)
{
	said_state(&said, bytes_str(app), bytes_str(channel),
	    bytes_str(user), present, now);
}

static void
pass(uint64_t ms)
{
	now += ms;
	said_expire(&said, now, HOLD);
}

static void
roll(void)
{
	said_roll_begin(&said);
}

static void
end(void)
{
	assert_true(said_roll_end(&said, now));
}

static int
begin(void **state)
{
	(void)state;
	now = 1000;
	said_init(&said, &ops, NULL);
	roll();
	end();
	said_know(&said, B("1"), SAID_CHANNELS | SAID_MEMBERS);
	expect("!1:3 ");
	return 0;
}

static int
done(void **state)
{
	(void)state;
	said_done(&said);
	buf_done(&heard);
	return 0;
}

static void
what_comes_is_announced_once(void **state)
{
	(void)state;
	tell("1", "a", "", true);
	tell("1", "a", "", true);
	tell("1", "p", "", true);
	tell("1", "p", "7", true);
	tell("2", "a", "", true);
	tell("1", "b", "", false);
	expect("+1/a +1/p +1/p/7 +2/a ");
}

static void
names_do_not_run_together(void **state)
{
	(void)state;
	tell("1", "ab", "c", true);
	tell("1", "a", "bc", true);
	tell("1a", "b", "c", true);
	tell("1", "abc", "", true);
	expect("+1/ab/c +1/a/bc +1a/b/c +1/abc ");
}

static void
what_goes_is_held_back(void **state)
{
	(void)state;
	tell("1", "a", "", true);
	tell("1", "a", "7", true);
	expect("+1/a +1/a/7 ");
	tell("1", "a", "7", false);
	pass(1);
	tell("1", "a", "", false);
	assert_int_equal(said_due(&said, HOLD), 1000 + HOLD);
	pass(HOLD - 2);
	expect("");
	pass(1);
	expect("-1/a/7 ");
	pass(1);
	expect("-1/a ");
	pass(HOLD);
	expect("");
	assert_int_equal(said_due(&said, HOLD), 0);
	tell("1", "a", "", true);
	expect("+1/a ");
}

static void
who_comes_back_is_silent(void **state)
{
	(void)state;
	tell("1", "a", "", true);
	expect("+1/a ");
	for (int i = 0; i < 5; i++) {
		tell("1", "a", "", false);
		pass(HOLD - 1);
		tell("1", "a", "", true);
		pass(HOLD);
	}
	expect("");
	/* Told twice that it is gone: held since the first. */
	tell("1", "a", "", false);
	pass(HOLD - 1);
	tell("1", "a", "", false);
	pass(1);
	expect("-1/a ");
}

static void
a_roll_finds_what_was_missed(void **state)
{
	(void)state;
	tell("1", "a", "", true);
	tell("1", "b", "", true);
	tell("1", "b", "7", true);
	tell("1", "c", "", true);
	tell("1", "c", "", false);
	expect("+1/a +1/b +1/b/7 +1/c ");
	said_unsettle(&said);
	assert_false(said.settled);
	roll();
	tell("1", "a", "", true);
	tell("1", "d", "", true);
	tell("1", "c", "", true);
	expect("+1/d ");
	end();
	assert_true(said.settled);
	expect("");
	pass(HOLD - 1);
	expect("");
	pass(1);
	/* The member before its channel. */
	expect("-1/b/7 -1/b ");
	pass(HOLD);
	expect("");
}

static void
a_roll_cut_short_says_nothing(void **state)
{
	(void)state;
	tell("1", "a", "", true);
	tell("1", "b", "", true);
	expect("+1/a +1/b ");
	roll();
	tell("1", "a", "", true);
	said_unsettle(&said);
	assert_false(said_roll_end(&said, now));
	pass(2 * HOLD);
	expect("");
	roll();
	tell("1", "a", "", true);
	roll();		/* begun once more: the first does not count */
	tell("1", "b", "", true);
	end();
	pass(HOLD);
	expect("-1/a ");
}

static void
an_unknown_application_is_taken_silently(void **state)
{
	(void)state;
	roll();
	tell("1", "a", "", true);
	tell("9", "a", "", true);
	tell("9", "p", "7", true);
	expect("+1/a =9/a =9/p/7 ");
	end();
	expect("!9:3 ");
	tell("9", "b", "", true);
	tell("9", "a", "", false);
	pass(HOLD);
	expect("+9/b -9/a ");
	/* The next roll announces. */
	roll();
	tell("1", "a", "", true);
	tell("9", "b", "", true);
	tell("9", "c", "", true);
	tell("9", "p", "7", true);
	end();
	pass(HOLD);
	expect("+9/c ");
}

static unsigned
wanted(void *ctx, struct bytes app)
{
	(void)ctx;
	return bytes_eq(app, B("1")) ? SAID_CHANNELS : 0;
}

/* In any order: of each application apart. */
static unsigned forgot[10];

static void
on_forgotten(void *ctx, struct bytes app, unsigned classes)
{
	(void)ctx;
	assert_int_equal(app.n, 1);
	assert_int_equal(forgot[app.p[0] - '0'], 0);
	forgot[app.p[0] - '0'] = classes;
}

static void
what_nobody_wants_is_dropped(void **state)
{
	(void)state;
	tell("1", "a", "", true);
	tell("1", "a", "7", true);
	tell("2", "a", "", true);
	tell("2", "a", "", false);
	expect("+1/a +1/a/7 +2/a ");
	said_only(&said, wanted, on_forgotten, NULL);
	expect("");
	/* What was there before a roll made it known, too: the journal has it. */
	assert_int_equal(forgot[1], SAID_MEMBERS);
	assert_int_equal(forgot[2], SAID_CHANNELS);
	assert_int_equal(said.all.count, 1);
	pass(HOLD);
	expect("");
	/* Wanted again: those that are there are no news. */
	roll();
	tell("1", "a", "", true);
	tell("1", "a", "7", true);
	end();
	expect("=1/a/7 !1:3 ");
	said_forget(&said, B("1"), SAID_CHANNELS);
	assert_int_equal(said.all.count, 1);
}

static void
kept_facts_are_no_news(void **state)
{
	(void)state;
	said_keep(&said, B("1"), B("a"), B(""), true);
	said_keep(&said, B("1"), B("b"), B(""), true);
	said_keep(&said, B("1"), B("b"), B(""), false);
	said_keep(&said, B("1"), B("x"), B(""), false);
	tell("1", "a", "", true);
	tell("1", "b", "", true);
	expect("+1/b ");
}

static void
many_expire_in_steps(void **state)
{
	char name[20];

	(void)state;
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		tell("1", name, "", true);
	}
	buf_clear(&heard);
	assert_int_equal(said.all.count, 100000);
	roll();
	end();
	now += HOLD;
	for (int i = 0; i < 9; i++)
		assert_true(said_expire(&said, now, HOLD));
	while (said_expire(&said, now, HOLD))
		;
	assert_int_equal(said.all.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f)	cmocka_unit_test_setup_teardown(f, begin, done)
		TEST(what_comes_is_announced_once),
		TEST(names_do_not_run_together),
		TEST(what_goes_is_held_back),
		TEST(who_comes_back_is_silent),
		TEST(a_roll_finds_what_was_missed),
		TEST(a_roll_cut_short_says_nothing),
		TEST(an_unknown_application_is_taken_silently),
		TEST(what_nobody_wants_is_dropped),
		TEST(kept_facts_are_no_news),
		TEST(many_expire_in_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
