/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier/body.c: the octets of each event.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/crypto.h"
#include "common/util.h"
#include "courier/body.h"

static struct buf b;

static void
expect(const char *text)
{
	assert_string_equal(buf_cstr(&b), text);
	buf_clear(&b);
}

static void
names_go_both_ways(void **state)
{
	(void)state;
	for (unsigned k = 1; k < EVENT_KINDS; k++)
		assert_int_equal(body_kind(bytes_str(body_name(k))), k);
	assert_int_equal(body_kind(B("channel_existed")), 0);
	assert_int_equal(body_kind(B("")), 0);
	assert_null(body_name(0));
	assert_null(body_name(EVENT_KINDS));
	assert_int_equal(body_of_state(false, true), EVENT_OCCUPIED);
	assert_int_equal(body_of_state(false, false), EVENT_VACATED);
	assert_int_equal(body_of_state(true, true), EVENT_ADDED);
	assert_int_equal(body_of_state(true, false), EVENT_REMOVED);
}

static void
states(void **state)
{
	(void)state;
	body_state(&b, EVENT_OCCUPIED, B("room"), B(""));
	expect("{\"name\":\"channel_occupied\",\"channel\":\"room\"}");
	body_state(&b, EVENT_VACATED, B("a\"b\\c"), B(""));
	expect("{\"name\":\"channel_vacated\",\"channel\":\"a\\\"b\\\\c\"}");
	body_state(&b, EVENT_ADDED, B("presence-x"), B("7"));
	expect("{\"name\":\"member_added\",\"channel\":\"presence-x\","
	    "\"user_id\":\"7\"}");
	body_state(&b, EVENT_REMOVED, B("presence-x"), B("J\xc3\xbcrg\n"));
	expect("{\"name\":\"member_removed\",\"channel\":\"presence-x\","
	    "\"user_id\":\"J\xc3\xbcrg\\n\"}");
}

static void
client_events(void **state)
{
	struct msg_hook_event m = { .kind = HOOK_CLIENT,
	    .channel = B("presence-x"), .event = B("\"client-x\""),
	    .data = B("{\"a\":\"b\"}"), .text = B("7"), .socket_a = 12,
	    .socket_b = 34 };

	(void)state;
	assert_int_equal(body_once(&b, &m), 0);
	expect("{\"name\":\"client_event\",\"channel\":\"presence-x\","
	    "\"event\":\"client-x\",\"data\":\"{\\\"a\\\":\\\"b\\\"}\","
	    "\"socket_id\":\"12.34\",\"user_id\":\"7\"}");
	m.data = B("\"text \\u00e4\"");
	m.text = B("");
	assert_int_equal(body_once(&b, &m), 0);
	expect("{\"name\":\"client_event\",\"channel\":\"presence-x\","
	    "\"event\":\"client-x\",\"data\":\"text \\u00e4\","
	    "\"socket_id\":\"12.34\"}");
	m.data = B("");
	assert_int_equal(body_once(&b, &m), 0);
	expect("{\"name\":\"client_event\",\"channel\":\"presence-x\","
	    "\"event\":\"client-x\",\"socket_id\":\"12.34\"}");
	m.data = B("17");
	assert_int_equal(body_once(&b, &m), 0);
	expect("{\"name\":\"client_event\",\"channel\":\"presence-x\","
	    "\"event\":\"client-x\",\"data\":\"17\","
	    "\"socket_id\":\"12.34\"}");
}

static void
others(void **state)
{
	struct msg_hook_event m = { .kind = HOOK_MISS,
	    .channel = B("cache-x"), .count = 3, .socket_a = 1,
	    .socket_b = 2 };

	(void)state;
	assert_int_equal(body_once(&b, &m), 0);
	expect("{\"name\":\"cache_miss\",\"channel\":\"cache-x\"}");
	m.kind = HOOK_COUNT;
	assert_int_equal(body_once(&b, &m), 0);
	expect("{\"name\":\"subscription_count\",\"channel\":\"cache-x\","
	    "\"subscription_count\":3}");
	m.kind = HOOK_OPENED;
	assert_int_equal(body_once(&b, &m), 0);
	expect("{\"name\":\"connection_opened\",\"socket_id\":\"1.2\"}");
	m.kind = HOOK_CLOSED;
	m.count = 4201;
	m.text = B("Pong reply not received in time");
	m.user = B("u1");
	assert_int_equal(body_once(&b, &m), 0);
	expect("{\"name\":\"connection_closed\",\"socket_id\":\"1.2\","
	    "\"user_id\":\"u1\",\"code\":4201,"
	    "\"reason\":\"Pong reply not received in time\"}");
}

static void
what_is_no_text_is_refused(void **state)
{
	struct msg_hook_event m = { .kind = HOOK_CLIENT, .channel = B("x"),
	    .event = B("\"client-x\""), .data = B("{\"a\":") };

	(void)state;
	buf_str(&b, "before");
	assert_int_equal(body_once(&b, &m), -1);
	m.data = B("1");
	m.event = B("client-x");
	assert_int_equal(body_once(&b, &m), -1);
	m.event = B("");
	assert_int_equal(body_once(&b, &m), -1);
	m.event = B("\"client-x\"");
	m.channel = B("\xff");
	assert_int_equal(body_once(&b, &m), -1);
	m.channel = B("x");
	m.user = B("\xc0\xaf");
	assert_int_equal(body_once(&b, &m), -1);
	m.user = B("");
	m.kind = 99;
	assert_int_equal(body_once(&b, &m), -1);
	expect("before");
}

static void
body_and_signature(void **state)
{
	char hex[65] = "";

	(void)state;
	body_begin(&b, 1327078148132);
	buf_str(&b, "{\"name\":\"channel_vacated\",\"channel\":\"test\"}");
	body_end(&b);
	body_sign(B("secret"), buf_view(&b), hex);
	/* Of openssl dgst -sha256 -hmac secret. */
	assert_string_equal(hex, "2a20f779a6d91b01864c4542b4ff0e8b"
	    "1fe3e51071ce4fd0abd366808b5a06dd");
	expect("{\"time_ms\":1327078148132,\"events\":["
	    "{\"name\":\"channel_vacated\",\"channel\":\"test\"}]}");
}

static int
done(void **state)
{
	(void)state;
	buf_done(&b);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_go_both_ways),
		cmocka_unit_test(states),
		cmocka_unit_test(client_events),
		cmocka_unit_test(others),
		cmocka_unit_test(what_is_no_text_is_refused),
		cmocka_unit_test(body_and_signature),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, done);
}
