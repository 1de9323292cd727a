/* SPDX-License-Identifier: MIT
 *
 * Requests that publish and find no room: the router is behind, or a worker
 * that it delivers to.  They wait, in the order in which they came, and their
 * connections are not read; so who publishes faster than the server can take
 * gets slow answers first.  After router.publish_wait a request is answered
 * with 503, and at once if so many wait that they hold as many octets as
 * router.publish_window.
 *
 * A request that waits has not been looked at, but for its signature and its
 * shape: it is handled anew when there is room.
 *
 * Runs in: workers.
 */
#ifndef PEAL_API_WAIT_H
#define PEAL_API_WAIT_H

#include "worker/request.h"

/* It found no room, or others wait already; api_handle() comes again.  False:
 * it cannot wait. */
bool	api_wait(struct request *);
/* May a request publish now, or is it behind others? */
bool	api_wait_none(void);
/* About once a second: true if it was answered, as it has waited too long. */
bool	api_wait_tick(struct request *, uint32_t now);
/* It dies, or is handled. */
void	api_wait_forget(struct request *);
/* End of a turn: handles those that there is room for.  True: there is room for
 * more. */
bool	api_wait_turn(void);
/* 503, come again. */
void	api_wait_refuse(struct request *);

#endif
