/* SPDX-License-Identifier: MIT
 *
 * A front door: a protocol that clients speak, plugged into a worker.  One
 * struct and one line in list.c.
 *
 * What a front door does not speak of may be NULL, where it says so.
 *
 * Runs in: workers.
 */
#ifndef PEAL_FRONT_H
#define PEAL_FRONT_H

#include "common/config.h"
#include "worker/channel.h"
#include "worker/client.h"
#include "worker/message.h"
#include "worker/presence.h"
#include "worker/transport.h"

#define FRONT_WS	1	/* transports it speaks */
#define FRONT_STREAM	2
#define FRONT_PLAIN	4	/* its close codes are those of RFC 6455 */
#define FRONT_HOLD	8	/* when the router is full, its clients are not
				   read for a while (instead of refused) */
#define FRONT_PAGE	16	/* the live page's: where that is served
				   (worker/serve.h), and not for clients */

/* Why a request is refused in HTTP, before it becomes a client. */
struct front_refusal {
	unsigned	 status;
	const char	*headers;	/* more lines, or NULL */
	const char	*words;
};

struct front {
	const char	*name;
	unsigned	 flags;
	/* Is this request for us?  As what: FRONT_WS or FRONT_STREAM; else 0.
	 * path: without http.path. */
	unsigned (*match)(const struct http_request *, struct bytes path);
	/* Nothing is answered yet.  False refuses; then nothing of the front's
	 * may hang on the client.  May be NULL: everybody may try. */
	bool	(*admit)(struct client *, const struct http_request *,
		    struct bytes path, struct front_refusal *);
	/* The handshake is answered (FRONT_WS; a stream's head is the front's
	 * to send, when it knows): greet or close.  req is good until
	 * return. */
	void	(*open)(struct client *, const struct http_request *,
		    struct bytes path);
	/* What client_enter() asked for.  Refused: close it. */
	void	(*granted)(struct client *, bool allowed);
	/* A whole message.  NULL: clients say nothing. */
	void	(*input)(struct client *, enum websocket_kind, struct bytes);
	/* Which of the subprotocols is taken that the client offers
	 * (Sec-WebSocket-Protocol); a part of the list, or empty: none.  NULL:
	 * never any. */
	struct bytes (*subprotocol)(const struct client *, struct bytes offered);
	/* Octets of the longest message that this client may send.  NULL: as
	 * its app says. */
	size_t	(*limit)(const struct client *);
	/* Which encoding does this client get?  < MESSAGE_VARIANTS. */
	unsigned (*variant)(const struct client *);
	/* A whole frame for all clients of that variant, as it goes out, one
	 * reference: an event, a member that came or went, a count.  NULL:
	 * nothing to send. */
	struct frame *(*encode)(const struct message *, unsigned variant);
	/* sub is live, or NULL with why (it is gone already). */
	void	(*subscribed)(struct client *, struct sub *, struct bytes channel,
		    const struct subscription *, const char *why);
	/* Users this client watches came and went.  Only after sign-in. */
	void	(*watch)(struct client *, const struct msg_list *online,
		    const struct msg_list *offline);
	/* About once a second, but not while it waits for granted(). */
	void	(*tick)(struct client *, uint32_t now);
	/* It is being closed by us: say why in the protocol's way; what the
	 * transport says follows.  May be NULL. */
	void	(*closing)(struct client *, enum close_reason);
	/* It is gone: free what of_front has.  May be NULL. */
	void	(*done)(struct client *);
	/* New settings are in force: take them.  May be NULL. */
	void	(*settings)(const struct config *);
	/* May this client stay under the new settings?  May be NULL. */
	bool	(*stays)(const struct client *);
	/* For a hand-over (worker/freeze.h): what only this front knows, as a
	 * msgpack map with numbers as keys.  thaw: client_state, app, user and
	 * channels are there already.  -1 with why refuses; then done() is not
	 * called.  May be NULL: there is nothing. */
	int	(*freeze)(const struct client *, struct buf *, const char **why);
	int	(*thaw)(struct client *, struct bytes, const char **why);
};

/* The front door for a request, and as what (FRONT_WS, FRONT_STREAM); or
 * NULL. */
const struct front *front_match(const struct http_request *, struct bytes path,
	    unsigned *as);
/* New settings for all of them. */
void	fronts_settings(const struct config *);

extern const struct front front_pusher, front_rooms, front_sse, front_page;
/* All of them, NULL behind the last; in list.c, alone. */
extern const struct front *const front_list[];

#endif
