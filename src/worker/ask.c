/* SPDX-License-Identifier: MIT
 *
 * Questions to the router and to the master.
 *
 * Runs in: workers.  Owns: nothing; its list is of those who wait.
 */
#include "worker/ask.h"

#include "worker/uplink.h"
#include "worker/worker.h"

#define LOST	"{\"ok\":false,\"error\":\"the router is starting, try again\"," \
		"\"again\":true}\n"

static TAILQ_HEAD(, asking) all = TAILQ_HEAD_INITIALIZER(all);
static uint64_t last;		/* cookie */

static void
arm(struct asking *a, bool of_router)
{
	ask_cancel(a);
	a->cookie = ++last;
	a->of_router = of_router;
	a->armed = true;
	TAILQ_INSERT_TAIL(&all, a, link);
}

static void
disarm(struct asking *a)
{
	TAILQ_REMOVE(&all, a, link);
	a->armed = false;
}

static struct asking *
find(uint64_t cookie, bool of_router)
{
	struct asking *a;

	TAILQ_FOREACH(a, &all, link)
		if (a->cookie == cookie && a->of_router == of_router)
			return a;
	return NULL;
}

static void
told(struct asking *a, struct bytes text, bool end)
{
	if (end)
		disarm(a);
	a->told(a, text, end);
}

void
ask_router(struct asking *a, struct bytes line)
{
	arm(a, true);
	if (uplink() == NULL)
		told(a, B(LOST), true);
	else
		msg_pack_ask(ipc_out(uplink()), &(struct msg_ask){
		    .cookie = a->cookie, .line = line });
}

void
ask_master(struct asking *a, unsigned what)
{
	arm(a, false);
	msg_pack_ask_report(ipc_out(worker.master), &(struct msg_ask_report){
	    .cookie = a->cookie, .what = what });
}

void
ask_cancel(struct asking *a)
{
	if (!a->armed)
		return;
	if (a->of_router && uplink() != NULL)
		msg_pack_ask_end(ipc_out(uplink()), &(struct msg_ask_end){
		    .cookie = a->cookie });
	disarm(a);
}

void
ask_on_told(const struct msg_told *m)
{
	struct asking *a = find(m->cookie, true);

	if (a != NULL)
		told(a, m->lines, m->end != 0);
}

void
ask_on_report(const struct msg_report *m)
{
	struct asking *a = find(m->cookie, false);

	if (a != NULL)
		told(a, m->text, true);
}

/* Whoever is told may ask again at once, and then fails at once: only those that
 * wait now are gone through. */
void
ask_lost(void)
{
	uint64_t until = last;
	struct asking *a;
	bool found = true;

	while (found) {
		found = false;
		TAILQ_FOREACH(a, &all, link) {
			if (!a->of_router || a->cookie > until)
				continue;
			told(a, B(LOST), true);
			found = true;
			break;
		}
	}
}
