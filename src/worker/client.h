/* SPDX-License-Identifier: MIT
 *
 * Who a front door talks to: identity, channels, limits, whatever transport
 * carries it.  A WebSocket client lives in one allocation with its conn; a
 * polling client will have none between two requests.
 *
 * Runs in: workers.  Owned by: its conn (WebSocket).  Dies: with it.
 */
#ifndef PEAL_CLIENT_H
#define PEAL_CLIENT_H

#include <sys/queue.h>

#include "common/buf.h"
#include "common/closes.h"
#include "common/msg.h"
#include "worker/http.h"
#include "worker/websocket.h"

struct app;
struct channel;
struct conn;
struct front;
struct frame;

struct join;

/* One client in one channel (NULL: it left before the router had answered); live (in the fan-out list) unless it has a join.
 * Owned by channel.c. */
struct sub {
	struct client		*client;
	struct channel		*channel;
	SLIST_ENTRY(sub)	 of_client;
	struct join		*join;		/* waits for the router, or NULL */
	char			*user;		/* presence: whose it is */
	uint32_t		 user_n;
	uint32_t		 at;		/* place in channel->subs */
};
SLIST_HEAD(sub_list, sub);

/* A signed-in user. */
struct client_user {
	struct bytes	 id;		/* text */
	struct bytes	 data;		/* user_data: the JSON object as sent */
	struct bytes	*watch;		/* users it watches */
	uint32_t	 n_watch;
	char		 room[];	/* where all of it stands */
};

/* What survives a hand-over, apart from channels and user (tests hold its size,
 * so that nobody adds a field without thinking of it). */
struct client_state {
	uint32_t	 socket_a, socket_b;	/* socket id: two random numbers */
	uint32_t	 opened;		/* worker's seconds */
	uint32_t	 seen;			/* last sign of life */
	uint32_t	 window_start, window_count;	/* rate limit, ms */
	uint32_t	 event_second, event_count;	/* client events */
	uint8_t		 variant;		/* of encodings; front's business */
	uint8_t		 window_bits;		/* deflate, 0: none */
	bool		 pinged;		/* since last seen */
	bool		 control_pings;		/* it uses control frames */
	bool		 authorized;		/* signed in or joined a non-public
						   channel once */
};

struct client {
	struct conn		*conn;
	const struct front	*front;
	struct app		*app;		/* NULL until the front knows it */
	struct sub_list		 subs;
	uint32_t		 n_subs;
	bool			 waiting;	/* for the router's grant */
	bool			 established;	/* counted as open connection */
	struct client_user	*user;
	struct websocket	 websocket;
	struct client_state	 state;
};

/*
 * Upgrades the conn's request: answers 101 and opens the front door; the
 * client may be closed again by it.
 */
void	client_upgrade(struct conn *, const struct front *,
	    const struct http_request *, struct bytes path);

/* A whole frame, as the front door's encode made it. */
void	client_send(struct client *, struct frame *);
/* A text of its own: the WebSocket head is put before it (and compression
 * applied if negotiated and worth it). */
void	client_send_text(struct client *, struct bytes text);
void	client_send_binary(struct client *, struct bytes);
/* A WebSocket ping with empty payload. */
void	client_send_ping(struct client *);
/*
 * Close frame with the reason's code and words, then the socket when it is out
 * and the other side has answered or close_timeout passed.  Leaves all channels
 * at once.  code 0 and words empty: those of the reason.
 */
void	client_close(struct client *, enum close_reason);
/* A frame with text, ready for many clients: head in front, once. */
struct frame *client_frame_text(struct bytes text, unsigned window_bits);

/* The client counts as open from here on (max_connections, /connections). */
void	client_established(struct client *);

/* The app's settings changed its mind or the process ends: code 4200 and so on.
 * Closes the client of a conn, or the conn if it has none. */
void	client_close_conn(struct conn *, enum close_reason);
/* Closes those whose app is in the settings no more. */
void	clients_leave_apps(void);
/* Everything that the router must know again: users and waiting ones. */
void	clients_resync(void);
/* From the router: see messages.def. */
void	client_on_grant(const struct msg_grant *);
void	client_on_watch(const struct msg_watch *);
void	client_on_terminate(const struct msg_terminate *);

/* Signs in; tells the router.  Replaces nothing: NULL user before. */
void	client_signin(struct client *, struct bytes id, struct bytes user_data,
	    const struct bytes *watch, uint32_t n_watch);

/* "123.456" into room of 24; returns it. */
const char *client_socket_id(const struct client *, char room[24]);

#endif
