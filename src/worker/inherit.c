/* SPDX-License-Identifier: MIT
 *
 * The new side of a hand-over: see inherit.h.
 *
 * Of an elder that has offered its next slice, and whose channels are live here:
 *
 *	HEARING	 -> MARKING	it is its turn, the router is asked for a mark
 *	MARKING	 -> TAKING	marked has come: the router is not read any more,
 *				take is said
 *	TAKING	 -> HEARING	sliced has come: the router is read again
 *	TAKING	 -> SPOILT	the router was replaced, or it took too long: what
 *				comes yet is refused, up to sliced
 *
 * A connection that was thawed is asleep until the kernel has taken `taken`.  That
 * goes first and `moved` behind it: if this process dies in between, a seat of the
 * dead is left with the elder, who knows of it and gives it up (uplink_died()); the
 * other way round the router would have given up the seat of one that lives on.
 */
#include "worker/inherit.h"

#include <sys/queue.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/app.h"
#include "worker/channel.h"
#include "worker/client.h"
#include "worker/conn.h"
#include "worker/freeze.h"
#include "worker/parcel.h"
#include "worker/uplink.h"
#include "worker/watches.h"
#include "worker/worker.h"

#define WANTED_MAX	(1u << 20)	/* channels of a slice */
#define HOLD_AHEAD	(32u << 20)	/* octets: the elder's mark has to wait
					   until the router is rid of ours */

/* A channel that is not live yet. */
struct wanted {
	SLIST_ENTRY(wanted)	 link;
	size_t			 app_n, name_n;
	char			 room[];
};

/* A connection of the last slice. */
struct came {
	uint64_t	 was, conn;
	uint64_t	 answer;	/* written when so many parcels were */
	bool		 awake;
};

enum step { HEARING, MARKING, TAKING, SPOILT };

struct elder {
	TAILQ_ENTRY(elder)	 link;
	struct parcel_link	*parcels;
	uint64_t		 slot, generation;
	enum step		 step;
	bool			 offered, over;
	bool			 begun;		/* of this slice something came */
	SLIST_HEAD(, wanted)	 wanted;
	uint32_t		 n_wanted;
	struct came		*came;
	uint32_t		 n_came, cap_came;
	uint32_t		 n_asleep;
	struct watches		 watches;	/* for those that came */
};

static TAILQ_HEAD(, elder) elders = TAILQ_HEAD_INITIALIZER(elders);
static struct elder *current;		/* MARKING or TAKING */

static struct {
	uint64_t	 cookie;	/* of the mark under way; 0: to be sent */
	uint64_t	 last_cookie;	/* odd numbers */
	uint64_t	 epoch;		/* of the router that is held */
	struct event	*limit;		/* of the hold */
	bool		 showing;	/* watch messages that were kept */
	bool		 over;		/* all elders said so; told on */
} heir = { .last_cookie = 1, .over = true };

static void	on_parcel(void *, struct parcel *);
static void	on_gone(void *, const char *);

static const struct parcel_ops elder_ops = { on_parcel, on_gone };

/* ---- holding the router -------------------------------------------------------------- */

static void	spoil(void);

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	worker_clock();
	if (current != NULL && current->step == TAKING) {
		log_warn("elder is too slow slot=%llu",
		    (unsigned long long)current->slot);
		spoil();
	}
}

static void
hold(void)
{
	const struct timeval tv = timeval_ms(INHERIT_HOLD_MS);

	ipc_hold(uplink(), true, HOLD_AHEAD);
	event_add(heir.limit, &tv);
}

static void
let_go(void)
{
	event_del(heir.limit);
	if (uplink() != NULL)
		ipc_hold(uplink(), false, 0);
}

void
inherit_on_elder(struct event_base *base, const struct msg_elder *m)
{
	struct elder *e = xcalloc(1, sizeof(*e));

	if (heir.limit == NULL &&
	    (heir.limit = event_new(base, -1, 0, on_limit, NULL)) == NULL)
		fatal("cannot make a timer");
	e->slot = m->slot;
	e->generation = m->generation;
	SLIST_INIT(&e->wanted);
	e->parcels = parcel_link_new(base, m->fd, &elder_ops, e);
	TAILQ_INSERT_TAIL(&elders, e, link);
	heir.over = false;
}

static void
send_plain(struct elder *e, struct parcel p)
{
	const char *why;

	/* If the link has ended, on_gone() is about to come. */
	(void)parcel_send(e->parcels, &p, &why);
}

/* ---- channels --------------------------------------------------------------------------- */

static struct channel *
find(const struct wanted *w)
{
	struct app *app = app_by_id(bytes_of(w->room, w->app_n));

	return app == NULL ? NULL :
	    channel_find(app, bytes_of(w->room + w->app_n, w->name_n));
}

