/* SPDX-License-Identifier: MIT
 *
 * pealctl top: what goes on, anew each second.
 *
 * Runs in: pealctl.
 */
#ifndef PEAL_TOP_H
#define PEAL_TOP_H

struct call;

int	run_top(struct call *);

#endif
