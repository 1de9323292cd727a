/* SPDX-License-Identifier: MIT
 *
 * The courier's links: to the master, and to routers.  When a router is replaced
 * there are two for a while; the earlier one is read to its end before the next
 * is begun, so what they say stays in order.
 *
 * Runs in: the courier.  Owned by: the courier.  Owns: its ipc.  Dies: the
 * master's at the end, a router's when it was read to its end.
 */
#ifndef PEAL_COURIER_LINK_H
#define PEAL_COURIER_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define LINKS_MAX	64	/* routers that wait for their turn */

struct courier;
struct ipc;
struct unpacker;

struct link {
	TAILQ_ENTRY(link) next;
	struct courier	*courier;
	struct ipc	*ipc;
	bool		 master, gone;
	bool		 hosts;		/* hook_hosts was said */
	uint64_t	 epoch;		/* of the router */
	uint64_t	 serial, acked;	/* its last, and the last acknowledged */
};

TAILQ_HEAD(link_list, link);

struct link *link_master(struct courier *, int fd);
/* Takes the descriptor. */
void	link_router(struct courier *, int fd);
void	link_free(struct link *);

/* The router that is read now, or NULL. */
struct link *links_current(struct courier *);
/* Reads (no more) from it. */
void	links_hold(struct courier *, bool hold);
/* Acknowledges what is in the journal. */
void	links_ack(struct courier *);
/* Buries those at their end; true: another is read from here on. */
bool	links_bury(struct courier *);
void	links_flush(struct courier *);

/* In courier.c: the table of handlers. */
int	courier_take(struct link *, unsigned type, struct unpacker *,
	    const char **why);

#endif
