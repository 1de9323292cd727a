/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier: a courier that is killed loses nothing of what it took.
 * First its journal is cut at every octet, then couriers are killed at random
 * under way.
 */
#include "rig.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto.h"
#include "courier/text.h"

static struct rig *g;
static struct server *s;

static bool
brief(void)
{
	return getenv("PEAL_TEST_BRIEF") != NULL;
}

static void
settings(void)
{
	char *text = xasprintf("[webhook a]\nurl = http://127.0.0.1:%u/\n"
	    "max_batch = 3\nretry_for = 24h\nevents = client_event, "
	    "channel_occupied, channel_vacated\n", s->port);

	rig_settings(g, text);
	free(text);
}

static void
begin(void)
{
	g = rig_new("");
	s = server_new(g->base);
	settings();
	rig_link(g);
}

static void
end(void)
{
	server_free(s);
	rig_free(g);	/* with the loop of both */
}

static void
say(unsigned n)
{
	char text[20];

	snprintf(text, sizeof(text), "\"n%u\"", n);
	rig_client(g, "room", text);
}

/* ---- the journal, cut anywhere ------------------------------------------------------ */

static void
contents(int fd, struct buf *to)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	buf_clear(to);
	to->n = (size_t)pread(fd, buf_room(to, (size_t)st.st_size + 1),
	    (size_t)st.st_size, 0);
}

static void
put_back(int fd, struct bytes what)
{
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, what.p, what.n, 0), what.n);
}

/* The numbers of client events that wait, which must be in order; the last. */
static unsigned
waiting(const struct courier *c, unsigned *first)
{
	const struct queued *i;
	unsigned last = 0, n;

	*first = 0;
	if (TAILQ_EMPTY(&c->targets.all))
		return 0;
	TAILQ_FOREACH(i, &TAILQ_FIRST(&c->targets.all)->items, link) {
		const char *p = memmem(i->text->p, i->text->n, "\"n", 2);

		/* Of "name" there is one, too. */
		while (p != NULL && (p[2] < '0' || p[2] > '9'))
			p = memmem(p + 2, i->text->n - (size_t)(p + 2 -
			    i->text->p), "\"n", 2);
		if (p == NULL)
			continue;
		n = (unsigned)strtoul(p + 2, NULL, 10);
		if (*first == 0)
			*first = n;
		else
			assert_int_equal(n, last + 1);
		last = n;
	}
	return last;
}

#define EVENTS	20
#define TAKEN	6	/* of them by the target, before the cut */

/* What a router would do that has no answer for what is not in the journal:
 * all from the first that is not acknowledged. */
static void
told_again(unsigned from)
{
	rig_link(g);
	for (; from <= EVENTS; from++)
		say(from);
	rig_acked(g);
}

static void
cut_at(const struct buf *whole, size_t n, unsigned active)
{
	unsigned first, last, taken;

	put_back(g->journal[active], bytes_of(whole->p, n));
	put_back(g->journal[!active], B(""));
	rig_start(g);
	taken = waiting(g->courier, &first);
	assert_true(taken <= EVENTS);
	/* Those that the target has may be here yet, others are not missing. */
	assert_true(first <= TAKEN + 1);
	g->epoch++;
	told_again(taken + 1);
	last = waiting(g->courier, &first);
	assert_int_equal(last, EVENTS);
	assert_true(first >= 1 && first <= TAKEN + 1);
	if (n == whole->n)
		assert_int_equal(first, TAKEN + 1);
	rig_kill(g);
}

static void
cut_anywhere(void **state)
{
	struct buf whole = { 0 };
	unsigned i, active;

	(void)state;
	begin();
	for (i = 1; i <= TAKEN; i++)
		say(i);
	rig_acked(g);
	rig_until(g, g->courier->targets.n == 0);
	s->always = 500;
	rig_state(g, "x", "", true);
	for (; i <= EVENTS; i++) {
		say(i);
		rig_acked(g);
	}
	contents(g->journal[g->courier->journal.active], &whole);
	active = g->courier->journal.active;
	rig_kill(g);
	for (size_t n = 0; n <= whole.n; n += brief() && n + 61 < whole.n ?
	    61 : 1)
		cut_at(&whole, n, active);
	buf_done(&whole);
	end();
}

/* The same router, all once more and one behind it: so many wait then, and each
 * once. */
static void
same_router(uint64_t serial)
{
	unsigned first;

	g->serial = g->acked = serial;
	rig_link_bare(g);
	rig_hosts(g, 1, 0, (uint64_t[]){ 1 }, 1);
	for (unsigned i = 1; i <= 6; i++)
		say(i);
	rig_acked(g);
	assert_int_equal(waiting(g->courier, &first), 6);
	assert_int_equal(first, 1);
	assert_int_equal(g->courier->targets.n, 6);
}

/* The router tells again what was not acknowledged; what is in the journal is
 * known by its serial. */
static void
nothing_is_taken_twice(void **state)
{
	uint64_t serial;

	(void)state;
	begin();
	s->always = 500;
	serial = g->serial;
	for (unsigned i = 1; i <= 5; i++)
		say(i);
	rig_acked(g);
	rig_kill(g);
	rig_start(g);
	same_router(serial);
	end();
}

/* Killed in the middle of a write: what is in the file is known, although the end of
 * what was written, which says how far all was taken, is not there. */
