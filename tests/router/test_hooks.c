/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/hooks.c, hooks_tell.c and roll.c: what the courier is told by
 * one router, and what it is told again.  Over several hosts and under random
 * schedules: test_hooks_random.c.
 */
#include "cluster.h"
#include "told.h"

#include <stdio.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/log.h"
#include "router/payload.h"

#define HOOK	"subscription_count = yes\n" \
		"[webhook a]\nurl = https://hooks.example.org/\n"
#define STATES	HOOK "events = channel_occupied, member_added\n"
#define CLIENT	HOOK "events = client_event\n"

static void
join(struct mate *w, const char *channel, uint64_t flags)
{
	SAY(w, join, .app = B("1"), .channel = bytes_str(channel), .n = 1,
	    .flags = flags);
}

static void
leave(struct mate *w, const char *channel)
{
	SAY(w, leave, .app = B("1"), .channel = bytes_str(channel), .n = 1);
}

static void
enter(struct mate *w, const char *channel, const char *user, uint64_t flags)
{
	SAY(w, join, .app = B("1"), .channel = bytes_str(channel), .n = 1,
	    .user = bytes_str(user), .member = B("{}"),
	    .flags = JOIN_PRESENCE | flags);
}

static void
go(struct mate *w, const char *channel, const char *user)
{
	SAY(w, leave, .app = B("1"), .channel = bytes_str(channel), .n = 1,
	    .user = bytes_str(user));
}

static void
client_event(struct mate *w, uint64_t serial, const char *data,
    const char *user)
{
	SAY(w, publish, .serial = serial, .app = B("1"), .channel = B("c"),
	    .event = B("\"client-e\""), .data = bytes_str(data),
	    .user = bytes_str(user), .except_a = 5, .except_b = 6,
	    .flags = PUBLISH_CLIENT);
}

static void
ack(struct mate *k)
{
	SAY(k, hook_ack, .serial = k->serial);
}

/* The first words on a link, when nothing is there. */
static void
gets_empty_roll(struct mate *k)
{
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "roll");
	GETS(k, "rolled");
	GETS_NONE(k);
}

static struct mate *
courier(struct rig *g)
{
	struct mate *k = rig_courier(g);

	rig_run(g);
	return k;
}

/* ---- states ------------------------------------------------------------------- */

static void
test_channels(void **state)
{
	struct rig *g = rig_new(STATES);
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	join(a, "n", 0);
	join(b, "n", 0);
	rig_run(g);
	GETS(k, "occupied n");
	leave(a, "n");
	rig_run(g);
	GETS_NONE(k);
	leave(b, "n");
	rig_run(g);
	GETS(k, "vacated n");
	/* All of it in one turn. */
	join(a, "n", 0);
	leave(a, "n");
	join(b, "n", 0);
	rig_run(g);
	GETS(k, "occupied n");
	GETS(k, "vacated n");
	GETS(k, "occupied n");
	/* It expects some: nobody is there. */
	SAY(a, join, .app = B("1"), .channel = B("x"), .flags = JOIN_HEIR);
	rig_run(g);
	GETS_NONE(k);
	mate_dies(b);
	rig_run(g);
	GETS(k, "vacated n");
	GETS_NONE(k);
	rig_free(g);
}

/* The channel first when somebody comes, last when all have gone. */
static void
test_members(void **state)
{
	struct rig *g = rig_new(STATES);
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	enter(a, "presence-r", "ann", 0);
	enter(b, "presence-r", "ann", 0);
	enter(b, "presence-r", "bob", 0);
	rig_run(g);
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "added presence-r bob");
	go(a, "presence-r", "ann");
	rig_run(g);
	GETS_NONE(k);
	go(b, "presence-r", "ann");
	go(b, "presence-r", "bob");
	rig_run(g);
	GETS(k, "removed presence-r ann");
	GETS(k, "removed presence-r bob");
	GETS(k, "vacated presence-r");
	enter(a, "presence-r", "ann", 0);
	enter(b, "presence-r", "bob", 0);
	rig_run(g);
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "added presence-r bob");
	mate_dies(b);
	rig_run(g);
	GETS(k, "removed presence-r bob");
	mate_dies(a);
	rig_run(g);
	GETS(k, "removed presence-r ann");
	GETS(k, "vacated presence-r");
	GETS_NONE(k);
	rig_free(g);
}

