/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/reloads.c, metrics.c, openmetrics.c and report.c: sums over an
 * exec, and the texts that are made of them.
 *
 * The text of /metrics is read by metrics_reader.c, and compared to
 * $srcdir/tests/master/metrics.text, which test_metrics --write FILE makes.
 */
#include "tests/master/service.h"

#include <unistd.h>

#include "common/json.h"
#include "master/metrics.h"
#include "master/reloads.h"
#include "master/report.h"
#include "master/state.h"
#include "metrics_reader.h"

void	master_on_hook_report(struct child *, struct ipc *,
	    const struct msg_hook_report *);

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

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_exec), TEST(test_reloads), TEST(test_text),
		TEST(test_empty_text), TEST(test_unused),
		TEST(test_all_there), TEST(test_golden), TEST(test_report),
		TEST(test_report_apps), TEST(test_report_hooks),
		TEST(test_gone_hooks),
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
