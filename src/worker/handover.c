/* SPDX-License-Identifier: MIT
 *
 * The old side of a hand-over: see handover.h.
 *
 * The table is walked again and again until nothing is found that can be moved.
 * One slice is under way at a time, to one heir after the other:
 *
 *	IDLE	 -> OFFERED	its conns are picked, the heir is told channels
 *	OFFERED	 -> MARKING	take has come: what can still go is frozen
 *	MARKING	 -> AWAY	marked has come: all records are on their way
 *	AWAY	 -> IDLE	each was taken or refused
 */
#include "worker/handover.h"

#include <sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/app.h"
#include "worker/channel.h"
#include "worker/client.h"
#include "worker/conn.h"
#include "worker/drain.h"
#include "worker/freeze.h"
#include "worker/listener.h"
#include "worker/parcel.h"
#include "worker/table.h"
#include "worker/uplink.h"
#include "worker/watches.h"
#include "worker/worker.h"

#define SLICE_CONNS	256
#define SLICE_LEAST	16
#define ROUNDS		2	/* slices that each heir gets at least, so that all
				   get alike: as far as they are not too small */
#define SLICE_OCTETS	(8u << 20)	/* of kept input and output */
#define WALK		8192	/* places of the table looked at in a turn */
#define PASS_MS		20	/* between two walks that found little */
#define IDLE_MS		250	/* and while there is no heir */
#define LATER_MS	5000	/* so long is waited for those that are busy */
#define TRIES		3	/* how often one is offered */
#define HEIRS		32	/* bits of channel.offered */

struct heir {
	TAILQ_ENTRY(heir)	 link;
	struct parcel_link	*parcels;
	uint64_t		 slot, generation;
	uint32_t		 bit;		/* in channel.offered */
	uint64_t		 given[SLICE_CONNS];	/* taken of its last slice */
	uint32_t		 n_given;
	uint64_t		 offered;	/* conns, ever */
	struct buf		 died;		/* uplink_died() of those */
	bool			 over;		/* it was told so */
};

enum step { IDLE, OFFERED, MARKING, AWAY };

struct item {
	uint64_t	 id;
	enum { PICKED, FROZEN, SENT, SETTLED } state;
};

static struct slice {
	enum step	 step;
	struct heir	*to;
	struct item	 items[SLICE_CONNS];
	uint32_t	 n, most;
	uint32_t	 at;		/* where the next answer is looked for */
	uint32_t	 away;		/* not answered yet */
	uint64_t	 octets;
	uint64_t	 cookie;	/* of the mark; 0: it is to be sent */
	struct watches	 watches;	/* for those that are away */
} slice;

/* One walk over the table. */
static struct pass {
	uint32_t	 at;
	uint32_t	 movable, later, kept;
} pass;

/* By index in the table: what is known of a conn whose id is this. */
struct note {
	uint64_t	 id;
	uint8_t		 tries;
	bool		 refused;
};

static TAILQ_HEAD(, heir) heirs = TAILQ_HEAD_INITIALIZER(heirs);

static struct {
	bool		 on, settled, done;
	struct event	*timer;		/* wakes the loop for the next walk */
	uint64_t	 rest_until;	/* no walk before */
	uint64_t	 later_until;	/* 0: not set yet */
	uint64_t	 cookie;	/* last one given out: even numbers */
	struct note	*notes;
	uint32_t	 n_notes;
	uint64_t	 moved, refused;
	uint32_t	 kept;		/* of the last whole walk */
	uint32_t	 began;		/* conns that there were */
	char		 why[PARCEL_WHY + 1];
	struct msg_progress told;
	uint64_t	 told_at;
} hand;

/* ---- what is known of a conn ----------------------------------------------------- */

static struct note *
note_of(uint64_t id)
{
	uint32_t index = id & TABLE_INDEX, n = table_size();
	struct note *note;

	if (index >= hand.n_notes) {
		hand.notes = xreallocarray(hand.notes, n, sizeof(*hand.notes));
		memset(hand.notes + hand.n_notes, 0,
		    (n - hand.n_notes) * sizeof(*hand.notes));
		hand.n_notes = n;
	}
	note = &hand.notes[index];
	if (note->id != id)
		*note = (struct note){ .id = id };
	return note;
}

