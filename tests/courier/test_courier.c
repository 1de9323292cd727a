/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier as a whole: what routers say and which target hears of it.
 */
#include "rig.h"

#include <unistd.h>

#include "common/counters.h"
#include "common/crypto.h"

#define OCCUPIED(c)	"{\"name\":\"channel_occupied\",\"channel\":\"" c "\"}"
#define VACATED(c)	"{\"name\":\"channel_vacated\",\"channel\":\"" c "\"}"
#define ADDED(c, u)	"{\"name\":\"member_added\",\"channel\":\"" c \
	"\",\"user_id\":\"" u "\"}"
#define REMOVED(c, u)	"{\"name\":\"member_removed\",\"channel\":\"" c \
	"\",\"user_id\":\"" u "\"}"
#define CLIENT(c, d)	"{\"name\":\"client_event\",\"channel\":\"" c \
	"\",\"event\":\"client-x\",\"data\":\"" d "\",\"socket_id\":\"12.34\"}"
#define COUNT(c, n)	"{\"name\":\"subscription_count\",\"channel\":\"" c \
	"\",\"subscription_count\":" #n "}"
#define MISS(c)		"{\"name\":\"cache_miss\",\"channel\":\"" c "\"}"

#define HOLD	3000	/* [courier] hold_back */

static struct rig *g;
static struct server *s, *other;

/* [webhook a] leads to s, [webhook b] to the other. */
static char *
sections(const char *a, const char *b)
{
	char *second = b == NULL ? xstrdup("") :
	    xasprintf("[webhook b]\nurl = http://127.0.0.1:%u/b\n%s",
	    other->port, b);
	char *text = xasprintf("[webhook a]\nurl = http://127.0.0.1:%u/hook\n"
	    "%s%s", s->port, a, second);

	free(second);
	return text;
}

static void
settings(const char *a, const char *b)
{
	char *text = sections(a, b);

	rig_settings(g, text);
	free(text);
}

static void
begin(const char *a, const char *b)
{
	g = rig_new("");
	s = server_new(g->base);
	other = server_new(g->base);
	settings(a, b);
	rig_link(g);
}

static void
end(void)
{
	server_free(s);
	server_free(other);
	rig_free(g);	/* with the loop of all of them */
}

/* All that a server has heard, when nothing more is to come. */
static void
expect(const struct server *of, const char *events)
{
	struct buf b = { 0 };

	rig_acked(g);
	rig_until(g, g->courier->targets.n == 0);
	server_events(of, &b);
	assert_string_equal(buf_cstr(&b), events);
	buf_done(&b);
}

static void
request_is_as_pusher_sends_it(void **state)
{
	const struct request *r;
	struct bytes body;
	char hex[65] = "", want[200];

	(void)state;
	begin("header = X-Mine: yes\n", NULL);
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
	assert_string_equal(request_header(r, "X-Mine"), "yes");
	assert_memory_equal(request_header(r, "User-Agent"), "Peal/", 5);
	assert_memory_equal(r->body, "{\"time_ms\":", 11);
	expect(s, OCCUPIED("room"));
	end();
}

static void
another_secret_signs(void **state)
{
	const struct request *r;
	struct bytes body;
	char hex[65] = "";

	(void)state;
	begin("secret = of-the-hook\n", NULL);
	rig_state(g, "room", "", true);
	rig_until(g, s->n == 1);
	r = server_request(s, 0);
	body = bytes_of(r->body, r->n);
	hmac_sha256_hex(B("of-the-hook"), &body, 1, hex);
	assert_string_equal(request_header(r, "X-Pusher-Signature"), hex);
	end();
}

