/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/numbers.c and hooks.c against a model: processes of each kind
 * start, count, tell some of it, die at any moment, are replaced by others or by a
 * whole crew, and the master becomes another binary.  Behind each step all sums are
 * those of the model, and nothing that only grows has gone back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/json.h"
#include "common/msg.h"
#include "common/util.h"
#include "master/hooks.h"
#include "master/master.h"
#include "master/state.h"

#define SEEDS	40
#define STEPS	500
#define WORKERS	4
#define CREW	(SLOT_WORKER_FIRST + WORKERS)
#define REASONS	4
#define WAYS	4

void	master_on_usage(struct child *, struct ipc *, const struct msg_usage *);
void	master_on_closes(struct child *, struct ipc *,
	    const struct msg_closes *);
void	master_on_hook_report(struct child *, struct ipc *,
	    const struct msg_hook_report *);

static struct config_app apps[] = {
	{ .id = (char *)(uintptr_t)"1001", .label = (char *)(uintptr_t)"main" },
	{ .id = (char *)(uintptr_t)"1002", .label = (char *)(uintptr_t)"two" },
};
static struct config_webhook hooks[] = {
	{ .label = (char *)(uintptr_t)"crm" },
};
static struct config config = { .app = apps, .n_app = 2, .webhook = hooks,
	.n_webhook = 1 };

static const char *const reasons[REASONS] = { "PEER_CLOSED", "DRAIN",
	"SLOW_READER", "TIMEOUT" };
static const struct {
	const char *app, *front;
} ways[WAYS] = {
	{ "1001", "pusher" }, { "1001", "api" }, { "1002", "pusher" },
	{ "1002", "rooms" },
};

static unsigned seed;

static unsigned
below(unsigned n)
{
	return (unsigned)rand() % n;
}

/* ---- the model ------------------------------------------------------------- */

struct numbers_of {
	struct counters	 counters;
	uint64_t	 closes[REASONS];
	struct usage	 usage[WAYS];
	uint64_t	 delivered;	/* to the target */
};

/* A process: what it has counted, and what of it the master knows. */
struct process {
	struct child	*child;
	struct numbers_of counted, told;
};

static struct process	 in_force[CREW], leaving[CREW], courier;
static unsigned		 n_in_force, n_leaving;
/* Of those that are gone. */
static struct numbers_of gone;
static struct counters	 gone_of[SLOTS];
static uint64_t		 died;
static bool		 reported;	/* the target, since it is there */
static unsigned		 owner;		/* application of the target */
/* Behind the last step. */
static struct numbers_of last;
static struct counters	 last_of[SLOTS];

static void
start(struct process *p, struct child *c)
{
	memset(p, 0, sizeof(*p));
	p->child = c;
	c->state = CHILD_UP;
	c->pid = 0x7fffffff;		/* nobody's */
	c->generation = ++master.generation[c->slot];
}

static void
crew_start(struct crew *crew)
{
	n_in_force = crew->n;
	for (unsigned i = 0; i < crew->n; i++)
		start(&in_force[i], &crew->at[i]);
}

static uint64_t *
field(struct counters *c, const struct counter_info *info)
{
	return (uint64_t *)(void *)((char *)c + info->offset);
}

/* The master's own to say. */
static bool
is_own(const struct counter_info *info)
{
	return strcmp(info->name, "memory") == 0 ||
	    strcmp(info->name, "cpu_us") == 0;
}

static void
count_connections(struct numbers_of *n)
{
	uint64_t opened = below(5), closed;

	n->counters.accepted += opened;
	n->counters.connections += opened;
	closed = below((unsigned)n->counters.connections + 1);
	n->counters.closed += closed;
	n->counters.connections -= closed;
	n->closes[below(REASONS)] += closed;
}

static void
count_usage(struct usage *u)
{
	uint64_t opened = below(4), closed;

	u->opened += opened;
	u->connections += opened;
	closed = below((unsigned)u->connections + 1);
	u->closed += closed;
	u->connections -= closed;
	u->messages_in += below(100);
	u->bytes_out += below(1000);
}

