/* SPDX-License-Identifier: MIT
 *
 * One socket: reading, the queue of frames to write, its clock, its death.
 *
 * All client sockets of a worker sit in one epoll set, and that set is one
 * event of libevent: no event object, no read buffer, no timer per connection.
 * What arrives is read into one large buffer of the worker; only what the stage
 * did not use is kept.  What is sent collects until the end of the loop's turn
 * and leaves in one system call per socket.
 *
 * conn.c is its life; conn_input.c reads, conn_output.c writes, conn_queue.c
 * has what waits to be written.  Each turn of the loop walks lists instead of
 * all conns, and a conn is on one of them at most: those who died (conn.c),
 * those with something to write (conn_output.c), those with input to be shown
 * (conn_input.c; who has both is written first).
 *
 * What the octets mean is the stage's business: first HTTP (request.c), then
 * perhaps WebSocket (client.c).
 *
 * Runs in: workers.  Owned by: the worker's table.  Dies: conn_kill() marks and
 * unlinks it, the loop buries it at the end of its turn; so no callback ever
 * frees the object it was called for.
 */
#ifndef PEAL_CONN_H
#define PEAL_CONN_H

#include <sys/queue.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/closes.h"
#include "worker/frame.h"

struct conn;
struct address;
struct client;
struct listener;
struct tls;

struct conn_stage {
	const char	*name;
	/*
	 * Everything received and not used yet.  Returns octets used (they may
	 * be overwritten); the rest is kept and shown again with what follows.
	 * After conn_kill() the result does not matter.
	 */
	size_t	(*input)(struct conn *, char *p, size_t n);
	/* About once a second. */
	void	(*tick)(struct conn *, uint32_t now);
	/* The conn dies: let go of what hangs on it.  Sends nothing. */
	void	(*gone)(struct conn *, enum close_reason);
};

struct conn_queue;		/* frames that wait, when more than one */

/* What a delivery looks at stands in the first 64 octets. */
struct conn {
	struct frame		*first;		/* the oldest frame that waits */
	struct conn_queue	*more;		/* those behind it */
	struct tls		*tls;
	TAILQ_ENTRY(conn)	 link;		/* dirty or dead list */
	uint32_t		 sent;		/* octets of first that are out */
	uint32_t		 queued;	/* octets that wait, all frames */
	int			 fd;
	uint32_t		 stuck;		/* worker's seconds since the queue
						   does not move; 0: it does */
	uint32_t		 deadline;	/* worker's seconds; 0: none */
	uint8_t			 reason;	/* enum close_reason, when dying; sealed:
						   to die if it stays */
	unsigned		 dirty:1,	/* has output for this turn */
				 dead:1,
				 paused:1,	/* input is not wanted */
				 blocked:1,	/* waits for EPOLLOUT */
				 closing:1,	/* close when the queue is empty */
				 eof:1,		/* the peer will send no more */
				 armed:1,	/* EPOLLIN is asked for */
				 again:1,	/* show kept input this turn */
				 opening:1,	/* no whole head yet: see
						   listener_settled() */
				 shut:1,	/* we will send no more */
				 continued:1,	/* request.c: 100 was sent */
				 local:1,	/* came over a unix socket */
				 trusted:1,	/* its X-Forwarded-For is taken */
				 counted:1,	/* among its address's */
				 frozen:1,	/* not in the epoll set: it is being
						   handed over */
				 sealed:1,	/* nor written any more */
				 corked:1,	/* what it would write waits */
				 late:1,	/* came when this worker was being
						   stopped already */
				 foreign:1;	/* another process may have the
						   same socket open for a while */
	uint64_t		 id;		/* slot, generation, serial */
	const struct conn_stage	*stage;
	void			*of_stage;	/* struct request or struct client */
	struct address		*address;	/* whose it is, or NULL: see address.h */
	char			*in;		/* octets not used yet */
	uint32_t		 in_n, in_cap;
	uint16_t		 section;	/* of its listener; it tells conn_begin()
						   whether TLS follows */
};

/* The frame leaves at the end of this turn.  Takes a reference of its own.  A
 * conn that is dead or closing ignores it. */
