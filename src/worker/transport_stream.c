/* SPDX-License-Identifier: MIT
 *
 * Clients over an HTTP answer without an end: see transport.h.
 */
#include "common/counters.h"
#include "worker/conn.h"
#include "worker/request.h"
#include "worker/transport.h"

/* It has asked and has nothing more to say. */
static size_t
input(struct conn *c, char *p, size_t n)
{
	(void)c, (void)p;
	return n;
}

static void
stream_open(struct client *cl, const struct http_request *req)
{
	(void)cl, (void)req;
	counter.streams++;
	counter.requests++;
}

void
client_send_octets(struct client *cl, struct bytes octets)
{
	struct frame *f;

	if (client_over(cl))
		return;
	f = frame_of(octets);
	client_send(cl, f);
	frame_unref(f);
}

void
client_send_head(struct client *cl, struct bytes headers)
{
	static struct buf b;

	buf_clear(&b);
	buf_fmt(&b, "HTTP/1.1 200 OK\r\n%sConnection: close\r\n",
	    request_date());
	buf_bytes(&b, headers);
	buf_str(&b, "\r\n");
	cl->begun = true;
	client_send_octets(cl, buf_view(&b));
}

/* What was said stands; who has heard nothing yet may come again.  An
 * application's limit is not 503: to a proxy that means that the host is ill,
 * and it would send nobody here for a while. */
static void
stream_close(struct client *cl, enum close_reason why)
{
	static struct buf b;
	const char *words = close_info[why].words;
	unsigned status = why == CLOSE_OVER_QUOTA ? 429 : 503;

	if (cl->begun)
		return;
	buf_clear(&b);
	buf_fmt(&b, "HTTP/1.1 %u %s\r\n%s"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: %zu\r\nRetry-After: 1\r\n"
	    "Connection: close\r\n\r\n%s", status, http_reason(status),
	    request_date(), strlen(words), words);
	counter.requests_refused++;
	client_send_octets(cl, buf_view(&b));
}

static void
done(struct client *cl)
{
	(void)cl;
}

const struct transport transport_stream = {
	.stage = {
		.name = "stream",
		.input = input,
		.tick = client_tick,
		.gone = client_gone,
	},
	.open = stream_open,
	.close = stream_close,
	.done = done,
};
