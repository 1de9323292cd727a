/* SPDX-License-Identifier: MIT
 *
 * Questions of pealctl and of workers under random schedules, compared with a
 * simple model: who asks stays or goes, reads or not; workers answer in parts,
 * refuse, say nonsense, die and come; time passes; the router is replaced, or its
 * successor dies on the way.
 *
 * Who stays gets what the model says, with one last line and nothing behind it; a
 * user who was to be closed is closed once, whoever has gone meanwhile; and the
 * router keeps no more questions, tails and octets than there are askers.
 *
 * PEAL_TEST_SEED=N: that one; PEAL_TEST_ROUNDS=N: so many.
 */
#include "asked.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/ipc.h"
#include "router/control.h"
#include "router/inspect.h"

#define ROUNDS		(getenv("PEAL_TEST_BRIEF") == NULL ? 400u : 30u)
#define STEPS		160
#define FEW		3	/* channels of a worker */
#define MANY		8000	/* the same in some rounds */

static bool synced[MATES];
static unsigned n_channels;
static uint64_t random_state;

static unsigned
dice(unsigned n)
{
	random_state = random_state * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (unsigned)(random_state >> 33) % n;
}

/* One of them at random, or NULL. */
static struct mate *
any_mate(struct rig *g)
{
	struct mate *w = g->n_mates > 0 ?
	    &g->mates[dice((unsigned)g->n_mates)] : NULL;

	return w != NULL && lives(w) ? w : NULL;
}

static struct asker *
any_asker(enum stand stand)
{
	unsigned from = dice(ASKERS);

	for (unsigned i = 0; i < ASKERS; i++) {
		struct asker *a = &askers[(from + i) % ASKERS];

		if (a->stand == stand)
			return a;
	}
	return NULL;
}

static unsigned
count_live(const struct rig *g)
{
	unsigned n = 0;

	for (size_t i = 0; i < g->n_mates; i++)
		n += lives(&g->mates[i]);
	return n;
}

/* ---- workers --------------------------------------------------------------- */

static void
say_joins(struct mate *w, unsigned flags)
{
	char name[40];

	for (unsigned i = 0; i < n_channels; i++) {
		snprintf(name, sizeof(name), "c%" PRIu64 "-%u", w->slot, i);
		SAY(w, join, .app = B("1"), .channel = bytes_str(name), .n = 1,
		    .flags = flags);
	}
}

static void
worker_comes(void)
{
	struct mate *w;

	if (moment > RAISED || rig->n_mates == MATES - 3)
		return;
	w = rig_stranger(rig, 1 + dice(5));
	SAY(w, hello, .version = dice(6) == 0 ? 4 : MSG_VERSION,
	    .slot = w->slot, .generation = w->generation);
	SAY(w, synced, .end_ = "");
	say_joins(w, 0);
	synced[index_of(w)] = true;
	run_and_check();
}

static void
worker_dies(void)
{
	struct mate *w = any_mate(rig);

	if (w == NULL || moment == YIELDS)
		return;
	mate_dies(w);
	is_missing(rig, w);
	for (unsigned i = 0; i < ASKERS; i++)
		if (askers[i].stand != FREE && askers[i].mate == w)
			goes(&askers[i]);
	run_and_check();
}

/* Nobody can make anything of what it says; its link is cut. */
static void
worker_errs(void)
{
	struct mate *w = any_mate(rig);
	struct asker *a = any_asker(WAITS);

	if (w == NULL || a == NULL || a->rig != w->rig ||
	    !a->waits[index_of(w)])
		return;
	SAY(w, inspected, .cookie = a->cookie, .lines = B("{\"backlog\":-1}\n"));
	rig_run(rig);
	mate_dies(w);
	is_missing(rig, w);
	for (unsigned i = 0; i < ASKERS; i++)
		if (askers[i].stand != FREE && askers[i].mate == w)
			goes(&askers[i]);
	run_and_check();
}

