/* SPDX-License-Identifier: MIT
 *
 * Tests src/backplane/redis_told.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <hiredis/hiredis.h>

#include "backplane/redis_slots.h"
#include "backplane/redis_told.h"

static redisReader	*reader;
static void		*made;

static int
done(void **state)
{
	(void)state;
	if (made != NULL)
		freeReplyObject(made);
	made = NULL;
	if (reader != NULL)
		redisReaderFree(reader);
	reader = NULL;
	return 0;
}

/* RESP to a reply; freed at the next call. */
static redisReply *
reply(const char *resp)
{
	if (reader == NULL)
		reader = redisReaderCreate();
	if (made != NULL)
		freeReplyObject(made);
	made = NULL;
	redisReaderFeed(reader, resp, strlen(resp));
	assert_int_equal(redisReaderGetReply(reader, &made), REDIS_OK);
	assert_non_null(made);
	return made;
}

static void
is_place(const struct redis_place *place, const char *host, unsigned port)
{
	assert_string_equal(place->host, host);
	assert_int_equal(place->port, port);
}

static void
test_place(void **state)
{
	struct redis_place place;
	char name[300];

	(void)state;
	assert_int_equal(redis_told_place(&place, B("redis.example"), 6379), 0);
	is_place(&place, "redis.example", 6379);
	assert_int_equal(redis_told_place(&place, B("::1"), 65535), 0);
	is_place(&place, "::1", 65535);
	assert_int_equal(redis_told_place(&place, B("a"), 0), -1);
	assert_int_equal(redis_told_place(&place, B("a"), 65536), -1);
	assert_int_equal(redis_told_place(&place, B(""), 1), -1);
	/* A socket's path would make us open a file. */
	assert_int_equal(redis_told_place(&place, B("/run/x"), 1), -1);
	assert_int_equal(redis_told_place(&place, B("a b"), 1), -1);
	assert_int_equal(redis_told_place(&place, B("a\nb"), 1), -1);
	assert_int_equal(redis_told_place(&place, bytes_of("a\0b", 3), 1), -1);
	memset(name, 'a', sizeof(name));
	assert_int_equal(redis_told_place(&place, bytes_of(name, 255), 1), 0);
	assert_int_equal(redis_told_place(&place, bytes_of(name, 256), 1), -1);
}

static void
test_master(void **state)
{
	struct redis_place place;

	(void)state;
	assert_int_equal(redis_told_master(&place,
	    reply("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6380\r\n")), 0);
	is_place(&place, "127.0.0.1", 6380);
	assert_int_equal(redis_told_master(&place, reply("*-1\r\n")), -1);
	assert_int_equal(redis_told_master(&place, reply("$-1\r\n")), -1);
	assert_int_equal(redis_told_master(&place, reply("*0\r\n")), -1);
	assert_int_equal(redis_told_master(&place,
	    reply("*1\r\n$1\r\na\r\n")), -1);
	assert_int_equal(redis_told_master(&place,
	    reply("*2\r\n$1\r\na\r\n$2\r\n-1\r\n")), -1);
	assert_int_equal(redis_told_master(&place,
	    reply("*2\r\n*0\r\n*0\r\n")), -1);
	assert_int_equal(redis_told_master(&place, reply("-IDONTKNOW\r\n")),
	    -1);
}

static int
told_switch(struct redis_place *place, const char *text)
{
	return redis_told_switch(place, bytes_str(text), B("mymaster"));
}

static void
test_switch(void **state)
{
	struct redis_place place;

	(void)state;
	assert_int_equal(told_switch(&place,
	    "mymaster 10.0.0.1 6379 10.0.0.2 6380"), 0);
	is_place(&place, "10.0.0.2", 6380);
	assert_int_equal(told_switch(&place,
	    "mymaster2 10.0.0.1 6379 10.0.0.2 6380"), -1);
	assert_int_equal(told_switch(&place,
	    "other 10.0.0.1 6379 10.0.0.2 6380"), -1);
	assert_int_equal(told_switch(&place, "mymaster a 1 b"), -1);
	assert_int_equal(told_switch(&place, "mymaster a 1 b 2 3"), -1);
	assert_int_equal(told_switch(&place, "mymaster a 1 b x"), -1);
	assert_int_equal(told_switch(&place, "mymaster a 1  2"), -1);
	assert_int_equal(told_switch(&place, ""), -1);
}

static int
moved(struct redis_place *place, unsigned *slot, const char *text)
{
	return redis_told_moved(place, slot, bytes_str(text), "asked");
}

static void
test_moved(void **state)
{
	struct redis_place place;
	unsigned slot;

	(void)state;
	assert_int_equal(moved(&place, &slot, "MOVED 3999 127.0.0.1:6381"), 0);
	assert_int_equal(slot, 3999);
	is_place(&place, "127.0.0.1", 6381);
	/* Only the port differs. */
	assert_int_equal(moved(&place, &slot, "MOVED 0 :6381"), 0);
	is_place(&place, "asked", 6381);
	assert_int_equal(moved(&place, &slot, "MOVED 16383 2001:db8::1:7"), 0);
	is_place(&place, "2001:db8::1", 7);
	assert_int_equal(moved(&place, &slot, "MOVED 16384 a:1"), -1);
	assert_int_equal(moved(&place, &slot, "MOVED -1 a:1"), -1);
	assert_int_equal(moved(&place, &slot, "MOVED 1 a"), -1);
	assert_int_equal(moved(&place, &slot, "MOVED 1 a:"), -1);
	assert_int_equal(moved(&place, &slot, "MOVED 1"), -1);
	assert_int_equal(moved(&place, &slot, "MOVED"), -1);
	assert_int_equal(moved(&place, &slot, "ASK 1 a:1"), -1);
	assert_int_equal(moved(&place, &slot, ""), -1);
}

