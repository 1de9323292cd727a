/* SPDX-License-Identifier: MIT
 *
 * Tests the Redis driver against a broker that the test plays: what a real one
 * does rarely, late or never.
 */
#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/counters.h"
#include "common/log.h"

static struct play play;
static struct rig *g;
static int pub, sub;

/* What is no matter of time has a lot of it: valgrind is slow. */
static void
begin(const char *ini)
{
	char *text;

	play_open(&play);
	text = xasprintf("port = %u\n%s%s", play.port,
	    strstr(ini, "timeout") == NULL ? "timeout = 1m\n" : "", ini);
	play.rig = g = rig_new(text);
	free(text);
	rig_start(g);
}

/* Signed in and up. */
static void
begin_up(const char *ini)
{
	begin(ini);
	play_node(&play, &pub, &sub);
	SEES(g, "up");
}

static void
end(void)
{
	rig_free(g);
	play_close(&play);
}

/* "subscribe" and "unsubscribe" alike. */
static void
say_sub(const char *word, const char *name)
{
	char *text = xasprintf("*3\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n:1\r\n",
	    strlen(word), word, strlen(name), name);

	play_says(sub, text);
	free(text);
}

static void
join(const char *channel)
{
	char *name = xasprintf("peal:1:%s", channel);
	char *command = xasprintf("SUBSCRIBE|%s|", name);
	char *line = xasprintf("joined 1:%s", channel);

	rig_join(g, channel);
	HEARS(&play, sub, command);
	say_sub("subscribe", name);
	SEES(g, line);
	free(name);
	free(command);
	free(line);
}

/* ---- signing in ---------------------------------------------------------- */

static void
test_sign_in(void **state)
{
	int fd;

	(void)state;
	begin("username = bob\npassword = secret\ndatabase = 3\n");
	for (int i = 0; i < 2; i++) {
		fd = play_accept(&play);
		HEARS(&play, fd, "AUTH|bob|secret|");
		HEARS(&play, fd, "SELECT|3|");
		HEARS(&play, fd, i == 0 ? "CLIENT|SETNAME|peal-publish|" :
		    "CLIENT|SETNAME|peal-subscribe|");
		HEARS(&play, fd, "PING|");
		/* A name is a nicety. */
		play_says(fd, "+OK\r\n+OK\r\n-NOPERM no\r\n+PONG\r\n");
	}
	SEES(g, "up");
	end();
}

