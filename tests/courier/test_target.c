/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier/target.c: order, batches, failures, pauses, limits, reports.
 */
#include "rig.h"

#include <fcntl.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/crypto.h"
#include "common/json.h"

static struct rig *g;
static struct server *s;
static struct counters before;

static void
settings(const char *courier, const char *hook)
{
	char *text = xasprintf("[courier]\nallow_private = yes\n%s"
	    "[webhook a]\nurl = http://127.0.0.1:%u/hook?secret=1\n"
	    "events = client_event\n%s", courier, s->port, hook);

	rig_settings(g, text);
	free(text);
}

static void
begin(const char *courier, const char *hook)
{
	before = counter;
	g = rig_new("");
	s = server_new(g->base);
	settings(courier, hook);
	rig_link(g);
}

static void
end(void)
{
	server_free(s);
	rig_free(g);	/* with the loop of both */
}

static void
say(unsigned from, unsigned to)
{
	char text[20];

	for (; from <= to; from++) {
		snprintf(text, sizeof(text), "\"n%u\"", from);
		rig_client(g, "room", text);
	}
}

/* Numbers in a request. */
static void
numbers(const struct request *r, struct buf *to)
{
	const char *p = r->body;

	while ((p = strstr(p, "\"data\":\"n")) != NULL) {
		p += 8;
		buf_fmt(to, "%.*s ", (int)strcspn(p, "\""), p);
	}
}

static void
expect(size_t request, const char *text)
{
	struct buf b = { 0 };

	rig_until(g, s->n > request);
	numbers(server_request(s, request), &b);
	assert_string_equal(buf_cstr(&b), text);
	buf_done(&b);
}

static struct target *
target(void)
{
	return TAILQ_FIRST(&g->courier->targets.all);
}

static void
idle(void)
{
	rig_acked(g);
	rig_until(g, g->courier->targets.n == 0);
}

/* What is said from here on waits: one request has failed. */
static void
hold_with(int how)
{
	server_answer(s, how);
	say(1, 1);
	rig_until(g, target()->failures == 1);
}

/* The next attempt is due. */
static void
next(void)
{
	rig_later(g, TARGET_PAUSE_MAX);
}

/* ---- batches -------------------------------------------------------------------- */

static void
events_travel_together(void **state)
{
	(void)state;
	begin("", "max_batch = 3\n");
	hold_with(500);
	say(2, 9);
	rig_acked(g);
	next();
	expect(1, "n1 ");
	expect(2, "n2 n3 n4 ");
	expect(3, "n5 n6 n7 ");
	expect(4, "n8 n9 ");
	idle();
	assert_int_equal(counter.hooks_delivered - before.hooks_delivered, 9);
	assert_int_equal(counter.hooks_taken - before.hooks_taken, 9);
	assert_int_equal(counter.hooks_requests - before.hooks_requests, 5);
	assert_int_equal(counter.hooks_refused - before.hooks_refused, 1);
	/* All over one connection. */
	assert_int_equal(s->connections, 1);
	end();
}

static void
events_travel_alone(void **state)
{
	(void)state;
	begin("", "batching = no\n");
	hold_with(500);
	say(2, 4);
	rig_acked(g);
	next();
	expect(1, "n1 ");
	expect(2, "n2 ");
	expect(3, "n3 ");
	expect(4, "n4 ");
	end();
}

static void
a_batch_waits_for_more(void **state)
{
	(void)state;
	begin("", "batch_wait = 30\nmax_batch = 4\n");
	say(1, 2);
	rig_acked(g);
	rig_later(g, 10000);
	say(3, 3);
	rig_acked(g);
	assert_int_equal(s->n, 0);
	rig_later(g, 21000);
	expect(0, "n1 n2 n3 ");
	idle();
	say(4, 7);
	expect(1, "n4 n5 n6 n7 ");
	end();
}

