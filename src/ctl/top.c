/* SPDX-License-Identifier: MIT
 *
 * pealctl top: what goes on, anew each second.  Rates are the difference of two
 * reports (the verb "report"); the first screen comes after the second one.
 *
 * Runs in: pealctl.  Owns: the terminal's state, until it ends.
 */
#include <sys/ioctl.h>

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "ctl/call.h"
#include "ctl/fields.h"
#include "ctl/show.h"
#include "ctl/table.h"
#include "ctl/talk.h"
#include "ctl/top.h"

#define SLOW_ROWS	"5"
#define APP_ROWS	20
#define BUCKETS_MAX	100
#define FAILURES	10	/* answers that are cut off, one after the other */

/* A report, and when it was made. */
struct sample {
	struct buf	 text;
	struct json	 report;
	uint64_t	 ms;
};

struct top {
	const char	*path;
	struct sample	 now, before;
	struct buf	 slow;		/* answer of "inspect" */
};

/* ---- the terminal -------------------------------------------------------- */

static struct termios at_start;
static bool changed;
static volatile sig_atomic_t interrupted;

static void
on_signal(int signum)
{
	(void)signum;
	interrupted = 1;
}

static void
terminal_back(void)
{
	if (!changed)
		return;
	changed = false;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &at_start);
	fputs("\033[?7h\033[?25h\033[?1049l", stdout);
	fflush(stdout);
}

/* A screen of our own, whose long lines are cut (a line that goes on in the next
 * row would push the others out); keys as they are pressed.  Nobody is left in
 * it by ^Z. */
static void
terminal_take(void)
{
	const struct sigaction act = { .sa_handler = on_signal };
	struct termios raw;

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (tcgetattr(STDIN_FILENO, &at_start) < 0)
		return;
	raw = at_start;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	changed = true;
	atexit(terminal_back);
	fputs("\033[?1049h\033[?25l\033[?7l", stdout);
}

/* Waits, and tells whether it is over: q, or a signal. */
static bool
terminal_wait(uint64_t ms)
{
	struct pollfd keys = { .fd = changed ? STDIN_FILENO : -1,
		.events = POLLIN };
	uint64_t until = clock_ms() + ms, now;
	char key;

	while (!interrupted && (now = clock_ms()) < until) {
		if (poll(&keys, 1, (int)(until - now)) <= 0)
			continue;
		if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' ||
		    key == 'Q')
			return true;
	}
	return interrupted != 0;
}

static unsigned
terminal_rows(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
		return 0;
	return size.ws_row;
}

/* ---- what is shown ------------------------------------------------------- */

static double
seconds_between(const struct top *t)
{
	return t->now.ms > t->before.ms ?
	    (double)(t->now.ms - t->before.ms) / 1000 : 1;
}

static uint64_t
rate(const struct top *t, uint64_t now, uint64_t before)
{
	return now <= before ? 0 :
	    (uint64_t)((double)(now - before) / seconds_between(t) + 0.5);
}

static uint64_t
rate_of(const struct top *t, const struct json *now, const struct json *before,
    const char *name)
{
	return rate(t, field_number(now, name), field_number(before, name));
}

static size_t
counts_of(const struct json *histogram, uint64_t *to)
{
	struct json list = field(histogram, "counts"), one;
	size_t pos = 0, n = 0;

	while (list.type == JSON_ARRAY && n < BUCKETS_MAX &&
	    json_next(&list, &pos, NULL, &one))
		if (json_u64(&one, &to[n]) == 0)
			n++;
	return n;
}

/* The text of the n-th bound, as it stands; empty: there is none above. */
static struct bytes
bound_of(const struct json *histogram, size_t i)
{
	struct json list = field(histogram, "bounds"), one;
	size_t pos = 0;

	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &one))
		if (i-- == 0)
			return one.raw;
	return B("");
}

static double
number_of(struct bytes digits)
{
	char text[40];

	snprintf(text, sizeof(text), "%.*s", (int)digits.n, digits.p);
	return strtod(text, NULL);
}

