/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/config_pack.c: settings on their way to a child, and what a
 * role may not see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/config_parts.h"
#include "common/packed.h"
#include "common/util.h"

static struct config *
example(void)
{
	static const char ini[] =
	    "[peal]\nworkers = 3\n[app a]\nid = 1\nkey = k, l\nsecret = tell-none\n"
	    "[app b]\nid = 2\nkey = m\nsecret = tell-none-either\n"
	    "rate_limiting = yes\nclient_events = all\n"
	    "[listen tls]\naddress = :1, unix:/x\ncertificate = chain\n"
	    "certificate_key = hidden-key\n"
	    "[backplane]\ndriver = redis\nurl = redis://u:hush@h\n"
	    "sentinels = s:1\nsentinel_password = hush-2\n"
	    "signing = yes\nsigning_key = hush-hush-hush-hush-hush-hush-hush\n";
	struct config_source src = { .file = "t.ini", .debug = true };
	struct config_draft d;
	struct config *c;

	config_draft_init(&d);
	if (config_draft_load(&d, &src, bytes_str(ini)) < 0)
		fail_msg("%s", buf_cstr(&d.why));
	c = d.config;
	d.config = NULL;
	config_draft_done(&d);
	return c;
}

/* Packed and unpacked, and what is then different. */
static struct config *
there_and_back(const struct config *c, enum config_view view,
    struct buf *names)
{
	struct buf packed = { 0 };
	struct config *back;
	char *why = NULL;
	bool reload;

	config_pack(c, view, &packed);
	back = config_unpack(buf_view(&packed), &why);
	if (back == NULL)
		fail_msg("%s", why);
	config_diff(c, back, names, &reload);
	buf_done(&packed);
	return back;
}

static bool
holds(const struct config *c, enum config_view view, const char *text)
{
	struct buf packed = { 0 };
	bool found;

	config_pack(c, view, &packed);
	found = memmem(packed.p, packed.n, text, strlen(text)) != NULL;
	buf_done(&packed);
	return found;
}

static void
test_all(void **state)
{
	struct config *c = example(), *back;
	struct buf names = { 0 };

	(void)state;
	back = there_and_back(c, CONFIG_ALL, &names);
	assert_string_equal(buf_cstr(&names), "");
	assert_true(back->debug);
	assert_string_equal(back->app[1].label, "b");
	assert_int_equal(back->app[1].client_events, CLIENT_EVENTS_ALL);
	config_free(c);
	config_free(back);
	buf_done(&names);
}

static void
test_views(void **state)
{
	struct config *c = example(), *back;
	struct buf names = { 0 };

	(void)state;
	back = there_and_back(c, CONFIG_ROUTER, &names);
	assert_string_equal(buf_cstr(&names),
	    "listen.tls.certificate_key, app.a.secret, app.b.secret");
	config_free(back);
	buf_clear(&names);
	back = there_and_back(c, CONFIG_WORKER, &names);
	assert_string_equal(buf_cstr(&names),
	    "backplane.password, backplane.sentinel_password, "
	    "backplane.signing_key");
	config_free(back);
	assert_true(holds(c, CONFIG_ALL, "tell-none"));
	assert_false(holds(c, CONFIG_ROUTER, "tell-none"));
	assert_false(holds(c, CONFIG_ROUTER, "hidden-key"));
	assert_true(holds(c, CONFIG_ROUTER, "hush"));
	assert_false(holds(c, CONFIG_WORKER, "hush"));
	assert_true(holds(c, CONFIG_WORKER, "tell-none"));
	config_free(c);
	buf_done(&names);
}

/* Cut anywhere, or with more behind, it is refused. */
static void
test_wrong_length(void **state)
{
	struct config *c = example();
	struct buf packed = { 0 };
	size_t i;

	(void)state;
	config_pack(c, CONFIG_ALL, &packed);
	for (i = 0; i < packed.n; i++) {
		char *why = NULL;

		assert_null(config_unpack(bytes_of(packed.p, i), &why));
		assert_non_null(why);
		free(why);
	}
	buf_char(&packed, 0);
	{
		char *why = NULL;

		assert_null(config_unpack(buf_view(&packed), &why));
		free(why);
	}
	config_free(c);
	buf_done(&packed);
}

/* One octet changed: refused, or a config that can be freed. */
static void
test_wrong_octet(void **state)
{
	struct config *c = example(), *back;
	struct buf packed = { 0 };
	size_t i;

	(void)state;
	config_pack(c, CONFIG_ALL, &packed);
	for (i = 0; i < packed.n; i++) {
		char was = packed.p[i], *why = NULL;

		packed.p[i] = (char)0xc0;	/* nil where it is a type */
		back = config_unpack(buf_view(&packed), &why);
		assert_int_equal(back == NULL, why != NULL);
		config_free(back);
		free(why);
		packed.p[i] = was;
	}
	config_free(c);
	buf_done(&packed);
}

