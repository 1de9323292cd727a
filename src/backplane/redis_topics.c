/* SPDX-License-Identifier: MIT
 *
 * What this host listens to, see redis_topics.h.
 *
 * A topic goes when nobody wants it, it is not live and nothing is under way.
 * That is looked at only where commands are sent, so that no upcall finds a
 * topic freed under it.
 *
 * Runs in: the router.
 */
#include "backplane/redis_topics.h"

#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "backplane/redis.h"
#include "backplane/redis_reply.h"
#include "common/counters.h"
#include "common/util.h"

#define NAMES		512	/* in one command */
#define AGAIN_MS	1000	/* after a refusal: each name alone ... */
#define ALONE_MS	5000	/* ... and then so often */

/* ---- names --------------------------------------------------------------- */

static void
name_app(struct buf *out, struct bytes app)
{
	for (size_t i = 0; i < app.n; i++) {
		if (memchr(":%{}", app.p[i], 4) != NULL)
			buf_fmt(out, "%%%02X", (unsigned char)app.p[i]);
		else
			buf_char(out, app.p[i]);
	}
}

void
redis_topic_name(struct redis *r, const struct topic *t, struct buf *out)
{
	if (t->raw) {
		buf_bytes(out, t->channel);
		return;
	}
	buf_str(out, r->settings.set->channel);
	if (r->finder->sharded) {
		buf_str(out, ":{");
		buf_bytes(out, r->finder->tag(r->finding, t->lane));
		buf_char(out, '}');
	}
	buf_char(out, ':');
	name_app(out, t->app);
	buf_char(out, ':');
	buf_bytes(out, t->channel);
}

static struct bytes
topic_name(const struct redis_topic *t)
{
	return bytes_of(t->text + t->app_n + t->channel_n, t->name_n);
}

static struct bytes
topic_key(const struct hash_link *link)
{
	return topic_name(container_of(link, struct redis_topic, by_name));
}

static struct topic
topic_of(const struct redis_topic *t)
{
	return (struct topic){ .app = bytes_of(t->text, t->app_n),
	    .channel = bytes_of(t->text + t->app_n, t->channel_n),
	    .lane = t->lane, .raw = t->raw };
}

static struct redis_topic *
topic_find(struct redis *r, struct bytes name)
{
	struct hash_link *link = hash_find(&r->topics.by_name, name);

	return link != NULL ? container_of(link, struct redis_topic,
	    by_name) : NULL;
}

/* ---- life ---------------------------------------------------------------- */

void
redis_topics_init(struct redis_topics *ts)
{
	hash_init(&ts->by_name, topic_key);
	for (unsigned i = 0; i < LANES; i++)
		TAILQ_INIT(&ts->lane[i]);
	TAILQ_INIT(&ts->orphans);
	TAILQ_INIT(&ts->tell);
}

static struct redis_topic *
topic_new(struct redis *r, const struct topic *what, struct bytes name)
{
	struct redis_topic *t = xcalloc(1, sizeof(*t) + what->app.n +
	    what->channel.n + name.n);
	struct buf text = { 0 };

	t->lane = what->lane;
	t->raw = what->raw;
	t->app_n = what->app.n;
	t->channel_n = what->channel.n;
	t->name_n = name.n;
	buf_bytes(&text, what->app);
	buf_bytes(&text, what->channel);
	buf_bytes(&text, name);
	if (text.n > 0)
		memcpy(t->text, text.p, text.n);
	buf_done(&text);
	hash_insert(&r->topics.by_name, &t->by_name);
	TAILQ_INSERT_TAIL(&r->topics.lane[t->lane], t, of_lane);
	return t;
}

static struct redis_topic_list *
ask_list(struct redis *r, const struct redis_topic *t)
{
	struct redis_node *node = r->lane[t->lane];

	return node != NULL ? &node->ask : &r->topics.orphans;
}

static void
ask_drop(struct redis *r, struct redis_topic *t)
{
	if (t->asks)
		TAILQ_REMOVE(ask_list(r, t), t, ask);
	t->asks = false;
}

static void
ask(struct redis *r, struct redis_topic *t)
{
	if (t->asks)
		return;
	t->asks = true;
	TAILQ_INSERT_TAIL(ask_list(r, t), t, ask);
}

