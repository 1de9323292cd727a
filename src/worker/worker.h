/* SPDX-License-Identifier: MIT
 *
 * A worker process: holds its share of the clients.  Connects to nobody, opens
 * nothing; everything comes from the master (settings, listeners, links) or
 * from clients.
 *
 * Runs in: workers; there is one per process.
 */
#ifndef PEAL_WORKER_H
#define PEAL_WORKER_H

#include "common/config.h"
#include "common/ipc.h"
#include "common/tls.h"

struct listener {
	struct event		*event;
	int			 fd;
	unsigned		 section;
	bool			 local;
	bool			 proxy;	/* conns begin with a PROXY header */
	char			*address;
	uint64_t		 owed;	/* see governor.h */
};

struct worker {
	struct event_base	*base;
	struct ipc		*master;
	struct config		*config;
	struct tls_context	**tls;		/* per [listen] section, or NULL */
	uint64_t		 slot, generation;
	uint64_t		 master_version;	/* its MSG_VERSION */
	uint64_t		 origin;	/* slot and incarnation in one number */
	uint32_t		 now;		/* now_ms in seconds: the same in
						   all processes of the host */
	uint64_t		 now_ms;	/* clock_ms() of this turn */
	bool			 ending;	/* the service will be stopped soon */
	uint64_t		 silent;	/* ms that the router owes the master
						   an answer */
	bool			 stopping;
	bool			 leaving;	/* it is being replaced */
};

extern struct worker worker;

/* Everything from descriptor 3 on; returns the exit status. */
int	worker_main(void);
/* Sets now and now_ms; once a turn, before clients are served. */
void	worker_clock(void);
/* Tells the master the counters, as when it asks (ping) every second, and when
 * many have come or gone. */
void	worker_report(void);
/* A line of --debug: "Connection Established 123.456" and so on. */
void	worker_trace(const char *what, struct bytes text, struct bytes more);

#endif
