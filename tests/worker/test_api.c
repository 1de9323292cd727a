/* SPDX-License-Identifier: MIT
 *
 * src/worker/api*.c: routes, statuses and bodies, as Reverb's and Pusher's
 * libraries expect them.  Requests are signed here; the router's answers are
 * played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/counters.h"
#include "common/crypto.h"
#include "common/util.h"
#include "worker/api.h"
#include "worker/api_call.h"
#include "worker/api_wait.h"
#include "worker/fake.h"
#include "worker/params.h"

static struct request *open_request;

static int
setup(void **state)
{
	(void)state;
	fake_setup();
	return 0;
}

static void
end_request(void)
{
	if (open_request != NULL && open_request->call != NULL)
		api_forget(open_request);
	free(open_request);
	open_request = NULL;
}

static int
teardown(void **state)
{
	(void)state;
	end_request();
	fake_teardown();
	return 0;
}

/* ---- requests ---------------------------------------------------------- */

/* Sends it as it is. */
static void
request(enum http_method method, const char *method_text, const char *path,
    const char *query, const char *body)
{
	static struct conn conn;

	end_request();
	open_request = xcalloc(1, sizeof(*open_request));
	open_request->conn = &conn;
	open_request->head = (struct http_request){
		.method = method, .method_text = bytes_str(method_text),
		.path = bytes_str(path), .query = bytes_str(query),
		.keep_alive = true,
	};
	open_request->body = bytes_str(body);
	fake.status = 0;
	buf_clear(&fake.answer);
	buf_cstr(&fake.answer);
	api_handle(open_request);
}

/* Adds what a good request carries to the query, signature included. */
static const char *
sign(const char *method, const char *path, const char *query,
    const char *body)
{
	static struct buf signed_query;
	static struct params ps;
	struct buf text = { 0 };
	struct bytes part;
	char md5[32], hex[64];

	buf_clear(&signed_query);
	buf_fmt(&signed_query, "%s%sauth_key=app-key&auth_version=1.0&"
	    "auth_timestamp=%llu", query, *query != '\0' ? "&" : "",
	    (unsigned long long)(clock_wall_ms() / 1000));
	if (*body != '\0') {
		md5_hex(bytes_str(body), md5);
		buf_fmt(&signed_query, "&body_md5=%.32s", md5);
	}
	assert_int_equal(params_read(&ps, buf_view(&signed_query)), 0);
	buf_fmt(&text, "%s\n%s\n", method, path);
	params_sorted(&ps, B("auth_signature"), &text);
	part = buf_view(&text);
	hmac_sha256_hex(B("app-secret"), &part, 1, hex);
	buf_fmt(&signed_query, "&auth_signature=%.64s", hex);
	buf_done(&text);
	return buf_cstr(&signed_query);
}

static void
post(const char *path, const char *query, const char *body)
{
	request(HTTP_POST, "POST", path, sign("POST", path, query, body),
	    body);
}

static void
get(const char *path, const char *query)
{
	request(HTTP_GET, "GET", path, sign("GET", path, query, ""), "");
}

static void
answered(unsigned status, const char *body)
{
	assert_string_equal(buf_cstr(&fake.answer), body);
	assert_int_equal(fake.status, status);
}

static void
asked(const char *what)
{
	assert_string_equal(buf_cstr(&fake.asked), what);
}

/* ---- routes ------------------------------------------------------------ */

