/* SPDX-License-Identifier: MIT
 *
 * Thousands of [app] and [webhook]: five times as many are five times as much work
 * to load, check and compare, and a complaint is the same as among a few.  Work is
 * counted in comparisons, as a machine may be slow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/util.h"
#include "tests/common/test_config.h"

#define FEW	500u
#define MANY	2500u

/* ---- comparisons --------------------------------------------------------- */

static uint64_t compared;

int	__real_strcmp(const char *, const char *);
int	__wrap_strcmp(const char *, const char *);
int	__real_memcmp(const void *, const void *, size_t);
int	__wrap_memcmp(const void *, const void *, size_t);
int	__wrap_bcmp(const void *, const void *, size_t);

int
__wrap_strcmp(const char *a, const char *b)
{
	compared++;
	return __real_strcmp(a, b);
}

int
__wrap_memcmp(const void *a, const void *b, size_t n)
{
	compared++;
	return __real_memcmp(a, b, n);
}

/* What clang makes of memcmp() == 0. */
int
__wrap_bcmp(const void *a, const void *b, size_t n)
{
	compared++;
	return __real_memcmp(a, b, n);
}

/* ---- settings ------------------------------------------------------------ */

/* Four lines of each section; names are equally long.  `more` follows. */
static struct config *
load_many(unsigned n, const char *prefix, const char *more)
{
	struct buf ini = { 0 };
	struct config *c;

	for (unsigned i = 0; i < n; i++)
		buf_fmt(&ini, "[app %s%04u]\nid = 1%04u\nkey = k%04u\n"
		    "secret = s\n", prefix, i, i, i);
	for (unsigned i = 0; i < n; i++)
		buf_fmt(&ini, "[webhook %s%04u]\napp = %s%04u\nkey = k%04u\n"
		    "url = https://example.com/%u\n", prefix, i, prefix,
		    n - 1 - i, n - 1 - i, i);
	buf_str(&ini, more);
	c = load(buf_cstr(&ini));
	buf_done(&ini);
	return c;
}

static struct config *
good(unsigned n, const char *prefix)
{
	struct config *c = load_many(n, prefix, "");

	if (c == NULL)
		fail_msg("%s", why);
	assert_int_equal(c->n_app, n);
	assert_int_equal(c->n_webhook, n);
	assert_string_equal(c->webhook[0].app, c->app[n - 1].id);
	return c;
}

/* ---- tests --------------------------------------------------------------- */

static uint64_t
work_of_load(unsigned n)
{
	uint64_t before = compared;

	config_free(good(n, "a"));
	return compared - before;
}

static void
test_load(void **state)
{
	uint64_t few = work_of_load(FEW), many = work_of_load(MANY);

	(void)state;
	assert_true(few > FEW);
	assert_true(many < 8 * few);
}

/* other: the same labels, or all others. */
static uint64_t
work_of_diff(unsigned n, const char *other)
{
	struct config *a = good(n, "a"), *b = good(n, other);
	struct buf out = { 0 };
	uint64_t before;
	bool reload;

	b->app[n - 1].enabled = !b->app[n - 1].enabled;
	before = compared;
	config_diff(a, b, &out, &reload);
	before = compared - before;
	assert_false(reload);
	if (strcmp(other, "a") == 0 && n == MANY)
		assert_string_equal(buf_cstr(&out), "app.a2499.enabled");
	else
		assert_true(out.n > 0);
	buf_done(&out);
	config_free(a);
	config_free(b);
	return before;
}

static void
test_diff(void **state)
{
	(void)state;
	assert_true(work_of_diff(MANY, "a") < 8 * work_of_diff(FEW, "a"));
	/* Those that come and go are compared with nothing. */
	assert_true(work_of_diff(MANY, "b") < 8 * work_of_diff(FEW, "b") +
	    MANY);
}

/* What is wrong with the section behind 500 applications and as many webhooks,
 * which begins in line 4001. */
static void
test_complaints(void **state)
{
	static const struct {
		const char *more, *words;
	} cases[] = {
		{ "[app x]\nid = 10250\nkey = x\nsecret = s\n",
		    "t.ini:4002: [app x] id: 10250: [app a0250] has this id" },
		{ "[app x]\nid = x\nsecret = s\nkey = x, k0499, k0007\n",
		    "t.ini:4004: [app x] key: k0007: [app a0007] has this "
		    "key" },
		/* The first that has something of it, the id first. */
		{ "[app x]\nid = 10250\nkey = k0249\nsecret = s\n",
		    "t.ini:4003: [app x] key: k0249: [app a0249] has this "
		    "key" },
		{ "[app x]\nid = 10250\nkey = k0250\nsecret = s\n",
		    "t.ini:4002: [app x] id: 10250: [app a0250] has this id" },
		{ "[app a0017]\nid = x\nkey = x\nsecret = s\n",
		    "t.ini:4001: [app a0017]: begins in line 69 already: its "
		    "keys belong there" },
		{ "[webhook a0001]\n",
		    "t.ini:4001: [webhook a0001]: begins in line 2005 "
		    "already: its keys belong there" },
		{ "[webhook w]\napp = a0500\nurl = https://example.com/\n",
		    "t.ini:4002: [webhook w] app: a0500: no [app] has this "
		    "label or id" },
		{ "[webhook w]\napp = 10499\nurl = https://example.com/\n"
		    "key = k0498\n", "t.ini:4004: [webhook w] key: k0498: "
		    "[app a0499] has no such key" },
		{ "[webhook w]\nurl = https://example.com/\n",
		    "t.ini:4001: [webhook w] app: is missing: there are "
		    "several applications: a0000 (t.ini:1), a0001 "
		    "(t.ini:5), a0002 (t.ini:9), a0003 (t.ini:13), ..." },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		assert_null(load_many(FEW, "a", cases[i].more));
		assert_string_equal(why, cases[i].words);
	}
}

/* A key twice in one section; a label that is another's id. */
static void
test_names(void **state)
{
	struct config *c = load("[app 8]\nid = 7\nkey = k, k\nsecret = s\n"
	    "[app 7]\nid = 8\nkey = l\nsecret = s\n"
	    "[webhook a]\napp = 8\nkey = k\nurl = https://example.com/\n"
	    "[webhook b]\napp = 7\nkey = k\nurl = https://example.com/\n");

	(void)state;
	if (c == NULL)
		fail_msg("%s", why);
	assert_string_equal(c->webhook[0].app, "7");
	assert_string_equal(c->webhook[1].app, "7");
	config_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
