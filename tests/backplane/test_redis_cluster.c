/* SPDX-License-Identifier: MIT
 *
 * Tests src/backplane/redis_cluster.c, and the driver under it, against a
 * cluster that the test plays: nodes A and B, later C.  Channels that begin with
 * 0 have a lane of the first half of the slots, those with a one of the other.
 */
#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backplane/redis_moves.h"
#include "backplane/redis_slots.h"
#include "common/log.h"

static struct play a, b, c;
static struct rig *g;
static int control;			/* that connection */
static int a_pub, a_sub, b_pub, b_sub;

/* Texts with the tag of a channel's lane in place of {}. */
static char *
tagged(const char *text, const char *channel)
{
	const char *tag = redis_lane_tag(rig_topic(channel).lane);
	const char *at = strstr(text, "{}");

	return xasprintf("%.*s{%s}%s", (int)(at - text), text, tag, at + 2);
}

static void
hears(struct play *p, int fd, const char *text, const char *channel)
{
	char *command = tagged(text, channel);

	HEARS(p, fd, command);
	free(command);
}

/* ---- the layout ----------------------------------------------------------- */

static void
say_layout(unsigned epoch, const struct play *first, const struct play *second)
{
	char *info = xasprintf("cluster_state:ok\r\n"
	    "cluster_current_epoch:%u\r\n", epoch);
	char *text = xasprintf("$%zu\r\n%s\r\n*2\r\n"
	    "*3\r\n:0\r\n:8191\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$1\r\nx\r\n"
	    "*3\r\n:8192\r\n:16383\r\n*3\r\n$0\r\n\r\n:%u\r\n$1\r\ny\r\n"
	    "-ERR wrong number of arguments for 'spublish' command\r\n",
	    strlen(info), info, first->port, second->port);

	play_says(control, text);
	free(text);
	free(info);
}

static void
hears_asking(struct play *p)
{
	HEARS(p, control, "CLUSTER|INFO|");
	HEARS(p, control, "CLUSTER|SLOTS|");
	HEARS(p, control, "SPUBLISH|");
}

/* It comes anew to this node to ask. */
static void
asks_at(struct play *p)
{
	bool subscriber;

	control = play_sign_in(p, &subscriber);
	assert_false(subscriber);
	hears_asking(p);
}

static void
node(struct play *p, int *pub, int *sub)
{
	bool subscriber;

	*pub = *sub = -1;
	while (*pub < 0 || *sub < 0) {
		int fd = play_sign_in(p, &subscriber);

		*(subscriber ? sub : pub) = fd;
		if (subscriber)
			continue;
		assert_int_equal(strncmp(play_hears_any(p, fd, __FILE__,
		    __LINE__), "SET|peal:{", 10), 0);
		play_says(fd, "+OK\r\n");
	}
}

/* ---- begin, end ----------------------------------------------------------- */

static void
begin(void)
{
	char *text;

	play_open(&a);
	play_open(&b);
	play_open(&c);
	text = xasprintf("port = %u\ncluster = yes\n", a.port);
	a.rig = b.rig = c.rig = g = rig_new(text);
	free(text);
	rig_start(g);
}

static void
begin_up(void)
{
	begin();
	asks_at(&a);
	say_layout(5, &a, &b);
	node(&a, &a_pub, &a_sub);
	node(&b, &b_pub, &b_sub);
	SEES(g, "up");
}

static void
end(void)
{
	rig_free(g);
	play_close(&a);
	play_close(&b);
	play_close(&c);
}

static void
say_sub(int fd, const char *word, const char *channel)
{
	char *name = xasprintf("peal:{%s}:1:%s",
	    redis_lane_tag(rig_topic(channel).lane), channel);
	char *text = xasprintf("*3\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n:1\r\n",
	    strlen(word), word, strlen(name), name);

	play_says(fd, text);
	free(text);
	free(name);
}

static void
say_message(int fd, const char *channel, const char *payload)
{
	char *name = xasprintf("peal:{%s}:1:%s",
	    redis_lane_tag(rig_topic(channel).lane), channel);
	char *text = xasprintf("*3\r\n$8\r\nsmessage\r\n$%zu\r\n%s\r\n"
	    "$%zu\r\n%s\r\n", strlen(name), name, strlen(payload), payload);

	play_says(fd, text);
	free(text);
	free(name);
}

