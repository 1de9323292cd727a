/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/tap.c: tails of events, of pealctl and of workers.
 */
#include "cluster.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/counters.h"
#include "router/control.h"
#include "router/sink.h"

#define TAIL(more)	"{\"verb\":\"tail\"" more "}"
#define REPLACED	\
	"{\"ok\":false,\"error\":\"the router was replaced: ask again\"," \
	"\"again\":true}\n"

/* The other end of a tail. */
static int
tail(struct rig *g, const char *request)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	control_take(g->router, fds[0], bytes_str(request));
	return fds[1];
}

/* What can be read of it now, without times. */
static char *
lines_of(int fd)
{
	static struct buf got;
	static char text[200000];
	size_t n = 0;
	ssize_t r;

	buf_clear(&got);
	while ((r = read(fd, buf_room(&got, 65536), 65536)) > 0)
		got.n += (size_t)r;
	buf_cstr(&got);
	for (char *p = got.p; *p != '\0' && n < sizeof(text) - 1;) {
		if (strncmp(p, "\"time\":", 7) == 0)
			p = strchr(p, ',') + 1;
		else
			text[n++] = *p++;
	}
	text[n] = '\0';
	return text;
}

/* Exactly these lines came. */
static void
tells(struct rig *g, int fd, const char *lines)
{
	rig_later(g, 1);
	assert_string_equal(lines_of(fd), lines);
}

static void
publish(struct mate *w, uint64_t serial, const char *channel, const char *data)
{
	SAY(w, publish, .serial = serial, .app = B("1"),
	    .channel = bytes_str(channel), .event = B("\"e\""),
	    .data = bytes_str(data));
}

#define P(channel, data) "{\"app\":\"1\",\"kind\":\"published\",\"channel\":\"" \
	channel "\",\"event\":\"e\",\"data\":\"" data "\"}\n"

static void
test_messages(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);
	int all = tail(g, TAIL("")), news = tail(g, TAIL(
	    ",\"app\":\"chat\",\"channel\":\"news\""));
	int prefix = tail(g, TAIL(",\"channel\":\"n*\",\"data\":0")),
	    client = tail(g, TAIL(",\"kinds\":[\"client_event\"]"));

	(void)state;
	assert_int_equal(counter.tails, 4);
	/* Also when nobody is there to hear it; once each. */
	publish(a, 1, "news", "\"{\\\"a\\\":1}\"");
	publish(a, 1, "news", "\"{\\\"a\\\":1}\"");
	publish(a, 2, "notes", "{\"b\":[2]}");
	publish(a, 3, "other", "\"x\"");
	SAY(a, publish, .serial = 4, .app = B("1"),
	    .channel = B("presence-news"), .event = B("\"client-e\""),
	    .data = B("\"\\u00e9\""), .user = B("\"u1\""), .except_a = 12,
	    .except_b = 34, .flags = PUBLISH_CLIENT);
	SAY(a, publish, .serial = 5, .app = B("9"), .channel = B("news"),
	    .event = B("\"e\""), .data = B("1"));
	/* Left out: not who said it. */
	SAY(a, publish, .serial = 6, .app = B("1"), .channel = B("other"),
	    .event = B("\"e\""), .except_a = 12, .except_b = 34);
	SAY(a, publish, .serial = 7, .app = B("1"), .channel = B("other"),
	    .data = B("\"as it is"), .flags = PUBLISH_TEXT);
	SAY(a, publish, .serial = 8, .app = B("1"), .channel = B("other"),
	    .data = B("\xff\0\xff"), .flags = PUBLISH_BINARY);
	rig_run(g);
	tells(g, news, P("news", "{\\\"a\\\":1}"));
	tells(g, all, P("news", "{\\\"a\\\":1}") P("notes", "{\\\"b\\\":[2]}")
	    P("other", "x")
	    "{\"app\":\"1\",\"kind\":\"client_event\",\"channel\":"
	    "\"presence-news\",\"event\":\"client-e\",\"data\":\"\xc3\xa9\","
	    "\"user\":\"u1\",\"socket_id\":\"12.34\"}\n"
	    "{\"app\":\"1\",\"kind\":\"published\",\"channel\":\"other\","
	    "\"event\":\"e\"}\n"
	    "{\"app\":\"1\",\"kind\":\"published\",\"channel\":\"other\","
	    "\"data\":\"\\\"as it is\"}\n"
	    "{\"app\":\"1\",\"kind\":\"published\",\"channel\":\"other\","
	    "\"data\":\"(3 octets)\",\"binary\":true}\n");
	tells(g, prefix, "{\"app\":\"1\",\"kind\":\"published\",\"channel\":"
	    "\"news\",\"event\":\"e\"}\n"
	    "{\"app\":\"1\",\"kind\":\"published\",\"channel\":\"notes\","
	    "\"event\":\"e\"}\n");
	tells(g, client, "{\"app\":\"1\",\"kind\":\"client_event\","
	    "\"channel\":\"presence-news\",\"event\":\"client-e\",\"data\":"
	    "\"\xc3\xa9\",\"user\":\"u1\",\"socket_id\":\"12.34\"}\n");
	/* Who goes is noticed. */
	close(all);
	close(news);
	close(prefix);
	rig_later(g, 1000);
	assert_int_equal(counter.tails, 1);
	close(client);
	rig_free(g);
	assert_int_equal(counter.tails, 0);
}

