/* SPDX-License-Identifier: MIT
 *
 * Plain rooms over WebSocket: ws://host/?room=ID.  What a client sends goes to
 * all clients of the room as it is, itself included; nothing is answered.
 *
 * Who may not enter is refused in HTTP, before the upgrade.  A token may also
 * come as the first message; until then the client is nobody.
 *
 * Runs in: workers.
 */
#include "common/counters.h"
#include "common/json.h"
#include "front/room.h"
#include "worker/app.h"
#include "worker/uplink.h"
#include "worker/usage.h"
#include "worker/worker.h"

/* ---- entering ---------------------------------------------------------- */

/* Only with an upgrade: other requests for / are the API's. */
static unsigned
rooms_match(const struct http_request *req, struct bytes path)
{
	return room_upgrade(req) && room_section_ws(path) != NULL ?
	    FRONT_WS : 0;
}

/* In the query; without one it may come yet. */
static bool
check_token(struct client *c, const struct http_request *req,
    struct front_refusal *no)
{
	struct guest *g = guest_of(c);
	struct bytes token;

	if (g->trusted)
		return true;
	if (!room_parameter(req->query, guest_set(c)->token_parameter, &token))
		token = B("?");
	g->trusted = token.n > 0 && guest_token(c, token);
	if (g->trusted || token.n == 0)
		return true;
	guest_no_token(c);
	return room_refuse(no, 403, "Token refused.");
}

static bool
rooms_admit(struct client *c, const struct http_request *req,
    struct bytes path, struct front_refusal *no)
{
	const struct room_section *section = room_section_ws(path);
	struct bytes id;

	if (!room_origin(section, req))
		return room_refuse(no, 403, "Origin not allowed.");
	if (!room_parameter(req->query, section->set->parameter, &id))
		return room_refuse(no, 400, "Bad request.");
	if (id.n == 0)
		id = bytes_str(section->set->default_room);
	if (!guest_new(c, section, id, no))
		return false;
	if (check_token(c, req, no))
		return true;
	guest_done(c);
	return false;
}

static void
rooms_open(struct client *c, const struct http_request *req,
    struct bytes path)
{
	(void)req, (void)path;
	if (!guest_of(c)->trusted)
		return;
	client_cork(c);
	client_enter(c);
}

/* The first one, as ws on Node does: browsers hang up if none of theirs is
 * taken.  It means nothing here. */
static struct bytes
rooms_subprotocol(const struct client *c, struct bytes offered)
{
	(void)c;
	return http_list_first(offered);
}

/* Its first message waits until the room is live, or it might not come back. */
static void
rooms_granted(struct client *c, bool allowed)
{
	if (!allowed) {
		client_close(c, CLOSE_OVER_QUOTA);
		return;
	}
	client_pause(c);
	channel_subscribe(c, guest_channel(c), guest_kind(c),
	    bytes_of(NULL, 0), bytes_of(NULL, 0));
}

static void
rooms_subscribed(struct client *c, struct sub *sub, struct bytes channel,
    const struct subscription *info, const char *why)
{
	(void)channel, (void)info, (void)why;
	if (sub == NULL) {
		client_close(c, CLOSE_INTERNAL);
		return;
	}
	client_uncork(c);
	client_resume(c);
}

/* ---- messages ---------------------------------------------------------- */

static void
take_token(struct client *c, struct bytes token)
{
	if (!guest_token(c, token)) {
		guest_no_token(c);
		client_close(c, CLOSE_TOKEN);
		return;
	}
	guest_of(c)->trusted = true;
	client_enter(c);
}

static bool
over_rate(struct client *c, uint64_t rate)
{
	if (rate == 0)
		return false;
	if (c->state.event_second != worker.now) {
		c->state.event_second = worker.now;
		c->state.event_count = 0;
	}
	return c->state.event_count++ >= rate;
}

static void
publish(const struct client *c, enum websocket_kind kind, struct bytes data)
{
	static struct buf event;
	struct msg_publish m = {
		.app = c->app->id, .channel = guest_channel(c), .data = data,
		.flags = kind == WEBSOCKET_TEXT ? PUBLISH_TEXT :
		    PUBLISH_BINARY,
	};

	buf_clear(&event);
	json_quote(&event, bytes_str(guest_set(c)->event));
	m.event = buf_view(&event);
	uplink_publish(&m);
	usage_of_client(c)->published++;
}

static void
rooms_input(struct client *c, enum websocket_kind kind, struct bytes data)
{
	const struct config_rooms *set = guest_set(c);

	if (!guest_of(c)->trusted) {
		take_token(c, data);
	} else if (!set->publish) {
		client_close(c, CLOSE_READ_ONLY);
	} else if (kind == WEBSOCKET_BINARY && !set->binary) {
		client_close(c, CLOSE_WS_BINARY);
	} else if (over_rate(c, set->message_rate)) {
		counter.rate_limited++;
		client_close(c, CLOSE_RATE_LIMIT);
	} else {
		publish(c, kind, data);
	}
}

static size_t
rooms_limit(const struct client *c)
{
	return (size_t)guest_set(c)->max_message_size;
}

static unsigned
rooms_variant(const struct client *c)
{
	return c->state.window_bits;
}

static struct frame *
rooms_encode(const struct message *m, unsigned variant)
{
	struct bytes text;

	if (m->kind == MESSAGE_EVENT && (m->flags & PUBLISH_BINARY) != 0)
		return client_frame_binary(m->data, variant);
	return room_text(m, &text) ? client_frame_text(text, variant) : NULL;
}

/* ---- time -------------------------------------------------------------- */

static void
rooms_tick(struct client *c, uint32_t now)
{
	const struct config_rooms *set = guest_set(c);

	/* It came within a second: one more, or the time would be too short. */
	if (!guest_of(c)->trusted &&
	    now - c->state.opened > (set->token_timeout + 999) / 1000) {
		guest_no_token(c);
		client_close(c, CLOSE_TOKEN_TIMEOUT);
	} else
		client_check_silence(c, set->ping_interval, now,
		    client_send_ping);
}

const struct front front_rooms = {
	.name = "rooms",
	.flags = FRONT_WS | FRONT_PLAIN | FRONT_HOLD,
	.match = rooms_match,
	.admit = rooms_admit,
	.open = rooms_open,
	.granted = rooms_granted,
	.input = rooms_input,
	.subprotocol = rooms_subprotocol,
	.limit = rooms_limit,
	.variant = rooms_variant,
	.encode = rooms_encode,
	.subscribed = rooms_subscribed,
	.tick = rooms_tick,
	.done = guest_done,
	.settings = rooms_settings,
	.stays = guest_stays,
	.freeze = guest_freeze,
	.thaw = guest_thaw,
};
