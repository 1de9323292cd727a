/* SPDX-License-Identifier: MIT
 *
 * Names for the router, which is in jail and cannot look them up, and
 * connections to the unix socket of its broker.
 *
 * Looking up a name may take long and runs code of the system's choice, so a
 * child of its own does it: for ten seconds at most, as the user the service
 * runs as, with no descriptor of the master's but a socket for the answer.  It is
 * a fork and no more, so what the master knows is in its memory.  The master
 * waits for nothing.
 *
 * A router that was taken over can have names looked up, but not connect to
 * another socket than the one in the settings.
 *
 * Runs in: master; resolve_run() in that child.
 */
#ifndef PEAL_RESOLVE_H
#define PEAL_RESOLVE_H

/* What the child does: answers on fd, then the process ends. */
_Noreturn void resolve_run(const char *host, int fd);

#endif