/* Prints below what so many of a hundred were, between the two reports. */
static void
put_quantile(const struct top *t, const char *name, unsigned percent)
{
	struct json now = field(&t->now.report, "histograms"),
	    before = field(&t->before.report, "histograms");
	uint64_t a[BUCKETS_MAX], b[BUCKETS_MAX] = { 0 }, all = 0, seen = 0;
	struct bytes bound;
	size_t n, i;

	now = field(&now, name);
	before = field(&before, name);
	n = counts_of(&now, a);
	(void)counts_of(&before, b);
	for (i = 0; i < n; i++)
		all += a[i] = a[i] > b[i] ? a[i] - b[i] : 0;
	if (all == 0) {
		printf(" p%u -", percent);
		return;
	}
	for (i = 0; i < n && (seen += a[i]) * 100 < all * percent; i++)
		;
	bound = bound_of(&now, i);
	if (bound.n == 0)
		printf(" p%u over", percent);
	else
		printf(" p%u <%g ms", percent, number_of(bound) * 1000);
}

static void
put_head(const struct top *t)
{
	const struct json *r = &t->now.report;
	struct json totals = field(r, "totals"),
	    before = field(&t->before.report, "totals");

	printf("Peal %s on %s, up ", log_bytes(field_text(r, "version")),
	    log_bytes(field_text(r, "host")));
	field_put(field_span(field_number(r, "uptime")));
	printf("%s\n\nconnections ", field_flag(r, "draining") ?
	    ", draining" : "");
	field_put_number(field_number(&totals, "connections"));
	printf(" (WebSocket ");
	field_put_number(field_number(&totals, "websockets"));
	putchar(')');
	printf("   opened ");
	field_put_number(rate_of(t, &totals, &before, "upgraded"));
	printf("/s   closed ");
	field_put_number(rate_of(t, &totals, &before, "closed"));
	printf("/s\nmessages in ");
	field_put_number(rate_of(t, &totals, &before, "messages_in"));
	printf("/s   out ");
	field_put_number(rate_of(t, &totals, &before, "messages_out"));
	printf("/s   published ");
	field_put_number(rate_of(t, &totals, &before, "published"));
	printf("/s   octets out ");
	field_put_number(rate_of(t, &totals, &before, "bytes_out"));
	printf("/s\npublish");
	put_quantile(t, "publish_seconds", 50);
	put_quantile(t, "publish_seconds", 99);
	printf("   fan-out");
	put_quantile(t, "fanout_seconds", 50);
	put_quantile(t, "fanout_seconds", 99);
	printf("   slow readers cut ");
	field_put_number(field_number(&totals, "slow_readers"));
	printf("\n\n");
}

/* The counters of the same worker before; empty if it was not there. */
static struct json
worker_before(const struct top *t, uint64_t slot, uint64_t generation)
{
	struct json list = field(&t->before.report, "workers"), w;
	size_t pos = 0;

	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &w))
		if (field_number(&w, "slot") == slot &&
		    field_number(&w, "generation") == generation)
			return field(&w, "counters");
	return (struct json){ .type = JSON_MISSING };
}

static void
worker_row(const struct top *t, struct table *table, const struct json *w)
{
	struct json now = field(w, "counters"), before = worker_before(t,
	    field_number(w, "slot"), field_number(w, "generation"));
	bool known = before.type == JSON_OBJECT;

	table_number(table, field_number(w, "slot"));
	table_number(table, field_number(w, "pid"));
	table_cell(table, field_text(w, "state"));
	table_number(table, field_number(&now, "connections"));
	table_number(table, field_number(&now, "subscriptions"));
	table_number(table, known ? rate_of(t, &now, &before,
	    "messages_in") : 0);
	table_number(table, known ? rate_of(t, &now, &before,
	    "messages_out") : 0);
	table_number(table, field_number(&now, "backlog"));
}

static void
put_workers(const struct top *t)
{
	static const char *const heads[] = { ">WORKER", ">PID", "STATE",
		">CONNECTIONS", ">SUBSCRIPTIONS", ">IN/S", ">OUT/S",
		">BACKLOG" };
	struct table *table = table_new(heads, NELEM(heads));
	struct json list = field(&t->now.report, "workers"), w;
	size_t pos = 0;

	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &w))
		worker_row(t, table, &w);
	table_print(table, "No workers.");
	table_free(table);
	putchar('\n');
}

