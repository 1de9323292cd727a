/* SPDX-License-Identifier: MIT
 *
 * What goes to one node, see redis_outbox.h.
 *
 * Runs in: the router.
 */
#include "backplane/redis_outbox.h"

#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "backplane/redis.h"
#include "backplane/redis_reply.h"
#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"

#define COMMAND_EXTRA	128		/* memory of one, besides its octets */
#define WRITE_AHEAD	(256u << 10)	/* octets given to a link at a time */
#define PROBE_MS	10000
#define STORE_COMMANDS	4		/* MULTI, SET, PUBLISH, EXEC */

/* ---- commands ------------------------------------------------------------ */

static struct redis_command *
command_new(enum redis_command_kind kind, unsigned lane, uint64_t cookie)
{
	struct redis_command *c = xcalloc(1, sizeof(*c));

	c->kind = kind;
	c->lane = lane;
	c->cookie = cookie;
	return c;
}

static void
command_free(struct redis_command *c)
{
	buf_done(&c->text);
	free(c->wire);
	free(c);
}

static void
command_why(struct redis_command *c, struct bytes why)
{
	if (c->bad)
		return;
	c->bad = true;
	buf_clear(&c->text);
	buf_bytes(&c->text, why);
}

/* "$5\r\n"; 24 octets are enough for it. */
static char *
put_head(char *at, char kind, size_t n)
{
	char digits[20], *p = digits + sizeof(digits);
	size_t length;

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	length = (size_t)(digits + sizeof(digits) - p);
	*at++ = kind;
	memcpy(at, p, length);
	memcpy(at + length, "\r\n", 2);
	return at + length + 2;
}

/* Several commands may follow each other in one wire.  By hand, as each message
 * comes here; hiredis would print every number with a format. */
static void
command_say(struct redis_command *c, size_t argc, const struct bytes *argv)
{
	size_t most = c->wire_n + 24;
	char *at;

	for (size_t i = 0; i < argc; i++)
		most += 24 + argv[i].n + 2;
	c->wire = xrealloc(c->wire, most);
	at = put_head(c->wire + c->wire_n, '*', argc);
	for (size_t i = 0; i < argc; i++) {
		at = put_head(at, '$', argv[i].n);
		if (argv[i].n > 0)
			memcpy(at, argv[i].p, argv[i].n);
		memcpy(at + argv[i].n, "\r\n", 2);
		at += argv[i].n + 2;
	}
	c->wire_n = (size_t)(at - c->wire);
	c->replies++;
}

static uint64_t
weight(const struct redis_command *c)
{
	return c->wire_n + COMMAND_EXTRA;
}

/* Neither waits for anything on the router's side. */
static bool
internal(const struct redis_command *c)
{
	return c->kind == COMMAND_GHOST || c->kind == COMMAND_PROBE;
}

/* ---- the list ------------------------------------------------------------ */

void
redis_backlog_init(struct redis_backlog *b)
{
	TAILQ_INIT(&b->failed);
}

void
redis_outbox_init(struct redis_outbox *o)
{
	TAILQ_INIT(&o->all);
	o->unsent = NULL;
}

static void
outbox_append(struct redis_outbox *o, struct redis_command *c)
{
	c->sent = false;
	c->answered = 0;
	TAILQ_INSERT_TAIL(&o->all, c, link);
	if (o->unsent == NULL)
		o->unsent = c;
}

static void
outbox_remove(struct redis_outbox *o, struct redis_command *c)
{
	if (o->unsent == c)
		o->unsent = TAILQ_NEXT(c, link);
	TAILQ_REMOVE(&o->all, c, link);
}

static void
backlog_take(struct redis *r, const struct redis_command *c)
{
	if (internal(c))
		return;
	r->backlog.n--;
	r->backlog.octets -= weight(c);
}

static void
command_end(struct redis *r, struct redis_outbox *o, struct redis_command *c)
{
	outbox_remove(o, c);
	backlog_take(r, c);
	command_free(c);
}

/* The router is told later: we may be inside a verb. */
static void
fail_later(struct redis *r, struct redis_command *c, const char *why)
{
	command_why(c, bytes_str(why));
	TAILQ_INSERT_TAIL(&r->backlog.failed, c, link);
	redis_soon(r);
}

static void
command_drop(struct redis *r, struct redis_outbox *o, struct redis_command *c,
    const char *why)
{
	outbox_remove(o, c);
	backlog_take(r, c);
	fail_later(r, c, why);
}