/* A fact each, whichever worker it is of. */
static void
test_states(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	int fd = tail(g, TAIL(""));

	(void)state;
	SAY(a, join, .app = B("1"), .channel = B("news"), .n = 1);
	SAY(a, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .flags = JOIN_PRESENCE, .user = B("u1"), .member = B("{\"x\":1}"));
	rig_run(g);
	SAY(b, join, .app = B("1"), .channel = B("news"), .n = 2);
	SAY(b, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .flags = JOIN_PRESENCE, .user = B("u1"), .member = B("{\"x\":1}"));
	rig_run(g);
	tells(g, fd,
	    "{\"app\":\"1\",\"kind\":\"occupied\",\"channel\":\"news\"}\n"
	    "{\"app\":\"1\",\"kind\":\"member_added\",\"channel\":"
	    "\"presence-r\",\"data\":\"{\\\"x\\\":1}\",\"user\":\"u1\"}\n"
	    "{\"app\":\"1\",\"kind\":\"occupied\",\"channel\":"
	    "\"presence-r\"}\n");
	SAY(a, leave, .app = B("1"), .channel = B("news"), .n = 1);
	SAY(a, leave, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .user = B("u1"));
	rig_run(g);
	tells(g, fd, "");
	/* A connection that changes workers is no news. */
	SAY(b, moved, .slot = 1, .generation = a->generation, .app = B("1"),
	    .was = 5, .conn = 6, .open = 1, .epoch = g->router->epoch,
	    .first = 1);
	rig_run(g);
	tells(g, fd, "");
	mate_dies(b);
	rig_run(g);
	tells(g, fd,
	    "{\"app\":\"1\",\"kind\":\"vacated\",\"channel\":\"news\"}\n"
	    "{\"app\":\"1\",\"kind\":\"vacated\",\"channel\":"
	    "\"presence-r\"}\n"
	    "{\"app\":\"1\",\"kind\":\"member_removed\",\"channel\":"
	    "\"presence-r\",\"data\":\"{\\\"x\\\":1}\",\"user\":\"u1\"}\n");
	close(fd);
	rig_free(g);
}

/* Workers of a release before tails would end the link. */
static void
test_elder_workers(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *old = rig_stranger(g, 2);
	int fd;

	(void)state;
	SAY(old, hello, .version = 5, .slot = 2,
	    .generation = old->generation);
	SAY(old, synced, .end_ = "");
	rig_run(g);
	fd = tail(g, TAIL(""));
	rig_later(g, 1);
	GETS(a, "tailed opened=1, closed=1,");
	old = rig_stranger(g, 3);
	SAY(old, hello, .version = 5, .slot = 3,
	    .generation = old->generation);
	SAY(old, synced, .end_ = "");
	rig_run(g);
	close(fd);
	rig_later(g, 1000);
	GETS(a, "tailed opened= closed=");
	GETS_NONE(&g->mates[1]);
	GETS_NONE(old);
	rig_free(g);
}