static void
every_event_is_sent(void **state)
{
	(void)state;
	begin("events = channel_occupied, channel_vacated, member_added, "
	    "member_removed, client_event, cache_miss, subscription_count, "
	    "connection_opened, connection_closed\n", NULL);
	rig_event(g, (struct msg_hook_event){ .kind = HOOK_OPENED,
	    .socket_a = 12, .socket_b = 34 });
	rig_state(g, "presence-p", "", true);
	rig_state(g, "presence-p", "u1", true);
	rig_client(g, "presence-p", "\"hello\"");
	rig_event(g, (struct msg_hook_event){ .kind = HOOK_MISS,
	    .channel = B("cache-c") });
	rig_event(g, (struct msg_hook_event){ .kind = HOOK_COUNT,
	    .channel = B("room"), .count = 4 });
	rig_event(g, (struct msg_hook_event){ .kind = HOOK_CLOSED,
	    .socket_a = 12, .socket_b = 34, .count = 1000 });
	rig_state(g, "presence-p", "u1", false);
	rig_state(g, "presence-p", "", false);
	rig_acked(g);
	rig_later(g, HOLD);
	expect(s, "{\"name\":\"connection_opened\",\"socket_id\":\"12.34\"},"
	    OCCUPIED("presence-p") "," ADDED("presence-p", "u1") ","
	    CLIENT("presence-p", "hello") "," MISS("cache-c") ","
	    COUNT("room", 4) ","
	    "{\"name\":\"connection_closed\",\"socket_id\":\"12.34\","
	    "\"code\":1000,\"reason\":\"\"},"
	    REMOVED("presence-p", "u1") "," VACATED("presence-p"));
	end();
}

static void
targets_have_what_they_want(void **state)
{
	(void)state;
	begin("events = client_event\n",
	    "prefix = private-, presence-\nevents = channel_occupied, "
	    "client_event, connection_opened\n");
	rig_state(g, "room", "", true);
	rig_state(g, "private-1", "", true);
	rig_client(g, "room", "1");
	rig_client(g, "presence-x", "2");
	rig_event(g, (struct msg_hook_event){ .kind = HOOK_OPENED });
	rig_state_of(g, "2002", "private-2", "", true);
	expect(s, CLIENT("room", "1") "," CLIENT("presence-x", "2"));
	expect(other, OCCUPIED("private-1") "," CLIENT("presence-x", "2")
	    ",{\"name\":\"connection_opened\",\"socket_id\":\"0.0\"}");
	end();
}

#define SECOND	"[app second]\nid = 2002\nkey = key-2\nkey = key-2b\n" \
	"secret = secret-2\n"

static void
applications_are_apart(void **state)
{
	char *text;

	(void)state;
	g = rig_new("");
	s = server_new(g->base);
	other = server_new(g->base);
	text = xasprintf("%s[webhook a]\napp = main\nurl = "
	    "http://127.0.0.1:%u/\n[webhook b]\napp = 2002\nkey = key-2b\n"
	    "url = http://127.0.0.1:%u/\n", SECOND, s->port, other->port);
	rig_settings(g, text);
	free(text);
	rig_link(g);
	rig_state(g, "room", "", true);
	rig_state_of(g, "2002", "room", "", true);
	rig_state_of(g, "2002", "hall", "", true);
	rig_state_of(g, "3003", "none", "", true);
	expect(s, OCCUPIED("room"));
	expect(other, OCCUPIED("room") "," OCCUPIED("hall"));
	assert_string_equal(request_header(server_request(s, 0),
	    "X-Pusher-Key"), "app-key");
	assert_string_equal(request_header(server_request(other, 0),
	    "X-Pusher-Key"), "key-2b");
	end();
}

static void
who_comes_back_is_not_heard(void **state)
{
	(void)state;
	begin("events = channel_occupied, channel_vacated\n", NULL);
	rig_state(g, "room", "", true);
	rig_state(g, "room", "", false);
	rig_acked(g);
	rig_later(g, HOLD - 1000);
	rig_state(g, "room", "", true);
	rig_acked(g);
	rig_later(g, HOLD);
	rig_later(g, HOLD);
	expect(s, OCCUPIED("room"));
	rig_state(g, "room", "", false);
	rig_acked(g);
	rig_later(g, HOLD);
	expect(s, OCCUPIED("room") "," VACATED("room"));
	end();
}

static void
hold_back_may_be_none(void **state)
{
	(void)state;
	begin("[courier]\nhold_back = 0\nallow = 127.0.0.0/8\n", NULL);
	rig_state(g, "room", "", true);
	rig_state(g, "room", "", false);
	expect(s, OCCUPIED("room") "," VACATED("room"));
	end();
}

static void
a_miss_is_not_repeated(void **state)
{
	(void)state;
	begin("", NULL);
	for (int i = 0; i < 5; i++)
		rig_event(g, (struct msg_hook_event){ .kind = HOOK_MISS,
		    .channel = B("cache-c") });
	rig_acked(g);
	rig_later(g, 10000);
	rig_event(g, (struct msg_hook_event){ .kind = HOOK_MISS,
	    .channel = B("cache-c") });
	expect(s, MISS("cache-c") "," MISS("cache-c"));
	end();
}

