/* SPDX-License-Identifier: MIT
 *
 * Who tries to log in: see page.h.
 *
 * Runs in: workers.
 */
#include "front/page.h"

#include "common/ip.h"
#include "common/util.h"
#include "worker/worker.h"

#define KNOCKERS	64	/* the one that was wrong longest ago goes */
#define FREE		3	/* wrong ones without a pause */
#define WAIT_MOST	300	/* seconds, with one worker */
#define FORGOTTEN	1800	/* seconds after the last wrong one */
#define A_SECOND	20	/* tokens that are looked at */

static struct knocker {
	struct ip	 ip;
	unsigned	 wrong;		/* 0: unused */
	uint32_t	 last, until;	/* worker's seconds */
} knockers[KNOCKERS];
static uint32_t second;
static unsigned looked_at;

static struct ip
whose(const char *from)
{
	struct ip ip = { { 0 } };
	static const unsigned char v4[12] = { [10] = 0xff, [11] = 0xff };

	if (ip_parse(bytes_str(from), &ip) == 0 &&
	    memcmp(ip.b, v4, sizeof(v4)) != 0)
		memset(ip.b + 8, 0, 8);
	return ip;
}

static struct knocker *
find(const char *from)
{
	struct ip ip = whose(from);

	for (size_t i = 0; i < NELEM(knockers); i++)
		if (knockers[i].wrong > 0 &&
		    memcmp(&knockers[i].ip, &ip, sizeof(ip)) == 0)
			return &knockers[i];
	return NULL;
}

unsigned
knock_wait(const char *from, uint32_t now)
{
	struct knocker *k = find(from);

	if (k != NULL && now - k->last >= FORGOTTEN)
		k->wrong = 0;
	else if (k != NULL && k->until > now)
		return k->until - now;
	if (second != now) {
		second = now;
		looked_at = 0;
	}
	return looked_at++ < A_SECOND ? 0 : 1;
}

static struct knocker *
oldest(void)
{
	struct knocker *k = &knockers[0];

	for (size_t i = 1; i < NELEM(knockers) && k->wrong > 0; i++)
		if (knockers[i].wrong == 0 || knockers[i].last < k->last)
			k = &knockers[i];
	return k;
}

/* Each worker counts by itself, and the kernel chooses who is asked: of many, each
 * makes an address wait so many times longer. */
static unsigned
of_workers(void)
{
	uint64_t n = worker.config->peal.workers;

	return n > 1 ? (unsigned)n : 1;
}

unsigned
knock_wrong(const char *from, uint32_t now)
{
	struct knocker *k = find(from);
	unsigned more, wait;

	if (k == NULL) {
		k = oldest();
		*k = (struct knocker){ .ip = whose(from) };
	}
	k->last = now;
	if (++k->wrong < FREE)
		return 0;
	more = k->wrong - FREE;
	wait = more < 9 ? 1u << more : WAIT_MOST;
	wait = (wait < WAIT_MOST ? wait : WAIT_MOST) * of_workers();
	/* A part of this second is over. */
	k->until = now + 1 + (wait < FORGOTTEN ? wait : FORGOTTEN);
	return k->until - now;
}

void
knock_right(const char *from)
{
	struct knocker *k = find(from);

	if (k != NULL)
		k->wrong = 0;
}
