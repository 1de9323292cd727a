/* SPDX-License-Identifier: MIT
 *
 * sd_notify(3) without the library: datagrams to $NOTIFY_SOCKET.
 *
 * Runs in: master.
 */
#ifndef PEAL_NOTIFY_H
#define PEAL_NOTIFY_H

#include <stdint.h>

/* Reads NOTIFY_SOCKET and WATCHDOG_USEC; nothing happens without them. */
void	notify_init(void);
/* One or more lines, e.g. "READY=1\nSTATUS=3 workers".  Never waits. */
void	notify_send(const char *, ...) __attribute__((format(printf, 1, 2)));
/* RELOADING=1 with the time, as systemd wants it; READY=1 ends it. */
void	notify_reloading(void);
/* Milliseconds between two WATCHDOG=1 (half of what systemd asks for), or 0. */
uint64_t notify_watchdog_ms(void);

#endif