static void
refused(uint64_t id, struct bytes why)
{
	size_t n = why.n < PARCEL_WHY ? why.n : PARCEL_WHY;

	note_of(id)->refused = true;
	hand.refused++;
	if (n > 0)
		memcpy(hand.why, why.p, n);
	hand.why[n] = '\0';
	log_info("connection stays until it is closed conn=%llx why=\"%s\"",
	    (unsigned long long)id, hand.why);
}

/* It may be offered again, but not for ever: it may be what heirs die of. */
static void
tried(uint64_t id, struct bytes why)
{
	if (++note_of(id)->tries >= TRIES)
		refused(id, why);
}

static bool
is_refused(const struct conn *c)
{
	uint32_t index = c->id & TABLE_INDEX;

	return index < hand.n_notes && hand.notes[index].id == c->id &&
	    hand.notes[index].refused;
}

bool
handover_keeps(const struct conn *c)
{
	const char *why;

	return hand.on && !c->frozen && (hand.settled || is_refused(c) ||
	    freeze_may(c, &why) == FREEZE_NEVER);
}

/* ---- heirs -------------------------------------------------------------------------- */

static void	on_parcel(void *, struct parcel *);
static void	on_gone(void *, const char *);

static const struct parcel_ops heir_ops = { on_parcel, on_gone };

/* A bit that no other heir has, or 0. */
static uint32_t
free_bit(void)
{
	uint32_t used = 0;
	const struct heir *h;

	TAILQ_FOREACH(h, &heirs, link)
		used |= h->bit;
	for (unsigned i = 0; i < HEIRS; i++)
		if ((used & 1u << i) == 0)
			return 1u << i;
	return 0;
}

static uint32_t
count_heirs(void)
{
	const struct heir *h;
	uint32_t n = 0;

	TAILQ_FOREACH(h, &heirs, link)
		n += !h->over;
	return n;
}

/* Each elder begins with another one. */
static void
turn_heirs(void)
{
	uint32_t n = count_heirs(), i;
	struct heir *h;

	for (i = 0; n > 0 && i < worker.slot % n; i++) {
		h = TAILQ_FIRST(&heirs);
		TAILQ_REMOVE(&heirs, h, link);
		TAILQ_INSERT_TAIL(&heirs, h, link);
	}
}

static void
wake(uint64_t ms)
{
	struct timeval tv = timeval_ms(ms);

	hand.rest_until = ms > 0 ? clock_ms() + ms : 0;
	if (hand.timer != NULL)
		event_add(hand.timer, &tv);
}

void
handover_on_heir(struct event_base *base, const struct msg_heir *m)
{
	uint32_t bit = free_bit();
	struct heir *h;

	if (bit == 0) {
		log_error("more than %d heirs", HEIRS);
		close(m->fd);
		return;
	}
	h = xcalloc(1, sizeof(*h));
	h->slot = m->slot;
	h->generation = m->generation;
	h->bit = bit;
	h->parcels = parcel_link_new(base, m->fd, &heir_ops, h);
	TAILQ_INSERT_TAIL(&heirs, h, link);
	wake(0);
}

/* This heir does not know the channel any more. */
static void
forget_offered(struct channel *ch, void *heir)
{
	ch->offered &= ~((const struct heir *)heir)->bit;
}

/* ---- a slice: what is in it ------------------------------------------------------------ */

enum verdict { MOVES, LATER, STAYS };

static enum verdict
look_at(const struct conn *c)
{
	const char *why;

	if (is_refused(c))
		return STAYS;
	switch (freeze_may(c, &why)) {
	case FREEZE_NOW:
		return MOVES;
	case FREEZE_LATER:
		return LATER;
	default:
		if (hand.refused == 0)
			snprintf(hand.why, sizeof(hand.why), "%s", why);
		return STAYS;
	}
}

static bool
slice_full(void)
{
	return slice.n >= slice.most || slice.octets >= SLICE_OCTETS;
}

static void
look_and_pick(const struct conn *c, bool pick)
{
	switch (look_at(c)) {
	case MOVES:
		pass.movable++;
		if (!pick)
			return;
		slice.items[slice.n++] = (struct item){ .id = c->id };
		slice.octets += c->in_n + (uint64_t)c->queued;
		return;
	case LATER:
		pass.later++;
		return;
	default:
		pass.kept++;
	}
}

/* Walks on, up to the table's end or until the slice is full. */
static void
walk(bool pick)
{
	uint32_t n;

	for (n = 0; n < WALK && pass.at < table_size() && !slice_full(); n++) {
		const struct conn *c = table_at(pass.at++);

		if (c != NULL && !c->dead)
			look_and_pick(c, pick);
	}
}