/* Of what nobody wants nothing is told, and nothing kept. */
static void
test_only_what_is_wanted(void **state)
{
	struct rig *g = rig_new(HOOK "events = member_removed\n"
	    "app = chat\n[app other]\nid = 2\nkey = o\nsecret = s\n");
	struct mate *a = rig_worker(g, 1);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	join(a, "n", JOIN_COUNT);
	SAY(a, join, .app = B("2"), .channel = B("presence-2"), .n = 1,
	    .user = B("ann"), .member = B("{}"), .flags = JOIN_PRESENCE);
	client_event(a, 1, "1", "");
	SAY(a, connection, .open = 1, .app = B("1"), .serial = 2);
	SAY(a, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
	    .cookie = 1, .flags = JOIN_CACHE);
	enter(a, "presence-1", "ann", 0);
	rig_run(g);
	GETS(k, "added presence-1 ann");
	GETS_NONE(k);
	rig_free(g);

	g = rig_new("");
	a = rig_worker(g, 1);
	enter(a, "presence-1", "ann", 0);
	join(a, "n", 0);
	client_event(a, 1, "1", "");
	rig_run(g);
	assert_int_equal(g->router->hooks.serial, 0);
	assert_int_equal(g->router->hooks.octets, 0);
	rig_free(g);
}

static void
test_connections_move(void **state)
{
	struct bytes channels[] = { B("n"), B("presence-r") };
	struct bytes users[] = { B(""), B("ann") }, objects[] = { B(""),
		B("{}") };
	struct rig *g = rig_new(STATES);
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	join(a, "n", 0);
	enter(a, "presence-r", "ann", 0);
	rig_run(g);
	GETS(k, "occupied n");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	SAY(b, moved, .slot = a->slot, .generation = a->generation,
	    .app = B("1"), .was = 7, .conn = 8, .open = 1,
	    .channels_out = { channels, 2 }, .users_out = { users, 2 },
	    .members_out = { objects, 2 }, .epoch = g->router->epoch,
	    .first = 1);
	rig_run(g);
	mate_dies(a);
	rig_run(g);
	GETS_NONE(k);
	mate_dies(b);
	rig_run(g);
	GETS(k, "vacated n");
	GETS(k, "removed presence-r ann");
	GETS(k, "vacated presence-r");
	GETS_NONE(k);
	rig_free(g);
}

/* ---- events ------------------------------------------------------------------ */

static void
test_client_events(void **state)
{
	struct rig *g = rig_new(CLIENT);
	struct mate *a = rig_worker(g, 1);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	client_event(a, 1, "{\"x\":1}", "");
	client_event(a, 2, "2", "\"a\\u006en\"");
	client_event(a, 3, "3", "42");
	client_event(a, 4, "4", "{}");
	/* Told again, and one of the back end. */
	client_event(a, 3, "3", "42");
	SAY(a, publish, .serial = 5, .app = B("1"), .channel = B("c"),
	    .event = B("\"e\""), .data = B("5"));
	/* Nobody hears it but the sender: not even his worker. */
	SAY(a, publish, .serial = 6, .app = B("1"), .channel = B("c"),
	    .event = B("\"client-f\""), .data = B("6"), .except_a = 7,
	    .except_b = 8, .flags = PUBLISH_CLIENT | PUBLISH_ALONE);
	rig_run(g);
	GETS(k, "client c \"client-e\"={\"x\":1} by= 5.6");
	GETS(k, "client c \"client-e\"=2 by=ann 5.6");
	GETS(k, "client c \"client-e\"=3 by=42 5.6");
	GETS(k, "client c \"client-e\"=4 by= 5.6");
	GETS(k, "client c \"client-f\"=6 by= 7.8");
	GETS_NONE(k);
	rig_free(g);
}

static void
test_connections(void **state)
{
	struct rig *g = rig_new(HOOK "events = connection_closed\n");
	struct mate *a = rig_worker(g, 1);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	SAY(a, connection, .open = 1, .app = B("1"), .socket_a = 1,
	    .socket_b = 2, .serial = 1);
	SAY(a, connection, .app = B("1"), .socket_a = 1, .socket_b = 2,
	    .user = B("ann"), .code = 4009, .why = B("kicked"), .serial = 2);
	SAY(a, connection, .app = B("1"), .socket_a = 1, .socket_b = 2,
	    .user = B("ann"), .code = 4009, .why = B("kicked"), .serial = 2);
	rig_run(g);
	GETS(k, "closed 1.2 by=ann code=4009 kicked");
	GETS_NONE(k);
	/* Acknowledged, though nobody waits for it. */
	rig_later(g, 1000);
	GETS(a, "ack 2");
	rig_free(g);
}

