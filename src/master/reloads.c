/* SPDX-License-Identifier: MIT
 *
 * Reloads that have ended: see reloads.h.
 *
 * Runs in: master.  Owns: see reloads.h.
 */
#include "master/reloads.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/util.h"
#include "master/state.h"

#define TEXT_MOST	800	/* octets of a text that is kept */

struct past {
	uint64_t	 wall_ms, took_ms;
	bool		 ok, full;
	char		*changed, *why;
};

static struct past	 past[RELOADS_KEPT];	/* oldest first */
static unsigned		 n_past;
static uint64_t		 good, refused;

static void
past_done(struct past *p)
{
	free(p->changed);
	free(p->why);
}

static void
past_add(const struct past *p)
{
	if (n_past == RELOADS_KEPT) {
		past_done(&past[0]);
		memmove(past, past + 1, (RELOADS_KEPT - 1) * sizeof(*past));
		n_past--;
	}
	past[n_past++] = *p;
}

/* Whole characters of it. */
static char *
cut(struct bytes text)
{
	size_t n = text.n < TEXT_MOST ? text.n : TEXT_MOST;

	while (n > 0 && n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--;
	return bytes_dup(bytes_of(text.p, n));
}

void
reloads_note(uint64_t wall_ms, uint64_t took_ms, bool full,
    struct bytes changed, const char *why)
{
	past_add(&(struct past){ .wall_ms = wall_ms, .took_ms = took_ms,
	    .ok = why == NULL, .full = full, .changed = cut(changed),
	    .why = cut(bytes_str(why)) });
	if (why == NULL)
		good++;
	else
		refused++;
}

static void
add_text(struct buf *out, const char *name, const char *text)
{
	struct bytes b = bytes_str(text);

	buf_fmt(out, ",\"%s\":", name);
	json_quote(out, utf8_valid(b) ? b : B("?"));
}

void
reloads_json(struct buf *out)
{
	const struct past *p;

	buf_char(out, '[');
	for (unsigned i = 0; i < n_past; i++) {
		p = &past[i];
		buf_fmt(out, "%s{\"time\":%" PRIu64 ",\"took_ms\":%" PRIu64
		    ",\"ok\":%s,\"kind\":\"%s\"", i != 0 ? "," : "",
		    p->wall_ms, p->took_ms, p->ok ? "true" : "false",
		    p->full ? "processes" : "live");
		add_text(out, "changed", p->changed);
		add_text(out, "why", p->why);
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

uint64_t
reloads_good(void)
{
	return good;
}

uint64_t
reloads_refused(void)
{
	return refused;
}

void
reloads_end(void)
{
	while (n_past > 0)
		past_done(&past[--n_past]);
	good = refused = 0;
}

/* ---- over an exec -------------------------------------------------------- */

void
reloads_save(struct state *s)
{
	struct state_reload *to;

	for (unsigned i = 0; i < n_past; i++) {
		to = state_add_reload(s);
		to->wall_ms = past[i].wall_ms;
		to->took_ms = past[i].took_ms;
		to->ok = past[i].ok;
		to->full = past[i].full;
		to->changed = xstrdup(past[i].changed);
		to->why = xstrdup(past[i].why);
	}
	s->reloads_ok = good;
	s->reloads_failed = refused;
}

void
reloads_restore(const struct state *s)
{
	const struct state_reload *from;

	for (size_t i = 0; i < s->n_reloads; i++) {
		from = &s->reloads[i];
		past_add(&(struct past){ .wall_ms = from->wall_ms,
		    .took_ms = from->took_ms, .ok = from->ok != 0,
		    .full = from->full != 0,
		    .changed = cut(bytes_str(from->changed)),
		    .why = cut(bytes_str(from->why)) });
	}
	good = s->reloads_ok;
	refused = s->reloads_failed;
}