static void
want(struct elder *e, const struct parcel *p)
{
	struct wanted *w = xmalloc(sizeof(*w) + p->app.n + p->name.n);

	w->app_n = p->app.n;
	w->name_n = p->name.n;
	memcpy(w->room, p->app.p, p->app.n);
	memcpy(w->room + p->app.n, p->name.p, p->name.n);
	SLIST_INSERT_HEAD(&e->wanted, w, link);
	if (++e->n_wanted > WANTED_MAX)
		parcel_link_end(e->parcels, "too many channels");
}

static void
on_channel(struct elder *e, const struct parcel *p)
{
	struct app *app = app_by_id(p->app);
	struct channel *ch;

	/* Who is in it will be refused. */
	if (app == NULL || p->name.n == 0)
		return;
	channel_expect(app, p->name, (unsigned)p->of_kind);
	ch = channel_find(app, p->name);
	if (ch != NULL && !ch->live)
		want(e, p);
}

/* Drops those that are live from the front of the list; true: it is empty. */
static bool
all_live(struct elder *e)
{
	struct wanted *w;

	while ((w = SLIST_FIRST(&e->wanted)) != NULL) {
		const struct channel *ch = find(w);

		if (ch != NULL && !ch->live)
			return false;
		SLIST_REMOVE_HEAD(&e->wanted, link);
		e->n_wanted--;
		free(w);
	}
	return true;
}

void
inherit_channel_live(struct channel *ch)
{
	/* The end of the turn looks at all that are wanted. */
	(void)ch;
}

/* ---- a slice --------------------------------------------------------------------------- */

static void
ask_for_mark(void)
{
	if (current == NULL || current->step != MARKING || heir.cookie != 0 ||
	    uplink() == NULL)
		return;
	heir.cookie = heir.last_cookie += 2;
	uplink_mark(heir.cookie);
}

void
inherit_on_marked(const struct msg_marked *m)
{
	if (current == NULL || current->step != MARKING ||
	    heir.cookie == 0 || heir.cookie != m->cookie)
		return;
	heir.epoch = m->epoch;
	current->step = TAKING;
	current->begun = false;
	hold();
	send_plain(current, (struct parcel){ .kind = PARCEL_TAKE });
	parcel_flush(current->parcels);
}

/* Those of the last slice have all that went to their elder. */
static void
forget_came(struct elder *e)
{
	uint32_t i;

	for (i = 0; i < e->n_came; i++)
		watches_show(&e->watches, e->came[i].conn);
	e->n_came = 0;
}

static void
show_all(struct elder *e)
{
	heir.showing = true;
	forget_came(e);
	heir.showing = false;
}

/* The first word of a slice: the elder's mark lies behind that of ours. */
static void
slice_begins(struct elder *e)
{
	if (e->begun)
		return;
	e->begun = true;
	uplink_known(e->slot, e->generation);
	show_all(e);
}

static void
refuse(struct elder *e, const struct parcel *p, const char *why, bool again)
{
	send_plain(e, (struct parcel){
	    .kind = PARCEL_REFUSED, .was = p->was,
	    .why = bytes_str(why), .again = again,
	});
	if (p->fd >= 0)
		close(p->fd);
}

static void
came(struct elder *e, const struct parcel *p, struct conn *c)
{
	struct uplink_elder from = {
		.slot = e->slot, .generation = e->generation, .was = p->was,
		.epoch = p->epoch,
	};
	struct client *cl = client_of(c);

	if (e->n_came == e->cap_came) {
		e->cap_came = e->cap_came * 2 + 64;
		e->came = xreallocarray(e->came, e->cap_came,
		    sizeof(*e->came));
	}
	if (cl != NULL)
		uplink_came(cl, &from);
	send_plain(e, (struct parcel){ .kind = PARCEL_TAKEN, .was = p->was });
	e->came[e->n_came++] = (struct came){
		.was = p->was, .conn = c->id,
		.answer = parcel_queued(e->parcels),
	};
	e->n_asleep++;
}

static void
on_record(struct elder *e, const struct parcel *p)
{
	struct thawed t = { 0 };
	const char *why;

	slice_begins(e);
	if (e->step != TAKING || worker.stopping)
		refuse(e, p, "its slice came to nothing", true);
	else if (p->epoch != heir.epoch)
		refuse(e, p, "the router was replaced", true);
	else if (p->fault != NULL)
		refuse(e, p, p->fault, false);
	else if (thaw(p->fd, p->record, &t, &why) < 0)
		refuse(e, p, why, false);
	else
		came(e, p, t.conn);
}

/* Those wake whose elder will find that they were taken, whatever happens. */
static void
wake(struct elder *e)
{
	uint64_t written = parcel_written(e->parcels);
	uint32_t i;

	for (i = 0; i < e->n_came && e->n_asleep > 0; i++) {
		struct came *k = &e->came[i];
		struct conn *c;
		struct client *cl;

		if (k->awake || k->answer > written)
			continue;
		k->awake = true;
		e->n_asleep--;
		if ((c = conns_find(k->conn)) == NULL)
			continue;
		if ((cl = client_of(c)) != NULL)
			uplink_moved(cl);
		thaw_wake(c);
	}
}

