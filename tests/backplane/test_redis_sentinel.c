/* SPDX-License-Identifier: MIT
 *
 * Tests src/backplane/redis_sentinel.c, and the driver under it, against a
 * Sentinel and servers that the test plays.
 */
#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define QUESTION	"SENTINEL|get-master-addr-by-name|mine|"

static struct play sentinel, old, new;
static struct rig *g;
static int asker, watcher;		/* connections to the Sentinel */
static int pub, sub;

static void
say_master(const struct play *p)
{
	char port[8], *text;

	snprintf(port, sizeof(port), "%u", p->port);
	text = xasprintf("*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n",
	    strlen(port), port);
	play_says(asker, text);
	free(text);
}

static int
sentinel_link(void)
{
	int fd = play_accept(&sentinel);

	HEARS(&sentinel, fd, "PING|");
	play_says(fd, "+PONG\r\n");
	return fd;
}

/* The other links of a Sentinel are never more than these two. */
static void
watches(void)
{
	watcher = sentinel_link();
	HEARS(&sentinel, watcher, "SUBSCRIBE|+switch-master|");
	play_says(watcher, "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n"
	    ":1\r\n");
}

/* Both links of a server; role: what it says of itself. */
static void
server(struct play *p, const char *role)
{
	pub = sub = -1;
	while (pub < 0 || sub < 0) {
		int fd = play_accept(p);
		const char *name = play_hears_any(p, fd, __FILE__, __LINE__);
		bool subscriber = strstr(name, "subscribe") != NULL;

		*(subscriber ? &sub : &pub) = fd;
		HEARS(p, fd, "ROLE|");
		HEARS(p, fd, "PING|");
		play_says(fd, "+OK\r\n");
		play_says(fd, role);
		play_says(fd, "+PONG\r\n");
	}
}

#define MASTER	"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
#define REPLICA	"*1\r\n$5\r\nslave\r\n"

static void
probed(struct play *p)
{
	HEARS(p, pub, "SET|peal::probe:last|1|PX|1000|");
	play_says(pub, "+OK\r\n");
}

static void
begin(void)
{
	char *text;

	play_open(&sentinel);
	play_open(&old);
	play_open(&new);
	text = xasprintf("sentinels = 127.0.0.1:%u\nsentinel_master = mine\n",
	    sentinel.port);
	sentinel.rig = old.rig = new.rig = g = rig_new(text);
	free(text);
	rig_start(g);
	asker = sentinel_link();
	HEARS(&sentinel, asker, QUESTION);
}

static void
begin_up(void)
{
	begin();
	say_master(&old);
	server(&old, MASTER);
	probed(&old);
	SEES(g, "up");
	watches();
	/* What happened before it listened. */
	HEARS(&sentinel, asker, QUESTION);
	say_master(&old);
}

static void
end(void)
{
	rig_free(g);
	play_close(&sentinel);
	play_close(&old);
	play_close(&new);
}

static void
say_switch(const char *name)
{
	char *payload = xasprintf("%s 127.0.0.1 %u 127.0.0.1 %u", name,
	    old.port, new.port);
	char *text = xasprintf("*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master"
	    "\r\n$%zu\r\n%s\r\n", strlen(payload), payload);

	play_says(watcher, text);
	free(text);
	free(payload);
}

/* The old master is left although it lives; what was not answered goes to the
 * new one, when others have had time to get there. */
static void
test_switch(void **state)
{
	(void)state;
	begin_up();
	rig_join(g, "news");
	HEARS(&old, sub, "SUBSCRIBE|peal:1:news|");
	play_says(sub, "*3\r\n$9\r\nsubscribe\r\n$11\r\npeal:1:news\r\n:1\r\n");
	SEES(g, "joined 1:news");
	rig_publish(g, "news", "one", 1);
	HEARS(&old, pub, "PUBLISH|peal:1:news|one|");
	say_switch("another");
	say_switch("mine");
	SEES(g, "gap 1:news");
	SEES(g, "down *another node*");
	play_hears_end(&old, pub);
	play_hears_end(&old, sub);
	server(&new, MASTER);
	probed(&new);
	HEARS(&new, sub, "SUBSCRIBE|peal:1:news|");
	play_says(sub, "*3\r\n$9\r\nsubscribe\r\n$11\r\npeal:1:news\r\n:1\r\n");
	SEES(g, "joined 1:news");
	SEES(g, "up");
	HEARS(&new, pub, "PUBLISH|peal:1:news|one|");
	play_says(pub, ":1\r\n");
	SEES(g, "published 1");
	end();
}

/* What calls itself a replica is not used, whatever the Sentinel says. */
static void
test_replica(void **state)
{
	struct backplane_state s;

	(void)state;
	begin();
	say_master(&old);
	server(&old, REPLICA);
	play_hears_end(&old, pub);
	play_hears_end(&old, sub);
	watches();
	HEARS(&sentinel, asker, QUESTION);
	g->driver->state(g->self, &s);
	assert_false(s.up);
	assert_non_null(memmem(s.why.p, s.why.n, "no master", 9));
	say_master(&new);
	server(&new, MASTER);
	SEES(g, "up");
	end();
}

/* A demoted master says so at the first value. */
static void
test_readonly(void **state)
{
	(void)state;
	begin_up();
	rig_store(g, "news", "kept", 1000, 7);
	HEARS(&old, pub, "MULTI|");
	HEARS(&old, pub, "SET|peal:1:news:last|kept|PX|1000|");
	HEARS(&old, pub, "PUBLISH|peal:1:news|kept|");
	HEARS(&old, pub, "EXEC|");
	play_says(pub, "+OK\r\n-READONLY You can't write against a read only "
	    "replica.\r\n+QUEUED\r\n-EXECABORT x\r\n");
	SEES(g, "down *READONLY*");
	HEARS(&sentinel, asker, QUESTION);
	say_master(&new);
	server(&new, MASTER);
	SEES(g, "up");
	probed(&new);
	HEARS(&new, pub, "MULTI|");
	end();
}

static void
useless(const char *answer, const char *why)
{
	struct backplane_state s;

	begin();
	play_says(asker, answer);
	play_hears_end(&sentinel, asker);
	asker = sentinel_link();
	HEARS(&sentinel, asker, QUESTION);
	g->driver->state(g->self, &s);
	assert_false(s.up);
	if (memmem(s.why.p, s.why.n, why, strlen(why)) == NULL)
		fail_msg("\"%.*s\" does not say \"%s\"", (int)s.why.n, s.why.p,
		    why);
	SEES_NONE(g);
	end();
}

static void
test_useless(void **state)
{
	(void)state;
	useless("*-1\r\n", "does not know backplane.sentinel_master");
	useless("-NOPERM no\r\n", "refuses to answer");
	useless("*2\r\n$6\r\n/run/x\r\n$1\r\n1\r\n", "does not know");
}

/* Without any Sentinel the master last known is tried. */
static void
test_no_sentinel(void **state)
{
	(void)state;
	begin_up();
	play_close(&sentinel);
	close(asker);
	close(watcher);
	close(pub);
	close(sub);
	SEES(g, "down *");
	server(&old, MASTER);
	SEES(g, "up");
	play_open(&sentinel);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_switch),
		cmocka_unit_test(test_replica),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_useless),
		cmocka_unit_test(test_no_sentinel),
	};

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