static void
tell_drop(struct redis *r, struct redis_topic *t)
{
	if (t->tells)
		TAILQ_REMOVE(&r->topics.tell, t, tell);
	t->tells = false;
}

static void
owed_drop(struct redis *r, struct redis_topic *t)
{
	if (t->owed)
		r->topics.owed--;
	t->owed = false;
}

static void
topic_free(struct redis *r, struct redis_topic *t)
{
	ask_drop(r, t);
	tell_drop(r, t);
	owed_drop(r, t);
	hash_remove(&r->topics.by_name, &t->by_name);
	TAILQ_REMOVE(&r->topics.lane[t->lane], t, of_lane);
	free(t);
}

void
redis_topics_done(struct redis *r)
{
	struct redis_topic *t;

	for (unsigned i = 0; i < LANES; i++)
		while ((t = TAILQ_FIRST(&r->topics.lane[i])) != NULL)
			topic_free(r, t);
	hash_done(&r->topics.by_name);
}

/* ---- verbs --------------------------------------------------------------- */

void
redis_topics_join(struct redis *r, const struct topic *what)
{
	static struct buf name;
	struct redis_topic *t;

	buf_reuse(&name);
	redis_topic_name(r, what, &name);
	if ((t = topic_find(r, buf_view(&name))) == NULL)
		t = topic_new(r, what, buf_view(&name));
	t->wanted = true;
	if (!t->live || t->asked == ASKED_UNSUBSCRIBE) {
		ask(r, t);
	} else if (!t->tells) {
		t->tells = true;
		TAILQ_INSERT_TAIL(&r->topics.tell, t, tell);
		redis_soon(r);
	}
}

void
redis_topics_leave(struct redis *r, const struct topic *what)
{
	static struct buf name;
	struct redis_topic *t;

	buf_reuse(&name);
	redis_topic_name(r, what, &name);
	if ((t = topic_find(r, buf_view(&name))) == NULL)
		return;
	t->wanted = t->told = false;
	tell_drop(r, t);
	owed_drop(r, t);
	ask(r, t);
}

/* ---- upcalls ------------------------------------------------------------- */

static void
say_joined(struct redis *r, struct redis_topic *t)
{
	struct topic topic = topic_of(t);

	t->told = true;
	owed_drop(r, t);
	r->up->joined(r->ctx, &topic, (struct position){ 0, 0 });
}

static void
say_gap(struct redis *r, struct redis_topic *t)
{
	struct topic topic = topic_of(t);

	if (!t->told)
		return;
	t->told = false;
	counter.backplane_gaps++;
	r->up->gap(r->ctx, &topic);
}

void
redis_topics_tell(struct redis *r)
{
	struct redis_topic *t;

	while ((t = TAILQ_FIRST(&r->topics.tell)) != NULL) {
		tell_drop(r, t);
		if (t->wanted && t->live && t->asked == ASKED_NOTHING)
			say_joined(r, t);
	}
}

/* ---- asking -------------------------------------------------------------- */

struct batch {
	struct redis_node	*node;
	struct bytes		 argv[NAMES + 1];
	size_t			 n;		/* names */
	bool			 join, sharded;
	unsigned		 lane;		/* of all, if sharded */
};

static void
batch_send(struct batch *b)
{
	/* Sharded or not, to join or not. */
	static const char *const words[2][2] = {
		{ "UNSUBSCRIBE", "SUBSCRIBE" },
		{ "SUNSUBSCRIBE", "SSUBSCRIBE" },
	};

	if (b->n == 0)
		return;
	b->argv[0] = bytes_str(words[b->sharded][b->join]);
	redis_link_command(b->node->subscribe, b->n + 1, b->argv);
	b->n = 0;
}

/* Names of one command must have one slot in a cluster. */
static void
batch_add(struct batch *b, struct redis_topic *t)
{
	bool sharded = b->node->redis->finder->sharded && !t->raw;
	bool join = t->wanted;

	if (b->n == NAMES || b->join != join || b->sharded != sharded ||
	    (sharded && b->lane != t->lane) || t->alone)
		batch_send(b);
	b->join = join;
	b->sharded = sharded;
	b->lane = t->lane;
	b->argv[++b->n] = topic_name(t);
	if (t->alone)
		batch_send(b);
}

static bool
unused(const struct redis_topic *t)
{
	return !t->wanted && !t->live && t->asked == ASKED_NOTHING;
}

