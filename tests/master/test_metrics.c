/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/numbers.c, reloads.c, metrics.c, openmetrics.c and report.c:
 * what processes tell, the sums of it when they die and over an exec, and the texts
 * that are made of them.
 *
 * The text of /metrics is read by metrics_reader.c, and compared to $srcdir/tests/master/metrics.text, which test_metrics --write FILE makes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>
#include <unistd.h>

#include "common/json.h"
#include "common/msg.h"
#include "common/util.h"
#include "master/hooks.h"
#include "master/master.h"
#include "master/metrics.h"
#include "master/reloads.h"
#include "master/report.h"
#include "master/state.h"
#include "metrics_reader.h"

void	master_on_usage(struct child *, struct ipc *, const struct msg_usage *);
void	master_on_closes(struct child *, struct ipc *,
	    const struct msg_closes *);
void	master_on_hook_report(struct child *, struct ipc *,
	    const struct msg_hook_report *);

/* ---- a service ----------------------------------------------------------- */

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

static void
child_there(struct child *c, uint64_t generation)
{
	c->state = CHILD_UP;
	c->pid = 0x7fffffff;		/* nobody's */
	c->generation = generation;
	if (master.generation[c->slot] < generation)
		master.generation[c->slot] = generation;
}

static void
crew_there(struct crew *crew, uint64_t generation)
{
	for (unsigned i = 0; i < crew->n; i++)
		child_there(&crew->at[i], generation);
}

static int
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

static int
service_down(void **state)
{
	(void)state;
	children_free();
	hook_reports_done();
	event_base_free(master.base);
	return 0;
}

static struct child *
worker(unsigned slot)
{
	return &master.crew[CREW_IN_FORCE]->at[slot];
}

static void
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

static void
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

static bool
way_find(const char *app, const char *front, struct way *way)
{
	for (size_t i = 0; numbers_way(i, way); i++)
		if (strcmp(way->app, app) == 0 &&
		    strcmp(way->front, front) == 0)
			return true;
	return false;
}

static struct usage
used(const char *app, const char *front)
{
	struct way way;

	assert_true(way_find(app, front, &way));
	return numbers_by_way(&way);
}

static uint64_t
closed(const char *reason)
{
	const char *name;
	uint64_t n;

	for (size_t i = 0; (name = numbers_reason(i, &n)) != NULL; i++)
		if (strcmp(name, reason) == 0)
			return n;
	return UINT64_MAX;
}

/* ---- sums ---------------------------------------------------------------- */

static void
test_usage(void **state)
{
	struct usage u = { .connections = 3, .opened = 10, .closed = 7,
	    .messages_out = 100 };
	struct way way;

	(void)state;
	tell_usage(worker(1), "1001", "pusher", &u);
	tell_usage(worker(2), "1001", "pusher", &u);
	tell_usage(worker(2), "1001", "api", &u);
	assert_int_equal(used("1001", "pusher").connections, 6);
	assert_int_equal(used("1001", "pusher").messages_out, 200);
	/* What is told is the sum so far, not what is new. */
	u.opened = 11;
	u.connections = 4;
	tell_usage(worker(1), "1001", "pusher", &u);
	assert_int_equal(used("1001", "pusher").connections, 7);
	assert_int_equal(used("1001", "pusher").opened, 21);
	/* It dies: what it held is closed. */
	numbers_retire(worker(1));
	assert_int_equal(used("1001", "pusher").connections, 3);
	assert_int_equal(used("1001", "pusher").opened, 21);
	assert_int_equal(used("1001", "pusher").closed, 18);
	assert_int_equal(used("1001", "pusher").messages_out, 200);
	/* Its successor begins at 0. */
	u = (struct usage){ .connections = 1, .opened = 1 };
	tell_usage(worker(1), "1001", "pusher", &u);
	assert_int_equal(used("1001", "pusher").connections, 4);
	assert_int_equal(used("1001", "pusher").opened, 22);
	assert_int_equal(used("1001", "api").opened, 10);

	/* Nobody else's, and no name that could break out of a line. */
	tell_usage(worker(1), "1002", "pusher", &u);
	tell_usage(worker(1), "", "pusher", &u);
	tell_usage(worker(1), "1001", "", &u);
	tell_usage(worker(1), "1001", "a\nb", &u);
	tell_usage(worker(1), "1001", "a\"b", &u);
	tell_usage(worker(SLOT_ROUTER), "1001", "rooms", &u);
	for (size_t i = 0; numbers_way(i, &way); i++)
		assert_true(i < 2);
	/* Octets that are no numbers change nothing. */
	master_on_usage(worker(1), NULL, &(struct msg_usage){
	    .app = B("1001"), .front = B("pusher"), .packed = B("\xc0") });
	assert_int_equal(used("1001", "pusher").opened, 22);
}

