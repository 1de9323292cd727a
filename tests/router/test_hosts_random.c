/* SPDX-License-Identifier: MIT
 *
 * Hosts under random schedules: clients come and go on three hosts while
 * changes and chunks get lost, hosts lose the broker, stand still, die and come
 * back, and routers and couriers are replaced.  In the end every host counts what
 * is true, each courier knows it, and nobody was ever told that a member or a
 * channel came that was there, or went that was not.
 */
#include "cluster.h"
#include "told.h"

#include <inttypes.h>
#include <stdio.h>

#define HOSTS		3
#define WORKERS		2
#define USERS		6
#define CHANNELS	4
#define SCHEDULES	(getenv("PEAL_TEST_BRIEF") == NULL ? 60u : 8u)
#define STEPS		250

/* What a worker truly holds, and what it was told. */
struct truth {
	struct mate	*mate;
	bool		 alive, knows;
	uint64_t	 seats[USERS], subs[CHANNELS], signed_in[USERS];
	uint64_t	 open;
	bool		 member[USERS];	/* as it was told */
	bool		 row[USERS];	/* of a list that is coming */
};

struct seat {
	struct rig	*rig;
	uint64_t	 node, generation;
	bool		 frozen, cut, dead;
	unsigned	 n_workers;	/* ever, of this router */
	struct truth	 workers[WORKERS];
	struct told	 told;		/* its courier, with its journal */
};

static struct cluster *cluster;
static struct seat seats[HOSTS];
static uint64_t last_node, conns;
static uint64_t random_state;
static unsigned schedule;
static unsigned loss;	/* in a thousand */

static unsigned
dice(unsigned n)
{
	random_state = random_state * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (unsigned)(random_state >> 33) % n;
}

/* ---- what a worker hears ------------------------------------------------ */

static bool
user_in(const char *line, const char *before, unsigned *user)
{
	size_t n = strlen(before);

	if (strncmp(line, before, n) != 0)
		return false;
	*user = (unsigned)(line[n + 1] - '0');
	assert_true(line[n] == 'u' && *user < USERS);
	return true;
}

static void
hear_line(struct truth *w, const char *line)
{
	unsigned user;

	if (user_in(line, "member presence-r ", &user)) {
		w->row[user] = true;
	} else if (strncmp(line, "roster ", 7) == 0) {
		memcpy(w->member, w->row, sizeof(w->row));
		memset(w->row, 0, sizeof(w->row));
		w->knows = true;
	} else if (user_in(line, "added presence-r ", &user) && w->knows) {
		if (w->member[user])
			fail_msg("schedule %u: u%u came twice", schedule, user);
		w->member[user] = true;
	} else if (user_in(line, "removed presence-r ", &user) && w->knows) {
		if (!w->member[user])
			fail_msg("schedule %u: u%u went twice", schedule, user);
		w->member[user] = false;
	}
}

static void
hear_couriers(void)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		struct rig *g = seats[i].rig;

		if (seats[i].dead)
			continue;
		told_hear(&seats[i].told, g);
		if (dice(4) == 0 && g->courier.serial > 0)
			SAY(&g->courier, hook_ack, .serial = g->courier.serial);
	}
}

static void
hear_all(void)
{
	hear_couriers();
	for (unsigned i = 0; i < HOSTS * WORKERS; i++) {
		struct truth *w = &seats[i / WORKERS].workers[i % WORKERS];

		if (!w->alive || seats[i / WORKERS].dead)
			continue;
		for (size_t k = 0; k < w->mate->n_lines; k++) {
			hear_line(w, w->mate->lines[k]);
			free(w->mate->lines[k]);
		}
		w->mate->n_lines = 0;
	}
}

/* ---- what happens ------------------------------------------------------- */

static struct bytes
user_name(unsigned user)
{
	static const char names[USERS][3] = { "u0", "u1", "u2", "u3", "u4",
		"u5" };

	return bytes_of(names[user], 2);
}

static struct bytes
channel_name(unsigned channel)
{
	static const char names[CHANNELS][3] = { "c0", "c1", "c2", "c3" };

	return bytes_of(names[channel], 2);
}

static void
enter(struct truth *w, unsigned user, uint64_t n, uint64_t flags)
{
	SAY(w->mate, join, .app = B("1"), .channel = B("presence-r"), .n = n,
	    .flags = JOIN_PRESENCE | flags, .user = user_name(user),
	    .member = B("{\"a\":1}"));
}

static bool
has_seats(const struct truth *w)
{
	for (unsigned i = 0; i < USERS; i++) {
		if (w->seats[i] > 0)
			return true;
	}
	return false;
}

static void
worker_new(struct seat *s, struct truth *w)
{
	*w = (struct truth){ .alive = true };
	w->mate = rig_worker(s->rig, ++s->n_workers);
}

static void
worker_dies(struct seat *s, struct truth *w)
{
	hear_all();
	mate_dies(w->mate);
	w->alive = false;
	if (s->n_workers < MATES)
		worker_new(s, w);
}

