/* SPDX-License-Identifier: MIT
 *
 * Keeps the workers in force about equally full.  All of them are asked at a time
 * (a ping, which each answers behind its counters), every second and, while many
 * come, up to fifty times a second; when they have answered, balance.h says who
 * passes how many of its next connections on, and to whom.  The two get the ends of a
 * new link for it (worker/pass.h): what is passed does not come by the master.
 *
 * A filter of the listening sockets (SO_ATTACH_REUSEPORT_CBPF) could give some
 * workers a smaller share from the beginning.  It would have to be exchanged many
 * times a second while clients connect, and what it draws by lot is spread by
 * chance again.
 *
 * Nothing is decided while processes are replaced, until all that can be handed
 * over was.
 *
 * Runs in: master.  Owns: a timer.
 */
#ifndef PEAL_SPREAD_H
#define PEAL_SPREAD_H

#include "common/buf.h"

struct child;

/* Every second, before the pings. */
void	spread_tick(void);
/* A worker has told its counters. */
void	spread_heard(struct child *);
/* A ping was answered, or somebody died. */
void	spread_check(void);
void	spread_done(void);

/* "fullest":{...}: a member of pealctl status. */
void	spread_status(struct buf *json);

#endif