static void
of_counts_the_newest_is_sent(void **state)
{
	struct msg_hook_event m = { .kind = HOOK_COUNT,
	    .channel = B("room"), .count = 1 };

	(void)state;
	begin("", NULL);
	server_answer(s, 500);
	rig_event(g, m);
	rig_until(g, s->n == 1);
	/* The first is in a request; of these the last is left. */
	for (m.count = 2; m.count < 9; m.count++)
		rig_event(g, m);
	m.channel = B("hall");
	rig_event(g, m);
	m.channel = B("room");
	rig_event(g, m);
	rig_acked(g);
	assert_int_equal(g->courier->targets.n, 3);
	rig_later(g, 2000);
	expect(s, COUNT("room", 1) "," COUNT("room", 1) "," COUNT("hall", 9)
	    "," COUNT("room", 9));
	end();
}

static void
rubbish_is_passed_over(void **state)
{
	(void)state;
	begin("", NULL);
	rig_state(g, "\xff\xfe", "", true);
	rig_state(g, "", "", true);
	rig_state(g, "presence-x", "\xff", true);
	rig_client(g, "room", "{\"a\":");
	rig_client(g, "\xc3", "1");
	rig_event(g, (struct msg_hook_event){ .kind = 77 });
	rig_client(g, "room", "1");
	expect(s, CLIENT("room", "1"));
	assert_false(g->router_gone);
	end();
}

static void
a_link_must_begin_with_hosts(void **state)
{
	(void)state;
	begin("", NULL);
	rig_unlink(g);
	rig_link_bare(g);
	g->router_gone = false;
	rig_state(g, "room", "", true);
	rig_until(g, g->router_gone);
	end();
}

/* ---- hosts --------------------------------------------------------------------- */

static const uint64_t two[] = { 1, 2 };
static const uint64_t three[] = { 1, 2, 3 };

/* Channels that this node says, of many. */
static unsigned
said_by(uint64_t own, const uint64_t *nodes, uint32_t n)
{
	char name[20];

	begin("events = channel_occupied\nmax_batch = 1000\n", NULL);
	rig_hosts(g, own, 0, nodes, n);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "room-%d", i);
		rig_state(g, name, "", true);
	}
	rig_acked(g);
	return (unsigned)counter.hooks_taken;
}

static void
each_state_is_said_by_one_host(void **state)
{
	unsigned n = 0, before;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		before = (unsigned)counter.hooks_taken;
		before = said_by(three[i], three, 3) - before;
		assert_in_range(before, 60, 140);
		n += before;
		end();
	}
	assert_int_equal(n, 300);
}

static void
client_events_are_said_where_they_happen(void **state)
{
	uint64_t before = counter.hooks_taken;

	(void)state;
	begin("events = client_event, connection_opened\nmax_batch = 1000\n",
	    NULL);
	rig_hosts(g, 2, 0, three, 3);
	for (int i = 0; i < 20; i++) {
		char name[20];

		snprintf(name, sizeof(name), "room-%d", i);
		rig_client(g, name, "1");
		rig_event(g, (struct msg_hook_event){ .kind = HOOK_OPENED });
	}
	rig_acked(g);
	assert_int_equal(counter.hooks_taken - before, 40);
	end();
}

/* One of two hosts is lost so many ms after all was said: what the other has said
 * then, and before. */
static uint64_t
said_with_one_lost(uint64_t ms, unsigned *before_that)
{
	uint64_t begun = counter.hooks_taken, n;

	(void)said_by(1, two, 2);
	rig_later(g, ms);
	*before_that = (unsigned)(counter.hooks_taken - begun);
	rig_hosts(g, 1, 2, three, 1);
	rig_state(g, "last", "", true);
	rig_acked(g);
	n = counter.hooks_taken - begun;
	end();
	return n;
}

static void
a_lost_host_is_stood_in_for(void **state)
{
	unsigned ours, all = 300;
	uint64_t before = counter.hooks_taken;

	(void)state;
	ours = said_by(1, two, 2) - (unsigned)before;
	assert_in_range(ours, 100, 200);
	rig_hosts(g, 1, 2, three, 1);
	rig_state(g, "last", "", true);
	rig_acked(g);
	assert_int_equal(counter.hooks_taken - before, all + 1);
	/* Once only, and not what it said long ago. */
	rig_hosts(g, 1, 2, three, 1);
	rig_state(g, "very last", "", true);
	rig_acked(g);
	assert_int_equal(counter.hooks_taken - before, all + 2);
	end();
	/* It takes host_timeout, 5 s, to find out that it fell silent. */
	assert_int_equal(said_with_one_lost(14000, &ours), all + 1);
	assert_int_equal(said_with_one_lost(16000, &ours), ours + 1);
}