/* A few lines, which are to be kept or not. */
static void
add_rows(struct asker *a, const struct mate *w, bool counts, struct buf *lines)
{
	unsigned n = a->limit == 0 ? 0 : dice(1 + (a->limit < 4 ? a->limit : 4));
	struct row row;

	while (n-- > 0 && a->n_rows < ROWS) {
		row.backlog = dice(5);
		snprintf(row.text, sizeof(row.text), "{\"socket_id\":\"%" PRIu64
		    ".%u\",\"backlog\":%u}\n", w->slot, dice(1000000),
		    row.backlog);
		buf_str(lines, row.text);
		if (counts && (a->verb == SLOW || a->n_rows < a->limit))
			a->rows[a->n_rows++] = row;
	}
}

static void
worker_answers(void)
{
	struct asker *a = any_asker(WAITS);
	struct mate *w = any_mate(rig);
	struct buf lines = { 0 };
	bool awaited, end = dice(3) != 0, refused = end && dice(8) == 0;
	uint64_t n = dice(10), cookie;

	if (a == NULL || w == NULL || a->rig != rig)
		return;
	/* Also what nobody asked, or not any more. */
	awaited = a->waits[index_of(w)] && dice(10) != 0;
	cookie = awaited || !a->waits[index_of(w)] ? a->cookie : 0;
	add_rows(a, w, awaited, &lines);
	SAY(w, inspected, .cookie = cookie, .lines = buf_view(&lines),
	    .end = end, .n = n, .refused = refused);
	buf_done(&lines);
	if (awaited && end) {
		a->total += n;
		if (refused)
			a->missing |= 1ull << w->slot;
		a->waits[index_of(w)] = false;
		complete_if_all(a);
	}
	run_and_check();
}

/* ---- askers ---------------------------------------------------------------- */

static void
write_request(const struct asker *a, struct buf *out)
{
	unsigned id = a->id;

	switch (a->verb) {
	case INSPECT:
	case SLOW:
		buf_fmt(out, "{\"verb\":\"inspect\",\"user\":\"a%u\",\"slow\":%s"
		    ",\"limit\":%u}", id, a->verb == SLOW ? "true" : "false",
		    a->limit);
		break;
	case KICK_SOCKET:
		buf_fmt(out, "{\"verb\":\"kick\",\"socket\":\"%u.7\"}", id);
		break;
	case KICK_USER:
		buf_fmt(out, "{\"verb\":\"%s\",\"user\":\"a%u\"}",
		    dice(2) ? "kick" : "terminate", id);
		break;
	case TAIL:
		buf_fmt(out, "{\"verb\":\"tail\",\"channel\":\"%s\"}",
		    dice(2) ? "pub" : "pu*");
		break;
	case TAIL_OPENED:
		buf_str(out, "{\"verb\":\"tail\",\"kinds\":[\"opened\"]}");
		break;
	case CHANNELS:
		buf_str(out, "{\"verb\":\"channels\"}");
		break;
	case PUBLISH:
		buf_fmt(out, "{\"verb\":\"publish\",\"channel\":\"pub\","
		    "\"event\":\"e\",\"data\":\"%u\"}", id);
		break;
	case HOSTS:
		buf_str(out, "{\"verb\":\"hosts\"}");
		break;
	default:
		buf_str(out, "{\"verb\":7}");
	}
}

/* By pealctl, of this router or of the one that is to follow. */
static void
ask_by_fd(struct asker *a, struct bytes request)
{
	int fds[2];

	a->rig = heir != NULL && dice(2) ? heir : rig;
	a->asleep = dice(a->verb == CHANNELS ? 2 : 12) == 0;
	assert_int_equal(ipc_pair(fds), 0);
	a->fd = fds[1];
	if (is_held(a->rig))
		a->stand = HELD;
	else
		begins(a);
	control_take(a->rig->router, fds[0], request);
}

static void
ask_by_worker(struct asker *a, struct mate *w, struct bytes request)
{
	a->rig = rig;
	a->mate = w;
	SAY(w, ask, .cookie = a->id, .line = request);
	if (rig->router->elder.stage >= ELDER_YIELDS)
		a->stand = UNREAD;
	else if (is_held(rig))
		a->stand = HELD;
	else
		begins(a);
}

