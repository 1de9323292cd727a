/* SPDX-License-Identifier: MIT
 *
 * Who tries to log in: see page.h.
 *
 * Runs in: workers.
 */
#include "front/page.h"

#include "common/hash.h"
#include "common/ip.h"
#include "common/util.h"
#include "worker/worker.h"

#define SETS		512
#define WAYS		8	/* of a set the one that was longest quiet goes */
#define FREE		3	/* wrong ones of an address without a pause */
#define WAIT_MOST	300	/* seconds, with one worker */
#define FORGOTTEN	1800	/* seconds after the last wrong one */
#define KNOWN		(7u * 86400)	/* seconds after the last right one */
#define A_SECOND	20	/* wrong ones that are answered */

/* Networks around an address: so many wrong ones at once, and one more each so
 * many seconds.  What one of a line can do to the end is less than what the next
 * line bears: nobody keeps his neighbours out by himself. */
static const struct net {
	unsigned bits4, bits6;
	unsigned free, every;
} nets[] = {
	{ 32, 64, 0, 0 },		/* an address: waits twice as long */
	{ 24, 48, 12, 10 },
	{ 16, 32, 40, 3 },
};

struct key {
	struct ip	 ip;
	uint32_t	 net;		/* index of nets */
};

static struct knocker {
	struct key	 key;
	bool		 used, known;
	unsigned	 wrong;		/* of an address */
	uint32_t	 last, until;	/* worker's seconds */
	uint32_t	 right;		/* when, if known */
} knockers[SETS][WAYS];
static bool any;
static uint32_t second;
static unsigned answered;

/* Each worker counts by itself, and the kernel chooses who is asked: of many, each
 * makes an address wait so many times longer. */
static unsigned
of_workers(void)
{
	uint64_t n = worker.config->peal.workers;

	return n > 1 ? (unsigned)n : 1;
}

/* ---- who is remembered ---------------------------------------------------- */

static struct key
whose(const char *from, uint32_t net)
{
	struct key k = { .net = net };
	static const unsigned char v4[12] = { [10] = 0xff, [11] = 0xff };
	unsigned bits;

	if (ip_parse(bytes_str(from), &k.ip) < 0) {
		k.ip = (struct ip){ { 0 } };
		return k;
	}
	bits = memcmp(k.ip.b, v4, sizeof(v4)) == 0 ? 96 + nets[net].bits4 :
	    nets[net].bits6;
	memset(k.ip.b + bits / 8, 0, sizeof(k.ip.b) - bits / 8);
	return k;
}

static struct knocker *
set_of(const struct key *key)
{
	return knockers[hash_bytes(bytes_of((const char *)key,
	    sizeof(*key))) % SETS];
}

static struct knocker *
find(const char *from, uint32_t net)
{
	struct key key = whose(from, net);
	struct knocker *set = set_of(&key);

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].used &&
		    memcmp(&set[i].key, &key, sizeof(key)) == 0)
			return &set[i];
	return NULL;
}

/* Guessing makes nobody forgotten who had the right one. */
static bool
goes_before(const struct knocker *a, const struct knocker *b)
{
	if (a->used != b->used)
		return !a->used;
	if (a->known != b->known)
		return !a->known;
	return a->last < b->last;
}

static struct knocker *
find_or_make(const char *from, uint32_t net)
{
	struct knocker *k = find(from, net), *set;
	struct key key;

	if (k != NULL)
		return k;
	key = whose(from, net);
	set = k = set_of(&key);
	for (size_t i = 1; i < WAYS; i++)
		if (goes_before(&set[i], k))
			k = &set[i];
	*k = (struct knocker){ .key = key, .used = true };
	any = true;
	return k;
}

void
knock_forget(void)
{
	if (any)
		memset(knockers, 0, sizeof(knockers));
	any = false;
	answered = 0;
}

/* ---- networks --------------------------------------------------------------- */

static unsigned
net_wait(const char *from, uint32_t net, uint32_t now)
{
	const struct knocker *k = find(from, net);
	uint32_t every = nets[net].every * of_workers();
	uint32_t bears = (nets[net].free - 1) * every;

	if (k == NULL || k->until <= now || k->until - now <= bears)
		return 0;
	return k->until - now - bears;
}

static void
net_wrong(const char *from, uint32_t net, uint32_t now)
{
	struct knocker *k = find_or_make(from, net);

	k->last = now;
	if (k->until < now)
		k->until = now;
	k->until += nets[net].every * of_workers();
}

/* ---- an address -------------------------------------------------------------- */

unsigned
knock_wait(const char *from, uint32_t now)
{
	struct knocker *k = find(from, 0);
	unsigned wait = 0, more;

	if (k != NULL && now - k->last >= FORGOTTEN)
		k->wrong = 0;
	else if (k != NULL && k->until > now)
		return k->until - now;
	if (k != NULL && k->known && now - k->right < KNOWN)
		return 0;
	for (uint32_t net = 1; net < NELEM(nets); net++)
		if ((more = net_wait(from, net, now)) > wait)
			wait = more;
	if (wait == 0 && second == now && answered >= A_SECOND)
		wait = 1;
	return wait;
}

unsigned
knock_wrong(const char *from, uint32_t now)
{
	struct knocker *k = find_or_make(from, 0);
	unsigned more, wait;

	if (second != now)
		answered = 0;
	second = now;
	answered++;
	for (uint32_t net = 1; net < NELEM(nets); net++)
		net_wrong(from, net, now);
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
knock_right(const char *from, uint32_t now)
{
	struct knocker *k = find_or_make(from, 0);

	k->wrong = 0;
	k->until = 0;
	k->known = true;
	k->last = k->right = now;
}