/* Workers tell of connections while a tail is there that shows them. */
static void
test_connections(void **state)
{
	struct rig *g = rig_new("[app two]\nid = 2\nkey = k2\nsecret = s\n");
	struct mate *a = rig_worker(g, 1), *b, *k = rig_courier(g);
	int fd, news, two;

	(void)state;
	news = tail(g, "{\"verb\":\"tail\",\"app\":\"1\","
	    "\"channel\":\"news\"}");
	rig_run(g);
	GETS_NONE(a);
	fd = tail(g, "{\"verb\":\"tail\",\"app\":\"1\"}");
	rig_later(g, 1);
	GETS(a, "tailed opened=1, closed=1,");
	two = tail(g, "{\"verb\":\"tail\",\"app\":\"two\","
	    "\"kinds\":[\"closed\",\"published\"]}");
	rig_later(g, 1);
	GETS(a, "tailed opened=1, closed=2,1,");
	b = rig_worker(g, 2);
	GETS(b, "tailed opened=1, closed=2,1,");
	SAY(a, connection, .open = 1, .app = B("1"), .socket_a = 1,
	    .socket_b = 2);
	SAY(a, connection, .app = B("1"), .socket_a = 1, .socket_b = 2,
	    .user = B("u1"), .code = 4009, .why = B("said so"));
	rig_run(g);
	tells(g, fd,
	    "{\"app\":\"1\",\"kind\":\"opened\",\"socket_id\":\"1.2\"}\n"
	    "{\"app\":\"1\",\"kind\":\"closed\",\"data\":\"said so\","
	    "\"user\":\"u1\",\"socket_id\":\"1.2\"}\n");
	tells(g, news, "");
	tells(g, two, "");
	/* No webhook asked for that. */
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS_NONE(k);
	close(fd);
	rig_later(g, 1000);
	GETS(a, "tailed opened= closed=2,");
	GETS(b, "tailed opened= closed=2,");
	close(two);
	close(news);
	rig_later(g, 1000);
	GETS(a, "tailed opened= closed=");
	GETS_NONE(a);
	b = rig_worker(g, 3);
	GETS_NONE(b);
	rig_free(g);
}

/* What is shown of data that is longer: whole characters, whatever stands
 * there. */
static void
test_cut(void **state)
{
	static const struct {
		const char *data, *shown;
	} cases[] = {
		{ "\"12345\"", "\"data\":\"12345\"" },
		{ "\"123456\"", "\"data\":\"12345\",\"length\":8" },
		{ "\"1234\xc3\xa9\"", "\"data\":\"1234\",\"length\":8" },
		{ "\"123\xc3\xa9\"", "\"data\":\"123\xc3\xa9\"" },
		{ "\"12\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"",
		    "\"data\":\"12\",\"length\":12" },
		{ "\"1\\ud83d\\ude00x\"",
		    "\"data\":\"1\xf0\x9f\x98\x80\",\"length\":16" },
		{ "\"1234\\ud83d\\ude00\"", "\"data\":\"1234\",\"length\":18" },
		{ "\"1234\\\\6\"", "\"data\":\"1234\\\\\",\"length\":9" },
		{ "\"1234\\u00e9\"", "\"data\":\"1234\",\"length\":12" },
		{ "\"\\n\\n\\n\\n\\n\"", "\"data\":\"\\n\\n\\n\\n\\n\"" },
		{ "{\"a\":\"b\"}", "\"data\":\"{\\\"a\\\":\",\"length\":9" },
		{ "[\"\xc3\xa9\xc3\xa9\"]",
		    "\"data\":\"[\\\"\xc3\xa9\",\"length\":8" },
		{ "\"\"", "\"data\":\"\"" },
		{ "null", "\"data\":\"null\"" },
	};
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);
	int fd = tail(g, TAIL(",\"data\":5"));
	char line[200];

	(void)state;
	for (unsigned i = 0; i < NELEM(cases); i++) {
		publish(a, i + 1, "c", cases[i].data);
		rig_run(g);
		snprintf(line, sizeof(line), "{\"app\":\"1\",\"kind\":"
		    "\"published\",\"channel\":\"c\",\"event\":\"e\",%s}\n",
		    cases[i].shown);
		tells(g, fd, line);
	}
	close(fd);
	rig_free(g);
}

