/* SPDX-License-Identifier: MIT
 *
 * src/worker/app.c: keys, ids, origins, new settings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/hooked.h"
#include "common/util.h"
#include "worker/app.h"

static char first[] = "1", second[] = "second";
static char *keys_a[] = { (char []){ "one" }, (char []){ "two" } };
static char *keys_b[] = { (char []){ "three" } };
static struct config_app sets[2];
static struct config config = { .app = sets, .n_app = 2 };

static int
setup(void **state)
{
	(void)state;
	sets[0] = (struct config_app){ .id = first,
	    .key = { keys_a, 2 }, .max_message_size = 5000 };
	sets[1] = (struct config_app){ .id = second,
	    .key = { keys_b, 1 }, .max_message_size = 0 };
	config.n_app = 2;
	apps_init(&config);
	return 0;
}

static void
test_find(void **state)
{
	struct app *a = app_by_id(B("1")), *b = app_by_id(B("second"));
	size_t pos = 0;

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_equal(app_by_key(B("one")), a);
	assert_ptr_equal(app_by_key(B("two")), a);
	assert_ptr_equal(app_by_key(B("three")), b);
	assert_null(app_by_key(B("One")));
	assert_null(app_by_key(B("")));
	assert_null(app_by_key(B("1")));
	assert_null(app_by_id(B("one")));
	assert_true(app_has_key(a, B("two")));
	assert_false(app_has_key(a, B("three")));
	assert_false(app_has_key(a, B("tw")));
	assert_int_equal(app_max_message(a), 5000);
	assert_true(app_max_message(b) >= 1u << 20);
	assert_ptr_equal(app_next(&pos), a);
	assert_ptr_equal(app_next(&pos), b);
	assert_null(app_next(&pos));
}

/* New settings: the app and what hangs on it stay the same. */
static void
test_again(void **state)
{
	struct config_app renewed[1] = {
		{ .id = second, .key = { keys_a, 1 } },
	};
	struct config fewer = { .app = renewed, .n_app = 1 };
	struct app *b = app_by_id(B("second"));

	(void)state;
	b->open = 5;
	apps_init(&fewer);
	assert_ptr_equal(app_by_id(B("second")), b);
	assert_ptr_equal(app_by_key(B("one")), b);
	assert_int_equal(b->open, 5);
	assert_null(app_by_key(B("three")));
	assert_null(app_by_id(B("1")));
	b->open = 0;
}

static void
tailed(const struct bytes *opened, uint32_t n, const struct bytes *closed,
    uint32_t m)
{
	apps_tailed(&(struct msg_tailed){ .opened = { opened, n },
	    .closed = { closed, m } });
}

/* The router may know of an application before its settings come, and after
 * they have gone. */
static void
test_tailed(void **state)
{
	static char third[] = "third";
	struct config_app more[3] = { sets[0], sets[1], { .id = third } };
	struct config grown = { .app = more, .n_app = 3 };
	struct bytes both[] = { B("third"), B("1"), B("1"), B("nobody") };
	struct app *a = app_by_id(B("1")), *b = app_by_id(B("second")), *c;

	(void)state;
	tailed(both, 4, both, 1);
	assert_int_equal(a->tailed, HOOKED_OPENED);
	assert_int_equal(b->tailed, 0);
	apps_init(&grown);
	c = app_by_id(B("third"));
	assert_int_equal(c->tailed, HOOKED_OPENED | HOOKED_CLOSED);
	assert_int_equal(a->tailed, HOOKED_OPENED);
	assert_int_equal(c->hooks, 0);
	/* What it says next stands in the place of that. */
	tailed(NULL, 0, both, 2);
	assert_int_equal(a->tailed, HOOKED_CLOSED);
	assert_int_equal(c->tailed, HOOKED_CLOSED);
	apps_init(&config);
	apps_init(&grown);
	assert_ptr_equal(app_by_id(B("third")), c);
	assert_int_equal(c->tailed, HOOKED_CLOSED);
	tailed(NULL, 0, NULL, 0);
	assert_int_equal(a->tailed | b->tailed | c->tailed, 0);
	/* A router that is lost wants nothing, nor may the next one. */
	tailed(both, 2, both, 2);
	apps_tailed(NULL);
	apps_init(&grown);
	assert_int_equal(a->tailed | b->tailed | c->tailed, 0);
	apps_init(&config);
}