static void
host_starts(struct seat *s)
{
	s->rig = cluster_host(cluster, s->node, s->generation);
	s->n_workers = 0;
	s->dead = s->cut = s->frozen = false;
	told_link(&s->told, s->rig);
}

/* A courier that remembers, or sleeps, or wakes up. */
static void
courier_suffers(struct seat *s)
{
	if (dice(2) == 0) {
		s->rig->courier.asleep = !s->rig->courier.asleep;
		return;
	}
	hear_all();
	told_link(&s->told, s->rig);
}

/* Another start of a host: nothing is remembered. */
static void
host_anew(struct seat *s)
{
	told_done(&s->told);
	told_init(&s->told);
	host_starts(s);
}

static void
host_dies(struct seat *s)
{
	hear_all();
	cluster_kill(cluster, s->rig);
	memset(s->workers, 0, sizeof(s->workers));
	s->dead = true;
}

/* Workers tell a new router what they hold. */
static void
worker_again(struct seat *s, struct truth *w)
{
	w->mate = rig_stranger(s->rig, ++s->n_workers);
	SAY(w->mate, hello, .version = MSG_VERSION, .slot = s->n_workers,
	    .generation = w->mate->generation);
	for (unsigned i = 0; i < USERS; i++) {
		if (w->seats[i] > 0)
			enter(w, i, w->seats[i], JOIN_SYNC);
		for (uint64_t k = 0; k < w->signed_in[i]; k++)
			SAY(w->mate, signin, .app = B("1"), .conn = ++conns,
			    .user = user_name(i), .flags = JOIN_SYNC);
	}
	for (unsigned i = 0; i < CHANNELS; i++) {
		if (w->subs[i] > 0)
			SAY(w->mate, join, .app = B("1"), .n = w->subs[i],
			    .channel = channel_name(i), .flags = JOIN_SYNC);
	}
	SAY(w->mate, load, .app = B("1"), .open = w->open);
	SAY(w->mate, synced, .end_ = "");
}

static void
router_replaced(struct seat *s)
{
	bool frozen = s->frozen, cut = s->cut;

	hear_all();
	cluster_kill(cluster, s->rig);
	s->generation++;
	host_starts(s);
	rig_starting(s->rig, WORKERS);
	if (cut) {
		cluster_cut(cluster, s->rig);
		s->cut = true;
	}
	(void)frozen;
	for (unsigned i = 0; i < WORKERS; i++) {
		if (s->workers[i].alive)
			worker_again(s, &s->workers[i]);
		else
			worker_new(s, &s->workers[i]);
	}
}

static void
client_moves(struct truth *w)
{
	unsigned user = dice(USERS), channel = dice(CHANNELS);

	switch (dice(8)) {
	case 0:
	case 1:
		enter(w, user, 1, JOIN_ROSTER);
		w->seats[user]++;
		break;
	case 2:
	case 3:
		if (w->seats[user] == 0)
			break;
		SAY(w->mate, leave, .app = B("1"), .channel = B("presence-r"),
		    .n = 1, .user = user_name(user));
		w->seats[user]--;
		if (!has_seats(w))
			w->knows = false;
		break;
	case 4:
		SAY(w->mate, join, .app = B("1"), .n = 1,
		    .channel = channel_name(channel));
		w->subs[channel]++;
		break;
	case 5:
		if (w->subs[channel] == 0)
			break;
		SAY(w->mate, leave, .app = B("1"), .n = 1,
		    .channel = channel_name(channel));
		w->subs[channel]--;
		break;
	case 6:
		SAY(w->mate, signin, .app = B("1"), .conn = ++conns,
		    .user = user_name(user));
		w->signed_in[user]++;
		break;
	default:
		if (w->signed_in[user] > 0) {
			SAY(w->mate, signout, .app = B("1"), .conn = conns,
			    .user = user_name(user));
			w->signed_in[user]--;
		}
		w->open = dice(50);
		SAY(w->mate, load, .app = B("1"), .open = w->open);
	}
}

static void
host_suffers(struct seat *s)
{
	unsigned what = dice(100);

	if (what < 20 && !s->frozen) {
		s->cut = !s->cut;
		(s->cut ? cluster_cut : cluster_mend)(cluster, s->rig);
	} else if (what < 40 && s != &seats[0]) {
		s->frozen = !s->frozen;
		cluster_freeze(cluster, s->rig, s->frozen);
	} else if (what < 60 && !s->frozen) {
		worker_dies(s, &s->workers[dice(WORKERS)]);
	} else if (what < 90 && !s->frozen) {
		router_replaced(s);
	} else if (what < 95 && s != &seats[0]) {
		host_dies(s);
	}
}

static bool
lose(struct cluster *c, const struct envelope *e, const struct port *to)
{
	(void)c;
	return e->node != to->rig->router->node && dice(1000) < loss;
}

