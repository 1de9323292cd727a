/* SPDX-License-Identifier: MIT
 *
 * Routers that follow each other, under random schedules: clients of two hosts
 * publish, come and go, sign in and watch while the broker moves in steps, and
 * again and again a host's router is replaced, at any moment.  Every worker gets
 * every message once, each publisher's in order; is told of every member and user
 * who came or went, and of none who did not; and in the end caches and counts are
 * what they should be, and no host was ever told anew.
 */
#include "broker.h"
#include "told.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/counters.h"

#define HOSTS		2
#define WORKERS		2	/* of each */
#define ALL		(HOSTS * WORKERS)
#define CHANNELS	4
#define TO_AND_FRO	3	/* of them: subscribed to now and then */
#define USERS		4
#define CONNS		6	/* of a worker that may sign in */
#define MESSAGES	400
#define SCHEDULES	(getenv("PEAL_TEST_BRIEF") == NULL ? 150u : 10u)
#define STEPS		900

static const char ini[] = "subscription_count = yes\n" TOLD_HOOK;
static const char *const channels[CHANNELS] = { "c0", "cache-c1", "c2", "c3" };

/* A connection that has signed in. */
struct signed_in {
	bool		 on;
	uint64_t	 conn;
	unsigned	 user;
	bool		 listed;	/* it was told how all are */
	bool		 online[USERS];	/* as it was told */
};

/* What a worker holds, and what it has heard. */
struct work {
	struct mate	*mate;
	unsigned	 host, slot;
	uint64_t	 serial, acked;
	struct { unsigned channel, n; } sent[MESSAGES];
	uint64_t	 seen[CHANNELS][ALL];	/* serial, by publisher */
	unsigned	 got[CHANNELS][ALL];	/* how many */
	unsigned	 last[CHANNELS][ALL];	/* number of the last */
	uint64_t	 seats[USERS];
	bool		 member[USERS], row[USERS], knows;
	uint64_t	 cookie;	/* of TO_AND_FRO; 0: not there */
	bool		 live;		/* it was answered */
	uint64_t	 subs;		/* of the channel that is counted */
	uint64_t	 count;		/* as it was told; 0: never */
	struct signed_in conns[CONNS];
};

enum moment { QUIET, RAISING, READY, YIELDING, YIELDED };

struct seat {
	struct rig	*rig, *heir;
	enum moment	 moment;
	struct told	 told;		/* its courier */
};

static unsigned published[CHANNELS][ALL];
static struct broker broker;
static struct seat seats[HOSTS];
static struct work works[ALL];
static unsigned successions, schedule;
static uint64_t conns, random_state;

static unsigned
dice(unsigned n)
{
	random_state = random_state * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (unsigned)(random_state >> 33) % n;
}

static struct bytes
user_name(unsigned user)
{
	static const char names[USERS][3] = { "u0", "u1", "u2", "u3" };

	return bytes_of(names[user], 2);
}

static uint64_t
index_of(const struct work *w)
{
	return (uint64_t)(w - works);
}

/* ---- what a worker hears --------------------------------------------------- */

#define WRONG(what) \
	fail_msg("schedule %u: worker %" PRIu64 ": %s: %s", schedule,	\
	    index_of(w), what, line)

static void
hear_deliver(struct work *w, const char *line)
{
	unsigned channel = 0, by, n;
	uint64_t from, serial;
	char name[20];

	if (sscanf(line, "deliver %19s e=\"%u-%u\" from=%" SCNu64 " n=%" SCNu64,
	    name, &by, &n, &from, &serial) != 5)
		WRONG("unreadable");
	while (strcmp(channels[channel], name) != 0)
		channel++;
	/* As a worker does: what it has seen of an origin is dropped. */
	if (serial != 0 && serial <= w->seen[channel][by])
		return;
	if (serial != 0)
		w->seen[channel][by] = serial;
	if (channel == TO_AND_FRO && (!w->live || n <= w->last[channel][by]))
		return;		/* it may come before the answer */
	if (n <= w->last[channel][by] && w->got[channel][by] > 0)
		WRONG("twice, or out of order");
	if (n != w->last[channel][by] + 1)
		WRONG("one is missing");
	w->last[channel][by] = n;
	w->got[channel][by]++;
}

