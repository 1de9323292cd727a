/* SPDX-License-Identifier: MIT
 *
 * Frames of a client: the same events however the octets are cut, and the same
 * as wslay sees.
 */
#include "fuzz.h"
#include "worker/websocket.h"

#ifdef HAVE_WSLAY
#include <wslay/wslay.h>
#endif

#define MESSAGE_MAX	2000

/* Everything that was found, as octets that can be compared. */
struct found {
	struct buf	 log;
	bool		 failed, closed;
	unsigned	 code;
	size_t		 kept;		/* octets not used yet */
	enum close_reason why;
};

static void
note(struct found *f, unsigned opcode, struct bytes body)
{
	buf_fmt(&f->log, "%u:%zu:", opcode, body.n);
	buf_bytes(&f->log, body);
}

static int
on_message(void *ctx, enum websocket_kind kind, struct bytes body)
{
	MUST(body.n <= MESSAGE_MAX);
	MUST(kind != WEBSOCKET_TEXT || utf8_valid(body));
	note(ctx, kind, body);
	return 0;
}

static int
on_ping(void *ctx, struct bytes body)
{
	note(ctx, 9, body);
	return 0;
}

static int
on_pong(void *ctx, struct bytes body)
{
	note(ctx, 10, body);
	return 0;
}

static int
on_close(void *ctx, unsigned code, struct bytes reason)
{
	struct found *f = ctx;

	buf_fmt(&f->log, "code %u", code);
	note(f, 8, reason);
	f->closed = true;
	f->code = code;
	return 0;
}

/* As a caller feeds it: what was not used is shown again. */
static void
ours(struct bytes in, size_t step, bool deflate, struct found *f)
{
	static const struct websocket_limits limits = { MESSAGE_MAX, 1000 };
	static const struct websocket_events events = {
		on_message, on_ping, on_pong, on_close
	};
	struct websocket ws = { .deflate = deflate };
	char *copy = malloc(in.n + 1);
	size_t from = 0, to = 0;

	MUST(copy != NULL);
	memcpy(copy, in.p, in.n);
	buf_clear(&f->log);
	f->failed = f->closed = false;
	f->why = CLOSE_NONE;
	while (to < in.n && !f->failed) {
		ssize_t used;

		to = to + step < in.n ? to + step : in.n;
		used = websocket_read(&ws, &limits, copy + from, to - from,
		    &events, f, &f->why);
		MUST(used >= -1 && used <= (ssize_t)(to - from));
		f->failed = used < 0;
		from += used < 0 ? 0 : used;
		MUST(f->failed || to - from < 6 + 125);
	}
	MUST(f->failed == (f->why != CLOSE_NONE));
	f->kept = to - from;
	websocket_done(&ws);
	free(copy);
}

#ifdef HAVE_WSLAY

struct theirs {
	struct bytes	 in;
	struct found	*found;
	bool		 lax;		/* it took half a close code */
};

static ssize_t
wslay_recv(wslay_event_context_ptr ctx, uint8_t *p, size_t n, int flags,
    void *user)
{
	struct theirs *t = user;

	(void)flags;
	if (t->in.n == 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	n = n < t->in.n ? n : t->in.n;
	memcpy(p, t->in.p, n);
	t->in = bytes_skip(t->in, n);
	return n;
}

static void
wslay_message(wslay_event_context_ptr ctx,
    const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
	struct theirs *t = user;
	struct bytes body = bytes_of(arg->msg, arg->msg_length);

	(void)ctx;
	if (arg->opcode == 8) {
		unsigned code = arg->status_code != 0 ? arg->status_code : 1005;

		buf_fmt(&t->found->log, "code %u", code);
		t->found->closed = true;
		t->lax = body.n == 1;
		if (body.n >= 2)
			body = bytes_skip(body, 2);
	}
	note(t->found, arg->opcode, body);
}

/* Lengths in more octets than needed: they refuse, we do not. */
static bool
has_long_form(struct bytes in)
{
	while (in.n >= 4) {
		const uint8_t *p = (const uint8_t *)in.p;
		uint64_t n = p[1] & 127, head = 6;

		if (n == 126) {
			n = (uint64_t)p[2] << 8 | p[3];
			head = 8;
			if (n < 126)
				return true;
		} else if (n == 127) {
			if (in.n < 10)
				return false;
			n = 0;
			for (int i = 2; i < 10; i++)
				n = n << 8 | p[i];
			head = 14;
			if (n < 65536)
				return true;
		}
		if (n > in.n || in.n - n < head)
			return false;
		in = bytes_skip(in, n + head);
	}
	return false;
}

static void
compare(struct bytes in, const struct found *f)
{
	static struct found g;
	static struct buf more;
	const struct wslay_event_callbacks callbacks = {
		.recv_callback = wslay_recv,
		.on_msg_recv_callback = wslay_message,
	};
	struct theirs t = { .in = in, .found = &g };
	wslay_event_context_ptr ctx;

	if (has_long_form(in))
		return;
	if (f->failed) {		/* they look when a head is whole */
		buf_clear(&more);
		buf_bytes(&more, in);
		buf_add(&more, "12345678901234", 14);
		t.in = buf_view(&more);
	}
	buf_clear(&g.log);
	g.failed = g.closed = false;
	MUST(wslay_event_context_server_init(&ctx, &callbacks, &t) == 0);
	wslay_event_config_set_max_recv_msg_length(ctx, MESSAGE_MAX);
	if (wslay_event_recv(ctx) != 0)
		g.failed = true;
	else if (!wslay_event_get_read_enabled(ctx))
		g.failed = !wslay_event_get_close_received(ctx);
	wslay_event_context_free(ctx);
	/* Registered after wslay was written. */
	if (t.lax || (f->closed && f->code >= 1012 && f->code <= 1014))
		return;
	MUST(bytes_eq(buf_view(&f->log), buf_view(&g.log)));
	/* They look into a close frame before it is whole. */
	MUST(f->failed == g.failed || (g.failed && f->kept > 0));
	MUST(f->closed == g.closed);
}

#else

static void
compare(struct bytes in, const struct found *f)
{
	(void)in, (void)f;
}

#endif

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct found whole, cut;
	struct bytes in;

	if (n < 1)
		return 0;
	in = bytes_of(p + 1, n - 1);
	for (int deflate = 0; deflate < 2; deflate++) {
		ours(in, in.n, deflate, &whole);
		ours(in, (size_t)p[0] + 1, deflate, &cut);
		MUST(bytes_eq(buf_view(&whole.log), buf_view(&cut.log)));
		MUST(whole.why == cut.why && whole.closed == cut.closed);
		if (!deflate)
			compare(in, &whole);
	}
	return 0;
}
