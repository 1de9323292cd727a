/* SPDX-License-Identifier: MIT
 *
 * A front door: a protocol that clients speak, plugged into a worker.  One
 * struct and one line in list.c.
 *
 * Runs in: workers.
 */
#ifndef PEAL_FRONT_H
#define PEAL_FRONT_H

#include "worker/channel.h"
#include "worker/client.h"
#include "worker/message.h"
#include "worker/presence.h"

#define FRONT_WS	1	/* transports it speaks */
#define FRONT_STREAM	2
#define FRONT_POLL	4
#define FRONT_RAW	8

struct front {
	const char	*name;
	unsigned	 flags;
	/* Is this request for us?  path: without http.path. */
	bool	(*match)(const struct http_request *, struct bytes path);
	/* The handshake is answered: greet or close.  req is good until return. */
	void	(*open)(struct client *, const struct http_request *,
		    struct bytes path);
	/* The router allowed (or refused) the connection that open asked for. */
	void	(*granted)(struct client *, bool allowed);
	/* A whole message. */
	void	(*input)(struct client *, enum websocket_kind, struct bytes);
	/* Which encoding does this client get?  < MESSAGE_VARIANTS. */
	unsigned (*variant)(const struct client *);
	/* A whole frame for all clients of that variant, one reference: an
	 * event, a member that came or went, a count.  NULL: nothing to send. */
	struct frame *(*encode)(const struct message *, unsigned variant);
	/* sub is live, or NULL with why (it is gone already). */
	void	(*subscribed)(struct client *, struct sub *, struct bytes channel,
		    const struct subscription *, const char *why);
	/* What a client published is acknowledged, or why not.  For protocols
	 * with receipts; nobody calls it yet, Pusher's has none. */
	void	(*published)(struct client *, uint64_t cookie, const char *why);
	/* Users this client watches came and went. */
	void	(*watch)(struct client *, const struct msg_list *online,
		    const struct msg_list *offline);
	/* About once a second. */
	void	(*tick)(struct client *, uint32_t now);
	/* It is being closed by us: say why in the protocol's way; the close
	 * frame follows. */
	void	(*closing)(struct client *, enum close_reason);
	/* For a hand-over, which is to come: what only this front knows.  -1
	 * with why. */
	int	(*freeze)(const struct client *, struct buf *, const char **why);
	int	(*thaw)(struct client *, struct bytes, const char **why);
};

/* The front door for a WebSocket request, or NULL. */
const struct front *front_match(const struct http_request *, struct bytes path);

extern const struct front front_pusher;
/* All of them, NULL behind the last; in list.c, alone. */
extern const struct front *const front_list[];

#endif