static void
test_many_ways(void **state)
{
	struct usage u = { .opened = 1 };
	char front[24];
	struct way way;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < NUMBERS_WAYS + 10; i++) {
		snprintf(front, sizeof(front), "front%u", i);
		tell_usage(worker(1), "1001", front, &u);
	}
	while (numbers_way(n, &way))
		n++;
	assert_int_equal(n, NUMBERS_WAYS);
	assert_true(way_find("1001", "front17", &way));
	assert_int_equal(numbers_by_way(&way).opened, 1);
}

static size_t
ways_known(void)
{
	struct way way;
	size_t n = 0;

	while (numbers_way(n, &way))
		n++;
	return n;
}

/* Settings with so many applications from a number on, and 1001. */
static struct config
with_apps(unsigned first, unsigned n)
{
	struct config set = { .app = xcalloc(n + 1, sizeof(*set.app)),
		.n_app = n + 1 };

	for (unsigned i = 0; i < n; i++)
		set.app[i].id = xasprintf("app%u", first + i);
	set.app[n].id = xstrdup("1001");
	return set;
}

static void
without_apps(struct config *set)
{
	for (size_t i = 0; i < set->n_app; i++)
		free(set->app[i].id);
	free(set->app);
}

/* Applications come and go for years: those of today are counted. */
static void
test_room_of_the_gone(void **state)
{
	struct config before = with_apps(0, NUMBERS_WAYS),
	    after = with_apps(NUMBERS_WAYS, 2);
	struct usage u = { .connections = 1, .opened = 1 },
	    more = { .connections = 2, .opened = 5 };
	struct way way;

	(void)state;
	master.config = &before;
	for (unsigned i = 0; i < NUMBERS_WAYS - 1; i++)
		tell_usage(worker(i % 2 + 1), before.app[i].id, "pusher", &u);
	tell_usage(worker(1), "1001", "pusher", &more);
	tell_usage(worker(2), "1001", "pusher", &more);
	numbers_retire(worker(2));
	assert_int_equal(ways_known(), NUMBERS_WAYS);
	numbers_prune();		/* nobody is gone */
	assert_int_equal(ways_known(), NUMBERS_WAYS);

	master.config = &after;
	tell_usage(worker(1), after.app[0].id, "pusher", &u);
	assert_false(way_find(after.app[0].id, "pusher", &way));
	numbers_prune();
	assert_int_equal(ways_known(), 1);
	assert_int_equal(used("1001", "pusher").opened, 10);
	assert_int_equal(used("1001", "pusher").connections, 2);
	/* A worker that is late says of one that was forgotten. */
	tell_usage(worker(1), before.app[0].id, "pusher", &u);
	tell_usage(worker(1), after.app[0].id, "pusher", &u);
	tell_usage(worker(2), after.app[1].id, "pusher", &u);
	assert_int_equal(ways_known(), 3);
	assert_int_equal(used(after.app[0].id, "pusher").opened, 1);
	assert_int_equal(used(after.app[1].id, "pusher").opened, 1);
	numbers_retire(worker(1));
	assert_int_equal(used("1001", "pusher").opened, 10);
	assert_int_equal(used("1001", "pusher").connections, 0);
	assert_int_equal(used(after.app[0].id, "pusher").connections, 0);

	/* While there is room they stay. */
	master.config = &before;
	numbers_prune();
	assert_int_equal(ways_known(), 3);
	master.config = &config;
	without_apps(&before);
	without_apps(&after);
}