static void
count(struct process *p)
{
	struct counters *c = &p->counted.counters;

	for (size_t i = 0; i < counter_count; i++) {
		const struct counter_info *info = &counter_info[i];

		if (is_own(info) || below(4) != 0 ||
		    strcmp(info->name, "connections") == 0 ||
		    strcmp(info->name, "accepted") == 0 ||
		    strcmp(info->name, "closed") == 0)
			continue;
		if (info->is_gauge)
			*field(c, info) = below(50);
		else
			*field(c, info) += below(50);
	}
	histogram_add(&c->publish_seconds, 1000ull << below(20), below(5));
	p->counted.delivered += config.n_webhook != 0 ? below(5) : 0;
	if (!child_is_worker(p->child))
		return;
	count_connections(&p->counted);
	count_usage(&p->counted.usage[below(WAYS)]);
}

static void
add(struct numbers_of *sum, struct counters *of_slot, const struct process *p,
    bool gauges)
{
	const struct numbers_of *n = &p->told;

	(gauges ? counters_add : counters_retire)(&sum->counters, &n->counters);
	(gauges ? counters_add : counters_retire)(&of_slot[p->child->slot],
	    &n->counters);
	for (unsigned i = 0; i < REASONS; i++)
		sum->closes[i] += n->closes[i];
	for (unsigned i = 0; i < WAYS; i++)
		usage_add(&sum->usage[i], &n->usage[i]);
	sum->delivered += p->child->slot == SLOT_COURIER ? n->delivered : 0;
}

/* ---- steps ------------------------------------------------------------------ */

static void
tell_counters(struct process *p)
{
	p->told.counters = p->counted.counters;
	numbers_told(p->child, &p->told.counters);
}

static void
tell_closes(struct process *p)
{
	struct bytes names[REASONS];
	uint64_t n[REASONS];
	struct buf packed = { 0 };
	struct msg_closes m = { .names = { names, REASONS } };
	unsigned first = below(REASONS);

	/* In any order. */
	for (unsigned i = 0; i < REASONS; i++) {
		unsigned k = (first + i) % REASONS;

		names[i] = bytes_str(reasons[k]);
		n[i] = p->told.closes[k] = p->counted.closes[k];
	}
	msg_pack_numbers(&packed, n, REASONS);
	m.packed = buf_view(&packed);
	master_on_closes(p->child, NULL, &m);
	buf_done(&packed);
}

static void
tell_usage(struct process *p)
{
	unsigned i = below(WAYS);
	struct buf packed = { 0 };
	struct msg_usage m = { .app = bytes_str(ways[i].app),
		.front = bytes_str(ways[i].front) };

	p->told.usage[i] = p->counted.usage[i];
	usage_pack(&p->told.usage[i], &packed);
	m.packed = buf_view(&packed);
	master_on_usage(p->child, NULL, &m);
	buf_done(&packed);
}

static void
tell_target(struct process *p)
{
	char text[64];

	if (config.n_webhook == 0)
		return;
	reported = true;
	p->told.delivered = p->counted.delivered;
	snprintf(text, sizeof(text), "{\"app\":\"%u\",\"delivered\":%llu}",
	    owner, (unsigned long long)p->told.delivered);
	master_on_hook_report(p->child, NULL, &(struct msg_hook_report){
	    .target = B("crm"), .json = bytes_str(text) });
}

static void
tell(struct process *p)
{
	if (below(2))
		tell_counters(p);
	if (p == &courier)
		tell_target(p);
	if (!child_is_worker(p->child))
		return;
	if (below(2))
		tell_closes(p);
	tell_usage(p);
}

/* What it had not told is lost, what it held is closed. */
static void
end(struct process *p)
{
	uint64_t held = p->told.counters.connections;

	p->told.counters.closed += child_is_worker(p->child) ? held : 0;
	died += child_is_worker(p->child) ? held : 0;
	for (unsigned i = 0; i < WAYS; i++) {
		p->told.usage[i].closed += p->told.usage[i].connections;
		p->told.usage[i].connections = 0;
	}
	add(&gone, gone_of, p, false);
	numbers_retire(p->child);
	p->child->pid = 0;
}

static void
replace(struct process *p)
{
	struct child *c = p->child;

	end(p);
	start(p, c);
}

/* Another crew takes over; the old one ends little by little. */
static void
reload(void)
{
	master.crew[CREW_LEAVING] = master.crew[CREW_IN_FORCE];
	memcpy(leaving, in_force, sizeof(leaving));
	n_leaving = n_in_force;
	master.crew[CREW_IN_FORCE] = crew_new(1 + below(WORKERS));
	crew_start(master.crew[CREW_IN_FORCE]);
}

