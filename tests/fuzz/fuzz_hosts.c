/* SPDX-License-Identifier: MIT
 *
 * What other hosts tell of themselves: the input is a list of payloads, each
 * behind an octet for its kind and host, one for the host's incarnation, and
 * two for its length.  Whatever comes, the census must agree with the rows that
 * are kept, and nothing of a host may be left when it is gone.
 */
#include "fuzz.h"

#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/util.h"
#include "router/router.h"

/* ---- a backplane that carries nothing ----------------------------------- */

static void *
null_open(const struct config_backplane *set, struct event_base *base,
    const struct backplane_up *up, void *ctx, const char **why)
{
	(void)set, (void)base, (void)up, (void)why;
	return ctx;
}

static void
null_self(void *self)
{
	(void)self;
}

static void
null_topic(void *self, const struct topic *t)
{
	(void)self, (void)t;
}

static void
null_join(void *self, const struct topic *t, struct position since)
{
	(void)self, (void)t, (void)since;
}

static void
null_publish(void *self, const struct topic *t, struct bytes octets,
    uint64_t cookie)
{
	(void)self, (void)t, (void)octets, (void)cookie;
}

static const struct backplane null = {
	.name = "null", .open = null_open, .close = null_self,
	.start = null_self, .flush = null_self, .join = null_join,
	.leave = null_topic, .publish = null_publish,
};

/* ---- a router ----------------------------------------------------------- */

static struct config *
settings(void)
{
	char *none[] = { NULL }, path[] = "/tmp/peal-fuzz-XXXXXX", *why;
	struct config_source source = { .file = path, .environ_ = none };
	static const char ini[] = "[app chat]\nid = 1\nkey = k\nsecret = s\n";
	struct config *c;
	int fd = mkstemp(path);

	MUST(fd >= 0);
	MUST(write(fd, ini, sizeof(ini) - 1) == sizeof(ini) - 1);
	close(fd);
	c = config_load(&source, &why);
	unlink(path);
	MUST(c != NULL);
	return c;
}

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
		router_settings(r, settings());
		log_set_level(LOG_LEVEL_ERROR);
		sync_go(r, 0);
	} else {
		census_init(r);
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
		    data[0] % (ENVELOPE_KINDS - ENVELOPE_HELLO)),
		.node = 1 + (data[0] >> 4) % 4, .incarnation = data[1] & 3,
	};
	size_t size = (size_t)data[2] << 8 | data[3];
	struct host *h;

	if (size > n - 4)
		size = n - 4;
	e.payload = bytes_of(data + 4, size);
	h = host_of(r, &e);
	if (h != NULL)
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
