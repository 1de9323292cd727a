/* SPDX-License-Identifier: MIT
 *
 * For tests of the master's numbers: a service of two workers, a router and a
 * courier that are nobody's processes, two applications, and what they tell.
 */
#ifndef PEAL_TEST_SERVICE_H
#define PEAL_TEST_SERVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/msg.h"
#include "common/util.h"
#include "master/hooks.h"
#include "master/master.h"

void	master_on_usage(struct child *, struct ipc *, const struct msg_usage *);
void	master_on_closes(struct child *, struct ipc *,
	    const struct msg_closes *);

static struct config_app apps[] = {
	{ .id = (char *)(uintptr_t)"1001", .label = (char *)(uintptr_t)"main" },
	{ .id = (char *)(uintptr_t)"a\"b\\c",
	    .label = (char *)(uintptr_t)"two\nlines" },
};
static struct config_webhook hooks[] = {
	{ .label = (char *)(uintptr_t)"crm" },
};
static struct config config = { .app = apps, .n_app = 2, .webhook = hooks,
	.n_webhook = 1 };

static inline void
child_there(struct child *c, uint64_t generation)
{
	c->state = CHILD_UP;
	c->pid = 0x7fffffff;		/* nobody's */
	c->generation = generation;
	if (master.generation[c->slot] < generation)
		master.generation[c->slot] = generation;
}

static inline void
crew_there(struct crew *crew, uint64_t generation)
{
	for (unsigned i = 0; i < crew->n; i++)
		child_there(&crew->at[i], generation);
}

static inline int
service_up(void **state)
{
	(void)state;
	memset(&master, 0, sizeof(master));
	master.base = event_base_new();
	master.config = &config;
	master.started_wall_ms = 1700000000123;
	master.crew[CREW_IN_FORCE] = crew_new(2);
	crew_there(master.crew[CREW_IN_FORCE], 1);
	master.crew[CREW_BESIDE] = crew_new_beside();
	crew_there(master.crew[CREW_BESIDE], 1);
	return 0;
}

static inline int
service_down(void **state)
{
	(void)state;
	children_free();
	hook_reports_done();
	event_base_free(master.base);
	return 0;
}

static inline struct child *
worker(unsigned slot)
{
	return &master.crew[CREW_IN_FORCE]->at[slot];
}

static inline void
tell_usage(struct child *c, const char *app, const char *front,
    const struct usage *u)
{
	struct buf packed = { 0 };
	struct msg_usage m = { .app = bytes_str(app),
		.front = bytes_str(front) };

	usage_pack(u, &packed);
	m.packed = buf_view(&packed);
	master_on_usage(c, NULL, &m);
	buf_done(&packed);
}

static inline void
tell_closes(struct child *c, const struct bytes *names,
    const uint64_t *numbers, uint32_t n)
{
	struct msg_closes m = { .names = { names, n } };
	struct buf packed = { 0 };

	msg_pack_numbers(&packed, numbers, n);
	m.packed = buf_view(&packed);
	master_on_closes(c, NULL, &m);
	buf_done(&packed);
}

static inline bool
way_find(const char *app, const char *front, struct way *way)
{
	for (size_t i = 0; numbers_way(i, way); i++)
		if (strcmp(way->app, app) == 0 &&
		    strcmp(way->front, front) == 0)
			return true;
	return false;
}

static inline struct usage
used(const char *app, const char *front)
{
	struct way way;

	assert_true(way_find(app, front, &way));
	return numbers_by_way(&way);
}

static inline uint64_t
closed(const char *reason)
{
	const char *name;
	uint64_t n;

	for (size_t i = 0; (name = numbers_reason(i, &n)) != NULL; i++)
		if (strcmp(name, reason) == 0)
			return n;
	return UINT64_MAX;
}

static inline void
told(struct child *c, uint64_t accepted, uint64_t connections,
    uint64_t members)
{
	struct counters counters = { .accepted = accepted,
	    .connections = connections, .members = members };

	histogram_add(&counters.publish_seconds, 1000000, accepted);
	numbers_told(c, &counters);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, service_up, \
			    service_down)

#endif