/* What is published from now on must come. */
static void
hear_subscribed(struct work *w, const char *line)
{
	const char *cookie = strstr(line, "cookie=");

	if (strncmp(line, "subscribed c3 ", 14) != 0 || w->live ||
	    strtoull(cookie + 7, NULL, 10) != w->cookie)
		return;
	w->live = true;
	for (unsigned by = 0; by < ALL; by++)
		w->last[TO_AND_FRO][by] = published[TO_AND_FRO][by];
}

static bool
user_in(const char *line, const char *before, unsigned *user)
{
	size_t n = strlen(before);

	if (strncmp(line, before, n) != 0)
		return false;
	*user = (unsigned)(line[n + 1] - '0');
	return true;
}

static void
hear_roster(struct work *w)
{
	memcpy(w->member, w->row, sizeof(w->row));
	memset(w->row, 0, sizeof(w->row));
	w->knows = true;
}

static void
hear_member(struct work *w, const char *line)
{
	unsigned user;

	if (user_in(line, "member presence-r ", &user)) {
		w->row[user] = true;
	} else if (user_in(line, "added presence-r ", &user) && w->knows) {
		if (w->member[user])
			WRONG("came twice");
		w->member[user] = true;
	} else if (user_in(line, "removed presence-r ", &user) && w->knows) {
		if (!w->member[user])
			WRONG("went twice");
		w->member[user] = false;
	}
}

static void
hear_names(struct work *w, struct signed_in *c, const char *line,
    const char *list, bool online)
{
	unsigned user;

	for (list = strstr(list, online ? "online=" : "offline=");
	    list != NULL && *list != ' ' && *list != '\0'; list++) {
		if (*list != 'u')
			continue;
		user = (unsigned)(list[1] - '0');
		if (c->listed && c->online[user] == online)
			WRONG("told twice");
		c->online[user] = online;
	}
}

static void
hear_watch(struct work *w, const char *line)
{
	const char *rest = line;
	uint64_t conn = strtoull(line + 6, (char **)&rest, 10);

	for (unsigned i = 0; i < CONNS; i++) {
		struct signed_in *c = &w->conns[i];

		if (!c->on || c->conn != conn)
			continue;
		hear_names(w, c, line, rest, true);
		hear_names(w, c, line, rest, false);
		c->listed = true;
	}
}

static void
hear_count(struct work *w, const char *line)
{
	uint64_t n = strtoull(strrchr(line, ' '), NULL, 10);

	/* Who comes and goes within a turn makes one, too. */
	if (strstr(line, " counted ") != NULL)
		w->count = n;
}

static void
hear_line(struct work *w, const char *line)
{
	if (strncmp(line, "deliver ", 8) == 0)
		hear_deliver(w, line);
	else if (strncmp(line, "subscribed ", 11) == 0)
		hear_subscribed(w, line);
	else if (strncmp(line, "roster ", 7) == 0)
		hear_roster(w);
	else if (strncmp(line, "watch ", 6) == 0)
		hear_watch(w, line);
	else if (strncmp(line, "count ", 6) == 0)
		hear_count(w, line);
	else if (strncmp(line, "ack ", 4) == 0)
		w->acked = strtoull(line + 4, NULL, 10);
	else
		hear_member(w, line);
}

static void
hear(struct work *w)
{
	for (size_t k = 0; k < w->mate->n_lines; k++) {
		hear_line(w, w->mate->lines[k]);
		free(w->mate->lines[k]);
	}
	w->mate->n_lines = 0;
}

/* ---- what a worker says ---------------------------------------------------- */

static void
say_publish(struct work *w, uint64_t serial)
{
	unsigned channel = w->sent[serial].channel;
	char data[40];

	snprintf(data, sizeof(data), "\"%u-%u\"", (unsigned)index_of(w),
	    w->sent[serial].n);
	SAY(w->mate, publish, .serial = serial, .app = B("1"),
	    .channel = bytes_str(channels[channel]), .event = B("e"),
	    .data = bytes_str(data),
	    .flags = channel == 1 ? PUBLISH_CACHE : 0);
}

static void
do_publish(struct work *w)
{
	unsigned channel = dice(CHANNELS), by = (unsigned)index_of(w);

	if (w->serial + 1 >= MESSAGES)
		return;
	w->serial++;
	w->sent[w->serial].channel = channel;
	w->sent[w->serial].n = ++published[channel][by];
	say_publish(w, w->serial);
}

static void
say_enter(struct work *w, unsigned user, uint64_t n, uint64_t flags)
{
	SAY(w->mate, join, .app = B("1"), .channel = B("presence-r"), .n = n,
	    .flags = JOIN_PRESENCE | flags, .user = user_name(user),
	    .member = B("{}"));
}