static struct json
front_of(const struct json *report, struct bytes app, struct bytes front)
{
	struct json list = field(report, "apps"), a, fronts, name, value;
	size_t pos = 0, inner = 0;

	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &a)) {
		if (!bytes_eq(field_text(&a, "app"), app))
			continue;
		fronts = field(&a, "fronts");
		while (fronts.type == JSON_OBJECT && json_next(&fronts, &inner,
		    &name, &value))
			if (bytes_eq(field_of(&name), front))
				return value;
	}
	return (struct json){ .type = JSON_MISSING };
}

static void
app_rows(const struct top *t, struct table *table, const struct json *app)
{
	struct json fronts = field(app, "fronts"), name, now, before;
	char *id = bytes_dup(field_text(app, "app")), *front;
	size_t pos = 0;

	while (fronts.type == JSON_OBJECT && json_next(&fronts, &pos, &name,
	    &now)) {
		front = bytes_dup(field_of(&name));
		before = front_of(&t->before.report, bytes_str(id),
		    bytes_str(front));
		table_cell(table, bytes_str(id));
		table_cell(table, field_text(app, "label"));
		table_cell(table, bytes_str(front));
		table_number(table, field_number(&now, "connections"));
		table_number(table, rate_of(t, &now, &before, "opened"));
		table_number(table, rate_of(t, &now, &before, "messages_in"));
		table_number(table, rate_of(t, &now, &before, "messages_out"));
		table_number(table, rate_of(t, &now, &before, "published"));
		free(front);
	}
	free(id);
}

static void
put_apps(const struct top *t)
{
	static const char *const heads[] = { "APP", "NAME", "DOOR",
		">CONNECTIONS", ">OPENED/S", ">IN/S", ">OUT/S",
		">PUBLISHED/S" };
	struct table *table = table_new(heads, NELEM(heads));
	struct json list = field(&t->now.report, "apps"), app;
	size_t pos = 0, n = 0;

	while (list.type == JSON_ARRAY && n++ < APP_ROWS &&
	    json_next(&list, &pos, NULL, &app))
		app_rows(t, table, &app);
	table_print(table, "No application has been used.");
	table_free(table);
	putchar('\n');
}

static void
put_slow(const struct top *t)
{
	static const char *const heads[] = { "SLOW CLIENT", "APP", "ADDRESS",
		">BACKLOG", ">CHANNELS" };
	struct table *table = table_new(heads, NELEM(heads));
	struct json row = { .type = JSON_MISSING };
	size_t pos = 0;
	bool known;

	while (field_row(buf_view(&t->slow), &pos, &row)) {
		if (field_number(&row, "backlog") == 0)
			continue;
		table_cell(table, field_text(&row, "socket_id"));
		table_cell(table, field_text(&row, "app"));
		table_cell(table, field_text(&row, "address"));
		table_number(table, field_number(&row, "backlog"));
		table_number(table, field_number(&row, "channels"));
	}
	known = field_flag(&row, "ok");
	table_print(table, known ? "Nobody reads too slowly." :
	    "Slow clients: the router has no answer just now.");
	table_free(table);
	if (known && field(&row, "missing").type == JSON_ARRAY)
		puts("Not all workers have answered.");
}

static void
put_all(const struct top *t)
{
	struct json hooks = field(&t->now.report, "hooks"), one;
	size_t pos = 0;

	put_head(t);
	put_workers(t);
	put_apps(t);
	put_slow(t);
	if (hooks.type == JSON_ARRAY && json_next(&hooks, &pos, NULL, &one)) {
		putchar('\n');
		show_hooks(buf_view(&t->now.text));
	}
}

/* As many lines as there is room for. */
static void
put_screen(const struct top *t)
{
	unsigned rows = terminal_rows();
	FILE *screen = stdout;
	char *text = NULL, *line;
	size_t n = 0, length;

	if ((stdout = open_memstream(&text, &n)) == NULL)
		fatal("no memory for a screen");
	put_all(t);
	fclose(stdout);
	stdout = screen;
	fputs("\033[H", stdout);
	for (line = text; *line != '\0' && (rows == 0 || --rows > 0);
	    line += length + (line[length] == '\n')) {
		length = strcspn(line, "\n");
		printf("%.*s\033[K\n", (int)length, line);
	}
	fputs("\033[J", stdout);
	fflush(stdout);
	free(text);
}

