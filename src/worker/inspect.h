/* SPDX-License-Identifier: MIT
 *
 * Single connections of this worker, for pealctl and the live page.
 *
 * Runs in: workers.
 */
#ifndef PEAL_WORKER_INSPECT_H
#define PEAL_WORKER_INSPECT_H

#include "common/msg.h"

void	inspect_answer(const struct msg_inspect *);

#endif
