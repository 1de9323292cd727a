/* SPDX-License-Identifier: MIT
 *
 * src/worker/params.c: query strings as names and values, as PHP reads them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/util.h"
#include "worker/params.h"

static struct params ps;

static const char *
get(const char *query, const char *name)
{
	static struct buf room, value;

	assert_int_equal(params_read(&ps, bytes_str(query)), 0);
	buf_clear(&value);
	buf_bytes(&value, params_get(&ps, bytes_str(name), &room));
	return buf_cstr(&value);
}

static void
test_get(void **state)
{
	static const struct {
		const char *query, *name, *value;
	} cases[] = {
		{ "", "a", "" },
		{ "a=1&b=2", "b", "2" },
		{ "a=1&a=2", "a", "2" },
		{ "A=1", "a", "1" },
		{ "a", "a", "" },
		{ "a=x%20y+z", "a", "x y z" },
		{ "a=b=c", "a", "b=c" },
		{ "&&a=1&&", "a", "1" },
		{ "i[]=a&i[]=b", "i", "a,b" },
		{ "i%5B0%5D=a&x=1&i%5B1%5D=b", "i", "a,b" },
		{ "i=z&i[]=a", "i", "a" },
		{ "i[]=a&i=z", "i", "z" },
		{ "aa=1&a=2&ab=3", "a", "2" },
	};
	struct buf room = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++)
		assert_string_equal(get(cases[i].query, cases[i].name),
		    cases[i].value);
	assert_int_equal(params_read(&ps, B("b=1")), 0);
	assert_null(params_get(&ps, B("a"), &room).p);
	assert_non_null(params_get(&ps, B("b"), &room).p);
}

static void
test_refused(void **state)
{
	struct buf many = { 0 };
	unsigned i;

	(void)state;
	assert_int_equal(params_read(&ps, B("a=%zz")), -1);
	assert_int_equal(params_read(&ps, B("a=%4")), -1);
	assert_int_equal(params_read(&ps, B("a=%ff")), -1);
	assert_int_equal(params_read(&ps, B("%ff=1")), -1);
	for (i = 0; i < PARAMS_MAX; i++)
		buf_fmt(&many, "&p%u=%u", i, i);
	assert_int_equal(params_read(&ps, buf_view(&many)), 0);
	assert_int_equal(ps.n, PARAMS_MAX);
	buf_str(&many, "&one=more");
	assert_int_equal(params_read(&ps, buf_view(&many)), -1);
	buf_done(&many);
}

static void
test_sorted(void **state)
{
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(params_read(&ps, B("b=2&Auth_signature=x&a%5B%5D=1&"
	    "c=%26&a%5B%5D=3&b=4&a_b=5")), 0);
	params_sorted(&ps, B("auth_signature"), &out);
	assert_string_equal(buf_cstr(&out), "a=1,3&a_b=5&b=4&c=&");
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