static void
test_misses(void **state)
{
	struct rig *g = rig_new(HOOK "events = cache_miss\n");
	struct mate *a = rig_worker(g, 1);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	for (uint64_t i = 1; i <= 3; i++)
		SAY(a, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
		    .cookie = i, .flags = JOIN_CACHE);
	/* One that is told to a new router has heard so. */
	SAY(a, join, .app = B("1"), .channel = B("cache-d"), .n = 1,
	    .cookie = 4, .flags = JOIN_CACHE | JOIN_SYNC);
	SAY(a, join, .app = B("1"), .channel = B("cache-e"), .cookie = 5,
	    .flags = JOIN_CACHE | JOIN_HEIR);
	rig_run(g);
	GETS(k, "miss cache-c");
	GETS_NONE(k);
	rig_later(g, HOOKS_MISS);
	SAY(a, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
	    .cookie = 6, .flags = JOIN_CACHE);
	rig_run(g);
	GETS(k, "miss cache-c");
	SAY(a, publish, .serial = 1, .app = B("1"), .channel = B("cache-c"),
	    .event = B("e"), .data = B("1"), .flags = PUBLISH_CACHE);
	rig_later(g, HOOKS_MISS);
	SAY(a, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
	    .cookie = 7, .flags = JOIN_CACHE);
	rig_run(g);
	GETS_NONE(k);
	rig_free(g);
}

/* Also of a channel of which no worker wants the number; and not twice the same. */
static void
test_counts(void **state)
{
	struct rig *g = rig_new(HOOK "events = subscription_count\n");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	struct mate *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	join(a, "n", 0);
	join(b, "n", 0);
	enter(a, "presence-r", "ann", 0);
	rig_run(g);
	GETS(k, "counted n 2");
	GETS_NONE(k);
	GETS_NONE(b);
	leave(a, "n");
	join(a, "n", 0);
	rig_run(g);
	GETS_NONE(k);
	/* Above that not more often than workers are told. */
	SAY(a, join, .app = B("1"), .channel = B("n"), .n = COUNT_FEW);
	rig_run(g);
	GETS_NONE(k);
	rig_later(g, COUNT_EVERY);
	GETS(k, "counted n 102");
	mate_dies(a);
	rig_run(g);
	GETS(k, "counted n 1");
	leave(b, "n");
	rig_run(g);
	GETS(k, "counted n 0");
	GETS_NONE(k);
	/* The application has them off, as it is by default. */
	rig_settings(g, "[webhook a]\nurl = https://hooks.example.org/\n");
	rig_run(g);
	GETS(k, "roll");
	GETS(k, "rolled");
	join(b, "n", 0);
	rig_later(g, 1000);
	GETS(k, "occupied n");
	GETS_NONE(k);
	rig_free(g);
}

/* ---- links ---------------------------------------------------------------------- */

/* What is not acknowledged is told again, in its order, then all that is there. */
static void
test_new_link(void **state)
{
	struct rig *g = rig_new(HOOK "events = channel_occupied, member_added, "
	    "client_event\n");
	struct mate *a = rig_worker(g, 1), *k;

	(void)state;
	join(a, "n", 0);
	join(a, "m", 0);
	client_event(a, 1, "1", "");
	rig_run(g);
	k = courier(g);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "occupied n");
	GETS(k, "occupied m");
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	GETS(k, "roll");
	GETS(k, "occupied n");
	GETS(k, "occupied m");
	GETS(k, "rolled");
	ack(k);
	rig_run(g);
	assert_int_equal(g->router->hooks.octets, 0);
	client_event(a, 2, "2", "");
	rig_run(g);
	GETS(k, "client c \"client-e\"=2 by= 5.6");
	ack(k);
	client_event(a, 3, "3", "");
	leave(a, "m");
	rig_run(g);
	mate_dies(k);
	rig_run(g);
	enter(a, "presence-r", "ann", 0);
	rig_run(g);

	k = courier(g);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "client c \"client-e\"=3 by= 5.6");
	GETS(k, "vacated m");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "roll");
	GETS(k, "occupied n");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "rolled");
	GETS_NONE(k);
	rig_free(g);
}

/* One that acknowledges what it was not told has lost its senses. */
static void
test_bad_ack(void **state)
{
	struct rig *g = rig_new(CLIENT);
	struct mate *a = rig_worker(g, 1), *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	client_event(a, 1, "1", "");
	rig_run(g);
	log_set_level(LOG_LEVEL_ERROR);
	SAY(k, hook_ack, .serial = k->serial + 1);
	rig_run(g);
	assert_null(g->router->hooks.ipc);
	k = courier(g);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	rig_free(g);
}

