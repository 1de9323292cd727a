/* SPDX-License-Identifier: MIT
 *
 * The addresses that Peal listens on.  A TCP address has one socket per worker
 * slot (SO_REUSEPORT); the master keeps each open for as long as it lives, so
 * that nothing waiting to be accepted is lost with a worker.  A unix socket is
 * one socket that all workers share.
 *
 * Runs in: master.  Owns: the descriptors, and the files of unix sockets.
 * Dies: listen_close(), at the end of the service.
 */
#ifndef PEAL_LISTEN_H
#define PEAL_LISTEN_H

#include <sys/types.h>

#include "common/config.h"

/* One address in force. */
struct listen_address {
	unsigned	 section;	/* index of its [listen] section */
	bool		 local;		/* a unix socket */
	char		*text;		/* 127.0.0.1:8080 or unix:/path */
	char		*path;		/* of a unix socket, or NULL */
	int		*fd;
	unsigned	 n_fd;		/* number of workers, or 1 */
};

struct listen {
	struct listen_address	*at;
	size_t			 n;
};

/* An address as written in the settings, taken apart. */
struct listen_name {
	bool		 local;
	char		 host[256];	/* empty: all addresses */
	char		 port[6];
	const char	*path;		/* into the text */
};

/* HOST:PORT, [IPv6]:PORT, :PORT or unix:/path; -1 with what is wrong. */
int	listen_parse(const char *text, struct listen_name *, const char **why);

/*
 * Binds everything in the settings.  Each TCP address is first bound once
 * without SO_REUSEPORT: a second instance fails here instead of getting half
 * the clients.  Port 0 takes a free one, the same for all workers.  owner, gid:
 * who unix sockets belong to, or -1.  On an error nothing stays behind and
 * *why (caller frees) says which address and what can be done.
 */
int	listen_open(struct listen *, const struct config *, unsigned workers,
	    uid_t owner, gid_t gid, char **why);

/* The socket for worker number i (from 0); borrowed. */
int	listen_fd(const struct listen_address *, unsigned i);

/* Closes all and removes the files of unix sockets. */
void	listen_close(struct listen *);

/*
 * For unix sockets of any kind: removes a file that nobody answers on.  0 if
 * the path is free, -1 with why if somebody answers or it is no socket.
 */
int	listen_clear_path(const char *path, const char **why);

#endif