void
redis_outbox_done(struct redis *r, struct redis_outbox *o)
{
	struct redis_command *c;

	while ((c = TAILQ_FIRST(&o->all)) != NULL)
		command_end(r, o, c);
}

void
redis_backlog_done(struct redis *r)
{
	struct redis_command *c;

	while ((c = TAILQ_FIRST(&r->backlog.failed)) != NULL) {
		TAILQ_REMOVE(&r->backlog.failed, c, link);
		command_free(c);
	}
}

void
redis_outbox_move(struct redis_outbox *from, struct redis_outbox *to,
    unsigned lane)
{
	struct redis_command *c, *next, *ghost;
	struct redis_command *last = TAILQ_LAST(&from->all, redis_commands);

	/* Both may be the same. */
	for (c = TAILQ_FIRST(&from->all); c != NULL; c = next) {
		next = c != last ? TAILQ_NEXT(c, link) : NULL;
		if (c->lane != lane || internal(c))
			continue;
		if (c->sent) {
			ghost = command_new(COMMAND_GHOST, lane, 0);
			ghost->sent = true;
			ghost->replies = c->replies;
			ghost->answered = c->answered;
			TAILQ_INSERT_BEFORE(c, ghost, link);
		}
		outbox_remove(from, c);
		buf_clear(&c->text);
		c->bad = c->went = false;
		outbox_append(to, c);
	}
}

/* ---- limits -------------------------------------------------------------- */

static struct redis_outbox *
older(struct redis_outbox *a, struct redis_outbox *b)
{
	if (b->unsent == NULL)
		return a;
	return a == NULL || b->unsent->queued_ms < a->unsent->queued_ms ? b :
	    a;
}

/* Where the oldest one that was not sent is, or NULL. */
static struct redis_outbox *
oldest(struct redis *r)
{
	struct redis_outbox *found = older(NULL, &r->limbo);
	struct redis_node *node;

	TAILQ_FOREACH(node, &r->nodes, link)
		found = older(found, &node->outbox);
	return found;
}

static void
queue(struct redis *r, struct redis_command *c)
{
	struct redis_outbox *full;

	c->queued_ms = clock_ms();
	r->backlog.n++;
	r->backlog.octets += weight(c);
	outbox_append(redis_lane_outbox(r, c->lane), c);
	while (r->backlog.octets > r->settings.set->backlog &&
	    (full = oldest(r)) != NULL) {
		counter.backplane_dropped++;
		redis_complain(r, COMPLAIN_DROPPED, "the backlog is full");
		command_drop(r, full, full->unsent,
		    "the backlog for the broker is full");
	}
}

static void
outbox_expire(struct redis *r, struct redis_outbox *o, uint64_t now)
{
	uint64_t age = r->settings.set->backlog_age;

	while (o->unsent != NULL && now - o->unsent->queued_ms > age) {
		counter.backplane_expired++;
		redis_complain(r, COMPLAIN_DROPPED, "too old");
		command_drop(r, o, o->unsent,
		    "it waited too long for the broker");
	}
}

void
redis_backlog_tick(struct redis *r, uint64_t now)
{
	struct redis_node *node;

	outbox_expire(r, &r->limbo, now);
	TAILQ_FOREACH(node, &r->nodes, link) {
		outbox_expire(r, &node->outbox, now);
		if (r->backlog.plain && now >= r->backlog.probe_ms &&
		    redis_link_up(node->publish))
			redis_outbox_probe(node);
	}
	if (now >= r->backlog.probe_ms)
		r->backlog.probe_ms = now + PROBE_MS;
	counter.backplane_backlog = r->backlog.octets;
}

/* ---- verbs --------------------------------------------------------------- */

static bool
oversize(struct redis *r, struct redis_command *c, size_t n)
{
	if (n <= r->settings.set->max_message)
		return false;
	counter.backplane_oversize++;
	fail_later(r, c, "the message is longer than max_message");
	return true;
}

static struct bytes
verb(const struct redis *r, const struct topic *t)
{
	return r->finder->sharded && !t->raw ? B("SPUBLISH") : B("PUBLISH");
}

/* Two names in one buffer; good until the next call. */
static void
names(struct redis *r, const struct topic *t, struct bytes *name,
    struct bytes *key)
{
	static struct buf text;
	size_t n;