static void
test_settings(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *k;

	(void)state;
	join(a, "n", 0);
	enter(a, "presence-r", "ann", 0);
	rig_run(g);
	rig_settings(g, HOOK "events = member_added\n");
	k = courier(g);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "roll");
	GETS(k, "added presence-r ann");
	GETS(k, "rolled");
	/* One more kind, on the same link. */
	rig_settings(g, STATES);
	rig_run(g);
	GETS(k, "roll");
	GETS(k, "occupied n");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "rolled");
	/* Fewer, or the same, need no words. */
	rig_settings(g, STATES "batching = no\n");
	rig_settings(g, HOOK "events = channel_vacated\n");
	rig_run(g);
	GETS_NONE(k);
	go(a, "presence-r", "ann");
	rig_run(g);
	GETS(k, "vacated presence-r");
	rig_settings(g, "");
	leave(a, "n");
	rig_run(g);
	GETS_NONE(k);
	assert_int_equal(g->router->hooks.octets, 0);
	rig_free(g);
}

/* ---- much of it ---------------------------------------------------------------- */

static void
name(char text[16], const char *what, unsigned i)
{
	snprintf(text, 16, "%s%u", what, i);
}

/* Lines of one kind that came since. */
static unsigned
lines_with(struct mate *k, const char *start)
{
	unsigned n = 0;

	for (size_t i = 0; i < k->n_lines; i++)
		n += strncmp(k->lines[i], start, strlen(start)) == 0;
	return n;
}

static void
forget_lines(struct mate *k)
{
	while (k->n_lines > 0)
		free(k->lines[--k->n_lines]);
}

enum { CHANNELS = 3000, MEMBERS = 2000 };

/* Each step-th channel, and member of one that lies in the middle. */
static void
all(struct mate *a, unsigned step, bool come)
{
	char text[16];

	for (unsigned i = 0; i < CHANNELS; i += step) {
		name(text, "c", i);
		if (come)
			join(a, text, 0);
		else
			leave(a, text);
		for (unsigned m = 0; i == CHANNELS / 2 / step * step &&
		    m < MEMBERS; m += step) {
			name(text, "u", m);
			if (come)
				enter(a, "presence-r", text, 0);
			else
				go(a, "presence-r", text);
		}
	}
}

/* A roll of many rows comes in slices, while channels and members come and go
 * anywhere in it. */
static void
test_long_roll(void **state)
{
	static const unsigned steps[] = { 7, 1, 3 };
	struct rig *g = rig_new(STATES);
	struct mate *a = rig_worker(g, 1);
	struct told told;

	(void)state;
	told_init(&told);
	all(a, 1, true);
	rig_run(g);
	for (unsigned turn = 0; turn < 33; turn++) {
		unsigned step = steps[turn % 3];

		told_link(&told, g);
		/* So many turns, and then it changes. */
		for (unsigned i = 0; i < turn / 3; i++) {
			event_base_loop(g->base, EVLOOP_NONBLOCK);
			router_turn(g->router);
		}
		assert_true(turn >= 30 || roll_pending(g->router));
		all(a, step, false);
		rig_run(g);
		told_hear(&told, g);
		told_check(&told, g->router);
		told_link(&told, g);
		for (unsigned i = 0; i < turn / 3; i++) {
			event_base_loop(g->base, EVLOOP_NONBLOCK);
			router_turn(g->router);
		}
		all(a, step, true);
		rig_run(g);
		told_hear(&told, g);
		told_check(&told, g->router);
		ack(&g->courier);
		rig_run(g);
		assert_int_equal(g->router->hooks.octets, 0);
	}
	assert_int_equal(told.there.count, CHANNELS + MEMBERS + 1);
	told_done(&told);
	rig_free(g);
}

/* A courier that does not read costs no more than the queue; then it hears of
 * what is there, and of what has been dropped nothing. */
