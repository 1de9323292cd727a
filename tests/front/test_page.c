/* SPDX-License-Identifier: MIT
 *
 * src/front/page.c, page_line.c and page_knock.c: who gets in, what is asked of
 * router and master, what viewers hear.  Router and master are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "front/page.h"
#include "worker/ask.h"
#include "worker/fake.h"

#define TOKEN	"0123456789abcdef"
#define LOGIN	"{\"do\":\"login\",\"token\":\"" TOKEN "\"}"

/* ---- router and master ----------------------------------------------------- */

static struct buf asked;		/* the last line */
static struct asking *waiting;		/* who asked last */
static struct asking *reporting;
static unsigned n_asked, n_cancelled, n_reports;

void
ask_router(struct asking *a, struct bytes line)
{
	buf_clear(&asked);
	buf_bytes(&asked, line);
	buf_cstr(&asked);
	a->armed = true;
	waiting = a;
	n_asked++;
}

void
ask_master(struct asking *a, unsigned what)
{
	assert_int_equal(what, REPORT_JSON);
	a->armed = true;
	reporting = a;
	n_reports++;
}

void
ask_cancel(struct asking *a)
{
	n_cancelled += a->armed;
	a->armed = false;
}

void ask_on_told(const struct msg_told *m) { (void)m; }
void ask_on_report(const struct msg_report *m) { (void)m; }
void ask_lost(void) { }

static void
tell(struct asking *a, const char *lines, bool end)
{
	if (end)
		a->armed = false;
	a->told(a, bytes_str(lines), end);
}

static void
report(const char *text)
{
	tell(reporting, text, true);
}

/* ---- viewers ---------------------------------------------------------------- */

static char *nobody[] = { (char []){ "192.0.2.1" } };
static char *good[] = { (char []){ "admin.example" } };

static int
setup(void **state)
{
	(void)state;
	fake_setup();
	fake.config.page = (struct config_page){
		.enabled = true, .actions = true, .max_viewers = 3,
		.path = (char *)(uintptr_t)"/peal/",
		.token = (char *)(uintptr_t)TOKEN,
	};
	worker.master = (struct ipc *)&asked;
	worker.leaving = false;
	knock_forget();
	fronts_settings(&fake.config);
	n_asked = n_cancelled = n_reports = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fake_teardown();
	worker.master = NULL;
	if (reporting != NULL)
		reporting->armed = false;
	buf_done(&asked);
	return 0;
}

static struct fake_client *
open_page(void)
{
	return fake_connect("/peal/ws", "", NULL);
}

static void
say(struct fake_client *f, const char *text)
{
	fake_say(f, bytes_str(text));
}

static struct fake_client *
viewer(void)
{
	struct fake_client *f = open_page();

	assert_non_null(f);
	say(f, LOGIN);
	assert_non_null(strstr(fake_heard(f), "{\"ok\":true,"));
	return f;
}

static void
second(struct fake_client *f)
{
	worker.now++;
	f->c.front->tick(&f->c, worker.now);
}

/* ---- entering ----------------------------------------------------------------- */

static void
which_requests(void **state)
{
	(void)state;
	assert_null(fake_connect("/peal/wsx", "", NULL));
	assert_null(fake_connect("/peal/", "", NULL));
	assert_non_null(open_page());
	fake.config.page.enabled = false;
	assert_null(open_page());
}

