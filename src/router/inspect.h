/* SPDX-License-Identifier: MIT
 *
 * Questions that a worker passes on (worker/ask.h), and questions about single
 * connections, asked of all workers.
 *
 * Runs in: the router.
 */
#ifndef PEAL_ROUTER_INSPECT_H
#define PEAL_ROUTER_INSPECT_H

#include "common/msg.h"

struct peer;

/* A worker's part of an answer. */
void	inspect_heard(struct peer *, const struct msg_inspected *);
/* Somebody outside asks by way of a worker / does not listen any more. */
void	control_ask(struct peer *, const struct msg_ask *);
void	control_ask_end(struct peer *, uint64_t cookie);

#endif