/* More than it may see in a second is counted; the second after it sees again. */
static void
test_rate(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);
	uint64_t before = counter.tails_dropped;
	int fd;

	(void)state;
	SAY(a, join, .app = B("1"), .channel = B("c"), .n = 1);
	rig_run(g);
	rig_later(g, 1000 - g->router->now % 1000);
	fd = tail(g, TAIL(",\"data\":0,\"kinds\":[\"published\"]"));
	for (unsigned i = 0; i < 1500; i++)
		publish(a, i + 1, "c", "1");
	rig_run(g);
	assert_int_equal(counter.tails_dropped - before, 500);
	/* Delivery knows nothing of it. */
	assert_true(a->n_lines >= 1500);
	while (read(fd, (char [65536]){ 0 }, 65536) > 0)
		rig_run(g);
	rig_later(g, 1000);
	publish(a, 1501, "c", "1");
	rig_run(g);
	tells(g, fd, "{\"dropped\":500}\n"
	    "{\"app\":\"1\",\"kind\":\"published\",\"channel\":\"c\","
	    "\"event\":\"e\"}\n");
	close(fd);
	rig_free(g);
}

/* One that does not read holds little, and hears what it has missed. */
static void
test_no_reader(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);
	uint64_t before = counter.tails_dropped, serial = 0, lost = 0, seen = 0;
	int fd = tail(g, TAIL(",\"data\":65536"));
	struct buf got = { 0 };
	char *big, *p;

	(void)state;
	big = xmalloc(60001);
	memset(big, 'x', 60000);
	big[0] = big[59999] = '"';
	big[60000] = '\0';
	for (unsigned i = 0; i < 200; i++) {
		publish(a, ++serial, "c", big);
		rig_run(g);
		if (i % 10 == 0)
			rig_later(g, 10);
	}
	assert_true(counter.tails_dropped > before);
	rig_later(g, 100);
	while (lost + seen < serial) {
		ssize_t n = read(fd, buf_room(&got, 1 << 20), 1 << 20);

		if (n > 0)
			got.n += (size_t)n;
		rig_later(g, 100);
		lost = seen = 0;
		for (p = buf_cstr(&got); (p = strstr(p, "{\"")) != NULL; p++) {
			if (strncmp(p, "{\"dropped\":", 11) == 0)
				lost += strtoull(p + 11, NULL, 10);
			else if (strncmp(p, "{\"time\"", 7) == 0)
				seen++;
		}
	}
	assert_int_equal(lost + seen, serial);
	assert_int_equal(lost, counter.tails_dropped - before);
	assert_true(seen >= TAP_WAITING / 60100);
	/* It is left when it never reads. */
	for (unsigned i = 0; i < 50; i++) {
		publish(a, ++serial, "c", big);
		rig_run(g);
	}
	rig_later(g, 100);
	rig_later(g, 30000);
	rig_later(g, 1000);
	assert_int_equal(g->router->n_controls, 0);
	assert_int_equal(g->router->taps.n, 0);
	close(fd);
	free(big);
	buf_done(&got);
	rig_free(g);
}