static void
test_routes(void **state)
{
	static const struct {
		enum http_method	 method;
		const char		*path;
		unsigned		 status;
		const char		*body, *allow;
	} cases[] = {
		{ HTTP_GET, "/up", 200, "{\"health\":\"OK\"}", "json|" },
		{ HTTP_HEAD, "/up", 200, "{\"health\":\"OK\"}", "json|" },
		{ HTTP_POST, "/up", 405, "Method not allowed.",
		    "Allow: GET, HEAD, OPTIONS" },
		{ HTTP_OPTIONS, "/up", 200, "", "Allow: GET, HEAD, OPTIONS" },
		{ HTTP_GET, "/up/", 404, "Not found.", "" },
		{ HTTP_GET, "/", 404, "Not found.", "" },
		{ HTTP_GET, "", 404, "Not found.", "" },
		{ HTTP_GET, "up", 404, "Not found.", "" },
		{ HTTP_OPTIONS, "/nothing", 404, "Not found.", "" },
		{ HTTP_GET, "/apps/7/events", 405, "Method not allowed.",
		    "Allow: POST, OPTIONS" },
		{ HTTP_OTHER, "/apps/7/channels", 405, "Method not allowed.",
		    "Allow: GET, HEAD, OPTIONS" },
		{ HTTP_POST, "/apps/7/events/", 404, "Not found.", "" },
		{ HTTP_POST, "/apps//events", 404, "Not found.", "" },
		{ HTTP_GET, "/apps/7/channels/x/y", 404, "Not found.", "" },
		{ HTTP_GET, "/apps/7/channels/x/users/z/a/b/c", 404,
		    "Not found.", "" },
		{ HTTP_GET, "/apps/9/channels", 404,
		    "No matching application for ID [9].", "" },
		{ HTTP_GET, "/apps/%00/channels", 404,
		    "No matching application for ID [%00].", "" },
		{ HTTP_GET, "/apps/8/channels", 403, "Application disabled.",
		    "" },
		{ HTTP_GET, "/apps/7/channels", 401,
		    "Authentication signature invalid.", "" },
		{ HTTP_POST, "/apps/7/events", 401,
		    "Authentication signature invalid.", "" },
		{ HTTP_POST, "/apps/7/batch_events", 401,
		    "Authentication signature invalid.", "" },
		{ HTTP_GET, "/apps/7/connections", 401,
		    "Authentication signature invalid.", "" },
		{ HTTP_GET, "/apps/7/channels/c", 401,
		    "Authentication signature invalid.", "" },
		{ HTTP_GET, "/apps/7/channels/c/users", 401,
		    "Authentication signature invalid.", "" },
		{ HTTP_POST, "/apps/7/users/u/terminate_connections", 401,
		    "Authentication signature invalid.", "" },
		{ HTTP_GET, "/apps/7/users/u/terminate_connections", 405,
		    "Method not allowed.", "Allow: POST, OPTIONS" },
		{ HTTP_GET, "/apps/%zz/channels", 400, "Bad request.", "" },
	};
	size_t i;

	(void)state;
	fake.config.app[1].enabled = false;
	for (i = 0; i < NELEM(cases); i++) {
		request(cases[i].method, "X", cases[i].path, "", "");
		answered(cases[i].status, cases[i].body);
		assert_non_null(strstr(buf_cstr(&fake.headers),
		    cases[i].allow));
	}
	assert_int_equal(fake.published, 0);
}

static void
test_prefix(void **state)
{
	static char ws[] = "/ws";

	(void)state;
	fake.config.http.path = ws;
	request(HTTP_GET, "GET", "/ws/up", "", "");
	answered(200, "{\"health\":\"OK\"}");
	request(HTTP_GET, "GET", "/up", "", "");
	answered(404, "Not found.");
	request(HTTP_GET, "GET", "/wsup", "", "");
	answered(404, "Not found.");
	request(HTTP_GET, "GET", "/ws", "", "");
	answered(404, "Not found.");
	/* signed with and without the prefix */
	request(HTTP_GET, "GET", "/ws/apps/7/connections",
	    sign("GET", "/apps/7/connections", "", ""), "");
	asked("4 ");
	fake_done();
	answered(200, "{\"connections\":0}");
	get("/ws/apps/7/connections", "");
	fake_done();
	answered(200, "{\"connections\":0}");
}

static void
test_demo(void **state)
{
	(void)state;
	fake.config.peal.demo = true;
	request(HTTP_GET, "GET", "/", "", "");
	assert_int_equal(fake.status, 200);
	assert_true(fake.answer.n > 0);
}