static void
test_bound(void **state)
{
	struct rig *g = rig_new(HOOK "events = channel_occupied, "
	    "client_event\n");
	struct mate *a = rig_worker(g, 1), *k = courier(g);
	struct hooks *h = &g->router->hooks;
	uint64_t untold = counter.hooks_untold, serial = 0;
	char *data = xmalloc(1u << 20), text[16];
	unsigned sent = 0;

	(void)state;
	gets_empty_roll(k);
	ack(k);
	rig_run(g);
	memset(data, '1', (1u << 20) - 1);
	data[(1u << 20) - 1] = '\0';
	k->asleep = true;
	join(a, "before", 0);
	for (unsigned i = 0; i < 20; i++) {
		client_event(a, ++serial, data, "");
		rig_run(g);
		assert_true(h->octets <= HOOKS_QUEUE);
		assert_true(hooks_backlog(g->router) <= HOOKS_WINDOW +
		    (1u << 20) + 200);
		sent++;
	}
	assert_int_equal(counter.hooks_untold - untold, 5);
	/* Deliveries and acknowledgements went on. */
	assert_int_equal(lines_with(a, "ack"), 20);
	/* Small ones find room yet, until there is none. */
	for (unsigned i = 0; !h->blind; i++) {
		assert_true(i < 100000);
		name(text, "c", i);
		join(a, text, 0);
		if (i % 1000 == 0)
			rig_run(g);
	}
	join(a, "while-blind", 0);
	leave(a, "before");
	rig_run(g);
	assert_true(h->blind && h->octets <= HOOKS_QUEUE);

	k->asleep = false;
	rig_run(g);
	assert_int_equal(lines_with(k, "client"), 15);
	assert_int_equal(lines_with(k, "roll"), 0);
	assert_int_equal(lines_with(k, "occupied while-blind"), 0);
	forget_lines(k);
	ack(k);
	rig_run(g);
	assert_false(h->blind);
	assert_int_equal(lines_with(k, "occupied before"), 0);
	assert_int_equal(lines_with(k, "occupied while-blind"), 1);
	assert_int_equal(lines_with(k, "rolled"), 1);
	forget_lines(k);
	leave(a, "while-blind");
	client_event(a, ++serial, "1", "");
	rig_run(g);
	GETS(k, "vacated while-blind");
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	GETS_NONE(k);
	free(data);
	rig_free(g);
}

/* ---- one router after another --------------------------------------------------- */

/* Nothing is said before it knows what there is. */
static void
test_new_router(void **state)
{
	struct rig *g = rig_new(HOOK "events = channel_occupied, member_added, "
	    "client_event, subscription_count\n");
	struct mate *a, *b, *k;

	(void)state;
	rig_starting(g, 2);
	k = courier(g);
	GETS_NONE(k);
	a = rig_worker(g, 1);
	join(a, "n", JOIN_SYNC);
	enter(a, "presence-r", "ann", JOIN_SYNC);
	client_event(a, 1, "1", "");
	rig_run(g);
	GETS_NONE(k);
	b = rig_worker(g, 2);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	GETS(k, "roll");
	GETS(k, "occupied n");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "rolled");
	/* A number that was there is no news, another one is. */
	GETS_NONE(k);
	join(b, "n", 0);
	rig_run(g);
	GETS(k, "counted n 2");
	GETS_NONE(k);
	rig_free(g);
}

static struct rig *elder, *heir;

static void
both_run(void)
{
	for (int i = 0; i < 3; i++) {
		rig_run(elder);
		rig_run(heir);
	}
}

static struct mate *
moves(struct mate *w)
{
	struct mate *to = rig_stranger(heir, (unsigned)w->slot);

	mate_dies(w);
	SAY(to, hello, .version = MSG_VERSION, .slot = w->slot,
	    .generation = to->generation);
	return to;
}

static void
test_heir(void **state)
{
	static const char ini[] = HOOK "events = channel_occupied, "
	    "member_added, client_event, subscription_count\n";
	struct mate *a, *k;

	(void)state;
	elder = rig_new(ini);
	a = rig_worker(elder, 1);
	k = courier(elder);
	gets_empty_roll(k);
	join(a, "n", 0);
	join(a, "m", 0);
	enter(a, "presence-r", "ann", 0);
	rig_run(elder);
	GETS(k, "occupied n");
	GETS(k, "occupied m");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "counted n 1");
	GETS(k, "counted m 1");
	heir = rig_heir(ini, NULL, elder);
	both_run();
	/* What the courier has not acknowledged holds the elder up, but not for
	 * long. */
	client_event(a, 1, "1", "");
	both_run();
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	elder_yield(elder->router);
	both_run();
	assert_false(elder_yielded(elder->router));
	rig_later(elder, HOOKS_YIELD / 2);
	assert_false(elder_yielded(elder->router));
	ack(k);
	both_run();
	assert_true(elder_yielded(elder->router));
	assert_null(elder->router->hooks.ipc);

	/* m is left, and o entered, in that moment. */
	client_event(a, 2, "2", "");
	a = moves(a);
	heir_take_over(heir->router, 1);
	join(a, "n", JOIN_SYNC);
	enter(a, "presence-r", "ann", JOIN_SYNC);
	join(a, "o", JOIN_SYNC);
	client_event(a, 2, "2", "");
	SAY(a, synced, .end_ = "");
	both_run();
	join(a, "p", 0);
	leave(a, "o");
	rig_run(heir);
	k = courier(heir);
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "client c \"client-e\"=2 by= 5.6");
	/* The numbers of what is gone. */
	GETS(k, "counted m 0");
	GETS(k, "occupied p");
	GETS(k, "counted o 0");
	GETS(k, "counted p 1");
	GETS(k, "roll");
	GETS(k, "occupied n");
	GETS(k, "occupied presence-r");
	GETS(k, "added presence-r ann");
	GETS(k, "occupied p");
	GETS(k, "rolled");
	GETS_NONE(k);
	rig_free(elder);
	rig_free(heir);
}

