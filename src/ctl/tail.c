/* SPDX-License-Identifier: MIT
 *
 * pealctl tail: events as they pass.
 *
 * Runs in: pealctl.  Owns: nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "ctl/call.h"
#include "ctl/fields.h"
#include "ctl/tail.h"
#include "ctl/talk.h"

#define PAUSE_MIN	50	/* ms, until the service is asked again */
#define PAUSE_MAX	1000
#define ALIVE		1000	/* ms: who was told for so long was told */

struct tail {
	bool	 json, colours;
	uint64_t left;		/* events to show yet; 0: any number */
	bool	 done;		/* all have come, or nobody reads them */
	struct buf last;	/* the line with "ok", if it came */
	bool	 told;		/* something came over this connection */
	bool	 lost;		/* it was said that some may be missing */
	unsigned pause;		/* ms */
};

/* ---- a line -------------------------------------------------------------- */

/* Colours of kinds, so that the eye finds them. */
static const char *
colour_of(struct bytes kind)
{
	static const struct {
		struct bytes	 kind;
		const char	*on;
	} colours[] = {
		{ BYTES("published"), "\033[32m" },
		{ BYTES("client_event"), "\033[36m" },
		{ BYTES("occupied"), "\033[34m" },
		{ BYTES("vacated"), "\033[2m" },
		{ BYTES("member_added"), "\033[35m" },
		{ BYTES("member_removed"), "\033[2m" },
		{ BYTES("opened"), "\033[33m" },
		{ BYTES("closed"), "\033[2m" },
	};

	for (size_t i = 0; i < NELEM(colours); i++)
		if (bytes_eq(colours[i].kind, kind))
			return colours[i].on;
	return "";
}

static void
put_time(uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[16];

	if (localtime_r(&seconds, &tm) == NULL ||
	    strftime(text, sizeof(text), "%H:%M:%S", &tm) == 0)
		return;
	printf("%s.%03u", text, (unsigned)(ms % 1000));
}

static void
put_word(const struct json *line, const char *name)
{
	struct bytes text = field_text(line, name);

	if (text.n > 0)
		printf("  %s", log_bytes(text));
}

/* Of a text from outside, which may be long, all that is no control character;
 * log_bytes() would cut it. */
static void
put_data(struct bytes data)
{
	struct bytes piece;

	for (fputs(data.n > 0 ? "  " : "", stdout); data.n > 0;
	    data = bytes_skip(data, piece.n)) {
		piece = bytes_of(data.p, data.n < 150 ? data.n : 150);
		/* Not through a character. */
		while (piece.n < data.n && piece.n > 1 &&
		    ((unsigned char)data.p[piece.n] & 0xc0) == 0x80)
			piece.n--;
		fputs(log_bytes(piece), stdout);
	}
}

static void
put_event(const struct tail *t, const struct json *line)
{
	struct bytes kind = field_text(line, "kind");

	put_time(field_number(line, "time"));
	printf("  %s%-14s%s", t->colours ? colour_of(kind) : "",
	    log_bytes(kind), t->colours ? "\033[0m" : "");
	put_word(line, "app");
	put_word(line, "channel");
	put_word(line, "event");
	put_data(field_text(line, "data"));
	if (field_text(line, "user").n > 0)
		printf("  user=%s", log_value(field_text(line, "user")));
	if (field_text(line, "socket_id").n > 0)
		printf("  from=%s", log_bytes(field_text(line, "socket_id")));
	putchar('\n');
}

static bool
on_line(void *arg, struct bytes text)
{
	struct tail *t = arg;
	struct json line;
	const char *why;

	if (json_parse(text, &line, &why) < 0)
		return true;
	if (field(&line, "ok").type != JSON_MISSING) {
		buf_bytes(&t->last, text);
		buf_char(&t->last, '\n');
		return false;
	}
	t->told = true;
	if (t->json) {
		field_put(text);
		putchar('\n');
	} else if (field(&line, "dropped").type != JSON_MISSING) {
		printf("(%" PRIu64 " left out)\n",
		    field_number(&line, "dropped"));
	} else {
		put_event(t, &line);
	}
	fflush(stdout);
	t->done = ferror(stdout) || (t->left > 0 &&
	    field(&line, "dropped").type == JSON_MISSING && --t->left == 0);
	return !t->done;
}

