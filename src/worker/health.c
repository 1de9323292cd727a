/* SPDX-License-Identifier: MIT
 *
 * Shall new clients come here?  See health.h.
 */
#include "worker/health.h"

#include "worker/uplink.h"
#include "worker/worker.h"

/* The master replaces it at twice that age, or it answers again. */
static bool
router_hangs(void)
{
	return worker.silent != 0 &&
	    worker.silent >= worker.config->peal.watchdog / 2;
}

const char *
health_trouble(void)
{
	if (worker.stopping || worker.ending)
		return "draining";
	return uplink() == NULL || router_hangs() ? "router" : NULL;
}
