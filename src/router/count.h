/* SPDX-License-Identifier: MIT
 *
 * Numbers of subscribers, pushed to the workers of a channel whose application
 * wants them (Pusher's subscription_count): once a turn while there are few,
 * and at most every five seconds above that.  A [webhook] may want them, too, of
 * any channel but presence channels: the courier is told at the same moments.
 *
 * Runs in: the router.  Owned by: its route.  Dies: count_forget().
 */
#ifndef PEAL_COUNT_H
#define PEAL_COUNT_H

#include <stdint.h>
#include <sys/queue.h>

#define COUNT_FEW	100	/* subscribers: tell at once */
#define COUNT_EVERY	5000	/* ms, above that */

struct counting;
struct route;
struct router;

TAILQ_HEAD(counting_list, counting);

/* From now on counts of this channel are wanted. */
void	count_want(struct route *);
/* Its number has changed. */
void	count_changed(struct route *);
void	count_forget(struct route *);
/* So many were pushed then by a router before this one: it is not said again to
 * those who know; but to who comes now, and knows nothing. */
void	count_inherit(struct route *, uint64_t count, uint64_t pushed);
void	count_unknown(struct route *);
/* Tells the heir what was pushed last. */
void	count_bequeath(const struct route *);
/* Tells what is due. */
void	counts_push(struct router *);

#endif
