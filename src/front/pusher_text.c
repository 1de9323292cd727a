/* SPDX-License-Identifier: MIT
 *
 * Everything that Peal says in the Pusher protocol, as text.  The keys stand
 * in Reverb's order, and `data` is a string that holds JSON wherever Reverb or
 * Pusher's documents have one; the exceptions are client events (data as the
 * sender wrote it) and pusher:signin_success (an object).
 *
 * Texts are put together in one buffer that is kept: nothing is allocated for
 * a message.
 *
 * Runs in: workers.
 */
#include <inttypes.h>

#include "front/pusher.h"
#include "worker/app.h"

static struct buf text;		/* the frame being built */
static struct buf inner;	/* JSON that will stand inside a string */

/* {"event":"NAME" */
static void
begin(const char *event)
{
	buf_reuse(&text);
	buf_str(&text, "{\"event\":\"");
	buf_str(&text, event);
	buf_char(&text, '"');
}

/* ,"data":"..." with the escaped text of inner */
static void
add_inner(void)
{
	buf_str(&text, ",\"data\":");
	json_quote(&text, buf_view(&inner));
}

static void
add_channel(struct bytes channel)
{
	buf_str(&text, ",\"channel\":");
	json_quote(&text, channel);
}

static struct bytes
end(void)
{
	buf_char(&text, '}');
	return buf_view(&text);
}

/* ---- to one client ----------------------------------------------------- */

void
pusher_error(struct client *c, unsigned code, struct bytes words)
{
	buf_reuse(&inner);
	buf_fmt(&inner, "{\"code\":%u,\"message\":", code);
	json_quote(&inner, words);
	buf_char(&inner, '}');
	begin("pusher:error");
	add_inner();
	client_send_text(c, end());
}

void
pusher_subscription_error(struct client *c, struct bytes channel,
    unsigned status, struct bytes words)
{
	buf_reuse(&inner);
	buf_str(&inner, "{\"type\":\"AuthError\",\"error\":");
	json_quote(&inner, words);
	buf_fmt(&inner, ",\"status\":%u}", status);
	begin("pusher:subscription_error");
	add_inner();
	add_channel(channel);
	client_send_text(c, end());
}

void
pusher_send_established(struct client *c)
{
	uint64_t timeout = c->app->set->activity_timeout / 1000;
	char room[24];

	/* Nothing in it but numbers: it is written as json_quote() would. */
	begin("pusher:connection_established");
	buf_str(&text, ",\"data\":\"{\\\"socket_id\\\":\\\"");
	buf_str(&text, client_socket_id(c, room));
	buf_str(&text, "\\\",\\\"activity_timeout\\\":");
	buf_u64(&text, timeout > 0 ? timeout : 1);
	buf_str(&text, "}\"");
	client_send_text(c, end());
}

/* These two are the same for everybody and made once; too short to be
 * compressed. */
static void
send_fixed(struct client *c, struct frame **made, struct bytes words)
{
	if (*made == NULL)
		*made = frame_kept(client_frame_text(words, 0));
	client_send(c, *made);
}

void
pusher_send_ping(struct client *c)
{
	static struct frame *ping;

	send_fixed(c, &ping, B("{\"event\":\"pusher:ping\"}"));
}

void
pusher_send_pong(struct client *c)
{
	static struct frame *pong;

	send_fixed(c, &pong, B("{\"event\":\"pusher:pong\"}"));
}

/* ,ID and ,"ID":INFO, as they stand inside a string.  A member without user_info
 * is null in the hash: it must be there to count. */
static void
add_member(const struct member *m, struct buf *ids_hash)
{
	struct json id, info;

	pusher_member_split(member_object(m), &id, &info);
	buf_char(&ids_hash[0], ',');
	json_escape(&ids_hash[0], id.raw);
	buf_reuse(&inner);
	buf_char(&inner, ',');
	json_quote(&inner, member_user(m));
	buf_char(&inner, ':');
	buf_bytes(&inner, info.type == JSON_MISSING ? B("null") : info.raw);
	json_escape(&ids_hash[1], buf_view(&inner));
}

/* Without the comma of the first. */
static void
add_members(struct bytes pieces)
{
	if (pieces.n > 0)
		buf_bytes(&text, bytes_skip(pieces, 1));
}

/* ,"data":"{"presence":{"count":1,"ids":["7"],"hash":{"7":{...}}}}", all quotes
 * inside escaped: objects always, in the order of joining. */
static void
add_roster(struct presence *p)
{
	struct bytes ids_hash[PRESENCE_TEXTS];

	presence_texts(p, add_member, ids_hash);
	buf_fmt(&text, ",\"data\":\"{\\\"presence\\\":{\\\"count\\\":%" PRIu32
	    ",\\\"ids\\\":[", presence_count(p));
	add_members(ids_hash[0]);
	buf_str(&text, "],\\\"hash\\\":{");
	add_members(ids_hash[1]);
	buf_str(&text, "}}}\"");
}

