/* SPDX-License-Identifier: MIT
 *
 * Single connections of this worker, for pealctl and the live page
 * (router/control.h): the router asks all workers and puts the answers together.
 * A line each:
 *
 *	{"app":"1001","socket_id":"123.456","front":"pusher","worker":1,
 *	"address":"192.0.2.1","user":"7","channels":2,"names":["news","chat"],
 *	"backlog":0,"age":12,"idle":3}
 *
 * user: signed in as, else who it is in a presence channel, else null.  names: the
 * first INSPECT_NAMES of its channels.  backlog: octets that wait for it; age and
 * idle: seconds.  socket_id is null for who came from a release that gave it none.
 *
 * A question walks the table in steps of INSPECT_STEP connections, one a turn of
 * the loop, or the subscribers of the channel that it names; who comes or goes
 * meanwhile may be left out.  Names of clients are checked and escaped.
 *
 * Runs in: workers.  Owns: the questions under way.
 */
#ifndef PEAL_INSPECT_H
#define PEAL_INSPECT_H

#include <stdbool.h>

#include "common/msg.h"

#define INSPECT_STEP	1000
#define INSPECT_ROWS	1000		/* of one question at most */
#define INSPECT_NAMES	20
#define INSPECT_MOST	256		/* questions under way */

/* Answered by inspected, in later turns. */
void	inspect_answer(const struct msg_inspect *);
/* In a turn: goes on.  True if there is more to do at once. */
bool	inspect_turn(void);
/* The router that asked is gone. */
void	inspect_lost(void);

#endif
