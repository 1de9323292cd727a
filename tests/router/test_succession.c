/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/elder.c and heir.c: one router follows another, alone; and
 * what becomes of it when one of them dies.  Over a broker, and at any moment:
 * test_succession_random.c.
 */
#include "driver.h"

#include <unistd.h>

#include "router/control.h"

#define ROOMS	"subscription_count = yes\n[rooms]\napp = 1\nhistory = 10\n"

static struct rig *elder, *heir;

static void
both_run(void)
{
	for (int i = 0; i < 3; i++) {
		rig_run(elder);
		rig_run(heir);
	}
}

static void
begin(const char *ini)
{
	elder = rig_new(ini);
	heir = NULL;
}

static void
raise_heir(const char *ini)
{
	heir = rig_heir(ini, NULL, elder);
	both_run();
	GETS(&heir->master, "ready");
}

static void
yield(void)
{
	elder_yield(elder->router);
	both_run();
	GETS(&elder->master, "yielded");
}

/* The worker has a link to the heir now, and has said who it is. */
static struct mate *
moves(struct mate *w, unsigned slot)
{
	struct mate *to = rig_stranger(heir, slot);

	assert_int_equal(to->generation, w->generation);
	GETS_NONE(w);
	mate_dies(w);
	SAY(to, hello, .version = MSG_VERSION, .slot = slot,
	    .generation = to->generation);
	return to;
}

static void
end(void)
{
	if (elder != NULL)
		rig_free(elder);
	if (heir != NULL)
		rig_free(heir);
}

static void
say_watch(struct mate *w, uint64_t conn, const char *user, uint64_t flags)
{
	struct bytes list[] = { B("a"), B("b") };

	SAY(w, signin, .app = B("1"), .conn = conn, .user = bytes_str(user),
	    .watch_out = { list, 2 }, .flags = flags);
}

/* What is kept goes on; what workers told is told of no more than it changed. */
static void
test_all_goes_on(void **state)
{
	struct mate *a, *b;

	(void)state;
	begin(ROOMS);
	a = rig_worker(elder, 1);
	b = rig_worker(elder, 2);
	SAY(a, join, .app = B("1"), .channel = B("room-x"), .n = 1,
	    .cookie = 1, .flags = JOIN_REPLAY);
	SAY(a, join, .app = B("1"), .channel = B("n"), .n = 1, .cookie = 2,
	    .flags = JOIN_COUNT);
	rig_run(elder);
	GETS(a, "subscribed room-x cookie=1 count=1");
	GETS(a, "subscribed n cookie=2 count=1");
	GETS(a, "count n 1");
	SAY(b, publish, .serial = 1, .app = B("1"), .channel = B("room-x"),
	    .event = B("e"), .data = B("1"));
	SAY(b, publish, .serial = 2, .app = B("1"), .channel = B("cache-c"),
	    .event = B("e"), .data = B("2"), .flags = PUBLISH_CACHE);
	rig_run(elder);
	GETS(a, "deliver room-x e=1 from=2 n=1 at=1");
	GETS(b, "ack 2");
	say_watch(a, 7, "a", 0);
	rig_run(elder);
	GETS(a, "watch 7 online=a offline=b");

	raise_heir(ROOMS);
	/* It goes on telling. */
	SAY(b, publish, .serial = 3, .app = B("1"), .channel = B("room-x"),
	    .event = B("e"), .data = B("3"));
	SAY(b, publish, .serial = 4, .app = B("1"), .channel = B("cache-d"),
	    .event = B("e"), .data = B("4"), .flags = PUBLISH_CACHE);
	both_run();
	GETS(a, "deliver room-x e=3 from=2 n=3 at=2");
	GETS(b, "ack 4");
	yield();

	/* Not read by the elder any more. */
	SAY(b, publish, .serial = 5, .app = B("1"), .channel = B("room-x"),
	    .event = B("e"), .data = B("5"));
	both_run();
	GETS_NONE(a);
	a = moves(a, 1);
	b = moves(b, 2);
	heir_take_over(heir->router, 2);
	SAY(a, join, .app = B("1"), .channel = B("room-x"), .n = 1,
	    .flags = JOIN_SYNC | JOIN_REPLAY);
	SAY(a, join, .app = B("1"), .channel = B("n"), .n = 1,
	    .flags = JOIN_SYNC | JOIN_COUNT);
	say_watch(a, 7, "a", JOIN_SYNC);
	SAY(a, synced, .end_ = "");
	/* 3 is told again, as if it had not read the answer. */
	SAY(b, signin, .app = B("1"), .conn = 9, .user = B("b"),
	    .flags = JOIN_SYNC);
	SAY(b, publish, .serial = 3, .app = B("1"), .channel = B("room-x"),
	    .event = B("e"), .data = B("3"));
	SAY(b, publish, .serial = 5, .app = B("1"), .channel = B("room-x"),
	    .event = B("e"), .data = B("5"));
	SAY(b, synced, .end_ = "");
	both_run();
	GETS(a, "watch 7 online=b");
	GETS(a, "deliver room-x e=5 from=2 n=5 at=3");
	GETS_NONE(a);
	GETS(b, "ack 5");

	/* Places are what they were. */
	SAY(b, join, .app = B("1"), .channel = B("room-x"), .n = 1,
	    .cookie = 3, .flags = JOIN_REPLAY, .since_offset = 1,
	    .since_epoch = route_find(census_find(elder->router, B("1")),
	    B("room-x"))->epoch);
	SAY(b, join, .app = B("1"), .channel = B("cache-d"), .n = 1,
	    .cookie = 4, .flags = JOIN_CACHE);
	SAY(b, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
	    .cookie = 5, .flags = JOIN_CACHE);
	both_run();
	GETS(b, "replay room-x cookie=3 e=3 at=2");
	GETS(b, "replay room-x cookie=3 e=5 at=3");
	GETS(b, "subscribed room-x cookie=3 count=2");
	GETS(b, "subscribed cache-d cookie=4 count=1 at=0 cached=e:4");
	GETS(b, "subscribed cache-c cookie=5 count=1 at=0 cached=e:2");
	end();
}