static void
set_settled(bool settled)
{
	if (settled && !hand.settled) {
		worker_report();
		log_info("handed over moved=%llu kept=%u refused=%llu",
		    (unsigned long long)hand.moved, hand.kept,
		    (unsigned long long)hand.refused);
	}
	hand.settled = settled;
}

/* The whole table was looked at: is that all? */
static void
pass_ends(bool picked)
{
	uint64_t now = clock_ms();

	hand.kept = pass.kept;
	if (pass.movable > 0) {
		set_settled(false);
		wake(picked ? 0 : IDLE_MS);
	} else if (pass.later > 0) {
		if (hand.later_until == 0)
			hand.later_until = now + LATER_MS;
		set_settled(now >= hand.later_until);
		wake(PASS_MS);
	} else {
		set_settled(true);
	}
	pass = (struct pass){ 0 };
}

/* ---- a slice: its steps ----------------------------------------------------------------- */

static void
send_plain(struct heir *h, struct parcel p)
{
	const char *why;

	/* If the link has ended, on_gone() is about to come. */
	(void)parcel_send(h->parcels, &p, &why);
}

static unsigned
offer_channels(struct heir *h, const struct client *cl)
{
	const struct sub *s;
	unsigned n = 0;

	SLIST_FOREACH(s, &cl->subs, of_client) {
		struct channel *ch = s->channel;

		if (ch->offered & h->bit)
			continue;
		ch->offered |= h->bit;
		n++;
		send_plain(h, (struct parcel){
		    .kind = PARCEL_CHANNEL, .app = ch->app->id,
		    .name = channel_name(ch),
		    .of_kind = channel_kind_told(ch),
		});
	}
	return n;
}

/* One that has subscribed to something since must wait for the next slice. */
static bool
all_offered(const struct heir *h, const struct client *cl)
{
	const struct sub *s;

	SLIST_FOREACH(s, &cl->subs, of_client)
		if ((s->channel->offered & h->bit) == 0)
			return false;
	return true;
}

static void
slice_offer(struct heir *h)
{
	unsigned channels = 0;
	uint32_t i;

	for (i = 0; i < slice.n; i++) {
		const struct conn *c = conns_find(slice.items[i].id);
		const struct client *cl = c != NULL ? client_of(c) : NULL;

		if (cl != NULL)
			channels += offer_channels(h, cl);
	}
	send_plain(h, (struct parcel){ .kind = PARCEL_OFFERED, .n = channels });
	parcel_flush(h->parcels);
	slice.to = h;
	slice.step = OFFERED;
}

static void
slice_end(void)
{
	slice.step = IDLE;
	slice.to = NULL;
	slice.n = slice.at = slice.away = 0;
	slice.octets = 0;
	slice.cookie = 0;
}

/* The router answers when all that concerns this worker up to now is here. */
static void
slice_mark(void)
{
	if (slice.step != MARKING || slice.cookie != 0 || uplink() == NULL)
		return;
	slice.cookie = hand.cookie += 2;
	uplink_mark(slice.cookie);
}

/* The heir reads the router no more. */
static void
slice_freeze(struct heir *h)
{
	const char *why;
	uint32_t i;

	/* It has read the router's answer to what it said before: all that it
	 * took is known there to be its own. */
	buf_done(&h->died);
	for (i = 0; i < slice.n && !worker.stopping; i++) {
		struct conn *c = conns_find(slice.items[i].id);
		const struct client *cl;

		if (c == NULL || freeze_may(c, &why) != FREEZE_NOW)
			continue;
		cl = client_of(c);
		if (cl != NULL && !all_offered(h, cl))
			continue;
		freeze_begin(c);
		slice.items[i].state = FROZEN;
	}
	slice.step = MARKING;
	slice_mark();
}

/* 0: it is on its way. */
static int
record_send(struct heir *h, struct item *item, const struct msg_marked *m)
{
	static struct buf record;
	struct conn *c = conns_find(item->id);
	struct parcel p = { .kind = PARCEL_RECORD, .was = item->id };
	const char *why = "";

	if (c == NULL)
		return -1;
	buf_reuse(&record);
	if (freeze_pack(c, m->epoch, m->serial, &record, &why) < 0) {
		/* It has got something to do meanwhile, or has ended. */
		freeze_undo(c);
		tried(item->id, bytes_str(why));
		return -1;
	}
	p.record = buf_view(&record);
	p.epoch = m->epoch;
	p.fd = c->fd;
	if (parcel_send(h->parcels, &p, &why) < 0) {
		freeze_undo(c);
		tried(item->id, bytes_str(why));
		return -1;
	}
	return 0;
}