static void
do_presence(struct work *w)
{
	unsigned user = dice(USERS);

	if (w->seats[user] > 0 && dice(2) == 0) {
		w->seats[user]--;
		SAY(w->mate, leave, .app = B("1"), .channel = B("presence-r"),
		    .n = 1, .user = user_name(user));
		return;
	}
	w->seats[user]++;
	say_enter(w, user, 1, w->knows ? 0 : JOIN_ROSTER);
}

static void
say_signin(struct work *w, const struct signed_in *c, uint64_t flags)
{
	struct bytes all[USERS];

	for (unsigned i = 0; i < USERS; i++)
		all[i] = user_name(i);
	SAY(w->mate, signin, .app = B("1"), .conn = c->conn,
	    .user = user_name(c->user), .flags = flags,
	    .watch_out = { all, USERS });
}

static void
do_user(struct work *w)
{
	struct signed_in *c = &w->conns[dice(CONNS)];

	if (c->on) {
		SAY(w->mate, signout, .app = B("1"), .conn = c->conn,
		    .user = user_name(c->user));
		*c = (struct signed_in){ .on = false };
		return;
	}
	*c = (struct signed_in){ .on = true, .conn = ++conns,
	    .user = dice(USERS) };
	say_signin(w, c, 0);
}

static void
do_count(struct work *w)
{
	if (w->subs > 1 && dice(2) == 0) {
		w->subs--;
		SAY(w->mate, leave, .app = B("1"), .channel = B("counted"),
		    .n = 1);
		return;
	}
	w->subs++;
	SAY(w->mate, join, .app = B("1"), .channel = B("counted"), .n = 1,
	    .flags = JOIN_COUNT);
}

static void
say_to_and_fro(struct work *w)
{
	SAY(w->mate, join, .app = B("1"), .channel = B("c3"), .n = 1,
	    .cookie = w->live ? 0 : w->cookie,
	    .flags = w->live ? JOIN_SYNC : 0);
}

static void
do_to_and_fro(struct work *w)
{
	if (w->cookie != 0) {
		SAY(w->mate, leave, .app = B("1"), .channel = B("c3"),
		    .n = 1);
		w->cookie = 0;
		w->live = false;
		return;
	}
	w->cookie = ++conns;
	say_to_and_fro(w);
}

/* All that it holds, to a new router. */
static void
say_all(struct work *w)
{
	for (unsigned i = 0; i < TO_AND_FRO; i++)
		SAY(w->mate, join, .app = B("1"),
		    .channel = bytes_str(channels[i]), .n = 1,
		    .flags = JOIN_SYNC | (i == 1 ? JOIN_CACHE : 0));
	SAY(w->mate, join, .app = B("1"), .channel = B("counted"),
	    .n = w->subs, .flags = JOIN_SYNC | JOIN_COUNT);
	if (w->cookie != 0)
		say_to_and_fro(w);
	for (unsigned i = 0; i < USERS; i++) {
		if (w->seats[i] > 0)
			say_enter(w, i, w->seats[i], JOIN_SYNC);
	}
	for (unsigned i = 0; i < CONNS; i++) {
		if (w->conns[i].on)
			say_signin(w, &w->conns[i], JOIN_SYNC);
	}
	SAY(w->mate, load, .app = B("1"), .open = 1 + w->slot,
	    .subscribed = 1);
	for (uint64_t n = w->acked + 1; n <= w->serial; n++)
		say_publish(w, n);
	SAY(w->mate, synced, .end_ = "");
}

static void
join_router(struct work *w, struct rig *g)
{
	w->mate = rig_stranger(g, w->slot);
	SAY(w->mate, hello, .version = MSG_VERSION, .slot = w->slot,
	    .generation = w->mate->generation);
	say_all(w);
}

/* ---- successions ------------------------------------------------------------ */

static bool
master_heard(struct rig *g, const char *what)
{
	struct mate *m = &g->master;
	bool found = false;

	for (size_t i = 0; i < m->n_lines; i++) {
		found |= strcmp(m->lines[i], what) == 0;
		free(m->lines[i]);
	}
	m->n_lines = 0;
	return found;
}

