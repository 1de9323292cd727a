/* SPDX-License-Identifier: MIT
 *
 * RFC 6455: the server's side of the upgrade, framing and close.  Pure: knows
 * no socket.  The reader unmasks in place, hands a message that lies whole in
 * the caller's octets out without a copy, and keeps memory of its own only in
 * the middle of a message.  Text is checked as UTF-8 while it arrives, so bad
 * text fails at once and not at its end.
 *
 * Runs in: workers.  Owned by: the client.  Dies: websocket_done().
 */
#ifndef PEAL_WEBSOCKET_H
#define PEAL_WEBSOCKET_H

#include "common/buf.h"
#include "common/closes.h"
#include "worker/http.h"

enum websocket_kind { WEBSOCKET_TEXT = 1, WEBSOCKET_BINARY = 2 };

struct websocket_partial;	/* a frame or message that is not complete */

struct websocket {
	struct websocket_partial	*partial;	/* NULL between messages */
	bool				 deflate;	/* negotiated */
	bool				 closing;	/* a close frame came */
};

struct websocket_limits {
	size_t		 message;	/* octets, after inflating */
	unsigned	 fragments;
};

/* What the reader found.  A callback returns 0; or -1 to stop reading (the
 * connection was killed in it); or 1 to stop behind this one and keep the rest
 * for later. */
struct websocket_events {
	int	(*on_message)(void *ctx, enum websocket_kind, struct bytes);
	int	(*on_ping)(void *ctx, struct bytes payload);
	int	(*on_pong)(void *ctx, struct bytes payload);
	/* code 1005: the frame was empty (RFC 6455 7.1.5). */
	int	(*on_close)(void *ctx, unsigned code, struct bytes reason);
};

/*
 * Reads what is there.  Returns octets used (the caller keeps the rest, at most
 * an incomplete frame head or control frame, and comes back with more), or -1
 * with the reason to close.  Nothing is read after a close frame.
 */
ssize_t	websocket_read(struct websocket *, const struct websocket_limits *,
	    char *p, size_t n, const struct websocket_events *, void *ctx,
	    enum close_reason *);
void	websocket_done(struct websocket *);

/* For a hand-over: a partial as it stands, its octets borrowed; false: there is
 * none. */
struct websocket_half {
	uint64_t		 left;		/* of the frame at hand */
	unsigned		 fragments;
	enum websocket_kind	 kind;
	bool			 compressed, fin;
	unsigned char		 mask[4];
	struct bytes		 octets;	/* of the message so far */
};
bool	websocket_freeze(const struct websocket *, struct websocket_half *);
/* And back; -1: there cannot be such a one. */
int	websocket_thaw(struct websocket *, const struct websocket_half *);

/*
 * Is this a good handshake (RFC 6455 4.2.1)?  0, or an HTTP status with words:
 * 400, 405, or 426 (Upgrade or version missing or wrong; answer with
 * Sec-WebSocket-Version: 13).
 */
int	websocket_check(const struct http_request *, const char **why);

/* The 101 answer.  extension: value of Sec-WebSocket-Extensions, or empty.
 * protocol likewise. */
void	websocket_answer(const struct http_request *, struct bytes extension,
	    struct bytes protocol, struct buf *out);

/* Frame head of a server (no mask): 2-10 octets appended.  opcode 1, 2, 8-10;
 * rsv1: the payload is compressed. */
void	websocket_head(struct buf *, unsigned opcode, bool rsv1, uint64_t length);
/* A whole close frame; code 1005 gives an empty one; words cut to 123. */
void	websocket_close_frame(struct buf *, unsigned code, struct bytes words);

#endif
