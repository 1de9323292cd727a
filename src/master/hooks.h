/* SPDX-License-Identifier: MIT
 *
 * What the courier said last of each target: how it does, for `pealctl report` and
 * /metrics.  Objects of JSON as courier/target.h has them, checked as such.  A courier
 * counts from its start: the counts of those before it are added, so that none goes
 * back.  Of a target that is none of the settings in force the counts alone are kept,
 * of the 64 that went last: it may come back.
 *
 * Runs in: master.  Owns: the newest of each.  Dies: hook_reports_done().
 */
#ifndef PEAL_MASTER_HOOKS_H
#define PEAL_MASTER_HOOKS_H

#include "common/buf.h"

struct state;

/* An array of them, in the order of the [webhook] sections. */
void	hooks_json(struct buf *);
/* The settings are others. */
void	hook_reports_prune(void);
void	hook_reports_done(void);

/* Over an exec. */
void	hook_reports_save(struct state *);
void	hook_reports_restore(const struct state *);

#endif