void
pusher_send_succeeded(struct client *c, const struct sub *sub)
{
	const struct channel *ch = sub->channel;

	begin("pusher_internal:subscription_succeeded");
	if (ch->presence != NULL)
		add_roster(ch->presence);
	else
		buf_str(&text, ",\"data\":\"{}\"");
	add_channel(channel_name(ch));
	client_send_text(c, end());
}

void
pusher_send_cache_miss(struct client *c, struct bytes channel)
{
	begin("pusher:cache_miss");
	add_channel(channel);
	client_send_text(c, end());
}

void
pusher_send_signed_in(struct client *c, struct bytes user_data)
{
	begin("pusher:signin_success");
	buf_str(&text, ",\"data\":{\"user_data\":");
	json_quote(&text, user_data);
	buf_char(&text, '}');
	client_send_text(c, end());
}

static void
add_watched(const char *name, const struct msg_list *users, const char *comma)
{
	uint32_t i;

	buf_fmt(&inner, "%s{\"name\":\"%s\",\"user_ids\":[", comma, name);
	for (i = 0; i < users->n; i++) {
		if (i > 0)
			buf_char(&inner, ',');
		json_quote(&inner, msg_list_at(users, i));
	}
	buf_str(&inner, "]}");
}

void
pusher_watch(struct client *c, const struct msg_list *online,
    const struct msg_list *offline)
{
	buf_reuse(&inner);
	buf_str(&inner, "{\"events\":[");
	if (online->n > 0)
		add_watched("online", online, "");
	if (offline->n > 0)
		add_watched("offline", offline, online->n > 0 ? "," : "");
	buf_str(&inner, "]}");
	begin("pusher_internal:watchlist_events");
	add_inner();
	client_send_text(c, end());
}

/* ---- to many ----------------------------------------------------------- */

/* Client events have `data` behind the channel, as Reverb; a reader of JSON
 * sees no difference. */
static struct bytes
event_text(struct bytes channel, struct bytes event, struct bytes data,
    struct bytes user)
{
	bool client = bytes_starts(event, B("\"client-"));

	buf_reuse(&text);
	buf_str(&text, "{\"event\":");
	buf_bytes(&text, event);
	if (client)
		add_channel(channel);
	if (data.n > 0) {
		buf_str(&text, ",\"data\":");
		buf_bytes(&text, data);
	}
	if (!client)
		add_channel(channel);
	if (user.n > 0) {
		buf_str(&text, ",\"user_id\":");
		buf_bytes(&text, user);
	}
	return end();
}

void
pusher_send_event(struct client *c, struct bytes channel, struct bytes event,
    struct bytes data)
{
	client_send_text(c, event_text(channel, event, data,
	    bytes_of(NULL, 0)));
}

/* What was said in a plain room becomes a JSON string. */
static struct bytes
said_text(struct bytes channel, const struct message *m)
{
	if ((m->flags & PUBLISH_TEXT) == 0)
		return event_text(channel, m->event, m->data, m->user);
	buf_reuse(&inner);
	json_quote(&inner, m->data);
	return event_text(channel, m->event, buf_view(&inner), m->user);
}

static struct bytes
count_text(struct bytes channel, uint64_t count)
{
	buf_reuse(&inner);
	buf_fmt(&inner, "{\"subscription_count\":%" PRIu64 "}", count);
	begin("pusher_internal:subscription_count");
	add_inner();
	add_channel(channel);
	return end();
}

static struct bytes
added_text(struct bytes channel, const struct message *m)
{
	begin("pusher_internal:member_added");
	buf_str(&text, ",\"data\":");
	json_quote(&text, m->object);
	add_channel(channel);
	return end();
}

/* The id keeps the JSON type it came with. */
static struct bytes
removed_text(struct bytes channel, const struct message *m)
{
	struct json id, info;

	pusher_member_split(m->object, &id, &info);
	buf_reuse(&inner);
	buf_str(&inner, "{\"user_id\":");
	if (id.type == JSON_MISSING)
		json_quote(&inner, m->id);
	else
		buf_bytes(&inner, id.raw);
	buf_char(&inner, '}');
	begin("pusher_internal:member_removed");
	add_inner();
	add_channel(channel);
	return end();
}

struct frame *
pusher_encode(const struct message *m, unsigned variant)
{
	struct bytes channel = channel_name(m->channel), out;

	switch (m->kind) {
	case MESSAGE_EVENT:
		if ((m->flags & PUBLISH_BINARY) != 0)
			return NULL;
		out = said_text(channel, m);
		break;
	case MESSAGE_ADDED:
		out = added_text(channel, m);
		break;
	case MESSAGE_REMOVED:
		out = removed_text(channel, m);
		break;
	case MESSAGE_COUNT:
		if (m->channel->presence != NULL)
			return NULL;
		out = count_text(channel, m->count);
		break;
	default:
		return NULL;
	}
	return client_frame_text(out, variant);
}