static void
test_epoch(void **state)
{
	(void)state;
	assert_int_equal(redis_told_epoch(B("cluster_state:ok\r\n"
	    "cluster_current_epoch:77\r\ncluster_my_epoch:5\r\n")), 77);
	assert_int_equal(redis_told_epoch(B("cluster_current_epoch:7")), 7);
	assert_int_equal(redis_told_epoch(B("cluster_current_epoch:x\r\n")), 0);
	assert_int_equal(redis_told_epoch(B("a:1\r\n\r\n")), 0);
	assert_int_equal(redis_told_epoch(B("")), 0);
}

#define NODE(host, port) \
	"*3\r\n$" host "\r\n:" port "\r\n$2\r\nid\r\n"

static void
test_layout(void **state)
{
	struct redis_layout layout;

	(void)state;
	assert_int_equal(redis_told_layout(&layout, reply("*3\r\n"
	    "*4\r\n:0\r\n:8191\r\n" NODE("1\r\na", "1") NODE("1\r\nr", "9")
	    "*3\r\n:8192\r\n:16000\r\n" NODE("0\r\n", "2")
	    "*3\r\n:16001\r\n:16383\r\n"
	    "*4\r\n$1\r\na\r\n:1\r\n$2\r\nid\r\n*2\r\n$2\r\nip\r\n$1\r\nx\r\n"),
	    "asked"), 0);
	assert_int_equal(layout.masters, 2);
	assert_int_equal(layout.n, 3);
	is_place(&layout.place[0], "a", 1);
	is_place(&layout.place[1], "asked", 2);
	is_place(&layout.place[2], "r", 9);
	for (unsigned lane = 0; lane < LANES; lane++) {
		unsigned slot = redis_lane_slot(lane);

		assert_int_equal(layout.lane[lane],
		    slot < 8192 || slot > 16000 ? 0 : 1);
	}
}

/* Slots that nobody serves, and masters whose address is not known. */
static void
test_layout_holes(void **state)
{
	struct redis_layout layout;

	(void)state;
	assert_int_equal(redis_told_layout(&layout, reply("*0\r\n"), "x"), 0);
	assert_int_equal(layout.n, 0);
	assert_int_equal(layout.lane[5], -1);
	assert_int_equal(redis_told_layout(&layout, reply("*2\r\n"
	    "*3\r\n:0\r\n:8191\r\n" NODE("1\r\na", "0")
	    "*3\r\n:8192\r\n:8192\r\n*3\r\n$-1\r\n:5\r\n$2\r\nid\r\n"), "x"),
	    0);
	assert_int_equal(layout.lane[5], -1);
	assert_int_equal(redis_told_layout(&layout, reply(
	    "*1\r\n*3\r\n:0\r\n:16383\r\n" NODE("1\r\n?", "5")), "x"), 0);
	is_place(&layout.place[0], "x", 5);
}

static void
test_layout_wrong(void **state)
{
	static const char *const wrong[] = {
		"$1\r\nx\r\n", ":1\r\n", "-ERR no\r\n",
		"*1\r\n:1\r\n",
		"*1\r\n*2\r\n:0\r\n:1\r\n",
		"*1\r\n*3\r\n$1\r\n0\r\n:1\r\n" NODE("1\r\na", "1"),
		"*1\r\n*3\r\n:0\r\n:16384\r\n" NODE("1\r\na", "1"),
		"*1\r\n*3\r\n:-1\r\n:1\r\n" NODE("1\r\na", "1"),
		"*1\r\n*3\r\n:2\r\n:1\r\n" NODE("1\r\na", "1"),
	};
	struct redis_layout layout;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(redis_told_layout(&layout, reply(wrong[i]),
		    "x"), -1);
	/* A node that is no array is no node. */
	assert_int_equal(redis_told_layout(&layout, reply(
	    "*1\r\n*3\r\n:0\r\n:16383\r\n:1\r\n"), "x"), 0);
	assert_int_equal(layout.lane[0], -1);
}

/* More nodes than are noted: the lanes of the rest have none. */
static void
test_layout_many(void **state)
{
	static char text[200000];
	struct redis_layout layout;
	size_t n = 0;

	(void)state;
	n += (size_t)sprintf(text + n, "*1\r\n*300\r\n:0\r\n:16383\r\n");
	for (int i = 0; i < 298; i++)
		n += (size_t)sprintf(text + n, "*3\r\n$1\r\nh\r\n:%d\r\n"
		    "$2\r\nid\r\n", i + 1);
	assert_int_equal(redis_told_layout(&layout, reply(text), "x"), 0);
	assert_int_equal(layout.masters, 1);
	assert_int_equal(layout.n, REDIS_LAYOUT_PLACES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_master),
		cmocka_unit_test(test_switch),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_epoch),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_layout_holes),
		cmocka_unit_test(test_layout_wrong),
		cmocka_unit_test(test_layout_many),
	};

	return cmocka_run_group_tests(tests, NULL, done);
}