static void
the_origin(void **state)
{
	struct http_request req = {
		.path = B("/peal/ws"), .upgrade = B("websocket"),
		.host = B("peal.example:8080"), .has_origin = true,
	};
	static const struct { const char *origin; bool good; } tries[] = {
		{ "https://peal.example", true },
		{ "http://PEAL.example:8080", true },
		{ "http://peal.example:1", true },
		{ "http://evil.example", false },
		{ "http://peal.example.evil.example", false },
		{ "http://evil.example/peal.example", false },
		{ "http://peal.example@evil.example", false },
		{ "null", false }, { "", false }, { "peal.example", false },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(tries); i++) {
		req.origin = bytes_str(tries[i].origin);
		assert_int_equal(fake_request(&req) != NULL, tries[i].good);
		assert_int_equal(fake.refused.status, tries[i].good ? 0 : 403);
	}
	fake.config.page.allowed_origins = (struct config_strings){ good, 1 };
	req.origin = B("https://peal.example");
	assert_null(fake_request(&req));
	req.origin = B("https://admin.example");
	assert_non_null(fake_request(&req));
	assert_null(open_page());
}

static void
the_address(void **state)
{
	(void)state;
	fake.config.page.allow = (struct config_strings){ nobody, 1 };
	assert_null(open_page());
	assert_int_equal(fake.refused.status, 403);
}

static void
login_first(void **state)
{
	static const char *const wrong[] = {
		"", "{", "[]", "7", "{\"do\":\"watch\"}", "{\"do\":\"login\"}",
		"{\"do\":\"login\",\"token\":null}",
		"{\"do\":\"login\",\"token\":[\"" TOKEN "\"]}",
	};
	struct fake_client *f;

	(void)state;
	for (size_t i = 0; i < NELEM(wrong); i++) {
		f = open_page();
		say(f, wrong[i]);
		assert_int_equal(f->closed, CLOSE_TOKEN);
		assert_string_equal(fake_heard(f), "");
	}
	f = open_page();
	f->c.front->input(&f->c, WEBSOCKET_BINARY, bytes_str(LOGIN));
	assert_int_equal(f->closed, CLOSE_WS_BINARY);
	assert_int_equal(n_asked, 0);
}

static void
no_login_in_time(void **state)
{
	struct fake_client *f = open_page(), *in = viewer();

	(void)state;
	for (int i = 0; i < 10; i++)
		second(f);
	assert_int_equal(f->closed, CLOSE_NONE);
	second(f);
	assert_int_equal(f->closed, CLOSE_TOKEN_TIMEOUT);
	second(in);
	assert_int_equal(in->closed, CLOSE_NONE);
}

static void
the_greeting(void **state)
{
	struct fake_client *f = open_page();

	(void)state;
	assert_int_equal(f->c.front->limit(&f->c), 2048);
	say(f, LOGIN);
	assert_non_null(strstr(fake_heard(f), "\"actions\":true,\"charts\":false,"
	    "\"apps\":[{\"id\":\"7\",\"label\":\"\"},{\"id\":\"8\","));
	assert_int_equal(f->c.front->limit(&f->c), 128 << 10);
	assert_int_equal(counter.pages, 1);
	assert_null(f->c.app);
	fake_gone(f);
	assert_int_equal(counter.pages, 0);
}

static void
wrong_ones_wait(void **state)
{
	uint64_t before = counter.signatures_refused;
	unsigned waits[4] = { 0 };
	struct fake_client *f;

	(void)state;
	for (int i = 0; i < 3; i++) {
		f = open_page();
		say(f, "{\"do\":\"login\",\"token\":\"wrong\"}");
		assert_int_equal(f->closed, CLOSE_TOKEN);
	}
	assert_non_null(strstr(fake_heard(f), "\"wait\":"));
	assert_int_equal(counter.signatures_refused, before + 3);
	/* Now nobody looks at what it says. */
	f = open_page();
	say(f, LOGIN);
	assert_int_equal(f->closed, CLOSE_RATE_LIMIT);
	assert_non_null(strstr(fake_heard(f), "Too many attempts."));
	for (size_t i = 0; i < NELEM(waits); i++) {
		while (knock_wait("", worker.now) > 0)
			worker.now++;
		knock_wrong("", worker.now);
		waits[i] = knock_wait("", worker.now);
		assert_true(i == 0 || waits[i] > waits[i - 1]);
	}
	for (int i = 0; i < 20; i++)
		knock_wrong("", worker.now);
	assert_in_range(knock_wait("", worker.now), 290, 301);
	/* A long time after the last one it is as if there had been none. */
	worker.now += 1800;
	assert_int_equal(knock_wait("", worker.now), 0);
	(void)viewer();
}