/* Nobody waits longer for a courier that does not answer. */
static void
test_yields_without_the_courier(void **state)
{
	struct mate *a, *k;

	(void)state;
	elder = rig_new(CLIENT);
	a = rig_worker(elder, 1);
	k = courier(elder);
	heir = rig_heir(CLIENT, NULL, elder);
	both_run();
	k->asleep = true;
	client_event(a, 1, "1", "");
	both_run();
	elder_yield(elder->router);
	both_run();
	assert_false(elder_yielded(elder->router));
	rig_later(elder, HOOKS_YIELD);
	assert_true(elder_yielded(elder->router));
	rig_free(elder);
	rig_free(heir);
}

/* ---- several hosts ----------------------------------------------------------------- */

static struct cluster *joined;
static struct rig *one, *two;

static void
two_hosts(const char *ini)
{
	joined = cluster_new(ini);
	one = cluster_host(joined, 1, 0);
	two = cluster_host(joined, 2, 0);
	cluster_run(joined);
	cluster_later(joined, 2000);
}

static void
gets_roll_of_two(struct rig *g, const char *hosts)
{
	struct mate *k = rig_courier(g);

	cluster_run(joined);
	GETS(k, hosts);
	GETS(k, "roll");
	GETS(k, "rolled");
	GETS_NONE(k);
}

static void
test_hosts_share(void **state)
{
	struct mate *a, *b, *ka, *kb;

	(void)state;
	two_hosts(STATES);
	a = rig_worker(one, 1);
	b = rig_worker(two, 1);
	gets_roll_of_two(one, "hosts own=1 lost=0 live 1 2");
	gets_roll_of_two(two, "hosts own=2 lost=0 live 2 1");
	ka = &one->courier;
	kb = &two->courier;
	/* Both hear of it, once, and of the second host's nothing. */
	join(a, "n", 0);
	cluster_later(joined, 400);
	GETS(ka, "occupied n");
	GETS(kb, "occupied n");
	join(b, "n", 0);
	enter(b, "presence-r", "ann", 0);
	cluster_later(joined, 400);
	leave(a, "n");
	cluster_later(joined, 400);
	GETS(ka, "occupied presence-r");
	GETS(ka, "added presence-r ann");
	GETS_NONE(ka);
	GETS(kb, "occupied presence-r");
	GETS(kb, "added presence-r ann");
	GETS_NONE(kb);
	leave(b, "n");
	cluster_later(joined, 400);
	GETS(ka, "vacated n");
	GETS(kb, "vacated n");

	/* It falls silent: who was lost is said before what is gone. */
	cluster_kill(joined, two);
	cluster_later(joined, 6000);
	GETS(ka, "hosts own=1 lost=2 live 1");
	GETS(ka, "removed presence-r ann");
	GETS(ka, "vacated presence-r");
	GETS_NONE(ka);
	/* It comes back, and goes in good order. */
	two = cluster_host(joined, 2, 1);
	two->router->incarnation++;
	cluster_later(joined, 2000);
	GETS(ka, "hosts own=1 lost=0 live 1 2");
	hosts_bye(two->router);
	cluster_run(joined);
	GETS(ka, "hosts own=1 lost=0 live 1");
	GETS_NONE(ka);
	cluster_free(joined);
}

/* A host that is there again before anybody has missed it has died all the
 * same. */
