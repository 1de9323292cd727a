/* SPDX-License-Identifier: MIT
 *
 * What other hosts tell of themselves: the input is a list of payloads, each
 * behind an octet for its kind and host, one for the host's incarnation, and
 * two for its length.  Whatever comes, the census must agree with the rows that
 * are kept, and nothing of a host may be left when it is gone.  What is made of it
 * for a courier, who is not there, keeps within its bound.
 */
#include "router.h"

#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/util.h"

#define HOOK	"[webhook a]\nurl = https://hooks.example.org/\n"
#define HOSTS_KINDS	(ENVELOPE_HOOK - ENVELOPE_HELLO)

/* ---- a router ----------------------------------------------------------- */

/* One for all inputs; hosts and censuses are made anew for each. */
static struct router *
router(void)
{
	static struct router *r;
	int fds[2];

	if (r == NULL) {
		log_init("fuzz");
		MUST(ipc_pair(fds) == 0);
		r = router_new(event_base_new(), fds[0]);
		r->node = 99;
		r->backplane = &null;
		router_settings(r, settings(HOOK));
		log_set_level(LOG_LEVEL_ERROR);
		sync_go(r, 0);
	} else {
		census_init(r);
		hooks_settings(r);
		memset(&r->contact, 0, sizeof(r->contact));
		hosts_init(r);
	}
	hosts_up(r);
	return r;
}

/* ---- what must hold ----------------------------------------------------- */

static void
check_host(const struct host *h)
{
	const struct away *a;
	uint64_t rows = 0, sum = 0, mark = 0;

	TAILQ_FOREACH(a, &h->rows, of_host) {
		MUST(a->n > 0 && a->host == h && a->item->away_n >= a->n);
		MUST(a->mark >= mark && a->mark <= h->mark);
		mark = a->mark;
		rows++;
		sum += a->n;
	}
	MUST(rows == h->n_rows && sum == h->sum);
}

static void
check(const struct router *r)
{
	const struct host *h;
	uint64_t rows = 0;

	TAILQ_FOREACH(h, &r->hosts, link) {
		check_host(h);
		rows += h->n_rows;
	}
	MUST(rows == r->contact.rows);
	MUST(r->hooks.octets <= HOOKS_QUEUE);
}

static void
check_empty(struct router *r)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	MUST(TAILQ_EMPTY(&r->hosts) && r->contact.rows == 0);
	while ((l = hash_walk(&r->censuses, &at)) != NULL) {
		struct census *c = container_of(l, struct census, link);

		MUST(TAILQ_EMPTY(&c->order) && c->users.count == 0);
		MUST(c->open.away == NULL && c->subscribed.away == NULL);
	}
	MUST(counter.members == 0 && counter.users == 0);
}

static size_t
take_one(struct router *r, const uint8_t *data, size_t n)
{
	struct envelope e = {
		.kind = (enum envelope_kind)(ENVELOPE_HELLO +
		    data[0] % HOSTS_KINDS),
		.node = 1 + (data[0] >> 4) % 4, .incarnation = data[1] & 3,
	};
	size_t size = (size_t)data[2] << 8 | data[3];
	struct host *h;

	if (size > n - 4)
		size = n - 4;
	e.payload = bytes_of(data + 4, size);
	h = host_of(r, &e);
	if (h != NULL && (data[1] & 0x80))
		hooks_heard(r, &e);
	else if (h != NULL)
		host_take(r, h, &e);
	return 4 + size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct router *r = router();

	while (n >= 4) {
		size_t used = take_one(r, data, n);

		check(r);
		router_turn(r);
		check(r);
		data += used;
		n -= used;
	}
	hosts_done(r);
	check_empty(r);
	census_done(r);
	return 0;
}