	buf_reuse(&text);
	redis_topic_name(r, t, &text);
	n = text.n;
	redis_topic_name(r, t, &text);
	buf_str(&text, ":last");
	*name = bytes_of(text.p, n);
	*key = bytes_of(text.p + n, text.n - n);
}

void
redis_outbox_publish(struct redis *r, const struct topic *t,
    struct bytes payload, uint64_t cookie)
{
	struct redis_command *c = command_new(COMMAND_PUBLISH, t->lane,
	    cookie);
	struct bytes name, key;

	if (oversize(r, c, payload.n))
		return;
	names(r, t, &name, &key);
	command_say(c, 3, (struct bytes[]){ verb(r, t), name, payload });
	queue(r, c);
}

void
redis_outbox_store(struct redis *r, const struct topic *t,
    struct bytes payload, uint64_t ttl_ms, uint64_t cookie)
{
	struct redis_command *c;
	struct bytes name, key;
	char ttl[24];

	if (t->raw || ttl_ms == 0 || r->backlog.plain) {
		redis_outbox_publish(r, t, payload, cookie);
		return;
	}
	c = command_new(COMMAND_STORE, t->lane, cookie);
	if (oversize(r, c, payload.n))
		return;
	names(r, t, &name, &key);
	snprintf(ttl, sizeof(ttl), "%llu", (unsigned long long)ttl_ms);
	command_say(c, 1, (struct bytes[]){ B("MULTI") });
	command_say(c, 5, (struct bytes[]){ B("SET"), key, payload, B("PX"),
	    bytes_str(ttl) });
	c->plain_at = c->wire_n;
	command_say(c, 3, (struct bytes[]){ verb(r, t), name, payload });
	c->plain_n = c->wire_n - c->plain_at;
	command_say(c, 1, (struct bytes[]){ B("EXEC") });
	queue(r, c);
}

void
redis_outbox_fetch(struct redis *r, const struct topic *t, uint64_t cookie)
{
	struct redis_command *c = command_new(COMMAND_FETCH, t->lane, cookie);
	struct redis_node *node = r->lane[t->lane];
	struct bytes name, key;

	if (t->raw || node == NULL || !redis_link_up(node->publish)) {
		fail_later(r, c, t->raw ? "raw topics keep nothing" :
		    "the broker cannot be reached");
		return;
	}
	names(r, t, &name, &key);
	command_say(c, 2, (struct bytes[]){ B("GET"), key });
	command_say(c, 2, (struct bytes[]){ B("PTTL"), key });
	queue(r, c);
}

void
redis_outbox_show(const struct redis_outbox *o, void *arg,
    void (*each)(void *arg, const struct backplane_parcel *))
{
	const struct redis_command *c;

	TAILQ_FOREACH(c, &o->all, link) {
		if (c->kind != COMMAND_PUBLISH && c->kind != COMMAND_STORE)
			continue;
		each(arg, &(struct backplane_parcel){
		    .lane = c->lane, .queued = c->queued_ms,
		    .commands = c->replies, .plain_at = c->plain_at,
		    .plain_n = c->plain_n,
		    .wire = bytes_of(c->wire, c->wire_n) });
	}
}

void
redis_outbox_adopt(struct redis *r, const struct backplane_parcel *p)
{
	bool stores = p->plain_n > 0;
	struct redis_command *c;

	if (p->lane >= LANES || p->wire.n == 0 ||
	    p->commands != (stores ? STORE_COMMANDS : 1) ||
	    p->plain_at > p->wire.n || p->plain_n > p->wire.n - p->plain_at)
		return;
	c = command_new(stores ? COMMAND_STORE : COMMAND_PUBLISH, p->lane, 0);
	c->wire = xmalloc(p->wire.n);
	memcpy(c->wire, p->wire.p, p->wire.n);
	c->wire_n = p->wire.n;
	c->replies = p->commands;
	c->plain_at = p->plain_at;
	c->plain_n = p->plain_n;
	r->adopted = true;
	queue(r, c);
	if (TAILQ_LAST(&redis_lane_outbox(r, p->lane)->all, redis_commands) ==
	    c && p->queued < c->queued_ms)
		c->queued_ms = p->queued;
}

