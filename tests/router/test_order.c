/* SPDX-License-Identifier: MIT
 *
 * Tests the way of messages over hosts with schedules by chance: three hosts
 * publish while connections stall, break and come back, copies are late, and
 * commands are written twice.  Whatever happens, each subscriber gets what one
 * publisher says in a channel in its order and nothing twice; what its own host
 * says it gets in full, before it is acknowledged; and what other hosts say
 * too, if the broker has lost nothing.  One more channel, which has a lane with
 * another, is joined and left all the time.
 */
#include "broker.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/counters.h"

#define HOSTS		3
#define WORKERS		2
#define CHANNELS	3
#define SOMETIMES	CHANNELS	/* number of the one more */
#define SAID_MAX	4000
#define SCHEDULES	(getenv("PEAL_TEST_BRIEF") == NULL ? 60u : 8u)
#define STEPS		400

static uint64_t dice;

/* xorshift64*: the same for everybody, so that a failure can be repeated. */
static unsigned
roll(unsigned n)
{
	dice ^= dice >> 12;
	dice ^= dice << 25;
	dice ^= dice >> 27;
	return (unsigned)((dice * 2685821657736338717u) >> 33) % n;
}

static struct {
	struct broker	 b;
	struct rig	*g[HOSTS];
	struct mate	*w[HOSTS][WORKERS];
	uint64_t	 serial[HOSTS][WORKERS];
	/* said by a worker in a channel; the last one that a worker got of
	 * each, and how many */
	unsigned	 said[HOSTS][WORKERS][CHANNELS + 1];
	unsigned	 last[HOSTS][WORKERS][HOSTS][WORKERS][CHANNELS + 1];
	unsigned	 got[HOSTS][WORKERS][HOSTS][WORKERS][CHANNELS + 1];
	/* the same, without the one more; and how many were to come up to a
	 * serial */
	unsigned	 sum[HOSTS][WORKERS][HOSTS][WORKERS];
	unsigned	 due[HOSTS][WORKERS][SAID_MAX];
	uint64_t	 acked[HOSTS][WORKERS];
	/* what a worker has seen of a publisher on a lane */
	uint64_t	 seen[HOSTS][WORKERS][WORKERS + 1][LANES];
	char		 names[CHANNELS + 1][16];
	unsigned	 lanes[CHANNELS + 1];
	bool		 in[HOSTS][WORKERS];	/* the one more */
	bool		 breaks;
} world;

static void
heard(int host, int worker, const char *line)
{
	char name[16];
	int h, w, c = 0;
	unsigned n, from, *last;
	uint64_t ack, serial, *seen;

	if (sscanf(line, "ack %" SCNu64, &ack) == 1) {
		assert_true(ack > world.acked[host][worker]);
		assert_true(ack <= world.serial[host][worker]);
		world.acked[host][worker] = ack;
		return;
	}
	if (sscanf(line, "deliver %15s \"e\"=\"%d.%d.%u\" from=%u n=%" SCNu64,
	    name, &h, &w, &n, &from, &serial) != 6)
		return;
	while (strcmp(world.names[c], name) != 0)
		c++;
	last = &world.last[host][worker][h][w][c];
	if (n <= *last)
		fail_msg("host %d worker %d: %s after %u", host, worker, line,
		    *last);
	*last = n;
	world.got[host][worker][h][w][c]++;
	world.sum[host][worker][h][w] += c != SOMETIMES;
	/* A worker drops what is not above what it has seen. */
	assert_int_equal(from != 0, h == host);
	seen = &world.seen[host][worker][from][world.lanes[c]];
	if (from != 0 && serial <= *seen)
		fail_msg("host %d worker %d: %s is dropped", host, worker,
		    line);
	*seen = serial;
}

/* What is acknowledged has reached all workers of the host. */
static void
check_acks(int h, int w)
{
	for (int to = 0; to < WORKERS; to++)
		assert_true(world.sum[h][to][h][w] >=
		    world.due[h][w][world.acked[h][w]]);
}

static void
listen_all(void)
{
	for (int h = 0; h < HOSTS; h++) {
		for (int w = 0; w < WORKERS; w++) {
			struct mate *m = world.w[h][w];

			for (size_t i = 0; i < m->n_lines; i++) {
				heard(h, w, m->lines[i]);
				free(m->lines[i]);
			}
			m->n_lines = 0;
		}
		for (int w = 0; w < WORKERS; w++)
			check_acks(h, w);
	}
}