static void
whose_attempts(void **state)
{
	uint32_t now = worker.now;

	(void)state;
	for (int i = 0; i < 4; i++)
		knock_wrong("2001:db8::1", now);
	assert_true(knock_wait("2001:db8::1", now) > 0);
	assert_true(knock_wait("2001:db8::ffff:1", now) > 0);
	assert_int_equal(knock_wait("2001:db8:0:1::1", now), 0);
	assert_int_equal(knock_wait("192.0.2.1", now), 0);
	for (int i = 0; i < 4; i++)
		knock_wrong("192.0.2.1", now);
	assert_true(knock_wait("192.0.2.1", now) > 0);
	assert_int_equal(knock_wait("192.0.2.2", now), 0);
	knock_right("192.0.2.1", now);
	assert_int_equal(knock_wait("192.0.2.1", now), 0);
	/* What is wrong with one token is not with another. */
	assert_true(knock_wait("2001:db8::1", now) > 0);
	knock_forget();
	assert_int_equal(knock_wait("2001:db8::1", now), 0);
}

/* One each from as many addresses as it takes until others have to wait. */
static unsigned
wrong_until(const char *begin, const char *end, const char *other, uint32_t now)
{
	char ip[40];

	for (unsigned n = 0; n < 200; n++) {
		if (knock_wait(other, now + n / 4) > 0)
			return n;
		snprintf(ip, sizeof(ip), "%s%u%s", begin, n, end);
		/* The worker's twenty of a second are not what is meant. */
		knock_wrong(ip, now + n / 4);
	}
	return 200;
}

/* A network of many addresses costs itself, and not others. */
static void
attempts_of_networks(void **state)
{
	uint32_t now = worker.now;
	unsigned n;
	static const struct {
		const char *begin, *end, *inside, *outside;
		unsigned least, most;
	} tries[] = {
		/* As some seconds pass meanwhile, it bears some more. */
		{ "192.0.2.", "", "192.0.2.255", "192.0.3.1",
		    12, 13 },
		{ "2001:db8:1:", "::1", "2001:db8:1:ffff::1",
		    "2001:db8:2::1", 12, 13 },
		{ "10.1.", ".1", "10.1.255.1", "10.2.0.1",
		    40, 50 },
		{ "2001:db9:", "::1", "2001:db9:ffff::1", "2001:dba::1",
		    40, 50 },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(tries); i++, now += 1000) {
		knock_forget();
		n = wrong_until(tries[i].begin, tries[i].end,
		    tries[i].inside, now);
		assert_in_range(n, tries[i].least, tries[i].most);
		assert_int_equal(knock_wait(tries[i].outside, now + n / 4), 0);
		assert_int_equal(knock_wait(tries[i].inside, now + n), 0);
	}
}

/* One alone, however long it goes on, keeps nobody near it out. */
static void
attempts_of_one(void **state)
{
	uint32_t now = worker.now;
	unsigned wrong = 0;

	(void)state;
	for (uint32_t end = now + 7200; now < end; now++) {
		if (knock_wait("192.0.2.1", now) == 0) {
			knock_wrong("192.0.2.1", now);
			wrong++;
		}
		assert_int_equal(knock_wait("192.0.2.2", now), 0);
	}
	assert_in_range(wrong, 20, 40);
}

/* Whoever guesses from everywhere is looked at so often, and no more; who had the
 * right one before gets in as ever. */