static void
a_body_has_a_limit(void **state)
{
	char *big = xmalloc(400000);

	(void)state;
	memset(big, 'x', 399999);
	big[399999] = '\0';
	big[0] = big[399998] = '"';
	begin("", "");
	hold_with(500);
	for (int i = 0; i < 5; i++)
		rig_client(g, "room", big);
	rig_acked(g);
	next();
	rig_until(g, s->n == 5);
	for (size_t i = 2; i < 5; i++)
		assert_true(server_request(s, i)->n < TARGET_BODY_MAX);
	free(big);
	end();
}

/* ---- failures ----------------------------------------------------------------------- */

/* Whatever goes wrong, the request comes again as it was, and in order. */
static void
fails_and_recovers(int how, const char *why)
{
	const struct request *one, *two;
	char *id;

	begin("", how == ANSWER_STALL || how == ANSWER_DRIP ?
	    "timeout = 100ms\n" : "");
	hold_with(how);
	if (strstr(target()->last_error, why) == NULL)
		fail_msg("%s", target()->last_error);
	settings("", "timeout = 60\n");
	say(2, 3);
	rig_acked(g);
	rig_later(g, 500);
	assert_int_equal(s->n, 1);	/* there is a pause */
	if (how == ANSWER_LATER) {
		next();
		assert_int_equal(s->n, 1);	/* as long as it asked for */
	}
	next();
	expect(1, "n1 ");
	expect(2, "n2 n3 ");
	idle();
	one = server_request(s, 0);
	two = server_request(s, 1);
	assert_string_equal(one->body, two->body);
	id = xstrdup(request_header(one, "X-Peal-Delivery"));
	assert_string_equal(id, request_header(two, "X-Peal-Delivery"));
	assert_string_not_equal(id, request_header(server_request(s, 2),
	    "X-Peal-Delivery"));
	free(id);
	assert_int_equal(target()->failures, 0);
	assert_memory_equal(one->head, "POST /hook?secret=1 ", 20);
	end();
}

static void
answers_that_are_none(void **state)
{
	(void)state;
	fails_and_recovers(500, "answered with 500");
	fails_and_recovers(503, "answered with 503");
	fails_and_recovers(404, "answered with 404");
	fails_and_recovers(410, "answered with 410");
	fails_and_recovers(304, "answered with 304");
	fails_and_recovers(ANSWER_REDIRECT, "answered with 302");
	fails_and_recovers(ANSWER_LATER, "answered with 503");
	fails_and_recovers(ANSWER_RESET, "");
	fails_and_recovers(ANSWER_STALL, "timed out");
	fails_and_recovers(ANSWER_DRIP, "timed out");
	fails_and_recovers(ANSWER_HEADS, "too long a head");
}

/* With the head of a 2xx it is taken, whatever becomes of the rest. */
static void
answers_that_are_some(void **state)
{
	static const int those[] = { 200, 201, 204, 299, ANSWER_GIANT,
		ANSWER_CUT };

	(void)state;
	for (size_t i = 0; i < NELEM(those); i++) {
		begin("", "");
		server_answer(s, those[i]);
		say(1, 1);
		idle();
		say(2, 2);
		idle();
		expect(0, "n1 ");
		expect(1, "n2 ");
		assert_int_equal(target()->failures, 0);
		end();
	}
}

static void
a_server_that_is_not_there(void **state)
{
	(void)state;
	begin("", "");
	event_free(s->accept);
	close(s->fd);
	say(1, 2);
	rig_until(g, target()->failures == 1);
	assert_non_null(strstr(target()->last_error, "connect"));
	s->fd = open("/dev/null", 0);
	s->accept = event_new(g->base, -1, 0, NULL, NULL);
	end();
}

static void
pauses_grow(void **state)
{
	uint64_t last = 0;

	(void)state;
	begin("", "retry_for = 24h\n");
	s->always = 500;
	say(1, 1);
	for (unsigned i = 1; i < 12; i++) {
		uint64_t most = TARGET_PAUSE_FIRST, pause;

		rig_until(g, target()->failures == i);
		pause = target()->next_try - clock_ms();
		for (unsigned k = 1; k < i && most < TARGET_PAUSE_MAX; k++)
			most *= 2;
		if (most > TARGET_PAUSE_MAX)
			most = TARGET_PAUSE_MAX;
		/* The clock has gone on since. */
		assert_true(pause <= most);
		assert_true(pause > last / 2);
		last = pause;
		next();
	}
	s->always = 0;
	next();
	idle();
	end();
}

