/* SPDX-License-Identifier: MIT
 *
 * What other hosts say of themselves.
 *
 * Runs in: the router.
 */
#include "router/hear.h"

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "router/router.h"

#define JITTER	100	/* ms: not all ask at once */

/* ---- where a host stands ------------------------------------------------ */

static void
host_missed(struct host *h)
{
	h->taking = false;
	host_want(h, h->router->sync.on ? 1 : random_1_to(JITTER));
}

static void
host_gap(struct host *h)
{
	counter.host_gaps++;
	h->state = HOST_WANTED;
	host_missed(h);
}

/* False: it comes from a router that has been replaced. */
static bool
host_epoch(struct host *h, uint64_t epoch)
{
	if (h->begun && epoch <= h->epoch)
		return epoch == h->epoch;
	h->begun = true;
	h->epoch = epoch;
	h->number = 0;
	h->state = HOST_WANTED;
	host_missed(h);
	return true;
}

/* For people: what is not printable ASCII is replaced. */
static void
host_name(struct host *h, struct bytes name)
{
	bool is_new = h->name[0] == '\0';

	if (name.n == 0)
		name = B("?");
	for (size_t i = 0; i < name.n; i++)
		h->name[i] = name.p[i] > ' ' && name.p[i] < 0x7f &&
		    name.p[i] != '"' && name.p[i] != '\\' ? name.p[i] : '?';
	h->name[name.n] = '\0';
	if (is_new && hosts_say(h->router))
		log_info("host joined name=%s node=%016llx",
		    log_value(bytes_str(h->name)),
		    (unsigned long long)h->node);
}

static void
take_rows(struct host *h, struct wire_eye eye)
{
	struct item_name name;
	uint64_t n;

	while (wire_read_row(&eye, &name, &n)) {
		if (item_set(h, &name, n) == 0 || h->crowded)
			continue;
		h->crowded = true;
		log_warn("no room for all that a host holds name=%s",
			    log_value(bytes_str(h->name)));
	}
}

/* ---- one envelope each -------------------------------------------------- */

static int
read_beat(struct wire_eye *eye, uint64_t *head, struct bytes *name)
{
	if (wire_read_head(eye, head, HEAD_OF_BEAT) < 0)
		return -1;
	*name = packed_bytes(&eye->in, WIRE_HOST_MAX);
	return packed_end(&eye->in) ? 0 : -1;
}

static bool
holds_the_same(const struct host *h, const uint64_t *head)
{
	if (h->number != head[HEAD_NUMBER])
		return false;
	return h->sweeping || h->crowded || (h->n_rows == head[HEAD_ROWS] &&
	    h->sum == head[HEAD_SUM]);
}

static int
hear_beat(struct host *h, struct wire_eye *eye)
{
	uint64_t head[HEAD_OF_BEAT];
	struct bytes name;

	if (read_beat(eye, head, &name) < 0)
		return -1;
	if (!host_epoch(h, head[HEAD_EPOCH]))
		return 0;
	host_name(h, name);
	if (h->state == HOST_KNOWN && !holds_the_same(h, head))
		host_gap(h);
	else if (h->state == HOST_WANTED && head[HEAD_FRESH])
		host_want(h, WANT_AGAIN);
	return 0;
}

/* It wants to know who is there. */
static int
hear_hello(struct host *h, struct wire_eye *eye)
{
	if (hear_beat(h, eye) < 0)
		return -1;
	h->router->contact.next_beat = 0;
	return 0;
}

static struct host *
host_by_node(struct router *r, uint64_t node)
{
	struct hash_link *l = hash_find(&r->contact.by_node,
	    bytes_of(&node, sizeof(node)));

	return l != NULL ? container_of(l, struct host, by_node) : NULL;
}

/* What another asks for we will hear, too. */
static int
hear_want(struct host *h, struct wire_eye *eye)
{
	struct router *r = h->router;
	struct host *wanted;
	uint64_t node;

	if (wire_read_head(eye, &node, 1) < 0 || !packed_end(&eye->in))
		return -1;
	wanted = host_by_node(r, node);
	if (node == r->node)
		snapshot_want(r);
	else if (wanted != NULL && wanted->state == HOST_WANTED)
		host_want(wanted, WANT_AGAIN);
	return 0;
}

static int
hear_changes(struct host *h, struct wire_eye *eye)
{
	uint64_t head[HEAD_OF_CHANGES];
	bool gap;

	if (wire_read_head(eye, head, HEAD_OF_CHANGES) < 0 ||
	    !wire_check(*eye))
		return -1;
	if (!host_epoch(h, head[HEAD_EPOCH]) ||
	    (h->number != 0 && head[HEAD_NUMBER] <= h->number))
		return 0;
	gap = head[HEAD_NUMBER] != h->number + 1;
	h->number = head[HEAD_NUMBER];
	take_rows(h, *eye);
	if (gap && h->state == HOST_KNOWN)
		host_gap(h);
	else if (gap && h->taking)
		host_missed(h);
	return 0;
}

/* Does it begin a snapshot that we need, or continue the one we take? */
static bool
chunk_fits(struct host *h, const uint64_t *head)
{
	if (head[HEAD_INDEX] == 0) {
		if (h->state == HOST_KNOWN && h->number == head[HEAD_NUMBER])
			return false;
		if (h->state == HOST_KNOWN)
			counter.host_gaps++;
		h->state = HOST_WANTED;
		h->taking = true;
		h->id = head[HEAD_ID];
		h->index = 0;
		h->number = head[HEAD_NUMBER];
		h->crowded = false;
		h->mark++;
		return true;
	}
	if (!h->taking)
		return false;
	if (h->id == head[HEAD_ID] && h->index == head[HEAD_INDEX] &&
	    h->number == head[HEAD_NUMBER])
		return true;
	host_missed(h);
	return false;
}

static int
hear_snapshot(struct host *h, struct wire_eye *eye)
{
	uint64_t head[HEAD_OF_SNAPSHOT];

	if (wire_read_head(eye, head, HEAD_OF_SNAPSHOT) < 0 ||
	    !wire_check(*eye))
		return -1;
	if (!host_epoch(h, head[HEAD_EPOCH]) || !chunk_fits(h, head))
		return 0;
	take_rows(h, *eye);
	h->index++;
	if (head[HEAD_LAST] == 0) {
		host_want(h, WANT_AGAIN);
		return 0;
	}
	h->taking = false;
	h->state = HOST_KNOWN;
	host_sweep(h);
	counter.snapshots_taken++;
	return 0;
}

static int
hear_bye(struct host *h, struct wire_eye *eye)
{
	uint64_t epoch;

	if (wire_read_head(eye, &epoch, 1) < 0 || !packed_end(&eye->in))
		return -1;
	if (host_epoch(h, epoch))
		host_lost(h, "it has stopped");
	return 0;
}

int
hear(struct host *h, const struct envelope *e)
{
	static int (*const kinds[ENVELOPE_KINDS])(struct host *,
	    struct wire_eye *) = {
		[ENVELOPE_HELLO] = hear_hello,
		[ENVELOPE_BEAT] = hear_beat,
		[ENVELOPE_WANT] = hear_want,
		[ENVELOPE_CHANGES] = hear_changes,
		[ENVELOPE_SNAPSHOT] = hear_snapshot,
		[ENVELOPE_BYE] = hear_bye,
	};
	struct wire_eye eye;

	wire_open(&eye, e->payload);
	return kinds[e->kind] != NULL ? kinds[e->kind](h, &eye) : -1;
}