static void
sign_in_fails(const char *ini, const char *commands, const char *answers,
    const char *why)
{
	struct backplane_state s;
	char *want = xasprintf("*%s*", why);
	uint64_t failures = counter.backplane_failures;
	int fd;

	begin(ini);
	fd = play_accept(&play);
	if (commands != NULL)
		HEARS(&play, fd, commands);
	play_says(fd, answers);
	play_hears_end(&play, fd);
	UNTIL(g, counter.backplane_failures > failures);
	g->driver->state(g->self, &s);
	assert_false(s.up);
	if (strstr(s.why.p, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", s.why.p, why);
	/* It was never up, so it does not go down; and it tries again. */
	SEES_NONE(g);
	close(play_accept(&play));
	free(want);
	end();
}

static void
test_sign_in_refused(void **state)
{
	(void)state;
	sign_in_fails("password = wrong\n", "AUTH|wrong|",
	    "-WRONGPASS invalid username-password pair\r\n+OK\r\n+PONG\r\n",
	    "sign-in refused: WRONGPASS");
	sign_in_fails("", NULL, "-NOAUTH Authentication required.\r\n"
	    "-NOAUTH Authentication required.\r\n", "NOAUTH");
	sign_in_fails("database = 99\n", "SELECT|99|",
	    "-ERR DB index is out of range\r\n+OK\r\n+PONG\r\n",
	    "database refused: ERR DB index");
	sign_in_fails("", NULL, "+OK\r\n-LOADING Redis is loading\r\n",
	    "LOADING");
	sign_in_fails("", NULL, "HTTP/1.1 400 Bad Request\r\n\r\n", "RESP2");
	sign_in_fails("", NULL, "*100000000\r\n", "RESP2");
	sign_in_fails("", NULL, "$1000000000\r\n", "RESP2");
	sign_in_fails("", NULL, "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
	    "RESP2");
}

/* Who says nothing is left. */
static void
test_silent(void **state)
{
	struct backplane_state s;
	int first, second;

	(void)state;
	begin("timeout = 200ms\n");
	first = play_accept(&play);
	second = play_accept(&play);
	play_hears_end(&play, first);
	play_hears_end(&play, second);
	g->driver->state(g->self, &s);
	assert_non_null(strstr(s.why.p, "in time"));
	end();
}

/* Up, then nothing more is answered, not even PING. */
static void
test_half_open(void **state)
{
	(void)state;
	begin_up("timeout = 300ms\n");
	rig_join(g, "news");
	HEARS(&play, sub, "SUBSCRIBE|peal:1:news|");
	say_sub("subscribe", "peal:1:news");
	SKIPS_TO(g, "joined 1:news");
	HEARS(&play, sub, "PING|");
	SKIPS_TO(g, "down *it has not answered for 300 ms");
	end();
}

/* A PONG comes as an array once something is subscribed. */
static void
test_ping(void **state)
{
	struct backplane_state s;

	(void)state;
	begin_up("timeout = 300ms\n");
	join("news");
	for (int i = 0; i < 6; i++) {
		HEARS(&play, sub, "PING|");
		play_says(sub, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
		HEARS(&play, pub, "PING|");
		play_says(pub, "+PONG\r\n");
	}
	rig_turn(g, 0);
	SEES_NONE(g);
	g->driver->state(g->self, &s);
	assert_true(s.up);
	assert_true(s.lag_us > 0);
	end();
}

/* We were not run for long; the answer lies there. */
static void
test_frozen_ourselves(void **state)
{
	(void)state;
	begin_up("timeout = 400ms\n");
	HEARS(&play, pub, "PING|");
	HEARS(&play, sub, "PING|");
	play_says(pub, "+PONG\r\n");
	play_says(sub, "+PONG\r\n");
	rig_later(60000);
	for (int i = 0; i < 3; i++)
		rig_turn(g, 0);
	SEES_NONE(g);
	end();
}

/* ---- what comes ---------------------------------------------------------- */

static void
test_slowly(void **state)
{
	static const char text[] =
	    "*3\r\n$7\r\nmessage\r\n$11\r\npeal:1:news\r\n$2\r\n\r\n\r\n";

	(void)state;
	begin_up("");
	join("news");
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		play_says_bytes(sub, bytes_of(text + i, 1));
		rig_turn(g, 0);
		if (i < sizeof(text) - 2)
			SEES_NONE(g);
	}
	SEES(g, "message 1:news \r\n");
	end();
}

/* A message that is too long costs nothing but itself. */
static void
test_oversize(void **state)
{
	struct buf text = { 0 };
	uint64_t oversize = counter.backplane_oversize;
	size_t n = 65536 + 80000;

	(void)state;
	begin_up("max_message = 65536\n");
	join("news");
	buf_fmt(&text, "*3\r\n$7\r\nmessage\r\n$11\r\npeal:1:news\r\n$%zu\r\n",
	    n);
	memset(buf_room(&text, n), 'x', n);
	text.n += n;
	buf_str(&text, "\r\n*3\r\n$7\r\nmessage\r\n$11\r\npeal:1:news\r\n"
	    "$5\r\nshort\r\n");
	for (size_t at = 0; at < text.n; at += 10000) {
		play_says_bytes(sub, bytes_of(text.p + at,
		    text.n - at < 10000 ? text.n - at : 10000));
		rig_turn(g, 0);
	}
	SEES(g, "message 1:news short");
	assert_int_equal(counter.backplane_oversize, oversize + 1);
	/* Within the slack of the reader, but over the limit. */
	buf_clear(&text);
	buf_fmt(&text, "*3\r\n$7\r\nmessage\r\n$11\r\npeal:1:news\r\n$%u\r\n",
	    65537);
	memset(buf_room(&text, 65537), 'x', 65537);
	text.n += 65537;
	buf_str(&text, "\r\n");
	play_says_bytes(sub, buf_view(&text));
	UNTIL(g, counter.backplane_oversize == oversize + 2);
	SEES_NONE(g);
	buf_done(&text);
	end();
}

/* A bad octet at any time ends the link, and another one is made. */
static void
test_garbage(void **state)
{
	(void)state;
	begin_up("");
	join("news");
	play_says(sub, "!not redis\r\n");
	SEES(g, "gap 1:news");
	SEES(g, "down *RESP2*");
	close(sub);
	sub = play_sign_in(&play, &(bool){ false });
	HEARS(&play, sub, "SUBSCRIBE|peal:1:news|");
	SEES_NONE(g);
	say_sub("subscribe", "peal:1:news");
	SEES(g, "joined 1:news");
	SEES(g, "up");
	play_says(pub, ":1\r\n");	/* an answer to nothing */
	SEES(g, "down *an answer to nothing");
	end();
}

/* ---- joins and leaves ----------------------------------------------------- */

static void
test_batches(void **state)
{
	static const size_t sizes[] = { 512, 512, 176 };
	char name[32], *command;
	size_t n, next = 0;

	(void)state;
	begin_up("");
	for (int i = 0; i < 1200; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		rig_join(g, name);
	}
	for (size_t i = 0; i < NELEM(sizes); i++) {
		command = play_hears_any(&play, sub, __FILE__, __LINE__);
		n = 0;
		for (char *c = command; *c != '\0'; c++)
			n += *c == '|';
		assert_int_equal(n, sizes[i] + 1);
	}
	/* In any order. */
	for (int i = 1199; i >= 0; i--) {
		snprintf(name, sizeof(name), "peal:1:c%d", i);
		say_sub("subscribe", name);
		rig_turn(g, 0);
	}
	UNTIL(g, g->n_lines == 1200);
	for (int i = 1199; i >= 0; i--, next++) {
		snprintf(name, sizeof(name), "joined 1:c%d", i);
		assert_string_equal(g->lines[next], name);
	}
	end();
}

static void
test_races(void **state)
{
	(void)state;
	begin_up("");
	/* Left before the answer: nothing is told, and it is given back. */
	rig_join(g, "a");
	HEARS(&play, sub, "SUBSCRIBE|peal:1:a|");
	rig_leave(g, "a");
	rig_turn(g, 0);
	say_sub("subscribe", "peal:1:a");
	HEARS(&play, sub, "UNSUBSCRIBE|peal:1:a|");
	SEES_NONE(g);
	/* Wanted again before the answer to that. */
	rig_join(g, "a");
	rig_turn(g, 0);
	SEES_NONE(g);
	say_sub("unsubscribe", "peal:1:a");
	HEARS(&play, sub, "SUBSCRIBE|peal:1:a|");
	SEES_NONE(g);
	say_sub("subscribe", "peal:1:a");
	SEES(g, "joined 1:a");
	/* Left and wanted within a turn: nothing is said to the broker. */
	rig_leave(g, "a");
	rig_join(g, "a");
	SEES(g, "joined 1:a");
	rig_join(g, "b");
	HEARS(&play, sub, "SUBSCRIBE|peal:1:b|");
	/* There and back and there again before any answer. */
	rig_leave(g, "b");
	rig_turn(g, 0);
	rig_join(g, "b");
	rig_turn(g, 0);
	say_sub("subscribe", "peal:1:b");
	SEES(g, "joined 1:b");
	/* What nobody listens to any more is not told. */
	rig_leave(g, "b");
	play_says(sub, "*3\r\n$7\r\nmessage\r\n$8\r\npeal:1:b\r\n$1\r\nx\r\n");
	HEARS(&play, sub, "UNSUBSCRIBE|peal:1:b|");
	rig_turn(g, 0);
	SEES_NONE(g);
	say_sub("unsubscribe", "peal:1:b");
	say_sub("unsubscribe", "peal:1:never");
	join("c");
	end();
}

/* The broker ends a subscription unasked: it is asked for again. */
static void
test_unasked(void **state)
{
	(void)state;
	begin_up("");
	join("a");
	say_sub("unsubscribe", "peal:1:a");
	SEES(g, "gap 1:a");
	HEARS(&play, sub, "SUBSCRIBE|peal:1:a|");
	say_sub("subscribe", "peal:1:a");
	SEES(g, "joined 1:a");
	end();
}

/* One name that is not permitted does not keep the others out. */
static void
test_subscribe_refused(void **state)
{
	uint64_t errors = counter.backplane_errors;

	(void)state;
	begin_up("timeout = 1m\n");
	rig_join(g, "a");
	rig_join(g, "raw chat:1");
	HEARS(&play, sub, "SUBSCRIBE|peal:1:a|chat:1|");
	play_says(sub, "-NOPERM this user has no permissions\r\n");
	UNTIL(g, counter.backplane_errors == errors + 1);
	rig_later(1500);
	HEARS(&play, sub, "SUBSCRIBE|chat:1|");
	HEARS(&play, sub, "SUBSCRIBE|peal:1:a|");
	play_says(sub, "-NOPERM this user has no permissions\r\n");
	say_sub("subscribe", "peal:1:a");
	SEES(g, "joined 1:a");
	SEES_NONE(g);
	rig_later(5500);
	HEARS(&play, sub, "SUBSCRIBE|chat:1|");
	say_sub("subscribe", "chat:1");
	SEES(g, "joined 1:chat:1");
	end();
}

/* Two topics never have one name. */
static void
test_names(void **state)
{
	static const struct { struct bytes app, channel; const char *name; }
	t[] = {
		{ BYTES("a:b"), BYTES("c"), "SUBSCRIBE|peal:a%3Ab:c|" },
		{ BYTES("a"), BYTES("b:c"), "SUBSCRIBE|peal:a:b:c|" },
		{ BYTES("a%3Ab"), BYTES("c"), "SUBSCRIBE|peal:a%253Ab:c|" },
		{ BYTES("{x}"), BYTES("c"), "SUBSCRIBE|peal:%7Bx%7D:c|" },
		{ BYTES(""), BYTES("hosts"), "SUBSCRIBE|peal::hosts|" },
	};
	struct topic topic;

	(void)state;
	begin_up("");
	for (size_t i = 0; i < NELEM(t); i++) {
		topic = (struct topic){ .app = t[i].app,
		    .channel = t[i].channel, .lane = 1 };
		g->in_verb = true;
		g->driver->join(g->self, &topic, (struct position){ 0, 0 });
		g->in_verb = false;
		HEARS(&play, sub, t[i].name);
	}
	end();
}

/* ---- what goes ----------------------------------------------------------- */

/* What is not answered is sent again, before what is newer. */
static void
test_resend(void **state)
{
	(void)state;
	begin_up("");
	rig_publish(g, "a", "one", 1);
	rig_publish(g, "b", "two", 2);
	rig_publish(g, "a", "three", 3);
	HEARS(&play, pub, "PUBLISH|peal:1:a|one|");
	HEARS(&play, pub, "PUBLISH|peal:1:b|two|");
	HEARS(&play, pub, "PUBLISH|peal:1:a|three|");
	play_says(pub, ":0\r\n");
	SEES(g, "published 1");
	shutdown(pub, SHUT_RDWR);
	close(pub);
	SEES(g, "down *");
	rig_publish(g, "a", "four", 4);
	rig_store(g, "a", "five", 60000, 5);
	pub = play_sign_in(&play, &(bool){ false });
	SEES(g, "up");
	HEARS(&play, pub, "PUBLISH|peal:1:b|two|");
	HEARS(&play, pub, "PUBLISH|peal:1:a|three|");
	HEARS(&play, pub, "PUBLISH|peal:1:a|four|");
	HEARS(&play, pub, "MULTI|");
	HEARS(&play, pub, "SET|peal:1:a:last|five|PX|60000|");
	HEARS(&play, pub, "PUBLISH|peal:1:a|five|");
	HEARS(&play, pub, "EXEC|");
	HEARS(&play, pub, "SET|peal::probe:last|1|PX|1000|");
	play_says(pub, ":0\r\n:0\r\n:7\r\n");
	SEES(g, "published 2");
	SEES(g, "published 3");
	SEES(g, "published 4");
	/* Cut in the midst of an answer. */
	play_says(pub, "+OK\r\n+QUEUED\r\n");
	rig_turn(g, 0);
	close(pub);
	SEES(g, "down *");
	pub = play_sign_in(&play, &(bool){ false });
	SEES(g, "up");
	HEARS(&play, pub, "MULTI|");
	HEARS(&play, pub, "SET|peal:1:a:last|five|PX|60000|");
	HEARS(&play, pub, "PUBLISH|peal:1:a|five|");
	HEARS(&play, pub, "EXEC|");
	play_says(pub, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n");
	SEES(g, "published 5");
	end();
}

/* A server that was away: what waits goes when others had time to be back, too,
 * whose pauses may have grown as ours; what is listened to does not wait. */
static void
held_after(int failures, uint64_t ms)
{
	bool subscriber;
	uint64_t start = 0;
	int fd;

	begin_up("timeout = 1m\n");
	join("a");
	close(pub);
	close(sub);
	SKIPS_TO(g, "gap 1:a");
	rig_publish(g, "a", "one", 1);
	for (int i = 0; i < 2 * failures; i++)
		close(play_accept(&play));
	for (int i = 0; i < 2; i++) {
		fd = play_sign_in(&play, &subscriber);
		*(subscriber ? &sub : &pub) = fd;
		if (!subscriber)
			start = clock_ms();
	}
	HEARS(&play, sub, "SUBSCRIBE|peal:1:a|");
	say_sub("subscribe", "peal:1:a");
	SKIPS_TO(g, "up");
	HEARS(&play, pub, "PUBLISH|peal:1:a|one|");
	assert_true(clock_ms() - start >= ms);
	end();
}

static void
test_hold(void **state)
{
	(void)state;
	held_after(0, 500 + 50);
	/* 50, 100, 200, 400, 800 ms: the others may be in the next pause. */
	held_after(4, 500 + 800);
}

static void
test_fetch(void **state)
{
	(void)state;
	begin_up("");
	rig_fetch(g, "a", 1);
	rig_fetch(g, "b", 2);
	rig_fetch(g, "raw x", 3);
	HEARS(&play, pub, "GET|peal:1:a:last|");
	HEARS(&play, pub, "PTTL|peal:1:a:last|");
	play_says(pub, "$5\r\nhello\r\n:1500\r\n");
	SEES(g, "fetched 3: *");
	SEES(g, "fetched 1 hello ttl=some");
	HEARS(&play, pub, "GET|peal:1:b:last|");
	HEARS(&play, pub, "PTTL|peal:1:b:last|");
	play_says(pub, "$-1\r\n:-2\r\n");
	SEES(g, "fetched 2  ttl=0");
	rig_fetch(g, "c", 4);
	HEARS(&play, pub, "GET|peal:1:c:last|");
	HEARS(&play, pub, "PTTL|peal:1:c:last|");
	play_says(pub, "-WRONGTYPE not a string\r\n:-1\r\n");
	SEES(g, "fetched 4: WRONGTYPE*");
	/* A question does not wait for a broker that is away. */
	rig_fetch(g, "d", 5);
	HEARS(&play, pub, "GET|peal:1:d:last|");
	close(pub);
	SEES(g, "down *");
	SEES(g, "fetched 5: *");
	rig_fetch(g, "e", 6);
	SEES(g, "fetched 6: the broker cannot be reached");
	end();
}

/* What the broker refuses is told; what is a matter of the place makes the link
 * anew, and nothing is lost. */
static void
test_refused(void **state)
{
	uint64_t errors = counter.backplane_errors;

	(void)state;
	begin_up("");
	rig_publish(g, "a", "one", 1);
	HEARS(&play, pub, "PUBLISH|peal:1:a|one|");
	play_says(pub, "-NOPERM no permissions to access a channel\r\n");
	SEES(g, "published 1: NOPERM*");
	rig_publish(g, "a", "two", 2);
	HEARS(&play, pub, "PUBLISH|peal:1:a|two|");
	play_says(pub, "-LOADING Redis is loading the dataset\r\n");
	SEES(g, "down *LOADING*");
	play_hears_end(&play, pub);
	pub = play_sign_in(&play, &(bool){ false });
	SEES(g, "up");
	HEARS(&play, pub, "PUBLISH|peal:1:a|two|");
	play_says(pub, ":0\r\n");
	SEES(g, "published 2");
	assert_int_equal(counter.backplane_errors, errors + 2);
	end();
}

/* Without memory for the value the message still goes. */
static void
test_out_of_memory(void **state)
{
	(void)state;
	begin_up("");
	rig_store(g, "a", "one", 1000, 1);
	HEARS(&play, pub, "MULTI|");
	HEARS(&play, pub, "SET|peal:1:a:last|one|PX|1000|");
	HEARS(&play, pub, "PUBLISH|peal:1:a|one|");
	HEARS(&play, pub, "EXEC|");
	play_says(pub, "+OK\r\n-OOM command not allowed\r\n+QUEUED\r\n"
	    "-EXECABORT Transaction discarded\r\n");
	HEARS(&play, pub, "PUBLISH|peal:1:a|one|");
	rig_store(g, "a", "two", 1000, 2);
	HEARS(&play, pub, "PUBLISH|peal:1:a|two|");
	play_says(pub, ":0\r\n:0\r\n");
	SEES(g, "published 1");
	SEES(g, "published 2");
	/* It is tried now and then. */
	rig_later(10500);
	HEARS(&play, pub, "SET|peal::probe:last|1|PX|1000|");
	play_says(pub, "+OK\r\n");
	rig_publish(g, "a", "three", 3);
	HEARS(&play, pub, "PUBLISH|peal:1:a|three|");
	play_says(pub, ":0\r\n");
	SEES(g, "published 3");
	rig_store(g, "a", "four", 1000, 4);
	HEARS(&play, pub, "MULTI|");
	end();
}

/* ---- limits -------------------------------------------------------------- */

static void
test_backlog(void **state)
{
	uint64_t dropped = counter.backplane_dropped;
	struct backplane_state s;
	struct buf text = { 0 };
	bool subscriber;
	int fd;

	(void)state;
	begin("backlog = 65536\nmax_message = 65536\n");
	memset(buf_room(&text, 30000), 'x', 30000);
	text.n = 30000;
	rig_publish_bytes(g, "a", buf_view(&text), 1);
	rig_publish_bytes(g, "b", buf_view(&text), 2);
	SEES_NONE(g);
	rig_publish_bytes(g, "c", buf_view(&text), 3);
	SEES(g, "published 1: *full*");
	g->driver->state(g->self, &s);
	assert_int_equal(s.backlog, 2);
	assert_true(s.backlog_octets > 60000 && s.backlog_octets <= 65536);
	assert_int_equal(counter.backplane_dropped, dropped + 1);
	rig_publish(g, "d", "short", 4);
	for (int i = 0; i < 2; i++) {
		fd = play_sign_in(&play, &subscriber);
		if (!subscriber)
			pub = fd;
	}
	SEES(g, "up");
	play_says(pub, ":0\r\n:0\r\n:0\r\n");
	SEES(g, "published 2");
	SEES(g, "published 3");
	SEES(g, "published 4");
	g->driver->state(g->self, &s);
	assert_int_equal(s.backlog, 0);
	assert_int_equal(s.backlog_octets, 0);
	buf_done(&text);
	end();
}

static void
test_backlog_age(void **state)
{
	uint64_t expired = counter.backplane_expired;

	(void)state;
	begin("backlog_age = 10s\n");
	rig_publish(g, "a", "old", 1);
	rig_turn(g, 0);
	rig_later(6000);
	rig_publish(g, "a", "new", 2);
	rig_later(6000);
	SEES(g, "published 1: *too long*");
	assert_int_equal(counter.backplane_expired, expired + 1);
	SEES_NONE(g);
	end();
}

static void
test_long_message(void **state)
{
	uint64_t oversize = counter.backplane_oversize;
	struct buf text = { 0 };

	(void)state;
	begin_up("max_message = 65536\n");
	memset(buf_room(&text, 65537), 'x', 65537);
	text.n = 65537;
	rig_publish_bytes(g, "a", buf_view(&text), 1);
	SEES(g, "published 1: *max_message*");
	assert_int_equal(counter.backplane_oversize, oversize + 1);
	buf_done(&text);
	end();
}

/* Pauses grow, with jitter, and are forgotten by who was well for a while. */
static void
test_pauses(void **state)
{
	uint64_t failures = counter.backplane_failures, start, took;

	(void)state;
	begin("");
	start = clock_ms();
	for (int i = 0; i < 5; i++) {
		close(play_accept(&play));
		close(play_accept(&play));
	}
	took = clock_ms() - start;
	/* 25, 50, 100, 200 ms at least. */
	assert_true(took >= 375);
	assert_true(counter.backplane_failures >= failures + 8);
	end();
}

/* A name that cannot be looked up; later it can. */
static void
test_no_name(void **state)
{
	struct backplane_state s;
	char *text;

	(void)state;
	play_open(&play);
	text = xasprintf("host = localhost\nport = %u\n", play.port);
	play.rig = g = rig_new(text);
	free(text);
	g->no_names = true;
	rig_start(g);
	UNTIL(g, (g->driver->state(g->self, &s), s.why.n > 0));
	assert_non_null(strstr(s.why.p, "no such host"));
	g->no_names = false;
	play_node(&play, &pub, &sub);
	SEES(g, "up");
	g->driver->state(g->self, &s);
	assert_int_equal(s.why.n, 0);
	end();
}

/* Answers that nobody waits for. */
static void
test_stray_answers(void **state)
{
	struct msg_list none = { 0 };
	int fds[2];

	(void)state;
	begin_up("");
	assert_int_equal(pipe(fds), 0);
	g->in_verb = true;
	g->driver->resolved(g->self, 777, &none, "late");
	g->driver->resolved(g->self, 0, &none, "late");
	g->driver->connected(g->self, 777, fds[0]);
	g->in_verb = false;
	/* The descriptor was closed. */
	assert_int_equal(write(fds[1], "x", 1), -1);
	close(fds[1]);
	rig_turn(g, 0);
	SEES_NONE(g);
	end();
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sign_in),
		cmocka_unit_test(test_sign_in_refused),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_half_open),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_frozen_ourselves),
		cmocka_unit_test(test_slowly),
		cmocka_unit_test(test_oversize),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_races),
		cmocka_unit_test(test_unasked),
		cmocka_unit_test(test_subscribe_refused),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_resend),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_backlog_age),
		cmocka_unit_test(test_long_message),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_no_name),
		cmocka_unit_test(test_stray_answers),
	};

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
