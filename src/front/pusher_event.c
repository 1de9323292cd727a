/* SPDX-License-Identifier: MIT
 *
 * Pusher protocol 7: client events, from one client to the others.  The event
 * is built anew from its checked parts, with `data` as it was written; so no
 * sender can put on another's user_id.
 *
 * Runs in: workers.
 */
#include "common/counters.h"
#include "common/util.h"
#include "front/pusher.h"
#include "worker/app.h"
#include "worker/uplink.h"
#include "worker/usage.h"
#include "worker/worker.h"

enum refusal {
	ALLOWED, OFF, NO_MEMBER, NAME, EVENT, SIZE, RATE, BUSY
};

static const struct {
	unsigned	 code;
	struct bytes	 words;
} refusals[] = {
[OFF]		= { 4301, BYTES("The app does not have client messaging "
		    "enabled.") },
[NO_MEMBER]	= { 4009, BYTES("The client is not a member of the specified "
		    "channel.") },
[NAME]		= { 4301, BYTES("Invalid channel name") },
[EVENT]		= { 4301, BYTES("The event name is too long") },
[SIZE]		= { 4301, BYTES("The event data is too large") },
[RATE]		= { 4301, BYTES("Rate limit exceeded") },
[BUSY]		= { 4100, BYTES("Over capacity") },
};

/* Pusher's limit counts whole seconds. */
static bool
over_rate(struct client *c)
{
	uint64_t rate = c->app->set->client_event_rate;

	if (rate == 0)
		return false;
	if (c->state.event_second != worker.now) {
		c->state.event_second = worker.now;
		c->state.event_count = 0;
	}
	if (c->state.event_count >= rate) {
		counter.rate_limited++;
		return true;
	}
	c->state.event_count++;
	return false;
}

/*
 * A subscription that still waits for the router counts: the right to it was
 * checked, and the join goes before the event on the same link.  What the back
 * end tells a user is no client's to forge, whatever the mode.
 */
static enum refusal
check_sender(const struct client *c, struct bytes channel,
    const struct sub *sub)
{
	const struct config_app *set = c->app->set;
	unsigned kind = channel_kind(channel, set->max_channel_name);

	if (set->client_events == CLIENT_EVENTS_NONE)
		return OFF;
	if (set->client_events == CLIENT_EVENTS_MEMBERS && sub == NULL)
		return NO_MEMBER;
	if (kind & CHANNEL_BAD)
		return NAME;
	return kind & CHANNEL_USER ? NO_MEMBER : ALLOWED;
}

static enum refusal
check(struct client *c, const struct pusher_in *in, struct bytes channel,
    const struct sub *sub)
{
	const struct config_app *set = c->app->set;
	enum refusal why = check_sender(c, channel, sub);

	if (why != ALLOWED)
		return why;
	if (in->name.n > set->max_event_name)
		return EVENT;
	if (set->max_event_size > 0 && in->data.raw.n > set->max_event_size)
		return SIZE;
	if (over_rate(c))
		return RATE;
	return uplink_full() ? BUSY : ALLOWED;
}

/* user_id for the receivers, with the JSON type the sender joined with. */
static struct bytes
sender_id(const struct sub *sub, struct buf *room)
{
	struct bytes user = bytes_of(sub->user, sub->user_n), object;
	struct json id, info;

	object = presence_object(sub->channel->presence, user);
	pusher_member_split(object, &id, &info);
	if (id.type != JSON_MISSING)
		return id.raw;
	buf_clear(room);
	json_quote(room, user);
	return buf_view(room);
}

static void
publish(const struct client *c, const struct pusher_in *in,
    struct bytes channel, const struct sub *sub)
{
	static struct buf room;
	struct msg_publish m = {
		.app = c->app->id,
		.channel = channel,
		.event = in->event.raw,
		.data = in->data.type == JSON_MISSING ? B("null") :
		    in->data.raw,
		.except_a = c->state.socket_a,
		.except_b = c->state.socket_b,
		.flags = PUBLISH_CLIENT,
	};

	if (sub != NULL && channel_alone(sub))
		m.flags |= PUBLISH_ALONE;
	if (sub != NULL && sub->channel->presence != NULL)
		m.user = sender_id(sub, &room);
	uplink_publish(&m);
	usage_of_client(c)->published++;
}

int
pusher_client_event(struct client *c, const struct pusher_in *in)
{
	static struct buf room;
	struct bytes channel;
	struct sub *sub;
	enum refusal why;

	buf_clear(&room);
	if (in->channel.type != JSON_STRING)
		return -1;
	channel = json_text(&in->channel, &room);
	if (channel.n == 0)
		return -1;
	sub = channel_sub(c, channel);
	why = check(c, in, channel, sub);
	if (why == ALLOWED)
		publish(c, in, channel, sub);
	else
		pusher_error(c, refusals[why].code, refusals[why].words);
	/* When there is no room, what it sends next waits with it. */
	if (why == ALLOWED || why == BUSY)
		c->publishes = true;
	return 0;
}