/* One that is gone from the new settings, but not from those of processes that
 * still serve. */
static void
test_room_of_the_leaving(void **state)
{
	struct config before = with_apps(0, NUMBERS_WAYS / 2);
	struct usage u = { .opened = 1 };

	(void)state;
	master.config = &before;
	for (unsigned i = 0; i < NUMBERS_WAYS / 2; i++)
		tell_usage(worker(1), before.app[i].id, "pusher", &u);
	master.config = &config;
	master.crew[CREW_IN_FORCE]->config = &before;
	numbers_prune();
	assert_int_equal(ways_known(), NUMBERS_WAYS / 2);
	master.crew[CREW_IN_FORCE]->config = NULL;
	numbers_prune();
	assert_int_equal(ways_known(), 0);
	without_apps(&before);
}

static void
test_closes(void **state)
{
	static const struct bytes names[] = { BYTES("PEER_CLOSED"),
	    BYTES("DRAIN"), BYTES("bad name") },
	    others[] = { BYTES("NEW_IN_A_LATER_RELEASE"), BYTES("DRAIN") };
	uint64_t n[] = { 5, 7, 9 };

	(void)state;
	tell_closes(worker(1), names, n, 3);
	tell_closes(worker(2), others, n, 2);
	assert_int_equal(closed("PEER_CLOSED"), 5);
	assert_int_equal(closed("DRAIN"), 14);
	assert_int_equal(closed("NEW_IN_A_LATER_RELEASE"), 5);
	assert_int_equal(closed("bad name"), UINT64_MAX);
	worker(1)->counters.connections = 40;
	numbers_retire(worker(1));
	assert_int_equal(closed("DRAIN"), 14);
	assert_int_equal(closed(NUMBERS_DIED), 40);
	n[1] = 1;
	tell_closes(worker(1), names, n, 2);
	assert_int_equal(closed("DRAIN"), 15);
	/* The router closes nobody. */
	tell_closes(worker(SLOT_ROUTER), names, n, 2);
	assert_int_equal(closed("DRAIN"), 15);
}

static void
told(struct child *c, uint64_t accepted, uint64_t connections,
    uint64_t members)
{
	struct counters counters = { .accepted = accepted,
	    .connections = connections, .members = members };

	histogram_add(&counters.publish_seconds, 1000000, accepted);
	numbers_told(c, &counters);
}

static void
test_slots(void **state)
{
	struct counters sum;
	struct crew *old;

	(void)state;
	told(worker(1), 10, 4, 0);
	told(worker(2), 100, 50, 0);
	told(worker(SLOT_ROUTER), 0, 0, 9);
	numbers_total(&sum);
	assert_int_equal(sum.accepted, 110);
	assert_int_equal(sum.connections, 54);
	assert_int_equal(histogram_count(&sum.publish_seconds), 110);
	/* Its successor goes on from there; of others nothing changes. */
	numbers_retire(worker(1));
	told(worker(1), 1, 1, 0);
	numbers_of_slot(1, &sum);
	assert_int_equal(sum.accepted, 11);
	assert_int_equal(sum.connections, 1);
	assert_int_equal(histogram_count(&sum.publish_seconds), 11);
	numbers_of_slot(2, &sum);
	assert_int_equal(sum.accepted, 100);

	/* Two crews at a time: both count; but of two routers that know the
	 * same only the one in force. */
	old = master.crew[CREW_LEAVING] = master.crew[CREW_IN_FORCE];
	master.crew[CREW_IN_FORCE] = crew_new(2);
	crew_there(master.crew[CREW_IN_FORCE], 2);
	told(worker(1), 5, 2, 0);
	told(worker(SLOT_ROUTER), 0, 0, 9);
	numbers_of_slot(1, &sum);
	assert_int_equal(sum.accepted, 16);
	assert_int_equal(sum.connections, 3);
	numbers_total(&sum);
	assert_int_equal(sum.accepted, 116);
	assert_int_equal(sum.members, 9);
	for (unsigned i = 0; i < old->n; i++)
		numbers_retire(&old->at[i]);
	numbers_total(&sum);
	assert_int_equal(sum.accepted, 116);
	assert_int_equal(sum.members, 9);
	assert_int_equal(sum.connections, 2);
	/* What was open in them is closed. */
	assert_int_equal(sum.closed, 4 + 1 + 50);
}