/* ---- neighbouring releases ----------------------------------------------- */

static void
put(struct buf *b, const char *text)
{
	pack_bytes(b, bytes_str(text));
}

/* The head of settings with [listen], an application, and more sections. */
static void
begin(struct buf *b, uint32_t more)
{
	buf_clear(b);
	pack_map(b, 2 + more);
	put(b, "listen");
	pack_array(b, 1);
	pack_map(b, 0);
	put(b, "app");
	pack_array(b, 1);
	pack_map(b, 1);
	put(b, "id");
	put(b, "7");
}

static struct config *
unpack(const struct buf *b)
{
	char *why = NULL;
	struct config *c = config_unpack(buf_view(b), &why);

	if (c == NULL)
		fail_msg("%s", why);
	return c;
}

static void
refused(const struct buf *b, const char *expected)
{
	char *why = NULL;

	assert_null(config_unpack(buf_view(b), &why));
	assert_string_equal(why, expected);
	free(why);
}

/* An older release sends less: the rest has its default. */
static void
test_older(void **state)
{
	struct config *c, *defaults = config_new();
	struct buf b = { 0 };

	(void)state;
	begin(&b, 0);
	c = unpack(&b);
	assert_string_equal(c->app[0].id, "7");
	assert_int_equal(c->peal.watchdog, defaults->peal.watchdog);
	assert_string_equal(c->peal.user, defaults->peal.user);
	assert_int_equal(c->listen[0].address.n, 1);
	assert_false(c->debug);
	config_free(defaults);
	config_free(c);
	buf_done(&b);
}

/* A newer one sends keys and sections that are not known here. */
static void
test_newer(void **state)
{
	struct buf b = { 0 };
	struct config *c;

	(void)state;
	begin(&b, 3);
	put(&b, "telepathy");
	pack_array(&b, 2);
	pack_map(&b, 1);
	put(&b, "range");
	pack_array(&b, 2);
	pack_u64(&b, 5);
	pack_nil(&b);
	pack_map(&b, 0);
	put(&b, "peal");
	pack_array(&b, 1);
	pack_map(&b, 4);
	put(&b, "mood");
	put(&b, "good");
	put(&b, "log_level");
	put(&b, "debug");
	put(&b, "moods");
	pack_map(&b, 1);
	pack_u64(&b, 1);
	pack_array(&b, 0);
	put(&b, "workers");
	pack_u64(&b, 9);
	put(&b, "--debug");
	pack_u64(&b, 1);
	c = unpack(&b);
	assert_int_equal(c->peal.workers, 9);
	assert_int_equal(c->peal.log_level, 3);
	assert_true(c->debug);
	config_free(c);
	buf_done(&b);
}

static void
peal_with(struct buf *b, const char *key)
{
	begin(b, 1);
	put(b, "peal");
	pack_array(b, 1);
	pack_map(b, 1);
	put(b, key);
}

/* A value that this release does not take is named. */
static void
test_not_taken(void **state)
{
	static const char head[] =
	    "settings from the master do not fit this binary";
	struct buf b = { 0 }, text = { 0 };

	(void)state;
	peal_with(&b, "workers");
	pack_u64(&b, 65);
	buf_fmt(&text, "%s: [peal] workers: out of range: 1 to 64 and auto",
	    head);
	refused(&b, buf_cstr(&text));

	peal_with(&b, "jail");
	put(&b, "deep");
	buf_clear(&text);
	buf_fmt(&text, "%s: [peal] jail: unknown word; allowed are off, on and "
	    "log", head);
	refused(&b, buf_cstr(&text));

	peal_with(&b, "demo");
	pack_u64(&b, 2);
	buf_clear(&text);
	buf_fmt(&text, "%s: [peal] demo: neither yes nor no", head);
	refused(&b, buf_cstr(&text));

	/* Of another kind: that is no release, but damage. */
	peal_with(&b, "workers");
	put(&b, "three");
	refused(&b, head);
	peal_with(&b, "user");
	pack_bytes(&b, B("a\0b"));
	refused(&b, head);
	/* No application. */
	buf_clear(&b);
	pack_map(&b, 0);
	refused(&b, head);
	buf_done(&text);
	buf_done(&b);
}

/* nil is an empty text, also where the default is another one. */
static void
test_empty_text(void **state)
{
	struct buf b = { 0 };
	struct config *c;

	(void)state;
	peal_with(&b, "user");
	pack_nil(&b);
	c = unpack(&b);
	assert_null(c->peal.user);
	config_free(c);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_views),
		cmocka_unit_test(test_wrong_length),
		cmocka_unit_test(test_wrong_octet),
		cmocka_unit_test(test_older),
		cmocka_unit_test(test_newer),
		cmocka_unit_test(test_not_taken),
		cmocka_unit_test(test_empty_text),
	};

	return cmocka_run_group_tests_name("config_pack", tests, NULL, NULL);
}