static void
what_is_not_taken_is_dropped_in_the_end(void **state)
{
	(void)state;
	begin("", "retry_for = 5m\nmax_batch = 2\n");
	s->always = 500;
	say(1, 3);
	rig_until(g, target()->failures == 1);
	rig_later(g, 200000);
	say(4, 4);
	rig_until(g, target()->failures == 2);
	rig_acked(g);
	assert_int_equal(target()->n, 4);
	rig_later(g, 100000);
	/* Three have had their time, the fourth has some left. */
	rig_until(g, target()->n == 1);
	assert_int_equal(counter.hooks_expired - before.hooks_expired, 3);
	s->always = 0;
	next();
	idle();
	assert_int_equal(counter.hooks_delivered - before.hooks_delivered, 1);
	assert_int_equal(counter.hooks_expired - before.hooks_expired, 3);
	end();
}

static void
without_retries_one_failure_drops(void **state)
{
	(void)state;
	begin("", "retry_for = 0\nmax_batch = 2\n");
	server_answer(s, 500);
	say(1, 1);
	rig_until(g, counter.hooks_expired - before.hooks_expired == 1);
	say(2, 3);
	rig_acked(g);
	next();
	expect(1, "n2 n3 ");
	idle();
	end();
}

/* What has waited long because its target is slow has not been tried yet. */
static void
a_slow_queue_is_not_late(void **state)
{
	(void)state;
	begin("", "retry_for = 60\nbatch_wait = 60\nmax_batch = 2\n");
	say(1, 1);
	rig_acked(g);
	server_answer(s, 500);
	rig_later(g, 100000);
	rig_until(g, target()->failures == 1);
	assert_int_equal(target()->n, 1);
	next();
	idle();
	assert_int_equal(counter.hooks_delivered - before.hooks_delivered, 1);
	end();
}

/* ---- many targets ------------------------------------------------------------------- */

static void
a_dead_target_leaves_room_for_others(void **state)
{
	struct buf text = { 0 };
	struct server *dead;

	(void)state;
	before = counter;
	g = rig_new("");
	s = server_new(g->base);
	dead = server_new(g->base);
	dead->always = ANSWER_STALL;
	buf_str(&text, "[courier]\nallow_private = yes\nmax_requests = 4\n");
	for (int i = 0; i < 8; i++)
		buf_fmt(&text, "[webhook dead%d]\nurl = http://127.0.0.1:%u/\n"
		    "events = client_event\ntimeout = 100ms\n", i,
		    dead->port);
	buf_fmt(&text, "[webhook a]\nurl = http://127.0.0.1:%u/\n"
	    "events = client_event\n", s->port);
	rig_settings(g, buf_cstr(&text));
	rig_link(g);
	say(1, 1);
	/* At first nobody is known to be dead. */
	rig_until(g, s->n == 1);
	rig_until(g, counter.hooks_refused - before.hooks_refused >= 8);
	for (unsigned i = 0; i < 3; i++) {
		next();
		assert_true(g->courier->targets.busy_failing <= 2);
		say(2, 2);
		rig_until(g, s->n == 2 + i);
	}
	buf_done(&text);
	server_free(dead);
	end();
}

