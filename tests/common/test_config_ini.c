/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/config_ini.c: lines, sections, values and complaints.  The
 * table of mistakes as the user meets them is tests/tap/settings.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/config_parts.h"
#include "common/util.h"

static int
parse(struct config_draft *d, struct bytes text)
{
	config_draft_init(d);
	return config_ini_parse(d, "t.ini", text);
}

/* [http] hostname = TEXT gives this; NULL is a mistake. */
static void
test_values(void **state)
{
	static const char *const cases[][2] = {
		{ "a", "a" }, { "  a  ", "a" }, { "a b", "a b" },
		{ "a;b", "a;b" }, { "a#b", "a#b" }, { "a ;b", "a" },
		{ "a #b", "a" }, { "a\t;b", "a" }, { "; b", NULL },
		{ "\"a;b\"", "a;b" }, { "\" a \"", " a " },
		{ "\"a\" ; b", "a" }, { "\"a\\\"b\"", "a\"b" },
		{ "\"a\\\\\"", "a\\" }, { "\"a\\b\"", "a\\b" },
		{ "a\"b", "a\"b" }, { "a = b", "a = b" }, { "a: b", "a: b" },
		{ "$${x}", "${x}" }, { "${NONE:-b}", "b" },
	};
	struct config_draft d;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct buf text = { 0 };

		buf_fmt(&text, "[http]\nhostname = %s\n", cases[i][0]);
		if (parse(&d, buf_view(&text)) < 0)
			fail_msg("%s: %s", cases[i][0], buf_cstr(&d.why));
		if (cases[i][1] == NULL)
			assert_null(d.config->http.hostname);
		else
			assert_string_equal(d.config->http.hostname,
			    cases[i][1]);
		config_draft_done(&d);
		buf_done(&text);
	}
}

/* inih as distributions build it cuts lines at 200 octets. */
static void
test_long_values(void **state)
{
	struct config_draft d;
	size_t n;

	(void)state;
	for (n = 150; n < 5000; n += n < 260 ? 1 : 977) {
		struct buf text = { 0 };
		char *value = xmalloc(n + 1);

		memset(value, 'x', n);
		value[n] = '\0';
		buf_fmt(&text, "[http]\nhostname = %s\npath = /p\n", value);
		assert_int_equal(parse(&d, buf_view(&text)), 0);
		assert_string_equal(d.config->http.hostname, value);
		assert_string_equal(d.config->http.path, "/p");
		config_draft_done(&d);
		buf_done(&text);
		free(value);
	}
}

static void
test_long_key(void **state)
{
	struct buf text = { 0 };
	struct config_draft d;
	int i;

	(void)state;
	buf_str(&text, "[http]\n");
	for (i = 0; i < 1000; i++)
		buf_char(&text, 'k');
	buf_str(&text, " = 1\n");
	assert_int_equal(parse(&d, buf_view(&text)), -1);
	assert_int_equal(strncmp(buf_cstr(&d.why), "t.ini:2: ", 9), 0);
	config_draft_done(&d);
	buf_done(&text);
}

/* Indented lines are lines, not more of the value above. */
static void
test_indentation(void **state)
{
	struct config_draft d;

	(void)state;
	assert_int_equal(parse(&d, B("[http]\nhostname = a\n  path = /b\n"
	    "\v[peal]\n\fcontrol = c")), 0);
	assert_string_equal(d.config->http.hostname, "a");
	assert_string_equal(d.config->http.path, "/b");
	assert_string_equal(d.config->peal.control, "c");
	config_draft_done(&d);
}

static void
test_empty_sections_count(void **state)
{
	struct config_draft d;

	(void)state;
	assert_int_equal(parse(&d, B("[app a]\n[app b]\n[listen]\n")), 0);
	assert_int_equal(d.config->n_app, 2);
	assert_int_equal(d.config->n_listen, 1);
	config_draft_done(&d);
	assert_int_equal(parse(&d, B("[nothing]\n")), -1);
	config_draft_done(&d);
}

static void
test_nul(void **state)
{
	struct config_draft d;

	(void)state;
	assert_int_equal(parse(&d, B("[http]\n\nhostname = a\0b\n")), -1);
	assert_string_equal(buf_cstr(&d.why), "t.ini:3: a NUL octet");
	config_draft_done(&d);
}

/* Only the first mistake is told, with its own line. */
static void
test_first_mistake(void **state)
{
	static const char *const cases[][2] = {
		{ "[http]\nx y\npath = /\npath = /\n", "t.ini:2: " },
		{ "[http]\npath ; = y\nzzz = 1\n", "t.ini:2: " },
		{ "[http]\nzzz = 1\nx y\n", "t.ini:2: " },
		{ "\n\n# c\n[http]\n= y\n", "t.ini:5: " },
	};
	struct config_draft d;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		assert_int_equal(parse(&d, bytes_str(cases[i][0])), -1);
		if (strncmp(buf_cstr(&d.why), cases[i][1],
		    strlen(cases[i][1])) != 0)
			fail_msg("%s: %s", cases[i][0], buf_cstr(&d.why));
		config_draft_done(&d);
	}
}

static void
test_secret_not_told(void **state)
{
	struct config_draft d;

	(void)state;
	assert_int_equal(parse(&d, B("[app a]\nsecret = hush\x01\n")), -1);
	assert_null(strstr(buf_cstr(&d.why), "hush"));
	assert_non_null(strstr(buf_cstr(&d.why), "secret = ***"));
	config_draft_done(&d);
}

static void
test_nearest(void **state)
{
	static const char *const names[] = { "secret", "id", "key",
		"max_connections" };

	(void)state;
	assert_string_equal(config_nearest(B("secrt"), names, 4), "secret");
	assert_string_equal(config_nearest(B("max_conection"), names, 4),
	    "max_connections");
	assert_string_equal(config_nearest(B("kye"), names + 2, 1) == NULL ?
	    "none" : "some", "none");
	assert_string_equal(config_nearest(B("keys"), names, 4), "key");
	assert_null(config_nearest(B("zzz"), names, 4));
	assert_null(config_nearest(B(""), names, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_long_key),
		cmocka_unit_test(test_indentation),
		cmocka_unit_test(test_empty_sections_count),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_first_mistake),
		cmocka_unit_test(test_secret_not_told),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests_name("config_ini", tests, NULL, NULL);
}