/* ---- publishing -------------------------------------------------------- */

#define EVENTS "/apps/7/events"

static void
test_event(void **state)
{
	(void)state;
	post(EVENTS, "", "{\"name\":\"n\",\"channel\":\"c\",\"data\":"
	    "\"{\\\"a\\\":1}\"}");
	assert_string_equal(fake.last.p,
	    "c \"n\" \"{\\\"a\\\":1}\"  0.0 0");
	assert_int_equal(fake.answers, 0);	/* not before the ack */
	fake_ack();
	answered(200, "{}");

	post(EVENTS, "", "{\"name\":\"n\",\"channels\":[\"c\",\"cache-d\"],"
	    "\"data\":\"x\",\"socket_id\":\"12.34\",\"info\":null}");
	assert_int_equal(fake.published, 3);
	assert_string_equal(fake.last.p, "cache-d \"n\" \"x\"  12.34 2");
	fake_ack();
	answered(200, "{}");

	/* an id that no connection has leaves nobody out */
	post(EVENTS, "", "{\"name\":\"n\",\"channel\":\"#server-to-user-5\","
	    "\"data\":\"x\",\"socket_id\":\"99999999999.1\"}");
	assert_string_equal(fake.last.p,
	    "#server-to-user-5 \"n\" \"x\"  0.0 0");
}

static void
test_event_of_query(void **state)
{
	(void)state;
	post(EVENTS, "name=n&data=a%22b&channels%5B%5D=c&channels%5B%5D=d&"
	    "socket_id=1.2", "");
	assert_int_equal(fake.published, 2);
	assert_string_equal(fake.last.p, "d \"n\" \"a\\\"b\"  1.2 0");
	post(EVENTS, "name=n&channel=q", "{\"channel\":\"b\",\"data\":\"x\"}");
	assert_string_equal(fake.last.p, "b \"n\" \"x\"  0.0 0");
}

