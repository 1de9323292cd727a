/* SPDX-License-Identifier: MIT
 *
 * The journal's records, see ledger.h.
 *
 * Runs in: the courier.
 */
#include "courier/ledger.h"

#include <inttypes.h>

#include "common/log.h"
#include "common/packed.h"
#include "courier/courier.h"
#include "courier/body.h"
#include "courier/text.h"

enum { EVENT = 1, FACT, REQUEST, DONE, GONE, SERIAL, KNOWN, FORGET };

#define APP_MAX		200	/* as in messages.def */
#define CHANNEL_MAX	1024
#define USER_MAX	1024
#define TARGET_NAME_MAX	4096

#define EVENT_FIELDS	10	/* with its type and a serial */

#define REWRITE_MS	2000	/* between two tries while nothing is written */

/* ---- writing ---------------------------------------------------------------- */

static struct buf *
begin(struct courier *c, unsigned type, uint32_t fields)
{
	buf_reuse(&c->scratch);
	pack_array(&c->scratch, fields + 1);
	pack_u64(&c->scratch, type);
	return &c->scratch;
}

static void
end(struct courier *c)
{
	journal_add(&c->journal, buf_view(&c->scratch));
}

void
ledger_event(struct courier *c, const struct notice *n, struct bytes text,
    unsigned change, struct target *const *to, size_t n_to)
{
	struct buf *b = begin(c, EVENT, EVENT_FIELDS - 1);

	pack_u64(b, n->kind);
	pack_bytes(b, n->app);
	pack_bytes(b, n->channel);
	pack_bytes(b, n->user);
	pack_bytes(b, text);
	pack_u64(b, change);
	pack_array(b, (uint32_t)n_to);
	for (size_t i = 0; i < n_to; i++)
		pack_bytes(b, to[i]->name);
	pack_u64(b, c->epoch);
	pack_u64(b, c->serial);
	end(c);
}

void
ledger_fact(struct courier *c, struct bytes app, struct bytes channel,
    struct bytes user)
{
	struct buf *b = begin(c, FACT, 3);

	pack_bytes(b, app);
	pack_bytes(b, channel);
	pack_bytes(b, user);
	end(c);
}

void
ledger_request(struct courier *c, const struct target *t)
{
	struct buf *b = begin(c, REQUEST, 4);

	pack_bytes(b, t->name);
	pack_bytes(b, bytes_of(t->id, TARGET_ID));
	pack_u64(b, t->time_ms);
	pack_u64(b, t->n_request);
	end(c);
}

void
ledger_done(struct courier *c, const struct target *t, uint64_t n)
{
	struct buf *b = begin(c, DONE, 2);

	pack_bytes(b, t->name);
	pack_u64(b, n);
	end(c);
}

void
ledger_gone(struct courier *c, const struct target *t)
{
	pack_bytes(begin(c, GONE, 1), t->name);
	end(c);
}

static void
ledger_serial(struct courier *c)
{
	struct buf *b = begin(c, SERIAL, 2);

	pack_u64(b, c->epoch);
	pack_u64(b, c->serial);
	end(c);
}

static void
classes(struct courier *c, unsigned type, struct bytes app, unsigned mask)
{
	struct buf *b = begin(c, type, 2);

	pack_bytes(b, app);
	pack_u64(b, mask);
	end(c);
}

void
ledger_known(struct courier *c, struct bytes app, unsigned mask)
{
	classes(c, KNOWN, app, mask);
}

void
ledger_forget(struct courier *c, struct bytes app, unsigned mask)
{
	classes(c, FORGET, app, mask);
}

/* ---- all that counts ---------------------------------------------------------- */

static void
tell_fact(void *ctx, struct bytes app, struct bytes channel, struct bytes user)
{
	ledger_fact(ctx, app, channel, user);
}

static void
tell_known(void *ctx, struct bytes app, unsigned mask)
{
	ledger_known(ctx, app, mask);
}

/* The request before what came after it: a count takes the place of none that is
 * in it. */
static void
tell_target(struct courier *c, struct target *t)
{
	const struct queued *i;
	uint64_t n = 0;

	TAILQ_FOREACH(i, &t->items, link) {
		ledger_event(c, &(struct notice){ .kind = i->text->kind,
		    .channel = text_channel(i->text) }, text_json(i->text),
		    CHANGE_NONE, &t, 1);
		if (++n == t->n_request)
			ledger_request(c, t);
	}
}

static void
tell_all(void *ctx)
{
	struct courier *c = ctx;
	struct target *t;

	ledger_serial(c);
	said_each(&c->said, tell_fact, tell_known, c);
	TAILQ_FOREACH(t, &c->targets.all, link)
		tell_target(c, t);
}

int
ledger_rewrite(struct courier *c)
{
	return journal_compact(&c->journal, tell_all, c);
}