/* ---- routers and settings -------------------------------------------------------- */

static void
a_new_router_changes_nothing(void **state)
{
	uint64_t self = 1;

	(void)state;
	begin("events = channel_occupied, channel_vacated\n", NULL);
	rig_state(g, "a", "", true);
	rig_state(g, "b", "", true);
	rig_acked(g);
	rig_unlink(g);
	rig_idle(g);
	/* Without a router nothing that is held is said. */
	rig_later(g, 2 * HOLD);
	g->epoch++;
	rig_link_bare(g);
	rig_hosts(g, 1, 0, &self, 1);
	rig_roll(g, true);
	rig_state(g, "b", "", true);
	rig_state(g, "c", "", true);
	rig_acked(g);
	rig_later(g, 2 * HOLD);
	expect(s, OCCUPIED("a") "," OCCUPIED("b") "," OCCUPIED("c"));
	rig_roll(g, false);
	rig_acked(g);
	rig_later(g, HOLD);
	expect(s, OCCUPIED("a") "," OCCUPIED("b") "," OCCUPIED("c") ","
	    VACATED("a"));
	end();
}

/* The next link is read when the one before is at its end. */
static void
links_are_read_in_order(void **state)
{
	struct ipc *old;
	uint64_t self = 1;

	(void)state;
	begin("events = client_event\n", NULL);
	old = g->router;
	g->router = NULL;
	rig_link_bare(g);
	rig_hosts(g, 1, 0, &self, 1);
	rig_client(g, "room", "2");
	rig_idle(g);
	assert_int_equal(s->n, 0);
	msg_pack_hook_event(ipc_out(old), &(struct msg_hook_event){
	    .serial = g->serial, .kind = HOOK_CLIENT, .app = B("1001"),
	    .channel = B("room"), .event = B("\"client-x\""),
	    .data = B("1"), .socket_a = 12, .socket_b = 34 });
	ipc_flush(old);
	rig_until(g, s->n == 1);
	ipc_free(old);
	g->epoch = 2;
	rig_unlink(g);
	rig_link(g);
	rig_client(g, "room", "3");
	rig_until(g, s->n == 2);
	end();
}

static void
an_empty_journal_takes_the_first_roll_silently(void **state)
{
	uint64_t self = 1;

	(void)state;
	g = rig_new("");
	s = server_new(g->base);
	other = server_new(g->base);
	settings("events = channel_occupied, channel_vacated\n", NULL);
	rig_link_bare(g);
	rig_hosts(g, 1, 0, &self, 1);
	rig_roll(g, true);
	rig_state(g, "a", "", true);
	rig_state(g, "b", "", true);
	rig_roll(g, false);
	rig_state(g, "c", "", true);
	rig_state(g, "a", "", false);
	rig_acked(g);
	rig_later(g, HOLD);
	expect(s, OCCUPIED("c") "," VACATED("a"));
	end();
}

static void
settings_change_while_it_runs(void **state)
{
	(void)state;
	begin("events = channel_occupied, channel_vacated\n", NULL);
	rig_state(g, "a", "", true);
	expect(s, OCCUPIED("a"));
	/* A second target; members are wanted now, and those that a roll
	 * tells of are no news. */
	settings("events = channel_occupied\n", "events = member_added, "
	    "channel_vacated\n");
	rig_roll(g, true);
	rig_state(g, "a", "", true);
	rig_state(g, "presence-p", "u1", true);
	rig_roll(g, false);
	rig_state(g, "presence-p", "u2", true);
	rig_state(g, "a", "", false);
	rig_acked(g);
	rig_later(g, HOLD);
	expect(s, OCCUPIED("a"));
	expect(other, ADDED("presence-p", "u2") "," VACATED("a"));
	end();
}