/* What is refused, and that nothing of it is published. */
static void
test_event_refused(void **state)
{
	static const struct {
		const char	*body;
		unsigned	 status;
		const char	*answer;
	} cases[] = {
		{ "", 400, "The body must be a JSON object." },
		{ "null", 400, "The body must be a JSON object." },
		{ "[]", 400, "The body must be a JSON object." },
		{ "{\"name\":", 400, "The body must be a JSON object." },
		{ "{\"name\":\"n\",\"data\":\"d\",\"channels\":[\"c\",7]}", 400,
		    "The channels must be strings." },
		{ "{}", 422,
		    "{\"name\":[\"The name field is required.\"],"
		    "\"data\":[\"The data field is required.\"],"
		    "\"channels\":[\"The channels field is required when "
		    "channel is not present.\"],"
		    "\"channel\":[\"The channel field is required when channels "
		    "is not present.\"]}" },
		{ "{\"name\":\"n\",\"channel\":\"c\"}", 422,
		    "{\"data\":[\"The data field is required.\"]}" },
		{ "{\"name\":\"n\",\"channels\":[\"a\",\"b\"]}", 422,
		    "{\"data\":[\"The data field is required.\"]}" },
		{ "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"\"}", 422,
		    "{\"data\":[\"The data field is required.\"]}" },
		{ "{\"name\":\"n\",\"channel\":\"c\",\"data\":{}}", 422,
		    "{\"data\":[\"The data field must be a string.\"]}" },
		{ "{\"name\":7,\"channel\":\"c\",\"data\":\"d\"}", 422,
		    "{\"name\":[\"The name field must be a string.\"]}" },
		{ "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"d\","
		    "\"socket_id\":1234}", 422,
		    "{\"socket_id\":[\"The socket id field must be a string."
		    "\"]}" },
		{ "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"d\","
		    "\"socket_id\":\"1.2x\"}", 422,
		    "{\"socket_id\":[\"The socket id field format is invalid."
		    "\"]}" },
		{ "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"d\","
		    "\"info\":1234}", 422,
		    "{\"info\":[\"The info field must be a string.\"]}" },
		{ "{\"name\":\"n\",\"channel\":[],\"data\":\"d\"}", 422,
		    "{\"channel\":[\"The channel field must be a string.\"]}" },
		{ "{\"name\":\"n\",\"channels\":{},\"data\":\"d\"}", 422,
		    "{\"channels\":[\"The channels field must be an array.\"]}" },
		{ "{\"name\":\"n\",\"channel\":\"a b\",\"data\":\"d\"}", 422,
		    "{\"channel\":[\"The channel field format is invalid.\"]}" },
		{ "{\"name\":\"n\",\"channels\":[\"c\",\"#x\"],\"data\":\"d\"}",
		    422, "{\"channels.1\":[\"The channels.1 field format is "
		    "invalid.\"]}" },
		{ "{\"name\":\"n\",\"channels\":[\"private-encrypted-a\",\"b\"],"
		    "\"data\":\"d\"}", 422, "{\"channels\":[\"The channels field "
		    "must not hold an encrypted channel beside others.\"]}" },
		{ "{\"name\":\"n\",\"channels\":[\"1\",\"2\",\"3\",\"4\"],"
		    "\"data\":\"d\"}", 422, "{\"channels\":[\"The channels field "
		    "must not have more than 3 items.\"]}" },
		{ "{\"name\":\"toolongname\",\"channel\":\"c\",\"data\":\"d\"}",
		    422, "{\"name\":[\"The name field must not be greater than "
		    "10 characters.\"]}" },
		{ "{\"name\":\"pusher:x\",\"channel\":\"c\",\"data\":\"d\"}",
		    422, "{\"name\":[\"The name field format is invalid.\"]}" },
		{ "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"1234567\"}", 413,
		    "The data of an event must not be larger than 6 octets." },
	};
	size_t i;

	(void)state;
	fake.app->max_event_channels = 3;
	fake.app->max_event_name = 10;
	fake.app->max_event_size = 6;
	for (i = 0; i < NELEM(cases); i++) {
		post(EVENTS, "", cases[i].body);
		answered(cases[i].status, cases[i].answer);
	}
	assert_int_equal(fake.published, 0);
	post(EVENTS, "", "{\"name\":\"n\",\"channels\":"
	    "[\"private-encrypted-a\"],\"data\":\"\\u0031\\u0032345\"}");
	assert_int_equal(fake.published, 1);
	fake.full = true;
	post(EVENTS, "", "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"d\"}");
	answered(503, "Over capacity.");
	assert_non_null(strstr(buf_cstr(&fake.headers), "Retry-After: 1"));
	assert_int_equal(fake.published, 1);
}

/* ---- waiting for room -------------------------------------------------- */

#define ONE	"{\"name\":\"n\",\"channel\":\"c\",\"data\":\"d\"}"

/* A request that goes on while others come. */
static struct request *
wait_post(void)
{
	struct request *r;

	post(EVENTS, "", ONE);
	r = open_request;
	open_request = NULL;
	r->head.query.p = bytes_dup(r->head.query);
	return r;
}

static void
wait_end(struct request *r)
{
	api_wait_forget(r);
	if (r->call != NULL)
		api_forget(r);
	free((char *)(uintptr_t)r->head.query.p);
	free(r);
}

