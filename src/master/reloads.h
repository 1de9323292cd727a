/* SPDX-License-Identifier: MIT
 *
 * Reloads that have ended, and how: the last ones, and how many there were.
 *
 * Runs in: master.  Owns: their texts.  Survives an exec.
 */
#ifndef PEAL_RELOADS_H
#define PEAL_RELOADS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

#define RELOADS_KEPT	20

struct state;

/* changed: names of settings and the like; why: it was refused, or NULL.  Both are
 * cut at some hundred octets. */
void	reloads_note(uint64_t wall_ms, uint64_t took_ms, bool full,
	    struct bytes changed, const char *why);
/* Member "reloads" of a report: the newest last. */
void	reloads_json(struct buf *);
/* Since the service was started. */
uint64_t reloads_good(void);
uint64_t reloads_refused(void);
/* The service ends. */
void	reloads_end(void);

/* Over an exec. */
void	reloads_save(struct state *);
void	reloads_restore(const struct state *);

#endif