/* What the kernel says of a process stays when that tells its own. */
static void
test_processor(void **state)
{
	const struct rusage whole = { .ru_utime = { 2, 500000 },
	    .ru_stime = { 1, 250 } };
	struct child *c = worker(1);
	struct counters sum;

	(void)state;
	c->pid = getpid();
	numbers_look();
	assert_true(c->counters.memory > 100000);
	c->counters.cpu_us = 3000000;
	told(c, 1, 1, 0);
	assert_int_equal(c->counters.cpu_us, 3000000);
	assert_true(c->counters.memory > 100000);
	/* The clock of proc(5) is coarser, and never takes something back. */
	numbers_look();
	assert_int_equal(c->counters.cpu_us, 3000000);
	numbers_used(c, &whole);
	c->pid = 0x7fffffff;
	numbers_retire(c);
	numbers_of_slot(1, &sum);
	assert_int_equal(sum.cpu_us, 3500250);
	assert_int_equal(sum.memory, 0);
}

/* ---- over an exec -------------------------------------------------------- */

static void
carry(struct state *s, const struct child *c)
{
	struct state_child *to = state_add_child(s);

	to->slot = c->slot;
	counters_pack(&c->counters, &to->counters);
	numbers_save_child(c, to);
}

/* What again.c does with it, there and back. */
static void
over_exec(void)
{
	struct buf packed = { 0 };
	struct state s;
	const char *why;

	state_init(&s);
	for (unsigned i = 0; i < SLOTS; i++)
		state_add_slot(&s)->slot = i;
	counters_pack(&master.retired, &s.retired);
	numbers_save(&s);
	reloads_save(&s);
	for (unsigned i = 0; i < 3; i++)
		carry(&s, worker(i));
	state_pack(&s, &packed);
	state_done(&s);
	service_down(NULL);
	service_up(NULL);
	assert_int_equal(state_unpack(&s, buf_view(&packed), &why), 0);
	assert_int_equal(counters_unpack(&master.retired,
	    buf_view(&s.retired)), 0);
	numbers_restore(&s);
	reloads_restore(&s);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(counters_unpack(&worker(i)->counters,
		    buf_view(&s.children[i].counters)), 0);
		numbers_restore_child(&s.children[i], worker(i));
	}
	state_done(&s);
	buf_done(&packed);
}

static void
test_exec(void **state)
{
	static const struct bytes names[] = { BYTES("PEER_CLOSED"),
	    BYTES("DRAIN") };
	const uint64_t n[] = { 5, 7 };
	struct usage u = { .connections = 3, .opened = 10, .closed = 7 };
	struct counters sum;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		told(worker(1), 10, 4, 0);
		tell_usage(worker(1), "1001", "pusher", &u);
		tell_usage(worker(1), "a\"b\\c", "rooms", &u);
		tell_closes(worker(1), names, n, 2);
		tell_closes(worker(2), names, n, 2);
		if (i == 0)
			numbers_retire(worker(1));
	}
	reloads_note(1, 2, true, B("binary"), NULL);
	reloads_note(3, 4, false, B(""), "no such file");
	over_exec();
	numbers_of_slot(1, &sum);
	assert_int_equal(sum.accepted, 20);
	assert_int_equal(sum.connections, 4);
	numbers_total(&sum);
	assert_int_equal(sum.accepted, 20);
	assert_int_equal(used("1001", "pusher").opened, 20);
	assert_int_equal(used("1001", "pusher").connections, 3);
	assert_int_equal(used("a\"b\\c", "rooms").closed, 17);
	assert_int_equal(closed("DRAIN"), 21);
	assert_int_equal(closed(NUMBERS_DIED), 4);
	assert_int_equal(reloads_good(), 1);
	assert_int_equal(reloads_refused(), 1);
	/* What a process had told before is not counted twice after it. */
	u.opened = 11;
	tell_usage(worker(1), "1001", "pusher", &u);
	assert_int_equal(used("1001", "pusher").opened, 21);
	numbers_retire(worker(1));
	assert_int_equal(used("1001", "pusher").opened, 21);
	assert_int_equal(closed("DRAIN"), 21);
	numbers_total(&sum);
	assert_int_equal(sum.accepted, 20);
}

