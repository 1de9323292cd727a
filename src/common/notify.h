/* SPDX-License-Identifier: MIT
 *
 * sd_notify(3) without the library: datagrams to $NOTIFY_SOCKET.
 *
 * Runs in: master.
 */
#ifndef PEAL_NOTIFY_H
#define PEAL_NOTIFY_H

/* Takes NOTIFY_SOCKET out of the environment; nothing happens without it. */
void	notify_init(void);
/* One or more lines, e.g. "READY=1\nSTATUS=3 workers". */
void	notify_send(const char *, ...) __attribute__((format(printf, 1, 2)));

#endif