void	conn_send(struct conn *, struct frame *);
/* The same for octets that only this one gets. */
void	conn_send_bytes(struct conn *, struct bytes);
/* conn_send() will be called soon. */
static inline void
conn_prefetch(const struct conn *c)
{
	__builtin_prefetch(&c->first, 1);
	__builtin_prefetch(&c->link, 1);
}
/* Does half of what may wait for it (websocket.max_backlog) wait already?  Who
 * has more to say than a peer can read at once stops here. */
bool	conn_half_full(const struct conn *);
/* No more input; closes when everything queued is out (or the deadline passes,
 * seconds from now). */
void	conn_finish(struct conn *, enum close_reason, unsigned seconds);
/* Dies at the end of this turn; what is queued is tried once. */
void	conn_kill(struct conn *, enum close_reason);
/* The same for one that does not read; noted and counted. */
void	conn_too_slow(struct conn *);
/* What is queued, also what was in this turn, waits until conn_uncork() or
 * conn_finish(). */
void	conn_cork(struct conn *);
void	conn_uncork(struct conn *);
/* Stop and go on reading; resuming shows kept octets to the stage again, later
 * in this turn. */
void	conn_pause(struct conn *);
void	conn_resume(struct conn *);
/* From the next input on. */
void	conn_stage(struct conn *, const struct conn_stage *, void *of_stage);
/* The room for a client beside this conn: one allocation for both. */
struct client *conn_client(struct conn *);
/* "2:1:77", good until the fourth next call. */
const char *conn_name(const struct conn *);
/* Whose it is: "192.0.2.1", "unix", or "-" if nobody knows any more.  Good
 * until the fourth next call. */
const char *conn_from(const struct conn *);

/* From the next input on it speaks TLS (if its listener does) and HTTP; for
 * what stands in front of them. */
void	conn_begin(struct conn *);

/* ---- for freeze.c and thaw.c ------------------------------------------------ */

/* No input any more, and no clock; output goes on at the end of turns, but
 * nobody waits for the peer to read. */
void	conn_freeze(struct conn *);
/* No output either: what is sent waits, and who ends it only leaves a note in
 * c->reason.  It is not on any list. */
void	conn_seal(struct conn *);
/* All of it goes on, with what waits on both sides.  The conn may die. */
void	conn_unfreeze(struct conn *);
/* Frees a sealed one and closes the descriptor (if not -1); its stage has let go
 * already. */
void	conn_forget(struct conn *);
/* A sealed conn with these octets, its stage not set; first: see
 * queue_octets(). */
struct conn *conns_restore(int fd, struct bytes in, struct bytes out,
	    uint32_t first);

/* ---- for conn_input.c and conn_output.c ---------------------------------------- */

/* System calls for one conn in a turn: one peer must not hold the loop. */
#define CALLS_A_TURN	4

TAILQ_HEAD(conn_list, conn);

/* Asks epoll for what this conn wants now, if that changed. */
void	conn_watch(struct conn *, bool in, bool out);
/* It was to end while somebody else may have it already. */
static inline bool
conn_ends_later(const struct conn *c)
{
	return c->sealed && c->reason != CLOSE_NONE;
}

/* ---- for worker.c ---------------------------------------------------------- */

struct event_base;
/* Sets up the epoll set and the table. */
void	conns_init(struct event_base *, uint64_t id_base);
/* Takes the descriptor.  NULL if it could not be watched. */
struct conn *conns_accept(int fd, const struct listener *,
	    const struct sockaddr *);
/* After the events of a turn: shows kept input to those that were resumed. */
void	conns_go_on(void);
/* How often a conn was put on the list of those that have something to write, and
 * taken off it.  It is written in the order of that list. */
uint64_t conns_dirtied(void);
uint64_t conns_written(void);
/* End of a turn: write, bury.  True if there is work left for the next turn (a
 * large fan-out is written in slices). */
bool	conns_turn(void);
/* Calls tick for a share of all conns; whole_table: for all. */
void	conns_sweep(uint32_t now, bool whole_table);
/* Calls fn for every conn, also those that die at the end of the turn; fn may
 * kill it. */
void	conns_each(void (*fn)(struct conn *, void *), void *);
struct conn *conns_find(uint64_t id);
uint32_t conns_count(void);
/* Of them those that came after the worker was told to stop. */
uint32_t conns_late(void);

#endif
