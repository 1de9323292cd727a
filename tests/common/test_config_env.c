/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/config_env.c: .env files as Laravel reads them, ${NAME}.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/config_parts.h"
#include "common/util.h"

static char *const environment[] = { (char[]){ "OUTER=outer" },
	(char[]){ "EMPTY=" }, (char[]){ "BOTH=environment" }, NULL };

/* NULL as value: the variable is not set. */
static const struct good {
	const char	*text, *name, *value;
} goods[] = {
	{ "A=b", "A", "b" },
	{ "A=b\n", "A", "b" },
	{ "A=b\r\nC=d\r\n", "A", "b" },
	{ "A=b\r\nC=d\r\n", "C", "d" },
	{ " A = b \n", "A", "b" },
	{ "A=", "A", "" },
	{ "A", "A", NULL },
	{ "# A=b", "A", NULL },
	{ "\xef\xbb\xbf" "A=b", "A", "b" },
	{ "export A=b", "A", "b" },
	{ "exportA=b", "exportA", "b" },
	{ "'A'=b", "A", "b" },
	{ "\"A\"=b", "A", "b" },
	{ "A.B_1=b", "A.B_1", "b" },
	{ "A=b # c", "A", "b" },
	{ "A=b#c", "A", "b" },
	{ "A=#c", "A", "" },
	{ "A=b=c", "A", "b=c" },
	{ "A=b'c\"d\\n", "A", "b'c\"d\\n" },
	{ "A='b c'", "A", "b c" },
	{ "A='b # c' # d", "A", "b # c" },
	{ "A='${OUTER}\\n'", "A", "${OUTER}\\n" },
	{ "A=\"b c\"", "A", "b c" },
	{ "A=\"b # c\" # d", "A", "b # c" },
	{ "A=\"\\\"\\\\\\$\\n\\r\\t\\f\\v\"", "A", "\"\\$\n\r\t\f\v" },
	{ "A=\"b\nc\"\nD=e", "A", "b\nc" },
	{ "A=\"b\nc\"\nD=e", "D", "e" },
	{ "A=${OUTER}", "A", "outer" },
	{ "A=\"${OUTER}.\"", "A", "outer." },
	{ "A=\"\\${OUTER}\"", "A", "${OUTER}" },
	{ "A=${NONE}", "A", "${NONE}" },
	{ "A=${}", "A", "${}" },
	{ "A=$OUTER$", "A", "$OUTER$" },
	{ "A=b\nC=${A}${A}", "C", "bb" },
	{ "C=${A}\nA=b", "C", "${A}" },
	{ "A=b\nA=c", "A", "c" },
	{ "A=b\nC=${BOTH}\nBOTH=file", "C", "environment" },
	{ "BOTH=file", "BOTH", "environment" },
	{ "EMPTY=file", "EMPTY", "" },
};

static const struct bad {
	const char	*text, *why;
} bads[] = {
	{ "A=b c", "t.env:1: more text behind the value" },
	{ "\n\nA=b\nC='d' e", "t.env:4: more text" },
	{ "A='b", "t.env:1: closing quote" },
	{ "A='b\nc'", "t.env:1: closing quote" },
	{ "B=1\nA=\"b\nc\n", "t.env:2: closing quote" },
	{ "A=\"\\b\"", "t.env:1: unknown escape" },
	{ "A=\"\\", "t.env:1: unknown escape" },
	{ "=b", "t.env:1: not NAME=value" },
	{ "A B=c", "t.env:1: not NAME=value" },
	{ "A-B=c", "t.env:1: not NAME=value" },
	{ "some text", "t.env:1: not NAME=value" },
};

static void
test_good(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(goods); i++) {
		const struct good *g = &goods[i];
		struct config_env env = { .environ_ = environment };
		struct buf why = { 0 };
		const char *value;

		if (config_env_parse(&env, "t.env", bytes_str(g->text),
		    &why) < 0)
			fail_msg("%s: %s", g->text, buf_cstr(&why));
		value = config_env_get(&env, bytes_str(g->name), NULL);
		if ((value == NULL) != (g->value == NULL) ||
		    (value != NULL && strcmp(value, g->value) != 0))
			fail_msg("%s: %s", g->text, value);
		config_env_done(&env);
		buf_done(&why);
	}
}

static void
test_bad(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(bads); i++) {
		struct config_env env = { .environ_ = NULL };
		struct buf why = { 0 };

		assert_int_equal(config_env_parse(&env, "t.env",
		    bytes_str(bads[i].text), &why), -1);
		if (strstr(buf_cstr(&why), bads[i].why) == NULL)
			fail_msg("%s: %s", bads[i].text, buf_cstr(&why));
		config_env_done(&env);
		buf_done(&why);
	}
}

static void
test_nul(void **state)
{
	struct config_env env = { .environ_ = NULL };
	struct buf why = { 0 };

	(void)state;
	assert_int_equal(config_env_parse(&env, "t.env", B("A=\"b\0c\""),
	    &why), -1);
	config_env_done(&env);
	buf_done(&why);
}

static void
test_place(void **state)
{
	struct config_env env = { .environ_ = environment };
	struct config_place place;
	struct buf why = { 0 };

	(void)state;
	config_env_parse(&env, "t.env", B("\nA=b\nBOTH=c\n"), &why);
	assert_non_null(config_env_get(&env, B("A"), &place));
	assert_string_equal(place.name, "t.env");
	assert_int_equal(place.line, 2);
	assert_non_null(config_env_get(&env, B("BOTH"), &place));
	assert_string_equal(place.name, "environment");
	assert_int_equal(place.line, 0);
	assert_null(config_env_get(&env, B("OUTE"), NULL));
	config_env_done(&env);
}

/* NULL as result: refused. */
static void
test_expand(void **state)
{
	static const char *const cases[][2] = {
		{ "plain", "plain" }, { "", "" }, { "$", "$" },
		{ "$OUTER", "$OUTER" }, { "${OUTER}", "outer" },
		{ "a${OUTER}b${OUTER}", "aouterbouter" },
		{ "${EMPTY}", "" }, { "${EMPTY:-x}", "x" },
		{ "${NONE:-x y}", "x y" }, { "${NONE:-}", "" },
		{ "${OUTER:-x}", "outer" }, { "$${OUTER}", "${OUTER}" },
		{ "$$${OUTER}", "$${OUTER}" }, { "$$", "$$" },
		{ "${NONE}", NULL }, { "${OUTER", NULL }, { "${}", NULL },
		{ "${A B}", NULL }, { "${OUTER:x}", NULL },
		{ "${OUTER:", NULL },
	};
	struct config_env env = { .environ_ = environment };
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct buf out = { 0 }, why = { 0 };
		int rc = config_env_expand(&env, bytes_str(cases[i][0]), &out,
		    &why);

		assert_int_equal(rc, cases[i][1] != NULL ? 0 : -1);
		assert_int_equal(why.n > 0, rc < 0);
		if (rc == 0)
			assert_string_equal(buf_cstr(&out), cases[i][1]);
		buf_done(&out);
		buf_done(&why);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_expand),
	};

	return cmocka_run_group_tests_name("config_env", tests, NULL, NULL);
}
