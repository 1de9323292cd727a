/* SPDX-License-Identifier: MIT
 *
 * src/worker/metrics.c, serve.c, access.c, health.c: what is answered where,
 * who may see the numbers, and when a worker is ready.  Requests come through
 * the API's routes; the master's answers are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/crypto.h"
#include "common/util.h"
#include "worker/access.h"
#include "worker/api.h"
#include "worker/ask.h"
#include "worker/fake.h"
#include "worker/metrics.h"
#include "worker/serve.h"

#define TOKEN	"0123456789abcdef"
#define METRICS	"peal_up 1\n"

enum { CLIENTS, METRICS_OWN, PAGE_OWN, SECTIONS };

static struct config_listen sections[SECTIONS];
static struct conn conn;
static struct request *req;
static char *allowed[8];
static const char *query;	/* of what is asked next */
static uint64_t cookie;		/* of the last question to the master */

static void
end_request(void)
{
	if (req == NULL)
		return;
	if (req->metrics != NULL)
		metrics_forget(req);
	free(req);
	req = NULL;
}

static int
setup(void **state)
{
	static char dummy;

	(void)state;
	fake_setup();
	memset(sections, 0, sizeof(sections));
	memset(&conn, 0, sizeof(conn));
	conn.fd = -1;
	query = NULL;
	sections[METRICS_OWN].serve = SERVE_METRICS;
	sections[PAGE_OWN].serve = SERVE_PAGE;
	fake.config.listen = sections;
	fake.config.n_listen = SECTIONS;
	fake.config.metrics.path = (char *)"/metrics";
	fake.config.metrics.allow.at = allowed;
	worker.master = (struct ipc *)(void *)&dummy;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	end_request();
	worker.master = NULL;
	worker.stopping = worker.ending = false;
	fake.config.listen = NULL;
	fake.config.n_listen = 0;
	fake.config.metrics.allow.n = 0;
	fake_teardown();
	return 0;
}

/* ---- asking -------------------------------------------------------------- */

static void
ask(enum http_method method, const char *path, const char *authorization,
    const char *accept)
{
	end_request();
	req = xcalloc(1, sizeof(*req));
	req->conn = &conn;
	req->head = (struct http_request){
		.method = method, .path = bytes_str(path),
		.query = bytes_str(query), .keep_alive = true,
		.authorization = bytes_str(authorization),
		.accept = bytes_str(accept),
	};
	fake.status = 0;
	buf_clear(&fake.headers);
	buf_clear(&fake.answer);
	buf_clear(&fake.noted);
	api_handle(req);
}

static void
get(const char *path)
{
	ask(HTTP_GET, path, "", "");
}

/* The master's answer, if it was asked. */
static void
master_says(const char *text)
{
	if (req->metrics == NULL)
		return;
	for (uint64_t until = cookie + 10; req->metrics != NULL &&
	    cookie < until; cookie++)
		ask_on_report(&(struct msg_report){ .cookie = cookie,
		    .text = bytes_str(text) });
	assert_null(req->metrics);
}

static unsigned
status_of(const char *path, unsigned section)
{
	conn.section = (uint16_t)section;
	get(path);
	master_says(METRICS);
	return fake.status;
}

static void
allow(size_t n, ...)
{
	va_list ap;

	va_start(ap, n);
	for (size_t i = 0; i < n; i++)
		allowed[i] = va_arg(ap, char *);
	va_end(ap);
	fake.config.metrics.allow.n = n;
}

static void
from(const char *address)
{
	static struct ip ip;

	fake.from = NULL;
	if (address == NULL)
		return;
	assert_int_equal(ip_parse(bytes_str(address), &ip), 0);
	fake.from = &ip;
}

/* ---- where --------------------------------------------------------------- */

static void
test_where(void **state)
{
	static const struct {
		const char	*path;
		unsigned	 status[SECTIONS];
	} cases[] = {
		{ "/up", { 200, 200, 200 } },
		{ "/ready", { 200, 200, 200 } },
		{ "/metrics", { 404, 200, 404 } },
		{ "/metrics/", { 404, 404, 404 } },
		{ "/apps/7/channels", { 401, 404, 404 } },
		{ "/apps/9/channels", { 404, 404, 404 } },
		{ "/", { 200, 404, 404 } },
	};

	(void)state;
	fake.config.peal.demo = true;
	for (size_t i = 0; i < NELEM(cases); i++)
		for (unsigned s = 0; s < SECTIONS; s++)
			if (status_of(cases[i].path, s) != cases[i].status[s])
				fail_msg("%s at %u: %u", cases[i].path, s,
				    fake.status);
	fake.config.metrics.shared = true;
	assert_int_equal(status_of("/metrics", CLIENTS), 200);
	assert_int_equal(status_of("/metrics", PAGE_OWN), 404);
	/* A conn of which nobody knows where it came from. */
	assert_int_equal(status_of("/apps/7/channels", 77), 401);
}

