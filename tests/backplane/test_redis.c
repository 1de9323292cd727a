/* SPDX-License-Identifier: MIT
 *
 * Tests the Redis driver with real redis-server processes.
 */
#include "rig.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "broker.h"
#include "common/counters.h"
#include "common/log.h"

static struct broker broker;

/* A host; more: settings behind host and port. */
static struct rig *
host(const char *more)
{
	char *text = xasprintf("port = %u\n%s", broker.port, more);
	struct rig *g = rig_new(text);

	free(text);
	rig_start(g);
	return g;
}

static struct rig *
host_up(const char *more)
{
	struct rig *g = host(more);

	SEES(g, "up");
	return g;
}

static int
end(void **state)
{
	(void)state;
	broker_done(&broker);
	return 0;
}

/* ---- all is well --------------------------------------------------------- */

static void
test_two_hosts(void **state)
{
	struct backplane_state s;
	struct rig *a, *b;
	char *text;

	(void)state;
	broker_start(&broker, "");
	a = host_up("");
	b = host_up("host = localhost\n");
	rig_join(a, "news");
	rig_join(b, "news");
	SEES(a, "joined 1:news");
	SEES(b, "joined 1:news");
	rig_publish(a, "news", "one", 1);
	SEES(b, "message 1:news one");
	SKIPS_TO(a, "message 1:news one");
	rig_leave(a, "news");
	rig_join(a, "other");
	SKIPS_TO(a, "joined 1:other");
	rig_publish(b, "news", "two", 2);
	SKIPS_TO(b, "message 1:news two");
	rig_publish(b, "other", "three", 3);
	SEES(a, "message 1:other three");
	a->driver->state(a->self, &s);
	assert_true(s.up);
	assert_int_equal(s.topics, 1);
	text = xasprintf("redis://127.0.0.1:%u", broker.port);
	assert_true(bytes_eq(s.broker, bytes_str(text)));
	free(text);
	/* The broker has nothing left of what was left. */
	assert_non_null(strstr(broker_says(&broker,
	    "PUBSUB NUMSUB peal:1:news peal:1:other"),
	    "peal:1:news\r\n:1\r\n$12\r\npeal:1:other\r\n:1\r\n"));
	rig_free(a);
	rig_free(b);
}

/* Any octets, and many. */
static void
test_octets(void **state)
{
	struct rig *a;
	struct buf text = { 0 };

	(void)state;
	broker_start(&broker, "");
	a = host_up("");
	rig_join(a, "\r\n$ \xff");
	SEES(a, "joined 1:\r\n$ \xff");
	rig_publish_bytes(a, "\r\n$ \xff", bytes_of("\0\r\n", 3), 1);
	SKIPS_TO(a, "message 1:*");
	rig_publish(a, "\r\n$ \xff", "", 2);
	SKIPS_TO(a, "message 1:\r\n$ \xff ");
	memset(buf_room(&text, 10 << 20), 'x', 10 << 20);
	text.n = 10 << 20;
	rig_publish_bytes(a, "\r\n$ \xff", buf_view(&text), 3);
	SKIPS_TO(a, "message 1:* 10485760 octets");
	buf_done(&text);
	rig_free(a);
}

static void
test_raw(void **state)
{
	struct rig *a;

	(void)state;
	broker_start(&broker, "");
	a = host_up("");
	rig_join(a, "raw chat:7");
	SEES(a, "joined 1:chat:7");
	broker_says(&broker, "PUBLISH chat:7 hello");
	SEES(a, "message 1:chat:7 hello");
	rig_free(a);
}

static void
test_store(void **state)
{
	struct rig *a, *b;

	(void)state;
	broker_start(&broker, "");
	a = host_up("database = 2\n");
	b = host_up("database = 2\n");
	rig_join(b, "cache");
	SEES(b, "joined 1:cache");
	rig_store(a, "cache", "kept", 60000, 1);
	SEES(b, "message 1:cache kept");
	SEES(a, "published 1");
	rig_fetch(b, "cache", 2);
	SEES(b, "fetched 2 kept ttl=some");
	rig_fetch(b, "nothing", 3);
	SEES(b, "fetched 3  ttl=0");
	/* A short life. */
	rig_store(a, "brief", "gone", 30, 4);
	SEES(a, "published 4");
	poll(NULL, 0, 50);
	rig_fetch(a, "brief", 5);
	SEES(a, "fetched 5  ttl=0");
	broker_says(&broker, "FLUSHALL");
	rig_fetch(b, "cache", 6);
	SEES(b, "fetched 6  ttl=0");
	rig_free(a);
	rig_free(b);
}