static void
attempts_from_everywhere(void **state)
{
	uint32_t now = worker.now;
	unsigned looked_at;
	char ip[40];

	(void)state;
	knock_right("198.51.100.7", now);
	for (unsigned s = 0; s < 100; s++, now++) {
		looked_at = 0;
		for (unsigned n = 0; n < 100; n++) {
			snprintf(ip, sizeof(ip), "%u.%u.%u.1", 1 + n, s, n);
			if (knock_wait(ip, now) > 0)
				continue;
			looked_at++;
			knock_wrong(ip, now);
		}
		assert_int_equal(looked_at, 20);
		assert_true(knock_wait("203.0.113.1", now) > 0);
		assert_int_equal(knock_wait("198.51.100.7", now), 0);
	}
	/* Of its own wrong ones it answers for as anybody. */
	for (int i = 0; i < 3; i++)
		knock_wrong("198.51.100.7", now);
	assert_true(knock_wait("198.51.100.7", now) > 0);
	/* After a week it is nobody special. */
	now += 7 * 86400;
	for (unsigned n = 0; n < 20; n++) {
		snprintf(ip, sizeof(ip), "%u.0.0.1", 1 + n);
		assert_int_equal(knock_wait(ip, now), 0);
		knock_wrong(ip, now);
	}
	assert_int_equal(knock_wait("198.51.100.7", now), 1);
	assert_int_equal(knock_wait("198.51.100.7", now + 1), 0);
}

/* Right ones are no attempts: after a reload all viewers come at once. */
static void
right_ones_cost_nothing(void **state)
{
	uint32_t now = worker.now;
	char ip[40];

	(void)state;
	for (unsigned n = 0; n < 200; n++) {
		snprintf(ip, sizeof(ip), "192.0.2.%u", n);
		assert_int_equal(knock_wait(ip, now), 0);
		knock_right(ip, now);
	}
}

/* Wrong ones of a second, from elsewhere: whoever is to wait is not looked at. */
static void
attempts_of_a_second(void **state)
{
	struct fake_client *f;
	char ip[40];

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(ip, sizeof(ip), "%d.0.0.1", i + 1);
		assert_int_equal(knock_wait(ip, worker.now), 0);
		knock_wrong(ip, worker.now);
	}
	f = open_page();
	say(f, LOGIN);
	assert_int_equal(f->closed, CLOSE_RATE_LIMIT);
	assert_non_null(strstr(fake_heard(f), "\"wait\":1"));
	worker.now++;
	(void)viewer();
	/* Now it is known. */
	for (int i = 0; i < 20; i++) {
		snprintf(ip, sizeof(ip), "%d.0.0.1", i + 51);
		knock_wrong(ip, worker.now);
	}
	assert_int_equal(knock_wait("203.0.113.1", worker.now), 1);
	(void)viewer();
}

/* Each worker knows of its own only: all together are to be no quicker. */
static void
attempts_at_many_workers(void **state)
{
	uint32_t now = worker.now + 100;
	unsigned waits[2][12];

	(void)state;
	for (int many = 0; many < 2; many++) {
		fake.config.peal.workers = many ? 8 : 1;
		for (size_t i = 0; i < NELEM(waits[many]); i++) {
			knock_wrong("192.0.2.9", now);
			waits[many][i] = knock_wait("192.0.2.9", now);
		}
		knock_forget();
	}
	fake.config.peal.workers = 0;
	assert_int_equal(waits[1][0], 0);
	assert_int_equal(waits[1][1], 0);
	for (size_t i = 2; i < 9; i++)
		assert_int_equal(waits[1][i] - 1, 8 * (waits[0][i] - 1));
	/* As long as it is remembered, no longer. */
	assert_int_equal(waits[0][11], 301);
	assert_int_equal(waits[1][11], 1801);
}

static void
so_many_viewers(void **state)
{
	struct fake_client *f[3], *more;

	(void)state;
	for (int i = 0; i < 3; i++)
		f[i] = viewer();
	more = open_page();
	say(more, LOGIN);
	assert_int_equal(more->closed, CLOSE_OVER_CAPACITY);
	fake_gone(f[1]);
	(void)viewer();
}