/* The slice is over, or as good as. */
static void
release(struct elder *e)
{
	if (current != e)
		return;
	current = NULL;
	heir.cookie = 0;
	if (e->step == TAKING)
		let_go();
}

static void
on_sliced(struct elder *e)
{
	slice_begins(e);
	parcel_flush(e->parcels);
	wake(e);
	release(e);
	e->step = HEARING;
	e->offered = false;
}

/* What comes of the slice yet is refused.  What was taken stays. */
static void
spoil(void)
{
	struct elder *e = current;

	parcel_flush(e->parcels);
	wake(e);
	release(e);
	e->step = SPOILT;
}

void
inherit_router_lost(void)
{
	if (current == NULL)
		return;
	heir.cookie = 0;
	/* What it had sent to this worker is about to be read, and those whose
	 * records have not come yet would miss it. */
	if (current->step == TAKING)
		spoil();
}

/* ---- watch messages ------------------------------------------------------------------ */

static void
on_watch(struct elder *e, const struct parcel *p)
{
	struct watches now = { 0 };
	uint32_t i;

	for (i = 0; i < e->n_came; i++) {
		if (e->came[i].was != p->was)
			continue;
		watches_keep_parcel(&now, e->came[i].conn, p);
		heir.showing = true;
		watches_show(&now, e->came[i].conn);
		heir.showing = false;
		free(now.at);
		return;
	}
}

bool
inherit_watch(const struct msg_watch *m)
{
	struct elder *e;
	uint32_t i;

	if (heir.showing)
		return false;
	TAILQ_FOREACH(e, &elders, link) {
		for (i = 0; i < e->n_came; i++) {
			if (e->came[i].conn != m->conn)
				continue;
			watches_keep(&e->watches, m->conn, m);
			return true;
		}
	}
	return false;
}

/* ---- elders ------------------------------------------------------------------------------ */

static void
on_offered(struct elder *e)
{
	if (e->offered || e->over)
		parcel_link_end(e->parcels, "a slice inside of a slice");
	else
		e->offered = true;
}

static void
on_parcel(void *ctx, struct parcel *p)
{
	struct elder *e = ctx;

	switch (p->kind) {
	case PARCEL_CHANNEL:
		on_channel(e, p);
		break;
	case PARCEL_OFFERED:
		on_offered(e);
		break;
	case PARCEL_RECORD:
		on_record(e, p);
		break;
	case PARCEL_SLICED:
		on_sliced(e);
		break;
	case PARCEL_WATCH:
		on_watch(e, p);
		break;
	case PARCEL_OVER:
		e->over = true;
		break;
	default:		/* an heir's to say */
		break;
	}
}

/* Those whose answer has not left are the elder's, dead or alive. */
static void
drop_asleep(struct elder *e)
{
	uint32_t i;

	for (i = 0; i < e->n_came; i++) {
		struct came *k = &e->came[i];
		struct conn *c = k->awake ? NULL : conns_find(k->conn);

		if (c != NULL)
			freeze_done(c);
	}
}

static void
elder_free(struct elder *e)
{
	struct wanted *w;

	while ((w = SLIST_FIRST(&e->wanted)) != NULL) {
		SLIST_REMOVE_HEAD(&e->wanted, link);
		free(w);
	}
	TAILQ_REMOVE(&elders, e, link);
	parcel_link_free(e->parcels);
	free(e->watches.at);
	free(e->came);
	free(e);
}

static void
on_gone(void *ctx, const char *why)
{
	struct elder *e = ctx;

	if (!e->over && !worker.stopping)
		log_warn("elder lost slot=%llu why=\"%s\"",
		    (unsigned long long)e->slot, why);
	wake(e);
	drop_asleep(e);
	uplink_known(e->slot, e->generation);
	show_all(e);
	release(e);
	elder_free(e);
}

/* Whose slice is next. */
static void
next_elder(void)
{
	struct elder *e;

	TAILQ_FOREACH(e, &elders, link) {
		if (e->step != HEARING || !e->offered || e->n_asleep > 0 ||
		    !all_live(e))
			continue;
		TAILQ_REMOVE(&elders, e, link);
		TAILQ_INSERT_TAIL(&elders, e, link);
		e->step = MARKING;
		current = e;
		return;
	}
}

static void
look_for_over(void)
{
	const struct elder *e;

	if (heir.over)
		return;
	TAILQ_FOREACH(e, &elders, link)
		if (!e->over)
			return;
	heir.over = true;
	channels_expect_no_more();
	worker_report();
}

void
inherit_turn(void)
{
	struct elder *e;

	TAILQ_FOREACH(e, &elders, link) {
		parcel_flush(e->parcels);
		/* Those of a slice that is over, but whose answers had to wait. */
		if (e->step == HEARING && e->n_asleep > 0)
			wake(e);
	}
	if (current == NULL)
		next_elder();
	ask_for_mark();
	look_for_over();
}
