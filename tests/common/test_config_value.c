/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/config_value.c and config_address.c: one value from text to
 * memory and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/config_parts.h"
#include "common/util.h"

/* shown: what config_value_show() makes of it; NULL is a mistake. */
static const struct value {
	const char	*section, *key, *text, *shown;
} values[] = {
	{ "app", "max_connections", "0", "0" },
	{ "app", "max_connections", "100000000", "100000000" },
	{ "app", "max_connections", "007", "7" },
	{ "app", "max_connections", "100000001", NULL },
	{ "app", "max_connections", "18446744073709551616", NULL },
	{ "app", "max_connections", "", NULL },
	{ "app", "max_connections", "1k", NULL },
	{ "app", "max_connections", "-1", NULL },
	{ "app", "max_connections", "+1", NULL },
	{ "app", "max_connections", "1 2", NULL },
	{ "app", "max_connections", "auto", NULL },
	{ "peal", "workers", "64", "64" },
	{ "peal", "workers", "0", NULL },
	{ "http", "max_request_size", "1024", "1k" },
	{ "http", "max_request_size", "1k", "1k" },
	{ "http", "max_request_size", "10000", "10000" },
	{ "http", "max_request_size", "1M", "1m" },
	{ "http", "max_request_size", "1500k", "1500k" },
	{ "http", "max_request_size", "65m", NULL },
	{ "http", "max_request_size", "18446744073709551615g", NULL },
	{ "http", "max_request_size", "1s", NULL },
	{ "http", "max_request_size", "k", NULL },
	{ "app", "ping_interval", "60", "1m" },
	{ "app", "ping_interval", "90", "90s" },
	{ "app", "ping_interval", "1500ms", "1500ms" },
	{ "app", "ping_interval", "2h", "2h" },
	{ "app", "ping_interval", "999ms", NULL },
	{ "app", "ping_interval", "25h", NULL },
	{ "app", "ping_interval", "1.5s", NULL },
	{ "app", "authorization_timeout", "0", "0" },
	{ "app", "authorization_timeout", "0ms", "0" },
	{ "app", "enabled", "yes", "yes" },
	{ "app", "enabled", "NO", "no" },
	{ "app", "enabled", "on", "yes" },
	{ "app", "enabled", "false", "no" },
	{ "app", "enabled", "1", "yes" },
	{ "app", "enabled", "", NULL },
	{ "app", "enabled", "y", NULL },
	{ "app", "client_events", "all", "all" },
	{ "app", "client_events", "None", "none" },
	{ "app", "client_events", "mem", NULL },
	{ "app", "client_events", "none|members", NULL },
	{ "app", "client_events", "", NULL },
	{ "app", "key", "a", "a" },
	{ "app", "key", " a ,b,, c ", "a, b, c" },
	{ "app", "allowed_origins", "", NULL },
	{ "app", "allowed_origins", " , ", NULL },
	{ "app", "secret", "", "" },
	{ "app", "secret", "a b", "a b" },
	{ "app", "secret", "a;b", "\"a;b\"" },
	{ "app", "secret", " a", "\" a\"" },
	{ "app", "secret", "\"a\\", "\"\\\"a\\\\\"" },
	{ "app", "secret", "a${b}", "a$${b}" },
	{ "app", "secret", "a\nb", NULL },
	{ "app", "secret", "a\x7f", NULL },
};

static void
test_values(void **state)
{
	struct config *c = config_new();
	size_t i;

	(void)state;
	config_append(c, config_section_find(B("app")), B("a"));
	for (i = 0; i < NELEM(values); i++) {
		const struct value *v = &values[i];
		const struct config_section *s =
		    config_section_find(bytes_str(v->section));
		const struct config_key *k =
		    config_key_find(s, bytes_str(v->key));
		struct buf why = { 0 }, shown = { 0 };
		void *at = config_at(c, s, 0);
		int rc = config_value_set(k, at, bytes_str(v->text), false,
		    &why);

		if ((rc == 0) != (v->shown != NULL) || (rc == 0) == (why.n > 0))
			fail_msg("%s = %s: %d %s", v->key, v->text, rc,
			    buf_cstr(&why));
		config_value_show(k, at, &shown);
		if (rc == 0)
			assert_string_equal(buf_cstr(&shown), v->shown);
		buf_done(&why);
		buf_done(&shown);
	}
	config_free(c);
}