void
redis_outbox_probe(struct redis_node *node)
{
	struct redis *r = node->redis;
	struct topic topic = { .channel = B("probe") };
	struct redis_command *c;
	struct bytes name, key;

	while (topic.lane < LANES && r->lane[topic.lane] != node)
		topic.lane++;
	if (topic.lane == LANES)
		return;
	c = command_new(COMMAND_PROBE, topic.lane, 0);
	names(r, &topic, &name, &key);
	command_say(c, 5, (struct bytes[]){ B("SET"), key, B("1"), B("PX"),
	    B("1000") });
	c->queued_ms = clock_ms();
	outbox_append(&node->outbox, c);
}

/* ---- sending ------------------------------------------------------------- */

static bool
held(const struct redis_node *node)
{
	return node->held_until_ms != 0 && clock_ms() < node->held_until_ms;
}

bool
redis_outbox_send(struct redis_node *node)
{
	struct redis_outbox *o = &node->outbox;
	struct redis_command *c;
	bool any = false;

	if (o->unsent == NULL || !redis_link_up(node->publish) || held(node))
		return false;
	node->held_until_ms = 0;
	while ((c = o->unsent) != NULL &&
	    redis_link_unwritten(node->publish) < WRITE_AHEAD) {
		redis_link_wire(node->publish, bytes_of(c->wire, c->wire_n),
		    c->replies);
		c->sent = any = true;
		o->unsent = TAILQ_NEXT(c, link);
	}
	return any;
}

void
redis_outbox_rewind(struct redis_node *node, const char *why)
{
	struct redis_outbox *o = &node->outbox;
	struct redis_command *c, *next;

	for (c = TAILQ_FIRST(&o->all); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (internal(c)) {
			command_end(node->redis, o, c);
		} else if (c->kind == COMMAND_FETCH) {
			buf_clear(&c->text);
			c->bad = false;
			command_drop(node->redis, o, c, why);
		} else {
			c->sent = c->bad = c->went = false;
			c->answered = 0;
			buf_clear(&c->text);
		}
	}
	o->unsent = TAILQ_FIRST(&o->all);
}

/* ---- answers ------------------------------------------------------------- */

static void
tell(struct redis *r, const struct redis_command *c, uint64_t ttl_ms)
{
	const char *why = c->bad ? c->text.p : NULL;

	if (c->kind == COMMAND_FETCH)
		r->up->fetched(r->ctx, c->cookie, c->bad ? B("") :
		    buf_view(&c->text), ttl_ms, why);
	else if (!internal(c))
		r->up->published(r->ctx, c->cookie, why);
}

void
redis_backlog_tell(struct redis *r)
{
	struct redis_commands now = TAILQ_HEAD_INITIALIZER(now);
	struct redis_command *c;

	TAILQ_CONCAT(&now, &r->backlog.failed, link);
	while ((c = TAILQ_FIRST(&now)) != NULL) {
		TAILQ_REMOVE(&now, c, link);
		buf_cstr(&c->text);
		tell(r, c, 0);
		command_free(c);
	}
}

/* The words with which an error begins, and what follows from it. */
enum verdict { REFUSED, LINK_ENDS, LANE_MOVED, NO_SLOT, NO_SET };
static const struct {
	const char	*word;
	enum verdict	 verdict;
} verdicts[] = {
	{ "READONLY", LINK_ENDS }, { "LOADING", LINK_ENDS },
	{ "MASTERDOWN", LINK_ENDS }, { "NOAUTH", LINK_ENDS },
	{ "MOVED", LANE_MOVED }, { "ASK", NO_SLOT },
	{ "CLUSTERDOWN", NO_SLOT }, { "TRYAGAIN", NO_SLOT },
	{ "OOM", NO_SET }, { "NOPERM", NO_SET }, { "MISCONF", NO_SET },
	{ "NOREPLICAS", NO_SET },
};

static enum verdict
verdict_of(struct bytes error)
{
	struct bytes word;

	for (size_t i = 0; i < NELEM(verdicts); i++) {
		word = bytes_str(verdicts[i].word);
		if (bytes_starts(error, word) &&
		    (error.n == word.n || error.p[word.n] == ' '))
			return verdicts[i].verdict;
	}
	return REFUSED;
}

static void
keep_nothing(struct redis *r, const char *why)
{
	r->backlog.plain = true;
	r->backlog.probe_ms = clock_ms() + PROBE_MS;
	redis_complain(r, COMPLAIN_KEEPS, why);
}

static void
probed(struct redis *r, struct redis_command *c)
{
	if (!c->bad)
		r->backlog.plain = false;
	else if (verdict_of(buf_view(&c->text)) == NO_SET)
		keep_nothing(r, buf_cstr(&c->text));
}

