/* SPDX-License-Identifier: MIT
 *
 * Pusher protocol 7, among its own files:
 *
 *	pusher.c		connections: open, input, tick, close
 *	pusher_channel.c	subscribing, presence
 *	pusher_event.c		client events
 *	pusher_user.c		sign-in, watch lists
 *	pusher_text.c		everything that is sent, as text
 *
 * Runs in: workers.
 */
#ifndef PEAL_PUSHER_H
#define PEAL_PUSHER_H

#include "common/json.h"
#include "front/front.h"

#define PUSHER_USER_ID_MAX	128	/* octets of a user id */

/* A message of a client, checked as far as every message is. */
struct pusher_in {
	struct bytes	 name;		/* of the event, as text */
	struct json	 event;		/* the same as token */
	struct json	 channel;
	struct json	 data;		/* as sent */
	struct json	 inner;		/* data, or what its text holds if that
					   is JSON: clients send both */
};

/* ---- what a client asks for: 0, or -1 "Invalid message format" --------- */
int	pusher_subscribe(struct client *, const struct pusher_in *);
int	pusher_unsubscribe(struct client *, const struct pusher_in *);
int	pusher_signin(struct client *, const struct pusher_in *);
int	pusher_client_event(struct client *, const struct pusher_in *);

/* ---- upcalls ----------------------------------------------------------- */
void	pusher_subscribed(struct client *, struct sub *, struct bytes channel,
	    const struct subscription *, const char *why);
void	pusher_watch(struct client *, const struct msg_list *online,
	    const struct msg_list *offline);
struct frame *pusher_encode(const struct message *, unsigned variant);

/* ---- members ----------------------------------------------------------- */
/* The tokens of a member's object; JSON_MISSING if it is none. */
void	pusher_member_split(struct bytes member, struct json *id,
	    struct json *info);

/* ---- texts ------------------------------------------------------------- */
/* pusher:error on a connection that lives on. */
void	pusher_error(struct client *, unsigned code, struct bytes words);
/* pusher:subscription_error, so that the channel hears of it too. */
void	pusher_subscription_error(struct client *, struct bytes channel,
	    unsigned status, struct bytes words);
void	pusher_send_established(struct client *);
void	pusher_send_ping(struct client *);
void	pusher_send_pong(struct client *);
void	pusher_send_succeeded(struct client *, const struct sub *);
void	pusher_send_event(struct client *, struct bytes channel,
	    struct bytes event, struct bytes data);
void	pusher_send_cache_miss(struct client *, struct bytes channel);
void	pusher_send_signed_in(struct client *, struct bytes user_data);

#endif