/* What all [webhook]s of an application want together, and no other's. */
static void
test_hooks(void **state)
{
	char *of_channels[] = { (char []){ "channel_vacated" },
	    (char []){ "subscription_count" } };
	char *of_clients[] = { (char []){ "client_event" } };
	struct config_webhook hooks[] = {
		{ .app = first, .events = { of_channels, 2 } },
		{ .app = second, .events = { of_channels, 2 } },
		{ .app = first, .events = { of_clients, 1 } },
		{ .app = (char []){ "nobody" }, .events = { of_clients, 1 } },
		{ .events = { of_clients, 1 } },	/* of which one? */
	};
	struct config told = { .app = sets, .n_app = 2,
	    .webhook = hooks, .n_webhook = NELEM(hooks) };
	struct app *a = app_by_id(B("1")), *b = app_by_id(B("second"));

	(void)state;
	sets[1].subscription_count = true;
	apps_init(&told);
	assert_int_equal(a->hooks, HOOKED_CHANNELS | HOOKED_CLIENT);
	assert_int_equal(b->hooks, HOOKED_CHANNELS | HOOKED_COUNTS);
	/* Where there is one application, it is meant; the other is gone. */
	told.n_app = 1;
	hooks[0].app = NULL;
	hooks[2].app = NULL;
	apps_init(&told);
	assert_int_equal(a->hooks, HOOKED_CHANNELS | HOOKED_CLIENT);
	assert_int_equal(b->hooks, 0);
	told.n_webhook = 0;
	apps_init(&told);
	assert_int_equal(a->hooks | b->hooks, 0);
	assert_true(apps_use(&told));
	sets[1].subscription_count = false;
	apps_init(&config);
}

/* The table of reverb.md, b.3 and f.47, and what must not get through. */
static void
test_origins(void **state)
{
	static const struct {
		const char	*pattern, *origin;
		bool		 allowed;
	} cases[] = {
		{ "*", NULL, true },
		{ "*", "null", true },
		{ "*", "http://a", true },
		{ "laravel.com", "http://localhost", false },
		{ "laravel.com", "http://laravel.com", true },
		{ "laravel.com", "https://laravel.com:8443", true },
		{ "laravel.com", "https://LARAVEL.com", true },
		{ "Laravel.COM", "https://laravel.com", true },
		{ "laravel.com", "https://sub.laravel.com", false },
		{ "laravel.com", "https://xlaravel.com", false },
		{ "laravel.com", "https://laravel.com.evil.org", false },
		{ "laravel.com", "laravel.com", false },
		{ "laravel.com", "null", false },
		{ "laravel.com", "", false },
		{ "laravel.com", NULL, false },
		{ "*.laravel.com", "http://laravel.com", false },
		{ "*.laravel.com", "http://a.laravel.com", true },
		{ "*.laravel.com", "http://a.b.laravel.com", true },
		{ "*.laravel.com", "http://a.laravel.com.evil.org", false },
		{ "localhost", "http://localhost", true },
		{ "localhost", "http://localhost:3000", true },
		{ "*.localhost", "http://sub.localhost", true },
		{ "laravel.*", "http://laravel.org", true },
		{ "a*b*c", "http://axxbyybzzc", true },
		{ "a*b*c", "http://axxbyybzz", false },
		{ "[::1]", "http://[::1]:8080", true },
		{ "[::1]", "http://[::1", false },
		/* not an origin but a URL: trust nothing of it */
		{ "laravel.com", "http://laravel.com/", false },
		{ "laravel.com", "http://laravel.com:80x", false },
		{ "*.laravel.com", "http://evil.org/.laravel.com", false },
		{ "*.laravel.com", "http://evil.org:1/.laravel.com", false },
		{ "*.laravel.com", "http://u@a.laravel.com", false },
		{ "laravel.com", "http://", false },
		{ "laravel.com", "://laravel.com", false },
		{ "", "http://laravel.com", false },
	};
	struct app *app = app_by_id(B("1"));
	char nobody[] = "nobody.example";
	char *patterns[2] = { nobody, NULL };
	size_t i;

	(void)state;
	sets[0].allowed_origins = (struct config_strings){ patterns, 2 };
	for (i = 0; i < NELEM(cases); i++) {
		patterns[1] = (char *)(uintptr_t)cases[i].pattern;
		if (app_origin_allowed(app, cases[i].origin != NULL,
		    bytes_str(cases[i].origin)) != cases[i].allowed)
			fail_msg("%s for %s", cases[i].origin,
			    cases[i].pattern);
	}
	sets[0].allowed_origins.n = 0;
	assert_false(app_origin_allowed(app, true, B("http://a")));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_find),
		TEST(test_again),
		TEST(test_tailed),
		TEST(test_hooks),
		TEST(test_origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