static void
test_page_place(void **state)
{
	(void)state;
	conn.section = CLIENTS;
	assert_false(serve_here(&conn, SERVED_PAGE));
	conn.section = PAGE_OWN;
	assert_true(serve_here(&conn, SERVED_PAGE));
	sections[PAGE_OWN].serve = SERVE_CLIENTS;
	conn.section = CLIENTS;
	assert_true(serve_here(&conn, SERVED_PAGE));
	conn.section = METRICS_OWN;
	assert_false(serve_here(&conn, SERVED_PAGE));
}

/* http.path stands before what is served to clients, and nowhere else. */
static void
test_prefix(void **state)
{
	(void)state;
	fake.config.http.path = (char *)"/ws";
	fake.config.metrics.shared = true;
	assert_int_equal(status_of("/ws/up", CLIENTS), 200);
	assert_int_equal(status_of("/up", CLIENTS), 404);
	assert_int_equal(status_of("/wsup", CLIENTS), 404);
	assert_int_equal(status_of("/ws", CLIENTS), 404);
	assert_int_equal(status_of("/ws/metrics", CLIENTS), 200);
	assert_int_equal(status_of("/metrics", CLIENTS), 404);
	assert_int_equal(status_of("/metrics", METRICS_OWN), 200);
	assert_int_equal(status_of("/ready", METRICS_OWN), 200);
	assert_int_equal(status_of("/ws/ready", METRICS_OWN), 404);
	fake.config.http.path = NULL;
}

static void
test_own_path(void **state)
{
	(void)state;
	fake.config.metrics.path = (char *)"/a/b/c/d/e/f/g/h";
	assert_int_equal(status_of("/a/b/c/d/e/f/g/h", METRICS_OWN), 200);
	assert_int_equal(status_of("/metrics", METRICS_OWN), 404);
}

/* ---- who ----------------------------------------------------------------- */

static void
test_methods(void **state)
{
	static const char *const methods = "Allow: GET, HEAD, OPTIONS";

	(void)state;
	conn.section = METRICS_OWN;
	ask(HTTP_POST, "/metrics", "", "");
	assert_int_equal(fake.status, 405);
	assert_non_null(strstr(buf_cstr(&fake.headers), methods));
	ask(HTTP_OPTIONS, "/metrics", "", "");
	assert_int_equal(fake.status, 200);
	assert_non_null(strstr(buf_cstr(&fake.headers), methods));
	ask(HTTP_HEAD, "/metrics", "", "");
	master_says(METRICS);
	assert_int_equal(fake.status, 200);
}

static void
test_addresses(void **state)
{
	static const struct {
		const char	*from;		/* NULL: nobody knows */
		bool		 local;
		unsigned	 status;
	} cases[] = {
		{ "10.1.2.3", false, 200 },
		{ "::ffff:10.1.2.3", false, 200 },
		{ "11.1.2.3", false, 403 },
		{ "2001:db8::7", false, 200 },
		{ "2001:db8::8", false, 403 },
		{ NULL, true, 200 },
		{ NULL, false, 403 },
		/* a proxy at a unix socket passes on for somebody else */
		{ "11.1.2.3", true, 403 },
		{ "10.1.2.3", true, 200 },
	};

	(void)state;
	allow(3, "10.0.0.0/8", "2001:db8::7", "unix");
	for (size_t i = 0; i < NELEM(cases); i++) {
		from(cases[i].from);
		conn.local = cases[i].local;
		if (status_of("/metrics", METRICS_OWN) != cases[i].status)
			fail_msg("%zu: %u", i, fake.status);
		assert_string_equal(buf_cstr(&fake.noted),
		    fake.status == 200 ? "" : "refused metrics: address");
	}
	allow(1, "10.0.0.0/8");
	from(NULL);
	conn.local = 1;
	assert_int_equal(status_of("/metrics", METRICS_OWN), 403);
	/* Health is for everybody. */
	assert_int_equal(status_of("/ready", METRICS_OWN), 200);
}

