/* SPDX-License-Identifier: MIT
 *
 * Which events the [webhook]s of an application want, for those who tell them:
 * nobody tells what nobody wants.
 *
 * Runs in: the router, workers.  Owns: nothing.
 */
#ifndef PEAL_HOOKED_H
#define PEAL_HOOKED_H

#include "common/config.h"

#define HOOKED_CHANNELS	1	/* channel_occupied, channel_vacated */
#define HOOKED_MEMBERS	2	/* member_added, member_removed */
#define HOOKED_CLIENT	4	/* client_event */
#define HOOKED_MISSES	8	/* cache_miss */
#define HOOKED_COUNTS	16	/* subscription_count, if the app has it on */
#define HOOKED_OPENED	32	/* connection_opened */
#define HOOKED_CLOSED	64	/* connection_closed */

/* Those of one section, and whose: the application's id (checked settings name it
 * so).  All sections of an application together are what it wants, as far as
 * hooked_for() lets them. */
unsigned hooked(const struct config_webhook *);
struct bytes hooked_app(const struct config *, const struct config_webhook *);
unsigned hooked_for(const struct config_app *, unsigned bits);

#endif
