/* SPDX-License-Identifier: MIT
 *
 * What may be wrong with an event; see api_event.h.
 *
 * Runs in: workers.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/util.h"
#include "worker/api_event.h"
#include "worker/channel.h"

#define ERRORS_MAX	16384	/* octets of complaints; more help nobody */

/* ---- reading ----------------------------------------------------------- */

#define EVENT_WANTS(e)	{						\
	{ B("name"), &(e)->name }, { B("data"), &(e)->data },		\
	{ B("channels"), &(e)->channels }, { B("channel"), &(e)->channel }, \
	{ B("socket_id"), &(e)->socket_id }, { B("info"), &(e)->info },	\
}

void
event_read(struct event *e, const struct json *object)
{
	const struct json_want wants[] = EVENT_WANTS(e);

	json_pick(object, wants, NELEM(wants));
}

int
event_parse(struct event *e, struct bytes text)
{
	const struct json_want wants[] = EVENT_WANTS(e);
	struct json root;
	const char *why;

	return json_read(text, &root, wants, NELEM(wants), &why) == 0 &&
	    root.type == JSON_OBJECT ? 0 : -1;
}

struct bytes
event_text(const struct json *v)
{
	static struct buf room;

	buf_reuse(&room);
	return v->type == JSON_STRING ? json_text(v, &room) :
	    bytes_of(NULL, 0);
}

bool
event_socket(struct bytes text, uint64_t *a, uint64_t *b)
{
	ptrdiff_t dot = bytes_find(text, '.');

	*a = *b = 0;
	if (dot < 0 || bytes_u64(bytes_of(text.p, (size_t)dot), a) != 0 ||
	    bytes_u64(bytes_skip(text, (size_t)dot + 1), b) != 0)
		return false;
	if (*a > UINT32_MAX || *b > UINT32_MAX)
		*a = *b = 0;
	return true;
}

/* ---- complaints -------------------------------------------------------- */

static void
add_shown(struct buf *out, const char *p)
{
	for (; *p != '\0'; p++)
		buf_char(out, *p == '_' ? ' ' : *p);
}

void
event_error(struct buf *out, const char *at, const char *field,
    const char *words)
{
	if (out->n > ERRORS_MAX)
		return;
	buf_str(out, out->n == 0 ? "{\"" : ",\"");
	buf_str(out, at);
	buf_str(out, field);
	buf_str(out, "\":[\"The ");
	add_shown(out, at);
	add_shown(out, field);
	buf_str(out, " field ");
	buf_str(out, words);
	buf_str(out, "\"]");
}

void
event_error_limit(struct buf *out, const char *at, const char *field,
    const char *words, uint64_t limit, const char *more)
{
	char whole[120];

	snprintf(whole, sizeof(whole), "%s %" PRIu64 " %s", words, limit, more);
	event_error(out, at, field, whole);
}

/* ---- checks ------------------------------------------------------------ */

static bool
is_empty(const struct json *v)
{
	return v->type == JSON_STRING && v->raw.n == 2;
}

/* Laravel's required and string.  True if there is a text to go on with. */
static bool
check_text(const struct json *v, bool required, const char *at,
    const char *field, struct buf *errors)
{
	if (json_absent(v) || (required && is_empty(v))) {
		if (required)
			event_error(errors, at, field, "is required.");
		return false;
	}
	if (v->type != JSON_STRING) {
		event_error(errors, at, field, "must be a string.");
		return false;
	}
	return true;
}

static void
check_name(const struct event *e, const struct app *app, const char *at,
    struct buf *errors)
{
	struct bytes text;

	if (!check_text(&e->name, true, at, "name", errors))
		return;
	text = event_text(&e->name);
	if (text.n > app->set->max_event_name)
		event_error_limit(errors, at, "name", "must not be greater "
		    "than", app->set->max_event_name, "characters.");
	else if (event_reserved(text))
		event_error(errors, at, "name", "format is invalid.");
}

void
event_check(const struct event *e, const struct app *app, const char *at,
    struct buf *errors)
{
	uint64_t a, b;

	check_name(e, app, at, errors);
	check_text(&e->data, true, at, "data", errors);
	if (check_text(&e->socket_id, false, at, "socket_id", errors) &&
	    !event_socket(event_text(&e->socket_id), &a, &b))
		event_error(errors, at, "socket_id", "format is invalid.");
	check_text(&e->info, false, at, "info", errors);
}

static unsigned
kind_of(const struct json *name, const struct app *app)
{
	return channel_kind(event_text(name), app->set->max_channel_name);
}

void
event_check_channel(const struct event *e, const struct app *app,
    const char *at, struct buf *errors)
{
	if (json_absent(&e->channel) || is_empty(&e->channel))
		event_error(errors, at, "channel",
		    "is required when channels is not present.");
	else if (check_text(&e->channel, true, at, "channel", errors) &&
	    (kind_of(&e->channel, app) & CHANNEL_BAD) != 0)
		event_error(errors, at, "channel", "format is invalid.");
}

/* An encrypted payload is made for one channel's key. */
static void
check_list(const struct json *list, const struct app *app, struct buf *errors)
{
	bool encrypted = false;
	struct json item;
	char field[40];
	size_t pos = 0, n;
	unsigned kind;

	for (n = 0; json_next(list, &pos, NULL, &item); n++) {
		if (n == app->set->max_event_channels) {
			event_error_limit(errors, "", "channels", "must not "
			    "have more than", n, "items.");
			return;
		}
		kind = kind_of(&item, app);
		if (kind & CHANNEL_BAD) {
			snprintf(field, sizeof(field), "channels.%zu", n);
			event_error(errors, "", field, "format is invalid.");
		} else if (kind & CHANNEL_ENCRYPTED) {
			encrypted = true;
		}
	}
	if (encrypted && n > 1)
		event_error(errors, "", "channels",
		    "must not hold an encrypted channel beside others.");
}

static bool
is_empty_list(const struct json *v)
{
	struct json item;
	size_t pos = 0;

	return v->type == JSON_ARRAY && !json_next(v, &pos, NULL, &item);
}

void
event_check_channels(const struct event *e, const struct app *app,
    struct buf *errors)
{
	if (json_absent(&e->channels) || is_empty_list(&e->channels)) {
		if (json_absent(&e->channel))
			event_error(errors, "", "channels",
			    "is required when channel is not present.");
		event_check_channel(e, app, "", errors);
	} else if (e->channels.type != JSON_ARRAY) {
		event_error(errors, "", "channels", "must be an array.");
	} else {
		check_list(&e->channels, app, errors);
	}
}

bool
event_channels_mixed(const struct event *e)
{
	struct json item;
	size_t pos = 0;

	if (e->channels.type != JSON_ARRAY)
		return false;
	while (json_next(&e->channels, &pos, NULL, &item))
		if (item.type != JSON_STRING)
			return true;
	return false;
}

bool
event_too_large(const struct event *e, const struct app *app)
{
	return app->set->max_event_size > 0 &&
	    event_text(&e->data).n > app->set->max_event_size;
}
