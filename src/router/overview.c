/* SPDX-License-Identifier: MIT
 *
 * The backplane and the hosts, as pealctl shows them.
 *
 * Runs in: the router.
 */
#include "router/overview.h"

#include <inttypes.h>

#include "common/counters.h"
#include "common/json.h"
#include "common/util.h"
#include "router/router.h"

static uint64_t
seconds_since(const struct router *r, uint64_t ms)
{
	return ms != 0 && r->now > ms ? (r->now - ms) / 1000 : 0;
}

static void
add_text(struct buf *out, const char *name, struct bytes text)
{
	buf_fmt(out, "\"%s\":", name);
	json_quote(out, utf8_valid(text) ? text : B("?"));
}

/* ---- hosts --------------------------------------------------------------- */

static void
row_begin(struct buf *out, uint64_t node, struct bytes name, bool own)
{
	buf_fmt(out, "{\"node\":\"%016" PRIx64 "\",", node);
	add_text(out, "name", name);
	buf_fmt(out, ",\"own\":%s", own ? "true" : "false");
}

/* changes: told so far, or heard of that host. */
static void
row_end(struct buf *out, const char *state, uint64_t heard, uint64_t rows,
    uint64_t changes)
{
	buf_fmt(out, ",\"state\":\"%s\",\"heard\":%" PRIu64 ",\"rows\":%" PRIu64
	    ",\"changes\":%" PRIu64 "}\n", state, heard, rows, changes);
}

static void
add_own(const struct router *r, struct buf *out)
{
	row_begin(out, r->node, bytes_str(r->contact.name), true);
	row_end(out, "up", 0, r->tell.rows,
	    r->tell.number + tell_pending(&r->tell));
}

static void
add_host(const struct router *r, const struct host *h, struct buf *out)
{
	static const char *const states[] = {
		[HOST_WANTED] = "joining", [HOST_KNOWN] = "up",
		[HOST_LOST] = "lost",
	};

	row_begin(out, h->node, bytes_str(h->name), false);
	row_end(out, states[h->state], seconds_since(r, h->heard), h->n_rows,
	    h->number);
}

/* ---- the broker ---------------------------------------------------------- */

static const char *
state_name(const struct router *r, const struct backplane_state *s)
{
	if (!s->up)
		return "down";
	if (!r->reach.met)
		return "joining";
	return r->passage.degraded ? "degraded" : "up";
}

static void
add_state(const struct router *r, struct buf *out)
{
	struct backplane_state s = { 0 };

	if (r->backplane->state != NULL)
		r->backplane->state(r->carrier, &s);
	buf_fmt(out, ",\"state\":\"%s\",\"since\":%" PRIu64 ",",
	    state_name(r, &s), seconds_since(r, s.up && r->passage.degraded ?
	    r->passage.since : s.since));
	add_text(out, "broker", s.broker);
	buf_char(out, ',');
	add_text(out, "failure", s.why);
	buf_fmt(out, ",\"lag_us\":%" PRIu64 ",\"topics\":%" PRIu64
	    ",\"backlog\":%" PRIu64 ",\"backlog_octets\":%" PRIu64
	    ",\"in_flight\":%" PRIu64, s.lag_us, s.topics, s.backlog,
	    s.backlog_octets, r->passage.flights.live);
}

/* Those of the backplane and of the hosts. */
static void
add_counters(struct buf *out)
{
	static const struct bytes prefixes[] = { BYTES("backplane_"),
		BYTES("host"), BYTES("snapshots_") };
	const struct counter_info *info;
	const char *comma = "";

	buf_str(out, ",\"counters\":{");
	for (size_t i = 0; i < counter_count; i++)
		for (size_t p = 0; p < NELEM(prefixes); p++) {
			info = &counter_info[i];
			if (!bytes_starts(bytes_str(info->name), prefixes[p]))
				continue;
			buf_fmt(out, "%s\"%s\":%" PRIu64, comma, info->name,
			    counter_at(&counter, info));
			comma = ",";
		}
	buf_char(out, '}');
}

void
overview_hosts(struct router *r, struct buf *out)
{
	const struct host *h;

	add_own(r, out);
	TAILQ_FOREACH(h, &r->hosts, link)
		add_host(r, h, out);
}

void
overview_write(struct router *r, struct buf *out)
{
	if (carrier_alone(r)) {
		buf_str(out, "{\"ok\":true,\"driver\":\"none\","
		    "\"state\":\"alone\"}\n");
		return;
	}
	overview_hosts(r, out);
	buf_str(out, "{\"ok\":true,");
	add_text(out, "driver", bytes_str(r->backplane->name));
	add_state(r, out);
	add_counters(out);
	buf_str(out, "}\n");
}