static void
test_reloads(void **state)
{
	struct buf text = { 0 };
	struct json all, one, member;
	const struct json_want want = { BYTES("time"), &member };
	const char *why;
	uint64_t n, time = 0;
	size_t pos = 0, count = 0;
	char *large = xcalloc(1, 5001);

	(void)state;
	memset(large, 'x', 5000);
	for (uint64_t i = 1; i <= 25; i++)
		reloads_note(1000 * i, i, i % 2 == 0, bytes_str(large),
		    i % 5 == 0 ? "why \"not\"" : NULL);
	free(large);
	assert_int_equal(reloads_good(), 20);
	assert_int_equal(reloads_refused(), 5);
	reloads_json(&text);
	assert_true(text.n < 20 * 1000);
	assert_int_equal(json_parse(buf_view(&text), &all, &why), 0);
	for (; json_next(&all, &pos, NULL, &one); count++) {
		assert_int_equal(json_pick(&one, &want, 1), 0);
		assert_int_equal(json_u64(&member, &n), 0);
		assert_true(n > time);
		time = n;
	}
	assert_int_equal(count, RELOADS_KEPT);
	assert_int_equal(time, 25000);
	buf_done(&text);
}

/* ---- texts --------------------------------------------------------------- */

static void
fill(void)
{
	static const struct bytes names[] = { BYTES("PEER_CLOSED"),
	    BYTES("SLOW_READER") };
	const uint64_t n[] = { 5, 7 };
	struct usage u = { .connections = 3, .opened = 10, .closed = 7,
	    .messages_in = 11, .messages_out = 12, .bytes_in = 13,
	    .bytes_out = 14, .published = 15, .requests = 16 };
	struct counters c;
	uint64_t *v = (uint64_t *)(void *)&c;

	for (unsigned slot = 0; slot < 3; slot++) {
		for (size_t i = 0; i < sizeof(c) / sizeof(*v); i++)
			v[i] = i < counter_count ? 100 * (slot + 1) + i : 0;
		c.memory = c.cpu_us = 0;
		if (slot != SLOT_ROUTER)
			c.members = c.users = c.occupied = 0;
		histogram_add(&c.publish_seconds, 1, 5);
		histogram_add(&c.publish_seconds, 600000000, 2);
		histogram_add(&c.publish_seconds, 20000000000, 1);
		numbers_told(worker(slot), &c);
	}
	tell_usage(worker(1), "1001", "pusher", &u);
	tell_usage(worker(1), "1001", "api", &u);
	tell_usage(worker(2), "a\"b\\c", "sse", &u);
	tell_closes(worker(1), names, n, 2);
	reloads_note(1700000001000, 20, true, B("binary"), NULL);
	master_on_hook_report(&master.crew[CREW_BESIDE]->at[0], NULL,
	    &(struct msg_hook_report){ .target = B("crm"), .json = B(
	    "{\"target\":\"crm\",\"app\":\"1001\",\"url\":\"https://x/\","
	    "\"state\":\"failing\",\"queued\":3,\"octets\":300,"
	    "\"delivered\":41,\"requests\":20,\"refused\":2,\"dropped\":1,"
	    "\"expired\":0,\"last_status\":500,\"last_error\":\"a \\\"b\\\"\","
	    "\"last_ok\":1700000000500,\"next_try\":0}") });
}

