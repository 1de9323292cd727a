/* SPDX-License-Identifier: MIT
 *
 * The router's link to the courier: what webhooks are made of.
 *
 * Runs in: the router.
 */
#ifndef PEAL_HOOKS_H
#define PEAL_HOOKS_H

#include "common/msg.h"

struct router;

/* A courier's link; takes the descriptor. */
void	hooks_link(struct router *, int fd);
/* A connection of an application that has a webhook for that. */
void	hooks_connection(struct router *, const struct msg_connection *);

#endif
