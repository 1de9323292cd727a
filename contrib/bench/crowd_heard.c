/* SPDX-License-Identifier: MIT
 *
 * crowd: what a client hears.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"
#include "wire.h"

#define WATCH_ADDED	1
#define WATCH_REMOVED	2
#define WATCH_THERE	4	/* was added last */

static bool
has(const char *p, size_t n, const char *word)
{
	return memmem(p, n, word, strlen(word)) != NULL;
}

/* What follows a word. */
static const char *
after(const char *p, size_t n, const char *word)
{
	const char *at = memmem(p, n, word, strlen(word));

	return at != NULL ? at + strlen(word) : NULL;
}

/* ---- in its channels --------------------------------------------------------- */

static struct sub *
sub_named(struct client *c, const char *p, size_t n)
{
	const char *at = after(p, n, "\"channel\":\"");

	for (unsigned i = 0; at != NULL && i < c->n_subs; i++) {
		const char *name = shared->channel[c->sub[i].channel].name;
		size_t len = strlen(name);

		if ((size_t)(p + n - at) > len && at[len] == '"' &&
		    memcmp(at, name, len) == 0)
			return &c->sub[i];
	}
	return NULL;
}

void
heard_entered(struct client *c, struct sub *sub)
{
	uint64_t now = now_us();

	if (sub->in) {
		fault(&stats->strange, "client %u is in twice", c->id);
		return;
	}
	tally_entered(sub);
	if (++c->entered < c->n_subs)
		return;
	if (c->churns) {
		atomic_fetch_or(&shared->churn[c->id], CHURN_IN);
		return;
	}
	c->ready = true;
	atomic_fetch_add(&shared->open, 1);
	if (c->down == 0)
		return;
	client_note(c, now - c->down);
	if (now - c->down > stats->away_us)
		stats->away_us = now - c->down;
	c->down = 0;
}

static void
heard_event(struct client *c, const struct event *e)
{
	uint64_t now = now_us();

	for (unsigned i = 0; i < c->n_subs; i++) {
		if (c->sub[i].channel != e->channel)
			continue;
		stats->received++;
		tally_event(&c->sub[i], e);
		client_note(c, now - e->due);
		log_value(stats->delays, now - e->due);
		if (now - e->sent > stats->delay_us)
			stats->delay_us = now - e->sent;
		return;
	}
	fault(&stats->strange, "client %u got what is for %s", c->id,
	    shared->channel[e->channel].name);
}

/* Those who come and go do so once.  Who is with a worker that dies while it hands
 * him over may be seen to leave and to come back. */
static void
watch(struct client *c, unsigned long id, unsigned what)
{
	uint8_t *seen;

	if (!c->watches || id >= CHURN_MAX)
		return;
	if (c->watched == NULL && (c->watched = calloc(1, CHURN_MAX)) == NULL)
		abort();
	seen = &c->watched[id];
	if ((what == WATCH_ADDED) == ((*seen & WATCH_THERE) != 0))
		fault(&stats->presence_wrong, "client %u: c%lu was %s", c->id,
		    id, what == WATCH_ADDED ? "added twice" : "removed oddly");
	else if (what == WATCH_ADDED && (*seen & WATCH_REMOVED) != 0)
		fault(&stats->presence_again, "client %u: c%lu came back",
		    c->id, id);
	*seen = (uint8_t)((*seen & ~WATCH_THERE) | what |
	    (what == WATCH_ADDED ? WATCH_THERE : 0));
}

static void
heard_member(struct client *c, const char *p, size_t n, unsigned what)
{
	const char *id = after(p, n, "\\\"user_id\\\":\\\"");

	if (c->churns || id == NULL)
		return;
	if (*id == 'c') {
		watch(c, strtoul(id + 1, NULL, 10), what);
		return;
	}
	if (atomic_load(&shared->phase) != FILLING)
		fault(&stats->noise, "client %u heard of %lu: %s", c->id,
		    strtoul(id, NULL, 10),
		    what == WATCH_ADDED ? "added" : "removed");
}

/* ---- texts ------------------------------------------------------------------- */

static void
heard_pong(struct client *c)
{
	uint64_t now = now_us();

	stats->pongs++;
	if (c->pinged == 0) {
		fault(&stats->strange, "client %u: a pong too many", c->id);
		return;
	}
	if (now > c->pinged) {
		client_note(c, now - c->pinged);
		if (now - c->pinged > stats->ping_us)
			stats->ping_us = now - c->pinged;
	}
	c->pinged = 0;
	c->sure = c->asked;
}

