/* SPDX-License-Identifier: MIT
 *
 * Would peal-benchmark notice, and does it measure what it says?
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../contrib/bench/benchmark.h"
#include "../../contrib/bench/wire.h"

struct settings opt;

/* ---- histogram ---------------------------------------------------------- */

static struct histogram h, more;

static void
test_exact_below_64(void **state)
{
	(void)state;
	memset(&h, 0, sizeof h);
	for (uint64_t v = 0; v < 64; v++)
		histogram_add(&h, v);
	for (unsigned v = 0; v < 64; v++)
		assert_int_equal(histogram_at(&h, v / 64.0), v);
	assert_int_equal(histogram_at(&h, 1), 63);
}

static void
test_error_below_2_percent(void **state)
{
	(void)state;
	for (uint64_t v = 1; v < UINT64_MAX / 3; v += v / 7 + 1) {
		double got;

		memset(&h, 0, sizeof h);
		histogram_add(&h, v);
		h.max = UINT64_MAX;	/* it would clip to what was added */
		got = (double)histogram_at(&h, 0);
		assert_true(got >= (double)v * 0.98);
		assert_true(got <= (double)v * 1.02);
	}
	memset(&h, 0, sizeof h);
	histogram_add(&h, UINT64_MAX);
	assert_true(histogram_at(&h, 0) >= UINT64_MAX / 100 * 98);
}

static void
test_percentiles(void **state)
{
	static const double at[] = { 0.5, 0.9, 0.99, 0.999 };

	(void)state;
	memset(&h, 0, sizeof h);
	assert_int_equal(histogram_at(&h, 0.5), 0);
	for (uint64_t v = 1; v <= 100000; v++)
		histogram_add(&h, v * 1000);
	for (unsigned i = 0; i < sizeof at / sizeof at[0]; i++) {
		double got = (double)histogram_at(&h, at[i]);

		assert_true(got > at[i] * 1e8 * 0.98);
		assert_true(got < at[i] * 1e8 * 1.02);
	}
	assert_int_equal(histogram_at(&h, 1), 100000000);
}

static void
test_merge(void **state)
{
	(void)state;
	memset(&h, 0, sizeof h);
	memset(&more, 0, sizeof more);
	for (unsigned i = 0; i < 90; i++)
		histogram_add(&h, 10);
	for (unsigned i = 0; i < 10; i++)
		histogram_add(&more, 5000);
	histogram_merge(&h, &more);
	assert_int_equal(h.n, 100);
	assert_int_equal(h.max, 5000);
	assert_int_equal(histogram_at(&h, 0.89), 10);
	assert_true(histogram_at(&h, 0.91) > 4900);
}

/* ---- tally -------------------------------------------------------------- */

static void
test_all_in_order(void **state)
{
	struct tally t = { .next = 0 };

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(tally_heard(&t, i), HEARD_GOOD);
	assert_int_equal(tally_missing(&t, 1000), 0);
	assert_int_equal(tally_missing(&t, 1003), 3);
}

static void
test_missing(void **state)
{
	struct tally t = { .next = 0 };

	(void)state;
	for (uint32_t i = 0; i < 300; i++)
		if (i != 0 && i != 100 && i != 101 && i != 299)
			assert_int_equal(tally_heard(&t, i), HEARD_GOOD);
	assert_int_equal(tally_missing(&t, 300), 4);
}

static void
test_doubled(void **state)
{
	struct tally t = { .next = 0 };

	(void)state;
	assert_int_equal(tally_heard(&t, 0), HEARD_GOOD);
	assert_int_equal(tally_heard(&t, 0), HEARD_DOUBLED);
	for (uint32_t i = 1; i < 200; i++)
		tally_heard(&t, i);
	assert_int_equal(tally_heard(&t, 150), HEARD_DOUBLED);
	assert_int_equal(tally_heard(&t, 199), HEARD_DOUBLED);
	/* so long ago that it is not known singly */
	assert_int_equal(tally_heard(&t, 3), HEARD_DOUBLED);
	assert_int_equal(tally_missing(&t, 200), 0);
}

static void
test_late(void **state)
{
	struct tally t = { .next = 0 };

	(void)state;
	tally_heard(&t, 1);
	assert_int_equal(tally_missing(&t, 2), 1);
	assert_int_equal(tally_heard(&t, 0), HEARD_LATE);
	assert_int_equal(tally_missing(&t, 2), 0);
	assert_int_equal(tally_heard(&t, 0), HEARD_DOUBLED);
	for (uint32_t i = 2; i < 400; i++)
		if (i != 7)
			tally_heard(&t, i);
	assert_int_equal(tally_missing(&t, 400), 1);
	assert_int_equal(tally_heard(&t, 7), HEARD_LATE);
	assert_int_equal(tally_missing(&t, 400), 0);
	assert_int_equal(tally_heard(&t, 7), HEARD_DOUBLED);
}