static void
test_unix_socket(void **state)
{
	struct backplane_state s;
	struct rig *a;
	char *text;

	(void)state;
	broker_start(&broker, "");
	text = xasprintf("host = %s\n", broker.path);
	a = rig_new(text);
	free(text);
	rig_start(a);
	SEES(a, "up");
	rig_join(a, "news");
	SEES(a, "joined 1:news");
	broker_kill(&broker);
	SKIPS_TO(a, "gap 1:news");
	broker_again(&broker);
	SKIPS_TO(a, "up");
	a->driver->state(a->self, &s);
	assert_non_null(strstr(s.broker.p, broker.path));
	rig_free(a);
}

/* ---- users --------------------------------------------------------------- */

static const char users[] =
    "user default off\n"
    "user peal on >secret ~peal:* &peal:* +@pubsub +@connection +@transaction "
    "+set +get +pttl\n"
    "user deaf on >secret ~* &none:* +@all\n"
    "user mute on >secret &peal:* +subscribe +unsubscribe +publish\n";

static void
test_users(void **state)
{
	struct backplane_state s;
	struct rig *g;

	(void)state;
	broker_start(&broker, users);
	g = host_up("username = peal\npassword = secret\n");
	rig_join(g, "news");
	SEES(g, "joined 1:news");
	rig_store(g, "news", "text", 10000, 1);
	SKIPS_TO(g, "message 1:news text");
	rig_fetch(g, "news", 2);
	SKIPS_TO(g, "fetched 2 text *");
	rig_free(g);

	g = host("username = peal\npassword = wrong\n");
	UNTIL(g, (g->driver->state(g->self, &s), s.why.n > 0));
	assert_non_null(strstr(s.why.p, "sign-in refused: WRONGPASS"));
	assert_null(strstr(s.why.p, "wrong\n"));
	SEES_NONE(g);
	rig_free(g);

	g = host("");
	UNTIL(g, (g->driver->state(g->self, &s), s.why.n > 0));
	assert_non_null(strstr(s.why.p, "NOAUTH"));
	rig_free(g);

	g = host_up("username = deaf\npassword = secret\n");
	rig_join(g, "news");
	rig_publish(g, "news", "text", 3);
	SEES(g, "published 3: NOPERM*");
	SEES_NONE(g);
	rig_free(g);
}

/* One who may neither PING nor keep anything can still pass messages on. */
static void
test_least_rights(void **state)
{
	struct rig *g;

	(void)state;
	broker_start(&broker, users);
	g = host_up("username = mute\npassword = secret\ntimeout = 300ms\n");
	rig_join(g, "news");
	SEES(g, "joined 1:news");
	g->quiet = true;
	rig_store(g, "news", "text", 10000, 1);
	UNTIL(g, g->received == 1);
	/* No PING is sent, so none is missed. */
	for (int i = 0; i < 5; i++)
		rig_turn(g, 100);
	SEES_NONE(g);
	assert_int_equal(g->received, 1);
	rig_free(g);
}

/* Full: messages pass, values are not kept, and are again when there is room. */
static void
test_full(void **state)
{
	struct rig *g;

	(void)state;
	broker_start(&broker, "maxmemory-policy noeviction\n");
	g = host_up("");
	rig_join(g, "news");
	SEES(g, "joined 1:news");
	rig_store(g, "news", "one", 60000, 1);
	SKIPS_TO(g, "message 1:news one");
	broker_says(&broker, "CONFIG SET maxmemory 1");
	for (uint64_t i = 2; i < 6; i++) {
		char *text = xasprintf("message 1:news %d", (int)i);

		rig_store(g, "news", text + 15, 60000, i);
		SKIPS_TO(g, text);
		free(text);
	}
	broker_says(&broker, "CONFIG SET maxmemory 0");
	rig_later(11000);
	UNTIL(g, (rig_turn(g, 100), rig_store(g, "news", "last", 60000, 9),
	    strstr(broker_says(&broker, "GET peal:1:news:last"), "last") !=
	    NULL));
	rig_free(g);
}

/* ---- failures ------------------------------------------------------------- */

static void
test_killed(void **state)
{
	struct rig *a;

	(void)state;
	broker_start(&broker, "");
	a = host_up("");
	rig_join(a, "a");
	rig_join(a, "b");
	SEES(a, "joined 1:a");
	SEES(a, "joined 1:b");
	broker_kill(&broker);
	SKIPS_TO(a, "down *");
	rig_publish(a, "a", "while away", 1);
	rig_join(a, "c");
	rig_leave(a, "b");
	UNTIL(a, counter.backplane_failures > 4);
	broker_again(&broker);
	SKIPS_TO(a, "joined 1:a");
	SEES(a, "joined 1:c");
	SEES(a, "up");
	rig_publish(a, "a", "again", 2);
	SKIPS_TO(a, "message 1:a again");
	rig_free(a);
}

