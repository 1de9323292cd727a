/* SPDX-License-Identifier: MIT
 *
 * Settings, certificates and binary of a running service: reading them again,
 * and putting in force what changed.
 *
 * If only LIVE settings differ, they are pushed to all processes.  Anything else,
 * and another binary on disk, replaces the processes: preflight.h, again.h,
 * replace.h.  Whatever goes wrong before the new processes are in force changes
 * nothing at all.
 *
 * One reload is under way at a time.  Who asks for another meanwhile, or for one
 * that replaces processes while those of the last one still leave, waits, and all
 * who wait have the same one.
 *
 * Runs in: master.
 */
#ifndef PEAL_RELOAD_H
#define PEAL_RELOAD_H

#include "common/config.h"

struct certificate;
struct state;

/* Asks for a reload, at once or when it can be: its number, see
 * reload_answer(). */
uint64_t reload_ask(void);
/* The line of JSON for who waits for the reload of this number; NULL while it is
 * under way. */
const struct buf *reload_answer(uint64_t number);
/* What would a reload change?  -1 with *why: it would be refused. */
int	reload_try(struct buf *changed, char **why);
/* The peald on disk is not the one that runs: a reload replaces all processes. */
bool	reload_another_binary(void);
/* A child answered, or a reload came to its end: does one end or begin? */
void	reload_check(void);
/* The service stops: who waits is told. */
void	reload_stop(void);

/* For replace.c: names what differs from the settings in force; the reload is
 * done, or why not. */
void	reload_compare(const struct config *, const struct certificate *);
void	reload_done(const char *why);
/* Is the one under way one of the binary, too? */
bool	reload_binary(void);

/* Over an exec: what a reload that is under way must know. */
void	reload_save(struct state *);
void	reload_restore(const struct state *);
/* Member "reload" of pealctl status. */
void	reload_status(struct buf *json);

#endif