static void
test_long_gap(void **state)
{
	struct tally t = { .next = 0 };

	(void)state;
	tally_heard(&t, 0);
	for (uint32_t gap = 62; gap < 67; gap++) {
		uint32_t from = t.next, was = t.missing;

		assert_int_equal(tally_heard(&t, from + gap), HEARD_GOOD);
		assert_int_equal(t.missing, was + gap);
		assert_int_equal(tally_heard(&t, from + gap), HEARD_DOUBLED);
		assert_int_equal(tally_heard(&t, from + gap - 1), HEARD_LATE);
	}
}

/* ---- the mark ----------------------------------------------------------- */

static void
test_mark(void **state)
{
	char data[128] = "{\"event\":\"m\",\"data\":\"", broken[128];
	uint32_t number, channel;
	uint64_t due;
	size_t at = strlen(data);

	(void)state;
	opt.size = 50;
	mark_write(data + at, 0xfedcba98, 77, 0x123456789abcdef0);
	assert_true(mark_read(data, at + 50, &number, &channel, &due));
	assert_int_equal(number, 0xfedcba98);
	assert_int_equal(channel, 77);
	assert_int_equal(due, 0x123456789abcdef0);
	/* elsewhere than the last one */
	assert_true(mark_read(data + 5, at + 45, &number, &channel, &due));
	assert_int_equal(number, 0xfedcba98);
	assert_true(mark_read(data, at + MARK_SIZE, &number, &channel, &due));
	assert_false(mark_read(data, at + MARK_SIZE - 1, &number, &channel,
	    &due));
	assert_false(mark_read(data, 3, &number, &channel, &due));
	assert_false(mark_read("{\"event\":\"pusher:ping\",\"data\":\"no mark at "
	    "all in here\"}", 55, &number, &channel, &due));
	for (unsigned i = 0; i < MARK_SIZE; i++) {
		memcpy(broken, data, sizeof broken);
		broken[at + i] = 'G';
		assert_false(mark_read(broken, at + 50, &number, &channel,
		    &due));
	}
}

/* ---- frames ------------------------------------------------------------- */

static void
test_frames(void **state)
{
	static const size_t sizes[] = { 0, 1, 125, 126, 65535, 65536, 70000 };
	static char body[70000], to[70000 + WIRE_FRAME];
	size_t head, size, n;

	(void)state;
	memset(body, 'b', sizeof body);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		n = wire_frame(to, 1, body, sizes[i]);
		assert_true(n <= sizes[i] + WIRE_FRAME);
		/* as a server would send it: without the mask */
		assert_true((to[1] & 0x80) != 0);
		assert_true(wire_whole((unsigned char *)to, n - 4, &head,
		    &size));
		assert_int_equal(size, sizes[i]);
		assert_int_equal(head + size, n - 4);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal((to[head + 4 + k] ^ to[head + k % 4]),
			    'b');
		if (n > 4)
			assert_false(wire_whole((unsigned char *)to, n - 5,
			    &head, &size));
	}
	assert_false(wire_whole((const unsigned char *)"\x81\x7e\x01", 3, &head,
	    &size));
	assert_int_equal(head, 0);
}

static void
test_sign(void **state)
{
	char hex[65];

	(void)state;
	/* RFC 4231, case 2; twice, as a key is set once */
	wire_secret("Jefe");
	for (unsigned i = 0; i < 2; i++) {
		wire_sign(hex, "what do ya want for nothing?", 28);
		assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c7"
		    "5a003f089d2739839dec58b964ec3843");
	}
}

/* ---- options ------------------------------------------------------------ */

const struct scenario scenarios[] = {
	{ "fanout", "--connections 1000 --rate 50", "--connections 20", "",
	    NULL },
	{ "idle", "--connections 5 --hold 3", "--hold 1", "", NULL },
	{ "pressure", "--stalled 10", "", "", NULL },
	{ NULL, NULL, NULL, NULL, NULL }
};

static char reported[1024];

void
report_number(const char *name, double value, unsigned decimals)
{
	snprintf(reported + strlen(reported), sizeof reported -
	    strlen(reported), "%s=%.*f ", name, (int)decimals, value);
}

void
report_text(const char *name, const char *value)
{
	snprintf(reported + strlen(reported), sizeof reported -
	    strlen(reported), "%s=%s ", name, value);
}

void
report_flag(const char *name, bool value)
{
	report_text(name, value ? "true" : "false");
}

