/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: one client: comes, subscribes, leaves.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmark.h"
#include "wire.h"

#define AGAIN		SECOND		/* as pusher-js waits */
#define SAY_MAX		2048
#define FRAME_MAX	(8u << 20)
#define READ_SIZE	(256u << 10)

/* ---- what it says ------------------------------------------------------- */

static char said[(1u << 20) + SAY_MAX + WIRE_FRAME];

void
client_say(struct client *c, unsigned opcode, const char *p, size_t n)
{
	if (n > sizeof said - WIRE_FRAME)
		return;
	line_send(&c->line, said, wire_frame(said, opcode, p, n));
	c->spoke = now_ns();
}

void
client_keep(struct client *c, unsigned opcode, const char *p, size_t n)
{
	if (n <= sizeof said - WIRE_FRAME)
		line_keep(&c->line, said, wire_frame(said, opcode, p, n));
}

void
client_subscribe(struct client *c, const char *socket_id, size_t n)
{
	char text[SAY_MAX], word[256], name[NAME_MAX_SIZE], hex[65];
	char member[32] = "", escaped[64] = "", auth[320] = "";
	int len;

	c->state = CLIENT_GREETED;
	plan_name(name, c->channel);
	if (strcmp(plan.prefix, "presence-") == 0) {
		snprintf(member, sizeof member, "{\"user_id\":\"m%u\"}", c->id);
		snprintf(escaped, sizeof escaped, ",\"channel_data\":"
		    "\"{\\\"user_id\\\":\\\"m%u\\\"}\"", c->id);
	}
	if (plan.prefix[0] != '\0') {
		len = snprintf(word, sizeof word, "%.*s:%s%s%s", (int)n,
		    socket_id, name, member[0] != '\0' ? ":" : "", member);
		wire_sign(hex, word, (size_t)len);
		snprintf(auth, sizeof auth, ",\"auth\":\"%s:%s\"", opt.key, hex);
	}
	len = snprintf(text, sizeof text, "{\"event\":\"pusher:subscribe\","
	    "\"data\":{\"channel\":\"%s\"%s%s}}", name, auth, escaped);
	if (shared->joined != NULL)
		shared->joined[c->id] = now_ns();
	client_say(c, 1, text, (size_t)len);
}

void
client_leave(struct client *c)
{
	if (c->state == CLIENT_IN && !plan.churn)
		atomic_fetch_sub(&shared->in, 1);
	c->state = CLIENT_LEAVING;
	client_say(c, 8, "\x03\xe8", 2);
}

/* ---- coming and going --------------------------------------------------- */

void
client_pause(struct client *c, uint64_t now)
{
	if (c->heard != 0 && now - c->heard > c->pause)
		c->pause = now - c->heard;
	c->heard = now;
}

void
client_in(struct client *c)
{
	uint64_t now = now_ns();

	c->state = CLIENT_IN;
	stats->count[N_CONNECTED]++;
	stats->count[N_RESUMED] += line_resumed(&c->line);
	histogram_add(&stats->book[BOOK_CONNECT], now - c->when);
	if (plan.churn) {
		client_leave(c);
		return;
	}
	hand.opening--;
	if (c->heard != 0)
		client_pause(c, now);
	if (atomic_fetch_add(&shared->in, 1) + 1 >= plan.clients)
		atomic_store(&shared->back, now);
}

static void
forget(struct client *c)
{
	line_close(&c->line);
	c->n_in = 0;
}

/* It was in: a fault, if it has not stopped reading. */
static void
cut_off(struct client *c, unsigned code, const char *why, uint64_t now)
{
	uint64_t none = 0;

	atomic_fetch_sub(&shared->in, 1);
	if (c->stalled) {
		stats->count[N_STALLED_CLOSED]++;
		return;
	}
	atomic_compare_exchange_strong(&shared->cut, &none, now);
	fault(N_CLOSED, "client %u was closed: %u %s", c->id, code, why);
}

void
client_lost(struct client *c, unsigned code, const char *why)
{
	uint64_t now = now_ns();
	unsigned state = c->state;
	bool again = plan.comeback && !c->stalled;

	forget(c);
	c->when = now;
	if (state == CLIENT_IN) {
		cut_off(c, code, why, now);
		/* 4200 to 4299: come again at once */
		c->when += code >= 4200 && code < 4300 ? 0 : AGAIN;
	} else if (state == CLIENT_LEAVING) {
		stats->count[N_ENDED]++;
		hand.opening -= plan.churn;
		again = plan.churn;
	} else {
		if (!plan.comeback || state != CLIENT_DIALING)
			fault(N_REFUSED, "client %u was refused: %u %s", c->id,
			    code, why);
		hand.opening--;
		c->when += AGAIN;
		again = again || plan.churn;
	}
	c->state = again ? CLIENT_IDLE : CLIENT_GONE;
	hand.idle += again;
}