static void
test_waits_for_room(void **state)
{
	struct request *r[3];
	unsigned i;

	(void)state;
	fake.config.router.publish_wait = 1000;
	fake.full = true;
	r[0] = wait_post();
	r[1] = wait_post();
	assert_false(api_wait_turn());
	assert_int_equal(fake.published, 0);
	/* There is room again, but not for who has come last. */
	fake.full = false;
	r[2] = wait_post();
	assert_int_equal(fake.published, 0);
	assert_false(api_wait_turn());
	assert_int_equal(fake.published, 3);
	for (i = 0; i < 3; i++) {
		assert_false(r[i]->answered);
		assert_non_null(r[i]->call);
		assert_int_equal(r[i]->call->waiter.serial,
		    r[0]->call->waiter.serial + i);
	}
	fake_ack();
	for (i = 0; i < 3; i++) {
		assert_true(r[i]->answered);
		wait_end(r[i]);
	}
	answered(200, "{}");
	post(EVENTS, "", ONE);
	assert_int_equal(fake.published, 4);
}

static void
test_waits_too_long(void **state)
{
	uint64_t before = counter.publishers_refused;
	struct request *r, *dies;

	(void)state;
	fake.config.router.publish_wait = 1000;
	fake.full = true;
	dies = wait_post();
	r = wait_post();
	wait_end(dies);
	assert_false(api_wait_tick(r, worker.now + 1));
	assert_false(r->answered);
	assert_true(api_wait_tick(r, worker.now + 2));
	answered(503, "Over capacity.");
	assert_non_null(strstr(buf_cstr(&fake.headers), "Retry-After: 1"));
	assert_int_equal(counter.publishers_refused, before + 1);
	assert_false(api_wait_tick(r, worker.now + 3));
	fake.full = false;
	assert_false(api_wait_turn());
	assert_int_equal(fake.published, 0);
	wait_end(r);
}

/* What waits is bounded: by octets, not by time alone. */
static void
test_too_many_wait(void **state)
{
	struct request *r[3];

	(void)state;
	fake.config.router.publish_wait = 1000;
	fake.config.router.publish_window = 3000;
	fake.full = true;
	r[0] = wait_post();
	r[1] = wait_post();
	assert_int_equal(fake.answers, 0);
	r[2] = wait_post();
	answered(503, "Over capacity.");
	wait_end(r[2]);
	wait_end(r[0]);
	r[0] = wait_post();		/* its place is free again */
	assert_false(r[0]->answered);
	wait_end(r[0]);
	wait_end(r[1]);
}

/* Others are heard between them. */
static void
test_some_a_turn(void **state)
{
	struct request *r[300];
	unsigned i;

	(void)state;
	fake.config.router.publish_wait = 1000;
	fake.full = true;
	for (i = 0; i < NELEM(r); i++)
		r[i] = wait_post();
	fake.full = false;
	assert_true(api_wait_turn());
	assert_true(fake.published < NELEM(r));
	assert_false(api_wait_turn());
	assert_int_equal(fake.published, NELEM(r));
	for (i = 0; i < NELEM(r); i++)
		wait_end(r[i]);
}

static void
test_event_info(void **state)
{
	struct msg_row row = { .subscriptions = 3, .users = 2 };

	(void)state;
	post(EVENTS, "", "{\"name\":\"n\",\"channels\":[\"presence-a\",\"b\","
	    "\"empty\"],\"data\":\"d\",\"info\":\"user_count,"
	    "subscription_count,nonsense\"}");
	assert_int_equal(fake.published, 3);
	fake_ack();
	asked("2 presence-a");
	fake_row(&row);
	fake_done();
	asked("2 b");
	fake_row(&row);
	fake_restart();			/* a new router: all over again */
	row.subscriptions = 4;
	fake_row(&row);
	fake_done();
	asked("2 empty");
	fake_done();
	answered(200, "{\"channels\":{\"presence-a\":{\"user_count\":2},"
	    "\"b\":{\"subscription_count\":4},\"empty\":{}}}");
	/* asked for nothing that there is: still a line each */
	post(EVENTS, "", "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"d\","
	    "\"info\":\"nonsense\"}");
	fake_ack();
	answered(200, "{\"channels\":{\"c\":{}}}");
}

