/* SPDX-License-Identifier: MIT
 *
 * What a router is told by the one before it: the input is a list of messages,
 * the body of each behind two octets for its length.  Whatever comes, the census
 * must agree with the rows that are kept; the router takes over, and nothing is
 * left when it ends.
 */
#include "router.h"

#include <signal.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/util.h"

/* ---- a router ----------------------------------------------------------- */

/* Its links to the master and to the elder, as these see them. */
static struct router *
router(struct event_base *base, int *master, int *elder)
{
	struct router *r;
	int fds[2];

	log_init("fuzz");
	MUST(ipc_pair(fds) == 0);
	*master = fds[1];
	r = router_new(base, fds[0]);
	r->node = 99;
	r->incarnation = 1;
	r->backplane = &null;
	router_settings(r, settings("[rooms]\napp = 1\nhistory = 3\n"));
	log_set_level(LOG_LEVEL_ERROR + 1);
	MUST(ipc_pair(fds) == 0);
	*elder = fds[1];
	heir_begin(r, fds[0]);
	carrier_start(r);
	heir_go(r);
	return r;
}

static void
check(const struct router *r)
{
	const struct host *h;
	const struct away *a;
	uint64_t all = 0;

	TAILQ_FOREACH(h, &r->hosts, link) {
		uint64_t rows = 0, sum = 0;

		TAILQ_FOREACH(a, &h->rows, of_host) {
			MUST(a->n > 0 && a->host == h &&
			    a->item->away_n >= a->n);
			rows++;
			sum += a->n;
		}
		MUST(rows == h->n_rows && sum == h->sum);
		all += rows;
	}
	MUST(all == r->contact.rows);
}

static void
turn(struct router *r)
{
	event_base_loop(r->base, EVLOOP_NONBLOCK);
	router_turn(r);
	check(r);
}

/* One message; how much of the input it was. */
static size_t
tell(int fd, const uint8_t *data, size_t n)
{
	size_t size = (size_t)data[0] << 8 | data[1];
	uint8_t head[4] = { 0, 0 };

	if (size > n - 2)
		size = n - 2;
	head[2] = (uint8_t)(size >> 8);
	head[3] = (uint8_t)size;
	if (write(fd, head, sizeof(head)) == sizeof(head))
		(void)!write(fd, data + 2, size);
	return 2 + size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct event_base *base = event_base_new();
	int master, elder;
	struct router *r = router(base, &master, &elder);

	signal(SIGPIPE, SIG_IGN);
	while (n >= 2) {
		size_t used = tell(elder, data, n);

		turn(r);
		data += used;
		n -= used;
	}
	heir_take_over(r, 0);
	turn(r);
	turn(r);
	MUST(!r->heir.waits);
	router_free(r);
	close(master);
	close(elder);
	event_base_free(base);
	MUST(counter.members == 0 && counter.users == 0 &&
	    counter.cached == 0 && counter.channels == 0);
	return 0;
}
