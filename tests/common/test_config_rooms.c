/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/config_rooms.c: which [rooms] are refused and why, and whose
 * room a channel is.
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
#define TWO	APP "[app other]\nid = 8\nkey = l\nsecret = s\n"
#define REDIS	"[backplane]\ndriver = redis\n"

static void
test_refused(void **state)
{
	static const struct {
		const char *ini, *words;
	} cases[] = {
		{ TWO "[rooms]\n", "app: is missing" },
		{ TWO "[rooms]\napp = chats\n", "app: chats: no [app]" },
		{ APP "[rooms]\npath = chat\n", "path: must begin" },
		{ APP "[rooms]\npath = /a?b\n", "path: may not hold" },
		{ APP "[rooms]\npath = /app\n", "path: /app, /apps" },
		{ APP "[rooms]\npath = /apps/x\n", "path: /app, /apps" },
		{ APP "[rooms]\npath = /up\n", "path: /app, /apps" },
		{ APP "[rooms]\nsse_path = /\n", "sse_path: must end" },
		{ APP "[rooms]\nsse_path = /sse\n", "sse_path: must end" },
		{ APP "[rooms]\nsse_path = /apps/\n", "sse_path: /app, /apps" },
		{ APP "[rooms]\nparameter =\n", "parameter: a name" },
		{ APP "[rooms]\nparameter = a=b\n", "parameter: a name" },
		{ APP "[rooms]\nparameter = token\n",
		    "token_parameter: is that of the room" },
		{ APP "[rooms]\nchannel =\n", "channel: is needed" },
		{ APP "[rooms]\nchannel = presence-x\n", "presence-" },
		/* an ID could complete it */
		{ APP "[rooms]\nchannel = p\n", "presence-" },
		{ APP "[rooms]\nchannel = private-\n", "private-cache-" },
		{ APP "[rooms]\nchannel = cache-x\n", "cache-" },
		{ APP "[rooms]\nchannel = private-encrypted-\n",
		    "private-encrypted-" },
		{ APP "[rooms]\nchannel = \"#x\"\n", "#" },
		{ APP "[rooms]\nevent =\n", "event: is needed" },
		{ APP "[rooms]\nevent = pusher:ping\n", "event: pusher..." },
		{ APP "[rooms]\nmax_room_name = 3\ndefault_room = main\n",
		    "default_room: is longer" },
		{ APP "[rooms]\nallowed_origins = https://a.example\n",
		    "allowed_origins: https://a.example: not a host" },
		{ APP "[rooms]\ntoken_secret = 123456789012345\n",
		    "token_secret: needs 16" },
		{ APP "[rooms]\ntoken_secret = 1234567890123456\n",
		    "channel: must begin with private-" },
		{ APP "[rooms]\nwire = raw\n", "wire: raw is for" },
		{ REDIS APP "[rooms]\nwire = raw\nbinary = yes\n",
		    "binary: is not possible" },
		{ REDIS APP "[rooms]\nwire = raw\nraw_channel =\n",
		    "raw_channel: is needed" },
		{ REDIS APP "[rooms]\nwire = raw\nraw_channel = pe\n",
		    "raw_channel: must differ" },
		{ REDIS APP "[rooms]\nwire = raw\nraw_channel = peal:chat:\n",
		    "raw_channel: must differ" },
		{ APP "[rooms]\n[rooms b]\nsse_path =\n", "path: another" },
		{ APP "[rooms]\n[rooms b]\npath = /b\n", "sse_path: another" },
		{ APP "[rooms]\n[rooms b]\npath = /b\nsse_path =\n"
		    "channel = room-b-\n", "channel: begins like" },
		{ APP "[rooms]\n[rooms b]\npath = /b\nsse_path =\n"
		    "event = said\n", "channel: is that of another" },
		{ REDIS TWO "[rooms]\napp = 7\nwire = raw\n[rooms b]\n"
		    "path = /b\nsse_path =\napp = 8\nwire = raw\n",
		    "raw_channel: begins like" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct config *c = load(cases[i].ini);

		if (c != NULL || strstr(why, cases[i].words) == NULL)
			fail_msg("%s: %s", cases[i].ini, why);
		if (strstr(why, "123456789012345") != NULL)
			fail_msg("a secret in: %s", why);
	}
}

static struct config *
load_good(const char *ini)
{
	struct config *c = load(ini);

	if (c == NULL)
		fail_msg("%s", why);
	return c;
}

static void
test_good(void **state)
{
	struct config *c = load_good(TWO "[rooms]\napp = chat\n"
	    "[rooms read]\napp = 7\npath = /read\nsse_path =\npublish = no\n"
	    "[rooms b]\napp = other\npath = /b\nsse_path = /b/\n"
	    "channel = private-room-\n");

	(void)state;
	assert_string_equal(c->rooms[0].app, "7");
	assert_string_equal(c->rooms[1].app, "7");
	assert_string_equal(c->rooms[2].app, "8");
	assert_null(c->rooms[1].sse_path);
	config_free(c);
	c = load_good(APP "[rooms]\n");
	assert_string_equal(c->rooms[0].app, "7");
	assert_string_equal(c->rooms[0].path, "/");
	assert_string_equal(c->rooms[0].sse_path, "/sse/");
	config_free(c);
	c = load_good(APP "[rooms]\nchannel = private-room-\n"
	    "token_secret = 1234567890123456\n");
	config_free(c);
	c = load_good(REDIS APP "[rooms]\nwire = raw\n");
	assert_int_equal(c->rooms[0].wire, WIRE_RAW);
	config_free(c);
}

static void
test_lookup(void **state)
{
	struct config *c = load_good(TWO "[rooms a]\napp = 7\n"
	    "[rooms b]\napp = 8\npath = /b\nsse_path = /b/\n"
	    "channel = chat.\n");

	(void)state;
	assert_ptr_equal(config_rooms_of(c, B("7"), B("room-1")),
	    &c->rooms[0]);
	assert_ptr_equal(config_rooms_of(c, B("8"), B("chat.\n")),
	    &c->rooms[1]);
	assert_null(config_rooms_of(c, B("7"), B("room-")));
	assert_null(config_rooms_of(c, B("7"), B("roo")));
	assert_null(config_rooms_of(c, B("8"), B("room-1")));
	assert_null(config_rooms_of(c, B("chat"), B("room-1")));
	config_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_lookup),
	};

	return cmocka_run_group_tests_name("config_rooms", tests, NULL, NULL);
}