static void
somebody_asks(void)
{
	struct asker *a = any_asker(FREE);
	struct mate *w = dice(2) ? any_mate(rig) : NULL;
	struct buf request = { 0 };
	unsigned tails = 0;

	for (unsigned i = 0; i < ASKERS; i++)
		tails += askers[i].stand != FREE && askers[i].verb <= TAIL_OPENED
		    && askers[i].verb >= TAIL;
	if (a == NULL || n_ids == IDS - 1)
		return;
	*a = (struct asker){ .id = ++n_ids, .verb = dice(VERBS),
	    .limit = 1 + dice(8) };
	/* In what order the links of workers are read is not known. */
	if (a->verb >= TAIL && a->verb <= TAIL_OPENED && (tails >= TAPS_MAX ||
	    moment >= YIELDS))
		a->verb = INSPECT;
	if (a->verb == KICK_SOCKET || a->verb == KICK_USER)
		a->limit = 0;
	write_request(a, &request);
	if (w != NULL && w->peer->version >= 5)
		ask_by_worker(a, w, buf_view(&request));
	else
		ask_by_fd(a, buf_view(&request));
	buf_done(&request);
	run_and_check();
}

static void
somebody_leaves(void)
{
	struct asker *a = &askers[dice(ASKERS)];

	if (a->stand == FREE || a->left)
		return;
	if (a->mate == NULL) {
		close(a->fd);
		a->left = true;
		/* What is written to nobody ends it. */
		if (a->stand == ENDS)
			forget(a);
	} else {
		SAY(a->mate, ask_end, .cookie = a->id);
		if (a->stand != UNREAD)
			goes(a);
		else
			a->left = true;
	}
	run_and_check();
}

static void
somebody_wakes(void)
{
	askers[dice(ASKERS)].asleep = false;
	run_and_check();
}

/* ---- time ------------------------------------------------------------------ */

/* A second of this router: whom it waits for in vain, and who has hung up. */
static void
second_of(struct rig *g, uint64_t ms)
{
	expire(g, g->router->now + ms);
	rig_later(g, ms);
	held_begin();
	for (unsigned i = 0; i < ASKERS; i++) {
		struct asker *a = &askers[i];

		if (a->stand != FREE && a->rig == g && a->left &&
		    a->mate == NULL)
			goes(a);
	}
}

static void
time_passes(uint64_t ms)
{
	second_of(rig, ms);
	if (heir != NULL)
		second_of(heir, rig->router->now - heir->router->now);
	run_and_check();
}

/* ---- one router follows another ----------------------------------------------- */

static void
raise_heir(void)
{
	if (moment != QUIET || count_live(rig) == 0)
		return;
	heir = rig_heir("", NULL, rig);
	memset(opened_told[1], 0, sizeof(opened_told[1]));
	moment = RAISED;
	run_and_check();
}

static void
yield(void)
{
	if (moment != RAISED || !heir->router->heir.ready)
		return;
	for (unsigned i = 0; i < ASKERS; i++) {
		struct asker *a = &askers[i];

		if (a->rig != rig || (a->stand != WAITS && a->stand != TAILS))
			continue;
		replaced(a);
	}
	elder_yield(rig->router);
	moment = YIELDS;
	run_and_check();
}

static void
lose_heir(void)
{
	if (heir == NULL || rig->router->elder.stage == ELDER_YIELDED)
		return;
	for (unsigned i = 0; i < ASKERS; i++)
		if (askers[i].stand != FREE && askers[i].rig == heir)
			forget(&askers[i]);
	rig_free(heir);
	heir = NULL;
	moment = QUIET;
	rig_run(rig);
	for (unsigned id = 1; id <= n_ids; id++) {
		struct asker *a = find_asker(id);
		bool left = a != NULL && a->left;

		if (a == NULL || a->stand != UNREAD)
			continue;
		a->left = false;
		begins(a);
		if (left)
			goes(a);
	}
	run_and_check();
}