/* Of a counter that is there by itself, under its own name. */
static bool
is_plain(struct bytes name)
{
	for (size_t i = 0; i < counter_count; i++) {
		struct bytes own = bytes_str(counter_info[i].name);

		if (bytes_starts(name, own) && !bytes_eq(own,
		    B("connections")) && (name.n == own.n ||
		    bytes_eq(bytes_skip(name, own.n), B("_total"))))
			return true;
	}
	return false;
}

static bool
differs(const char *line)
{
	const char *name = strstr(line, "peal_");

	if (name == NULL)
		return false;
	name += 5;
	return strncmp(name, "build_info{", 11) == 0 ||
	    strncmp(name, "process_", 8) == 0 ||
	    is_plain(bytes_of(name, strcspn(name, " {\n")));
}

/* Without what no two runs have alike, and what each new counter would change. */
static void
golden_text(struct buf *out)
{
	struct buf text = { 0 };
	const char *line, *end;

	fill();
	metrics_text(&text, true);
	for (line = buf_cstr(&text); *line != '\0'; line = end) {
		end = strchr(line, '\n') + 1;
		if (!differs(line))
			buf_add(out, line, (size_t)(end - line));
	}
	buf_done(&text);
}

static void
test_text(void **state)
{
	struct buf text = { 0 };

	(void)state;
	fill();
	metrics_text(&text, true);
	metrics_read(buf_cstr(&text), true);
	buf_clear(&text);
	metrics_text(&text, false);
	metrics_read(buf_cstr(&text), false);
	assert_non_null(strstr(text.p,
	    "\npeal_app_info{app=\"a\\\"b\\\\c\",name=\"two\\nlines\"} 1\n"));
	assert_non_null(strstr(text.p, "# TYPE peal_reloads_total counter\n"));
	assert_null(strstr(text.p, "# UNIT"));
	buf_done(&text);
}

/* Before anybody has told anything, too. */
static void
test_empty_text(void **state)
{
	struct buf text = { 0 };

	(void)state;
	metrics_text(&text, true);
	metrics_read(buf_cstr(&text), true);
	buf_done(&text);
}

/* An application that nobody has used yet has its series, all of them at 0. */
static void
test_unused(void **state)
{
	struct buf text = { 0 };

	(void)state;
	metrics_text(&text, true);
	buf_cstr(&text);
	assert_non_null(strstr(text.p, "\npeal_connections_opened_total"
	    "{app=\"1001\",front=\"pusher\"} 0\n"));
	assert_non_null(strstr(text.p, "\npeal_api_requests_total"
	    "{app=\"1001\",front=\"api\"} 0\n"));
	buf_clear(&text);
	report_json(&text);
	assert_null(strstr(buf_cstr(&text), "\"pusher\":"));
	buf_done(&text);
}

/* Nothing that is counted is left out, but for what is named otherwise. */
static void
test_all_there(void **state)
{
	struct buf text = { 0 }, name = { 0 };

	(void)state;
	metrics_text(&text, true);
	buf_cstr(&text);
	for (size_t i = 0; i < histogram_kinds; i++) {
		buf_clear(&name);
		buf_fmt(&name, "\npeal_%s_count ", histogram_info[i].name);
		assert_non_null(strstr(text.p, buf_cstr(&name)));
	}
	for (size_t i = 0; i < counter_count; i++) {
		buf_clear(&name);
		buf_fmt(&name, "%s\n", counter_info[i].help);
		if (strstr(text.p, buf_cstr(&name)) != NULL)
			continue;
		/* These are told by application and by reason. */
		assert_true(strcmp(counter_info[i].name, "closed") == 0 ||
		    strcmp(counter_info[i].name, "published") == 0 ||
		    strncmp(counter_info[i].name, "messages_", 9) == 0);
	}
	buf_done(&text);
	buf_done(&name);
}