/* The value cannot be kept, the message may go.  What came after it in its lane
 * goes again too, so that the order holds; receivers drop the copies. */
static void
publish_plainly(struct redis_node *node, struct redis_command *c)
{
	struct redis_command *ghost;

	node->redis->backlog.octets -= c->wire_n - c->plain_n;
	memmove(c->wire, c->wire + c->plain_at, c->plain_n);
	c->wire_n = c->plain_n;
	c->kind = COMMAND_PUBLISH;
	redis_outbox_move(&node->outbox, &node->outbox, c->lane);
	/* It was answered in full. */
	ghost = TAILQ_FIRST(&node->outbox.all);
	command_end(node->redis, &node->outbox, ghost);
	c->replies = 1;
}

/* The finder may take the lane elsewhere; a ghost is left here then.  Else all
 * is tried again in a moment, in order. */
static int
refused_here(struct redis_node *node, struct redis_command *c,
    const char **why)
{
	struct redis *r = node->redis;

	r->finder->moved(r->finding, node, c->lane, c->text.p);
	c = TAILQ_FIRST(&node->outbox.all);
	if (c == NULL || c->kind != COMMAND_GHOST) {
		*why = "it does not serve what it should";
		return -1;
	}
	command_end(r, &node->outbox, c);
	return 0;
}

/* Its only or last answer was bad; -1: the link must end. */
static int
refused(struct redis_node *node, struct redis_command *c, const char **why)
{
	struct redis *r = node->redis;
	enum verdict verdict = verdict_of(buf_view(&c->text));

	counter.backplane_errors++;
	buf_cstr(&c->text);
	*why = c->text.p;
	if (verdict == LINK_ENDS)
		return -1;
	if (verdict == NO_SET && c->kind == COMMAND_STORE)
		keep_nothing(r, c->text.p);
	if (verdict >= NO_SLOT && c->kind == COMMAND_STORE && !c->went) {
		publish_plainly(node, c);
		return 0;
	}
	if (c->went) {
		c->bad = false;
		tell(r, c, 0);
		command_end(r, &node->outbox, c);
		return 0;
	}
	if (r->finder->moved != NULL && (verdict == LANE_MOVED ||
	    (verdict == NO_SLOT && c->kind != COMMAND_FETCH)))
		return refused_here(node, c, why);
	if (verdict != NO_SLOT)
		redis_complain(r, COMPLAIN_REFUSED, c->text.p);
	tell(r, c, 0);
	command_end(r, &node->outbox, c);
	return 0;
}

static void
note(struct redis_command *c, const struct redisReply *reply)
{
	struct bytes text = redis_reply_text(reply);

	if (reply->type == REDIS_REPLY_ERROR)
		command_why(c, text);
	else if (c->kind == COMMAND_FETCH &&
	    reply->type == REDIS_REPLY_STRING)
		buf_bytes(&c->text, text);
	/* MULTI was refused, and so each command was done by itself. */
	else if (c->kind == COMMAND_STORE &&
	    reply->type == REDIS_REPLY_INTEGER)
		c->went = true;
	/* What was queued may still be refused when it is done. */
	else if (c->kind == COMMAND_STORE &&
	    reply->type == REDIS_REPLY_ARRAY)
		for (size_t i = 0; i < reply->elements; i++)
			note(c, reply->element[i]);
}

int
redis_outbox_reply(struct redis_node *node, const struct redisReply *reply,
    const char **why)
{
	struct redis_command *c = TAILQ_FIRST(&node->outbox.all);
	uint64_t ttl_ms = 0;

	if (c == NULL || !c->sent) {
		*why = "an answer to nothing";
		return -1;
	}
	note(c, reply);
	if (++c->answered < c->replies)
		return 0;
	if (internal(c)) {
		if (c->kind == COMMAND_PROBE)
			probed(node->redis, c);
		command_end(node->redis, &node->outbox, c);
		return 0;
	}
	if (c->bad)
		return refused(node, c, why);
	if (c->kind != COMMAND_FETCH)
		counter.backplane_published++;
	else if (reply->type == REDIS_REPLY_INTEGER && reply->integer > 0)
		ttl_ms = (uint64_t)reply->integer;
	tell(node->redis, c, ttl_ms);
	command_end(node->redis, &node->outbox, c);
	return 0;
}
