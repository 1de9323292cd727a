/* SPDX-License-Identifier: MIT
 *
 * Marks: see mark.h.
 *
 * Runs in: the router.
 */
#include "router/mark.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/router.h"

struct mark {
	TAILQ_ENTRY(mark)	 link;
	struct peer		*from;
	uint64_t		 cookie;
};

void
mark_ask(struct peer *from, const struct msg_mark *m)
{
	struct mark *k = xcalloc(1, sizeof(*k));

	k->from = from;
	k->cookie = m->cookie;
	peer_hurry(from);
	TAILQ_INSERT_TAIL(&from->router->marks, k, link);
}

static void
mark_free(struct router *r, struct mark *k)
{
	TAILQ_REMOVE(&r->marks, k, link);
	free(k);
}

/* Its own link needs no look: the answer comes behind what is on it. */
static bool
others_written(const struct router *r, const struct peer *from)
{
	const struct peer *p;

	TAILQ_FOREACH(p, &r->peers, link)
		if (p != from && !p->gone && peer_backlog(p) > 0)
			return false;
	return true;
}

void
marks_turn(struct router *r)
{
	struct mark *k, *next;

	for (k = TAILQ_FIRST(&r->marks); k != NULL; k = next) {
		next = TAILQ_NEXT(k, link);
		if (!others_written(r, k->from))
			continue;
		msg_pack_marked(ipc_out(k->from->ipc), &(struct msg_marked){
		    .cookie = k->cookie, .epoch = r->epoch,
		    .serial = r->serial });
		ipc_flush(k->from->ipc);
		mark_free(r, k);
	}
}

void
marks_forget(struct router *r, const struct peer *dead)
{
	struct mark *k, *next;

	for (k = TAILQ_FIRST(&r->marks); k != NULL; k = next) {
		next = TAILQ_NEXT(k, link);
		if (dead == NULL || k->from == dead)
			mark_free(r, k);
	}
}