static void
test_host_starts_again(void **state)
{
	struct mate *b, *k;

	(void)state;
	two_hosts(STATES);
	b = rig_worker(two, 1);
	gets_roll_of_two(one, "hosts own=1 lost=0 live 1 2");
	k = &one->courier;
	join(b, "n", 0);
	cluster_later(joined, 400);
	GETS(k, "occupied n");
	cluster_kill(joined, two);
	two = cluster_host(joined, 2, 1);
	two->router->incarnation++;
	cluster_later(joined, 1000);
	GETS(k, "hosts own=1 lost=2 live 1 2");
	GETS(k, "vacated n");
	GETS_NONE(k);
	cluster_free(joined);
}

/* A courier that comes later hears of a host that was lost meanwhile. */
static void
test_lost_without_a_courier(void **state)
{
	struct mate *k;

	(void)state;
	two_hosts(STATES);
	cluster_kill(joined, two);
	cluster_later(joined, 6000);
	k = rig_courier(one);
	cluster_run(joined);
	GETS(k, "hosts own=1 lost=2 live 1");
	k = rig_courier(one);
	cluster_run(joined);
	GETS(k, "hosts own=1 lost=0 live 1");
	cluster_free(joined);
}

/* All hosts hear of a miss; each courier knows whether it is the one to tell. */
static void
test_misses_of_hosts(void **state)
{
	struct mate *a, *b;

	(void)state;
	two_hosts(HOOK "events = cache_miss, client_event\n");
	a = rig_worker(one, 1);
	b = rig_worker(two, 1);
	gets_roll_of_two(one, "hosts own=1 lost=0 live 1 2");
	gets_roll_of_two(two, "hosts own=2 lost=0 live 2 1");
	SAY(a, join, .app = B("1"), .channel = B("cache-c"), .n = 1,
	    .cookie = 1, .flags = JOIN_CACHE);
	cluster_run(joined);
	GETS(&one->courier, "miss cache-c");
	GETS(&two->courier, "miss cache-c");
	/* A client event is told where it happened, alone. */
	join(b, "c", 0);
	client_event(a, 1, "1", "");
	cluster_run(joined);
	GETS(b, "deliver c \"client-e\"=1 from=0 n=0 at=1");
	GETS(&one->courier, "client c \"client-e\"=1 by= 5.6");
	GETS_NONE(&one->courier);
	GETS_NONE(&two->courier);
	cluster_free(joined);
}

/* What other hosts write is checked; of other applications nothing is told. */
static void
test_bad_misses(void **state)
{
	static const struct {
		const char	*app, *channel;
		size_t		 n;
		bool		 good;
	} misses[] = {
		{ "1", "cache-c", 7, true }, { "1", "", 0, false },
		{ "1", "\xff", 1, false }, { "2", "cache-c", 7, false },
		{ "9", "cache-c", 7, false },
	};
	uint64_t bad = counter.backplane_bad_payload;

	(void)state;
	two_hosts(HOOK "app = 1\nevents = cache_miss\n"
	    "[app other]\nid = 2\nkey = o\nsecret = s\n");
	gets_roll_of_two(one, "hosts own=1 lost=0 live 1 2");
	for (size_t i = 0; i < NELEM(misses); i++) {
		struct buf payload = { 0 }, out = { 0 };
		struct envelope e = { .node = 2, .incarnation = 1002,
		    .number = 1000000 + i, .kind = ENVELOPE_HOOK,
		    .app = carrier_cluster().app,
		    .channel = carrier_cluster().channel };

		miss_pack(&payload, bytes_str(misses[i].app),
		    bytes_of(misses[i].channel, misses[i].n));
		if (i == 0)
			e.payload = B("\x93\xc4\x01" "1");
		else
			e.payload = buf_view(&payload);
		for (int twice = 0; twice < 2; twice++) {
			buf_clear(&out);
			envelope_seal(&out, &e, B(""));
			cluster_say(joined, buf_view(&out));
			cluster_run(joined);
			e.payload = buf_view(&payload);
			if (i > 0)
				break;
		}
		if (misses[i].good)
			GETS(&one->courier, "miss cache-c");
		GETS_NONE(&one->courier);
		buf_done(&payload);
		buf_done(&out);
	}
	assert_int_equal(counter.backplane_bad_payload - bad, 3);
	cluster_free(joined);
}

