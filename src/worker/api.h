/* SPDX-License-Identifier: MIT
 *
 * Pusher's HTTP API, plus Reverb's /connections and /up: one function per
 * route, the routes in a table.
 *
 * Runs in: workers.
 */
#ifndef PEAL_API_H
#define PEAL_API_H

#include "worker/request.h"

/* A whole request, head and body.  Answers it, now or later. */
void	api_handle(struct request *);
/* The request's conn has died while an answer was outstanding. */
void	api_forget(struct request *);

#endif
