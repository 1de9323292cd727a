/* SPDX-License-Identifier: MIT
 *
 * pealctl tail: events as they pass.
 *
 * Runs in: pealctl.
 */
#ifndef PEAL_CTL_TAIL_H
#define PEAL_CTL_TAIL_H

struct call;

int	run_tail(struct call *);

#endif
