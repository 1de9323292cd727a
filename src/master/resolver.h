/* SPDX-License-Identifier: MIT
 *
 * A process that lives for one question: the addresses of a name, or a
 * connection to a unix socket.  Looking up a name takes long, runs code of the
 * system's choice and reads what the network says, so it has nothing to lose: it
 * is started afresh (spawn.h), steps down to the user that the service runs as,
 * knows no setting and ends after ten seconds at most.
 *
 * On descriptor 3, datagrams.  The question: user NUL host.  The answer:
 *
 *	'A' (size octets)*	addresses of 4 or 16 octets
 *	'F'			a connection, as descriptor
 *	'E' text		why not
 *
 * Runs in: a process of its own, started by resolve.c.
 */
#ifndef PEAL_RESOLVER_H
#define PEAL_RESOLVER_H

#define RESOLVER_SECONDS	10
#define RESOLVER_QUESTION_MAX	2048
#define RESOLVER_ANSWER_MAX	512

/* Everything from descriptor 3 on; returns the exit status. */
int	resolver_main(void);

/* (resolve.c, master) Questions under way have no answer: they are not carried
 * over an exec. */
void	resolve_end(void);

#endif