static void
a_target_that_goes_drops_what_waits(void **state)
{
	uint64_t dropped = counter.hooks_dropped;

	(void)state;
	begin("", "");
	other->always = ANSWER_STALL;
	rig_client(g, "room", "1");
	rig_until(g, other->n == 1 && s->n == 1);
	rig_client(g, "room", "2");
	rig_acked(g);
	rig_until(g, g->courier->targets.n == 2);
	settings("", NULL);
	rig_until(g, g->courier->targets.n == 0);
	assert_int_equal(counter.hooks_dropped - dropped, 2);
	rig_client(g, "room", "3");
	expect(s, CLIENT("room", "1") "," CLIENT("room", "2") ","
	    CLIENT("room", "3"));
	assert_int_equal(other->n, 1);
	/* There again, it begins empty. */
	other->always = 0;
	settings("", "");
	rig_client(g, "room", "4");
	rig_until(g, other->n == 2);
	assert_non_null(strstr(server_request(other, 1)->body, "\"4\""));
	end();
}

/* Neither now nor by the journal is what waits signed for another application. */
static void
a_section_that_changes_hands_drops_what_waits(void **state)
{
	uint64_t dropped = counter.hooks_dropped;
	char *text;

	(void)state;
	for (int killed = 0; killed < 2; killed++) {
		begin("", NULL);
		s->always = ANSWER_STALL;
		rig_client(g, "room", "1");
		rig_until(g, s->n == 1);
		rig_client(g, "room", "2");
		rig_acked(g);
		s->always = 0;
		text = xasprintf("%s[webhook a]\napp = second\n"
		    "url = http://127.0.0.1:%u/\n", SECOND, s->port);
		if (killed) {
			rig_kill(g);
			rig_settings_next(g, text);
			rig_start(g);
			rig_link(g);
		} else
			rig_settings(g, text);
		free(text);
		rig_until(g, g->courier->targets.n == 0);
		assert_int_equal(counter.hooks_dropped - dropped,
		    2 * (killed + 1));
		rig_state_of(g, "2002", "hall", "", true);
		rig_until(g, s->n == 2);
		assert_string_equal(request_header(server_request(s, 1),
		    "X-Pusher-Key"), "key-2");
		assert_non_null(strstr(server_request(s, 1)->body, "hall"));
		assert_null(strstr(server_request(s, 1)->body, "room"));
		end();
	}
}

/* ---- the end ---------------------------------------------------------------------- */

static void
a_reload_loses_nothing(void **state)
{
	(void)state;
	begin("events = client_event\n", NULL);
	s->always = 500;
	rig_client(g, "room", "1");
	rig_until(g, s->n == 1);
	rig_client(g, "room", "2");
	rig_acked(g);
	rig_stop(g, 0);
	s->always = 0;
	rig_start(g);
	rig_link(g);
	rig_client(g, "room", "3");
	expect(s, CLIENT("room", "1") "," CLIENT("room", "1") ","
	    CLIENT("room", "2") "," CLIENT("room", "3"));
	/* The same request once more. */
	assert_string_equal(server_request(s, 0)->body,
	    server_request(s, 1)->body);
	end();
}

static void
what_is_under_way_may_end(void **state)
{
	(void)state;
	begin("events = client_event\n", NULL);
	server_answer(s, ANSWER_STALL);
	rig_client(g, "room", "1");
	rig_until(g, s->n == 1);
	msg_pack_stop(ipc_out(g->master), &(struct msg_stop){ .grace_ms = 0 });
	rig_idle(g);
	assert_false(g->courier->done);
	rig_later(g, COURIER_END_MS);
	rig_until(g, g->courier->done);
	rig_kill(g);
	end();
}

/* Nobody else hears what a router said that is gone by now. */
static void
a_router_that_has_ended_is_read_to_its_end(void **state)
{
	(void)state;
	begin("events = client_event\n", NULL);
	rig_idle(g);
	msg_pack_stop(ipc_out(g->master), &(struct msg_stop){ .grace_ms = 0 });
	ipc_flush(g->master);
	for (int i = 0; i < 1000; i++)
		rig_client(g, "room", "1");
	ipc_flush(g->router);
	rig_unlink(g);
	rig_link_bare(g);
	rig_until(g, g->courier->done);
	rig_kill(g);
	rig_start(g);
	rig_link(g);
	rig_until(g, g->courier->targets.n == 0);
	assert_int_equal(s->n, 10);
	end();
}