static void
step(void)
{
	struct seat *s = &seats[dice(HOSTS)];
	struct truth *w = &s->workers[dice(WORKERS)];

	if (s->dead) {
		if (dice(10) != 0)
			return;
		/* As another node, or (never its master) as the same. */
		s->node = ++last_node;
		host_anew(s);
		for (unsigned i = 0; i < WORKERS; i++)
			worker_new(s, &s->workers[i]);
	} else if (dice(30) == 0) {
		host_suffers(s);
	} else if (!s->frozen && dice(40) == 0) {
		courier_suffers(s);
	} else if (!s->frozen && w->alive) {
		client_moves(w);
	}
	if (dice(3) == 0)
		cluster_later(cluster, dice(12));
	if (dice(40) == 0)
		cluster_later(cluster, 100 + dice(8000));
	hear_all();
}

/* ---- the end ------------------------------------------------------------ */

struct sums {
	uint64_t	 seats[USERS], subs[CHANNELS], signed_in[USERS], all;
	uint64_t	 open;
};

static struct sums
true_sums(void)
{
	struct sums sum = { 0 };

	for (unsigned i = 0; i < HOSTS * WORKERS; i++) {
		const struct truth *w =
		    &seats[i / WORKERS].workers[i % WORKERS];

		if (!w->alive)
			continue;
		for (unsigned u = 0; u < USERS; u++) {
			sum.seats[u] += w->seats[u];
			sum.all += w->seats[u];
			sum.signed_in[u] += w->signed_in[u];
		}
		for (unsigned k = 0; k < CHANNELS; k++)
			sum.subs[k] += w->subs[k];
		sum.open += w->open;
	}
	return sum;
}

static void
check_count(struct census *c, struct bytes channel, uint64_t n)
{
	struct route *t = route_find(c, channel);

	if ((t != NULL ? route_count(t) : 0) != n)
		fail_msg("schedule %u: %.*s has %" PRIu64 " not %" PRIu64,
		    schedule, (int)channel.n, channel.p,
		    t != NULL ? route_count(t) : 0, n);
	if (n == 0)
		assert_null(t);
}

static void
check_users(struct census *c, const struct sums *sum)
{
	struct item_name name = { .kind = ITEM_USER, .app = B("1") };
	struct item *it;

	for (unsigned u = 0; u < USERS; u++) {
		name.user = user_name(u);
		it = user_item.find(c->router, &name, false);
		assert_int_equal(it != NULL ? user_item.here(it) + it->away_n
		    : 0, sum->signed_in[u]);
	}
}

static void
check_host(const struct seat *s, const struct sums *sum)
{
	struct census *c = census_get(s->rig->router, B("1"));
	struct route *t = route_find(c, B("presence-r"));

	check_count(c, B("presence-r"), sum->all);
	for (unsigned k = 0; k < CHANNELS; k++)
		check_count(c, channel_name(k), sum->subs[k]);
	for (unsigned u = 0; u < USERS; u++) {
		struct member *who = t != NULL ? members_find(t->members,
		    user_name(u)) : NULL;

		assert_int_equal(who != NULL ? who->seats.total +
		    who->item.away_n : 0, sum->seats[u]);
		assert_int_equal(who != NULL, sum->seats[u] > 0);
	}
	check_users(c, sum);
	told_check((struct told *)(uintptr_t)&s->told, s->rig->router);
	assert_int_equal(load_total(c).open, sum->open);
	for (unsigned i = 0; i < WORKERS; i++) {
		const struct truth *w = &s->workers[i];

		if (!w->alive || !has_seats(w))
			continue;
		assert_true(w->knows);
		for (unsigned u = 0; u < USERS; u++)
			assert_int_equal(w->member[u], sum->seats[u] > 0);
	}
}

static void
settle(void)
{
	loss = 0;
	for (unsigned i = 0; i < HOSTS; i++) {
		if (seats[i].dead)
			continue;
		cluster_freeze(cluster, seats[i].rig, false);
		cluster_mend(cluster, seats[i].rig);
		seats[i].rig->courier.asleep = false;
	}
	cluster_later(cluster, 12000);
	hear_all();
}

static void
run_schedule(void)
{
	struct sums sum;

	random_state = schedule * 7919 + 1;
	loss = dice(3) * 30;
	cluster = cluster_new(TOLD_HOOK
	    "[backplane]\npartition_timeout = 9s\n");
	cluster->lose = lose;
	for (unsigned i = 0; i < HOSTS; i++) {
		seats[i] = (struct seat){ .node = ++last_node };
		host_anew(&seats[i]);
		for (unsigned k = 0; k < WORKERS; k++)
			worker_new(&seats[i], &seats[i].workers[k]);
	}
	for (unsigned i = 0; i < STEPS; i++)
		step();
	settle();
	sum = true_sums();
	for (unsigned i = 0; i < HOSTS; i++) {
		if (!seats[i].dead)
			check_host(&seats[i], &sum);
	}
	for (unsigned i = 0; i < HOSTS; i++)
		told_done(&seats[i].told);
	cluster_free(cluster);
}

static void
test_random_schedules(void **state)
{
	const char *only = getenv("SCHEDULE");

	(void)state;
	for (schedule = 0; schedule < SCHEDULES; schedule++) {
		if (only == NULL || (unsigned)atoi(only) == schedule)
			run_schedule();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_schedules),
	};

	return cmocka_run_group_tests_name("hosts_random", tests, NULL, NULL);
}