/* What was published while a host could not reach the broker goes first. */
static void
test_backlog_arrives(void **state)
{
	struct rig *a, *b;
	char text[32];

	(void)state;
	broker_start(&broker, "");
	a = host_up("");
	b = host_up("");
	rig_join(b, "news");
	SEES(b, "joined 1:news");
	broker_says(&broker, "CLIENT KILL TYPE normal");
	SKIPS_TO(a, "down *");
	for (uint64_t i = 1; i <= 100; i++) {
		snprintf(text, sizeof(text), "%d", (int)i);
		rig_publish(a, "news", text, i);
	}
	SKIPS_TO(a, "up");
	for (int i = 1; i <= 100; i++) {
		snprintf(text, sizeof(text), "message 1:news %d", i);
		SKIPS_TO(b, text);
	}
	rig_free(a);
	rig_free(b);
}

static void
test_paused(void **state)
{
	struct rig *a;

	(void)state;
	broker_start(&broker, "");
	a = host_up("timeout = 500ms\n");
	rig_join(a, "news");
	SEES(a, "joined 1:news");
	broker_signal(&broker, SIGSTOP);
	rig_publish(a, "news", "one", 1);
	SKIPS_TO(a, "gap 1:news");
	broker_signal(&broker, SIGCONT);
	SKIPS_TO(a, "up");
	rig_publish(a, "news", "two", 2);
	SKIPS_TO(a, "message 1:news two");
	rig_free(a);
}

/* Somebody on the broker throws us out, one connection at a time. */
static void
test_thrown_out(void **state)
{
	struct rig *a;

	(void)state;
	broker_start(&broker, "");
	a = host_up("");
	rig_join(a, "news");
	SEES(a, "joined 1:news");
	broker_says(&broker, "CLIENT KILL TYPE pubsub");
	SEES(a, "gap 1:news");
	SEES(a, "down *it closed the connection");
	SEES(a, "joined 1:news");
	SEES(a, "up");
	broker_says(&broker, "CLIENT KILL TYPE normal");
	SEES(a, "down *it closed the connection");
	SEES(a, "up");
	rig_free(a);
}

/* Said once more: has it come? */
static bool
comes_through(struct rig *from, struct rig *to)
{
	rig_publish(from, "news", "short", 99);
	SKIPS_TO(from, "published 99");
	rig_turn(to, 20);
	for (size_t i = 0; i < to->n_lines; i++)
		if (strcmp(to->lines[i], "message 1:news short") == 0)
			return true;
	return false;
}

/* A subscriber that does not read is cut off, perhaps more than once, and comes
 * back. */
static void
test_output_limit(void **state)
{
	struct rig *a, *b;
	struct buf text = { 0 };

	(void)state;
	broker_start(&broker,
	    "client-output-buffer-limit pubsub 256k 128k 1\n");
	a = host_up("");
	b = host_up("");
	rig_join(a, "news");
	SEES(a, "joined 1:news");
	memset(buf_room(&text, 1 << 20), 'x', 1 << 20);
	text.n = 1 << 20;
	for (uint64_t i = 0; i < 16; i++)
		rig_publish_bytes(b, "news", buf_view(&text), i);
	for (int i = 0; i < 16; i++)
		SKIPS_TO(b, "published *");
	SKIPS_TO(a, "gap 1:news");
	SKIPS_TO(a, "joined 1:news");
	SKIPS_TO(a, "up");
	UNTIL(a, comes_through(b, a));
	buf_done(&text);
	rig_free(a);
	rig_free(b);
}

/* ---- TLS ----------------------------------------------------------------- */

static void
tls_broker(const char *certificate, bool client)
{
	char *text;

	broker_certify(&broker);
	text = xasprintf("tls-port 0\n"
	    "tls-cert-file %s/%s.crt\ntls-key-file %s/%s.key\n"
	    "tls-ca-cert-file %s/ca.crt\ntls-auth-clients %s\n", broker.dir,
	    certificate, broker.dir, certificate, broker.dir,
	    client ? "yes" : "no");
	broker_start(&broker, text);
	broker_kill(&broker);
	free(broker.options);
	/* All of its port is TLS: what starts it asks only for a connection. */
	text[9] = ' ';
	broker.options = xasprintf("port 0\ntls-port %u\n%s", broker.port,
	    text + 11);
	free(text);
	broker_again(&broker);
}

static struct rig *
tls_host(const char *ca, const char *more)
{
	char *text = xasprintf("tls = yes\ntls_ca = %s\n%s",
	    broker_file(&broker, ca), more);
	struct rig *g = host(text);

	free(text);
	return g;
}

