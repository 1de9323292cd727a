/* SPDX-License-Identifier: MIT
 *
 * Watch messages that wait: see watches.h.
 */
#include <stdlib.h>

#include "common/packed.h"
#include "common/util.h"
#include "worker/client.h"
#include "worker/parcel.h"
#include "worker/watches.h"

#define NAMES_MAX	10000	/* of a list; as in messages.def */

/* Both lists as packed arrays, so short that a parcel can carry them. */
struct watch_kept {
	uint64_t	 conn;
	uint32_t	 online_n, offline_n;	/* octets */
	char		*room;
};

static void
keep(struct watches *w, uint64_t conn, struct bytes online,
    struct bytes offline)
{
	struct watch_kept *k;

	if (w->n == w->cap) {
		w->cap = w->cap * 2 + 8;
		w->at = xreallocarray(w->at, w->cap, sizeof(*w->at));
	}
	k = &w->at[w->n++];
	*k = (struct watch_kept){
		.conn = conn, .online_n = (uint32_t)online.n,
		.offline_n = (uint32_t)offline.n,
		.room = xmalloc(online.n + offline.n + 1),
	};
	if (online.n > 0)
		memcpy(k->room, online.p, online.n);
	if (offline.n > 0)
		memcpy(k->room + online.n, offline.p, offline.n);
}

/* As many names from *at on as a parcel can carry, as a packed array. */
static void
pack_some(const struct msg_list *list, uint32_t *at, struct buf *out)
{
	uint32_t end = *at, octets = 8;

	while (end < list->n) {
		size_t n = msg_list_at(list, end).n + 5;

		if (octets + n > PARCEL_NAMES)
			break;
		octets += (uint32_t)n;
		end++;
	}
	if (end == *at)
		return;
	pack_array(out, end - *at);
	while (*at < end)
		pack_bytes(out, msg_list_at(list, (*at)++));
}

void
watches_keep(struct watches *w, uint64_t conn, const struct msg_watch *m)
{
	static struct buf online, offline;
	uint32_t on = 0, off = 0;

	do {
		buf_clear(&online);
		buf_clear(&offline);
		pack_some(&m->online, &on, &online);
		pack_some(&m->offline, &off, &offline);
		keep(w, conn, buf_view(&online), buf_view(&offline));
	} while (online.n + offline.n > 0 &&
	    (on < m->online.n || off < m->offline.n));
}

void
watches_keep_parcel(struct watches *w, uint64_t conn, const struct parcel *p)
{
	keep(w, conn, p->online, p->offline);
}

/* Names as a message's list; at is to be freed.  What is malformed is empty. */
static struct msg_list
list_of(struct bytes packed, struct bytes **at)
{
	struct packed in = packed_open(packed);
	uint32_t n = packed.n > 0 ? packed_count(&in, NAMES_MAX) : 0;

	*at = xcalloc(n + 1, sizeof(**at));
	for (uint32_t i = 0; i < n; i++)
		(*at)[i] = packed_bytes(&in, 1024);
	return (struct msg_list){ *at, in.bad ? 0 : n };
}

static void
show(const struct watch_kept *k)
{
	struct bytes *online, *offline;
	struct msg_watch m = { .conn = k->conn };

	m.online = list_of(bytes_of(k->room, k->online_n), &online);
	m.offline = list_of(bytes_of(k->room + k->online_n, k->offline_n),
	    &offline);
	client_on_watch(&m);
	free(online);
	free(offline);
}

static void
pass_on(const struct watch_kept *k, struct parcel_link *to)
{
	struct parcel p = {
		.kind = PARCEL_WATCH, .was = k->conn,
		.online = bytes_of(k->room, k->online_n),
		.offline = bytes_of(k->room + k->online_n, k->offline_n),
	};
	const char *why;

	/* If the link has ended, so has the conn. */
	(void)parcel_send(to, &p, &why);
}

/* Takes the oldest one of this conn out. */
static bool
take(struct watches *w, uint64_t conn, struct watch_kept *k)
{
	for (uint32_t i = 0; i < w->n; i++) {
		if (w->at[i].conn != conn)
			continue;
		*k = w->at[i];
		memmove(w->at + i, w->at + i + 1,
		    (--w->n - i) * sizeof(*w->at));
		return true;
	}
	return false;
}

void
watches_show(struct watches *w, uint64_t conn)
{
	struct watch_kept k;

	while (take(w, conn, &k)) {
		show(&k);
		free(k.room);
	}
}

void
watches_send(struct watches *w, uint64_t conn, struct parcel_link *to)
{
	struct watch_kept k;

	while (take(w, conn, &k)) {
		pass_on(&k, to);
		free(k.room);
	}
}

void
watches_drop(struct watches *w, uint64_t conn)
{
	struct watch_kept k;

	while (take(w, conn, &k))
		free(k.room);
}