static struct settings got;
static const struct scenario *found;
static const char *why;

static int
parse(const char *line)
{
	static char room[512], *argv[32];
	char *save = NULL;
	int argc = 0;

	snprintf(room, sizeof room, "x %s", line);
	for (char *p = strtok_r(room, " ", &save); p != NULL;
	    p = strtok_r(NULL, " ", &save))
		argv[argc++] = p;
	argv[argc] = NULL;
	if (options_scenario(argc, argv, &found, &why) != 0)
		return -1;
	return options_read(&got, found != NULL ? found : &scenarios[0], argc,
	    argv, &why);
}

#define WHO	"--app-id i --key k --secret s "

static int
clean(void **state)
{
	(void)state;
	unsetenv("REVERB_APP_ID");
	unsetenv("REVERB_APP_KEY");
	unsetenv("REVERB_APP_SECRET");
	unsetenv("PUSHER_APP_ID");
	unsetenv("PUSHER_APP_KEY");
	unsetenv("PUSHER_APP_SECRET");
	return 0;
}

static void
test_options(void **state)
{
	(void)state;
	assert_int_equal(parse(WHO "--port=81 fanout -n 7 --rate 2k --client"),
	    0);
	assert_string_equal(found->name, "fanout");
	assert_string_equal(got.key, "k");
	assert_int_equal(got.port, 81);
	assert_int_equal(got.connections, 7);
	assert_int_equal(got.rate, 2000);
	assert_int_equal(got.client, 1);
	assert_int_equal(got.json, 0);
	assert_int_equal(parse(WHO "pressure --stalled 20%"), 0);
	assert_int_equal(got.stalled, 20);
}

static void
test_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(WHO "fanout"), 0);
	assert_int_equal(got.connections, 1000);
	assert_int_equal(got.rate, 50);
	assert_int_equal(parse(WHO "fanout --short"), 0);
	assert_int_equal(got.connections, 20);
	assert_int_equal(got.rate, 50);
	/* what the user says counts more, wherever it stands */
	assert_int_equal(parse(WHO "-n 3 fanout --short"), 0);
	assert_int_equal(got.connections, 3);
}

static void
test_refused(void **state)
{
	static const char *const bad[] = {
		"", "nothing", "fanout idle", "fanout --rate", "fanout --rate x",
		"fanout --rate 5x", "fanout --rate -1", "fanout --nothing 1",
		"fanout --client=1", "fanout --port 65536", "fanout --port 0",
		"fanout --size 33", "fanout --hold 3", "idle --rate 5",
		"fanout --kind secret", "fanout -q", "fanout --rate 5%",
		"fanout -n 99999999999999999999", "fanout --rate 4294967296k",
	};
	char line[128];

	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		why = NULL;
		snprintf(line, sizeof line, WHO "%s", bad[i]);
		if (parse(line) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_non_null(why);
	}
}

static void
test_all(void **state)
{
	(void)state;
	assert_int_equal(parse(WHO "all --short --hold 3"), 0);
	assert_null(found);
}

static void
test_environment(void **state)
{
	(void)state;
	assert_int_equal(parse("fanout"), -1);
	setenv("PUSHER_APP_KEY", "pk", 1);
	setenv("PUSHER_APP_ID", "pi", 1);
	setenv("PUSHER_APP_SECRET", "ps", 1);
	setenv("REVERB_APP_KEY", "rk", 1);
	assert_int_equal(parse("fanout"), 0);
	assert_string_equal(got.key, "rk");
	assert_string_equal(got.id, "pi");
	assert_string_equal(got.secret, "ps");
	assert_int_equal(parse("--key mine fanout"), 0);
	assert_string_equal(got.key, "mine");
}

static void
test_secrets_are_not_reported(void **state)
{
	(void)state;
	assert_int_equal(parse("--app-id i --key hush --secret hush fanout"), 0);
	reported[0] = '\0';
	options_report(&got, &scenarios[0]);
	assert_null(strstr(reported, "hush"));
	assert_non_null(strstr(reported, "connections=1000 "));
	assert_non_null(strstr(reported, "client=false "));
	assert_null(strstr(reported, "hold="));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_below_64),
		cmocka_unit_test(test_error_below_2_percent),
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_all_in_order),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_doubled),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_long_gap),
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_sign),
		cmocka_unit_test_setup(test_options, clean),
		cmocka_unit_test_setup(test_defaults, clean),
		cmocka_unit_test_setup(test_refused, clean),
		cmocka_unit_test_setup(test_all, clean),
		cmocka_unit_test_setup_teardown(test_environment, clean, clean),
		cmocka_unit_test(test_secrets_are_not_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
