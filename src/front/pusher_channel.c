/* SPDX-License-Identifier: MIT
 *
 * Pusher protocol 7: subscribing.  Who may enter which kind of channel, and as
 * which member.
 *
 * A refusal leaves the connection open: pusher:error first, exactly Reverb's,
 * then pusher:subscription_error, which clients raise on the channel itself.
 *
 * Runs in: workers.
 */
#include "common/util.h"
#include "front/pusher.h"
#include "worker/app.h"
#include "worker/auth.h"

enum refusal {
	ALLOWED, NAME, TOO_MANY, SIGNATURE, NOT_THE_USER, NO_MEMBER,
	MEMBER_SIZE, MEMBER_ID
};

static const struct {
	unsigned	 code, status;
	struct bytes	 words;
} refusals[] = {
[NAME]		= { 4009, 400, BYTES("Invalid channel name") },
[TOO_MANY]	= { 4009, 403, BYTES("Too many channels on this connection") },
[SIGNATURE]	= { 4009, 401, BYTES("Connection is unauthorized") },
[NOT_THE_USER]	= { 4009, 401, BYTES("Connection is unauthorized") },
[NO_MEMBER]	= { 4009, 401, BYTES("Presence channels need channel_data or a "
		    "signed-in user") },
[MEMBER_SIZE]	= { 4009, 413, BYTES("channel_data is too large") },
[MEMBER_ID]	= { 4009, 400, BYTES("channel_data needs a user_id: a number "
		    "or a text of 1 to 128 octets") },
};

/* A request to subscribe, and what it comes to. */
struct wish {
	struct bytes	 channel, auth, data;
	struct json	 member_json;		/* what data holds */
	unsigned	 kind;
	struct bytes	 user, member;		/* presence */
};

/* ---- members ----------------------------------------------------------- */

/* Numbers count as they are written: 1 and "1" are one user, 1 and 1.0 are
 * not. */
static struct bytes
user_key(const struct json *id, struct buf *room)
{
	buf_clear(room);
	switch (id->type) {
	case JSON_NUMBER:
		return id->raw;
	case JSON_STRING:
		return json_text(id, room);
	default:
		return bytes_of(NULL, 0);
	}
}

/*
 * Builds what a member is from an object with user_id (or id, for a signed-in
 * user) and user_info: *user the text that tells users apart, *member the
 * object for others.  Both are good until the next call.  -1 if there is no
 * usable id.
 */
static int
member_of(const struct json *object, struct bytes id_name,
    struct bytes *user, struct bytes *member)
{
	static struct buf key, out;
	struct json id, info;
	const struct json_want wants[] = {
		{ id_name, &id },
		{ B("user_info"), &info },
	};

	if (json_pick(object, wants, NELEM(wants)) != 0)
		return -1;
	*user = user_key(&id, &key);
	if (user->n == 0 || user->n > PUSHER_USER_ID_MAX)
		return -1;
	buf_clear(&out);
	buf_str(&out, "{\"user_id\":");
	buf_bytes(&out, id.raw);
	if (info.type != JSON_MISSING) {
		buf_str(&out, ",\"user_info\":");
		buf_bytes(&out, info.raw);
	}
	buf_char(&out, '}');
	*member = buf_view(&out);
	return 0;
}

void
pusher_member_split(struct bytes member, struct json *id, struct json *info)
{
	const struct json_want wants[] = {
		{ B("user_id"), id },
		{ B("user_info"), info },
	};
	struct json object;
	const char *why;

	id->type = info->type = JSON_MISSING;
	id->raw = info->raw = B("null");
	if (json_parse(member, &object, &why) == 0)
		json_pick(&object, wants, NELEM(wants));
}

/* channel_data, if given, wins over the signed-in user. */
static enum refusal
find_member(const struct client *c, struct wish *w)
{
	struct json user_data;
	const char *why;
	int bad;

	if (w->data.n > c->app->set->max_presence_member)
		return MEMBER_SIZE;
	if (w->data.n > 0) {
		bad = member_of(&w->member_json, B("user_id"), &w->user,
		    &w->member);
		return bad ? MEMBER_ID : ALLOWED;
	}
	if (c->user == NULL)
		return NO_MEMBER;
	if (json_parse(c->user->data, &user_data, &why) != 0 ||
	    member_of(&user_data, B("id"), &w->user, &w->member) != 0)
		return MEMBER_ID;
	return ALLOWED;
}

/* ---- may it? ----------------------------------------------------------- */

/* #server-to-user-ID belongs to who signed in as exactly ID. */
static bool
is_the_user(const struct client *c, struct bytes channel)
{
	return c->user != NULL && bytes_eq(c->user->id,
	    bytes_skip(channel, sizeof("#server-to-user-") - 1));
}