void
redis_topics_send(struct redis_node *node)
{
	struct redis *r = node->redis;
	bool up = redis_link_up(node->subscribe);
	struct redis_topic *t, *next;
	static struct batch b;
	uint64_t now;

	if (TAILQ_EMPTY(&node->ask))
		return;
	now = clock_ms();
	b.node = node;
	b.n = 0;
	for (t = TAILQ_FIRST(&node->ask); t != NULL; t = next) {
		next = TAILQ_NEXT(t, ask);
		if (unused(t)) {
			topic_free(r, t);
			continue;
		}
		if (!up)
			continue;
		ask_drop(r, t);
		/* Its answer brings it back here. */
		if (t->asked != ASKED_NOTHING || t->wanted == t->live)
			continue;
		t->asked = t->wanted ? ASKED_SUBSCRIBE : ASKED_UNSUBSCRIBE;
		t->asked_ms = now;
		batch_add(&b, t);
	}
	batch_send(&b);
}

void
redis_topics_forget(struct redis *r)
{
	struct redis_topic *t, *next;

	for (t = TAILQ_FIRST(&r->topics.orphans); t != NULL; t = next) {
		next = TAILQ_NEXT(t, ask);
		if (unused(t))
			topic_free(r, t);
	}
}

static void
ask_afresh(struct redis *r, struct redis_topic *t)
{
	t->live = t->alone = false;
	t->asked = ASKED_NOTHING;
	if (t->wanted && !t->owed) {
		t->owed = true;
		r->topics.owed++;
	}
	ask(r, t);
}

void
redis_topics_ask_all(struct redis_node *node)
{
	struct redis *r = node->redis;
	struct redis_topic *t;

	node->refused = false;
	for (unsigned i = 0; i < LANES; i++) {
		if (r->lane[i] != node)
			continue;
		TAILQ_FOREACH(t, &r->topics.lane[i], of_lane)
			ask_afresh(r, t);
	}
}

/* ---- loss ---------------------------------------------------------------- */

static void
lane_lost(struct redis *r, unsigned lane)
{
	struct redis_topic *t;

	TAILQ_FOREACH(t, &r->topics.lane[lane], of_lane) {
		t->live = false;
		t->asked = ASKED_NOTHING;
		ask(r, t);
	}
	TAILQ_FOREACH(t, &r->topics.lane[lane], of_lane)
		say_gap(r, t);
}

void
redis_topics_lost(struct redis_node *node)
{
	struct redis *r = node->redis;

	for (unsigned i = 0; i < LANES; i++)
		if (r->lane[i] == node)
			lane_lost(r, i);
}

/* Not sharded, a name stays subscribed where it was. */
static void
abandon(struct redis_node *from, struct redis_topic *t)
{
	bool sharded = from->redis->finder->sharded && !t->raw;

	if (t->live || t->asked == ASKED_SUBSCRIBE)
		redis_link_command(from->subscribe, 2, (struct bytes[]){
		    sharded ? B("SUNSUBSCRIBE") : B("UNSUBSCRIBE"),
		    topic_name(t) });
}

void
redis_topics_move(struct redis *r, unsigned lane, struct redis_node *from,
    struct redis_node *to)
{
	struct redis_topic *t;

	TAILQ_FOREACH(t, &r->topics.lane[lane], of_lane) {
		if (from != NULL)
			abandon(from, t);
		ask_drop(r, t);
	}
	r->lane[lane] = to;
	TAILQ_FOREACH(t, &r->topics.lane[lane], of_lane)
		ask_afresh(r, t);
	TAILQ_FOREACH(t, &r->topics.lane[lane], of_lane)
		say_gap(r, t);
}

/* ---- what comes ---------------------------------------------------------- */

/* After a slot has moved, what its old node still brings was published before,
 * and is not published again at the new one. */
static bool
left_behind(const struct redis *r, const struct redis_topic *t)
{
	return r->finder->sharded && !t->raw && t->wanted;
}

void
redis_topics_message(struct redis_node *node, struct bytes name,
    struct bytes payload)
{
	struct redis *r = node->redis;
	struct redis_topic *t = topic_find(r, name);
	struct topic topic;

	if (t == NULL || (r->lane[t->lane] == node ? !t->told :
	    !left_behind(r, t)))
		return;
	if (payload.n > r->settings.set->max_message) {
		counter.backplane_oversize++;
		return;
	}
	counter.backplane_received++;
	topic = topic_of(t);
	r->up->message(r->ctx, &topic, (struct position){ 0, 0 }, payload);
}