/* Those that are well have no pause, and would be before it for ever. */
static void
a_target_that_is_well_again_is_found_out(void **state)
{
	const struct targets *all;
	struct buf text = { 0 };
	struct server *ill;

	(void)state;
	g = rig_new("");
	s = server_new(g->base);
	ill = server_new(g->base);
	server_answer(ill, 503);
	buf_fmt(&text, "[courier]\nallow_private = yes\nmax_requests = 2\n"
	    "[webhook ill]\nurl = http://127.0.0.1:%u/\n"
	    "events = client_event\n", ill->port);
	for (int i = 0; i < 4; i++)
		buf_fmt(&text, "[webhook x%d]\nurl = http://127.0.0.1:%u/\n"
		    "events = client_event\n", i, s->port);
	rig_settings(g, buf_cstr(&text));
	rig_link(g);
	all = &g->courier->targets;
	say(1, 1);
	rig_until(g, s->n == 4 && target()->failures == 1 && all->busy == 0);
	s->always = ANSWER_STALL;
	say(2, 2);
	rig_until(g, all->busy == 2 && s->n == 6);
	next();
	rig_until(g, target()->state == TARGET_READY);
	assert_false(TAILQ_EMPTY(&all->ready));
	g->courier->config->courier.max_requests = 3;
	rig_until(g, all->busy == 3);
	assert_int_equal(target()->state, TARGET_BUSY);
	rig_until(g, target()->failures == 0);
	buf_done(&text);
	server_free(ill);
	end();
}

static void
another_url_ends_a_pause(void **state)
{
	struct buf text = { 0 };

	(void)state;
	begin("", "retry_for = 24h\n");
	hold_with(ANSWER_LATER);
	settings("", "retry_for = 24h\nmax_batch = 7\n");
	rig_idle(g);
	assert_int_equal(s->n, 1);
	buf_fmt(&text, "[courier]\nallow_private = yes\n[webhook a]\n"
	    "url = http://127.0.0.1:%u/other\nevents = client_event\n",
	    s->port);
	rig_settings(g, buf_cstr(&text));
	idle();
	assert_memory_equal(server_request(s, 1)->head, "POST /other ", 12);
	buf_done(&text);
	end();
}

static void
only_so_many_at_a_time(void **state)
{
	struct buf text = { 0 };

	(void)state;
	g = rig_new("");
	s = server_new(g->base);
	s->always = ANSWER_STALL;
	buf_str(&text, "[courier]\nallow_private = yes\nmax_requests = 3\n");
	for (int i = 0; i < 8; i++)
		buf_fmt(&text, "[webhook x%d]\nurl = http://127.0.0.1:%u/\n"
		    "events = client_event\n", i, s->port);
	rig_settings(g, buf_cstr(&text));
	rig_link(g);
	say(1, 1);
	rig_until(g, s->n == 3);
	rig_idle(g);
	assert_int_equal(s->n, 3);
	assert_int_equal(g->courier->targets.busy, 3);
	buf_done(&text);
	end();
}

/* ---- limits --------------------------------------------------------------------------- */

static void
a_full_queue_drops_the_newest(void **state)
{
	struct queued *first;

	(void)state;
	begin("", "max_queue = 64k\n");
	hold_with(500);
	say(2, 1000);
	rig_acked(g);
	assert_true(target()->octets <= 65536);
	assert_true(target()->n > 100);
	assert_int_equal(target()->n + target()->dropped, 1000);
	assert_int_equal(counter.hooks_dropped - before.hooks_dropped,
	    target()->dropped);
	first = TAILQ_FIRST(&target()->items);
	assert_non_null(first);
	next();
	idle();
	assert_int_equal(counter.hooks_taken - before.hooks_taken,
	    counter.hooks_delivered - before.hooks_delivered +
	    counter.hooks_dropped - before.hooks_dropped);
	expect(2, "n2 n3 n4 n5 n6 n7 n8 n9 n10 n11 n12 n13 n14 n15 n16 n17 "
	    "n18 n19 n20 n21 n22 n23 n24 n25 n26 n27 n28 n29 n30 n31 n32 n33 "
	    "n34 n35 n36 n37 n38 n39 n40 n41 n42 n43 n44 n45 n46 n47 n48 n49 "
	    "n50 n51 n52 n53 n54 n55 n56 n57 n58 n59 n60 n61 n62 n63 n64 n65 "
	    "n66 n67 n68 n69 n70 n71 n72 n73 n74 n75 n76 n77 n78 n79 n80 n81 "
	    "n82 n83 n84 n85 n86 n87 n88 n89 n90 n91 n92 n93 n94 n95 n96 n97 "
	    "n98 n99 n100 n101 ");
	end();
}

