/* SPDX-License-Identifier: MIT
 *
 * The HTTP API among its own files:
 *
 *	api.c		routes, the checks every request goes through
 *	api_call.c	requests that wait for the router, info attributes
 *	api_event.c	publishing: the bodies, what is wrong with them
 *	api_query.c	questions
 *
 * Runs in: workers.
 */
#ifndef PEAL_API_CALL_H
#define PEAL_API_CALL_H

#include "worker/app.h"
#include "worker/params.h"
#include "worker/request.h"
#include "worker/uplink.h"

/* A request as its route's function gets it: checked and signed. */
struct api_in {
	struct request		*req;
	struct app		*app;
	struct bytes		 name;		/* CHANNEL or USER of the path */
	const struct params	*params;
};

/*
 * A request that waits.  One allocation, unless an answer has to be built from
 * the router's rows.  Dies with the answer or in api_forget().
 */
struct api_call {
	struct request	*req;
	struct app	*app;
	struct waiter	 waiter;
	struct query	 query;
	unsigned	 status;	/* of the answer */
	unsigned	 info;		/* INFO_* asked for, one question */
	unsigned	 kind;		/* of the channel asked about */
	struct buf	 out;		/* the answer so far */
	size_t		 mark;		/* where the rows of a question start */
	unsigned	 rows;
	/* Channels still to be asked about (api_ask_add()). */
	struct buf	 ask;
	size_t		 ask_at;
	unsigned	 asked;
	bool		 publishes;
	bool		 named;		/* out: "name":{...}, or just {...} */
	struct bytes	 tail;		/* end of the answer */
};

struct api_call *api_call_new(const struct api_in *, unsigned status);
/* Answers and frees the call. */
void	api_call_answer(struct api_call *, unsigned status, struct bytes body);
/* The same with what is in out. */
void	api_call_finish(struct api_call *);

/* ---- info -------------------------------------------------------------- */
#define INFO_OCCUPIED		1
#define INFO_USERS		2	/* user_count */
#define INFO_SUBSCRIPTIONS	4	/* subscription_count */
#define INFO_CACHE		8

/* A comma list; what is unknown is left out, as Reverb does. */
unsigned api_info(struct bytes list);
/* Adds {...} with what was asked for and applies to this kind of channel; row
 * NULL: nothing is known of it.  An empty channel has no counts, as in Reverb's
 * answers. */
void	api_info_add(struct buf *, struct bytes channel, unsigned kind,
	    unsigned info, const struct msg_row *row);

/* A channel whose info belongs into the answer; info 0: an empty object. */
void	api_ask_add(struct api_call *, struct bytes channel, unsigned info);
/* Asks for them one after the other, then answers. */
void	api_ask(struct api_call *);

/* ---- routes ------------------------------------------------------------ */
void	api_events(const struct api_in *);
void	api_batch(const struct api_in *);
void	api_channel_event(const struct api_in *);
void	api_channels(const struct api_in *);
void	api_channel(const struct api_in *);
void	api_users(const struct api_in *);
void	api_connections(const struct api_in *);
void	api_terminate(const struct api_in *);

/* Can the router take no more now?  True: the request waits until it can
 * (api_wait.h), or is answered. */
bool	api_busy(const struct api_in *);

#endif
