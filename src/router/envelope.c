/* SPDX-License-Identifier: MIT
 *
 * Envelopes.
 *
 * Runs in: the router.
 */
#include "router/envelope.h"
