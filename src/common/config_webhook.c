/* SPDX-License-Identifier: MIT
 *
 * [courier] and [webhook]: do their settings fit together?
 *
 * Runs in: master, pealctl.  Owns: nothing.
 */
#include "common/config_parts.h"

int
config_check_webhooks(struct config_draft *d)
{
	(void)d;
	return 0;
}