/* Written anew it may be shorter, and the disk is not full any more. */
static int
make_room(struct courier *c)
{
	if (c->now < c->rewrite)
		return -1;
	c->rewrite = c->now + REWRITE_MS;
	return ledger_rewrite(c);
}

int
ledger_write(struct courier *c)
{
	if (c->moved)
		ledger_serial(c);
	c->moved = false;
	if (journal_write(&c->journal) < 0)
		return make_room(c);
	if (journal_long(&c->journal) && ledger_rewrite(c) < 0)
		log_warn("journal: it could not be written anew; it grows on");
	return 0;
}

/* ---- reading -------------------------------------------------------------------- */

/* Those of a release before have no serial. */
static void
take_event(struct courier *c, struct packed *in, bool serial)
{
	unsigned kind = (unsigned)packed_u64(in);
	struct bytes app = packed_bytes(in, APP_MAX);
	struct bytes channel = packed_bytes(in, CHANNEL_MAX);
	struct bytes user = packed_bytes(in, USER_MAX);
	struct bytes json = packed_bytes(in, JOURNAL_RECORD_MAX);
	uint64_t change = packed_u64(in);
	uint32_t n = packed_count(in, LEDGER_TARGETS);
	struct packed check = *in;
	struct { uint64_t epoch, serial; } from;
	struct text *text;

	for (uint32_t i = 0; i < n; i++)
		(void)packed_bytes(&check, TARGET_NAME_MAX);
	from.epoch = serial ? packed_u64(&check) : c->epoch;
	from.serial = serial ? packed_u64(&check) : c->serial;
	if (!packed_end(&check) || body_name(kind) == NULL)
		return;
	c->epoch = from.epoch;
	c->serial = from.serial;
	if (change != CHANGE_NONE)
		said_keep(&c->said, app, channel, user,
		    change == CHANGE_CAME);
	if (n == 0)
		return;
	text = text_new(kind, channel, json);
	while (n-- > 0)
		target_push(target_get(c, packed_bytes(in, TARGET_NAME_MAX)), text);
	text_unref(text);
}

static void
take_fact(struct courier *c, struct packed *in)
{
	struct bytes app = packed_bytes(in, APP_MAX);
	struct bytes channel = packed_bytes(in, CHANNEL_MAX);
	struct bytes user = packed_bytes(in, USER_MAX);

	if (packed_end(in))
		said_keep(&c->said, app, channel, user, true);
}

static void
take_request(struct courier *c, struct packed *in)
{
	struct bytes name = packed_bytes(in, TARGET_NAME_MAX);
	struct bytes id = packed_bytes(in, TARGET_ID);
	uint64_t time_ms = packed_u64(in), n = packed_u64(in);

	if (packed_end(in))
		target_kept_request(target_get(c, name), id, time_ms, n);
}

static void
take_done(struct courier *c, struct packed *in)
{
	struct bytes name = packed_bytes(in, TARGET_NAME_MAX);
	uint64_t n = packed_u64(in);

	if (packed_end(in))
		target_kept_done(target_get(c, name), n);
}

static void
take_gone(struct courier *c, struct packed *in)
{
	struct bytes name = packed_bytes(in, TARGET_NAME_MAX);

	if (packed_end(in))
		target_kept_gone(c, name);
}

static void
take_serial(struct courier *c, struct packed *in)
{
	uint64_t epoch = packed_u64(in), serial = packed_u64(in);

	if (!packed_end(in))
		return;
	c->epoch = epoch;
	c->serial = serial;
}

static void
take_classes(struct courier *c, struct packed *in, bool known)
{
	struct bytes app = packed_bytes(in, APP_MAX);
	unsigned mask = (unsigned)packed_u64(in) &
	    (SAID_CHANNELS | SAID_MEMBERS);

	if (!packed_end(in))
		return;
	if (known)
		said_know(&c->said, app, mask);
	else
		said_forget(&c->said, app, mask);
}

void
ledger_take(void *ctx, struct bytes record)
{
	struct packed in = packed_open(record);
	struct courier *c = ctx;
	uint32_t fields = packed_count(&in, 100);
	uint64_t type;

	if (fields == 0)
		return;
	switch (type = packed_u64(&in)) {
	case EVENT:
		take_event(c, &in, fields >= EVENT_FIELDS);
		break;
	case FACT:
		take_fact(c, &in);
		break;
	case REQUEST:
		take_request(c, &in);
		break;
	case DONE:
		take_done(c, &in);
		break;
	case GONE:
		take_gone(c, &in);
		break;
	case SERIAL:
		take_serial(c, &in);
		break;
	case KNOWN:
	case FORGET:
		take_classes(c, &in, type == KNOWN);
		break;
	}
}

void
ledger_open(struct courier *c)
{
	c->reading = true;
	if (journal_open(&c->journal, ledger_take, c))
		log_info("journal: read events=%" PRIu64 " facts=%u",
		    c->targets.n, c->said.all.count);
	c->reading = false;
}