/* Every default of the table must be good itself. */
static void
test_defaults(void **state)
{
	const struct config_section *s;
	const struct config_key *k;
	struct buf why = { 0 };
	struct config *c = config_new();
	void *at;

	(void)state;
	for (s = config_sections(); s->name != NULL; s++) {
		at = s->many ? config_append(c, s, B("x")) :
		    config_at(c, s, 0);
		for (k = s->keys; k->name != NULL; k++)
			if (config_value_set(k, at, bytes_str(k->def), false,
			    &why) < 0)
				fail_msg("%s: %s", k->name, buf_cstr(&why));
	}
	config_free(c);
	buf_done(&why);
}

static void
test_allowed(void **state)
{
	static const char *const cases[][3] = {
		{ "app", "max_connections", "0 to 100000000 (0 is no limit)" },
		{ "app", "client_events", "none, members and all" },
		{ "app", "enabled", "yes and no" },
		{ "peal", "workers", "1 to 64 and auto" },
		{ "app", "ping_interval", "1s to 24h" },
		{ "http", "max_request_size", "1k to 64m" },
		{ "app", "secret", "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct buf out = { 0 };

		config_value_allowed(config_key_find(config_section_find(
		    bytes_str(cases[i][0])), bytes_str(cases[i][1])), &out);
		assert_string_equal(buf_cstr(&out), cases[i][2]);
		buf_done(&out);
	}
}

/* shown NULL: refused. */
static void
test_addresses(void **state)
{
	static const char *const cases[][2] = {
		{ "0.0.0.0:8080", "0.0.0.0:8080" },
		{ "127.0.0.1:0", "127.0.0.1:0" },
		{ "8080", ":8080" }, { ":8080", ":8080" },
		{ "*:8080", ":8080" }, { "[*]:1", ":1" },
		{ "[::1]:65535", "[::1]:65535" }, { "[::]:1", "[::]:1" },
		{ "[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1" },
		{ "localhost:1", "localhost:1" },
		{ "a-b.example:1", "a-b.example:1" },
		{ "unix:/run/x", "unix:/run/x" },
		{ "", NULL }, { ":", NULL }, { "a", NULL }, { "a:", NULL },
		{ "a:b", NULL }, { "a:65536", NULL }, { "a:-1", NULL },
		{ "::1:80", NULL }, { "::1", NULL }, { "[::1]", NULL },
		{ "[::1:80", NULL }, { "[:::1]:80", NULL }, { "a/b:1", NULL },
		{ "a b:1", NULL }, { "unix:", NULL }, { "unix:x", NULL },
		{ "http://a:1", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct config_address a;
		struct buf out = { 0 };
		const char *why = NULL;
		int rc = config_address_parse(bytes_str(cases[i][0]), &a, &why);

		if ((rc == 0) != (cases[i][1] != NULL))
			fail_msg("%s: %d %s", cases[i][0], rc, why);
		assert_int_equal(why != NULL, rc < 0);
		if (rc == 0) {
			config_address_show(&a, &out);
			assert_string_equal(buf_cstr(&out), cases[i][1]);
		}
		buf_done(&out);
	}
}

static void
test_unix_path_length(void **state)
{
	char text[200] = "unix:/";
	struct config_address a;
	const char *why;

	(void)state;
	memset(text + 6, 'x', 106);
	assert_int_equal(config_address_parse(bytes_of(text, 5 + 107), &a,
	    &why), 0);
	text[5 + 107] = 'x';
	assert_int_equal(config_address_parse(bytes_of(text, 5 + 108), &a,
	    &why), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_unix_path_length),
	};

	return cmocka_run_group_tests_name("config_value", tests, NULL, NULL);
}