static void
say_moved(int fd, const char *channel, const struct play *to)
{
	char *text = xasprintf("-MOVED %u 127.0.0.1:%u\r\n",
	    redis_lane_slot(rig_topic(channel).lane), to->port);

	play_says(fd, text);
	free(text);
}

static void
subscribes(struct play *p, int fd, const char *channel)
{
	char *text = xasprintf("SSUBSCRIBE|peal:{}:1:%s|", channel);
	char *line = xasprintf("joined 1:%s", channel);

	hears(p, fd, text, channel);
	say_sub(fd, "ssubscribe", channel);
	SEES(g, line);
	free(text);
	free(line);
}

/* ---- tests ---------------------------------------------------------------- */

static void
test_lanes(void **state)
{
	(void)state;
	begin_up();
	/* Names of different lanes never share a command. */
	rig_join(g, "0x");
	rig_join(g, "1x");
	rig_join(g, "a");
	rig_join(g, "0y");
	hears(&a, a_sub, "SSUBSCRIBE|peal:{}:1:0x|", "0");
	hears(&a, a_sub, "SSUBSCRIBE|peal:{}:1:1x|", "1");
	hears(&a, a_sub, "SSUBSCRIBE|peal:{}:1:0y|", "0");
	hears(&b, b_sub, "SSUBSCRIBE|peal:{}:1:a|", "a");
	say_sub(b_sub, "ssubscribe", "a");
	SEES(g, "joined 1:a");
	rig_publish(g, "a", "hello", 1);
	rig_publish(g, "0x", "you", 2);
	hears(&b, b_pub, "SPUBLISH|peal:{}:1:a|hello|", "a");
	hears(&a, a_pub, "SPUBLISH|peal:{}:1:0x|you|", "0");
	play_says(b_pub, ":1\r\n");
	SEES(g, "published 1");
	say_message(b_sub, "a", "hello");
	SEES(g, "message 1:a hello");
	/* Raw names have no slot: any node carries them, the classic way. */
	rig_join(g, "raw chat:1");
	HEARS(&a, a_sub, "SUBSCRIBE|chat:1|");
	rig_publish(g, "raw chat:1", "text", 3);
	HEARS(&a, a_pub, "PUBLISH|chat:1|text|");
	end();
}

/* What was refused goes to the new owner in its order; what was taken does not
 * go again. */
static void
test_moved(void **state)
{
	(void)state;
	begin_up();
	rig_join(g, "0x");
	subscribes(&a, a_sub, "0x");
	for (uint64_t i = 1; i <= 4; i++)
		rig_publish(g, "0x", "m", i);
	rig_publish(g, "2", "stays", 5);
	for (int i = 0; i < 4; i++)
		hears(&a, a_pub, "SPUBLISH|peal:{}:1:0x|m|", "0");
	hears(&a, a_pub, "SPUBLISH|peal:{}:1:2|stays|", "2");
	play_says(a_pub, ":1\r\n");
	SEES(g, "published 1");
	say_moved(a_pub, "0x", &b);
	say_moved(a_pub, "0x", &b);
	say_moved(a_pub, "0x", &b);
	play_says(a_pub, ":1\r\n");
	SEES(g, "gap 1:0x");
	SEES(g, "published 5");
	/* What the old node still brings was published before. */
	say_message(a_sub, "0x", "left behind");
	SEES(g, "message 1:0x left behind");
	asks_at(&b);
	subscribes(&b, b_sub, "0x");
	for (uint64_t i = 2; i <= 4; i++)
		hears(&b, b_pub, "SPUBLISH|peal:{}:1:0x|m|", "0");
	play_says(b_pub, ":1\r\n:1\r\n:1\r\n");
	SEES(g, "published 2");
	SEES(g, "published 3");
	SEES(g, "published 4");
	SEES_NONE(g);
	end();
}

