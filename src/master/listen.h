/* SPDX-License-Identifier: MIT
 *
 * The addresses that Peal listens on.  A TCP address has one socket per worker
 * slot (SO_REUSEPORT); the master keeps each open for as long as the address is
 * in the settings, so that nothing waiting to be accepted is lost with a worker.
 * A unix socket is one socket that all workers share.
 *
 * With fewer workers than before the sockets stay, as clients wait in their
 * queues: the workers share them all, and a filter in the kernel gives new
 * connections to the first sockets only, one for each worker.
 *
 * A change of settings or of the number of workers:
 *
 *	listen_change()		what there will be: kept sockets, and new ones
 *				(more of a kept address do not listen yet)
 *	listen_undo()		nothing has changed; or
 *	listen_commit()		it is in force; before new workers serve and old
 *				ones depart.  What is not in the settings any more
 *				takes no new connections; what waits there can
 *				still be accepted
 *	listen_close(gone)	when the workers that accepted there are done
 *
 * Nobody's socket is closed while somebody may wait in its queue, and an address
 * that stays is never free for another program.
 *
 * Runs in: master.  Owns: the descriptors, and the files of unix sockets.
 * Dies: listen_close(), at the end of the service.
 */
#ifndef PEAL_LISTEN_H
#define PEAL_LISTEN_H

#include <sys/types.h>

#include "common/config.h"

/* One address.  Plain data: state.h carries it over an exec. */
struct listen_address {
	unsigned	 section;	/* index of its [listen] section */
	char		*label;		/* of that section, or NULL */
	char		*asked;		/* as it stands in the settings: may be a
					   name, and port 0 */
	unsigned	 entry;		/* one line of the settings may be several
					   addresses: they have this in common */
	bool		 local;		/* a unix socket */
	char		*text;		/* 127.0.0.1:8080 or unix:/path */
	char		*path;		/* of a unix socket, or NULL */
	int		*fd;
	unsigned	 n_fd;		/* never less than workers, or 1 */
	unsigned	 n_old;		/* of a change: the first ones, which are in
					   force already */
	unsigned	 workers;	/* that share the address */
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
/* Can a unix socket have that path?  -1 with why not. */
int	listen_path(const char *path, const char **why);

/*
 * Binds everything in the settings.  Each TCP address is first bound once
 * without SO_REUSEPORT: a second instance fails here instead of getting half
 * the clients.  Port 0 takes a free one, the same for all workers.  owner, gid:
 * who unix sockets belong to, or -1.  On an error nothing stays behind and
 * *why (caller frees) says which address and what can be done.
 */
int	listen_open(struct listen *, const struct config *, unsigned workers,
	    uid_t owner, gid_t gid, char **why);

/* The sockets of worker number i (from 0), one after the other, k from 0; -1
 * behind the last.  Borrowed. */
int	listen_fd(const struct listen_address *, unsigned i, unsigned k);

/* Closes all and removes the files of unix sockets. */
void	listen_close(struct listen *);
/* The workers that have them end one after the other, and each socket with the
 * last that has it.  Files stay until listen_close(). */
void	listen_let_go(struct listen *);

/*
 * then: what these settings ask for, made of what is in force now and of new
 * sockets.  An address stays the same if it stands unchanged in a section of the
 * same label (port 0 keeps its port, a name is not looked up again), or, wherever
 * it stands, if it is the same address.  now is not touched; on an error, with
 * *why as above, there is no change.
 */
int	listen_change(struct listen *then, const struct listen *now,
	    const struct config *, unsigned workers, uid_t owner, gid_t gid,
	    char **why);
/* Closes what is only in then. */
void	listen_undo(struct listen *then);
/*
 * now becomes then, which is empty afterwards; gone gets what is left over, for
 * listen_close().  Paths of unix sockets have their new permissions; those that
 * are gone are removed.  What fails now is logged.
 */
void	listen_commit(struct listen *now, struct listen *then,
	    struct listen *gone, const struct config *);

/*
 * For unix sockets of any kind: removes a file that nobody answers on.  0 if
 * the path is free, -1 with why if somebody answers or it is no socket.
 */
int	listen_clear_path(const char *path, const char **why);

/* ---- in the kernel (listen_filter.c) -------------------------------------- */

/* New connections of a TCP address go to the sockets of its first `workers`
 * alone, each as many as the other: without that some get more. */
void	listen_steer(const struct listen_address *);
/* The handshakes that were begun end well; nobody begins another: to him it is
 * as if a packet was lost, until the last copy is closed and he is refused. */
void	listen_turn_away(const struct listen_address *);

#endif