static void
test_token(void **state)
{
	static const struct {
		const char	*authorization;
		unsigned	 status;
	} cases[] = {
		{ "Bearer " TOKEN, 200 },
		{ "bearer  " TOKEN, 200 },
		{ "Bearer " TOKEN "0", 401 },
		{ "Bearer 0123456789abcde", 401 },
		{ "Bearer ", 401 },
		{ "Bearer", 401 },
		{ "Basic " TOKEN, 401 },
		{ TOKEN, 401 },
		{ "", 401 },
	};

	(void)state;
	conn.section = METRICS_OWN;
	fake.config.metrics.token = (char *)TOKEN;
	for (size_t i = 0; i < NELEM(cases); i++) {
		ask(HTTP_GET, "/metrics", cases[i].authorization, "");
		master_says(METRICS);
		if (fake.status != cases[i].status)
			fail_msg("%s: %u", cases[i].authorization, fake.status);
		if (fake.status == 200)
			continue;
		assert_non_null(strstr(buf_cstr(&fake.headers),
		    "WWW-Authenticate: Bearer"));
		assert_string_equal(buf_cstr(&fake.noted),
		    *cases[i].authorization != '\0' ?
		    "refused metrics: wrong token" :
		    "refused metrics: no token");
	}
	/* Both, if both are asked for. */
	allow(1, "10.0.0.0/8");
	from("11.1.1.1");
	ask(HTTP_GET, "/metrics", "Bearer " TOKEN, "");
	assert_int_equal(fake.status, 403);
}

/* ---- what ---------------------------------------------------------------- */

