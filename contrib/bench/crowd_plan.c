/* SPDX-License-Identifier: MIT
 *
 * crowd: who is in which channel.
 *
 * Each client of the Pusher protocol is in a public channel and in a private or a
 * presence channel, of opt.size subscribers on average; a few watch the presence
 * channel of those who come and go.  The first subscriber of a private channel,
 * and of a room, speaks in it.
 */
#include <stdio.h>

#include "crowd.h"

#define CHURN_CHANNELS	4
#define WATCHERS	8

static unsigned base[CHURNING_PRESENCE + 2];	/* first channel of a kind */

unsigned
plan_total(void)
{
	return opt.clients + opt.rooms + opt.streams;
}

static unsigned
channels_for(unsigned clients)
{
	return clients == 0 ? 0 : (clients + opt.size - 1) / opt.size;
}

static unsigned
channels_of(enum kind kind)
{
	switch (kind) {
	case PUBLIC:
		return channels_for(opt.clients);
	case PRIVATE:
	case PRESENCE:
		return channels_for((opt.clients + 1) / 2);
	case ROOM:
		return channels_for(opt.rooms + opt.streams);
	case CHURNING:
		return CHURN_CHANNELS;
	case CHURNING_PRESENCE:
		return 1;
	}
	return 0;
}

unsigned
plan_channels(bool fill)
{
	static const char *const prefix[] = { "pub-", "private-", "presence-",
	    "room-", "churn-", "presence-churn-" };
	struct channel *ch;

	for (unsigned k = 0; k <= CHURNING_PRESENCE; k++) {
		base[k + 1] = base[k] + channels_of((enum kind)k);
		for (unsigned i = base[k]; fill && i < base[k + 1]; i++) {
			ch = &shared->channel[i];
			snprintf(ch->name, sizeof ch->name, "%s%u", prefix[k],
			    i - base[k]);
			ch->kind = (enum kind)k;
			ch->sender = UINT32_MAX;
		}
	}
	return base[CHURNING_PRESENCE + 1];
}

static void
add(struct client *c, enum kind kind, unsigned i)
{
	unsigned n = base[kind + 1] - base[kind];

	c->sub[c->n_subs++] = (struct sub){ .channel = base[kind] + i % n };
}

void
plan_client(struct client *c, unsigned id)
{
	c->id = id;
	if (id >= opt.clients) {
		c->door = id < opt.clients + opt.rooms ? DOOR_ROOM :
		    DOOR_STREAM;
		add(c, ROOM, id - opt.clients);
		return;
	}
	add(c, PUBLIC, id);
	add(c, id % 2 == 0 ? PRIVATE : PRESENCE, id / 2);
	c->watches = id % (opt.clients / WATCHERS + 1) == 1;
	if (c->watches)
		add(c, CHURNING_PRESENCE, 0);
}

void
plan_churn(struct client *c, unsigned id)
{
	c->id = id;
	c->n_subs = 0;
	c->churns = true;
	add(c, CHURNING, id);
	add(c, CHURNING_PRESENCE, 0);
}
