/* SPDX-License-Identifier: MIT
 *
 * The other hosts.
 *
 * Runs in: the router.
 */
#include "router/host.h"