static void
test_forms(void **state)
{
	static const struct {
		const char	*accept;
		bool		 open;
	} cases[] = {
		{ "", false },
		{ "*/*", false },
		{ "text/plain", false },
		{ "application/openmetrics-text", true },
		{ "application/openmetrics-text;version=1.0.0;q=0.5,"
		    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", true },
		{ "text/plain , Application/OpenMetrics-Text ; q=0.001", false },
		{ "text/plain;q=0.9, application/openmetrics-text;q=0.1",
		    false },
		{ "text/plain;q=0.1, application/openmetrics-text;q=0.9", true },
		{ "text/plain;q=0.5,application/openmetrics-text;Q=0.5", true },
		{ "text/plain;q=0.999,application/openmetrics-text;q=1.000",
		    true },
		{ "text/plain;q=0, application/openmetrics-text;q=0.001", true },
		{ "application/openmetrics-text;q=0.5,*/*", false },
		{ "application/openmetrics-text;q=0.5,text/*", false },
		{ "text/*;q=0.1,application/openmetrics-text;q=0.5,*/*", true },
		{ "application/openmetrics-text;q=0.5,"
		    "application/openmetrics-text;version=1.0.0;q=0.8,"
		    "text/plain;q=0.6", true },
		{ "application/openmetrics-text;q=junk,text/plain;q=0.9", true },
		{ "application/openmetrics-text;q=0.5x,text/plain;q=0.9", true },
		{ "application/openmetrics-text;q=0", false },
		{ "application/openmetrics-text; q=0.000", false },
		{ "application/openmetrics-text;q=0,"
		    "application/openmetrics-text;version=1.0.0", true },
		{ "application/openmetrics-texts", false },
		{ ",;,;q=0,", false },
	};

	(void)state;
	conn.section = METRICS_OWN;
	for (size_t i = 0; i < NELEM(cases); i++) {
		ask(HTTP_GET, "/metrics", "", cases[i].accept);
		assert_int_equal(fake.status, 0);	/* it waits */
		master_says(METRICS);
		assert_int_equal(fake.status, 200);
		assert_string_equal(buf_cstr(&fake.answer), METRICS);
		if ((strstr(buf_cstr(&fake.headers), cases[i].open ?
		    "application/openmetrics-text; version=1.0.0" :
		    "text/plain; version=0.0.4")) == NULL)
			fail_msg("%s: %s", cases[i].accept,
			    buf_cstr(&fake.headers));
	}
}

static void
test_no_numbers(void **state)
{
	(void)state;
	conn.section = METRICS_OWN;
	get("/metrics");
	master_says("");
	assert_int_equal(fake.status, 503);
	worker.master = NULL;
	get("/metrics");
	assert_int_equal(fake.status, 503);
}

/* Who goes before the answer is there is not answered. */
static void
test_gone(void **state)
{
	(void)state;
	conn.section = METRICS_OWN;
	for (int i = 0; i < 5; i++) {
		get("/metrics");
		assert_non_null(req->metrics);
		end_request();
		cookie++;
	}
	for (uint64_t c = 0; c < cookie + 10; c++)
		ask_on_report(&(struct msg_report){ .cookie = c,
		    .text = B(METRICS) });
	assert_int_equal(fake.status, 0);
}

/* Many at once: the master is asked for two at a time, so that their texts do
 * not pile up.  Who goes makes room, whether it was asked for him or not. */
static void
test_crowd(void **state)
{
	enum { CROWD = 9 };
	struct request *all[CROWD];
	unsigned n = 0;

	(void)state;
	conn.section = METRICS_OWN;
	for (size_t i = 0; i < CROWD; i++) {
		get("/metrics");
		all[i] = req;
		req = NULL;
	}
	/* One that was asked for, one that waits. */
	metrics_forget(all[0]);
	metrics_forget(all[5]);
	/* From the last question to the first: what is asked meanwhile waits. */
	for (unsigned gone = 2; n < CROWD; gone = n) {
		for (uint64_t c = cookie + 1000; c-- > 0;)
			ask_on_report(&(struct msg_report){ .cookie = c,
			    .text = B(METRICS) });
		n = 0;
		for (size_t i = 0; i < CROWD; i++)
			n += all[i]->metrics == NULL;
		assert_int_equal(n, gone + 2 < CROWD ? gone + 2 : CROWD);
	}
	cookie += CROWD - 1;	/* one went before */
	assert_int_equal(n, CROWD);
	for (size_t i = 0; i < CROWD; i++)
		free(all[i]);
}

/* ---- health -------------------------------------------------------------- */

static void
test_ready(void **state)
{
	(void)state;
	assert_int_equal(status_of("/ready", CLIENTS), 200);
	assert_string_equal(buf_cstr(&fake.answer), "{\"ready\":true}");
	fake.no_link = true;
	assert_int_equal(status_of("/ready", CLIENTS), 503);
	assert_string_equal(buf_cstr(&fake.answer),
	    "{\"ready\":false,\"why\":\"router\"}");
	fake.no_link = false;
	/* It hangs, and nobody has replaced it yet. */
	fake.config.peal.watchdog = 5000;
	worker.silent = 2499;
	assert_int_equal(status_of("/ready", CLIENTS), 200);
	worker.silent = 2500;
	assert_int_equal(status_of("/ready", CLIENTS), 503);
	assert_string_equal(buf_cstr(&fake.answer),
	    "{\"ready\":false,\"why\":\"router\"}");
	worker.silent = 0;
	worker.leaving = true;		/* somebody else takes over */
	assert_int_equal(status_of("/ready", CLIENTS), 200);
	worker.leaving = false;
	worker.ending = true;
	assert_int_equal(status_of("/ready", CLIENTS), 503);
	assert_string_equal(buf_cstr(&fake.answer),
	    "{\"ready\":false,\"why\":\"draining\"}");
	assert_int_equal(status_of("/up", CLIENTS), 200);
	assert_int_equal(status_of("/apps/7/channels", CLIENTS), 401);
	/* As HAProxy wants it. */
	query = "not=404";
	assert_int_equal(status_of("/ready", CLIENTS), 404);
	query = "not=404&";
	assert_int_equal(status_of("/ready", CLIENTS), 503);
	worker.ending = false;
	query = "not=404";
	assert_int_equal(status_of("/ready", CLIENTS), 200);
}

/* What only wants an answer gets it to the end. */
static void
test_stopping(void **state)
{
	(void)state;
	worker.stopping = true;
	conn.late = 1;
	assert_int_equal(status_of("/apps/7/channels", CLIENTS), 401);
	assert_int_equal(status_of("/nothing", CLIENTS), 404);
	assert_int_equal(status_of("/ready", CLIENTS), 503);
	assert_int_equal(status_of("/up", CLIENTS), 200);
	assert_int_equal(status_of("/metrics", METRICS_OWN), 200);
}

/* ---- questions to the router --------------------------------------------- */

static struct buf heard;
static bool heard_end;

static void
hear(struct asking *a, struct bytes text, bool end)
{
	(void)a;
	buf_bytes(&heard, text);
	heard_end = end;
}

/* Without a router, and of one that goes, who asks hears what a router that
 * starts would say: that it may be asked again. */
static void
test_no_router(void **state)
{
	static const char again[] = "{\"ok\":false,\"error\":\"the router is "
	    "starting, try again\",\"again\":true}\n";
	struct asking a = { .told = hear };

	(void)state;
	fake.no_link = true;
	ask_router(&a, B("{\"verb\":\"hosts\"}"));
	assert_true(heard_end);
	assert_string_equal(buf_cstr(&heard), again);
	buf_clear(&heard);
	fake.no_link = heard_end = false;
	ask_router(&a, B("{\"verb\":\"hosts\"}"));
	assert_int_equal(heard.n, 0);
	ask_lost();
	assert_true(heard_end);
	assert_string_equal(buf_cstr(&heard), again);
	buf_done(&heard);
}

int
main(void)
{
#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_where),
		TEST(test_page_place),
		TEST(test_prefix),
		TEST(test_own_path),
		TEST(test_methods),
		TEST(test_addresses),
		TEST(test_token),
		TEST(test_forms),
		TEST(test_no_numbers),
		TEST(test_gone),
		TEST(test_crowd),
		TEST(test_ready),
		TEST(test_stopping),
		TEST(test_no_router),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
