/* SPDX-License-Identifier: MIT
 *
 * What both doors to rooms share: see room.h.
 */
#include "front/room.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "common/json.h"
#include "common/packed.h"
#include "common/util.h"
#include "worker/app.h"
#include "worker/auth.h"
#include "worker/worker.h"

#define PLAIN_LIMIT	32		/* below are control octets, and 127 */

/* All there ever were, matched by label: clients hold them. */
static struct room_section **sections;
static size_t n_sections;

/* ---- sections ---------------------------------------------------------- */

static struct room_section *
section_take(const char *label)
{
	struct room_section *s;
	size_t i;

	for (i = 0; i < n_sections; i++)
		if (bytes_eq(bytes_str(sections[i]->label), bytes_str(label)))
			return sections[i];
	s = xcalloc(1, sizeof(*s));
	s->label = label != NULL ? xstrdup(label) : NULL;
	sections = xreallocarray(sections, n_sections + 1, sizeof(*sections));
	return sections[n_sections++] = s;
}

void
rooms_settings(const struct config *config)
{
	size_t i;

	for (i = 0; i < n_sections; i++)
		sections[i]->set = NULL;
	for (i = 0; i < config->n_rooms; i++)
		section_take(config->rooms[i].label)->set = &config->rooms[i];
}

const struct room_section *
room_section_ws(struct bytes path)
{
	size_t i;

	for (i = 0; i < n_sections; i++)
		if (sections[i]->set != NULL &&
		    bytes_eq(bytes_str(sections[i]->set->path), path))
			return sections[i];
	return NULL;
}

const struct room_section *
room_section_sse(struct bytes path)
{
	const struct room_section *found = NULL;
	size_t i, longest = 0;

	for (i = 0; i < n_sections; i++) {
		const struct config_rooms *set = sections[i]->set;
		struct bytes prefix = bytes_str(set != NULL ? set->sse_path :
		    NULL);

		if (prefix.n > longest && bytes_starts(path, prefix)) {
			found = sections[i];
			longest = prefix.n;
		}
	}
	return found;
}

/* ---- guests ------------------------------------------------------------ */

bool
guest_stays(const struct client *c)
{
	const struct config_rooms *set = guest_set(c);

	return set != NULL && c->app == app_by_id(bytes_str(set->app)) &&
	    bytes_starts(guest_channel(c), bytes_str(set->channel));
}

void
guest_done(struct client *c)
{
	if (c->of_front == NULL)
		return;
	free(guest_of(c)->lines);
	free(c->of_front);
	c->of_front = NULL;
}

unsigned
guest_kind(const struct client *c)
{
	return bytes_starts(guest_channel(c), B("private-")) ?
	    CHANNEL_PRIVATE : 0;
}

/* ---- a hand-over --------------------------------------------------------- */

/* Numbers of what is carried; never used again. */
enum { CARRIES_SECTION = 1, CARRIES_TRUSTED = 2, CARRIES_CHANNEL = 3 };

#define CARRIES_MOST	1000	/* of any release */
#define CHANNEL_MOST	1024	/* octets of its name */

int
guest_freeze(const struct client *c, struct buf *out, const char **why)
{
	const struct guest *g = guest_of(c);

	if (g->section->set == NULL) {
		*why = "its [rooms] section is gone";
		return -1;
	}
	pack_map(out, 3);
	pack_u64(out, CARRIES_SECTION);
	pack_bytes(out, bytes_str(g->section->label));
	pack_u64(out, CARRIES_TRUSTED);
	pack_u64(out, g->trusted);
	pack_u64(out, CARRIES_CHANNEL);
	pack_bytes(out, guest_channel(c));
	return 0;
}

static const struct room_section *
section_labelled(struct bytes label)
{
	size_t i;

	for (i = 0; i < n_sections; i++)
		if (sections[i]->set != NULL &&
		    bytes_eq(bytes_str(sections[i]->label), label))
			return sections[i];
	return NULL;
}

int
guest_thaw(struct client *c, struct bytes carried, const char **why)
{
	struct packed in = packed_open(carried);
	uint32_t n = packed_map(&in, CARRIES_MOST);
	struct bytes label = bytes_of(NULL, 0), channel = label;
	const struct room_section *section;
	bool trusted = false;
	struct guest *g;

	while (n-- > 0) {
		switch (packed_u64(&in)) {
		case CARRIES_SECTION:
			label = packed_bytes(&in, SIZE_MAX);
			break;
		case CARRIES_TRUSTED:
			trusted = packed_u64(&in) == 1;
			break;
		case CARRIES_CHANNEL:
			channel = packed_bytes(&in, CHANNEL_MOST);
			break;
		default:
			packed_skip(&in);
		}
	}
	section = section_labelled(label);
	if (!packed_end(&in) || section == NULL) {
		*why = section == NULL ? "its [rooms] section is gone" :
		    "record: no such guest";
		return -1;
	}
	g = xcalloc(1, sizeof(*g) + channel.n);
	g->section = section;
	g->trusted = trusted;
	g->name_n = (uint16_t)channel.n;
	if (channel.n > 0)
		memcpy(g->name, channel.p, channel.n);
	c->of_front = g;
	return 0;
}