static void
a_stop_of_the_service_delivers_what_it_can(void **state)
{
	(void)state;
	begin("events = client_event, channel_occupied, channel_vacated\n"
	    "batch_wait = 60\n", NULL);
	rig_state(g, "room", "", true);
	rig_client(g, "room", "1");
	rig_acked(g);
	msg_pack_stop(ipc_out(g->master),
	    &(struct msg_stop){ .grace_ms = 10000 });
	rig_idle(g);
	assert_false(g->courier->done);
	/* Routers go before. */
	rig_state(g, "room", "", false);
	rig_acked(g);
	rig_unlink(g);
	rig_until(g, g->courier->done);
	expect(s, OCCUPIED("room") "," CLIENT("room", "1") ","
	    VACATED("room"));
	end();
}

static void
a_dead_target_does_not_hold_a_stop(void **state)
{
	(void)state;
	begin("events = client_event\n", NULL);
	s->always = 500;
	rig_client(g, "room", "1");
	for (unsigned i = 1; i <= TARGET_OPEN_AFTER; i++) {
		rig_until(g, s->n == i);
		rig_idle(g);
		rig_later(g, TARGET_PAUSE_MAX);
	}
	rig_idle(g);
	rig_unlink(g);
	msg_pack_stop(ipc_out(g->master),
	    &(struct msg_stop){ .grace_ms = 3600000 });
	rig_until(g, g->courier->done);
	rig_kill(g);
	end();
}

static void
an_orphan_ends(void **state)
{
	(void)state;
	begin("", NULL);
	ipc_free(g->master);
	g->master = NULL;
	rig_until(g, g->courier->done);
	courier_free(g->courier);
	g->courier = NULL;
	rig_unlink(g);
	end();
}

/* ---- much --------------------------------------------------------------------------- */

static void
many_channels(void **state)
{
	const char *brief = getenv("PEAL_TEST_BRIEF");
	unsigned n = brief != NULL ? 5000 : 100000, heard = 0;
	char name[40];
	size_t i;
	const char *p;

	(void)state;
	begin("max_batch = 10000\nevents = channel_occupied\n", NULL);
	for (unsigned k = 0; k < n; k++) {
		snprintf(name, sizeof(name), "private-channel-number-%u", k);
		rig_state(g, name, "", true);
		if (k % 1000 == 0)
			rig_turn(g);
	}
	rig_acked(g);
	rig_until(g, g->courier->targets.n == 0);
	for (i = 0; i < s->n; i++)
		for (p = s->requests[i].body; (p = strstr(p, "occupied"));
		    p++)
			heard++;
	assert_int_equal(heard, n);
	rig_kill(g);
	/* The next one knows them all. */
	rig_start(g);
	assert_int_equal(g->courier->said.all.count, n);
	assert_int_equal(g->courier->targets.n, 0);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_as_pusher_sends_it),
		cmocka_unit_test(another_secret_signs),
		cmocka_unit_test(every_event_is_sent),
		cmocka_unit_test(targets_have_what_they_want),
		cmocka_unit_test(applications_are_apart),
		cmocka_unit_test(who_comes_back_is_not_heard),
		cmocka_unit_test(hold_back_may_be_none),
		cmocka_unit_test(a_miss_is_not_repeated),
		cmocka_unit_test(of_counts_the_newest_is_sent),
		cmocka_unit_test(rubbish_is_passed_over),
		cmocka_unit_test(a_link_must_begin_with_hosts),
		cmocka_unit_test(each_state_is_said_by_one_host),
		cmocka_unit_test(client_events_are_said_where_they_happen),
		cmocka_unit_test(a_lost_host_is_stood_in_for),
		cmocka_unit_test(a_new_router_changes_nothing),
		cmocka_unit_test(links_are_read_in_order),
		cmocka_unit_test(an_empty_journal_takes_the_first_roll_silently),
		cmocka_unit_test(settings_change_while_it_runs),
		cmocka_unit_test(a_target_that_goes_drops_what_waits),
		cmocka_unit_test(a_section_that_changes_hands_drops_what_waits),
		cmocka_unit_test(a_reload_loses_nothing),
		cmocka_unit_test(what_is_under_way_may_end),
		cmocka_unit_test(a_router_that_has_ended_is_read_to_its_end),
		cmocka_unit_test(a_stop_of_the_service_delivers_what_it_can),
		cmocka_unit_test(a_dead_target_does_not_hold_a_stop),
		cmocka_unit_test(an_orphan_ends),
		cmocka_unit_test(many_channels),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
