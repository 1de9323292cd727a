/* SPDX-License-Identifier: MIT
 *
 * What a viewer of the live page may have the router asked: see page.h.
 *
 * Runs in: workers.
 */
#include "front/page.h"

#include "common/util.h"
#include "worker/channel.h"

#define NAME_MOST	1000	/* octets of a channel, as the router's limit */
#define ROWS_MOST	1000

enum { TEXT, NUMBER, FLAG, KINDS };

/* data is two things: what is published, and how much of it a tail shows. */
enum {
	APP = 1, PREFIX = 2, MATCH = 4, CHANNEL = 8, USER = 16, SOCKET = 32,
	EVENT = 64, SLOW = 128, LIMIT = 256, SORTS = 512, OCTETS = 1024,
	DATA = 2048
};

static const struct field {
	unsigned	 bit;
	struct bytes	 name;
	int		 type;
	size_t		 max;		/* octets, or the largest number */
} fields[] = {
	{ APP,	   BYTES("app"),	TEXT,	200 },
	{ PREFIX,  BYTES("prefix"),	TEXT,	NAME_MOST },
	{ MATCH,   BYTES("match"),	TEXT,	NAME_MOST },
	{ CHANNEL, BYTES("channel"),	TEXT,	NAME_MOST },
	{ USER,	   BYTES("user"),	TEXT,	1000 },
	{ SOCKET,  BYTES("socket"),	TEXT,	40 },
	{ EVENT,   BYTES("event"),	TEXT,	200 },
	{ SLOW,	   BYTES("slow"),	FLAG,	0 },
	{ LIMIT,   BYTES("limit"),	NUMBER,	ROWS_MOST },
	{ SORTS,   BYTES("kinds"),	KINDS,	0 },
	{ OCTETS,  BYTES("data"),	NUMBER,	10000 },
	{ DATA,	   BYTES("data"),	TEXT,	100000 },
};

static const struct verb {
	struct bytes	 name;
	unsigned	 fields, needs;
	bool		 tail, action;
} verbs[] = {
	{ BYTES("channels"), APP | PREFIX | MATCH | LIMIT, 0, false, false },
	{ BYTES("users"), APP | CHANNEL, CHANNEL, false, false },
	{ BYTES("inspect"), APP | CHANNEL | USER | SOCKET | SLOW | LIMIT, 0,
	    false, false },
	{ BYTES("hosts"), 0, 0, false, false },
	{ BYTES("backplane"), 0, 0, false, false },
	{ BYTES("tail"), APP | CHANNEL | SORTS | OCTETS, 0, true, false },
	{ BYTES("publish"), APP | CHANNEL | EVENT | DATA,
	    CHANNEL | EVENT | DATA, false, true },
	{ BYTES("terminate"), APP | USER, USER, false, true },
	{ BYTES("kick"), APP | SOCKET, SOCKET, false, true },
};

static const struct bytes kinds[] = {
	BYTES("published"), BYTES("client_event"), BYTES("occupied"),
	BYTES("vacated"), BYTES("member_added"), BYTES("member_removed"),
	BYTES("opened"), BYTES("closed"),
};

/* What the texts of a line stand in; never moved while one is made. */
static struct buf room;

static const struct verb *
find_verb(const struct json *asked)
{
	struct json name;
	const struct json_want want = { B("verb"), &name };

	if (json_pick(asked, &want, 1) < 0 || name.type != JSON_STRING ||
	    !name.plain)
		return NULL;
	for (size_t i = 0; i < NELEM(verbs); i++)
		if (bytes_eq(json_text(&name, &room), verbs[i].name))
			return &verbs[i];
	return NULL;
}

static void
put_name(struct buf *out, struct bytes name)
{
	buf_char(out, ',');
	json_quote(out, name);
	buf_char(out, ':');
}

static int
put_text(const struct field *f, const struct json *v, struct buf *out,
    struct bytes *text)
{
	if (v->type != JSON_STRING)
		return -1;
	*text = json_text(v, &room);
	if (text->n > f->max)
		return -1;
	put_name(out, f->name);
	json_quote(out, *text);
	return 0;
}

