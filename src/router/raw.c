/* SPDX-License-Identifier: MIT
 *
 * Rooms whose wire is raw.
 *
 * Runs in: the router.
 */
#include "router/raw.h"

#include <stdlib.h>

#include "common/json.h"
#include "common/util.h"
#include "router/room.h"
#include "router/router.h"

struct raw_own {
	struct hash_link	 by_number;
	TAILQ_ENTRY(raw_own)	 of_topic;
	struct raw_topic	*topic;
	uint64_t		 number, hash;
	bool			 taken;		/* by the broker */
};

struct raw_topic {
	struct hash_link	 link;
	TAILQ_HEAD(, raw_own)	 due;
	unsigned		 n;
	bool			 live;
	size_t			 name_n;
	char			 name[];
};

static struct bytes
key_of_topic(const struct hash_link *l)
{
	const struct raw_topic *rt = container_of(l, const struct raw_topic,
	    link);

	return bytes_of(rt->name, rt->name_n);
}

static struct bytes
key_of_own(const struct hash_link *l)
{
	const struct raw_own *o = container_of(l, const struct raw_own,
	    by_number);

	return bytes_of(&o->number, sizeof(o->number));
}

void
raw_init(struct router *r)
{
	hash_init(&r->raws.by_topic, key_of_topic);
	hash_init(&r->raws.by_number, key_of_own);
}

/* ---- what is due -------------------------------------------------------- */

static struct raw_topic *
topic_find(struct router *r, const struct topic *topic)
{
	struct hash_link *l = hash_find(&r->raws.by_topic, topic->channel);

	return l != NULL ? container_of(l, struct raw_topic, link) : NULL;
}

static void
own_drop(struct router *r, struct raw_own *o)
{
	TAILQ_REMOVE(&o->topic->due, o, of_topic);
	o->topic->n--;
	hash_remove(&r->raws.by_number, &o->by_number);
	free(o);
}

static void
topic_free(struct router *r, struct raw_topic *rt)
{
	while (!TAILQ_EMPTY(&rt->due))
		own_drop(r, TAILQ_FIRST(&rt->due));
	hash_remove(&r->raws.by_topic, &rt->link);
	free(rt);
}

void
raw_done(struct router *r)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&r->raws.by_topic, &at)) != NULL)
		topic_free(r, container_of(l, struct raw_topic, link));
	hash_done(&r->raws.by_topic);
	hash_done(&r->raws.by_number);
}

static struct raw_topic *
topic_get(struct router *r, const struct topic *topic)
{
	struct raw_topic *rt = topic_find(r, topic);

	if (rt != NULL)
		return rt;
	rt = xcalloc(1, sizeof(*rt) + topic->channel.n);
	TAILQ_INIT(&rt->due);
	rt->name_n = topic->channel.n;
	memcpy(rt->name, topic->channel.p, topic->channel.n);
	hash_insert(&r->raws.by_topic, &rt->link);
	return rt;
}

static void
own_add(struct router *r, const struct topic *topic, struct bytes text,
    uint64_t number)
{
	struct raw_topic *rt = topic_get(r, topic);
	struct raw_own *o = xcalloc(1, sizeof(*o));

	if (rt->n >= RAW_DUE_MAX)
		own_drop(r, TAILQ_FIRST(&rt->due));
	o->topic = rt;
	o->number = number;
	o->hash = hash_bytes(text);
	TAILQ_INSERT_TAIL(&rt->due, o, of_topic);
	rt->n++;
	hash_insert(&r->raws.by_number, &o->by_number);
}

uint64_t
raw_back(struct router *r, const struct topic *topic, struct bytes text)
{
	struct raw_topic *rt = topic_find(r, topic);
	uint64_t hash = hash_bytes(text), number;
	struct raw_own *o;

	if (rt == NULL)
		return 0;
	TAILQ_FOREACH(o, &rt->due, of_topic) {
		if (o->hash != hash)
			continue;
		number = o->number;
		own_drop(r, o);
		return number;
	}
	return 0;
}

void
raw_published(struct router *r, uint64_t number, const char *why)
{
	struct hash_link *l;
	struct raw_own *o;

	if (r->raws.by_number.count == 0)
		return;
	l = hash_find(&r->raws.by_number, bytes_of(&number, sizeof(number)));
	if (l == NULL)
		return;
	o = container_of(l, struct raw_own, by_number);
	if (why != NULL || !o->topic->live)
		own_drop(r, o);
	else
		o->taken = true;
}

void
raw_joined(struct router *r, const struct topic *topic)
{
	topic_get(r, topic)->live = true;
}

/* What the broker took before cannot come any more. */
void
raw_gap(struct router *r, const struct topic *topic)
{
	struct raw_topic *rt = topic_find(r, topic);
	struct raw_own *o, *next;

	if (rt == NULL)
		return;
	rt->live = false;
	for (o = TAILQ_FIRST(&rt->due); o != NULL; o = next) {
		next = TAILQ_NEXT(o, of_topic);
		if (o->taken)
			own_drop(r, o);
	}
}

void
raw_leave(struct router *r, const struct topic *topic)
{
	struct raw_topic *rt = topic_find(r, topic);

	if (rt != NULL)
		topic_free(r, rt);
}

/* ---- texts and messages ------------------------------------------------- */

/* What clients of the room get: of an event, its data; if that is a string,
 * what it says. */
static bool
text_of(const struct msg_publish *m, struct bytes *text)
{
	static struct buf room;
	const char *why;
	struct json v;

	*text = m->data;
	if (m->flags & (PUBLISH_TEXT | PUBLISH_BINARY))
		return true;
	if (m->data.n == 0)
		return false;
	buf_reuse(&room);
	if (json_parse(m->data, &v, &why) == 0 && v.type == JSON_STRING)
		*text = json_text(&v, &room);
	return true;
}

bool
raw_publish(struct router *r, const struct topic *topic,
    const struct msg_publish *m, uint64_t number, bool due)
{
	struct bytes text;

	if (!text_of(m, &text))
		return false;
	if (due)
		own_add(r, topic, text, number);
	r->backplane->publish(r->carrier, topic, text, number);
	return true;
}

int
raw_message(struct router *r, const struct topic *topic, struct bytes text,
    struct msg_publish *m)
{
	static struct buf channel, event;
	const struct config_rooms *set;

	*m = (struct msg_publish){ .data = text, .flags = PUBLISH_TEXT };
	buf_clear(&channel);
	if (!utf8_valid(text) ||
	    !room_of_raw_name(r, topic->channel, &m->app, &channel))
		return -1;
	m->channel = buf_view(&channel);
	set = room_of(r, m->app, m->channel);
	if (set == NULL)
		return -1;
	buf_clear(&event);
	json_quote(&event, bytes_str(set->event));
	m->event = buf_view(&event);
	return 0;
}
