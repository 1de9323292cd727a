/* SPDX-License-Identifier: MIT
 *
 * What the master tells its children: who they are, the settings they may see,
 * the descriptors they may not open themselves.
 *
 * Setup is tell_setup(), then tell_link() for each worker, then go and serve.  All of it
 * is queued on the child's link, which must be there.
 *
 * Runs in: master.  Owns: nothing; descriptors stay the caller's.
 */
#ifndef PEAL_TELL_H
#define PEAL_TELL_H

#include "master/child.h"

/* Sends a message without a descriptor: TELL(c, ping, .n = 7). */
#define TELL(child, name, ...) \
	msg_pack_##name(ipc_out((child)->ipc), \
	    &(struct msg_##name){ __VA_ARGS__ })

/* start, settings, log, and what its role needs. */
void	tell_setup(struct child *);
/* A worker's own: listeners, certificates, ticket keys. */
void	tell_worker(struct child *);
/* The courier's own: the files of its journal (spool.h). */
void	tell_courier(struct child *);
/* Worker and router get the ends of a new socket pair. */
void	tell_link(struct child *router, struct child *worker);
/* Router and courier get the ends of a new pair; -1 if there is none to be had. */
int	tell_hooks(struct child *router, struct child *courier);
/* Router and successor get the ends of a new pair; if there is no router, the
 * successor learns it at once.  Before its go. */
void	tell_succession(struct child *old, struct child *heir);
/* A worker that leaves and one that takes over get the ends of a new pair; -1 if
 * there is none to be had. */
int	tell_handover(struct child *old, struct child *heir);
/* The first passes so many connections on to the second, by a new pair; -1 if
 * there is none. */
int	tell_pass(struct child *, struct child *to, uint64_t count);

void	tell_settings(struct child *);
void	tell_certificates(struct child *);
void	tell_log(struct child *);
/* A connection of pealctl, for the router. */
void	tell_control(struct child *router, int fd, struct bytes request);
/* Frees the buffer. */
void	tell_done(void);

#endif
