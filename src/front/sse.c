/* SPDX-License-Identifier: MIT
 *
 * Plain rooms as server-sent events: GET /sse/ID is a stream of what is said in
 * a room (the event stream of the HTML standard, 9.2).
 *
 *	id: EPOCH-OFFSET
 *	event: NAME		(not for the room's own)
 *	data: a line of the text
 *	data: the next
 *
 * Each line break of the text, CR, LF or both, begins a new data line: none
 * gets into the stream as it is.  id is the room's position on this host; a
 * browser that comes back with it as Last-Event-ID hears first what it missed,
 * as far as it is kept.  The first thing of all is such an id without data,
 * which browsers remember and do not show.  The answer comes when the room is
 * live: what is said from then on is heard.
 *
 * Runs in: workers.  Fuzzed: tests/fuzz/fuzz_rooms.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/util.h"
#include "front/room.h"

/* ---- entering ---------------------------------------------------------- */

static unsigned
sse_match(const struct http_request *req, struct bytes path)
{
	return !room_upgrade(req) && room_section_sse(path) != NULL ?
	    FRONT_STREAM : 0;
}

/* Which pages may read the answer; the browser holds to it.  A page of the
 * same site has no Origin here. */
static void
put_cors(const struct http_request *req, struct buf *out)
{
	if (!req->has_origin)
		return;
	buf_str(out, "Access-Control-Allow-Origin: ");
	buf_bytes(out, req->origin);
	buf_str(out, "\r\nVary: Origin\r\n");
}

/* Anything but GET.  Pages that set headers of their own ask before. */
static bool
refuse_method(const struct http_request *req, struct buf *lines,
    struct front_refusal *no)
{
	buf_str(lines, "Allow: GET, OPTIONS\r\n");
	if (req->method != HTTP_OPTIONS)
		return room_refuse(no, 405, "Method not allowed.");
	buf_str(lines, "Access-Control-Allow-Methods: GET\r\n"
	    "Access-Control-Allow-Headers: Cache-Control, Last-Event-ID\r\n"
	    "Access-Control-Max-Age: 600\r\n");
	return room_refuse(no, 200, "");
}

/* EPOCH-OFFSET; what is not is as if nothing had been heard yet. */
static void
read_position(struct guest *g, struct bytes id)
{
	ptrdiff_t dash = bytes_find(id, '-');
	uint64_t epoch, offset;

	if (dash < 0 || bytes_u64(bytes_of(id.p, (size_t)dash), &epoch) != 0 ||
	    bytes_u64(bytes_skip(id, (size_t)dash + 1), &offset) != 0)
		return;
	g->since_epoch = epoch;
	g->since_offset = offset;
}

/* By the header, or in the query for those who cannot set one. */
static void
find_position(struct guest *g, const struct http_request *req)
{
	static const char *const names[] = { "last_event_id", "lastEventId" };
	struct bytes id = http_header(req, B("Last-Event-ID"));
	size_t i;

	for (i = 0; i < NELEM(names) && id.n == 0; i++)
		if (!room_parameter(req->query, names[i], &id))
			id = B("");
	read_position(g, id);
}

static bool
check_token(struct client *c, const struct http_request *req,
    struct front_refusal *no)
{
	struct bytes token;

	if (guest_of(c)->trusted)
		return true;
	if (!room_parameter(req->query, guest_set(c)->token_parameter, &token))
		token = B("?");
	if (guest_token(c, token))
		return true;
	guest_no_token(c);
	return token.n == 0 ? room_refuse(no, 401, "A token is needed.") :
	    room_refuse(no, 403, "Token refused.");
}

static bool
sse_admit(struct client *c, const struct http_request *req, struct bytes path,
    struct front_refusal *no)
{
	static struct buf id, lines;
	const struct room_section *section = room_section_sse(path);
	bool good;

	if (req->has_origin && !room_origin(section, req))
		return room_refuse(no, 403, "Origin not allowed.");
	buf_clear(&lines);
	put_cors(req, &lines);
	buf_clear(&id);
	if (req->method != HTTP_GET)
		good = refuse_method(req, &lines, no);
	else if (http_decode(bytes_skip(path,
	    bytes_str(section->set->sse_path).n), false, &id) != 0)
		good = room_refuse(no, 400, "Bad request.");
	else
		good = guest_new(c, section, buf_view(&id), no);
	no->headers = buf_cstr(&lines);
	if (!good || check_token(c, req, no))
		return good;
	guest_done(c);
	return false;
}

