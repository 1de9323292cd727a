/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: what a client hears.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmark.h"

/* ---- a message ---------------------------------------------------------- */

static void
heard_message(struct client *c, uint32_t number, uint32_t channel, uint64_t due)
{
	uint64_t now = now_ns();

	if (channel != c->channel || c->state != CLIENT_IN) {
		fault(N_BAD, "client %u of channel %u got a message of %u",
		    c->id, c->channel, channel);
		return;
	}
	if (c->id >= plan.clients) {
		fault(N_BAD, "a client got its own event");
		return;
	}
	switch (tally_heard(&c->tally, number)) {
	case HEARD_DOUBLED:
		fault(N_DOUBLED, "client %u got message %u twice", c->id, number);
		return;
	case HEARD_LATE:
		fault(N_DISORDERED, "client %u got message %u after %u", c->id,
		    number, c->tally.next - 1);
		break;
	case HEARD_GOOD:
		break;
	}
	histogram_add(&stats->book[atomic_load_explicit(&shared->book,
	    memory_order_relaxed)], now > due ? now - due : 0);
	if (plan.pauses)
		client_pause(c, now);
	if (plan.channels == 1 && shared->rate == 0)
		speaker_heard(number);
	__atomic_store_n(&stats->count[N_DELIVERIES],
	    stats->count[N_DELIVERIES] + 1, __ATOMIC_RELEASE);
}

/* ---- members ------------------------------------------------------------ */

/* In c->members: a bit for who was seen to come, one for who was seen to go.  Who
 * goes itself, as every second one does, may see that of others or not. */
static void
saw(struct client *c, const char *id, size_t n, bool comes, bool listed)
{
	unsigned long who = n > 1 && *id == 'm' ? strtoul(id + 1, NULL, 10) :
	    plan.clients;
	uint8_t *byte, bit;

	if (who >= plan.clients) {
		fault(N_BAD, "client %u saw a stranger", c->id);
		return;
	}
	if (!comes && c->id % 2 == 1)
		return;
	byte = &c->members[who / 4];
	bit = (uint8_t)((comes ? 1 : 2) << who % 4 * 2);
	if ((*byte & bit) != 0) {
		fault(N_DOUBLED, "client %u saw member %lu %s twice", c->id, who,
		    comes ? "come" : "go");
		return;
	}
	*byte |= bit;
	stats->count[comes ? N_SEEN : N_UNSEEN]++;
	if (!comes && atomic_load(&shared->phase) == PHASE_OPEN)
		fault(N_BAD, "client %u saw member %lu go, who did not", c->id,
		    who);
	if (!listed)
		histogram_add(&stats->book[comes ? BOOK_DELIVERY : BOOK_OTHER],
		    now_ns() - shared->joined[who]);
}

static const char *
after(const char *p, size_t n, const char *word)
{
	const char *at = memmem(p, n, word, strlen(word));

	return at != NULL ? at + strlen(word) : NULL;
}

/* Those that are there already: \"ids\":[\"m1\",\"m2\"] */
static void
saw_list(struct client *c, const char *p, size_t n)
{
	const char *at = after(p, n, "\\\"ids\\\":["), *end;
	size_t len;

	if (at == NULL || (end = memchr(at, ']', n - (size_t)(at - p))) == NULL) {
		fault(N_BAD, "client %u: no list of members", c->id);
		return;
	}
	while ((at = memmem(at, (size_t)(end - at), "\\\"", 2)) != NULL) {
		at += 2;
		len = strcspn(at, "\\]");
		saw(c, at, len, true, true);
		at += len + 2;
		if (at >= end)
			break;
	}
}

static void
saw_one(struct client *c, const char *p, size_t n, bool comes)
{
	const char *id = after(p, n, "\\\"user_id\\\":\\\"");

	if (id == NULL)
		fault(N_BAD, "client %u: a member without id", c->id);
	else
		saw(c, id, strcspn(id, "\\"), comes, false);
}

/* ---- texts -------------------------------------------------------------- */

static void
heard_greeting(struct client *c, const char *p, size_t n)
{
	const char *id = after(p, n, "socket_id\\\":\\\"");
	size_t len = id != NULL ? strcspn(id, "\\\"") : 0;

	if (len == 0 || len > 64)
		fault(N_BAD, "client %u: a greeting without socket_id", c->id);
	else if (plan.subscribe)
		client_subscribe(c, id, len);
	else
		client_in(c);
}

static void
heard_subscribed(struct client *c, const char *p, size_t n)
{
	if (c->state != CLIENT_GREETED) {
		fault(N_BAD, "client %u is subscribed twice", c->id);
		return;
	}
	if (c->members != NULL)
		saw_list(c, p, n);
	client_in(c);
}

static void
heard_added(struct client *c, const char *p, size_t n)
{
	if (c->members != NULL)
		saw_one(c, p, n, true);
}

static void
heard_removed(struct client *c, const char *p, size_t n)
{
	if (c->members != NULL)
		saw_one(c, p, n, false);
}

