/* SPDX-License-Identifier: MIT
 *
 * The courier under the master: the process that sends webhooks.  It is there as
 * long as the settings in force have a [webhook] section, beside the crews (child.h):
 * nothing waits for it, and that it cannot be started stops nobody.
 *
 * What it works with is the master's: the files of its journal (spool.h), its link to
 * the router in force, names that it has looked up (resolve.c).  So whoever follows
 * one that died knows what that one knew.
 *
 * A reload that brings another binary, or settings that a courier reads at its start,
 * replaces it: not before the old router has written its last word to it, and
 * without any overlap, as a journal has one writer.  Other settings are pushed to it.
 *
 * Who is new, and what is done, in this order:
 *
 *	courier		setup; a link to an old router that is there still, for its
 *			last words; a link to the router in force
 *	router, after	a link, as workers get one; if there is no descriptor for it,
 *	a death		each second again
 *	router, in a	when it takes over: settings are pushed, it gets a link; the
 *	reload		old one keeps its own until it ends.  Before that it has none
 *	master (exec)	links and files go on.  A spool that waited for the courier's end
 *			is opened anew by the reload; a courier that waited for its turn
 *			is started
 *	webhooks	none any more: it is stopped, the files go with it.  Back before
 *			it has ended: another follows it and finds them
 *
 * That it must be replaced is remembered from the reload that wants it (also if
 * settings are loaded meanwhile) until it has been told to stop.  Who was told to
 * stop gets no link any more.
 *
 * Runs in: master.  Owns: the courier's child, in the crew beside.  Dies: beside_done().
 */
#ifndef PEAL_BESIDE_H
#define PEAL_BESIDE_H

#include "common/config.h"

struct state;

/* Have the settings in force webhooks? */
bool	beside_wanted(void);
/* What these settings name on disk: is it there?  -1 with *why (caller frees). */
int	beside_check(const struct config *, char **why);
/* The settings in force are others, which it was told, or there were none before:
 * starts the courier, stops it, or has it replaced if anew. */
void	beside_follow(bool anew);
/* Must it be replaced to put these settings in force behind those? */
bool	beside_differ(const struct config *old, const struct config *new);
/* Starts its process, as crew_bring_up() does with others. */
void	beside_bring_up(void);
/* Router in force and courier get a link, unless they have one or the router is of
 * a release that knows of none. */
void	beside_link(void);
/* Its process was reaped. */
void	beside_died(void);
/* A child changed; every second. */
void	beside_proceed(void);
void	beside_tick(uint64_t now_ms);
/* The service stops, and there are no routers any more: it has so long to deliver
 * what waits. */
void	beside_stop(uint64_t grace_ms);
void	beside_done(void);

/* Over an exec. */
void	beside_save(struct state *);
void	beside_restore(const struct state *);

#endif
