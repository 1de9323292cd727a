/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/config_webhook.c and config_target.c: which [courier] and
 * [webhook] are refused and why, and what an address is made of.
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

#define APP	"[app chat]\nid = 7\nkey = k, k2\nsecret = s\n"
#define TWO	APP "[app other]\nid = 8\nkey = l\nsecret = s\n"
#define HOOK	"[webhook w]\n"
#define URL	"url = https://example.com/hooks?token=topsecret\n"
#define GOOD	APP HOOK URL

static struct config *
load_good(const char *ini)
{
	struct config *c = load(ini);

	if (c == NULL)
		fail_msg("%s: %s", ini, why);
	return c;
}

static void
test_refused(void **state)
{
	static const struct {
		const char *ini, *words;
	} cases[] = {
		{ APP "[webhook]\n" URL, "t.ini:5: [webhook]: a webhook needs "
		    "a name" },
		{ TWO HOOK URL, "[webhook w] app: is missing" },
		{ TWO HOOK "app = chats\n" URL, "app: chats: no [app]" },
		{ APP HOOK, "url: is missing" },
		{ APP HOOK "url = example.com\n", "url: must begin with http" },
		{ APP HOOK "url = ftp://example.com\n", "url: must begin" },
		{ APP HOOK "url = https://\n", "url: the host is missing" },
		{ APP HOOK "url = https:///x\n", "url: the host is missing" },
		{ APP HOOK "url = https://*/x\n", "url: the host is missing" },
		{ APP HOOK "url = https://a,b/x\n", "url: not a host" },
		{ APP HOOK "url = https://u:topsecret@example.com/\n",
		    "url: a user or password" },
		{ APP HOOK "url = https://example.com:0/\n", "url: behind" },
		{ APP HOOK "url = https://example.com:65536/\n",
		    "url: behind" },
		{ APP HOOK "url = https://example.com:/\n", "url: behind" },
		{ APP HOOK "url = https://example.com:80x/\n", "url: behind" },
		{ APP HOOK "url = https://[2a00::1/\n", "url: ] is missing" },
		{ APP HOOK "url = https://[example.com]/\n",
		    "url: [ and ] are for" },
		{ APP HOOK "url = https://[2a00::1]x/\n", "url: behind" },
		{ APP HOOK "url = https://2a00::1/\n", "url: behind" },
		{ APP HOOK "url = https://example.com/a b\n", "written %XX" },
		{ APP HOOK "url = https://example.com\\@b/\n", "written %XX" },
		{ APP HOOK "url = https://ex\xc3\xa4mple.com/\n",
		    "written %XX" },
		{ APP HOOK "url = \"https://example.com/#x\"\n",
		    "written %23" },
		{ APP HOOK "url = https://127.1/\n", "but it is no address" },
		{ APP HOOK "url = https://127.0.0.1./\n",
		    "but it is no address" },
		{ APP HOOK "url = https://2130706433/\n",
		    "but it is no address" },
		{ APP HOOK "url = https://a.0x7f/\n", "but it is no address" },
		/* who may not be reached */
		{ APP HOOK "url = http://127.0.0.1/x\n",
		    "url: 127.0.0.1 is this machine or in a private network: "
		    "name its address or network in [courier] allow" },
		{ APP HOOK "url = http://[::1]:81/x\n", "url: ::1 is this" },
		{ APP HOOK "url = http://[::ffff:10.0.0.1]/\n", "is this" },
		{ APP HOOK "url = http://169.254.169.254/\n", "is this" },
		{ APP HOOK "url = http://LocalHost./\n", "is this" },
		{ APP HOOK "url = http://x.localhost/\n", "is this" },
		{ APP "[courier]\nallow = 10.0.0.0/8\n" HOOK
		    "url = http://127.0.0.1/x\n", "is this" },
		{ APP "[courier]\nallow = home\n", "[courier] allow: home: not "
		    "an address" },
		{ APP "[courier]\nallow = 10.0.0.0/33\n", "0 to 32" },
		{ APP "[courier]\nspool = spool\n", "spool: must begin" },
		/* what is sent */
		{ GOOD "events =\n", "events = : is empty" },
		{ GOOD "events = chanel_vacated\n", "events: chanel_vacated: "
		    "no such event, did you mean channel_vacated? known are" },
		{ GOOD "events = all\n", "events: all: no such event; known" },
		{ GOOD "header = X-A topsecret\n", "header: line 1 of them is "
		    "no line" },
		{ GOOD "header = X-A: b\nheader = X A: topsecret\n",
		    "header: line 2 of them begins with no name" },
		{ GOOD "header = : topsecret\n", "begins with no name" },
		{ GOOD "header = X-A:\n", "header: X-A has no value" },
		{ GOOD "header = X-A: top\tsecret\n", "control character" },
		{ GOOD "header = content-type: topsecret\n",
		    "header: content-type is set by Peal itself" },
		{ GOOD "header = Content-Length: 1\n", "is set by Peal" },
		{ GOOD "header = host: a\n", "is set by Peal" },
		{ GOOD "header = Transfer-Encoding: chunked\n",
		    "is set by Peal" },
		{ GOOD "header = x-pusher-key: a\n", "is set by Peal" },
		{ GOOD "header = X-Peal-Delivery: 1\n", "is set by Peal" },
		/* who signs */
		{ GOOD "key = l\n", "key: l: [app chat] has no such key" },
		{ TWO HOOK "app = other\nkey = k\n" URL, "[app other] has no" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct config *c = load(cases[i].ini);

		if (c != NULL || strstr(why, cases[i].words) == NULL)
			fail_msg("%s: %s", cases[i].ini, why);
		if (strstr(why, "topsecret") != NULL)
			fail_msg("a secret in: %s", why);
	}
}

static void
test_taken(void **state)
{
	static const char *const cases[] = {
		GOOD,
		GOOD "[webhook again]\n" URL,
		GOOD "events = connection_opened, cache_miss\nkey = k2\n",
		GOOD "header = Authorization: Bearer a, b\nheader = X-B:c\n",
		APP HOOK "url = http://8.8.8.8:8080\n",
		APP HOOK "url = HTTPS://[2a00:1450::1]?x=1\n",
		APP HOOK "url = http://hooks.internal/\n",
		APP HOOK "url = http://web.1and1/\n",
		APP "[courier]\nallow_private = yes\n" HOOK
		    "url = http://127.0.0.1/x\n",
		APP "[courier]\nallow = 127.0.0.0/8, 10.0.0.1\n" HOOK
		    "url = http://localhost:9000/x\n",
		APP "[courier]\nallow = ::1\n" HOOK "url = http://[::1]/\n",
		APP "[courier]\nallow = 10.0.0.1\n" HOOK
		    "url = http://[::ffff:10.0.0.1]/\n",
		APP "[courier]\nspool = /nowhere\n",
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++)
		config_free(load_good(cases[i]));
}

/* By label or id, all processes know it by the id. */
static void
test_app(void **state)
{
	struct config *c = load_good(TWO "[webhook a]\napp = chat\n" URL
	    "[webhook b]\napp = 8\n" URL);

	(void)state;
	assert_string_equal(c->webhook[0].app, "7");
	assert_string_equal(c->webhook[1].app, "8");
	config_free(c);
	c = load_good(GOOD);
	assert_string_equal(c->webhook[0].app, "7");
	assert_int_equal(c->webhook[0].events.n, 7);
	config_free(c);
}

/* What one learns of a secret that is none of one's business. */
static void
test_views(void **state)
{
	struct config *c = load_good(GOOD "secret = hook-secret\n"
	    "header = X-A: topsecret\n"), *seen;
	struct buf packed = { 0 }, text = { 0 };
	char *words;

	(void)state;
	config_pack(c, CONFIG_ROUTER, &packed);
	seen = config_unpack(buf_view(&packed), &words);
	assert_non_null(seen);
	assert_int_equal(seen->n_webhook, 1);
	assert_string_equal(seen->webhook[0].app, "7");
	assert_null(seen->webhook[0].url);
	assert_null(seen->webhook[0].secret);
	assert_int_equal(seen->webhook[0].header.n, 0);
	config_free(seen);
	buf_clear(&packed);
	config_pack(c, CONFIG_COURIER, &packed);
	seen = config_unpack(buf_view(&packed), &words);
	assert_non_null(seen);
	assert_string_equal(seen->webhook[0].secret, "hook-secret");
	assert_string_equal(seen->webhook[0].header.at[0], "X-A: topsecret");
	assert_string_equal(seen->app[0].secret, "s");
	config_free(seen);
	config_dump(c, false, &text);
	assert_null(strstr(buf_cstr(&text), "X-A: topsecret"));
	assert_null(strstr(buf_cstr(&text), "hook-secret"));
	buf_done(&text);
	buf_done(&packed);
	config_free(c);
}

static void
test_target(void **state)
{
	static const struct {
		const char	*url, *host, *path;
		unsigned	 port;
		bool		 tls, literal;
	} cases[] = {
		{ "http://a", "a", "", 80, false, false },
		{ "https://a.b-c/", "a.b-c", "/", 443, true, false },
		{ "HtTpS://A:1/x?y=/@", "A", "/x?y=/@", 1, true, false },
		{ "http://a?x:y", "a", "?x:y", 80, false, false },
		{ "http://1.2.3.4:65535/", "1.2.3.4", "/", 65535, false,
		    true },
		{ "https://[2a00::1]", "2a00::1", "", 443, true, true },
		{ "https://[2a00::1]:8443/x", "2a00::1", "/x", 8443, true,
		    true },
	};
	struct config_target t;
	const char *words;

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		if (config_target_parse(bytes_str(cases[i].url), &t,
		    &words) < 0)
			fail_msg("%s: %s", cases[i].url, words);
		assert_true(bytes_eq(t.host, bytes_str(cases[i].host)));
		assert_true(bytes_eq(t.path, bytes_str(cases[i].path)));
		assert_int_equal(t.port, cases[i].port);
		assert_int_equal(t.tls, cases[i].tls);
		assert_int_equal(t.literal, cases[i].literal);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_app),
		cmocka_unit_test(test_views),
		cmocka_unit_test(test_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