static int
put_number(const struct field *f, const struct json *v, struct buf *out)
{
	uint64_t n;

	if (json_u64(v, &n) < 0 || n > f->max)
		return -1;
	put_name(out, f->name);
	buf_u64(out, n);
	return 0;
}

static int
put_flag(const struct field *f, const struct json *v, struct buf *out)
{
	if (v->type != JSON_TRUE && v->type != JSON_FALSE)
		return -1;
	put_name(out, f->name);
	buf_str(out, v->type == JSON_TRUE ? "true" : "false");
	return 0;
}

static bool
is_kind(const struct json *v, size_t *which)
{
	if (v->type != JSON_STRING || !v->plain)
		return false;
	for (*which = 0; *which < NELEM(kinds); (*which)++)
		if (bytes_eq(json_text(v, &room), kinds[*which]))
			return true;
	return false;
}

/* Each once, in our order. */
static int
put_kinds(const struct field *f, const struct json *v, struct buf *out)
{
	bool wanted[NELEM(kinds)] = { false };
	struct json key, item;
	size_t pos = 0, i;
	bool first = true;

	if (v->type != JSON_ARRAY)
		return -1;
	while (json_next(v, &pos, &key, &item)) {
		if (!is_kind(&item, &i))
			return -1;
		wanted[i] = true;
	}
	put_name(out, f->name);
	buf_char(out, '[');
	for (i = 0; i < NELEM(kinds); i++) {
		if (!wanted[i])
			continue;
		if (!first)
			buf_char(out, ',');
		json_quote(out, kinds[i]);
		first = false;
	}
	buf_char(out, ']');
	return 0;
}

static void
remember(struct page_line *l, unsigned bit, struct bytes text)
{
	if (bit == APP)
		l->app = text;
	else if (bit == CHANNEL)
		l->channel = text;
	else if (bit == USER)
		l->user = text;
	else if (bit == SOCKET)
		l->socket = text;
	else if (bit == EVENT)
		l->event = text;
}

static int
put_field(const struct field *f, const struct json *v, struct buf *out,
    struct page_line *l)
{
	struct bytes text = B("");

	switch (f->type) {
	case TEXT:
		if (put_text(f, v, out, &text) < 0)
			return -1;
		remember(l, f->bit, text);
		return 0;
	case NUMBER:
		return put_number(f, v, out);
	case FLAG:
		return put_flag(f, v, out);
	default:
		return put_kinds(f, v, out);
	}
}

static int
put_fields(const struct verb *verb, const struct json *asked, struct buf *out,
    struct page_line *l, const char **why)
{
	for (size_t i = 0; i < NELEM(fields); i++) {
		const struct field *f = &fields[i];
		struct json v;
		const struct json_want want = { f->name, &v };

		if ((verb->fields & f->bit) == 0)
			continue;
		json_pick(asked, &want, 1);
		if (json_absent(&v)) {
			if ((verb->needs & f->bit) == 0)
				continue;
			*why = "something is missing";
			return -1;
		}
		if (put_field(f, &v, out, l) < 0) {
			*why = "a value is not of its kind, or too long";
			return -1;
		}
	}
	return 0;
}

int
page_line(const struct json *asked, bool actions, struct buf *out,
    struct page_line *l, const char **why)
{
	const struct verb *verb;

	*l = (struct page_line){ .tail = false };
	if (asked->type != JSON_OBJECT) {
		*why = "no line";
		return -1;
	}
	buf_reuse(&room);
	buf_room(&room, asked->raw.n);
	if ((verb = find_verb(asked)) == NULL) {
		*why = "unknown verb";
		return -1;
	}
	if (verb->action && !actions) {
		*why = "actions are not allowed here";
		return -1;
	}
	l->verb = verb->name;
	l->tail = verb->tail;
	l->action = verb->action;
	buf_str(out, "{\"verb\":");
	json_quote(out, verb->name);
	if (put_fields(verb, asked, out, l, why) < 0)
		return -1;
	buf_char(out, '}');
	/* The API would not take it either. */
	if (verb->needs & EVENT && (l->event.n == 0 ||
	    channel_kind(l->channel, NAME_MOST) == CHANNEL_BAD)) {
		*why = "no good name of a channel or an event";
		return -1;
	}
	return 0;
}