static void
test_limits(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);
	int fds[TAPS_MAX], fd;

	(void)state;
	for (unsigned i = 0; i < TAPS_MAX; i++)
		fds[i] = tail(g, TAIL(""));
	fd = tail(g, TAIL(""));
	tells(g, fd, "{\"ok\":false,\"error\":\"there are too many tails\"}\n");
	close(fd);
	SAY(a, ask, .cookie = 3, .line = B(TAIL("")));
	rig_run(g);
	GETS(a, "tailed opened=1, closed=1,");
	GETS(a, "told 3 end {\"ok\":false,\"error\":\"there are too many "
	    "tails\"}\n");
	close(fds[0]);
	rig_later(g, 1000);
	SAY(a, ask, .cookie = 3, .line = B(TAIL("")));
	rig_run(g);
	GETS_NONE(a);
	for (unsigned i = 1; i < TAPS_MAX; i++)
		close(fds[i]);
	fd = tail(g, TAIL(",\"kinds\":[\"none\"]"));
	tells(g, fd, "{\"ok\":false,\"error\":\"there is no such kind of "
	    "event; there are published, client_event, occupied, vacated, "
	    "member_added, member_removed, opened, closed\"}\n");
	close(fd);
	fd = tail(g, TAIL(",\"kinds\":\"none\""));
	tells(g, fd, "{\"ok\":false,\"error\":\"kinds is a list of names\"}\n");
	close(fd);
	fd = tail(g, TAIL(",\"data\":\"none\""));
	tells(g, fd, "{\"ok\":false,\"error\":\"data is a number of "
	    "octets\"}\n");
	close(fd);
	rig_free(g);
}

/* By way of a worker: until it says that nobody listens, or dies. */
static void
test_asks(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	SAY(a, ask, .cookie = 1, .line = B(TAIL(",\"kinds\":[\"occupied\"]")));
	SAY(b, ask, .cookie = 1, .line = B(TAIL(",\"kinds\":[\"occupied\"]")));
	SAY(b, ask, .cookie = 2, .line = B(TAIL(",\"kinds\":[\"vacated\"]")));
	rig_run(g);
	assert_int_equal(g->router->taps.n, 3);
	assert_int_equal(g->router->n_asks, 3);
	SAY(b, join, .app = B("1"), .channel = B("c"), .n = 1);
	SAY(b, ask_end, .cookie = 2);
	SAY(b, ask_end, .cookie = 77);
	rig_run(g);
	assert_int_equal(g->router->taps.n, 2);
	rig_later(g, 1);
	for (unsigned i = 0; i < 2; i++) {
		struct mate *w = i == 0 ? a : b;

		assert_int_equal(w->n_lines, 1);
		assert_non_null(strstr(w->lines[0], "told 1 {\"time\":"));
		assert_non_null(strstr(w->lines[0], "\"occupied\""));
	}
	mate_dies(b);
	rig_run(g);
	assert_int_equal(g->router->taps.n, 1);
	assert_int_equal(g->router->n_asks, 1);
	/* The same number twice is no worker's. */
	SAY(a, ask, .cookie = 1, .line = B(TAIL("")));
	rig_run(g);
	assert_int_equal(g->router->n_asks, 0);
	rig_free(g);
}

/* Each message once on each host that hears it, and states over both. */
static void
test_hosts(void **state)
{
	struct cluster *c = cluster_new("");
	struct rig *one = cluster_host(c, 1, 1), *two = cluster_host(c, 2, 1);
	struct mate *a = rig_worker(one, 1), *b = rig_worker(two, 1);
	int here, there;

	(void)state;
	cluster_run(c);
	cluster_later(c, 3000);
	here = tail(one, TAIL(""));
	there = tail(two, TAIL(""));
	SAY(b, join, .app = B("1"), .channel = B("news"), .n = 1);
	cluster_run(c);
	cluster_later(c, 100);
	publish(a, 1, "news", "1");
	publish(a, 2, "nobody", "2");
	cluster_run(c);
	cluster_later(c, 100);
	SAY(a, join, .app = B("1"), .channel = B("news"), .n = 1);
	cluster_run(c);
	cluster_later(c, 100);
	publish(a, 3, "news", "3");
	cluster_run(c);
	SAY(b, leave, .app = B("1"), .channel = B("news"), .n = 1);
	cluster_run(c);
	cluster_later(c, 100);
	SAY(a, leave, .app = B("1"), .channel = B("news"), .n = 1);
	cluster_run(c);
	cluster_later(c, 100);
	tells(one, here,
	    "{\"app\":\"1\",\"kind\":\"occupied\",\"channel\":\"news\"}\n"
	    P("news", "1") P("nobody", "2") P("news", "3")
	    "{\"app\":\"1\",\"kind\":\"vacated\",\"channel\":\"news\"}\n");
	tells(two, there,
	    "{\"app\":\"1\",\"kind\":\"occupied\",\"channel\":\"news\"}\n"
	    P("news", "1") P("news", "3")
	    "{\"app\":\"1\",\"kind\":\"vacated\",\"channel\":\"news\"}\n");
	close(here);
	close(there);
	cluster_free(c);
}