/* ---- requests ------------------------------------------------------------ */

bool
room_parameter(struct bytes query, const char *name, struct bytes *value)
{
	static struct buf key, room;
	struct bytes k, v, found = bytes_of(NULL, 0);
	size_t pos = 0;

	while (http_query_next(query, &pos, &k, &v)) {
		buf_clear(&key);
		if (http_decode(k, true, &key) == 0 &&
		    bytes_eq(buf_view(&key), bytes_str(name)))
			found = v;
	}
	buf_clear(&room);
	if (http_decode(found, true, &room) != 0)
		return false;
	*value = buf_view(&room);
	return true;
}

bool
room_refuse(struct front_refusal *no, unsigned status, const char *words)
{
	no->status = status;
	no->words = words;
	return false;
}

static bool
good_name(const struct config_rooms *set, struct bytes id)
{
	size_t i;

	if (id.n == 0 || id.n > set->max_room_name || !utf8_valid(id))
		return false;
	for (i = 0; i < id.n; i++)
		if ((unsigned char)id.p[i] < PLAIN_LIMIT || id.p[i] == 127)
			return false;
	return true;
}

bool
guest_new(struct client *c, const struct room_section *section,
    struct bytes id, struct front_refusal *no)
{
	const struct config_rooms *set = section->set;
	struct bytes before = bytes_str(set->channel);
	struct app *app = app_by_id(bytes_str(set->app));
	struct guest *g;

	if (app == NULL || !app->set->enabled)
		return room_refuse(no, 403, "Application disabled.");
	if (!good_name(set, id))
		return room_refuse(no, 400, "No room, or not a good name for one.");
	g = xcalloc(1, sizeof(*g) + before.n + id.n);
	g->section = section;
	g->trusted = set->token_secret == NULL;
	g->name_n = (uint16_t)(before.n + id.n);
	memcpy(g->name, before.p, before.n);
	memcpy(g->name + before.n, id.p, id.n);
	c->app = app;
	c->of_front = g;
	return true;
}

bool
room_origin(const struct room_section *section, const struct http_request *req)
{
	return origin_allowed(&section->set->allowed_origins, req->has_origin,
	    req->origin);
}

/* ---- tokens ------------------------------------------------------------ */

bool
guest_token(const struct client *c, struct bytes token)
{
	const struct config_rooms *set = guest_set(c);
	struct bytes id = bytes_skip(guest_channel(c),
	    bytes_str(set->channel).n), expires, sent;
	ptrdiff_t dot = bytes_find(token, '.');
	struct bytes parts[3];
	uint64_t until;
	char hex[64];

	if (dot < 0 || set->token_secret == NULL)
		return false;
	expires = bytes_of(token.p, (size_t)dot);
	sent = bytes_skip(token, (size_t)dot + 1);
	parts[0] = id;
	parts[1] = B(":");
	parts[2] = expires;
	hmac_sha256_hex(bytes_str(set->token_secret), parts, NELEM(parts),
	    hex);
	return equal_secret(sent, bytes_of(hex, sizeof(hex))) &&
	    bytes_u64(expires, &until) == 0 &&
	    until > clock_wall_ms() / 1000;
}

void
guest_no_token(const struct client *c)
{
	auth_refused(c->app, c->conn, "room", guest_channel(c), "");
}

/* ---- messages ---------------------------------------------------------- */

/* The text of a JSON token: of a string what it says. */
static struct bytes
text_of(struct bytes token, struct buf *room)
{
	struct json v;
	const char *why;

	buf_reuse(room);
	if (json_parse(token, &v, &why) != 0 || v.type != JSON_STRING)
		return token;
	return json_text(&v, room);
}

bool
room_text(const struct message *m, struct bytes *text)
{
	static struct buf room;

	if (m->kind != MESSAGE_EVENT || (m->flags & PUBLISH_BINARY) != 0)
		return false;
	if ((m->flags & PUBLISH_TEXT) != 0) {
		*text = m->data;
		return true;
	}
	if (m->data.n == 0)
		return false;
	*text = text_of(m->data, &room);
	return true;
}

struct bytes
room_event(const struct message *m)
{
	static struct buf room;
	const struct channel *ch = m->channel;
	const struct config_rooms *set = config_rooms_of(worker.config,
	    ch->app->id, channel_name(ch));
	struct bytes event;

	if ((m->flags & PUBLISH_TEXT) != 0)
		return bytes_of(NULL, 0);
	event = text_of(m->event, &room);
	return set != NULL && bytes_eq(event, bytes_str(set->event)) ?
	    bytes_of(NULL, 0) : event;
}