/* ---- the stream -------------------------------------------------------- */

/* The head waits until it is sure that there is a stream: a browser comes back
 * to one that ends, but not to a refusal. */
static void
sse_open(struct client *c, const struct http_request *req, struct bytes path)
{
	struct buf lines = { 0 };

	(void)path;
	put_cors(req, &lines);
	guest_of(c)->lines = buf_cstr(&lines);
	find_position(guest_of(c), req);
	client_enter(c);
}

static void
sse_granted(struct client *c, bool allowed)
{
	static struct buf head;
	const struct config_rooms *set = guest_set(c);
	struct guest *g = guest_of(c);
	char retry[40];

	if (!allowed) {
		client_close(c, CLOSE_OVER_QUOTA);
		return;
	}
	buf_clear(&head);
	buf_str(&head, "Content-Type: text/event-stream\r\n"
	    "Cache-Control: no-store, no-transform\r\n"
	    "X-Accel-Buffering: no\r\n");
	buf_str(&head, g->lines);
	free(g->lines);
	g->lines = NULL;
	client_cork(c);
	client_send_head(c, buf_view(&head));
	snprintf(retry, sizeof(retry), "retry: %" PRIu64 "\n\n",
	    set->sse_retry);
	client_send_octets(c, bytes_str(retry));
	channel_subscribe_since(c, guest_channel(c), guest_kind(c),
	    g->since_epoch, g->since_offset);
}

static void
put_id(struct buf *out, uint64_t epoch, uint64_t offset)
{
	buf_fmt(out, "id: %" PRIu64 "-%" PRIu64 "\n", epoch, offset);
}

static void
sse_subscribed(struct client *c, struct sub *sub, struct bytes channel,
    const struct subscription *info, const char *why)
{
	static struct buf out;

	(void)channel, (void)why;
	if (sub == NULL) {
		client_close(c, CLOSE_INTERNAL);
		return;
	}
	client_uncork(c);
	buf_clear(&out);
	put_id(&out, info->position_epoch, info->position_offset);
	buf_char(&out, '\n');
	client_send_octets(c, buf_view(&out));
}

/* Octets of the line that text starts with; *next: where the one behind it
 * starts, or text.n + 1. */
static size_t
line_length(struct bytes text, size_t *next)
{
	size_t n = 0;

	while (n < text.n && text.p[n] != '\r' && text.p[n] != '\n')
		n++;
	*next = n + 1;
	if (n + 1 < text.n && text.p[n] == '\r' && text.p[n + 1] == '\n')
		*next = n + 2;
	return n;
}

/* An empty text is one empty line, and so is what follows a last break. */
static void
put_data(struct buf *out, struct bytes text)
{
	size_t n, next;

	for (;;) {
		n = line_length(text, &next);
		buf_str(out, "data: ");
		buf_bytes(out, bytes_of(text.p, n));
		buf_char(out, '\n');
		if (next > text.n)
			return;
		text = bytes_skip(text, next);
	}
}

static struct frame *
sse_encode(const struct message *m, unsigned variant)
{
	static struct buf out;
	struct bytes text, event;
	size_t next;

	(void)variant;
	if (!room_text(m, &text))
		return NULL;
	event = room_event(m);
	event.n = line_length(event, &next);
	buf_reuse(&out);
	put_id(&out, m->position_epoch, m->position_offset);
	if (event.n > 0) {
		buf_str(&out, "event: ");
		buf_bytes(&out, event);
		buf_char(&out, '\n');
	}
	put_data(&out, text);
	buf_char(&out, '\n');
	return frame_of(buf_view(&out));
}

static unsigned
sse_variant(const struct client *c)
{
	(void)c;
	return 0;
}

/* So that no proxy on the way takes it for dead. */
static void
sse_tick(struct client *c, uint32_t now)
{
	if (now - c->sent >= (guest_set(c)->sse_keepalive + 999) / 1000)
		client_send_octets(c, B(":\n\n"));
}

const struct front front_sse = {
	.name = "sse",
	.flags = FRONT_STREAM,
	.match = sse_match,
	.admit = sse_admit,
	.open = sse_open,
	.granted = sse_granted,
	.variant = sse_variant,
	.encode = sse_encode,
	.subscribed = sse_subscribed,
	.tick = sse_tick,
	.done = guest_done,
	.stays = guest_stays,
	.freeze = guest_freeze,
	.thaw = guest_thaw,
};
