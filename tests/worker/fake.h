/* SPDX-License-Identifier: MIT
 *
 * A worker without sockets, for tests of what stands on it: the real channels,
 * members, messages and fan-out between clients that write down what they are
 * sent and a router that is played here.
 */
#ifndef PEAL_FAKE_H
#define PEAL_FAKE_H

#include "front/front.h"
#include "common/ip.h"
#include "worker/app.h"
#include "worker/conn.h"
#include "worker/request.h"
#include "worker/uplink.h"
#include "worker/worker.h"

struct fake_client {
	struct client		 c;
	struct conn		 conn;
	struct buf		 sent;		/* texts, a newline behind each */
	enum close_reason	 closed;
	unsigned		 pings;		/* control frames */
};

extern struct fake {
	struct config		 config;
	struct config_app	*app;		/* settings of app 7, in force */
	bool			 full;		/* uplink_full() */
	bool			 no_link;	/* uplink() is NULL */
	bool			 presence_full;
	bool			 no_cache;	/* forget cached events */
	unsigned		 published, kicked;
	uint64_t		 since_epoch, since_offset;	/* last join */
	struct buf		 last;		/* last publish: channel event data
						   user except flags */
	/* the last answer of the API */
	struct front_refusal	 refused;	/* the last handshake, if it was */
	unsigned		 status, answers;
	struct buf		 answer, headers;
	bool			 waiting;	/* somebody waits for an ack */
	struct buf		 asked;		/* last query: "kind name" */
	void			(*on_text)(struct bytes);	/* or NULL */
	const struct ip		*from;		/* whose a conn is, or NULL */
	struct buf		 noted;		/* last line about an address */
} fake;

/* Two apps: id 7 (keys app-key and 278d425bdf160c739803, secret app-secret),
 * id 8 (key other). Call before each test. */
void	fake_setup(void);
void	fake_teardown(void);

/* Connects with this path and query; Origin may be NULL. */
struct fake_client *fake_connect(const char *path, const char *query,
	    const char *origin);
/* The same with any request. */
struct fake_client *fake_request(const struct http_request *);
/* The router's word on one that waits for it (max_connections). */
void	fake_grant(struct fake_client *, bool allowed);
/* Gone as if the socket had died. */
void	fake_gone(struct fake_client *);
/* A client's message, then the router's answers. */
void	fake_say(struct fake_client *, struct bytes);
/* What the router was told is handled. */
void	fake_router(void);
/* Delivers what was published last as the router would. */
void	fake_deliver(void);
/* What was sent since the last call, NUL-terminated. */
const char *fake_heard(struct fake_client *);

/* Acknowledges everything; asks no more than is armed. */
void	fake_ack(void);
/* A row for the question that is open; its end; a new router. */
void	fake_row(const struct msg_row *);
void	fake_done(void);
void	fake_restart(void);

#endif