/* The elder has yielded: workers speak to its heir. */
static void
move(void)
{
	struct rig *old = rig;
	unsigned expect = count_live(rig);

	if (moment != YIELDS || rig->router->elder.stage != ELDER_YIELDED)
		return;
	for (unsigned i = 0; i < ASKERS; i++)
		if (askers[i].stand != FREE && askers[i].rig == old)
			forget(&askers[i]);
	for (size_t i = 0; i < old->n_mates; i++) {
		struct mate *w = &old->mates[i], *to;

		if (!lives(w))
			continue;
		to = rig_stranger(heir, (unsigned)w->slot);
		SAY(to, hello, .version = w->peer->version, .slot = to->slot,
		    .generation = to->generation);
		say_joins(to, JOIN_SYNC);
		synced[index_of(to)] = false;
		mate_dies(w);
	}
	heir_take_over(heir->router, expect);
	rig_free(old);
	rig = heir;
	heir = NULL;
	memcpy(opened_told[0], opened_told[1], sizeof(opened_told[0]));
	moment = MOVED;
	seen.handovers++;
	run_and_check();
}

static void
worker_syncs(void)
{
	if (moment != MOVED)
		return;
	for (size_t i = 0; i < rig->n_mates; i++) {
		if (!lives(&rig->mates[i]) || synced[i])
			continue;
		SAY(&rig->mates[i], synced, .end_ = "");
		synced[i] = true;
		break;
	}
	run_and_check();
}

/* ---- schedules --------------------------------------------------------------- */

static void
step(void)
{
	switch (dice(20)) {
	case 0: case 1: case 2: case 3: case 4:
		somebody_asks();
		break;
	case 5: case 6: case 7: case 8:
		worker_answers();
		break;
	case 9: case 10:
		somebody_leaves();
		break;
	case 11:
		somebody_wakes();
		break;
	case 12:
		dice(2) ? worker_dies() : worker_errs();
		break;
	case 13:
		worker_comes();
		break;
	case 14: case 15:
		time_passes(50 + dice(900));
		break;
	case 16:
		raise_heir();
		break;
	case 17:
		dice(4) == 0 ? lose_heir() : yield();
		break;
	case 18:
		move();
		break;
	default:
		worker_syncs();
	}
}

/* Who stays gets the end of it; then nothing is left. */
static void
settle(void)
{
	const struct router *r;

	for (unsigned i = 0; i < ASKERS; i++)
		askers[i].asleep = false;
	run_and_check();
	if (heir != NULL && moment == YIELDS)
		time_passes(2000);
	move();
	lose_heir();
	while (moment == MOVED)
		worker_syncs();
	time_passes(INSPECT_MS);
	for (unsigned i = 0; i < ASKERS; i++) {
		struct asker *a = &askers[i];

		if (a->stand == FREE)
			continue;
		if (a->stand != TAILS)
			WRONG(a, "no end");
		if (a->mate != NULL)
			SAY(a->mate, ask_end, .cookie = a->id);
		forget(a);
	}
	time_passes(1000);
	r = rig->router;
	assert_int_equal(r->n_controls + r->n_asks, 0);
	assert_true(LIST_EMPTY(&r->inspections) && TAILQ_EMPTY(&r->answers));
	assert_int_equal(r->taps.n, 0);
}

static void
schedule(unsigned n)
{
	seed = n;
	random_state = n * 7919ull + 1;
	memset(closings, 0, sizeof(closings));
	n_ids = 0;
	memset(opened_told, 0, sizeof(opened_told));
	n_channels = n % 50 == 0 ? MANY : FEW;
	moment = QUIET;
	heir = NULL;
	rig = rig_new("");
	worker_comes();
	worker_comes();
	for (unsigned i = 0; i < STEPS; i++)
		step();
	settle();
	rig_free(rig);
}

static void
test_schedules(void **state)
{
	const char *one = getenv("PEAL_TEST_SEED"),
	    *rounds = getenv("PEAL_TEST_ROUNDS");
	unsigned most = rounds != NULL ? (unsigned)atoi(rounds) : ROUNDS;

	(void)state;
	if (one != NULL) {
		schedule((unsigned)atoi(one));
		return;
	}
	for (unsigned n = 1; n <= most; n++)
		schedule(n);
	print_message("# seeds 1 to %u: %u answers, %u of them to ask again, %u "
	    "users closed, %u published, %u handed over\n", most, seen.answers,
	    seen.again, seen.closed, seen.published, seen.handovers);
	assert_true(seen.handovers > most && seen.closed > most);
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
