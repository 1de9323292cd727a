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
#include "common/util.h"

static struct config *
example(void)
{
	static const char ini[] =
	    "[peal]\nworkers = 3\n[app a]\nid = 1\nkey = k, l\nsecret = tell-none\n"
	    "[app b]\nid = 2\nkey = m\nsecret = tell-none-either\n"
	    "rate_limiting = yes\nclient_events = all\n"
	    "[listen tls]\naddress = :1, unix:/x\ncertificate = chain\n"
	    "certificate_key = private\n"
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
	assert_false(holds(c, CONFIG_ROUTER, "private"));
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_views),
		cmocka_unit_test(test_wrong_length),
		cmocka_unit_test(test_wrong_octet),
	};

	return cmocka_run_group_tests_name("config_pack", tests, NULL, NULL);
}
