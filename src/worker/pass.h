/* SPDX-License-Identifier: MIT
 *
 * Connections that another worker serves.  The kernel spreads them by chance, so
 * some workers get more than others; the master, which knows what each holds
 * (master/spread.h), tells one that has more than its share to pass the next so
 * many on, and gives it a link to one that has less.  What is passed was accepted
 * and not read from.
 *
 * A link is one end of a SOCK_SEQPACKET pair: a descriptor a record, with the
 * address it was accepted at.  Nobody is lost with it: who cannot be passed is
 * kept, and who ends takes all that was passed before.
 *
 * Runs in: workers.  Owns: the links.  Dies: pass_stop().
 */
#ifndef PEAL_PASS_H
#define PEAL_PASS_H

#include "worker/worker.h"

/* How many of the next ones are another's. */
extern uint64_t pass_left;

/* From now on, so many go by this link, which it takes; what was asked for
 * before is forgotten. */
void	pass_begin(int link, uint64_t count);
/* Nobody is passed on. */
void	pass_end(void);
/* Passes on one that was accepted there; the caller closes its copy.  -1: it
 * stays here. */
int	pass_on(int fd, const struct listener *);
/* What comes by this link, which it takes, is ours. */
void	pass_take(struct event_base *, int link);
/* Takes what was passed to us up to now; the others keep what follows. */
void	pass_stop(void);

#endif
