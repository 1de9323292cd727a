/* SPDX-License-Identifier: MIT
 *
 * What hosts tell of themselves, as octets.
 *
 * Runs in: the router.
 */
#include "router/census_wire.h"

#include "common/json.h"

/* ---- writing ------------------------------------------------------------ */

void
wire_head(struct buf *out, const uint64_t *numbers, uint32_t n)
{
	pack_array(out, n);
	for (uint32_t i = 0; i < n; i++)
		pack_u64(out, numbers[i]);
}

/* Empty if it is the same as in the row before. */
static void
put_again(struct wire_pen *pen, struct bytes b, size_t *at, size_t *n)
{
	struct bytes last = bytes_of(*n != 0 ? pen->out->p + *at : NULL, *n);

	if (bytes_eq(b, last)) {
		pack_bytes(pen->out, B(""));
		return;
	}
	pack_bytes(pen->out, b);
	*at = pen->out->n - b.n;
	*n = b.n;
}

static uint32_t
fields_of(enum item_kind kind)
{
	static const uint32_t fields[ITEM_KINDS] = {
		[ITEM_CHANNEL] = 4, [ITEM_MEMBER] = 6, [ITEM_USER] = 4,
		[ITEM_OPEN] = 3, [ITEM_SUBSCRIBED] = 3,
	};

	return fields[kind];
}

static bool
has_channel(enum item_kind kind)
{
	return kind == ITEM_CHANNEL || kind == ITEM_MEMBER;
}

static bool
has_user(enum item_kind kind)
{
	return kind == ITEM_USER || kind == ITEM_MEMBER;
}

void
wire_row(struct wire_pen *pen, const struct item_name *name, uint64_t n)
{
	pack_array(pen->out, fields_of(name->kind));
	pack_u64(pen->out, name->kind);
	pack_u64(pen->out, n);
	put_again(pen, name->app, &pen->app, &pen->app_n);
	if (has_channel(name->kind))
		put_again(pen, name->channel, &pen->channel, &pen->channel_n);
	if (has_user(name->kind))
		pack_bytes(pen->out, name->user);
	if (name->kind == ITEM_MEMBER)
		pack_bytes(pen->out, n > 0 && name->object.n <=
		    WIRE_OBJECT_MAX ? name->object : B(""));
}

size_t
wire_row_size(const struct item_name *name)
{
	return 32 + name->app.n + name->channel.n + name->user.n +
	    name->object.n;
}

/* ---- reading ------------------------------------------------------------ */

void
wire_open(struct wire_eye *eye, struct bytes payload)
{
	*eye = (struct wire_eye){ .in = packed_open(payload) };
}

int
wire_read_head(struct wire_eye *eye, uint64_t *numbers, uint32_t n)
{
	packed_array(&eye->in, n);
	for (uint32_t i = 0; i < n; i++)
		numbers[i] = packed_u64(&eye->in);
	return eye->in.bad ? -1 : 0;
}

/* Not there: that of the row before, which must be there then. */
static struct bytes
read_again(struct packed *in, struct bytes *last, size_t max)
{
	struct bytes b = packed_bytes(in, max);

	if (b.n > 0)
		*last = b;
	else if (last->n == 0)
		in->bad = true;
	return *last;
}

bool
wire_read_row(struct wire_eye *eye, struct item_name *name, uint64_t *n)
{
	struct packed *in = &eye->in;
	uint32_t fields;
	uint64_t kind;

	if (in->p == in->end)
		return false;
	*name = (struct item_name){ 0 };
	fields = packed_count(in, 6);
	kind = packed_u64(in);
	if (kind >= ITEM_KINDS || fields != fields_of((enum item_kind)kind)) {
		in->bad = true;
		return false;
	}
	name->kind = (enum item_kind)kind;
	*n = packed_u64(in);
	name->app = read_again(in, &eye->app, WIRE_APP_MAX);
	if (has_channel(name->kind))
		name->channel = read_again(in, &eye->channel, WIRE_NAME_MAX);
	if (has_user(name->kind))
		name->user = packed_bytes(in, WIRE_NAME_MAX);
	if (name->kind == ITEM_MEMBER)
		name->object = packed_bytes(in, WIRE_OBJECT_MAX);
	if (*n > WIRE_COUNT_MAX || kind == 0 ||
	    (has_user(name->kind) && name->user.n == 0))
		in->bad = true;
	return !in->bad;
}

/* Names reach clients as JSON strings, objects as they stand. */
static bool
fit_for_clients(const struct item_name *name)
{
	struct json object;
	const char *why;

	return utf8_valid(name->app) && utf8_valid(name->channel) &&
	    utf8_valid(name->user) && (name->object.n == 0 ||
	    (json_parse(name->object, &object, &why) == 0 &&
	    object.type == JSON_OBJECT));
}

bool
wire_check(struct wire_eye eye)
{
	struct item_name name;
	uint64_t n;

	while (wire_read_row(&eye, &name, &n)) {
		if (!fit_for_clients(&name))
			return false;
	}
	return packed_end(&eye.in);
}