static void
heard_greeting(struct client *c, const char *p, size_t n)
{
	const char *id = after(p, n, "\\\"socket_id\\\":\\\"");
	size_t len = id != NULL ? strcspn(id, "\\") : 0;

	if (len == 0 || len >= sizeof c->socket_id) {
		fault(&stats->strange, "client %u: no socket_id", c->id);
		return;
	}
	memcpy(c->socket_id, id, len);
	c->socket_id[len] = '\0';
	client_enter(c);
}

static void
heard_text(struct client *c, const char *p, size_t n)
{
	static const char pong[] = "{\"event\":\"pusher:pong\",\"data\":{}}";
	struct event e;
	struct sub *sub;

	if (event_read(p, n, &e))
		heard_event(c, &e);
	else if (has(p, n, "\"pusher:pong\""))
		heard_pong(c);
	else if (has(p, n, "\"pusher:ping\""))
		client_say(c, 1, pong, sizeof pong - 1);
	else if (has(p, n, "\"pusher:connection_established\""))
		heard_greeting(c, p, n);
	else if (has(p, n, "\"pusher_internal:subscription_succeeded\"") &&
	    (sub = sub_named(c, p, n)) != NULL)
		heard_entered(c, sub);
	else if (has(p, n, "\"pusher_internal:member_added\""))
		heard_member(c, p, n, WATCH_ADDED);
	else if (has(p, n, "\"pusher_internal:member_removed\""))
		heard_member(c, p, n, WATCH_REMOVED);
	else
		fault(&stats->errors, "client %u: %.*s", c->id, (int)n, p);
}

/* ---- frames and lines -------------------------------------------------------- */

static void
heard_something(struct client *c)
{
	uint64_t now = now_us();

	if (atomic_load(&shared->phase) == RUNNING &&
	    now - c->heard > stats->gap_us)
		stats->gap_us = now - c->heard;
	c->heard = now;
}

bool
heard_frames(struct herd *f, struct client *c, char *p, size_t n,
    size_t *used)
{
	size_t head, size;
	unsigned char *u;
	unsigned code;

	for (*used = 0; u = (unsigned char *)p + *used,
	    wire_whole(u, n - *used, &head, &size); *used += head + size) {
		char *body = (char *)u + head;

		heard_something(c);
		switch (u[0]) {
		case 0x81:
			heard_text(c, body, size);
			break;
		case 0x89:
			client_say(c, 10, body, size);
			break;
		case 0x8a:
			heard_pong(c);
			break;
		case 0x88:
			code = size >= 2 ? (unsigned)u[head] << 8 |
			    u[head + 1] : 1005;
			client_lost(f, c, code);
			return false;
		default:
			fault(&stats->strange, "client %u: frame %02x", c->id,
			    u[0]);
			client_lost(f, c, 1002);
			return false;
		}
	}
	return true;
}

/* An event stream: only its data lines matter. */
void
heard_lines(struct client *c, const char *p, size_t n, size_t *used)
{
	struct event e;
	const char *end;

	heard_something(c);
	for (*used = 0; (end = memchr(p + *used, '\n', n - *used)) != NULL;
	    *used = (size_t)(end + 1 - p))
		if (strncmp(p + *used, "data", 4) == 0 &&
		    event_read(p + *used, (size_t)(end - p) - *used, &e))
			heard_event(c, &e);
}

/* ---- the end ----------------------------------------------------------------- */

static bool
watched_all(struct client *c, bool last)
{
	uint32_t n = atomic_load(&shared->churned);
	bool all = true;

	for (uint32_t id = 0; c->watches && id < n && id < CHURN_MAX; id++) {
		uint8_t seen = c->watched != NULL ? c->watched[id] : 0;

		if ((atomic_load(&shared->churn[id]) & CHURN_IN) == 0 ||
		    seen == (WATCH_ADDED | WATCH_REMOVED))
			continue;
		all = false;
		if (last)
			fault(&stats->presence_wrong, "client %u heard of c%u: "
			    "%s", c->id, id, seen == 0 ? "nothing" : "no leave");
	}
	return all;
}

bool
herd_complete(struct herd *f, bool last)
{
	bool all = true;
	uint64_t now = now_us();

	for (unsigned i = 0; i < f->n; i++) {
		struct client *c = &f->client[i];

		for (unsigned k = 0; k < c->n_subs && (all || last); k++)
			if (!tally_complete(&c->sub[k], c->speaks &&
			    c->door == DOOR_PUSHER && k == 1, last))
				all = false;
		all = watched_all(c, last) && c->pinged == 0 && all;
		if (!last)
			continue;
		if (c->pinged != 0)
			fault(&stats->unanswered, "client %u: no pong", c->id);
		if (c->down != 0)
			client_note(c, now - c->down);
		log_value(stats->pauses, c->worst);
	}
	return all;
}
