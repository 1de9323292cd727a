/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: publishing by the HTTP API.  A publisher has a connection of
 * its own that it keeps.  A call without answer may have reached subscribers or
 * not: nobody is blamed for its number.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmark.h"
#include "wire.h"

#define PIPELINE_MAX	64
#define ANSWER_MAX	16384
#define AGAIN		(SECOND / 20)

struct sent {
	uint64_t	 due;
	uint32_t	 channel, number;
};

struct call {
	struct line	 line;		/* first */
	unsigned	 first, n;	/* of sent: waits for an answer */
	struct sent	 sent[PIPELINE_MAX];
	uint64_t	 again;		/* when it connects, if it is not */
	size_t		 n_in;
	char		 in[ANSWER_MAX + 1];
};

static struct call *calls;
static unsigned n_calls, n_down;
static uint64_t waiting;
static char *body, *request;

/* ---- answers ------------------------------------------------------------ */

/* Refused: nobody else may take the number, unless it was the last. */
static void
give_back(const struct sent *s)
{
	struct spot *spot = &shared->spot[s->channel];

	if (atomic_load(&spot->sent) == s->number + 1)
		atomic_store(&spot->sent, s->number);
	else
		atomic_fetch_add(&spot->unsure, 1);
}

static void
answered(struct call *c, unsigned status, const char *why)
{
	const struct sent *s = &c->sent[c->first];

	c->first = (c->first + 1) % PIPELINE_MAX;
	c->n--;
	waiting--;
	stats->status[status]++;
	if (status == 200) {
		if (atomic_load(&shared->book) != BOOK_NONE)
			histogram_add(&stats->book[BOOK_PUBLISH],
			    now_ns() - s->due);
		stats->count[N_PUBLISHED]++;
		return;
	}
	if (status == 0)
		atomic_fetch_add(&shared->spot[s->channel].unsure, 1);
	else
		give_back(s);
	if ((status == 429 || status == 503) && atomic_load(&shared->flood))
		return;
	fault(N_REFUSED, "a publish was answered with %u %s", status, why);
}

static void
hang_up(struct call *c, uint64_t again)
{
	line_close(&c->line);
	n_down++;
	c->again = again;
	c->n_in = 0;
}

static void
call_lost(struct call *c, const char *why)
{
	while (c->n > 0)
		answered(c, 0, why);
	hang_up(c, now_ns() + AGAIN);
}

/* How long is the answer at p, a text?  0: it is not all there. */
static size_t
whole(const char *p, size_t n)
{
	const char *end = strstr(p, "\r\n\r\n"), *word;
	size_t head, length;

	if (end == NULL)
		return 0;
	head = (size_t)(end + 4 - p);
	word = strcasestr(p, "\r\ncontent-length:");
	if (word != NULL && word < end) {
		length = strtoul(word + 17, NULL, 10);
		return length <= n - head ? head + length : 0;
	}
	word = strcasestr(p, "\r\ntransfer-encoding: chunked");
	if (word == NULL || word > end)
		return head;
	end = strstr(end + 2, "\r\n0\r\n\r\n");
	return end != NULL ? (size_t)(end + 7 - p) : 0;
}

/* One answer off c->in; false: there is none, or the line is closed now. */
static bool
take_answer(struct call *c)
{
	size_t n;
	unsigned status;
	const char *word;
	bool closes;

	c->in[c->n_in] = '\0';
	if (c->n == 0 || (n = whole(c->in, c->n_in)) == 0)
		return false;
	status = c->n_in > 12 ? (unsigned)strtoul(c->in + 9, NULL, 10) : 0;
	word = strcasestr(c->in, "\r\nconnection: close");
	closes = word != NULL && word < c->in + n;
	answered(c, status < STATUSES ? status : 0, "");
	memmove(c->in, c->in + n, c->n_in - n);
	c->n_in -= n;
	if (closes && c->n > 0)
		call_lost(c, "closed with calls under way");
	else if (closes)
		hang_up(c, 0);
	return !closes;
}

static void
call_read(struct call *c)
{
	long n;

	do {
		if (c->n_in == ANSWER_MAX) {
			call_lost(c, "too long an answer");
			return;
		}
		n = line_recv(&c->line, c->in + c->n_in, ANSWER_MAX - c->n_in);
		if (n < 0) {
			if (c->n > 0)
				call_lost(c, "connection ended");
			else
				hang_up(c, 0);
			return;
		}
		c->n_in += (size_t)n;
		while (take_answer(c))
			;
	} while (n > 0 && opt.tls && c->line.state == LINE_OPEN);
}

static void
call_line(struct line *l, enum line_news news)
{
	struct call *c = (struct call *)l;

	if (news == LINE_READABLE)
		call_read(c);
	else if (news == LINE_LOST)
		call_lost(c, strerror(errno));
}

/* ---- calls -------------------------------------------------------------- */

bool
api_ready(unsigned call)
{
	const struct call *c = &calls[call];

	return c->line.state == LINE_OPEN && c->n < opt.pipeline;
}

uint64_t
api_waiting(void)
{
	return waiting;
}

void
api_publish(unsigned call, unsigned channel, uint64_t due)
{
	struct wire_call w = { .host = opt.host, .id = opt.id, .key = opt.key,
	    .method = "POST", .path = "/events", .info = "" };
	struct call *c = &calls[call];
	struct sent *s = &c->sent[(c->first + c->n) % PIPELINE_MAX];
	char name[NAME_MAX_SIZE];
	int n;

	s->due = due;
	s->channel = channel;
	s->number = atomic_fetch_add(&shared->spot[channel].sent, 1);
	c->n++;
	waiting++;
	plan_name(name, channel);
	n = snprintf(body, 256, "{\"name\":\"m\",\"channel\":\"%s\",\"data\":\"",
	    name);
	mark_write(body + n, s->number, channel, due);
	memcpy(body + n + opt.size, "\"}", 2);
	line_send(&c->line, request, wire_request(request, &w, body,
	    (size_t)n + opt.size + 2));
}

/* Connects those that are not. */
void
api_turn(void)
{
	uint64_t now;

	if (n_down == 0)
		return;
	now = now_ns();
	for (unsigned i = 0; i < n_calls; i++) {
		struct call *c = &calls[i];

		if (c->line.state != LINE_IDLE || c->again > now)
			continue;
		n_down--;
		line_open(&c->line, i);
	}
}

void
api_open(unsigned n)
{
	calls = calloc(n, sizeof *calls);
	body = malloc(opt.size + 512);
	request = malloc(WIRE_HEAD + opt.size + 512);
	if (calls == NULL || body == NULL || request == NULL)
		die("out of memory");
	n_calls = n_down = n;
	for (unsigned i = 0; i < n; i++) {
		calls[i].line.fd = -1;
		calls[i].line.heard = call_line;
	}
	api_turn();
}