/* The first one goes for one more, and nobody who has logged in. */
static void
so_many_strangers(void **state)
{
	struct fake_client *in, *f[52];

	(void)state;
	in = viewer();
	for (size_t i = 0; i < NELEM(f); i++) {
		assert_non_null(f[i] = open_page());
		if (i < 50)
			continue;
		assert_int_equal(f[i - 50]->closed, CLOSE_TOKEN_TIMEOUT);
		fake_gone(f[i - 50]);
	}
	for (size_t i = 2; i < NELEM(f); i++)
		assert_int_equal(f[i]->closed, CLOSE_NONE);
	assert_int_equal(in->closed, CLOSE_NONE);
}

/* ---- asking ----------------------------------------------------------------------- */

static void
lines(void **state)
{
	static const struct { const char *asked, *line; } tries[] = {
		{ "{\"verb\":\"channels\"}", "{\"verb\":\"channels\"}" },
		{ "{\"limit\":5,\"x\":1,\"match\":\"a\\u0022b\",\"app\":\"1\","
		    "\"verb\":\"channels\",\"prefix\":null,\"channel\":\"c\"}",
		    "{\"verb\":\"channels\",\"app\":\"1\",\"match\":\"a\\\"b\","
		    "\"limit\":5}" },
		{ "{\"verb\":\"tail\",\"kinds\":[\"closed\",\"published\","
		    "\"closed\"],\"data\":20,\"channel\":\"a*\"}",
		    "{\"verb\":\"tail\",\"channel\":\"a*\",\"kinds\":"
		    "[\"published\",\"closed\"],\"data\":20}" },
		{ "{\"verb\":\"tail\",\"kinds\":[]}",
		    "{\"verb\":\"tail\",\"kinds\":[]}" },
		{ "{\"verb\":\"inspect\",\"slow\":true,\"socket\":\"1.2\"}",
		    "{\"verb\":\"inspect\",\"socket\":\"1.2\",\"slow\":true}" },
		{ "{\"verb\":\"publish\",\"channel\":\"c\",\"event\":\"e\","
		    "\"data\":\"{\\\"a\\\":\\n1}\"}",
		    "{\"verb\":\"publish\",\"channel\":\"c\",\"event\":\"e\","
		    "\"data\":\"{\\\"a\\\":\\n1}\"}" },
		{ "{\"verb\":\"kick\",\"socket\":\"1.2\",\"user\":\"u\"}",
		    "{\"verb\":\"kick\",\"socket\":\"1.2\"}" },
		{ "{\"verb\":\"hosts\",\"app\":\"1\"}", "{\"verb\":\"hosts\"}" },
	};
	struct page_line l;
	struct buf out = { 0 };
	struct json v;
	const char *why;

	(void)state;
	for (size_t i = 0; i < NELEM(tries); i++) {
		buf_clear(&out);
		assert_int_equal(json_parse(bytes_str(tries[i].asked), &v,
		    &why), 0);
		assert_int_equal(page_line(&v, true, &out, &l, &why), 0);
		assert_string_equal(buf_cstr(&out), tries[i].line);
	}
	buf_done(&out);
}

static void
an_answer(void **state)
{
	struct fake_client *f = viewer();

	(void)state;
	say(f, "{\"id\":5,\"do\":\"ask\",\"line\":{\"verb\":\"hosts\"}}");
	assert_string_equal(buf_cstr(&asked), "{\"verb\":\"hosts\"}");
	tell(waiting, "{\"a\":1}\n{\"a\":2}\n", false);
	assert_string_equal(fake_heard(f),
	    "{\"id\":5,\"rows\":[{\"a\":1},{\"a\":2}]}\n");
	tell(waiting, "{\"a\":3}\n{\"ok\":true,\"total\":3}\n", true);
	assert_string_equal(fake_heard(f), "{\"id\":5,\"rows\":[{\"a\":3}]}\n"
	    "{\"id\":5,\"end\":true,\"ok\":true,\"total\":3}\n");
	say(f, "{\"id\":5,\"do\":\"ask\",\"line\":{\"verb\":\"hosts\"}}");
	tell(waiting, "", true);
	assert_non_null(strstr(fake_heard(f), "\"ok\":false"));
	/* The router may answer from inside. */
	say(f, "{\"id\":0,\"do\":\"ask\",\"line\":{\"verb\":\"hosts\"}}");
	tell(waiting, "{\"ok\":false,\"error\":\"no\"}", true);
	assert_string_equal(fake_heard(f),
	    "{\"id\":0,\"end\":true,\"ok\":false,\"error\":\"no\"}\n");
}

