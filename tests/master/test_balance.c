/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/balance.c: single decisions, and whole services of 2 to 64
 * workers, with clients by lot (from fixed seeds).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "master/balance.h"

/* ---- one decision -------------------------------------------------------- */

static struct balance w[BALANCE_MAX];

static void
have(const uint64_t *holds, unsigned n)
{
	memset(w, 0, sizeof(w));
	for (unsigned i = 0; i < n; i++)
		w[i] = (struct balance){ .serves = true, .holds = holds[i] };
}

static uint64_t
given(unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += w[i].give;
	return sum;
}

static void
test_nothing_to_do(void **state)
{
	static const uint64_t none[] = { 0, 0, 0 }, even[] = { 100, 103, 97 },
	    few[] = { 1, 0, 0, 1 }, one[] = { 1000 };

	(void)state;
	balance_plan(w, 0, 5);
	have(none, 3);
	balance_plan(w, 3, 0);
	assert_int_equal(given(3), 0);
	have(even, 3);
	balance_plan(w, 3, 1000);
	assert_int_equal(given(3), 0);
	have(few, 4);
	balance_plan(w, 4, 2);
	assert_int_equal(given(4), 0);
	have(one, 1);
	balance_plan(w, 1, 1000);
	assert_int_equal(given(1), 0);
}

/* Half of what is too much, from the fullest to the emptiest. */
static void
test_who_gives(void **state)
{
	static const uint64_t holds[] = { 1000, 1100, 900, 1200, 800 };

	(void)state;
	have(holds, 5);
	balance_plan(w, 5, 10000);
	assert_int_equal(w[0].give, 0);
	assert_int_equal(w[1].give, 50);
	assert_int_equal(w[1].to, 2);	/* has as much room as 4 by now */
	assert_int_equal(w[2].give, 0);
	assert_int_equal(w[3].give, 100);
	assert_int_equal(w[3].to, 4);
	assert_int_equal(w[4].give, 0);
}

/* Nobody gives to who is not there, and who is not there gives nothing. */
static void
test_absent(void **state)
{
	static const uint64_t holds[] = { 500, 0, 400, 9000 };

	(void)state;
	have(holds, 4);
	w[1].serves = w[3].serves = false;
	balance_plan(w, 4, 1000);
	assert_int_equal(given(4), 25);
	assert_int_equal(w[0].give, 25);
	assert_int_equal(w[0].to, 2);
	w[0].serves = false;
	balance_plan(w, 4, 1000);
	assert_int_equal(given(4), 0);
}

/* One that is new gets some at a time: the more come, the more. */
static void
test_new_one(void **state)
{
	static const uint64_t holds[] = { 9000, 9000, 9000, 0 };
	uint64_t calm;

	(void)state;
	have(holds, 4);
	balance_plan(w, 4, 0);
	calm = given(4);
	assert_int_equal(calm, 8);
	for (unsigned i = 0; i < 3; i++)
		if (w[i].give != 0)
			assert_int_equal(w[i].to, 3);
	balance_plan(w, 4, 4000);
	/* None of the three more than come to it. */
	assert_int_equal(given(4), 2008);
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(w[i].give, 0, 1008);
}

static void
test_large(void **state)
{
	static const uint64_t holds[] = { UINT32_MAX, 0 };

	(void)state;
	have(holds, 2);
	balance_plan(w, 2, UINT32_MAX);
	assert_int_equal(w[0].give, UINT32_MAX / 4 + 1);
	assert_int_equal(w[0].to, 1);
}

static void
test_fullest(void **state)
{
	static const uint64_t holds[] = { 90, 120, 90, 100 }, none[] = { 0, 0 };

	(void)state;
	have(holds, 4);
	assert_int_equal(balance_fullest(w, 4), 120);
	w[1].serves = false;
	assert_int_equal(balance_fullest(w, 4), 107);
	have(none, 2);
	assert_int_equal(balance_fullest(w, 2), 100);
}

/* ---- whole services ------------------------------------------------------ */

#define STEP_MS		5	/* of the clock */
#define DECIDE_MS	50
#define RARELY_MS	1000
#define CLIENTS_MAX	200000

struct order { uint64_t left; unsigned to; };

/* What worker each client is with; workers report what they hold a step late. */
static struct service {
	unsigned	 workers;
	uint8_t		 at[CLIENTS_MAX];
	unsigned	 clients;
	uint64_t	 holds[BALANCE_MAX], told[BALANCE_MAX];
	struct order	 order[BALANCE_MAX];
	uint64_t	 came, passed;
	unsigned	 ms;
	bool		 steered;
} s;