/* A sign-in and a member that the elder did not read are news to the heir. */
static void
test_news(void **state)
{
	struct mate *a, *b;

	(void)state;
	begin("subscription_count = yes");
	a = rig_worker(elder, 1);
	b = rig_worker(elder, 2);
	say_watch(b, 8, "b", 0);
	SAY(b, join, .app = B("1"), .channel = B("n"), .n = 2, .cookie = 1,
	    .flags = JOIN_COUNT);
	rig_run(elder);
	GETS(b, "subscribed n cookie=1 count=2");
	GETS(b, "watch 8 online=b offline=a");
	GETS(b, "count n 2");
	raise_heir("subscription_count = yes");
	yield();
	say_watch(a, 7, "a", 0);
	both_run();
	a = moves(a, 1);
	b = moves(b, 2);
	say_watch(a, 7, "a", JOIN_SYNC);
	SAY(a, join, .app = B("1"), .channel = B("n"), .n = 1,
	    .flags = JOIN_SYNC | JOIN_COUNT);
	SAY(a, synced, .end_ = "");
	say_watch(b, 8, "b", JOIN_SYNC);
	SAY(b, join, .app = B("1"), .channel = B("n"), .n = 2,
	    .flags = JOIN_SYNC | JOIN_COUNT);
	SAY(b, synced, .end_ = "");
	both_run();
	/* Nothing is read before the heir is in force. */
	GETS_NONE(a);
	heir_take_over(heir->router, 2);
	both_run();
	GETS(b, "watch 8 online=a");
	GETS(b, "count n 3");
	GETS(a, "watch 7 online=a,b");
	GETS(a, "count n 3");
	GETS_NONE(a);
	GETS_NONE(b);
	end();
}

/* A room that was left, and one whose last client leaves in that moment, wait
 * for those who come back. */
static void
test_deserted_rooms(void **state)
{
	static const char *const rooms[] = { "room-x", "room-y" };
	struct mate *a;

	(void)state;
	begin(ROOMS);
	a = rig_worker(elder, 1);
	for (int i = 0; i < 2; i++)
		SAY(a, join, .app = B("1"), .channel = bytes_str(rooms[i]),
		    .n = 1, .flags = JOIN_REPLAY);
	SAY(a, publish, .serial = 1, .app = B("1"), .channel = B("room-x"),
	    .event = B("e"), .data = B("1"));
	SAY(a, leave, .app = B("1"), .channel = B("room-x"), .n = 1);
	rig_run(elder);
	GETS(a, "deliver room-x e=1 from=1 n=1 at=1");
	GETS(a, "ack 1");
	raise_heir(ROOMS);
	yield();
	a = moves(a, 1);
	SAY(a, publish, .serial = 2, .app = B("1"), .channel = B("room-y"),
	    .event = B("e"), .data = B("2"));
	SAY(a, synced, .end_ = "");
	heir_take_over(heir->router, 1);
	both_run();
	GETS(a, "ack 2");
	for (int i = 0; i < 2; i++)
		SAY(a, join, .app = B("1"), .channel = bytes_str(rooms[i]),
		    .n = 1, .cookie = 1, .flags = JOIN_REPLAY,
		    .since_epoch = route_find(census_find(elder->router,
		    B("1")), bytes_str(rooms[i]))->epoch);
	both_run();
	GETS(a, "replay room-x cookie=1 e=1 at=1");
	GETS(a, "subscribed room-x cookie=1 count=1");
	GETS(a, "replay room-y cookie=1 e=2 at=1");
	GETS(a, "subscribed room-y cookie=1 count=1");
	mate_dies(a);
	both_run();
	/* They are forgotten when their time has come. */
	rig_later(heir, 600000);
	assert_true(TAILQ_EMPTY(&census_find(heir->router, B("1"))->order));
	end();
}

/* The elder dies before it could end well: as after any crash, but with what
 * was kept. */