static void
test_golden(void **state)
{
	const char *top = getenv("srcdir");
	struct buf text = { 0 }, want = { 0 };
	char *path = xasprintf("%s/tests/master/metrics.text",
	    top != NULL ? top : ".");
	FILE *f = fopen(path, "r");

	(void)state;
	assert_non_null(f);
	want.n = fread(buf_room(&want, 1 << 20), 1, 1 << 20, f);
	fclose(f);
	golden_text(&text);
	assert_string_equal(buf_cstr(&text), buf_cstr(&want));
	buf_done(&text);
	buf_done(&want);
	free(path);
}

/* ---- the report ---------------------------------------------------------- */

static struct json
member(const struct json *of, const char *name)
{
	struct json found;
	const struct json_want want = { bytes_str(name), &found };

	assert_int_equal(json_pick(of, &want, 1), 0);
	return found;
}

static uint64_t
number(const struct json *of, const char *name)
{
	struct json v = member(of, name);
	uint64_t n = 0;

	assert_int_equal(json_u64(&v, &n), 0);
	return n;
}

static void
report_read(struct buf *text, struct json *all)
{
	const char *why;

	report_json(text);
	assert_int_equal(bytes_find(buf_view(text), '\n'), text->n - 1);
	assert_int_equal(json_parse(buf_view(text), all, &why), 0);
}

static void
test_report(void **state)
{
	struct buf text = { 0 };
	struct json all, v, one;
	size_t pos = 0, n = 0;

	(void)state;
	fill();
	report_read(&text, &all);
	assert_int_equal(number(&all, "pid"), getpid());
	v = member(&all, "workers");
	for (; json_next(&v, &pos, NULL, &one); n++)
		assert_int_equal(number(&one, "slot"), n + 1);
	assert_int_equal(n, 2);
	one = member(&one, "counters");
	assert_int_equal(number(&one, "connections"), 300);
	v = member(&all, "router");
	assert_true(bytes_eq(member(&v, "crew").raw, B("\"in force\"")));
	v = member(&all, "totals");
	assert_int_equal(number(&v, "connections"), 600);
	v = member(&all, "histograms");
	v = member(&v, "publish_seconds");
	assert_int_equal(number(&v, "count"), 24);
	assert_true(bytes_eq(member(&v, "sum").raw, B("63.600000015")));
	v = member(&all, "closes");
	assert_int_equal(number(&v, "SLOW_READER"), 7);
	v = member(&all, "apps");
	pos = 0;
	assert_true(json_next(&v, &pos, NULL, &one));
	one = member(&one, "fronts");
	v = member(&one, "pusher");
	assert_int_equal(number(&v, "published"), 15);
	assert_int_equal(member(&v, "requests").type, JSON_MISSING);
	v = member(&one, "api");
	assert_int_equal(number(&v, "requests"), 16);
	assert_int_equal(member(&v, "opened").type, JSON_MISSING);
	buf_done(&text);
}

/* Those of the settings in their order, then those that were. */
static void
test_report_apps(void **state)
{
	static const char *const want[] = { "\"1001\"", "\"a\\\"b\\\\c\"" };
	struct usage u = { .opened = 1 };
	struct buf text = { 0 };
	struct json all, v, one;
	size_t pos = 0, n = 0;

	(void)state;
	tell_usage(worker(1), "a\"b\\c", "rooms", &u);
	tell_usage(worker(2), "a\"b\\c", "pusher", &u);
	config.n_app = 1;
	report_read(&text, &all);
	config.n_app = 2;
	v = member(&all, "apps");
	for (; json_next(&v, &pos, NULL, &one); n++) {
		assert_true(n < 2);
		assert_true(bytes_eq(member(&one, "app").raw,
		    bytes_str(want[n])));
	}
	assert_int_equal(n, 2);
	one = member(&one, "fronts");
	v = member(&one, "pusher");
	assert_int_equal(number(&v, "opened"), 1);
	v = member(&one, "rooms");
	assert_int_equal(number(&v, "opened"), 1);
	buf_done(&text);
}