void
handover_on_marked(const struct msg_marked *m)
{
	struct heir *h = slice.to;
	uint32_t i;

	if (slice.step != MARKING || slice.cookie == 0 ||
	    slice.cookie != m->cookie)
		return;
	/* What the router has sent here for those of the last slice was read. */
	h->n_given = 0;
	slice.step = AWAY;
	for (i = 0; i < slice.n; i++) {
		struct item *item = &slice.items[i];

		if (item->state != FROZEN)
			continue;
		item->state = SETTLED;
		if (record_send(h, item, m) < 0)
			continue;
		item->state = SENT;
		slice.away++;
	}
	send_plain(h, (struct parcel){ .kind = PARCEL_SLICED });
	parcel_flush(h->parcels);
	if (slice.away == 0)
		slice_end();
}

void
handover_router_lost(void)
{
	slice.cookie = 0;
}

/* ---- a slice: the answers ------------------------------------------------------------ */

/* They come in the order of the records. */
static struct item *
item_away(uint64_t id)
{
	uint32_t i;

	for (i = 0; i < slice.n; i++) {
		struct item *item = &slice.items[(slice.at + i) % slice.n];

		if (item->id != id)
			continue;
		slice.at = (slice.at + i + 1) % slice.n;
		return item->state == SENT ? item : NULL;
	}
	return NULL;
}

static void
on_taken(struct heir *h, struct item *item)
{
	struct conn *c = conns_find(item->id);
	const struct client *cl;

	item->state = SETTLED;
	if (c != NULL) {
		if ((cl = client_of(c)) != NULL)
			uplink_died(&h->died, cl);
		freeze_done(c);
		hand.moved++;
		h->given[h->n_given++] = item->id;
	}
	watches_send(&slice.watches, item->id, h->parcels);
}

static void
give_back(struct item *item)
{
	struct conn *c = conns_find(item->id);

	item->state = SETTLED;
	if (c == NULL) {
		watches_drop(&slice.watches, item->id);
		return;
	}
	freeze_undo(c);
	watches_show(&slice.watches, item->id);
}

static void
on_answer(struct heir *h, const struct parcel *p)
{
	struct item *item = h == slice.to && slice.step == AWAY ?
	    item_away(p->was) : NULL;

	if (item == NULL)
		return;
	if (p->kind == PARCEL_TAKEN) {
		on_taken(h, item);
	} else {
		give_back(item);
		if (p->again)
			tried(item->id, p->why);
		else
			refused(item->id, p->why);
	}
	if (--slice.away == 0)
		slice_end();
}

static void
on_parcel(void *ctx, struct parcel *p)
{
	struct heir *h = ctx;

	if (p->fd >= 0)		/* nobody gives us anything */
		close(p->fd);
	if (p->kind == PARCEL_TAKEN || p->kind == PARCEL_REFUSED)
		on_answer(h, p);
	else if (p->kind == PARCEL_TAKE && h == slice.to &&
	    slice.step == OFFERED)
		slice_freeze(h);
}

/* What it had not taken goes on here. */
static void
on_gone(void *ctx, const char *why)
{
	struct heir *h = ctx;
	uint32_t i;

	/* In a stop all end as they can. */
	if (!h->over && !hand.settled && !worker.stopping)
		log_warn("heir lost slot=%llu why=\"%s\"",
		    (unsigned long long)h->slot, why);
	for (i = 0; slice.to == h && i < slice.n; i++) {
		struct item *item = &slice.items[i];

		if (item->state != FROZEN && item->state != SENT)
			continue;
		give_back(item);
		tried(item->id, B("its heir died"));
	}
	if (slice.to == h)
		slice_end();
	if (h->died.n > 0)
		uplink_say(buf_view(&h->died));
	buf_done(&h->died);
	channels_each(forget_offered, h);
	TAILQ_REMOVE(&heirs, h, link);
	parcel_link_free(h->parcels);
	free(h);
	wake(0);
}

/* ---- watch messages ------------------------------------------------------------------ */