static void
heard_ping(struct client *c, const char *p, size_t n)
{
	static const char pong[] = "{\"event\":\"pusher:pong\",\"data\":{}}";

	(void)p;
	(void)n;
	client_say(c, 1, pong, sizeof pong - 1);
}

/* Below 4300 it says why the connection is closed next: that is what counts. */
static void
heard_error(struct client *c, const char *p, size_t n)
{
	const char *code = after(p, n, "code");

	code += code != NULL ? strspn(code, "\\\": ") : 0;
	if (code == NULL || strtoul(code, NULL, 10) / 100 - 40 >= 3)
		fault(N_BAD, "client %u: %.*s", c->id,
		    (int)(n < 120 ? n : 120), p);
}

static void
heard_nothing(struct client *c, const char *p, size_t n)
{
	(void)c;
	(void)p;
	(void)n;
}

static const struct {
	const char	*event;
	void		(*heard)(struct client *, const char *, size_t);
} events[] = {
	{ "\"pusher:connection_established\"", heard_greeting },
	{ "\"pusher_internal:subscription_succeeded\"", heard_subscribed },
	{ "\"pusher_internal:member_added\"", heard_added },
	{ "\"pusher_internal:member_removed\"", heard_removed },
	{ "\"pusher_internal:subscription_count\"", heard_nothing },
	{ "\"pusher:ping\"", heard_ping },
	{ "\"pusher:pong\"", heard_nothing },
	{ "\"pusher:error\"", heard_error },
};

/* p is followed by a NUL while this looks at it. */
static void
heard_text(struct client *c, char *p, size_t n)
{
	uint32_t number, channel;
	uint64_t due;
	char next;

	if (mark_read(p, n, &number, &channel, &due)) {
		heard_message(c, number, channel, due);
		return;
	}
	next = p[n];
	p[n] = '\0';
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
		if (memmem(p, n, events[i].event, strlen(events[i].event)) ==
		    NULL)
			continue;
		events[i].heard(c, p, n);
		p[n] = next;
		return;
	}
	fault(N_BAD, "client %u: %.*s", c->id, (int)(n < 120 ? n : 120), p);
	p[n] = next;
}

bool
heard_frame(struct client *c, unsigned char *head, char *p, size_t n)
{
	char why[64] = "";
	unsigned code = 1005;

	if ((head[1] & 0x80) != 0) {
		fault(N_BAD, "client %u: a masked frame", c->id);
		client_lost(c, 1002, "bad frame");
		return false;
	}
	switch (head[0]) {
	case 0x81:
		heard_text(c, p, n);
		return c->line.state == LINE_OPEN;
	case 0x89:
		if (n < 126)
			client_say(c, 10, p, n);
		return true;
	case 0x8a:
		return true;
	case 0x88:
		if (n >= 2) {
			code = (unsigned)(unsigned char)p[0] << 8 |
			    (unsigned char)p[1];
			snprintf(why, sizeof why, "%.*s",
			    (int)(n - 2 < 60 ? n - 2 : 60), p + 2);
		}
		client_lost(c, code, why);
		return false;
	}
	fault(N_BAD, "client %u: a frame %02x", c->id, head[0]);
	client_lost(c, 1002, "bad frame");
	return false;
}

/* ---- the end ------------------------------------------------------------ */

static void
missing(struct client *c)
{
	struct spot *spot = &shared->spot[c->channel];
	uint32_t n = tally_missing(&c->tally, atomic_load(&spot->sent)),
	    unsure = atomic_load(&spot->unsure);

	if (n <= unsure)
		return;
	fault(N_MISSING, "client %u did not get %u messages", c->id, n - unsure);
	stats->count[N_MISSING] += n - unsure - 1;
}

/* Everybody is to have seen everybody come; who stayed, those who did not go. */
static void
missing_members(struct client *c)
{
	unsigned lacks = 0;

	if (c->members == NULL)
		return;
	for (unsigned i = 0; i < plan.clients; i++) {
		uint8_t seen = c->members[i / 4] >> i % 4 * 2;

		lacks += (seen & 1) == 0;
		lacks += c->id % 2 == 0 && i % 2 == 1 && (seen & 2) == 0 &&
		    atomic_load(&shared->left);
	}
	if (lacks == 0)
		return;
	fault(N_MISSING, "client %u did not see %u come or go", c->id, lacks);
	stats->count[N_MISSING] += lacks - 1;
}

void
client_finish(struct client *c)
{
	if (c->id >= plan.clients || c->stalled)
		return;
	missing(c);
	if (!atomic_load(&shared->stopped))
		missing_members(c);
	if (plan.pauses) {
		if (c->state != CLIENT_IN)
			client_pause(c, now_ns());
		histogram_add(&stats->book[BOOK_PAUSE], c->pause);
	}
	if (atomic_load(&shared->stopped))
		return;
	if (c->state == CLIENT_DIALING || c->state == CLIENT_SHAKING ||
	    c->state == CLIENT_GREETED)
		fault(N_REFUSED, "client %u never got in", c->id);
}