/* The node ends pub/sub when the slot leaves it. */
static void
test_unasked(void **state)
{
	(void)state;
	begin_up();
	rig_join(g, "0x");
	subscribes(&a, a_sub, "0x");
	say_sub(a_sub, "sunsubscribe", "0x");
	SEES(g, "gap 1:0x");
	/* The one that said so is asked. */
	hears_asking(&a);
	hears(&a, a_sub, "SSUBSCRIBE|peal:{}:1:0x|", "0");
	say_layout(6, &b, &b);
	subscribes(&b, b_sub, "0x");
	rig_publish(g, "0x", "m", 1);
	hears(&b, b_pub, "SPUBLISH|peal:{}:1:0x|m|", "0");
	/* Late and about another node: nothing. */
	say_moved(a_sub, "0x", &b);
	say_sub(a_sub, "sunsubscribe", "0x");
	play_says(b_pub, ":1\r\n");
	SEES(g, "published 1");
	SEES_NONE(g);
	end();
}

/* A node that has not heard of the move yet is not believed. */
static void
test_epoch(void **state)
{
	(void)state;
	begin_up();
	rig_join(g, "0x");
	subscribes(&a, a_sub, "0x");
	say_sub(a_sub, "sunsubscribe", "0x");
	SEES(g, "gap 1:0x");
	hears_asking(&a);
	say_layout(4, &b, &b);
	/* Another one is asked. */
	asks_at(&b);
	say_layout(5, &a, &b);
	subscribes(&a, a_sub, "0x");
	end();
}

/* What the log has, as "changes/lanes" of each line. */
static const char *
lines_of(int fd)
{
	static char shown[200];
	char text[4096], *at = text;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	unsigned masters, lanes, changes;
	size_t len = 0;

	text[n > 0 ? n : 0] = '\0';
	shown[0] = '\0';
	while ((at = strstr(at, " masters=")) != NULL) {
		assert_int_equal(sscanf(at, " masters=%u lanes_moved=%u "
		    "changes=%u", &masters, &lanes, &changes), 3);
		assert_int_equal(masters, 2);
		len += (size_t)snprintf(shown + len, sizeof(shown) - len,
		    "%u/%u ", changes, lanes);
		at++;
	}
	return shown;
}

/* Nodes that dispute who serves what do not fill the log. */
static void
test_moves_said(void **state)
{
	struct redis_moves m = { 0 };
	uint64_t now = 100000;
	int fd = memfd_create("log", MFD_CLOEXEC);

	(void)state;
	log_to_fd(fd);
	log_set_level(LOG_LEVEL_INFO);
	redis_moves_add(&m, 2, 128, now);
	assert_string_equal(lines_of(fd), "1/128 ");
	/* A change that is followed by another. */
	redis_moves_add(&m, 2, 3, now += 100);
	redis_moves_add(&m, 2, 4, now += 100);
	redis_moves_tick(&m, now + MOVES_LAST_MS - 1);
	assert_string_equal(lines_of(fd), "1/128 ");
	redis_moves_tick(&m, now += MOVES_LAST_MS);
	assert_string_equal(lines_of(fd), "1/128 2/7 ");
	/* No end of it. */
	for (int i = 0; i < 100; i++)
		redis_moves_add(&m, 2, 1, now += 100);
	assert_string_equal(lines_of(fd), "1/128 2/7 100/100 ");
	redis_moves_tick(&m, now += 10 * MOVES_AGAIN_MS);
	assert_string_equal(lines_of(fd), "1/128 2/7 100/100 ");
	/* All was quiet: said at once. */
	redis_moves_add(&m, 2, 5, now);
	assert_string_equal(lines_of(fd), "1/128 2/7 100/100 1/5 ");
	log_set_level(LOG_LEVEL_ERROR);
	log_to_fd(STDERR_FILENO);
	close(fd);
}

/* A master is gone, another takes its place: the others go on meanwhile, and
 * what waited is sent then. */
