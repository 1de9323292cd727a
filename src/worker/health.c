/* SPDX-License-Identifier: MIT
 *
 * Shall new clients come here?  See health.h.
 */
#include "worker/health.h"

#include "worker/uplink.h"
#include "worker/worker.h"

const char *
health_trouble(void)
{
	if (worker.stopping || worker.ending)
		return "draining";
	return uplink() == NULL ? "router" : NULL;
}