/* ---- asking -------------------------------------------------------------- */

static bool
keep_line(void *answer, struct bytes line)
{
	buf_bytes(answer, line);
	buf_char(answer, '\n');
	return true;
}

/* A service that does not answer keeps nobody from leaving. */
static int
ask(const struct top *t, struct bytes line, struct buf *answer, char **why)
{
	buf_clear(answer);
	return talk_stream(t->path, line, keep_line, answer, -1,
	    &interrupted, why);
}

enum sampled { TAKEN, CUT_OFF, NOBODY };

/* A whole answer, or why there is none. */
static enum sampled
sample_ask(const struct top *t, struct sample *to, char **why)
{
	size_t pos = 0;

	if (ask(t, B("{\"verb\":\"report\"}\n"), &to->text, why) < 0)
		return NOBODY;
	if ((*why = call_error(buf_view(&to->text))) != NULL)
		return CUT_OFF;
	(void)talk_line(buf_view(&to->text), &pos, &to->report);
	to->ms = field_number(&to->report, "time");
	return TAKEN;
}

/* If it was not taken, those that are there stay. */
static enum sampled
sample_take(struct top *t, char **why)
{
	struct sample next = { .ms = 0 };
	enum sampled result = sample_ask(t, &next, why);

	if (result != TAKEN) {
		buf_done(&next.text);
		return result;
	}
	buf_done(&t->before.text);
	t->before = t->now;
	t->now = next;
	return TAKEN;
}

/* While a router is replaced it has no answer. */
static void
slow_take(struct top *t)
{
	char *why = NULL;

	if (ask(t, B("{\"verb\":\"inspect\",\"slow\":true,\"limit\":"
	    SLOW_ROWS "}\n"), &t->slow, &why) < 0)
		buf_clear(&t->slow);
	free(why);
}

/* Screens until it is over.  The master that becomes another binary may break an
 * answer off, and has the next. */
static char *
top_go_on(struct top *t, uint64_t ms)
{
	enum sampled last = TAKEN;
	unsigned failures = 0;
	char *why = NULL;

	while (last != NOBODY && failures < FAILURES && !terminal_wait(ms)) {
		free(why);
		why = NULL;
		last = sample_take(t, &why);
		failures = last == TAKEN ? 0 : failures + 1;
		if (last != TAKEN)
			continue;
		slow_take(t);
		put_screen(t);
	}
	return why;
}

static char *
top_run(struct top *t, struct call *c, bool live)
{
	uint64_t seconds = 1;
	char *why = NULL;

	if (c->interval != NULL)
		(void)bytes_u64(bytes_str(c->interval), &seconds);
	if (sample_take(t, &why) != TAKEN)
		return why;
	if (c->json) {
		show_json(buf_view(&t->now.text), NULL);
		return NULL;
	}
	if (live)
		terminal_take();
	if (live) {
		why = top_go_on(t, seconds * 1000);
	} else if (!terminal_wait(1000) && sample_take(t, &why) == TAKEN) {
		slow_take(t);
		put_all(t);
	}
	terminal_back();
	if (interrupted) {
		free(why);
		return NULL;
	}
	return why;
}

/* A terminal whose cursor can be moved, and keys. */
static bool
is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) == 1 && isatty(STDIN_FILENO) == 1 &&
	    term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

int
run_top(struct call *c)
{
	struct top t = { 0 };
	char *why = NULL, *path = talk_find(c->file, c->socket, &why);
	bool live = !c->once && !c->json && is_terminal();

	if (path == NULL)
		return call_fail(c, why);
	t.path = path;
	why = top_run(&t, c, live);
	buf_done(&t.now.text);
	buf_done(&t.before.text);
	buf_done(&t.slow);
	free(path);
	return why != NULL ? call_fail(c, why) : STATUS_OK;
}
