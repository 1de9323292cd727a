/* SPDX-License-Identifier: MIT
 *
 * A redis-server of our own on a free port of 127.0.0.1, without a word on
 * disk.
 */
#ifndef BENCH_BROKER_H
#define BENCH_BROKER_H

#include <sys/types.h>

/* Its port; ends the program if it does not come up. */
unsigned broker_start(pid_t *);
void	broker_stop(pid_t);

#endif