static void
test_batch(void **state)
{
	struct msg_row row = { .subscriptions = 3, .users = 2 };

	(void)state;
	post("/apps/7/batch_events", "", "{\"batch\":[{\"name\":\"n\","
	    "\"channel\":\"c\",\"data\":\"1\"},{\"name\":\"m\",\"channel\":"
	    "\"d\",\"data\":\"2\",\"socket_id\":\"3.4\"}]}");
	assert_int_equal(fake.published, 2);
	assert_string_equal(fake.last.p, "d \"m\" \"2\"  3.4 0");
	fake_ack();
	answered(200, "{\"batch\":{}}");

	post("/apps/7/batch_events", "", "{\"batch\":[{\"name\":\"n\","
	    "\"channel\":\"presence-c\",\"data\":\"1\",\"info\":\"user_count\"},"
	    "{\"name\":\"m\",\"channel\":\"d\",\"data\":\"2\"}]}");
	fake_ack();
	asked("2 presence-c");
	fake_row(&row);
	fake_done();
	answered(200, "{\"batch\":[{\"user_count\":2},{}]}");
}

static void
test_batch_refused(void **state)
{
	static const struct {
		const char	*body;
		unsigned	 status;
		const char	*answer;
	} cases[] = {
		{ "", 400, "The body must be a JSON object." },
		{ "null", 400, "The body must be a JSON object." },
		{ "{}", 422, "{\"batch\":[\"The batch field is required.\"]}" },
		{ "{\"batch\":[]}", 422,
		    "{\"batch\":[\"The batch field is required.\"]}" },
		{ "{\"batch\":{}}", 422,
		    "{\"batch\":[\"The batch field must be an array.\"]}" },
		{ "{\"batch\":[{\"name\":\"n\",\"channel\":\"c\","
		    "\"data\":\"d\"},{\"data\":\"d\",\"socket_id\":1}]}", 422,
		    "{\"batch.1.name\":[\"The batch.1.name field is required."
		    "\"],\"batch.1.socket_id\":[\"The batch.1.socket id field "
		    "must be a string.\"],\"batch.1.channel\":[\"The "
		    "batch.1.channel field is required when channels is not "
		    "present.\"]}" },
		{ "{\"batch\":[7]}", 422,
		    "{\"batch.0.name\":[\"The batch.0.name field is required."
		    "\"],\"batch.0.data\":[\"The batch.0.data field is required."
		    "\"],\"batch.0.channel\":[\"The batch.0.channel field is "
		    "required when channels is not present.\"]}" },
		{ "{\"batch\":[{\"name\":\"n\",\"channel\":\"c\",\"data\":\"d\"}"
		    ",{\"name\":\"n\",\"channel\":\"c\",\"data\":\"d\"},"
		    "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"d\"}]}", 422,
		    "{\"batch\":[\"The batch field must not have more than 2 "
		    "items.\"]}" },
		{ "{\"batch\":[{\"name\":\"n\",\"channel\":\"c\","
		    "\"data\":\"1234567\"}]}", 413,
		    "The data of an event must not be larger than 6 octets." },
	};
	size_t i;

	(void)state;
	fake.app->max_batch = 2;
	fake.app->max_event_size = 6;
	for (i = 0; i < NELEM(cases); i++) {
		post("/apps/7/batch_events", "", cases[i].body);
		answered(cases[i].status, cases[i].answer);
	}
	assert_int_equal(fake.published, 0);
}

/* Thousands of wrong items must not make an answer of megabytes. */
static void
test_errors_bounded(void **state)
{
	struct buf body = { 0 };
	int i;

	(void)state;
	fake.app->max_event_channels = 10000;
	buf_str(&body, "{\"channels\":[\"#\"");
	for (i = 0; i < 5000; i++)
		buf_str(&body, ",\"#\"");
	buf_str(&body, "]}");
	post(EVENTS, "", buf_cstr(&body));
	assert_int_equal(fake.status, 422);
	assert_in_range(fake.answer.n, 1000, 20000);
	buf_done(&body);
}