static void
leave(void)
{
	end(&leaving[--n_leaving]);
	if (n_leaving > 0)
		return;
	crew_free(master.crew[CREW_LEAVING]);
	master.crew[CREW_LEAVING] = NULL;
}

static void
child_save(const struct child *c, struct state_child *to)
{
	to->slot = c->slot;
	to->generation = c->generation;
	counters_pack(&c->counters, &to->counters);
	numbers_save_child(c, to);
}

static void
child_restore(const struct state_child *from, struct process *p,
    struct child *c)
{
	p->child = c;
	c->state = CHILD_UP;
	c->pid = 0x7fffffff;
	c->generation = from->generation;
	assert_int_equal(counters_unpack(&c->counters,
	    buf_view(&from->counters)), 0);
	numbers_restore_child(from, c);
}

static void
service_down(void)
{
	children_free();
	hook_reports_done();
	event_base_free(master.base);
}

static void
service_up(void)
{
	memset(&master, 0, sizeof(master));
	master.base = event_base_new();
	master.config = &config;
	master.crew[CREW_BESIDE] = crew_new_beside();
}

static void
save(struct state *s)
{
	state_init(s);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct state_slot *slot = state_add_slot(s);

		slot->slot = i;
		slot->generation = master.generation[i];
	}
	counters_pack(&master.retired, &s->retired);
	numbers_save(s);
	hook_reports_save(s);
	for (unsigned i = 0; i < n_in_force; i++)
		child_save(in_force[i].child, state_add_child(s));
	child_save(courier.child, state_add_courier(s));
}

/* As again.c does. */
static void
exec(void)
{
	struct buf packed = { 0 };
	struct state s;
	const char *why;

	save(&s);
	state_pack(&s, &packed);
	state_done(&s);
	service_down();
	service_up();
	assert_int_equal(state_unpack(&s, buf_view(&packed), &why), 0);
	for (unsigned i = 0; i < SLOTS; i++)
		master.generation[i] = s.slots[i].generation;
	assert_int_equal(counters_unpack(&master.retired,
	    buf_view(&s.retired)), 0);
	numbers_restore(&s);
	master.crew[CREW_IN_FORCE] = crew_new(n_in_force - SLOT_WORKER_FIRST);
	for (unsigned i = 0; i < n_in_force; i++)
		child_restore(&s.children[i], &in_force[i],
		    &master.crew[CREW_IN_FORCE]->at[i]);
	child_restore(&s.courier[0], &courier,
	    &master.crew[CREW_BESIDE]->at[0]);
	hook_reports_restore(&s);
	state_done(&s);
	buf_done(&packed);
}

/* The target is taken out of the settings, or comes back, or becomes another
 * application's; and begins anew. */
static void
settings_change(void)
{
	gone.delivered += courier.told.delivered;
	courier.told.delivered = courier.counted.delivered = 0;
	if (config.n_webhook != 0 && below(2) == 0) {
		owner++;
	} else {
		config.n_webhook = config.n_webhook == 0;
		reported = false;
	}
	hook_reports_prune();
}

static struct process *
anybody(void)
{
	unsigned i = below(n_in_force + n_leaving + 1);

	return i < n_in_force ? &in_force[i] :
	    i < n_in_force + n_leaving ? &leaving[i - n_in_force] : &courier;
}

static void
step(void)
{
	struct process *p = anybody();

	switch (below(16)) {
	default:
		count(p);
		if (below(2))
			tell(p);
		break;
	case 0:
		if (p < leaving || p >= leaving + CREW)
			replace(p);
		break;
	case 1:
		if (n_leaving == 0)
			reload();
		break;
	case 2:
	case 3:
		if (n_leaving > 0)
			leave();
		break;
	case 4:
		if (n_leaving == 0)
			exec();
		break;
	case 5:
		settings_change();
		break;
	}
}

/* ---- what must hold ---------------------------------------------------------- */

static void
equal(const struct counters *have, const struct counters *want,
    const char *what)
{
	for (size_t i = 0; i < counter_count; i++)
		if (!is_own(&counter_info[i]) && counter_at(have,
		    &counter_info[i]) != counter_at(want, &counter_info[i]))
			fail_msg("seed %u: %s: %s is %llu, not %llu", seed,
			    what, counter_info[i].name,
			    (unsigned long long)counter_at(have,
			    &counter_info[i]), (unsigned long long)counter_at(
			    want, &counter_info[i]));
	assert_memory_equal(&have->publish_seconds, &want->publish_seconds,
	    sizeof(have->publish_seconds));
}

