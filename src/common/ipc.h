/* SPDX-License-Identifier: MIT
 *
 * A link to another process: a SOCK_STREAM socketpair that carries messages,
 * many to a write.
 *
 * Writing: messages collect in one buffer and leave with ipc_flush(), which
 * every process calls at the end of a turn of its loop.  What the kernel does
 * not take waits for the socket; two marks tell the owner when to hold back.
 *
 * Reading: to the end before a hang-up is believed.  Bytes in a socketpair
 * survive the writer's kill -9, so on_gone() comes only after everything whole
 * was handed out; half a frame is dropped.
 *
 * Runs in: every process.  Owned by: who called ipc_new().  Dies: ipc_free(),
 * also from inside its own calls to the owner.
 */
#ifndef PEAL_IPC_H
#define PEAL_IPC_H

#include "common/msg.h"

struct event_base;
struct ipc;

struct ipc_ops {
	/* A message.  The unpacker and lists are good until return, bytes until
	 * on_handed_out() is back.  -1 with why ends the link. */
	int	(*on_message)(void *ctx, struct ipc *, unsigned type,
		    struct unpacker *, const char **why);
	/* The other side is gone, or what it sent was wrong; why is never NULL.
	 * Called once, from the loop. */
	void	(*on_gone)(void *ctx, struct ipc *, const char *why);
	/* The queue went over the high mark (full = true) or back under the low
	 * one.  May be NULL. */
	void	(*on_pressure)(void *ctx, struct ipc *, bool full);
	/* on_message() was called for all that one read has brought, or for as
	 * much as is handed out now.  May be NULL. */
	void	(*on_handed_out)(void *ctx);
};

#define IPC_HIGH	(8u << 20)	/* octets queued: hold back */
#define IPC_LOW		(1u << 20)	/* go on */

/* Takes the descriptor.  with_fds: descriptors may arrive on this link.
 * Nothing is read before the loop runs. */
struct ipc *ipc_new(struct event_base *, int fd, bool with_fds,
	    const struct ipc_ops *, void *ctx);
void	ipc_free(struct ipc *);

/* One whole frame as msg_pack_*() made it. */
void	ipc_put(struct ipc *, struct bytes frame);
/* The same with a descriptor that the receiver's FD field gets; the caller
 * keeps its own copy. */
void	ipc_put_fd(struct ipc *, struct bytes frame, int fd);
/* Where a message may be packed directly: msg_pack_x(ipc_out(l), &m). */
struct buf *ipc_out(struct ipc *);

/* Writes what the kernel takes; the rest follows by itself.  Marks are checked
 * here. */
void	ipc_flush(struct ipc *);
/* Blocks until all is written or timeout_ms passed; -1 if not.  For setup. */
int	ipc_flush_wait(struct ipc *, int timeout_ms);
/* Reads and hands out what is there now, without waiting. */
void	ipc_read_now(struct ipc *);

/* Before an exec of this process: the link's descriptor, which stays the link's,
 * and what was read and not handed out yet.  -1: the link is at its end, or not
 * everything is written. */
int	ipc_save(const struct ipc *, struct bytes *unread);
/* Behind it, on a new link of that descriptor: this was read. */
void	ipc_restore(struct ipc *, struct bytes unread);
/* Is there something left to write? */
bool	ipc_waiting(const struct ipc *);

/* Hands nothing out until hold is taken back, also of what was read already.  So
 * many octets are read ahead meanwhile (not where descriptors may arrive), so
 * that the other side need not wait. */
void	ipc_hold(struct ipc *, bool hold, size_t ahead);

/* Octets ever queued and ever taken by the kernel: a message has left when
 * written reaches what queued was after ipc_put(). */
uint64_t ipc_queued(const struct ipc *);
uint64_t ipc_written(const struct ipc *);
/* clock_ms() since when the queue has not moved; 0 when it is empty. */
uint64_t ipc_stuck_since(const struct ipc *);

/* A pair of connected, non-blocking, close-on-exec sockets. */
int	ipc_pair(int fds[2]);

#endif