void
client_start(struct client *c)
{
	hand.idle--;
	hand.opening++;
	c->when = now_ns();
	c->state = CLIENT_DIALING;
	line_open(&c->line, c->id + (plan.churn ?
	    (unsigned)stats->count[N_CONNECTED] : 0));
}

/* ---- the handshake ------------------------------------------------------ */

static void
shake(struct client *c)
{
	char text[SAY_MAX];
	int n = snprintf(text, sizeof text, "GET /app/%s?protocol=7&client=js&"
	    "version=8.4.0&flash=false HTTP/1.1\r\nHost: %.255s:%u\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n%s%s%s\r\n", opt.key, opt.host,
	    opt.port, opt.origin != NULL ? "Origin: " : "",
	    opt.origin != NULL ? opt.origin : "",
	    opt.origin != NULL ? "\r\n" : "");

	c->state = CLIENT_SHAKING;
	line_send(&c->line, text, (size_t)n);
}

/* Octets of the whole answer; 0: not yet; -1: it was no good one. */
static long
shaken(const char *p, size_t n)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4);

	if (end == NULL)
		return n > 16384 ? -1 : 0;
	if (n < 12 || memcmp(p + 9, "101", 3) != 0 ||
	    memmem(p, (size_t)(end - p), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
	    28) == NULL)
		return -1;
	return end + 4 - p;
}

/* ---- what comes --------------------------------------------------------- */

/* Takes the whole frames; where the rest begins, -1: it is closed. */
static long
take_frames(struct client *c, char *p, size_t n)
{
	size_t at = 0, head, size;

	while (wire_whole((unsigned char *)p + at, n - at, &head, &size)) {
		if (!heard_frame(c, (unsigned char *)p + at, p + at + head,
		    size))
			return -1;
		at += head + size;
	}
	if (head > 0 && size > FRAME_MAX) {
		fault(N_BAD, "client %u: a frame of %zu octets", c->id, size);
		client_lost(c, 1009, "frame too big");
		return -1;
	}
	return (long)at;
}

static void
keep(struct client *c, const char *p, size_t n)
{
	if (n > c->in_size) {
		c->in_size = (uint32_t)n + 512;
		free(c->in);
		if ((c->in = malloc(c->in_size)) == NULL)
			die("out of memory");
	}
	if (n > 0)
		memcpy(c->in, p, n);
	c->n_in = (uint32_t)n;
}

static void
digest(struct client *c, char *p, size_t n)
{
	char why[64];
	long used = 0, more;

	if (c->state == CLIENT_SHAKING) {
		used = shaken(p, n);
		if (used < 0) {
			snprintf(why, sizeof why, "%.*s", (int)(n < 40 ? n : 40),
			    p);
			client_lost(c, 1002, why);
			return;
		}
		if (used > 0)
			c->state = CLIENT_GREETED;
	}
	if (c->state != CLIENT_SHAKING) {
		more = take_frames(c, p + used, n - (size_t)used);
		if (more < 0)
			return;
		used += more;
	}
	keep(c, p + used, n - (size_t)used);
}

static void
client_read(struct client *c)
{
	static char room[FRAME_MAX + READ_SIZE + 16];
	size_t kept;
	long n;

	/* TLS may have more than epoll knows of. */
	do {
		kept = c->n_in;
		if (kept > 0)
			memcpy(room, c->in, kept);
		n = line_recv(&c->line, room + kept, READ_SIZE);
		if (n < 0)
			client_lost(c, 1006, "connection ended");
		else if (n > 0)
			digest(c, room, kept + (size_t)n);
	} while (n > 0 && opt.tls && c->line.state == LINE_OPEN);
}

static void
client_line(struct line *l, enum line_news news)
{
	struct client *c = (struct client *)l;

	if (news == LINE_UP)
		shake(c);
	else if (news == LINE_LOST)
		client_lost(c, 1006, strerror(errno));
	else if (c->stalled)
		client_lost(c, 1006, "");
	else
		client_read(c);
}

void
client_init(struct client *c, unsigned id, unsigned channel)
{
	memset(c, 0, sizeof *c);
	c->line.fd = -1;
	c->line.heard = client_line;
	c->state = CLIENT_IDLE;
	c->id = id;
	c->channel = channel;
	c->stalls = id < plan.clients && plan_stalls(id);
	hand.idle++;
}
