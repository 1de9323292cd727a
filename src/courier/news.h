/* SPDX-License-Identifier: MIT
 *
 * What the router tells becomes what webhooks say: handlers of hook_hosts,
 * hook_state, hook_roll and hook_event.
 *
 * Runs in: the courier.  Owns: nothing.
 */
#ifndef PEAL_COURIER_NEWS_H
#define PEAL_COURIER_NEWS_H

#include "courier/said.h"

struct courier;

extern const struct said_ops news_of_said;

/* Targets have changed: what nobody wants any more need not be known. */
void	news_settings(struct courier *);

#endif