static void
grown(const struct counters *now, struct counters *before, const char *what)
{
	for (size_t i = 0; i < counter_count; i++)
		if (!counter_info[i].is_gauge && counter_at(now,
		    &counter_info[i]) < counter_at(before, &counter_info[i]))
			fail_msg("seed %u: %s: %s went back", seed, what,
			    counter_info[i].name);
	*before = *now;
}

static uint64_t
closed(const char *reason)
{
	const char *name;
	uint64_t n;

	for (size_t i = 0; (name = numbers_reason(i, &n)) != NULL; i++)
		if (strcmp(name, reason) == 0)
			return n;
	return 0;
}

static struct usage
used(unsigned i)
{
	struct way way;

	for (size_t k = 0; numbers_way(k, &way); k++)
		if (strcmp(way.app, ways[i].app) == 0 &&
		    strcmp(way.front, ways[i].front) == 0)
			return numbers_by_way(&way);
	return (struct usage){ 0 };
}

static uint64_t
delivered(void)
{
	struct buf text = { 0 };
	struct json all, one, member;
	const struct json_want want = { BYTES("delivered"), &member };
	const char *why;
	uint64_t n = 0;
	size_t pos = 0;
	bool there;

	hooks_json(&text);
	assert_int_equal(json_parse(buf_view(&text), &all, &why), 0);
	there = json_next(&all, &pos, NULL, &one);
	assert_int_equal(there, reported);
	if (there) {
		assert_int_equal(json_pick(&one, &want, 1), 0);
		assert_int_equal(json_u64(&member, &n), 0);
	}
	buf_done(&text);
	return n;
}

static void
check_names(const struct numbers_of *model)
{
	for (unsigned i = 0; i < REASONS; i++) {
		assert_int_equal(closed(reasons[i]), model->closes[i]);
		assert_true(model->closes[i] >= last.closes[i]);
	}
	assert_int_equal(closed(NUMBERS_DIED), died);
	for (unsigned i = 0; i < WAYS; i++) {
		struct usage u = used(i);

		assert_memory_equal(&u, &model->usage[i], sizeof(u));
		assert_int_equal(u.opened, u.closed + u.connections);
		assert_true(u.opened >= last.usage[i].opened &&
		    u.closed >= last.usage[i].closed);
	}
	assert_int_equal(delivered(), reported ? model->delivered : 0);
	assert_true(model->delivered >= last.delivered);
}

static void
check(void)
{
	static struct counters of[SLOTS];
	struct numbers_of model = gone;
	struct counters have;
	char what[16];

	memcpy(of, gone_of, sizeof(of));
	for (unsigned i = 0; i < n_in_force; i++)
		add(&model, of, &in_force[i], true);
	for (unsigned i = 0; i < n_leaving; i++)
		add(&model, of, &leaving[i], i != SLOT_ROUTER);
	add(&model, of, &courier, true);

	numbers_total(&have);
	equal(&have, &model.counters, "total");
	grown(&have, &last.counters, "total");
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		snprintf(what, sizeof(what), "slot %u", slot);
		numbers_of_slot(slot, &have);
		equal(&have, &of[slot], what);
		grown(&have, &last_of[slot], what);
	}
	check_names(&model);
	last = model;
}

/* All that was ever accepted is closed or open, whoever died. */
static void
check_workers(void)
{
	struct counters sum;

	for (unsigned slot = SLOT_WORKER_FIRST; slot < CREW; slot++) {
		numbers_of_slot(slot, &sum);
		assert_int_equal(sum.accepted, sum.closed + sum.connections);
	}
}

static void
run(void)
{
	srand(seed);
	memset(&gone, 0, sizeof(gone));
	memset(gone_of, 0, sizeof(gone_of));
	memset(&last, 0, sizeof(last));
	memset(last_of, 0, sizeof(last_of));
	died = n_leaving = 0;
	reported = false;
	config.n_webhook = 1;
	service_up();
	master.crew[CREW_IN_FORCE] = crew_new(2);
	crew_start(master.crew[CREW_IN_FORCE]);
	start(&courier, &master.crew[CREW_BESIDE]->at[0]);
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		check();
		check_workers();
	}
	service_down();
}

static void
test_random(void **state)
{
	unsigned seeds = getenv("PEAL_TEST_BRIEF") != NULL ? 2 : SEEDS;

	(void)state;
	for (seed = 1; seed <= seeds; seed++)
		run();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