static void
a_part_of_a_write(void **state)
{
	struct buf whole = { 0 }, before = { 0 };
	uint64_t serial;
	unsigned active;

	(void)state;
	begin();
	s->always = 500;
	serial = g->serial;
	say(1);
	rig_acked(g);
	active = g->courier->journal.active;
	contents(g->journal[active], &before);
	for (unsigned i = 2; i <= 5; i++)
		say(i);
	rig_acked(g);
	contents(g->journal[active], &whole);
	rig_kill(g);
	assert_true(whole.n > before.n);
	for (size_t n = before.n; n <= whole.n; n++) {
		put_back(g->journal[active], bytes_of(whole.p, n));
		put_back(g->journal[!active], B(""));
		rig_start(g);
		same_router(serial);
		rig_kill(g);
	}
	buf_done(&whole);
	buf_done(&before);
	rig_start(g);
	end();
}

/* ---- killed at random ---------------------------------------------------------------- */

static bool there;	/* the channel that comes and goes */
static unsigned said_n;	/* client events */

static void
relink(void)
{
	rig_link_bare(g);
	rig_hosts(g, 1, 0, (uint64_t[]){ 1 }, 1);
	rig_resend(g);
	rig_roll(g, true);
	if (there)
		rig_state(g, "comes and goes", "", true);
	rig_roll(g, false);
}

static void
step(unsigned dice)
{
	if (dice < 50)
		say(++said_n);
	else if (dice < 60) {
		there = !there;
		rig_state(g, "comes and goes", "", there);
	} else if (dice < 65)
		server_answer(s, dice % 2 ? 500 : ANSWER_RESET);
	else if (dice < 75)
		rig_later(g, 4000);
	else if (dice < 80) {
		rig_kill(g);
		rig_start(g);
		relink();
	} else if (dice < 83) {
		/* Another router: it knows what was not acknowledged by rolls
		 * alone, so wait. */
		rig_acked(g);
		rig_unlink(g);
		g->epoch++;
		relink();
	} else if (dice < 85) {
		rig_stop(g, 0);
		rig_start(g);
		relink();
	} else
		rig_turn(g);
}

/* A request that comes again is the same. */
static void
repeats_are_the_same(size_t i)
{
	const struct request *r = server_request(s, i);
	char *id = xstrdup(request_header(r, "X-Peal-Delivery"));

	for (size_t k = 0; k < i; k++)
		if (strcmp(request_header(&s->requests[k], "X-Peal-Delivery"),
		    id) == 0)
			assert_string_equal(s->requests[k].body, r->body);
	free(id);
}

static bool
is_repeat(size_t i)
{
	char *id = xstrdup(request_header(&s->requests[i],
	    "X-Peal-Delivery"));
	bool found = false;

	for (size_t k = 0; k < i && !found; k++)
		found = strcmp(request_header(&s->requests[k],
		    "X-Peal-Delivery"), id) == 0;
	free(id);
	return found;
}

/* Each event came, its first time in order; the channel came and went by turns,
 * for who passes over a delivery that he has had. */
static void
check(void)
{
	bool occupied = false;
	unsigned next = 1;

	for (size_t i = 0; i < s->n; i++) {
		const char *p = s->requests[i].body;

		repeats_are_the_same(i);
		if (is_repeat(i))
			continue;
		while ((p = strstr(p, "{\"name\":\"")) != NULL) {
			p += 9;
			if (strncmp(p, "client_event", 12) == 0) {
				assert_int_equal(strtoul(strstr(p,
				    "\"data\":\"n") + 9, NULL, 10), next);
				next++;
				continue;
			}
			assert_int_equal(strncmp(p, "channel_occupied", 16) == 0,
			    !occupied);
			occupied = !occupied;
		}
	}
	assert_int_equal(next, said_n + 1);
	assert_int_equal(occupied, there);
}

static void
killed_at_random(void **state)
{
	unsigned steps = brief() ? 150 : 600;

	(void)state;
	begin();
	there = false;
	said_n = 0;
	for (unsigned i = 0; i < steps; i++) {
		if (s->n_answers > 20)
			rig_turn(g);
		else
			step(random_1_to(100) - 1);
	}
	s->n_answers = 0;
	rig_acked(g);
	rig_later(g, 60000);
	rig_until(g, g->courier->targets.n == 0);
	check();
	end();
}

/* ---- a disk that is full ------------------------------------------------------------- */

#define DISK	20000		/* octets of a file */
#define SAID	400		/* events, which do not fit */

static void
disk(rlim_t octets)
{
	struct rlimit room;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &room), 0);
	room.rlim_cur = octets;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
}

/* What was delivered needs no room: it goes on as soon as that is thrown away. */
static void
a_full_disk_is_not_full_for_ever(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	begin();
	disk(DISK);
	for (unsigned n = 1; n <= SAID; n++) {
		say(n);
		rig_until(g, g->acked == g->serial ||
		    (rig_later(g, 1000), false));
	}
	rig_until(g, g->courier->targets.n == 0);
	assert_false(g->courier->journal.broken);
	disk(RLIM_INFINITY);
	rig_kill(g);
	rig_start(g);
	assert_int_equal(g->courier->targets.n, 0);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(nothing_is_taken_twice),
		cmocka_unit_test(a_part_of_a_write),
		cmocka_unit_test(killed_at_random),
		cmocka_unit_test(a_full_disk_is_not_full_for_ever),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
