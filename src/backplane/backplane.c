/* SPDX-License-Identifier: MIT
 *
 * The backplanes that are built in.
 *
 * Runs in: the router.
 */
#include "backplane/backplane.h"

#include "common/util.h"

/* By the number of their word in [backplane] driver. */
static const struct backplane *const backplanes[] = {
	[BACKPLANE_NONE] = &backplane_none,
	[BACKPLANE_REDIS] = &backplane_redis,
};

const struct backplane *
backplane_by_driver(int driver)
{
	if (driver < 0 || (size_t)driver >= NELEM(backplanes))
		return NULL;
	return backplanes[driver];
}
