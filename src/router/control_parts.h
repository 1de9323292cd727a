/* SPDX-License-Identifier: MIT
 *
 * What control.c and control_verbs.c share, and nobody else needs.
 *
 * Runs in: the router.
 */
#ifndef PEAL_ROUTER_CONTROL_PARTS_H
#define PEAL_ROUTER_CONTROL_PARTS_H

#include <sys/queue.h>

#include "common/json.h"
#include "common/msg.h"
#include "router/sink.h"

#define REPLACED	"the router was replaced: ask again"
#define NAME_MOST	1000	/* octets of a name that is asked for */

struct control;
struct inspection;
struct tap;

/* A member of the request: its token and, if it is a string, its text. */
struct field {
	struct json	 token;
	struct buf	 room;
	struct bytes	 text;
};

struct request {
	struct field	 verb, app, prefix, match, limit, channel, event, data;
	struct field	 user, socket, slow, kinds;
	const struct config_app *set;	/* that application, or NULL */
	struct bytes	 app_id;	/* its id, or empty */
};

struct verb {
	struct bytes	 name;
	void		(*run)(struct control *, const struct request *);
	void		(*row)(struct buf *, const struct msg_row *);
	enum {
		OF_APP,			/* of one application */
		OF_ANY_APP,		/* or of all */
		OF_HOST			/* of none, and at any time */
	}		 of;
};

struct control {
	LIST_ENTRY(control)	 link;
	struct router		*router;
	struct sink		 sink;
	const struct verb	*verb;
	struct buf		 line;		/* the request, while routers
						   change */
	struct tap		*tap;
	struct inspection	*inspection;
	struct buf		 app, user;	/* to be kicked when they are
						   counted */
	bool			 waived;	/* this router need not wait for
						   it to be read */

	/* of lists */
	struct buf		 match;
	uint64_t		 limit, total;
	bool			 counted;	/* total is told */
};

/* Closes the user's connections, which are counted, or need not be. */
void	control_kick(struct control *);

/* NULL: there is none of that name. */
const struct verb *verb_find(struct bytes name);

#endif
