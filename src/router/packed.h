/* SPDX-License-Identifier: MIT
 *
 * What the router packs for other hosts: see common/packed.h.
 */
#ifndef PEAL_ROUTER_PACKED_H
#define PEAL_ROUTER_PACKED_H

#include "common/packed.h"

#endif