static void
say(int h, int w)
{
	unsigned c = roll(CHANNELS + 1);
	uint64_t serial = ++world.serial[h][w];
	char data[64];

	assert_true(serial < SAID_MAX);
	world.due[h][w][serial] = world.due[h][w][serial - 1] +
	    (c != SOMETIMES);
	snprintf(data, sizeof(data), "\"%d.%d.%u\"", h, w,
	    ++world.said[h][w][c]);
	SAY(world.w[h][w], publish, .serial = serial, .app = B("1"),
	    .channel = bytes_str(world.names[c]), .event = B("\"e\""),
	    .data = bytes_str(data),
	    .flags = roll(8) == 0 ? PUBLISH_CACHE : 0);
}

static void
come_or_go(int h, int w)
{
	struct bytes name = bytes_str(world.names[SOMETIMES]);

	if (world.in[h][w])
		SAY(world.w[h][w], leave, .app = B("1"), .channel = name,
		    .n = 1);
	else
		SAY(world.w[h][w], join, .app = B("1"), .channel = name,
		    .n = 1);
	world.in[h][w] = !world.in[h][w];
}

static void
step(void)
{
	int h = (int)roll(HOSTS);
	struct port *port = &world.b.ports[h];

	switch (roll(world.breaks ? 22 : 20)) {
	default:
		for (unsigned n = roll(4); n > 0; n--)
			say(h, (int)roll(WORKERS));
		break;
	case 5: case 6: case 7: case 8: case 9:
		for (unsigned n = roll(8); n > 0 && port_take(port); n--)
			;
		break;
	case 10: case 11: case 12: case 13: case 14:
		for (unsigned n = roll(12); n > 0 && port_give(port); n--)
			;
		break;
	case 15:
		port_listen(port);
		break;
	case 18:
		come_or_go(h, (int)roll(WORKERS));
		break;
	case 16:
		rig_later(world.g[h], roll(400));
		break;
	case 17:
		rig_later(world.g[h], 0);
		break;
	case 20:
		port_down(port, roll(4));
		break;
	case 21:
		port_up(port);
		break;
	}
	if (roll(3) == 0)
		rig_run(world.g[h]);
	listen_all();
}

/* The last one shares a lane with the first. */
static void
name_channels(void)
{
	unsigned n = 0;

	for (int c = 0; c <= CHANNELS; c++) {
		do {
			snprintf(world.names[c], sizeof(world.names[c]),
			    "c%u", n++);
			world.lanes[c] = carrier_topic(world.g[0]->router,
			    B("1"), bytes_str(world.names[c])).lane;
		} while (c == SOMETIMES && world.lanes[c] != world.lanes[0]);
	}
}

static void
world_new(bool breaks)
{
	memset(&world, 0, sizeof(world));
	memset(&counter, 0, sizeof(counter));
	world.breaks = breaks;
	for (int h = 0; h < HOSTS; h++)
		world.g[h] = broker_rig(&world.b, "", (uint64_t)h + 1);
	name_channels();
	for (int h = 0; h < HOSTS; h++) {
		for (unsigned w = 0; w < WORKERS; w++) {
			world.w[h][w] = rig_worker(world.g[h], w + 1);
			for (int c = 0; c < CHANNELS; c++)
				SAY(world.w[h][w], join, .app = B("1"),
				    .channel = bytes_str(world.names[c]),
				    .n = 1);
		}
	}
	broker_run(&world.b);
	listen_all();
}

/* Everything gets through in the end. */
static void
world_ends(void)
{
	for (int i = 0; i < 4; i++) {
		for (int h = 0; h < HOSTS; h++)
			port_up(&world.b.ports[h]);
		broker_run(&world.b);
		for (int h = 0; h < HOSTS; h++)
			rig_later(world.g[h], 500);
		listen_all();
	}
	for (int h = 0; h < HOSTS; h++) {
		assert_false(world.g[h]->router->passage.degraded);
		assert_int_equal(world.g[h]->router->passage.flights.live, 0);
		for (int w = 0; w < WORKERS; w++)
			assert_int_equal(world.acked[h][w],
			    world.serial[h][w]);
	}
}

static void
check(int host, int worker)
{
	for (int h = 0; h < HOSTS; h++) {
		if (h != host && world.breaks)
			continue;
		for (int w = 0; w < WORKERS; w++)
			for (int c = 0; c < CHANNELS; c++)
				assert_int_equal(
				    world.got[host][worker][h][w][c],
				    world.said[h][w][c]);
	}
}

static void
run(bool breaks)
{
	for (unsigned seed = 1; seed <= SCHEDULES; seed++) {
		dice = seed * 0x9e3779b97f4a7c15u;
		world_new(breaks);
		for (int i = 0; i < STEPS; i++)
			step();
		world_ends();
		for (int h = 0; h < HOSTS; h++)
			for (int w = 0; w < WORKERS; w++)
				check(h, w);
		broker_done(&world.b);
	}
}

static void
test_slow_broker(void **state)
{
	(void)state;
	run(false);
}

static void
test_broken_connections(void **state)
{
	(void)state;
	run(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_broker),
		cmocka_unit_test(test_broken_connections),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