static void
too_long_an_answer(void **state)
{
	struct fake_client *f = viewer();
	char *row = xmalloc(1 << 20);
	int n;

	(void)state;
	memset(row, ' ', 1 << 20);
	memcpy(row, "{}", 2);
	memcpy(row + (1 << 20) - 2, "\n", 2);
	say(f, "{\"id\":1,\"do\":\"ask\",\"line\":{\"verb\":\"hosts\"}}");
	for (n = 0; n < 20 && waiting->armed; n++) {
		tell(waiting, row, false);
		if (waiting->armed)
			(void)fake_heard(f);
	}
	assert_int_equal(n, 5);
	assert_int_equal(n_cancelled, 1);
	assert_string_equal(fake_heard(f), "{\"id\":1,\"end\":true,\"ok\":false,"
	    "\"error\":\"the answer is too long\"}\n");
	free(row);
}

static void
a_tail(void **state)
{
	struct fake_client *f = viewer();

	(void)state;
	say(f, "{\"id\":2,\"do\":\"ask\",\"line\":{\"verb\":\"tail\"}}");
	f->conn.queued = 300 << 10;
	tell(waiting, "{\"n\":1}\n{\"dropped\":40}\n{\"n\":2}\n", false);
	assert_string_equal(fake_heard(f), "");
	f->conn.queued = 0;
	tell(waiting, "{\"n\":3}\n", false);
	assert_string_equal(fake_heard(f),
	    "{\"id\":2,\"rows\":[{\"dropped\":42},{\"n\":3}]}\n");
	say(f, "{\"id\":2,\"do\":\"stop\"}");
	assert_string_equal(fake_heard(f),
	    "{\"id\":2,\"end\":true,\"ok\":true}\n");
	assert_int_equal(n_cancelled, 1);
	say(f, "{\"id\":2,\"do\":\"stop\"}");
	assert_string_equal(fake_heard(f), "");
}

static void
so_many_asks(void **state)
{
	struct fake_client *f = viewer();
	char text[80];

	(void)state;
	for (int i = 0; i < 9; i++) {
		snprintf(text, sizeof(text), "{\"id\":%d,\"do\":\"ask\","
		    "\"line\":{\"verb\":\"tail\"}}", i);
		say(f, text);
	}
	assert_int_equal(n_asked, 8);
	assert_non_null(strstr(fake_heard(f), "{\"id\":8,\"end\":true,"
	    "\"ok\":false,\"error\":\"too many"));
	/* All of them end with the viewer. */
	fake_gone(f);
	assert_int_equal(n_cancelled, 8);
}

static void
no_actions(void **state)
{
	struct fake_client *f = viewer();

	(void)state;
	fake.config.page.actions = false;
	say(f, "{\"id\":1,\"do\":\"ask\",\"line\":{\"verb\":\"kick\","
	    "\"socket\":\"1.2\"}}");
	assert_int_equal(n_asked, 0);
	assert_non_null(strstr(fake_heard(f), "not allowed"));
}

static void
too_many_messages(void **state)
{
	struct fake_client *f = viewer();

	(void)state;
	worker.now++;
	for (int i = 0; i < 100; i++)
		say(f, "{\"do\":\"unwatch\"}");
	assert_int_equal(f->closed, CLOSE_NONE);
	worker.now++;
	for (int i = 0; i < 101; i++)
		say(f, "{\"do\":\"unwatch\"}");
	assert_int_equal(f->closed, CLOSE_RATE_LIMIT);
}

