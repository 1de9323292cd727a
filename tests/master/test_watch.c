/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/child.c: what workers hear of a router that does not answer.
 * The clock is the test's.
 */
#include "tests/master/service.h"

#include <unistd.h>

#include "common/ipc.h"

#define TICK	1000
#define ANSWERS	20		/* ms after it was asked */

void	master_on_pong(struct child *, struct ipc *, const struct msg_pong *);

static uint64_t now = 1000000;
static struct msg_reader *reader;
static int ends[2][2];

static struct child *
router(void)
{
	return crew_router(master.crew[CREW_IN_FORCE]);
}

static int
nothing(void *ctx, struct ipc *ipc, unsigned type, struct unpacker *u,
    const char **why)
{
	(void)ctx, (void)ipc, (void)type, (void)u, (void)why;
	return 0;
}

static void
gone(void *ctx, struct ipc *ipc, const char *why)
{
	(void)ctx, (void)ipc, (void)why;
}

/* A router and one worker, and a first look, which only begins. */
static int
watch_up(void **state)
{
	static const struct ipc_ops ops = { .on_message = nothing,
	    .on_gone = gone };

	if (service_up(state) < 0)
		return -1;
	config.peal.watchdog = 5 * TICK;
	master.ready = true;
	worker(2)->pid = 0;
	master.crew[CREW_BESIDE]->at[0].pid = 0;
	for (unsigned i = 0; i < 2; i++) {
		if (ipc_pair(ends[i]) < 0)
			return -1;
		worker(i)->ipc = ipc_new(master.base, ends[i][0], false, &ops,
		    NULL);
	}
	reader = msg_reader_new();
	now += 100 * TICK;
	children_tick(now);
	return 0;
}

static int
watch_down(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		ipc_free(worker(i)->ipc);
		worker(i)->ipc = NULL;
		close(ends[i][1]);
	}
	msg_reader_free(reader);
	return service_down(state);
}

static void
answer(struct child *c)
{
	master_on_pong(c, c->ipc, &(struct msg_pong){ .n = c->asked });
	c->heard_ms = now + ANSWERS;
}

/* What the last ping to the worker says. */
static uint64_t
said(void)
{
	struct bytes all = buf_view(ipc_out(worker(1)->ipc));
	struct msg_ping m = { 0 };
	struct unpacker u;
	const char *why;
	unsigned type;

	assert_true(all.n > 4);
	while (all.n > 0) {
		size_t n = (unsigned char)all.p[2] << 8 |
		    (unsigned char)all.p[3];

		assert_int_equal(msg_read(reader, bytes_of(all.p + 4, n),
		    &type, &u, &why), 0);
		assert_int_equal(type, MSG_ping);
		assert_int_equal(msg_unpack_ping(&u, &m, &why), 0);
		all = bytes_skip(all, 4 + n);
	}
	return m.silent;
}

/* A look after so many ms; the worker answers always. */
static uint64_t
look(uint64_t after, bool answers)
{
	now += after;
	children_tick(now);
	answer(worker(1));
	if (answers)
		answer(router());
	return said();
}

static void
test_answers(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(look(TICK, true), 0);
}

/* Told from the second look on; nothing more as soon as it answers. */
static void
test_hangs(void **state)
{
	(void)state;
	look(TICK, true);
	assert_int_equal(look(TICK, false), 0);		/* it is just asked */
	assert_int_equal(look(TICK, false), 0);		/* once is nothing */
	assert_int_equal(look(TICK, false), 3 * TICK - ANSWERS);
	assert_int_equal(look(TICK, false), 4 * TICK - ANSWERS);
	answer(router());
	assert_int_equal(look(TICK, true), 0);
	assert_int_equal(look(TICK, true), 0);
}

/* Always one answer behind, as on a machine that has too much to do. */
static void
test_lags(void **state)
{
	uint64_t n;

	(void)state;
	look(TICK, true);
	for (int i = 0; i < 10; i++) {
		n = router()->asked;
		assert_int_equal(look(TICK, false), 0);
		master_on_pong(router(), router()->ipc,
		    &(struct msg_pong){ .n = n });
		router()->heard_ms = now + ANSWERS;
	}
}

/* All stood still, the master too: that one missing answer says nothing. */
static void
test_everything_stood_still(void **state)
{
	(void)state;
	look(TICK, true);
	look(TICK, false);
	assert_int_equal(look(2900, false), 0);
	answer(router());
	assert_int_equal(look(TICK, true), 0);
	look(TICK, false);
	assert_int_equal(look(60 * TICK, false), 0);
	assert_int_equal(look(TICK, false), TICK);
}

int
main(void)
{
#define WATCHED(name) \
	cmocka_unit_test_setup_teardown(name, watch_up, watch_down)
	static const struct CMUnitTest tests[] = {
		WATCHED(test_answers),
		WATCHED(test_hangs),
		WATCHED(test_lags),
		WATCHED(test_everything_stood_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