static void
test_node_lost(void **state)
{
	struct backplane_state s;
	int c_pub, c_sub;

	(void)state;
	begin_up();
	rig_join(g, "0x");
	subscribes(&a, a_sub, "0x");
	rig_join(g, "a");
	subscribes(&b, b_sub, "a");
	play_close(&b);
	close(b_pub);
	close(b_sub);
	SEES(g, "gap 1:a");
	rig_publish(g, "a", "waits", 1);
	rig_publish(g, "0x", "goes", 2);
	hears(&a, a_pub, "SPUBLISH|peal:{}:1:0x|goes|", "0");
	play_says(a_pub, ":1\r\n");
	SEES(g, "published 2");
	g->driver->state(g->self, &s);
	assert_true(s.up);
	assert_true(s.why.n > 0);
	/* Who is there is asked until it knows better. */
	hears_asking(&a);
	say_layout(5, &a, &b);
	hears_asking(&a);
	say_layout(6, &a, &c);
	node(&c, &c_pub, &c_sub);
	subscribes(&c, c_sub, "a");
	hears(&c, c_pub, "SPUBLISH|peal:{}:1:a|waits|", "a");
	play_says(c_pub, ":1\r\n");
	SEES(g, "published 1");
	SEES_NONE(g);
	UNTIL(g, (g->driver->state(g->self, &s), s.why.n) == 0);
	play_open(&b);
	end();
}

/* All nodes are gone: that is down. */
static void
test_all_lost(void **state)
{
	(void)state;
	begin_up();
	for (int i = 0; i < 2; i++) {
		close(i == 0 ? a_pub : b_pub);
		close(i == 0 ? a_sub : b_sub);
	}
	close(control);
	SEES(g, "down *closed*");
	end();
}

/* A slot on its way: its value cannot be set, its message can be said. */
static void
test_ask(void **state)
{
	(void)state;
	begin_up();
	rig_store(g, "0x", "kept", 1000, 1);
	rig_publish(g, "0x", "next", 2);
	HEARS(&a, a_pub, "MULTI|");
	hears(&a, a_pub, "SET|peal:{}:1:0x:last|kept|PX|1000|", "0");
	hears(&a, a_pub, "SPUBLISH|peal:{}:1:0x|kept|", "0");
	HEARS(&a, a_pub, "EXEC|");
	hears(&a, a_pub, "SPUBLISH|peal:{}:1:0x|next|", "0");
	play_says(a_pub, "+OK\r\n-ASK 1 127.0.0.1:1\r\n+QUEUED\r\n"
	    "-EXECABORT Transaction discarded\r\n");
	hears(&a, a_pub, "SPUBLISH|peal:{}:1:0x|kept|", "0");
	hears(&a, a_pub, "SPUBLISH|peal:{}:1:0x|next|", "0");
	play_says(a_pub, ":1\r\n:1\r\n:1\r\n");
	SEES(g, "published 1");
	SEES(g, "published 2");
	rig_fetch(g, "0x", 3);
	hears(&a, a_pub, "GET|peal:{}:1:0x:last|", "0");
	hears(&a, a_pub, "PTTL|peal:{}:1:0x:last|", "0");
	play_says(a_pub, "-ASK 1 127.0.0.1:1\r\n-ASK 1 127.0.0.1:1\r\n");
	SEES(g, "fetched 3: ASK *");
	end();
}

static void
no_use(const char *answers, const char *why)
{
	struct backplane_state s;

	begin();
	asks_at(&a);
	play_says(control, answers);
	play_hears_end(&a, control);
	/* It was not up, so it does not go down; and it asks again. */
	asks_at(&a);
	g->driver->state(g->self, &s);
	assert_false(s.up);
	if (memmem(s.why.p, s.why.n, why, strlen(why)) == NULL)
		fail_msg("\"%.*s\" does not say \"%s\"", (int)s.why.n, s.why.p,
		    why);
	SEES_NONE(g);
	end();
}

static void
test_no_cluster(void **state)
{
	(void)state;
	no_use("-ERR This instance has cluster support disabled\r\n"
	    "-ERR This instance has cluster support disabled\r\n",
	    "cluster support disabled");
	no_use("$0\r\n\r\n*0\r\n-ERR unknown command 'SPUBLISH', with args\r\n",
	    "no sharded publish");
	no_use("$0\r\n\r\n*1\r\n:1\r\n:0\r\n", "no answer to CLUSTER SLOTS");
	no_use("$0\r\n\r\n*100000000\r\n", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_unasked),
		cmocka_unit_test(test_epoch),
		cmocka_unit_test(test_moves_said),
		cmocka_unit_test(test_node_lost),
		cmocka_unit_test(test_all_lost),
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_no_cluster),
	};

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