static uint64_t seed;

static uint32_t
lot(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(((seed >> 32) * below) >> 32);
}

static void
service_start(unsigned workers, uint64_t its_seed, bool steered)
{
	memset(&s, 0, sizeof(s));
	s.workers = workers;
	s.steered = steered;
	seed = its_seed;
}

/* The kernel chooses; then that worker does. */
static void
comes(void)
{
	unsigned i = lot(s.workers);
	struct order *o = &s.order[i];

	if (o->left > 0) {
		o->left--;
		i = o->to;
		s.passed++;
	}
	assert_true(s.clients < CLIENTS_MAX);
	s.at[s.clients++] = (uint8_t)i;
	s.holds[i]++;
	s.came++;
}

static void
goes(void)
{
	unsigned k = lot(s.clients);

	s.holds[s.at[k]]--;
	s.at[k] = s.at[--s.clients];
}

static void
decide(void)
{
	have(s.told, s.workers);
	balance_plan(w, s.workers, s.came);
	for (unsigned i = 0; i < s.workers; i++)
		s.order[i] = (struct order){ w[i].give, w[i].to };
}

static void
step(unsigned come, unsigned go)
{
	bool rush;

	while (come-- > 0)
		comes();
	while (go-- > 0)
		goes();
	s.ms += STEP_MS;
	rush = s.came >= 16;
	if (s.steered && s.ms % (rush ? DECIDE_MS : RARELY_MS) == 0) {
		decide();
		s.came = 0;
	}
	memcpy(s.told, s.holds, sizeof(s.told));
}

static unsigned
fullest(void)
{
	have(s.holds, s.workers);
	return balance_fullest(w, s.workers);
}

/* n in half a second. */
static void
storm(unsigned n)
{
	for (unsigned i = 0; i < 100; i++)
		step((n + i) / 100, 0);
}

/* So many of a thousand are replaced each second; the worst that is seen, once a
 * second. */
static unsigned
churn(unsigned seconds, unsigned thousandths)
{
	unsigned worst = 0, now, rest = 0;

	for (unsigned i = 0; i < seconds; i++) {
		for (unsigned k = 0; k < 1000 / STEP_MS; k++) {
			rest += s.clients * thousandths;
			step(rest / 200000, rest / 200000);
			rest %= 200000;
		}
		now = fullest();
		worst = now > worst ? now : worst;
	}
	return worst;
}

static const unsigned sizes[] = { 2, 3, 4, 6, 8, 16, 32, 64 };

/* As many as eight workers of 10,000 have. */
static void
test_storm(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(sizes); i++)
		for (unsigned k = 1; k <= 20; k++) {
			service_start(sizes[i], k, true);
			storm(sizes[i] <= 8 ? 10000 : sizes[i] * 1250);
			assert_in_range(fullest(), 100, 110);
			assert_true(s.passed < s.clients / 8);
		}
}

/* 62 for each worker, as 500 over 8; and more. */
static void
test_steady(void **state)
{
	static const unsigned each[] = { 62, 250, 1000 };
	unsigned worst;

	(void)state;
	for (size_t i = 0; i < NELEM(sizes); i++)
		for (size_t k = 0; k < NELEM(each); k++) {
			service_start(sizes[i], 7 + k, true);
			storm(sizes[i] * each[k]);
			(void)churn(30, 50);
			worst = churn(120, 10);
			assert_in_range(worst, 100, each[k] == 62 ? 110 : 107);
		}
}

/* It is not by itself so. */
static void
test_chance(void **state)
{
	(void)state;
	service_start(8, 1, false);
	storm(1000);
	assert_in_range(churn(60, 10), 111, 200);
}

/* A worker dies, its clients come back at once: the new one does not have to take
 * everybody, and all are equal soon. */
static void
test_death(void **state)
{
	uint64_t lost, before;
	unsigned k;

	(void)state;
	service_start(8, 3, true);
	storm(40000);
	for (k = 0; k < s.clients; )
		if (s.at[k] == 2)
			s.at[k] = s.at[--s.clients];
		else
			k++;
	lost = s.holds[2];
	s.holds[2] = 0;
	s.order[2].left = 0;
	before = s.passed;
	storm((unsigned)lost);
	assert_in_range(s.passed - before, lost / 8, lost / 2);
	assert_in_range(fullest(), 100, 110);
	(void)churn(30, 10);
	assert_in_range(fullest(), 100, 104);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_who_gives),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_new_one),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_fullest),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_chance),
		cmocka_unit_test(test_death),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
