/* SPDX-License-Identifier: MIT
 *
 * Messages to every subscriber: see fanout.h.
 */
#include "common/counters.h"
#include "common/util.h"
#include "worker/conn.h"
#include "worker/fanout.h"
#include "worker/usage.h"

#define AHEAD	4		/* subscribers; three times as many at most */
#define WAVES	256		/* that are not out yet */

static struct run run;
static bool gathering;
/* Its messages that leave somebody out, each somebody once. */
static const struct message *choosy[RUN_MESSAGES];
static unsigned n_choosy;

/*
 * client.applied and message.serial: the router's serial, and above it which
 * router, in the order in which this worker met clients of theirs.  So what a
 * client had from one router is below all that another one says.
 */
#define OF_ROUTER	(1ull << 48)

static struct {
	uint64_t	epoch, base;
	uint64_t	most;		/* any client has, of this epoch */
} applied;

void
fanout_applied(struct client *cl, uint64_t epoch, uint64_t serial)
{
	cl->applied = 0;
	/* Epochs rise, and of an earlier one nothing more comes. */
	if (epoch < applied.epoch || serial >= OF_ROUTER)
		return;
	if (epoch > applied.epoch) {
		applied.epoch = epoch;
		applied.base += OF_ROUTER;
		applied.most = 0;
	}
	if (serial > applied.most)
		applied.most = serial;
	cl->applied = applied.base + serial;
}

uint64_t
fanout_serial(uint64_t epoch, uint64_t serial)
{
	return epoch == applied.epoch && serial <= applied.most ?
	    applied.base + serial : 0;
}

/* ---- who is left out ------------------------------------------------------ */

static bool
passes_by(const struct message *m, const struct client *cl)
{
	if (m->serial != 0 && cl->applied >= m->serial)
		return true;
	return m->except_a != 0 && cl->state.socket_a == m->except_a &&
	    cl->state.socket_b == m->except_b;
}

static void
note_choosy(const struct message *m)
{
	unsigned i;

	for (i = 0; i < n_choosy; i++)
		if (choosy[i]->except_a == m->except_a &&
		    choosy[i]->except_b == m->except_b)
			return;
	choosy[n_choosy++] = m;
}

/* Of some message of the run at least. */
static bool
is_left_out(const struct client *cl)
{
	unsigned i;

	for (i = 0; i < n_choosy; i++)
		if (passes_by(choosy[i], cl))
			return true;
	return false;
}

/* Those from..to - 1 of the run. */
static void
send_part(struct client *cl, unsigned from, unsigned to)
{
	unsigned n;
	struct frame *f = encoding_part(run_encoding(&run, cl), from, to, &n);

	if (f == NULL)
		return;
	client_send(cl, f);
	counter.messages_out += n;
	usage_sent(cl->app, cl->front, n, f->n);
	frame_unref(f);
}

/* What of the run is for this one, too. */
static void
send_rest(struct client *cl)
{
	unsigned i, from = 0;

	for (i = 0; i < run.n; i++) {
		if (!passes_by(&run.messages[i], cl))
			continue;
		if (i > from)
			send_part(cl, from, i);
		from = i + 1;
	}
	if (i > from)
		send_part(cl, from, i);
}

/* ---- the walk ------------------------------------------------------------- */

/* A sub, its client and its conn lie in different places, and of ten thousand
 * none is in the cache: they are asked for some places ahead. */
static inline void
look_ahead(const struct channel *ch, uint32_t i)
{
	const struct client *cl;

	if (i + 3 * AHEAD < ch->n_subs)
		__builtin_prefetch(ch->subs[i + 3 * AHEAD]);
	if (i + 2 * AHEAD < ch->n_subs) {
		cl = ch->subs[i + 2 * AHEAD]->client;
		__builtin_prefetch(cl, 1);
		__builtin_prefetch(&cl->state, 0);
	}
	if (i + AHEAD < ch->n_subs)
		conn_prefetch(ch->subs[i + AHEAD]->client->conn);
}

static void
fan(const struct channel *ch)
{
	struct encoding *e;
	struct client *cl;
	uint32_t i;

	/* Nothing in here changes the list: a conn that dies is buried, and
	 * leaves its channels, at the end of the loop's turn. */
	for (i = 0; i < ch->n_subs; i++) {
		look_ahead(ch, i);
		cl = ch->subs[i]->client;
		if (n_choosy > 0 && is_left_out(cl)) {
			send_rest(cl);
			continue;
		}
		e = run_encoding(&run, cl);
		if (e->frame != NULL) {
			client_send(cl, e->frame);
			e->sent++;
		}
	}
}

/* ---- how long it takes --------------------------------------------------- */

/*
 * The runs of a turn, until every socket that they were written to has had its
 * turn; those come in the order of the dirty list, so its counts tell.  One look at
 * the clock when the first begins, one when they are out.
 */
struct wave {
	uint64_t	since;
	uint64_t	mark;		/* conns_dirtied() behind them */
	uint64_t	runs;
};

static struct {
	struct wave	at[WAVES];	/* in a ring */
	unsigned	first, n;
	bool		open;		/* the last one's turn goes on */
} waves;

static struct wave *
wave_last(void)
{
	return &waves.at[(waves.first + waves.n - 1) % WAVES];
}

/* Where there is no room for one more, the last one takes it, too. */
static void
wave_begin(void)
{
	if (waves.open)
		return;
	waves.open = true;
	if (waves.n == WAVES)
		return;
	waves.n++;
	*wave_last() = (struct wave){ .since = clock_ns() };
}

static void
wave_note(void)
{
	wave_last()->runs++;
	wave_last()->mark = conns_dirtied();
}

void
fanout_turn(void)
{
	uint64_t written = conns_written(), now;

	waves.open = false;
	if (waves.n == 0 || waves.at[waves.first].mark > written)
		return;
	now = clock_ns();
	while (waves.n > 0 && waves.at[waves.first].mark <= written) {
		const struct wave *w = &waves.at[waves.first];

		histogram_add(&counter.fanout_seconds, now - w->since,
		    w->runs);
		waves.first = (waves.first + 1) % WAVES;
		waves.n--;
	}
}

/* ---- runs ---------------------------------------------------------------- */

static void
run_out(const struct channel *ch)
{
	if (ch->n_subs == 0)
		return;
	wave_begin();
	fan(ch);
	wave_note();
}

static void
flush_run(void)
{
	if (run.n > 0)
		run_out(run.messages[0].channel);
	run_clear(&run);
	n_choosy = 0;
}

void
fanout(const struct message *m)
{
	/* Who was handed over may have it already; that is rare, and soon
	 * past. */
	bool alone = m->serial != 0;

	if (alone || !run_takes(&run, m))
		flush_run();
	run_add(&run, m);
	if (alone || m->except_a != 0)
		note_choosy(&run.messages[run.n - 1]);
	if (alone || !gathering)
		flush_run();
}

void
fanout_flush(void)
{
	gathering = false;
	flush_run();
}

void
fanout_before(unsigned type)
{
	if (type == MSG_deliver || type == MSG_member_added ||
	    type == MSG_count)
		gathering = true;
	else
		fanout_flush();
}
