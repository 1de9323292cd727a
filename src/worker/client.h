/* SPDX-License-Identifier: MIT
 *
 * Who a front door talks to: identity, channels, limits, whatever transport
 * (transport.h) carries it.  The client of a WebSocket or a stream lives in one
 * allocation with its conn; a polling client will have none between two
 * requests.
 *
 * Runs in: workers.  Owned by: its conn.  Dies: with it.
 */
#ifndef PEAL_CLIENT_H
#define PEAL_CLIENT_H

#include <sys/queue.h>

#include "common/buf.h"
#include "common/closes.h"
#include "common/msg.h"
#include "worker/http.h"
#include "worker/websocket.h"

#define SOCKET_ID_MAX	1000000000u	/* of each of its two numbers */

struct app;
struct channel;
struct conn;
struct front;
struct frame;
struct join;
struct transport;

/* One client in one channel (NULL: it left before the router had answered);
 * live (in the fan-out list) unless it has a join.  Owned by channel.c. */
struct sub {
	struct client		*client;
	struct channel		*channel;
	SLIST_ENTRY(sub)	 of_client;
	struct join		*join;		/* waits for the router, or NULL */
	uint32_t		 at;		/* place in channel->subs */
	uint32_t		 user_n;
	char			 user[];	/* presence: whose it is */
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

/* What survives a hand-over, apart from channels and user (freeze.c holds its
 * size, so that nobody adds a field without thinking of it). */
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

/* What a delivery looks at stands in the first 64 octets. */
struct client {
	struct conn		*conn;
	const struct front	*front;
	struct client_state	 state;
	uint32_t		 sent;		/* worker's seconds: last frame to it */
	uint32_t		 n_subs:24;
	bool			 waiting:1;	/* for the router's grant */
	bool			 established:1;	/* counted as open connection */
	bool			 held:1;	/* not read: the router is full */
	bool			 paused:1;	/* not read: the front wants nothing */
	bool			 begun:1;	/* stream: the head is out */
	bool			 frozen:1;	/* is being handed over */
	bool			 arriving:1;	/* is here, but its elder counts
						   for it yet */
	bool			 publishes:1;	/* not read while the router is
						   full, as with FRONT_HOLD */
	uint64_t		 applied;	/* it has all up to here, from
						   where it was: fanout.h */
	const struct transport	*transport;
	struct app		*app;		/* NULL until the front knows it */
	void			*of_front;	/* what only the front knows */
	struct sub_list		 subs;
	struct client_user	*user;
	struct websocket	 websocket;
};

/*
 * Takes over the conn's request for a front door: admits it, answers what the
 * transport answers, opens; the client may be closed again by it.  False: it
 * was refused, and the request is to be answered with that.
 */
struct front_refusal;
bool	client_take(struct conn *, const struct front *,
	    const struct transport *, const struct http_request *,
	    struct bytes path, struct front_refusal *);

/*
 * Enters the app: it counts as open from here on (max_connections,
 * /connections), if the router allows it where there is a limit.  front's
 * granted() follows, from inside if nobody needs to be asked; what the client
 * sends meanwhile waits in its socket.
 */
void	client_enter(struct client *);

/* The client of a conn, or NULL: it has none (yet). */
struct client *client_of(const struct conn *);

/* A whole frame, as the front door's encode made it. */
void	client_send(struct client *, struct frame *);
/*
 * Says why in the ways of front and transport, then closes the socket when
 * that is out and the other side has answered or close_timeout passed.  Leaves
 * all channels at once.
 */
void	client_close(struct client *, enum close_reason);

/* Pings (in the front's way) a client that was silent for interval ms, closes
 * it when it was so for as long again.  For the front's tick. */
void	client_check_silence(struct client *, uint64_t interval, uint32_t now,
	    void (*ping)(struct client *));
/* The front wants no input for a while, and wants it again. */
void	client_pause(struct client *);
void	client_resume(struct client *);
/* For a front whose clients are told by the handshake's answer that they are in:
 * that, and all else, waits until it is true, or until the client is closed. */
void	client_cork(struct client *);
void	client_uncork(struct client *);
/* Not read until the router takes messages again. */
void	client_hold(struct client *);

/* The app's settings changed its mind or the process ends: code 4200 and so on.
 * Closes the client of a conn, or the conn if it has none. */
void	client_close_conn(struct conn *, enum close_reason);
/* After new settings: closes those whose app is in them no more, or whose front
 * door lets them stay no longer. */
void	clients_leave(void);
/* Everything that the router must know again: users and waiting ones. */
void	clients_resync(void);
/* End of a turn: those that were held go on if there is room. */
void	clients_turn(void);
/* From the router: see messages.def. */
void	client_on_grant(const struct msg_grant *);
void	client_on_watch(const struct msg_watch *);
void	client_on_terminate(const struct msg_terminate *);

/* ---- for transports -------------------------------------------------------- */
bool	client_over(const struct client *);	/* it is ending */
void	client_alive(struct client *);		/* a sign of life */
/* Lets go of all that others can see.  code, words: of its close. */
void	client_release(struct client *, unsigned code, struct bytes words);
void	client_tick(struct conn *, uint32_t now);
void	client_gone(struct conn *, enum close_reason);

/* Signs in; tells the router.  Replaces nothing: NULL user before. */
void	client_signin(struct client *, struct bytes id, struct bytes user_data,
	    const struct bytes *watch, uint32_t n_watch);

/* The same without a word to the router, and back: for a hand-over. */
void	client_set_user(struct client *, struct bytes id,
	    struct bytes user_data, const struct bytes *watch,
	    uint32_t n_watch);
void	client_unset_user(struct client *);

/* Is the client this user: signed in as it, or its member somewhere? */
bool	client_is(const struct client *, struct bytes user);

/* "123.456" into room of 24; returns it. */
const char *client_socket_id(const struct client *, char room[24]);

#endif
