/* SPDX-License-Identifier: MIT
 *
 * What workers that leave say of their hand-over, added up: for the answer to
 * `pealctl reload` and for `pealctl status`.
 *
 * Runs in: master.  Owns: the sums of the last replacement.
 */
#ifndef PEAL_HANDED_H
#define PEAL_HANDED_H

#include "common/msg.h"

struct child;

/* A crew begins to leave; it is gone. */
void	handed_begin(void);
void	handed_end(void);
/* A worker of it has said how far it is. */
void	handed_progress(struct child *, const struct msg_progress *);
/* It is not waited for any more: what it still has, it keeps. */
void	handed_give_up(struct child *);
/* Members of a JSON object: "moved", "kept", "refused" and "reasons". */
void	handed_json(struct buf *);

#endif
