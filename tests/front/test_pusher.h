/* SPDX-License-Identifier: MIT
 *
 * For tests of src/front/pusher*.c: clients that sign what they ask for.
 */
#ifndef PEAL_TEST_PUSHER_H
#define PEAL_TEST_PUSHER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/counters.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/util.h"
#include "worker/fake.h"

/* Not every test uses all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

#define INVALID "{\"event\":\"pusher:error\",\"data\":\"{\\\"code\\\":4200," \
	"\\\"message\\\":\\\"Invalid message format\\\"}\"}\n"
#define UNAUTHORIZED "{\"event\":\"pusher:error\",\"data\":\"{\\\"code\\\":" \
	"4009,\\\"message\\\":\\\"Connection is unauthorized\\\"}\"}\n"
#define SUCCESS(channel) \
	"{\"event\":\"pusher_internal:subscription_succeeded\"," \
	"\"data\":\"{}\",\"channel\":\"" channel "\"}\n"

static int
setup(void **state)
{
	(void)state;
	fake_setup();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fake_teardown();
	return 0;
}

/* Connected, with a socket id that signatures can be made for by hand. */
static struct fake_client *
client(void)
{
	struct fake_client *f = fake_connect("/app/app-key", "protocol=7",
	    NULL);

	f->c.state.socket_a = 1234;
	f->c.state.socket_b = 5678;
	fake_heard(f);
	return f;
}

/* The same under another id. */
static struct fake_client *
other(uint32_t a)
{
	struct fake_client *f = client();

	f->c.state.socket_a = a;
	return f;
}

static void
say(struct fake_client *f, const char *text)
{
	fake_say(f, bytes_str(text));
}

/* app-key:HMAC over socket:channel[:data] */
static const char *
sign(struct fake_client *f, const char *between, const char *channel,
    const char *data)
{
	static char auth[100];
	char socket[24], hex[64];
	struct bytes parts[5] = {
		bytes_str(client_socket_id(&f->c, socket)), bytes_str(between),
		bytes_str(channel), B(":"), bytes_str(data),
	};

	hmac_sha256_hex(B("app-secret"), parts, data != NULL ? 5 : 3, hex);
	snprintf(auth, sizeof(auth), "app-key:%.64s", hex);
	return auth;
}

static void
subscribe(struct fake_client *f, const char *channel)
{
	char text[500];

	snprintf(text, sizeof(text), "{\"event\":\"pusher:subscribe\",\"data\":"
	    "{\"channel\":\"%s\",\"auth\":\"%s\"}}", channel,
	    sign(f, ":", channel, NULL));
	say(f, text);
}

static void
join(struct fake_client *f, const char *channel, const char *data)
{
	struct buf text = { 0 };

	buf_fmt(&text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":"
	    "\"%s\",\"auth\":\"%s\",\"channel_data\":", channel,
	    sign(f, ":", channel, data));
	json_quote(&text, bytes_str(data));
	buf_str(&text, "}}");
	fake_say(f, buf_view(&text));
	buf_done(&text);
}

static void
sign_in(struct fake_client *f, const char *data)
{
	struct buf text = { 0 };

	buf_fmt(&text, "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"%s\","
	    "\"user_data\":", sign(f, "::user::", data, NULL));
	json_quote(&text, bytes_str(data));
	buf_str(&text, "}}");
	fake_say(f, buf_view(&text));
	buf_done(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
