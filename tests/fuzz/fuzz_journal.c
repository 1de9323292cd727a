/* SPDX-License-Identifier: MIT
 *
 * The courier's journal: a file as it may be found, and the records of a good
 * one.  The first octet says which.  Records: each behind two octets for its
 * length.  Whatever comes, queues and facts agree with their counts, and what is
 * written anew gives the same again.
 */
#include "fuzz.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/ipc.h"
#include "common/log.h"
#include "common/util.h"
#include "courier/courier.h"
#include "courier/http.h"
#include "courier/ledger.h"
#include "courier/text.h"

static void
count(void *ctx, struct bytes record)
{
	MUST(record.n > 0);
	++*(unsigned *)ctx;
}

static void
tell_nothing(void *ctx)
{
	(void)ctx;
}

static void
as_file(struct bytes in)
{
	unsigned n = 0, again = 0;
	struct journal j;
	int keep;

	journal_init(&j);
	for (unsigned i = 0; i < 2; i++)
		journal_file(&j, i, memfd_create("journal", MFD_CLOEXEC),
		    false);
	if (in.n > 0)
		MUST(pwrite(j.fd[0], in.p, in.n, 0) == (ssize_t)in.n);
	(void)journal_open(&j, count, &n);
	MUST(j.fd[0] >= 0);
	journal_add(&j, B("more"));
	MUST(journal_write(&j) == 0);
	keep = dup(j.fd[j.active]);
	journal_done(&j);
	journal_file(&j, 0, keep, false);
	journal_file(&j, 1, memfd_create("journal", MFD_CLOEXEC), false);
	MUST(journal_open(&j, count, &again));
	MUST(again == n + 1);
	MUST(journal_compact(&j, tell_nothing, NULL) == 0);
	journal_done(&j);
}

/* ---- records --------------------------------------------------------------------- */

static void
check(const struct courier *c)
{
	const struct target *t;
	const struct queued *i;
	uint64_t n = 0, octets = 0;

	TAILQ_FOREACH(t, &c->targets.all, link) {
		uint64_t mine = 0, counts = 0;

		TAILQ_FOREACH(i, &t->items, link) {
			mine++;
			counts += i->is_count;
			octets += i->text->n + TARGET_ITEM_COST;
		}
		MUST(mine == t->n && counts == t->counts.count);
		MUST(t->n_request <= t->n);
		n += mine;
	}
	MUST(n == c->targets.n && octets == c->targets.octets);
}

static struct courier *
courier(struct event_base *base, int *master)
{
	struct courier *c;
	int fds[2];

	MUST(ipc_pair(fds) == 0);
	*master = fds[1];
	c = courier_new(base, fds[0]);
	c->reading = true;
	return c;
}

/* What one says of itself, taken by another, is the same. */
static void
again(struct courier *c, struct event_base *base)
{
	struct courier *two;
	int master;

	for (unsigned i = 0; i < 2; i++)
		journal_file(&c->journal, i, memfd_create("journal",
		    MFD_CLOEXEC), false);
	(void)journal_open(&c->journal, ledger_take, c);
	MUST(ledger_rewrite(c) == 0);
	two = courier(base, &master);
	for (unsigned i = 0; i < 2; i++)
		journal_file(&two->journal, i, dup(c->journal.fd[i]), false);
	MUST(journal_open(&two->journal, ledger_take, two));
	check(two);
	MUST(two->targets.n == c->targets.n);
	MUST(two->targets.octets == c->targets.octets);
	MUST(two->said.all.count == c->said.all.count);
	MUST(two->epoch == c->epoch && two->serial == c->serial);
	courier_free(two);
	close(master);
}

static void
as_records(struct bytes in)
{
	struct event_base *base = event_base_new();
	int master;
	struct courier *c = courier(base, &master);

	while (in.n >= 2) {
		size_t n = (size_t)(unsigned char)in.p[0] << 8 |
		    (unsigned char)in.p[1];

		in = bytes_skip(in, 2);
		if (n > in.n)
			n = in.n;
		ledger_take(c, bytes_of(in.p, n));
		check(c);
		in = bytes_skip(in, n);
	}
	again(c, base);
	courier_free(c);
	close(master);
	event_base_free(base);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool begun;

	if (!begun) {
		signal(SIGPIPE, SIG_IGN);
		log_set_level(LOG_LEVEL_ERROR);
		log_to_fd(memfd_create("log", MFD_CLOEXEC));
		begun = true;
	}
	if (n == 0)
		return 0;
	if (data[0] % 2 == 0)
		as_file(bytes_of(data + 1, n - 1));
	else
		as_records(bytes_of(data + 1, n - 1));
	return 0;
}
