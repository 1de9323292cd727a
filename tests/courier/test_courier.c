/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier as a whole: what routers say and what targets get.
 */
#include "rig.h"

#include <unistd.h>

#include "common/crypto.h"
#include "common/json.h"

static struct rig *g;
static struct server *s;

/* A server, and a courier with a [webhook] that leads to it. */
static void
begin(const char *more)
{
	g = rig_new("");
	s = server_new(g->base);
	char *text = xasprintf("[webhook a]\nurl = http://127.0.0.1:%u/hook\n"
	    "%s", s->port, more);
	rig_settings(g, text);
	free(text);
	rig_link(g);
}

static void
end(void)
{
	rig_free(g);
	server_free(s);
}

static void
expect_events(size_t requests, const char *events)
{
	struct buf b = { 0 };

	rig_until(g, s->n >= requests);
	server_events(s, &b);
	assert_string_equal(b.p, events);
	buf_done(&b);
}

static void
request_is_as_pusher_sends_it(void **state)
{
	const struct request *r;
	struct bytes body;
	char hex[65] = "", want[200];

	(void)state;
	begin("");
	rig_state(g, "room", "", true);
	rig_until(g, s->n == 1);
	r = server_request(s, 0);
	body = bytes_of(r->body, r->n);
	assert_memory_equal(r->head, "POST /hook HTTP/1.1\r\n", 21);
	snprintf(want, sizeof(want), "127.0.0.1:%u", s->port);
	assert_string_equal(request_header(r, "Host"), want);
	assert_string_equal(request_header(r, "Content-Type"),
	    "application/json");
	assert_string_equal(request_header(r, "X-Pusher-Key"), "app-key");
	hmac_sha256_hex(B("app-secret"), &body, 1, hex);
	assert_string_equal(request_header(r, "X-Pusher-Signature"), hex);
	assert_int_equal(strlen(request_header(r, "X-Peal-Delivery")), 32);
	assert_null(request_header(r, "Expect"));
	assert_memory_equal(request_header(r, "User-Agent"), "Peal/", 5);
	assert_memory_equal(r->body, "{\"time_ms\":", 11);
	expect_events(1, "{\"name\":\"channel_occupied\",\"channel\":\"room\"}");
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_as_pusher_sends_it),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
