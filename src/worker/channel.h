/* SPDX-License-Identifier: MIT
 *
 * Names to subscribers, on this worker.  A channel exists while it has a
 * subscriber or one is waiting for the router's word; the router knows the same
 * channel over all workers.
 *
 * Runs in: workers.  Owned by: its app's table.  Dies: with its last sub.
 */
#ifndef PEAL_CHANNEL_H
#define PEAL_CHANNEL_H

#include "common/channel_name.h"
#include "common/hash.h"
#include "common/msg.h"
#include "worker/client.h"
#include "worker/presence.h"

#define CHANNEL_REPLAYS		64	/* a kind that no name says: history is kept
					   of it */

struct channel {
	struct hash_link	 link;		/* in app->channels */
	struct app		*app;
	struct presence		*presence;	/* members, presence channels */
	struct sub		**subs;		/* live ones, in no order */
	uint32_t		 n_subs, cap_subs;
	uint32_t		 n_waiting;	/* subs that wait for the router */
	uint32_t		 count;		/* over all workers, as last told */
	uint64_t		 expect;	/* cookie, while expected and not
						   answered yet */
	uint16_t		 name_n;
	uint8_t			 kind;
	bool			 live;		/* the router routes to us */
	bool			 replays;	/* the router is to keep history */
	bool			 expected;	/* subscribers will be handed over */
	uint32_t		 offered;	/* heirs that were told of it: bits */
	char			 name[];
};

/* What came with the router's word. */
struct subscription {
	uint64_t	 position_epoch, position_offset;
	uint64_t	 count;		/* subscribers over all workers */
	bool		 cached;	/* event and data hold the last message */
	struct bytes	 event, data;
};

/*
 * Subscribes.  The front's subscribed() follows: from inside this call when the
 * route is live already, else when the router has answered.  user and member
 * only for presence channels.  The client must not be in the channel.
 */
void	channel_subscribe(struct client *, struct bytes name, unsigned kind,
	    struct bytes user, struct bytes member);
/*
 * The same for clients that may come back: what was published behind the
 * position that one has seen (epoch 0: it has seen nothing) comes first, as
 * far as the router has kept it, and the router keeps what comes from now on.
 * What is more than may wait for a client ends it: it is to come back for more.
 * Always waits for the router.  No presence channels.
 */
void	channel_subscribe_since(struct client *, struct bytes name, unsigned kind,
	    uint64_t epoch, uint64_t offset);
/* Frees the sub; tells the router. */
void	channel_unsubscribe(struct sub *);
void	channel_leave_all(struct client *);

/* ---- for a hand-over (handover.h) ------------------------------------------ */

/* What an heir is to be told: kind and CHANNEL_REPLAYS. */
unsigned channel_kind_told(const struct channel *);
/*
 * Subscribers of this channel will be handed over: it is made and the route
 * asked for, with the members of a presence channel; inherit_channel_live()
 * follows, from inside this call if it is live already.  kind: as the elder has
 * told it.
 */
void	channel_expect(struct app *, struct bytes name, unsigned kind);
/* Nothing more comes: channels without a subscriber go. */
void	channels_expect_no_more(void);
/* All of all applications; the one at hand may go. */
void	channels_each(void (*)(struct channel *, void *), void *);
/* A client that was a subscriber elsewhere is one here; uplink_came() and
 * uplink_moved() follow for it.  NULL: the channel is not live here. */
struct sub *channel_adopt(struct client *, struct bytes name,
	    struct bytes user);
/* A client that is elsewhere now: its subs go, and nobody is told. */
void	channel_let_go_all(struct client *);

/* Is nobody else of this worker in the channel, nor on the way? */
static inline bool
channel_alone(const struct sub *s)
{
	const struct channel *ch = s->channel;

	return s->join == NULL && ch->n_subs == 1 && ch->n_waiting == 0 &&
	    !ch->expected && !ch->replays;
}

struct sub *channel_sub(const struct client *, struct bytes name);
struct channel *channel_find(struct app *, struct bytes name);
static inline struct bytes
channel_name(const struct channel *ch)
{
	return (struct bytes){ ch->name, ch->name_n };
}

/* ---- what the router says -------------------------------------------------- */
void	channel_on_subscribed(const struct msg_subscribed *);
void	channel_on_deliver(const struct msg_deliver *);
void	channel_on_count(const struct msg_count *);
void	channel_on_replay(const struct msg_replay *);
/* Tells a new router everything that this worker holds. */
void	channel_resync(struct app *);

#endif
