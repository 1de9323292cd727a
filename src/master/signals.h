/* SPDX-License-Identifier: MIT
 *
 * The signals that the master obeys.  They are blocked for as long as it lives
 * and read from a descriptor: so one that is not handled yet when the master
 * becomes another binary (again.h) waits in the kernel for the new one, and none
 * interrupts anything.  Children get an empty mask (spawn.h).
 *
 * Runs in: master.  Owns: the descriptor and its event.
 */
#ifndef PEAL_SIGNALS_H
#define PEAL_SIGNALS_H

#include <stddef.h>

struct event_base;

struct signal_watch {
	int	 signum;
	void	(*on)(int signum);
};

/* The list must outlive them. */
void	signals_start(struct event_base *, const struct signal_watch *, size_t n);
void	signals_end(void);

#endif