/* ---- asking -------------------------------------------------------------- */

/* "a,b" as ["a","b"]. */
static void
put_kinds(struct buf *out, const char *kinds)
{
	struct bytes rest = bytes_str(kinds), one;
	ptrdiff_t comma;
	const char *sep = "";

	buf_str(out, ",\"kinds\":[");
	do {
		comma = bytes_find(rest, ',');
		one = bytes_of(rest.p, comma < 0 ? rest.n : (size_t)comma);
		buf_str(out, sep);
		json_quote(out, bytes_trim(one));
		sep = ",";
		rest = bytes_skip(rest, comma < 0 ? rest.n : one.n + 1);
	} while (comma >= 0);
	buf_char(out, ']');
}

static void
ask_tail(const struct call *c, struct buf *out)
{
	if (c->n > 0) {
		buf_str(out, ",\"channel\":");
		json_quote(out, bytes_str(c->args[0]));
	}
	if (c->kinds != NULL)
		put_kinds(out, c->kinds);
	if (c->data != NULL)
		buf_fmt(out, ",\"data\":%s", c->data);
}

/* ---- going on ------------------------------------------------------------ */

/* Routers are replaced, and may die: the next one is asked.  Nobody knows what
 * has passed meanwhile. */
static void
say_lost(struct tail *t)
{
	if (t->lost)
		return;
	t->lost = true;
	if (t->json) {
		puts("{\"lost\":true}");
		t->done = fflush(stdout) != 0;
	} else {
		fputs("pealctl: the router was replaced or lost: events may "
		    "be missing here\n", stderr);
	}
}

static void
wait_for_next(struct tail *t)
{
	usleep(t->pause * 1000);
	t->pause = t->pause * 2 < PAUSE_MAX ? t->pause * 2 : PAUSE_MAX;
}

/* By one connection.  True if there may be a next one; else why is NULL or says
 * what is wrong. */
static bool
follow(struct tail *t, const char *path, struct bytes line, char **why)
{
	uint64_t since = clock_ms();
	int r;

	buf_clear(&t->last);
	t->told = false;
	r = talk_stream(path, line, on_line, t, STDOUT_FILENO, NULL, why);
	t->done |= r > 0;
	if (r < 0 || t->done)
		return false;
	if (t->last.n > 0 && !call_again(buf_view(&t->last))) {
		*why = call_error(buf_view(&t->last));
		return false;
	}
	if (t->told || clock_ms() - since >= ALIVE) {
		t->lost = false;
		t->pause = PAUSE_MIN;
	}
	return true;
}

static char *
follow_all(struct tail *t, const char *path, struct bytes line)
{
	bool again = false;
	char *why = NULL;

	while (follow(t, path, line, &why) && !t->done) {
		say_lost(t);
		wait_for_next(t);
		again = true;
	}
	if (t->done || why == NULL || !again || t->last.n > 0)
		return why;
	free(why);
	return xstrdup("peald has ended");
}

int
run_tail(struct call *c)
{
	static const struct verb tail = { .name = "tail", .ask = ask_tail };
	struct tail t = { .json = c->json, .pause = PAUSE_MIN, .colours =
	    isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == NULL };
	char *why = NULL, *path = talk_find(c->file, c->socket, &why);
	struct buf line = { 0 };

	if (path == NULL)
		return call_fail(c, why);
	if (c->limit != NULL)
		(void)bytes_u64(bytes_str(c->limit), &t.left);
	c->verb = &tail;
	call_request(c, &line);
	why = follow_all(&t, path, buf_view(&line));
	buf_done(&t.last);
	buf_done(&line);
	free(path);
	return why != NULL ? call_fail(c, why) : STATUS_OK;
}