static void
all_queues_together_have_a_limit(void **state)
{
	(void)state;
	begin("max_queue = 64k\n", "");
	hold_with(500);
	say(2, 1000);
	rig_acked(g);
	assert_true(g->courier->targets.octets <= 65536);
	assert_true(target()->dropped > 0);
	end();
}

/* ---- reports ------------------------------------------------------------------------ */

static void
member(const char *name, const char *want)
{
	struct json v, out;
	struct json_want w = { .name = bytes_str(name), .out = &out };
	const char *why;

	assert_non_null(g->reports[0]);
	assert_int_equal(json_read(bytes_str(g->reports[0]), &v, &w, 1, &why),
	    0);
	if (!bytes_eq(out.raw, bytes_str(want)))
		fail_msg("%s: %s", name, g->reports[0]);
}

static void
reports_say_how_it_does(void **state)
{
	char url[100];

	(void)state;
	begin("", "");
	rig_later(g, 0);
	rig_until(g, g->reports[0] != NULL);
	snprintf(url, sizeof(url), "\"http://127.0.0.1:%u/hook\"", s->port);
	member("target", "\"a\"");
	member("app", "\"1001\"");
	member("url", url);
	member("state", "\"ok\"");
	member("queued", "0");
	member("last_ok", "0");
	hold_with(503);
	say(2, 2);
	rig_acked(g);
	rig_later(g, 0);
	rig_turn(g);
	member("state", "\"failing\"");
	member("queued", "2");
	member("requests", "1");
	member("refused", "1");
	member("last_status", "503");
	member("last_error", "\"answered with 503\"");
	s->always = 500;
	for (unsigned i = 2; i <= TARGET_OPEN_AFTER; i++) {
		next();
		rig_until(g, target()->failures == i);
	}
	rig_later(g, 0);
	rig_turn(g);
	member("state", "\"open\"");
	s->always = 0;
	next();
	idle();
	rig_later(g, 0);
	rig_turn(g);
	member("state", "\"ok\"");
	member("delivered", "2");
	member("queued", "0");
	member("octets", "0");
	member("last_status", "200");
	member("last_error", "\"\"");
	member("next_try", "0");
	end();
}

static void
the_last_numbers_are_told(void **state)
{
	(void)state;
	begin("", "");
	say(1, 1);
	idle();
	msg_pack_stop(ipc_out(g->master), &(struct msg_stop){ .grace_ms = 0 });
	rig_until(g, g->courier->done);
	rig_turn(g);
	assert_non_null(g->reports[0]);
	member("delivered", "1");
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_travel_together),
		cmocka_unit_test(events_travel_alone),
		cmocka_unit_test(a_batch_waits_for_more),
		cmocka_unit_test(a_body_has_a_limit),
		cmocka_unit_test(answers_that_are_none),
		cmocka_unit_test(answers_that_are_some),
		cmocka_unit_test(a_server_that_is_not_there),
		cmocka_unit_test(pauses_grow),
		cmocka_unit_test(what_is_not_taken_is_dropped_in_the_end),
		cmocka_unit_test(without_retries_one_failure_drops),
		cmocka_unit_test(a_slow_queue_is_not_late),
		cmocka_unit_test(a_dead_target_leaves_room_for_others),
		cmocka_unit_test(a_target_that_is_well_again_is_found_out),
		cmocka_unit_test(another_url_ends_a_pause),
		cmocka_unit_test(the_last_numbers_are_told),
		cmocka_unit_test(only_so_many_at_a_time),
		cmocka_unit_test(a_full_queue_drops_the_newest),
		cmocka_unit_test(all_queues_together_have_a_limit),
		cmocka_unit_test(reports_say_how_it_does),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