/* While what other hosts hold is not known, a roll would miss it. */
static void
test_roll_waits_for_hosts(void **state)
{
	struct mate *a, *b, *k;

	(void)state;
	two_hosts(STATES "[backplane]\npartition_timeout = 9s\n");
	b = rig_worker(two, 1);
	join(b, "n", 0);
	cluster_later(joined, 400);
	/* A router that is new finds no broker. */
	cluster_kill(joined, one);
	one = cluster_host(joined, 1, 1);
	cluster_cut(joined, one);
	a = rig_worker(one, 1);
	join(a, "own", 0);
	k = rig_courier(one);
	cluster_later(joined, 4000);
	GETS(k, "hosts own=1 lost=0 live 1");
	GETS(k, "occupied own");
	GETS_NONE(k);
	cluster_mend(joined, one);
	cluster_later(joined, 2000);
	GETS(k, "hosts own=1 lost=0 live 1 2");
	GETS(k, "occupied n");
	GETS(k, "roll");
	GETS(k, "occupied own");
	GETS(k, "occupied n");
	GETS(k, "rolled");
	GETS_NONE(k);
	ack(k);
	cluster_run(joined);
	/* But not for ever. */
	cluster_cut(joined, one);
	k = rig_courier(one);
	cluster_later(joined, 4000);
	GETS(k, "hosts own=1 lost=0 live 1 2");
	GETS_NONE(k);
	cluster_later(joined, 6000);
	GETS(k, "hosts own=1 lost=2 live 1");
	GETS(k, "vacated n");
	GETS(k, "roll");
	GETS(k, "occupied own");
	GETS(k, "rolled");
	GETS_NONE(k);
	cluster_free(joined);
}

/* What a worker said while a new router waits for workers and then for hosts goes
 * its way in its order. */
static void
test_order_while_waiting(void **state)
{
	struct mate *a, *k;

	(void)state;
	two_hosts(HOOK "events = client_event, connection_opened\n");
	cluster_kill(joined, one);
	one = cluster_host(joined, 1, 1);
	rig_starting(one, 1);
	k = rig_courier(one);
	a = rig_stranger(one, 1);
	SAY(a, hello, .version = MSG_VERSION, .slot = 1,
	    .generation = a->generation);
	client_event(a, 1, "1", "");
	SAY(a, connection, .open = 1, .app = B("1"), .socket_a = 1,
	    .socket_b = 2, .serial = 2);
	client_event(a, 3, "3", "");
	rig_run(one);
	SAY(a, synced, .end_ = "");
	rig_run(one);
	assert_true(one->router->sync.told && one->router->sync.on);
	cluster_later(joined, 3000);
	GETS(k, "hosts own=1 lost=0 live 1 2");
	GETS(k, "client c \"client-e\"=1 by= 5.6");
	GETS(k, "opened 1.2 by= code=0 ");
	GETS(k, "client c \"client-e\"=3 by= 5.6");
	GETS(k, "roll");
	GETS(k, "rolled");
	GETS_NONE(k);
	GETS(a, "ack 3");
	cluster_free(joined);
}

/* At the end all leave, and the courier hears of it before the router goes. */
static void
test_end(void **state)
{
	struct rig *g = rig_new(STATES);
	struct mate *a = rig_worker(g, 1), *k = courier(g);

	(void)state;
	gets_empty_roll(k);
	join(a, "n", 0);
	rig_run(g);
	GETS(k, "occupied n");
	ack(k);
	rig_run(g);
	g->router->stopping = true;
	g->router->last_moment = g->router->now + 100000;
	mate_dies(a);
	rig_run(g);
	assert_false(g->router->done);
	GETS(k, "vacated n");
	ack(k);
	rig_run(g);
	assert_true(g->router->done);
	rig_free(g);

	/* Who does not answer is not waited for. */
	g = rig_new(STATES);
	a = rig_worker(g, 1);
	courier(g);
	join(a, "n", 0);
	rig_run(g);
	g->router->stopping = true;
	g->router->last_moment = g->router->now + 100000;
	mate_dies(a);
	rig_run(g);
	assert_false(g->router->done);
	rig_later(g, HOOKS_END);
	assert_true(g->router->done);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_only_what_is_wanted),
		cmocka_unit_test(test_connections_move),
		cmocka_unit_test(test_client_events),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_misses),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_new_link),
		cmocka_unit_test(test_bad_ack),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_long_roll),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_new_router),
		cmocka_unit_test(test_heir),
		cmocka_unit_test(test_yields_without_the_courier),
		cmocka_unit_test(test_hosts_share),
		cmocka_unit_test(test_host_starts_again),
		cmocka_unit_test(test_lost_without_a_courier),
		cmocka_unit_test(test_misses_of_hosts),
		cmocka_unit_test(test_bad_misses),
		cmocka_unit_test(test_roll_waits_for_hosts),
		cmocka_unit_test(test_order_while_waiting),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests_name("hooks", tests, NULL, NULL);
}