bool
handover_watch(const struct msg_watch *m)
{
	struct heir *h;
	uint32_t i;

	for (i = 0; i < slice.n; i++) {
		if (slice.items[i].id != m->conn ||
		    slice.items[i].state != SENT)
			continue;
		watches_keep(&slice.watches, m->conn, m);
		return true;
	}
	TAILQ_FOREACH(h, &heirs, link) {
		for (i = 0; i < h->n_given; i++) {
			if (h->given[i] != m->conn)
				continue;
			watches_keep(&slice.watches, m->conn, m);
			watches_send(&slice.watches, m->conn, h->parcels);
			return true;
		}
	}
	return false;
}

/* ---- the whole ------------------------------------------------------------------------- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	/* The end of this turn is what is waited for. */
	(void)fd, (void)what, (void)arg;
	worker_clock();
}

void
handover_on_depart(struct event_base *base, const struct msg_depart *m)
{
	if (hand.on)
		return;
	hand.on = true;
	hand.timer = event_new(base, -1, 0, on_timer, NULL);
	if (hand.timer == NULL)
		fatal("cannot make a timer");
	hand.began = conns_count();
	turn_heirs();
	listeners_stop();
	log_info("handing over connections=%u", conns_count());
	wake(0);
	drain_pace(base, m->pace_ms, handover_keeps);
}

/* The one that was offered least, or, when nothing was picked, one that has a
 * slice whose end the router has not confirmed. */
static struct heir *
next_heir(void)
{
	struct heir *h, *next = NULL;

	TAILQ_FOREACH(h, &heirs, link) {
		if (h->over || (slice.n == 0 && h->n_given == 0 &&
		    h->died.n == 0))
			continue;
		if (next == NULL || h->offered < next->offered)
			next = h;
	}
	if (next != NULL)
		next->offered += slice.n;
	return next;
}

static uint32_t
slice_most(uint32_t n_heirs)
{
	uint32_t n = hand.began / (ROUNDS * n_heirs) + 1;

	if (n_heirs == 1)
		return SLICE_CONNS;
	return n < SLICE_LEAST ? SLICE_LEAST :
	    n > SLICE_CONNS ? SLICE_CONNS : n;
}

static void
next_slice(void)
{
	uint32_t n_heirs = count_heirs();
	bool pick = n_heirs > 0 && !worker.stopping;
	struct heir *h;

	if (slice.step != IDLE || hand.settled)
		return;
	if (clock_ms() < hand.rest_until)
		return;
	slice.most = pick ? slice_most(n_heirs) : 1;
	walk(pick);
	if ((h = next_heir()) != NULL)
		slice_offer(h);
	if (pass.at >= table_size())
		pass_ends(pick);
	else if (slice.step == IDLE)
		wake(0);
}

/* All that can be moved was; what the heirs do not know yet is told. */
static void
say_over(void)
{
	struct heir *h;

	if (!hand.settled || slice.step != IDLE)
		return;
	if ((h = next_heir()) != NULL) {
		slice_offer(h);
		return;
	}
	TAILQ_FOREACH(h, &heirs, link) {
		if (h->over)
			continue;
		h->over = true;
		send_plain(h, (struct parcel){ .kind = PARCEL_OVER });
	}
}

static bool
all_over(void)
{
	const struct heir *h;

	TAILQ_FOREACH(h, &heirs, link)
		if (!h->over ||
		    parcel_queued(h->parcels) != parcel_written(h->parcels))
			return false;
	return true;
}

static void
tell_progress(void)
{
	struct msg_progress m = {
		.moved = hand.moved, .kept = hand.kept,
		.refused = hand.refused, .settled = hand.settled,
	};
	const struct msg_progress *told = &hand.told;
	bool changed = m.moved != told->moved || m.kept != told->kept ||
	    m.refused != told->refused;

	if (worker.master == NULL || (hand.told_at != 0 &&
	    m.settled == told->settled &&
	    (!changed || worker.now_ms < hand.told_at + 1000)))
		return;
	hand.told = m;
	hand.told_at = worker.now_ms;
	m.why = bytes_str(hand.why);
	msg_pack_progress(ipc_out(worker.master), &m);
}

void
handover_turn(void)
{
	struct heir *h;

	if (!hand.on)
		return;
	slice_mark();
	next_slice();
	say_over();
	TAILQ_FOREACH(h, &heirs, link)
		parcel_flush(h->parcels);
	tell_progress();
	if (!hand.settled || slice.step != IDLE || !all_over())
		return;
	if (conns_count() == 0 || drain_over()) {
		hand.done = uplink_settled();
		wake(PASS_MS);
	}
}

bool
handover_done(void)
{
	return hand.done;
}