/* Data is copied for each channel; together they must fit the window. */
static void
test_too_many_copies(void **state)
{
	struct buf body = { 0 };
	char *data;

	(void)state;
	fake.config.router.publish_window = 65536;
	data = xmalloc(32767);
	memset(data, 'x', 32766);
	data[32766] = '\0';
	buf_fmt(&body, "{\"name\":\"n\",\"channels\":[\"a\",\"b\"],"
	    "\"data\":\"%s\"}", data);
	post(EVENTS, "", buf_cstr(&body));	/* 32768 with the quotes */
	assert_int_equal(fake.published, 2);
	fake_ack();
	answered(200, "{}");
	buf_clear(&body);
	buf_fmt(&body, "{\"name\":\"n\",\"channels\":[\"a\",\"b\"],"
	    "\"data\":\"%sx\"}", data);
	post(EVENTS, "", buf_cstr(&body));
	answered(413, "The data, once for each channel, is too large.");
	assert_int_equal(fake.published, 2);
	/* One alone is as large as a request may be. */
	buf_clear(&body);
	buf_fmt(&body, "{\"name\":\"n\",\"channels\":[\"a\"],"
	    "\"data\":\"%s%s%s\"}", data, data, data);
	post(EVENTS, "", buf_cstr(&body));
	assert_int_equal(fake.published, 3);
	free(data);
	buf_done(&body);
}

static void
test_old_event(void **state)
{
	(void)state;
	post("/apps/7/channels/c/events", "name=n&socket_id=1.2",
	    "{\"raw\":true}");
	assert_string_equal(fake.last.p,
	    "c \"n\" \"{\\\"raw\\\":true}\"  1.2 0");
	fake_ack();
	answered(202, "{}");
	post("/apps/7/channels/a%20b/events", "", "x");
	answered(422, "{\"name\":[\"The name field is required.\"],"
	    "\"channel\":[\"The channel field format is invalid.\"]}");
	post("/apps/7/channels/c/events", "name=n", "\xff");
	answered(400, "The body must be UTF-8.");
}

/* The client hangs up while the router thinks. */
static void
test_forget(void **state)
{
	(void)state;
	post(EVENTS, "", "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"d\","
	    "\"info\":\"subscription_count\"}");
	assert_true(fake.waiting);
	end_request();
	assert_false(fake.waiting);
	post(EVENTS, "", "{\"name\":\"n\",\"channel\":\"c\",\"data\":\"d\","
	    "\"info\":\"subscription_count\"}");
	fake_ack();
	asked("2 c");
	end_request();
	fake_done();		/* nobody there */
	assert_int_equal(fake.answers, 0);
}

/* ---- questions --------------------------------------------------------- */

static void
test_channels(void **state)
{
	struct msg_row p = { .name = B("presence-a"), .subscriptions = 3,
	    .users = 2 };
	struct msg_row c = { .name = B("c"), .subscriptions = 1 };
	struct msg_row gone = { .name = B("gone"), .cached = 1 };

	(void)state;
	get("/apps/7/channels", "");
	asked("1 ");
	fake_done();
	answered(200, "{\"channels\":{}}");

	get("/apps/7/channels", "info=user_count");
	fake_row(&p);
	fake_row(&gone);
	fake_row(&c);
	fake_done();
	answered(200, "{\"channels\":{\"presence-a\":{\"user_count\":2},"
	    "\"c\":{}}}");

	get("/apps/7/channels", "filter_by_prefix=presence-&"
	    "info%5B%5D=user_count&info%5B%5D=subscription_count");
	asked("1 presence-");
	fake_row(&p);
	fake_restart();
	fake_row(&c);
	fake_done();
	answered(200, "{\"channels\":{\"c\":{\"subscription_count\":1}}}");
}

