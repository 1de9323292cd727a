/* SPDX-License-Identifier: MIT
 *
 * Addresses of targets' hosts: asked of the master, as the courier may open
 * nothing, and remembered for half a minute.
 *
 * Runs in: the courier.  Owned by: the courier.  Owns: its names.  Dies:
 * names_done(); who waits must have gone before.
 */
#ifndef PEAL_COURIER_NAME_H
#define PEAL_COURIER_NAME_H

#include <sys/queue.h>

#include "common/ip.h"
#include "common/msg.h"

#define NAME_ADDRESSES	16	/* of a host; more are left out */
#define NAME_GOOD_MS	30000
#define NAME_LATE_MS	15000	/* the master needs up to 10 s to say no */
#define NAMES_ASKED	8	/* at a time: the master refuses more; others wait */

struct addresses {
	struct ip	 at[NAME_ADDRESSES];
	unsigned	 n;
};

/* Somebody who waits; part of what is asked for. */
struct name_wait {
	TAILQ_ENTRY(name_wait) link;
	struct name	*name;		/* NULL: does not wait */
	/* addresses: of the time being, or NULL with why. */
	void		(*found)(void *ctx, const struct addresses *,
			    const char *why);
	void		*ctx;
};

struct names {
	LIST_HEAD(, name) all;
	uint64_t	 last_cookie, last_wanted;
	unsigned	 asked;		/* being asked for */
	void		(*ask)(void *ctx, uint64_t cookie, struct bytes host);
	void		*ctx;
};

void	names_init(struct names *, void (*ask)(void *ctx, uint64_t cookie,
	    struct bytes host), void *ctx);
void	names_done(struct names *);

/* found() is called from in here if the name is known, else later. */
void	names_find(struct names *, struct bytes host, struct name_wait *,
	    uint64_t now);
/* Wants no answer any more; may be said of who does not wait. */
void	names_leave(struct name_wait *);
/* This address of the host works: it is tried first from now on. */
void	names_prefer(struct names *, struct bytes host, const struct ip *);
/* The master's answer. */
void	names_found(struct names *, const struct msg_found *, uint64_t now);
/* Each second: answers that are late, names that are old. */
void	names_tick(struct names *, uint64_t now);

#endif