/* A target's counts go on when a courier begins anew. */
static void
test_report_hooks(void **state)
{
	struct child *courier = &master.crew[CREW_BESIDE]->at[0];
	struct buf text = { 0 };
	struct json all, v, one;
	size_t pos = 0;

	(void)state;
	fill();
	numbers_retire(courier);
	child_there(courier, 2);
	master_on_hook_report(courier, NULL, &(struct msg_hook_report){
	    .target = B("crm"), .json = B("{\"target\":\"crm\",\"app\":\"1001\","
	    "\"queued\":1,\"delivered\":2,\"requests\":1}") });
	report_read(&text, &all);
	v = member(&all, "hooks");
	assert_true(json_next(&v, &pos, NULL, &one));
	assert_int_equal(number(&one, "delivered"), 43);
	assert_int_equal(number(&one, "requests"), 21);
	assert_int_equal(number(&one, "queued"), 1);
	buf_done(&text);
}

/* ---- targets that go and come back ---------------------------------------- */

#define TARGETS		70

static void
target_says(struct child *courier, const char *target, unsigned delivered)
{
	struct buf json = { 0 };

	buf_fmt(&json, "{\"target\":\"%s\",\"app\":\"1001\",\"delivered\":%u}",
	    target, delivered);
	master_on_hook_report(courier, NULL, &(struct msg_hook_report){
	    .target = bytes_str(target), .json = buf_view(&json) });
	buf_done(&json);
}

static void
in_force(struct config_webhook *first, size_t n)
{
	config.webhook = first;
	config.n_webhook = n;
	hook_reports_prune();
}

/* The counts of the last 64 that went are there when they come back. */
static void
test_gone_hooks(void **state)
{
	struct child *courier = &master.crew[CREW_BESIDE]->at[0];
	static struct config_webhook many[TARGETS];
	static char label[TARGETS][8];
	struct buf text = { 0 };
	struct json all, one;
	const char *why;
	size_t pos = 0;

	(void)state;
	for (unsigned i = 0; i < TARGETS; i++) {
		snprintf(label[i], sizeof(label[i]), "t%u", i);
		many[i].label = label[i];
	}
	in_force(many, TARGETS);
	for (unsigned i = 0; i < TARGETS; i++)
		target_says(courier, label[i], i + 1);
	in_force(many, 10);
	in_force(many + 5, 5);		/* 65 are gone: 10 was the first */
	in_force(many + 6, 4);		/* and then 11 */
	in_force(many, TARGETS);
	for (unsigned i = 0; i < TARGETS; i++)
		target_says(courier, label[i], 0);
	hooks_json(&text);
	assert_int_equal(json_parse(buf_view(&text), &all, &why), 0);
	for (unsigned i = 0; i < TARGETS; i++) {
		assert_true(json_next(&all, &pos, NULL, &one));
		assert_int_equal(number(&one, "delivered"),
		    i == 10 || i == 11 ? 0 : i + 1);
	}
	buf_done(&text);
	config.webhook = hooks;
	config.n_webhook = 1;
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, service_up, \
			    service_down)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_usage), TEST(test_many_ways),
		TEST(test_room_of_the_gone), TEST(test_room_of_the_leaving),
		TEST(test_closes),
		TEST(test_slots), TEST(test_processor), TEST(test_exec),
		TEST(test_reloads), TEST(test_text), TEST(test_empty_text),
		TEST(test_unused),
		TEST(test_all_there), TEST(test_golden), TEST(test_report),
		TEST(test_report_apps),
		TEST(test_report_hooks), TEST(test_gone_hooks),
	};
	struct buf text = { 0 };
	FILE *f;

	if (argc == 3 && strcmp(argv[1], "--write") == 0) {
		service_up(NULL);
		golden_text(&text);
		if ((f = fopen(argv[2], "w")) == NULL)
			return 1;
		fwrite(text.p, 1, text.n, f);
		return fclose(f);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