static void
test_elder_dies(void **state)
{
	struct mate *a;
	uint64_t epoch;

	(void)state;
	begin(ROOMS);
	a = rig_worker(elder, 1);
	SAY(a, join, .app = B("1"), .channel = B("room-x"), .n = 1,
	    .flags = JOIN_REPLAY);
	SAY(a, publish, .serial = 1, .app = B("1"), .channel = B("cache-c"),
	    .event = B("e"), .data = B("1"), .flags = PUBLISH_CACHE);
	SAY(a, publish, .serial = 2, .app = B("1"), .channel = B("room-x"),
	    .event = B("e"), .data = B("2"));
	rig_run(elder);
	GETS(a, "deliver room-x e=2 from=1 n=2 at=1");
	GETS(a, "ack 2");
	epoch = route_find(census_find(elder->router, B("1")),
	    B("room-x"))->epoch;
	raise_heir(ROOMS);
	a = moves(a, 1);
	rig_free(elder);
	elder = NULL;
	rig_run(heir);
	heir_take_over(heir->router, 1);
	SAY(a, synced, .end_ = "");
	SAY(a, join, .app = B("1"), .channel = B("room-x"), .n = 1,
	    .cookie = 1, .flags = JOIN_REPLAY, .since_epoch = epoch);
	SAY(a, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
	    .cookie = 2, .flags = JOIN_CACHE);
	rig_run(heir);
	GETS(a, "subscribed room-x cookie=1 count=1");
	GETS(a, "subscribed cache-c cookie=2 count=1 at=0 cached=e:1");
	assert_int_not_equal(route_find(census_find(heir->router, B("1")),
	    B("room-x"))->epoch, epoch);
	end();
}

/* Before it has told anything: the heir is there for the master all the same. */
static void
test_elder_dies_at_once(void **state)
{
	(void)state;
	begin("");
	heir = rig_heir("", NULL, elder);
	rig_free(elder);
	elder = NULL;
	rig_run(heir);
	GETS(&heir->master, "ready");
	end();
}

/* The elder goes on as if nothing had been, also if it had yielded already. */
static void
test_heir_dies(void **state)
{
	struct mate *a;

	(void)state;
	for (int yields = 0; yields < 2; yields++) {
		begin("");
		a = rig_worker(elder, 1);
		raise_heir("");
		if (yields)
			elder_yield(elder->router);
		rig_free(heir);
		heir = NULL;
		rig_run(elder);
		SAY(a, publish, .serial = 1, .app = B("1"), .channel = B("c"),
		    .event = B("e"), .data = B("1"));
		rig_run(elder);
		GETS(a, "ack 1");
		/* And may have another. */
		raise_heir("");
		yield();
		end();
	}
}

/* Nobody is told that workers leave when their links go over one by one. */
static void
test_silence(void **state)
{
	struct mate *a, *b;

	(void)state;
	begin("");
	a = rig_worker(elder, 1);
	b = rig_worker(elder, 2);
	SAY(a, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .cookie = 1, .flags = JOIN_PRESENCE | JOIN_ROSTER, .user = B("a"),
	    .member = B("{}"));
	rig_run(elder);
	SAY(b, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .cookie = 1, .flags = JOIN_PRESENCE | JOIN_ROSTER, .user = B("b"),
	    .member = B("{}"));
	rig_run(elder);
	while (a->n_lines > 0)
		free(a->lines[--a->n_lines]);
	while (b->n_lines > 0)
		free(b->lines[--b->n_lines]);
	raise_heir("");
	yield();
	mate_dies(a);
	both_run();
	GETS_NONE(b);
	end();
}

/* pealctl waits for the answer, and gets the whole truth. */
static void
test_control(void **state)
{
	static const char request[] = "{\"verb\":\"connections\"}";
	char answer[200];
	struct mate *a;
	ssize_t n;
	int fds[2];

	(void)state;
	begin("");
	a = rig_worker(elder, 1);
	raise_heir("");
	yield();
	a = moves(a, 1);
	assert_int_equal(ipc_pair(fds), 0);
	control_take(heir->router, fds[0], bytes_str(request));
	both_run();
	assert_true(read(fds[1], answer, sizeof(answer)) < 0);
	SAY(a, ask, .cookie = 4, .line = B("{\"verb\":\"connections\"}"));
	heir_take_over(heir->router, 1);
	both_run();
	assert_true(read(fds[1], answer, sizeof(answer)) < 0);
	GETS_NONE(a);
	SAY(a, load, .app = B("1"), .open = 3, .subscribed = 2);
	SAY(a, synced, .end_ = "");
	both_run();
	n = read(fds[1], answer, sizeof(answer) - 1);
	assert_true(n > 0);
	answer[n] = '\0';
	assert_non_null(strstr(answer, "\"open\":3,\"subscribed\":2"));
	GETS(a, "told 4 end {\"app\":\"1\",\"open\":3,\"subscribed\":2}\n"
	    "{\"ok\":true}\n");
	close(fds[1]);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_goes_on),
		cmocka_unit_test(test_news),
		cmocka_unit_test(test_deserted_rooms),
		cmocka_unit_test(test_elder_dies),
		cmocka_unit_test(test_elder_dies_at_once),
		cmocka_unit_test(test_heir_dies),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_control),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