static void
switch_over(struct seat *s, unsigned host)
{
	bool before = dice(2) == 0;

	for (unsigned i = 0; i < WORKERS; i++)
		hear(&works[host * WORKERS + i]);
	if (before)
		heir_take_over(s->heir->router, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct work *w = &works[host * WORKERS + i];

		/* What it said and was not read is lost. */
		mate_dies(w->mate);
		buf_clear(&w->mate->out);
		join_router(w, s->heir);
	}
	if (!before) {
		rig_run(s->heir);
		heir_take_over(s->heir->router, WORKERS);
	}
	told_hear(&s->told, s->rig);
	broker_drop(&broker, s->rig);
	told_link(&s->told, s->heir);
	s->rig = s->heir;
	s->heir = NULL;
	s->moment = QUIET;
	successions++;
}

static void
succession_step(struct seat *s, unsigned host)
{
	switch (s->moment) {
	case QUIET:
		s->heir = broker_heir(&broker, ini, s->rig);
		port_up(port_of(&broker, s->heir));
		s->moment = RAISING;
		break;
	case RAISING:
		if (master_heard(s->heir, "ready"))
			s->moment = READY;
		break;
	case READY:
		elder_yield(s->rig->router);
		s->moment = YIELDING;
		break;
	case YIELDING:
		if (master_heard(s->rig, "yielded"))
			s->moment = YIELDED;
		break;
	case YIELDED:
		switch_over(s, host);
		break;
	}
}

/* ---- the schedule ------------------------------------------------------------ */

static void
turn(struct seat *s)
{
	rig_run(s->rig);
	if (s->heir != NULL)
		rig_run(s->heir);
	/* What one has written, the other reads. */
	if (s->heir != NULL)
		rig_run(s->rig);
}

static void
broker_step(struct rig *g)
{
	struct port *port;

	if (g == NULL)
		return;
	port = port_of(&broker, g);
	switch (dice(3)) {
	case 0:
		port_take(port);
		break;
	case 1:
		port_listen(port);
		break;
	default:
		port_give(port);
	}
}

static void
hear_couriers(void)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		struct rig *g = seats[i].rig;

		told_hear(&seats[i].told, g);
		if (dice(3) == 0 && g->courier.serial > 0)
			SAY(&g->courier, hook_ack, .serial = g->courier.serial);
	}
}

static void
step(void)
{
	unsigned host = dice(HOSTS);
	struct seat *s = &seats[host];
	struct work *w = &works[dice(ALL)];

	switch (dice(13)) {
	case 0: case 1: case 2:
		do_publish(w);
		break;
	case 3:
		do_presence(w);
		break;
	case 4:
		do_user(w);
		break;
	case 5:
		do_count(w);
		break;
	case 6:
		if (dice(4) == 0)
			succession_step(s, host);
		break;
	case 7:
		do_to_and_fro(w);
		break;
	case 8: case 9:
		turn(s);
		break;
	default:
		broker_step(dice(2) == 0 ? s->rig : s->heir);
	}
	hear_couriers();
	for (unsigned i = 0; i < ALL; i++)
		hear(&works[i]);
}

static void
settle(void)
{
	for (int i = 0; i < 30; i++) {
		broker_run(&broker);
		rig_later(seats[0].rig, 20);
		hear_couriers();
		for (unsigned k = 0; k < HOSTS; k++) {
			if (seats[k].moment != QUIET)
				succession_step(&seats[k], k);
		}
	}
	broker_run(&broker);
	for (unsigned i = 0; i < ALL; i++)
		hear(&works[i]);
}

/* ---- what must hold in the end ------------------------------------------------- */

static void
check_messages(void)
{
	for (unsigned i = 0; i < ALL * CHANNELS * ALL; i++) {
		unsigned by = i % ALL, c = i / ALL % CHANNELS;
		const struct work *w = &works[i / ALL / CHANNELS];

		if (w->last[c][by] != published[c][by] &&
		    (c != TO_AND_FRO || w->live))
			fail_msg("schedule %u: worker %" PRIu64 " got %u of "
			    "%u that %u said in %s", schedule, index_of(w),
			    w->last[c][by], published[c][by], by, channels[c]);
	}
}

static bool
is_seated(unsigned user)
{
	for (unsigned i = 0; i < ALL; i++) {
		if (works[i].seats[user] > 0)
			return true;
	}
	return false;
}

static bool
is_online(unsigned user)
{
	for (unsigned i = 0; i < ALL * CONNS; i++) {
		const struct signed_in *c = &works[i / CONNS].conns[i % CONNS];

		if (c->on && c->user == user)
			return true;
	}
	return false;
}

static bool
has_seat(const struct work *w)
{
	for (unsigned u = 0; u < USERS; u++) {
		if (w->seats[u] > 0)
			return true;
	}
	return false;
}