static void
subscribed(struct redis_node *node, struct redis_topic *t)
{
	struct redis *r = node->redis;

	if (t->asked == ASKED_SUBSCRIBE)
		t->asked = ASKED_NOTHING;
	t->live = true;
	t->alone = false;
	if (!t->wanted)
		ask(r, t);
	else if (!t->told)
		say_joined(r, t);
}

/* Unasked, it says that a slot has moved. */
static void
unsubscribed(struct redis_node *node, struct redis_topic *t)
{
	struct redis *r = node->redis;
	bool unasked = t->asked != ASKED_UNSUBSCRIBE;

	if (!unasked)
		t->asked = ASKED_NOTHING;
	t->live = false;
	ask(r, t);
	say_gap(r, t);
	if (unasked && r->finder->moved != NULL)
		r->finder->moved(r->finding, node, t->lane, NULL);
}

static int
refused(struct redis_node *node, struct bytes error, const char **why)
{
	/* For a moment; the place may be another after that. */
	static const char *const ends[] = { "READONLY", "LOADING",
		"MASTERDOWN", "NOAUTH" };
	static const char *const moves[] = { "MOVED", "ASK", "CLUSTERDOWN",
		"TRYAGAIN" };
	struct redis *r = node->redis;

	counter.backplane_errors++;
	*why = error.p;
	for (size_t i = 0; i < NELEM(ends); i++)
		if (bytes_starts(error, bytes_str(ends[i])))
			return -1;
	node->refused = true;
	for (size_t i = 0; i < NELEM(moves) && r->finder->moved != NULL; i++)
		if (bytes_starts(error, bytes_str(moves[i]))) {
			r->finder->moved(r->finding, node, LANES, error.p);
			return 0;
		}
	redis_complain(r, COMPLAIN_SUBSCRIBE, error.p);
	return 0;
}

static const struct {
	const char	*word;
	void		(*take)(struct redis_node *, struct redis_topic *);
} words[] = {
	{ "subscribe", subscribed },
	{ "ssubscribe", subscribed },
	{ "unsubscribe", unsubscribed },
	{ "sunsubscribe", unsubscribed },
};

int
redis_topics_reply(struct redis_node *node, const struct redisReply *reply,
    const char **why)
{
	struct redis_topic *t;

	if (reply->type == REDIS_REPLY_ERROR)
		return refused(node, redis_reply_text(reply), why);
	*why = "an answer that does not fit";
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return -1;
	for (size_t i = 0; i < NELEM(words); i++) {
		if (!redis_reply_is(reply->element[0], words[i].word))
			continue;
		t = topic_find(node->redis,
		    redis_reply_text(reply->element[1]));
		if (t != NULL && node->redis->lane[t->lane] == node)
			words[i].take(node, t);
		return 0;
	}
	return -1;
}

/* ---- time ---------------------------------------------------------------- */

void
redis_topics_forgive(struct redis *r)
{
	struct redis_topic *t;

	for (unsigned i = 0; i < LANES; i++)
		TAILQ_FOREACH(t, &r->topics.lane[i], of_lane)
			owed_drop(r, t);
}

/* A command that was refused names none of its names: each is asked alone.
 * True while some are not answered. */
static bool
lane_again(struct redis *r, unsigned lane, uint64_t now)
{
	struct redis_topic *t;
	bool waits = false;

	TAILQ_FOREACH(t, &r->topics.lane[lane], of_lane) {
		waits |= t->asked != ASKED_NOTHING;
		if (t->asked == ASKED_NOTHING || now - t->asked_ms <
		    (t->alone ? ALONE_MS : AGAIN_MS))
			continue;
		t->asked = ASKED_NOTHING;
		t->alone = true;
		ask(r, t);
	}
	return waits;
}

void
redis_topics_tick(struct redis *r, uint64_t now)
{
	struct redis_node *node;
	bool waits;

	counter.backplane_topics = r->topics.by_name.count;
	TAILQ_FOREACH(node, &r->nodes, link) {
		if (!node->refused)
			continue;
		waits = false;
		for (unsigned i = 0; i < LANES; i++)
			if (r->lane[i] == node)
				waits |= lane_again(r, i, now);
		node->refused = waits;
	}
}
