/* SPDX-License-Identifier: MIT
 *
 * A real redis-server on a free port, in a temporary directory; it ends with the
 * test.
 */
#ifndef TESTS_BACKPLANE_BROKER_H
#define TESTS_BACKPLANE_BROKER_H

#include <sys/types.h>

#include "common/buf.h"

struct broker {
	pid_t		pid;		/* 0: it does not run */
	unsigned	port;
	char		dir[64];
	char		path[128];	/* of its unix socket */
	char		*options;	/* lines of its settings */
};

/* Is there one to run? */
bool	broker_installed(void);
/* options: lines of redis.conf, or "". */
void	broker_start(struct broker *, const char *options);
/* At the same place, after broker_kill(). */
void	broker_again(struct broker *);
void	broker_kill(struct broker *);
void	broker_signal(struct broker *, int signal);
/* Kills it and removes its directory. */
void	broker_done(struct broker *);

/* Says a command, words apart by blanks, and gives the answer's text (RESP),
 * good until the next call. */
const char *broker_says(struct broker *, const char *command);

/*
 * Certificates in the broker's directory: NAME.crt and NAME.key for ca, other-ca,
 * server (localhost, 127.0.0.1), named (elsewhere.example), old (server, but
 * expired) and client.  The path, good until the fourth next call.
 */
void	broker_certify(struct broker *);
const char *broker_file(struct broker *, const char *name);

#endif
