/* SPDX-License-Identifier: MIT
 *
 * Connections of pealctl whose verb is the router's, passed on by the master
 * with the line that came: {"verb":"channels","app":"chat","prefix":"news-"}.
 *
 *	channels     app, prefix   {"channel":"a","subscriptions":3,"users":2}
 *	users        app, channel  {"id":"1","member":{...}}
 *	connections  app           {"app":"1","open":9,"subscribed":7}
 *	publish      app, channel, event, data
 *	terminate    app, user
 *	backplane    see overview.h
 *
 * app is an id or a label of [app LABEL]; it may be left out where there is
 * only one.  Answers are lines of JSON, the last one {"ok":true} or
 * {"ok":false,"error":"why"}.
 *
 * Runs in: the router.  Owns: the descriptor.  Dies: when the answer is
 * written, the other side has gone, or does not read for a while.
 */
#ifndef PEAL_ROUTER_CONTROL_H
#define PEAL_ROUTER_CONTROL_H

#include "common/buf.h"

struct router;

/* Takes the descriptor and answers the request. */
void	control_take(struct router *, int fd, struct bytes request);
/* At the end of a turn: writes what the sockets take. */
void	controls_turn(struct router *);
/* Each second: ends those that do not read. */
void	controls_tick(struct router *);
void	controls_done(struct router *);

#endif
