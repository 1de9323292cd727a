/* SPDX-License-Identifier: MIT
 *
 * How a client's octets travel.  A front door says what is sent, its transport
 * how it begins, what comes from the other side, and how it ends.
 *
 *	websocket	RFC 6455: frames both ways
 *	stream		an HTTP answer without an end; the client says nothing
 *			more
 *
 * Runs in: workers.  Owns: nothing of its own; the client holds its state.
 */
#ifndef PEAL_TRANSPORT_H
#define PEAL_TRANSPORT_H

#include "common/closes.h"
#include "worker/client.h"
#include "worker/conn.h"

struct transport {
	struct conn_stage	 stage;		/* of the conn of such a client */
	/* The request was taken in: answer it, or leave that to the front. */
	void	(*open)(struct client *, const struct http_request *);
	/* Last words; nothing is sent behind them. */
	void	(*close)(struct client *, enum close_reason);
	/* Frees what reading has kept. */
	void	(*done)(struct client *);
};

extern const struct transport transport_websocket, transport_stream;

/* ---- WebSocket ------------------------------------------------------------- */

/* A text or binary message of its own: the WebSocket head is put before it
 * (and compression applied if negotiated and worth it). */
void	client_send_text(struct client *, struct bytes text);
void	client_send_binary(struct client *, struct bytes);
/* A ping with empty payload. */
void	client_send_ping(struct client *);
/* A frame with text (or octets), ready for many clients: head in front, once. */
struct frame *client_frame_text(struct bytes text, unsigned window_bits);
struct frame *client_frame_binary(struct bytes, unsigned window_bits);

/* ---- stream ---------------------------------------------------------------- */

/*
 * Begins the answer: status 200 with these header lines.  It has no length and
 * ends with the connection, which is the same for HTTP/1.0 and 1.1 and for
 * every proxy.  A client that is closed before is answered with 503, or over
 * the application's quota with 429.
 */
void	client_send_head(struct client *, struct bytes headers);
/* Octets of its own. */
void	client_send_octets(struct client *, struct bytes);

#endif