static void
both(struct rig *elder, struct rig *heir)
{
	for (unsigned i = 0; i < 5; i++) {
		rig_run(elder);
		rig_run(heir);
	}
}

/* Tails and questions to workers end when the router is to be replaced, and
 * none begins. */
static void
test_replaced(void **state)
{
	struct rig *elder = rig_new(""), *heir;
	struct mate *a = rig_worker(elder, 1);
	int fd = tail(elder, TAIL("")), asks = tail(elder,
	    "{\"verb\":\"inspect\"}"), late;

	(void)state;
	SAY(a, ask, .cookie = 1, .line = B(TAIL("")));
	rig_run(elder);
	GETS(a, "tailed opened=1, closed=1,");
	GETS(a, "inspect 1 app= channel= user= socket=0.0 slow=0 limit=100"
	    " kick=0");
	heir = rig_heir("", NULL, elder);
	both(elder, heir);
	assert_int_equal(elder->router->taps.n, 2);
	elder_yield(elder->router);
	late = tail(elder, TAIL(""));
	both(elder, heir);
	tells(elder, fd, REPLACED);
	tells(elder, asks, REPLACED);
	tells(elder, late, REPLACED);
	GETS(a, "tailed opened= closed=");
	GETS(a, "told 1 end " REPLACED);
	assert_int_equal(elder->router->taps.n, 0);
	assert_true(elder_yielded(elder->router));
	close(fd);
	close(asks);
	close(late);
	rig_free(elder);
	rig_free(heir);
}

/* Who reads nothing does not hold up his router's end. */
static void
test_replaced_unread(void **state)
{
	static const char last[] = REPLACED;
	struct rig *elder = rig_new(""), *heir;
	struct mate *a = rig_worker(elder, 1);
	struct buf got = { 0 };
	char name[32], *big = xmalloc(60001);
	int list, fd = tail(elder, TAIL(",\"data\":65536"));

	(void)state;
	memset(big, 'x', 60000);
	big[0] = big[59999] = '"';
	big[60000] = '\0';
	for (unsigned i = 0; i < 30; i++) {
		publish(a, i + 1, "c", big);
		rig_run(elder);
	}
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		SAY(a, join, .app = B("1"), .channel = bytes_str(name), .n = 1);
	}
	rig_run(elder);
	rig_later(elder, 1000);
	heir = rig_heir("", NULL, elder);
	both(elder, heir);
	list = tail(elder, "{\"verb\":\"channels\"}");
	both(elder, heir);
	elder_yield(elder->router);
	both(elder, heir);
	assert_int_equal(elder->router->taps.n, 0);
	assert_int_equal(elder->router->n_controls, 2);
	assert_false(elder_yielded(elder->router));
	rig_later(elder, CONTROLS_READ);
	both(elder, heir);
	assert_true(elder_yielded(elder->router));
	/* The list says that it is not whole. */
	for (;;) {
		ssize_t n = read(list, buf_room(&got, 1 << 20), 1 << 20);

		if (n == 0)
			break;
		if (n > 0)
			got.n += (size_t)n;
		rig_run(elder);
	}
	assert_true(got.n > sizeof(last));
	assert_string_equal(buf_cstr(&got) + got.n - (sizeof(last) - 1), last);
	close(list);
	close(fd);
	free(big);
	buf_done(&got);
	rig_free(elder);
	rig_free(heir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_elder_workers),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_no_reader),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_replaced_unread),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