/* ---- reports ------------------------------------------------------------------------ */

static void
one_report_for_all(void **state)
{
	struct fake_client *a = viewer(), *b = viewer(), *c = viewer();

	(void)state;
	say(a, "{\"do\":\"watch\"}");
	say(b, "{\"do\":\"watch\"}");
	say(c, "{\"id\":3,\"do\":\"report\"}");
	assert_int_equal(n_reports, 1);
	report("{\"x\":1}\n");
	assert_string_equal(fake_heard(a), "{\"report\":{\"x\":1}}\n");
	assert_string_equal(fake_heard(b), "{\"report\":{\"x\":1}}\n");
	assert_string_equal(fake_heard(c), "{\"id\":3,\"report\":{\"x\":1}}\n");
	second(a);
	b->c.front->tick(&b->c, worker.now);
	c->c.front->tick(&c->c, worker.now);
	assert_int_equal(n_reports, 2);
	/* One that does not read hears this one not. */
	b->conn.queued = 100 << 10;
	report("{\"x\":2}");
	assert_string_equal(fake_heard(a), "{\"report\":{\"x\":2}}\n");
	assert_string_equal(fake_heard(b), "");
	assert_string_equal(fake_heard(c), "");
	say(a, "{\"do\":\"unwatch\"}");
	fake_gone(b);
	second(a);
	assert_int_equal(n_reports, 2);
}

/* It is asked for again, but not at once. */
static void
a_report_that_does_not_come(void **state)
{
	struct fake_client *f = viewer();

	(void)state;
	say(f, "{\"do\":\"watch\"}");
	for (int i = 0; i < 4; i++)
		second(f);
	assert_int_equal(n_reports, 1);
	second(f);
	assert_int_equal(n_reports, 2);
	report("");
	assert_string_equal(fake_heard(f), "");
}

/* ---- its end ---------------------------------------------------------------------------- */

static void
settings_change(void **state)
{
	struct fake_client *in = viewer(), *out = open_page();

	(void)state;
	fronts_settings(&fake.config);
	assert_int_equal(in->closed, CLOSE_NONE);
	fake.config.page.token = (char *)(uintptr_t)"fedcba9876543210";
	fronts_settings(&fake.config);
	assert_int_equal(in->closed, CLOSE_TOKEN);
	assert_int_equal(out->closed, CLOSE_NONE);
	fake.config.page.enabled = false;
	fronts_settings(&fake.config);
	assert_int_equal(out->closed, CLOSE_DRAIN);
}

static void
its_worker_leaves(void **state)
{
	struct fake_client *in = viewer(), *out = open_page();

	(void)state;
	worker.leaving = true;
	second(in);
	second(out);
	assert_int_equal(in->closed, CLOSE_DRAIN);
	assert_int_equal(out->closed, CLOSE_DRAIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(which_requests),
		TEST(the_origin),
		TEST(the_address),
		TEST(login_first),
		TEST(no_login_in_time),
		TEST(the_greeting),
		TEST(wrong_ones_wait),
		TEST(whose_attempts),
		TEST(attempts_of_networks),
		TEST(attempts_of_one),
		TEST(attempts_from_everywhere),
		TEST(right_ones_cost_nothing),
		TEST(attempts_of_a_second),
		TEST(attempts_at_many_workers),
		TEST(so_many_viewers),
		TEST(so_many_strangers),
		TEST(lines),
		TEST(an_answer),
		TEST(too_long_an_answer),
		TEST(a_tail),
		TEST(so_many_asks),
		TEST(no_actions),
		TEST(too_many_messages),
		TEST(one_report_for_all),
		TEST(a_report_that_does_not_come),
		TEST(settings_change),
		TEST(its_worker_leaves),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
