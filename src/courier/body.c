/* SPDX-License-Identifier: MIT
 *
 * Webhook events as JSON, see body.h.
 *
 * Runs in: the courier.
 */
#include "courier/body.h"

#include <inttypes.h>

#include "common/crypto.h"
#include "common/json.h"
#include "common/util.h"

static const char *const names[EVENT_KINDS] = {
	[EVENT_OCCUPIED] = "channel_occupied",
	[EVENT_VACATED] = "channel_vacated",
	[EVENT_ADDED] = "member_added",
	[EVENT_REMOVED] = "member_removed",
	[EVENT_CLIENT] = "client_event",
	[EVENT_MISS] = "cache_miss",
	[EVENT_COUNT] = "subscription_count",
	[EVENT_OPENED] = "connection_opened",
	[EVENT_CLOSED] = "connection_closed",
};

const char *
body_name(unsigned kind)
{
	return kind < EVENT_KINDS ? names[kind] : NULL;
}

unsigned
body_kind(struct bytes name)
{
	unsigned i = EVENT_KINDS;

	while (--i > 0)
		if (bytes_eq(name, bytes_str(names[i])))
			break;
	return i;
}

unsigned
body_of_hook(uint64_t kind)
{
	static const unsigned of[] = { [HOOK_CLIENT] = EVENT_CLIENT,
		[HOOK_MISS] = EVENT_MISS, [HOOK_COUNT] = EVENT_COUNT,
		[HOOK_OPENED] = EVENT_OPENED, [HOOK_CLOSED] = EVENT_CLOSED };

	return kind < NELEM(of) ? of[kind] : 0;
}

/* ---- events ----------------------------------------------------------------- */

static void
begin(struct buf *to, unsigned kind)
{
	buf_str(to, "{\"name\":\"");
	buf_str(to, names[kind]);
	buf_char(to, '"');
}

static void
member(struct buf *to, const char *name, struct bytes text)
{
	buf_fmt(to, ",\"%s\":", name);
	json_quote(to, text);
}

static void
socket_id(struct buf *to, const struct msg_hook_event *m)
{
	buf_fmt(to, ",\"socket_id\":\"%" PRIu64 ".%" PRIu64 "\"", m->socket_a,
	    m->socket_b);
}

void
body_state(struct buf *to, unsigned kind, struct bytes channel,
    struct bytes user)
{
	begin(to, kind);
	member(to, "channel", channel);
	if (kind == EVENT_ADDED || kind == EVENT_REMOVED)
		member(to, "user_id", user);
	buf_char(to, '}');
}

/* A token; a string is good as it stands, of others the text is one. */
static int
string_of(struct buf *to, const char *name, struct bytes token)
{
	struct json v;
	const char *why;

	if (token.n == 0)
		return 0;
	if (json_parse(token, &v, &why) < 0)
		return -1;
	buf_fmt(to, ",\"%s\":", name);
	if (v.type == JSON_STRING)
		buf_bytes(to, v.raw);
	else
		json_quote(to, v.raw);
	return 0;
}

static int
client_event(struct buf *to, const struct msg_hook_event *m)
{
	member(to, "channel", m->channel);
	if (m->event.n == 0 || string_of(to, "event", m->event) < 0 ||
	    string_of(to, "data", m->data) < 0)
		return -1;
	socket_id(to, m);
	if (m->text.n != 0)
		member(to, "user_id", m->text);
	return 0;
}

static void
connection(struct buf *to, const struct msg_hook_event *m)
{
	socket_id(to, m);
	if (m->user.n != 0)
		member(to, "user_id", m->user);
	if (m->kind == HOOK_OPENED)
		return;
	buf_fmt(to, ",\"code\":%" PRIu64, m->count);
	member(to, "reason", m->text);
}

static int
rest(struct buf *to, const struct msg_hook_event *m)
{
	switch (m->kind) {
	case HOOK_CLIENT:
		return client_event(to, m);
	case HOOK_OPENED:
	case HOOK_CLOSED:
		connection(to, m);
		return 0;
	case HOOK_COUNT:
		member(to, "channel", m->channel);
		buf_fmt(to, ",\"subscription_count\":%" PRIu64, m->count);
		return 0;
	default:
		member(to, "channel", m->channel);
		return 0;
	}
}

int
body_once(struct buf *to, const struct msg_hook_event *m)
{
	unsigned kind = body_of_hook(m->kind);
	size_t was = to->n;

	if (kind == 0 || !utf8_valid(m->channel) || !utf8_valid(m->text) ||
	    !utf8_valid(m->user))
		return -1;
	begin(to, kind);
	if (rest(to, m) < 0) {
		to->n = was;
		return -1;
	}
	buf_char(to, '}');
	return 0;
}

/* ---- the body --------------------------------------------------------------- */

void
body_begin(struct buf *to, uint64_t time_ms)
{
	buf_fmt(to, "{\"time_ms\":%" PRIu64 ",\"events\":[", time_ms);
}

void
body_end(struct buf *to)
{
	buf_str(to, "]}");
}

void
body_sign(struct bytes secret, struct bytes body, char hex[64])
{
	hmac_sha256_hex(secret, &body, 1, hex);
}