static enum refusal
check(const struct client *c, struct wish *w, const struct sub *sub)
{
	const struct config_app *set = c->app->set;
	char socket[24];

	w->kind = channel_kind(w->channel, set->max_channel_name);
	if (w->kind & CHANNEL_BAD)
		return NAME;
	if (sub == NULL && c->n_subs >= set->max_channels)
		return TOO_MANY;
	if (w->kind & CHANNEL_USER)
		return is_the_user(c, w->channel) ? ALLOWED : NOT_THE_USER;
	if ((w->kind & (CHANNEL_PRIVATE | CHANNEL_PRESENCE)) == 0)
		return ALLOWED;
	if (!auth_channel(c->app, w->auth,
	    bytes_str(client_socket_id(c, socket)), w->channel, w->data))
		return SIGNATURE;
	return w->kind & CHANNEL_PRESENCE ? find_member(c, w) : ALLOWED;
}

static void
refuse(struct client *c, struct bytes channel, enum refusal why)
{
	if (why == SIGNATURE)
		auth_refused(c->app, c->conn, "channel", channel, "");
	pusher_error(c, refusals[why].code, refusals[why].words);
	pusher_subscription_error(c, channel, refusals[why].status,
	    refusals[why].words);
}

/* ---- subscribe --------------------------------------------------------- */

/* A string, or nothing: false for any other type. */
static bool
optional_text(const struct json *v, struct buf *room, struct bytes *out)
{
	buf_reuse(room);
	*out = bytes_of(NULL, 0);
	if (json_absent(v))
		return true;
	if (v->type != JSON_STRING)
		return false;
	*out = json_text(v, room);
	return true;
}

static int
read_wish(const struct json *data, struct wish *w)
{
	static struct buf channel_room, auth_room, data_room;
	struct json channel, auth, channel_data;
	const struct json_want wants[] = {
		{ B("channel"), &channel },
		{ B("auth"), &auth },
		{ B("channel_data"), &channel_data },
	};
	const char *why;

	memset(w, 0, sizeof(*w));
	if (json_pick(data, wants, NELEM(wants)) != 0 ||
	    channel.type != JSON_STRING ||
	    !optional_text(&channel, &channel_room, &w->channel) ||
	    !optional_text(&auth, &auth_room, &w->auth) ||
	    !optional_text(&channel_data, &data_room, &w->data))
		return -1;
	if (w->data.n > 0 && json_parse(w->data, &w->member_json, &why) != 0)
		return -1;
	return 0;
}

/* What a new subscriber hears.  info NULL: it was one before.  The count of
 * subscribers follows by itself, as the router pushes it to all. */
static void
welcome(struct client *c, const struct sub *sub,
    const struct subscription *info)
{
	const struct channel *ch = sub->channel;

	pusher_send_succeeded(c, sub);
	if (info == NULL || (ch->kind & CHANNEL_CACHE) == 0)
		return;
	if (info->cached)
		pusher_send_event(c, channel_name(ch), info->event,
		    info->data);
	else
		pusher_send_cache_miss(c, channel_name(ch));
}

/*
 * Asks for a channel that it is in already.  True if that is settled: the
 * success is on its way or sent once more.  Under another user id, or to hear
 * the cached event again, it leaves and enters anew; a member of a presence
 * channel enters before it leaves, or the others would see it go.
 */
static bool
again(struct client *c, struct sub *sub, const struct wish *w)
{
	bool member = (w->kind & CHANNEL_PRESENCE) != 0;

	if (member &&
	    !bytes_eq(bytes_of(sub->user, sub->user_n), w->user)) {
		channel_unsubscribe(sub);
		return false;
	}
	if (sub->join != NULL)
		return true;
	if ((w->kind & CHANNEL_CACHE) == 0) {
		welcome(c, sub, NULL);
		return true;
	}
	if (member)
		channel_subscribe(c, w->channel, w->kind, w->user, w->member);
	channel_unsubscribe(sub);
	return member;
}

int
pusher_subscribe(struct client *c, const struct pusher_in *in)
{
	struct wish w;
	struct sub *sub;
	enum refusal why;

	if (read_wish(&in->inner, &w) != 0)
		return -1;
	sub = channel_sub(c, w.channel);
	why = check(c, &w, sub);
	if (why != ALLOWED) {
		refuse(c, w.channel, why);
		return 0;
	}
	if (w.kind != 0 && w.kind != CHANNEL_CACHE)
		c->state.authorized = true;
	if (sub == NULL || !again(c, sub, &w))
		channel_subscribe(c, w.channel, w.kind, w.user, w.member);
	return 0;
}

void
pusher_subscribed(struct client *c, struct sub *sub, struct bytes channel,
    const struct subscription *info, const char *why)
{
	if (sub != NULL) {
		welcome(c, sub, info);
		return;
	}
	pusher_error(c, 4004, bytes_str(why));
	pusher_subscription_error(c, channel, 403, bytes_str(why));
}

int
pusher_unsubscribe(struct client *c, const struct pusher_in *in)
{
	static struct buf room;
	struct json channel;
	const struct json_want wants[] = { { B("channel"), &channel } };
	struct bytes name;
	struct sub *sub;

	if (json_pick(&in->inner, wants, NELEM(wants)) != 0 ||
	    channel.type != JSON_STRING)
		return -1;
	buf_clear(&room);
	name = json_text(&channel, &room);
	if ((sub = channel_sub(c, name)) != NULL)
		channel_unsubscribe(sub);
	return 0;
}
