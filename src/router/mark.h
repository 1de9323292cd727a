/* SPDX-License-Identifier: MIT
 *
 * Marks: a worker asks, and when all that came before on its link is done and
 * the kernel has taken what that caused on every other link, it hears the serial
 * of the last message that went to any worker.
 *
 * So who has read the answer has everything up to that serial, and everybody
 * else has it or will read it, even if this router dies at once.
 *
 * Runs in: the router.  Owned by: the router's list.  Dies: with its answer or
 * its worker.
 */
#ifndef PEAL_ROUTER_MARK_H
#define PEAL_ROUTER_MARK_H

#include <sys/queue.h>

#include "common/msg.h"

struct mark;
struct peer;
struct router;

TAILQ_HEAD(mark_list, mark);

void	mark_ask(struct peer *, const struct msg_mark *);
/* The end of a turn, when all links were written: answers what is due. */
void	marks_turn(struct router *);
/* A worker is dead (NULL: all are). */
void	marks_forget(struct router *, const struct peer *);

#endif
