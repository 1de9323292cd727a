/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/config_seen.c: which [metrics] and [page] are refused and
 * why, and what becomes of their addresses.
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

#define APP	"[app chat]\nid = 7\nkey = k\nsecret = s\n"
#define TOKEN	"0123456789abcdef"
#define M	APP "[metrics]\n"
#define P	APP "[page]\nenabled = yes\ntoken = " TOKEN "\n"

static void
test_refused(void **state)
{
	static const struct {
		const char *ini, *words;
	} cases[] = {
		{ M "path =\n", "[metrics] path: must begin" },
		{ M "path = metrics\n", "path: must begin" },
		{ M "path = /\n", "path: must begin" },
		{ M "path = /m?x\n", "path: may not hold" },
		{ M "path = /app/m\n", "path: /app, /apps" },
		{ M "path = /apps\n", "path: /app, /apps" },
		{ M "path = /up\n", "path: /app, /apps" },
		{ M "path = /ready\n", "path: /app, /apps" },
		{ M "allow = 10.0.0.0/8, localhost\n",
		    "[metrics] allow: localhost: " },
		{ M "allow = 10.0.0.0/40\n", "allow: 10.0.0.0/40: " },
		{ M "token = 012345678901234\n", "[metrics] token: needs 16" },
		{ M "shared = yes\n", "[metrics] shared: needs allow or token" },
		{ M "shared = yes\nallow = unix\n[rooms]\npath = /metrics\n",
		    "[metrics] path: is where [rooms] are" },
		{ M "shared = yes\nallow = unix\npath = /sse/x\n[rooms]\n",
		    "[metrics] path: is where [rooms] are" },
		{ M "address = metrics\n", "[listen metrics] address" },
		{ M "address = 127.0.0.1:8\n[listen metrics]\n"
		    "address = 127.0.0.1:9\n",
		    "[metrics] address: there is a section [listen metrics]" },
		{ M "address = 0.0.0.0:8080\n", "is given twice" },
		{ APP "[page]\nenabled = yes\n", "[page] token: is missing" },
		{ APP "[page]\ntoken = 012345678901234\n",
		    "[page] token: needs 16" },
		{ P "path = /peal\n", "[page] path: must end" },
		{ P "path = peal/\n", "[page] path: must begin" },
		{ P "path = /\n", "[page] path: must begin" },
		{ P "path = /app/\n", "[page] path: /app, /apps" },
		{ P "path = /apps/\n", "[page] path: /app, /apps" },
		{ P "path = /a#b/\n", "[page] path: may not hold" },
		{ P "allow = everybody\n", "[page] allow: everybody" },
		{ P "allowed_origins = https://a.example\n",
		    "[page] allowed_origins: https://a.example: not a host" },
		{ P "[rooms]\npath = /peal/room\n",
		    "[page] path: is where [rooms] are" },
		{ P "path = /sse/x/\n[rooms]\n",
		    "[page] path: is where [rooms] are" },
		{ P "[rooms]\nsse_path = /peal/sse/\n",
		    "[page] path: is where [rooms] are" },
		{ P "[metrics]\nshared = yes\nallow = unix\n"
		    "path = /peal/metrics\n", "[page] path: is where [metrics]" },
		{ APP "[listen]\naddress = :8080\nserve = metrics\n",
		    "[listen] serve: clients could connect nowhere" },
		{ APP "[listen]\naddress = :8080\nserve = page\n"
		    "[listen m]\naddress = :8081\nserve = metrics\n",
		    "[listen] serve: clients could connect nowhere" },
		{ APP "[rooms]\npath = /ready\n", "path: /app, /apps" },
		/* It is a label of numbers, and in what viewers are told. */
		{ "[app a]\nid = caf\xe9\nkey = k\nsecret = s\n",
		    "[app a] id: is not UTF-8" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct config *c = load(cases[i].ini);

		if (c != NULL || strstr(why, cases[i].words) == NULL)
			fail_msg("%s: %s", cases[i].ini, why);
		if (strstr(why, "0123456789") != NULL)
			fail_msg("a secret in: %s", why);
	}
}

static void
test_taken(void **state)
{
	static const char *const cases[] = {
		M "", M "address = 127.0.0.1:9464\n",
		M "address = unix:/tmp/m, [::1]:9464\nallow = ::1, unix\n",
		M "shared = yes\ntoken = " TOKEN "\n",
		M "shared = yes\nallow = 10.0.0.0/8, ::1, unix\n",
		/* nobody meets them there */
		M "address = 127.0.0.1:9464\n[rooms]\npath = /metrics\n",
		APP "[page]\n", P "", P "[rooms]\n", P "path = /a/b/\n",
		P "address = 127.0.0.1:9465\n[rooms]\npath = /peal/x\n",
		P "allowed_origins = *.example.com\nallow = fd00::/8\n",
		APP "[listen]\naddress = :8080\n[listen m]\n"
		    "address = :8081\nserve = metrics\n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct config *c = load(cases[i]);

		if (c == NULL)
			fail_msg("%s: %s", cases[i], why);
		config_free(c);
	}
}

static void
test_own_addresses(void **state)
{
	struct config *c = load(P "address = :9465\n[metrics]\n"
	    "address = 127.0.0.1:9464, unix:/tmp/m\n");

	(void)state;
	if (c == NULL)
		fail_msg("%s", why);
	assert_int_equal(c->n_listen, 3);
	assert_int_equal(c->listen[0].serve, SERVE_CLIENTS);
	assert_string_equal(c->listen[1].label, "metrics");
	assert_int_equal(c->listen[1].serve, SERVE_METRICS);
	assert_int_equal(c->listen[1].address.n, 2);
	assert_string_equal(c->listen[1].address.at[0], "127.0.0.1:9464");
	assert_string_equal(c->listen[2].label, "page");
	assert_int_equal(c->listen[2].serve, SERVE_PAGE);
	assert_int_equal(c->metrics.address.n, 0);
	assert_int_equal(c->page.address.n, 0);
	config_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_own_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