static void
test_channel(void **state)
{
	struct msg_row row = { .subscriptions = 2, .users = 1, .cached = 1,
	    .ttl_ms = 1799999, .event = B("\"E\""), .data = B("\"D\"") };

	(void)state;
	get("/apps/7/channels/c", "info=user_count,subscription_count,cache");
	asked("2 c");
	fake_done();
	answered(200, "{\"occupied\":false}");

	get("/apps/7/channels/c", "info=user_count,subscription_count,cache");
	fake_row(&row);
	fake_done();
	answered(200, "{\"occupied\":true,\"subscription_count\":2}");

	get("/apps/7/channels/presence%2dx", "info=user_count,"
	    "subscription_count");
	asked("2 presence-x");
	fake_row(&row);
	fake_done();
	answered(200, "{\"occupied\":true,\"user_count\":1}");

	/* Reverb's frame and Pusher's {"data","ttl"} in one */
	get("/apps/7/channels/cache-x", "info=cache");
	fake_row(&row);
	fake_done();
	answered(200, "{\"occupied\":true,\"cache\":{\"event\":\"E\","
	    "\"data\":\"D\",\"channel\":\"cache-x\",\"ttl\":1799}}");
	row.subscriptions = 0;
	get("/apps/7/channels/cache-x", "info=cache,subscription_count");
	fake_row(&row);
	fake_done();
	answered(200, "{\"occupied\":false,\"cache\":{\"event\":\"E\","
	    "\"data\":\"D\",\"channel\":\"cache-x\",\"ttl\":1799}}");
	get("/apps/7/channels/cache-x", "info=cache");
	fake_done();
	answered(200, "{\"occupied\":false,\"cache\":null}");

	get("/apps/7/channels/a%20b", "");
	answered(200, "{\"occupied\":false}");
	get("/apps/7/channels/c/stats", "");
	fake_done();
	answered(200, "{\"occupied\":false}");
}

static void
test_users(void **state)
{
	struct msg_row one = { .name = B("1"), .member = B("{\"user_id\":1}") };
	struct msg_row two = { .name = B("2"),
	    .member = B("{\"user_id\":\"2\",\"user_info\":{}}") };
	struct msg_row odd = { .name = B("x\"") };

	(void)state;
	get("/apps/7/channels/presence-r/users", "");
	asked("3 presence-r");
	fake_row(&one);
	fake_row(&two);
	fake_row(&odd);
	fake_done();
	answered(200, "{\"users\":[{\"id\":1},{\"id\":\"2\"},"
	    "{\"id\":\"x\\\"\"}]}");
	get("/apps/7/channels/presence-r/users", "");
	fake_done();
	answered(404, "{}");
	get("/apps/7/channels/room/users", "");
	answered(400, "{}");
}

static void
test_connections(void **state)
{
	struct msg_row row = { .subscriptions = 4, .users = 9 };

	(void)state;
	get("/apps/7/connections", "");
	asked("4 ");
	fake_row(&row);
	fake_done();
	answered(200, "{\"connections\":4}");
}

static void
test_terminate(void **state)
{
	(void)state;
	post("/apps/7/users/a%40b/terminate_connections", "", "{}");
	assert_string_equal(fake.last.p, "7 a@b");
	assert_int_equal(fake.answers, 0);
	fake_ack();
	answered(200, "{}");
	assert_int_equal(fake.kicked, 1);
	post("/apps/7/users//terminate_connections", "", "");
	answered(404, "Not found.");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_routes),
		TEST(test_prefix),
		TEST(test_demo),
		TEST(test_event),
		TEST(test_event_of_query),
		TEST(test_event_refused),
		TEST(test_waits_for_room),
		TEST(test_waits_too_long),
		TEST(test_too_many_wait),
		TEST(test_some_a_turn),
		TEST(test_event_info),
		TEST(test_batch),
		TEST(test_batch_refused),
		TEST(test_errors_bounded),
		TEST(test_too_many_copies),
		TEST(test_old_event),
		TEST(test_forget),
		TEST(test_channels),
		TEST(test_channel),
		TEST(test_users),
		TEST(test_connections),
		TEST(test_terminate),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