static void
tls_fails(struct rig *g, const char *why)
{
	struct backplane_state s;

	UNTIL(g, (g->driver->state(g->self, &s), s.why.n > 0));
	if (strstr(s.why.p, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", s.why.p, why);
	SEES_NONE(g);
	rig_free(g);
}

static void
test_tls(void **state)
{
	struct buf text = { 0 };
	struct rig *g;

	(void)state;
	tls_broker("server", false);
	g = tls_host("ca.crt", "");
	SEES(g, "up");
	rig_join(g, "news");
	SEES(g, "joined 1:news");
	/* More than TLS puts into a record, and than the socket takes. */
	memset(buf_room(&text, 8 << 20), 'x', 8 << 20);
	text.n = 8 << 20;
	rig_publish_bytes(g, "news", buf_view(&text), 1);
	SKIPS_TO(g, "message 1:news 8388608 octets");
	buf_done(&text);
	rig_free(g);

	g = tls_host("ca.crt", "host = localhost\n");
	SEES(g, "up");
	rig_free(g);
	tls_fails(tls_host("other-ca.crt", ""), "certificate is refused: ");
	tls_fails(tls_host("ca.crt", "tls_name = elsewhere.example\n"),
	    "certificate is refused: hostname mismatch");
	tls_fails(tls_host("ca.crt", "tls_name = 127.0.0.2\n"),
	    "certificate is refused: IP address mismatch");
	/* On purpose. */
	g = tls_host("other-ca.crt", "tls_verify = no\n");
	SEES(g, "up");
	rig_free(g);
	/* Plain to where TLS is spoken. */
	tls_fails(host("timeout = 500ms\n"), "");
}

static void
test_tls_name(void **state)
{
	struct rig *g;

	(void)state;
	tls_broker("named", false);
	tls_fails(tls_host("ca.crt", ""), "IP address mismatch");
	tls_fails(tls_host("ca.crt", "host = localhost\n"),
	    "hostname mismatch");
	g = tls_host("ca.crt", "tls_name = elsewhere.example\n");
	SEES(g, "up");
	rig_free(g);
}

static void
test_tls_expired(void **state)
{
	(void)state;
	tls_broker("old", false);
	tls_fails(tls_host("ca.crt", ""), "certificate has expired");
}

static void
test_tls_client(void **state)
{
	struct rig *g;
	char *text;

	(void)state;
	tls_broker("server", true);
	tls_fails(tls_host("ca.crt", ""), "TLS: ");
	text = xasprintf("tls_certificate = %s\ntls_certificate_key = %s\n",
	    broker_file(&broker, "client.crt"),
	    broker_file(&broker, "client.key"));
	g = tls_host("ca.crt", text);
	SEES(g, "up");
	rig_free(g);
	free(text);
}

/* TLS to where plain text is spoken; files that are not there. */
static void
test_tls_wrong(void **state)
{
	char *text;

	(void)state;
	broker_certify(&broker);
	broker_start(&broker, "");
	tls_fails(tls_host("ca.crt", "timeout = 500ms\n"), "");
	rig_refused("tls = yes\ntls_ca = /nowhere.pem\n",
	    "certificate authorities cannot be read");
	text = xasprintf("tls = yes\ntls_ca = %s\ntls_certificate = %s\n"
	    "tls_certificate_key = %s\n", broker_file(&broker, "ca.crt"),
	    broker_file(&broker, "client.crt"),
	    broker_file(&broker, "server.key"));
	rig_refused(text, "does not fit");
	free(text);
}

/* ---- speed --------------------------------------------------------------- */

/* Not measured, only that much at once gets through in order. */
static void
test_many(void **state)
{
	struct rig *a;

	(void)state;
	broker_start(&broker, "");
	a = host_up("");
	rig_join(a, "news");
	SEES(a, "joined 1:news");
	a->quiet = true;
	for (uint64_t i = 0; i < 50000; i++)
		rig_publish(a, "news", "some text of a usual length", i);
	UNTIL(a, a->received == 50000);
	SEES_NONE(a);
	rig_free(a);
}

#define TEST(name)	cmocka_unit_test_teardown(name, end)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_two_hosts),
		TEST(test_octets),
		TEST(test_raw),
		TEST(test_store),
		TEST(test_unix_socket),
		TEST(test_users),
		TEST(test_least_rights),
		TEST(test_full),
		TEST(test_killed),
		TEST(test_backlog_arrives),
		TEST(test_paused),
		TEST(test_thrown_out),
		TEST(test_output_limit),
		TEST(test_tls),
		TEST(test_tls_name),
		TEST(test_tls_expired),
		TEST(test_tls_client),
		TEST(test_tls_wrong),
		TEST(test_many),
	};

	if (!broker_installed()) {
		puts("1..0 # SKIP redis-server is not installed");
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