static void
check_worker(const struct work *w)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < ALL; i++)
		count += works[i].subs;
	if (w->count != count)
		fail_msg("schedule %u: count %" PRIu64 " not %" PRIu64,
		    schedule, w->count, count);
	for (unsigned u = 0; u < USERS; u++) {
		if (has_seat(w) && w->member[u] != is_seated(u))
			fail_msg("schedule %u: worker %" PRIu64 " and u%u",
			    schedule, index_of(w), u);
		for (unsigned i = 0; i < CONNS; i++) {
			const struct signed_in *c = &w->conns[i];

			if (c->on && !c->listed)
				fail_msg("schedule %u: conn %" PRIu64
				    " was not answered", schedule, c->conn);
			if (c->on && c->online[u] != is_online(u))
				fail_msg("schedule %u: conn %" PRIu64
				    " and u%u", schedule, c->conn, u);
		}
	}
}

static const struct route *
route_at(const struct seat *s, const char *channel)
{
	return route_find(census_find(s->rig->router, B("1")),
	    bytes_str(channel));
}

static void
check_routers(void)
{
	struct bytes event, a = B(""), b = B("");

	for (unsigned c = 0; c < TO_AND_FRO; c++)
		assert_int_equal(route_count(route_at(&seats[0], channels[c])),
		    route_count(route_at(&seats[1], channels[c])));
	history_get(route_at(&seats[0], "cache-c1"), &event, &a);
	history_get(route_at(&seats[1], "cache-c1"), &event, &b);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.p, b.p, a.n);
	for (unsigned i = 0; i < HOSTS; i++) {
		const struct router *r = seats[i].rig->router;
		const struct host *h = TAILQ_FIRST(&r->hosts);

		assert_int_equal(h->state, HOST_KNOWN);
		assert_int_equal(tell_epoch(seats[1 - i].rig->router), h->epoch);
		assert_int_equal(h->n_rows, seats[1 - i].rig->router->tell.rows);
		assert_int_equal(h->sum, seats[1 - i].rig->router->tell.sum);
	}
}

/* Every worker is in it. */
static bool
always_there(const char *name)
{
	return strcmp(name, "c0") == 0 || strcmp(name, "c2") == 0 ||
	    strcmp(name, "cache-c1") == 0 || strcmp(name, "counted") == 0;
}

static void
begin(void)
{
	memset(works, 0, sizeof(works));
	memset(published, 0, sizeof(published));
	broker = (struct broker){ 0 };
	for (unsigned i = 0; i < HOSTS; i++) {
		seats[i] = (struct seat){ .rig = broker_rig(&broker, ini,
		    i + 1) };
		told_init(&seats[i].told);
		seats[i].told.steady = always_there;
		told_link(&seats[i].told, seats[i].rig);
		for (unsigned k = 0; k < WORKERS; k++) {
			struct work *w = &works[i * WORKERS + k];

			w->host = i;
			w->slot = k + 1;
			w->subs = 1;
			join_router(w, seats[i].rig);
		}
	}
	settle();
	counter.snapshots_taken = counter.host_gaps = counter.hosts_lost = 0;
}

static void
end(void)
{
	settle();
	check_messages();
	for (unsigned i = 0; i < ALL; i++)
		check_worker(&works[i]);
	check_routers();
	assert_int_equal(counter.snapshots_taken, 0);
	assert_int_equal(counter.host_gaps, 0);
	assert_int_equal(counter.hosts_lost, 0);
	for (unsigned i = 0; i < HOSTS; i++) {
		told_check(&seats[i].told, seats[i].rig->router);
		told_done(&seats[i].told);
		if (seats[i].heir != NULL)
			fail_msg("schedule %u: a succession hangs at %u "
			    "elder %u heir told %u unjoined %d live %d ready %d", schedule,
			    seats[i].moment, seats[i].rig->router->elder.stage,
			    seats[i].heir->router->heir.told, (int)seats[i].heir->router->heir.unjoined, seats[i].heir->router->reach.live, seats[i].heir->router->heir.ready);
	}
	broker_done(&broker);
}

static void
test_schedules(void **state)
{
	(void)state;
	for (schedule = 0; schedule < SCHEDULES; schedule++) {
		random_state = schedule * 7919 + 1;
		begin();
		for (unsigned i = 0; i < STEPS; i++)
			step();
		end();
	}
	assert_true(successions > SCHEDULES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schedules),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
