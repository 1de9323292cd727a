/* SPDX-License-Identifier: MIT
 *
 * What a courier must do, see model.h.
 */
#include "model_inner.h"

#include <errno.h>
#include <unistd.h>

#include "common/counters.h"
#include "courier/ledger.h"
#include "courier/news.h"
#include "courier/text.h"

const char *const model_apps[APPS] = { "1001", "1002" };
const char *const model_channels[CHANNELS] = { "room", "#server-to-user-7",
	"presence-a", "presence-b" };
const char *const model_users[USERS] = { "", "u1", "u\"2", "u3" };
bool model_disk_full;

struct rig *rig;
struct model now, kept;
struct choice hosts;
char **texts;
unsigned said[APPS], lost[APPS], delivered_ever;
uint64_t seed;

static struct wishes wishes;
static unsigned n_texts, cap_texts;
static uint64_t random_state;
static struct counters before;

/* ---- chance -------------------------------------------------------------- */

unsigned
dice(unsigned n)
{
	random_state = random_state * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (unsigned)(random_state >> 33) % n;
}

bool
one_in(unsigned n)
{
	return dice(n) == 0;
}

void	__wrap_random_fill(void *, size_t);
uint32_t __wrap_random_1_to(uint32_t);

void
__wrap_random_fill(void *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((unsigned char *)to)[i] = (unsigned char)dice(256);
}

uint32_t
__wrap_random_1_to(uint32_t limit)
{
	return 1 + dice(limit);
}

/* ---- texts --------------------------------------------------------------- */

unsigned
text_keep(char *text)
{
	if (n_texts == cap_texts) {
		cap_texts = cap_texts * 2 + 64;
		texts = xreallocarray(texts, cap_texts, sizeof(*texts));
	}
	texts[n_texts] = text;
	return n_texts++;
}

static const char *
quoted(unsigned user)
{
	return user == 2 ? "u\\\"2" : model_users[user];
}

unsigned
text_of_state(unsigned kind, unsigned channel, unsigned user)
{
	if (user == 0)
		return text_keep(xasprintf("{\"name\":\"%s\",\"channel\":"
		    "\"%s\"}", body_name(kind), model_channels[channel]));
	return text_keep(xasprintf("{\"name\":\"%s\",\"channel\":\"%s\","
	    "\"user_id\":\"%s\"}", body_name(kind), model_channels[channel],
	    quoted(user)));
}

unsigned
text_of_event(const struct msg_hook_event *m)
{
	switch (m->kind) {
	case HOOK_CLIENT:
		return text_keep(xasprintf("{\"name\":\"client_event\","
		    "\"channel\":\"%.*s\",\"event\":%.*s,\"data\":%.*s,"
		    "\"socket_id\":\"12.34\"}", (int)m->channel.n,
		    m->channel.p, (int)m->event.n, m->event.p, (int)m->data.n,
		    m->data.p));
	case HOOK_COUNT:
		return text_keep(xasprintf("{\"name\":\"subscription_count\","
		    "\"channel\":\"%.*s\",\"subscription_count\":%" PRIu64 "}",
		    (int)m->channel.n, m->channel.p, m->count));
	case HOOK_MISS:
		return text_keep(xasprintf("{\"name\":\"cache_miss\","
		    "\"channel\":\"%.*s\"}", (int)m->channel.n, m->channel.p));
	default:
		return text_keep(xasprintf("{\"name\":\"connection_opened\","
		    "\"socket_id\":\"%" PRIu64 ".%" PRIu64 "\"}", m->socket_a,
		    m->socket_b));
	}
}

unsigned
number_of(struct bytes name, const char *const *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (bytes_eq(name, bytes_str(names[i])))
			return i;
	WRONG("no such name: %.*s", (int)name.n, name.p);
	return 0;
}

unsigned
app_of(struct bytes name)
{
	return number_of(name, model_apps, APPS);
}

unsigned
channel_of(struct bytes name)
{
	return number_of(name, model_channels, CHANNELS);
}

/* ---- queues -------------------------------------------------------------- */

uint64_t
model_octets(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < TARGETS; i++)
		n += now.goals[i].octets;
	return n;
}

uint64_t
model_items(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < TARGETS; i++)
		n += now.goals[i].n;
	return n;
}

static uint64_t
cost_of(const struct item *i)
{
	return strlen(texts[i->text]) + TARGET_ITEM_COST;
}

static void
take_out(struct goal *g, unsigned at)
{
	g->octets -= cost_of(&g->items[at]);
	memmove(g->items + at, g->items + at + 1,
	    (--g->n - at) * sizeof(g->items[0]));
}

void
goal_pop(struct goal *g, unsigned n)
{
	while (n-- > 0)
		take_out(g, 0);
	g->ripe = false;
	g->n_request = 0;
	g->body = NONE;
}

/* A count that waits and that no request has, of this channel. */
static unsigned
count_waits(const struct goal *g, unsigned channel)
{
	for (unsigned i = g->n_request; i < g->n; i++)
		if (g->items[i].counts == channel)
			return i;
	return NONE;
}

static bool
wants(const struct goal *g, const struct due *d)
{
	return g->wish.there && g->wish.app == d->app &&
	    (g->wish.events & 1u << d->kind) != 0 && (!g->wish.prefix ||
	    d->channel == NONE || strncmp(model_channels[d->channel],
	    "presence-", 9) == 0);
}

unsigned
model_wanted(unsigned app)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < TARGETS; i++)
		if (now.goals[i].wish.there && now.goals[i].wish.app == app)
			mask |= now.goals[i].wish.events;
	return mask;
}

unsigned
model_classes(unsigned app)
{
	unsigned mask = model_wanted(app);

	return (mask & (1u << EVENT_OCCUPIED | 1u << EVENT_VACATED) ?
	    SAID_CHANNELS : 0) | (mask & (1u << EVENT_ADDED |
	    1u << EVENT_REMOVED) ? SAID_MEMBERS : 0);
}

bool
goal_may_begin(const struct goal *g)
{
	return g->n >= g->wish.most || rig->courier->targets.hasty ||
	    clock_ms() >= g->items[0].since + g->wish.wait;
}

void
goal_push(struct goal *g, const struct due *d)
{
	struct item *i;
	unsigned old = NONE;

	if (g->n > 0 && goal_may_begin(g))
		g->ripe = true;
	if (d->kind == EVENT_COUNT)
		old = count_waits(g, d->channel);
	if (old != NONE)
		take_out(g, old);
	if (g->n == ITEMS)
		WRONG("the model has no room");
	i = &g->items[g->n++];
	i->text = d->text;
	i->counts = d->kind == EVENT_COUNT ? d->channel : NONE;
	i->since = clock_ms();
	g->octets += cost_of(i);
}

/* Which targets must get it: a set of bits. */
unsigned
goal_takers(const struct due *d)
{
	uint64_t cost = strlen(texts[d->text]) + TARGET_ITEM_COST;
	uint64_t all = model_octets();
	unsigned set = 0;

	for (unsigned i = 0; i < TARGETS; i++) {
		struct goal *g = &now.goals[i];

		if (!wants(g, d))
			continue;
		if (d->kind == EVENT_COUNT &&
		    count_waits(g, d->channel) != NONE) {
			set |= 1u << i;
			continue;
		}
		now.taken++;
		if (g->octets + cost <= g->wish.max_queue &&
		    all + cost <= now.max_queue)
			set |= 1u << i;
		else
			now.dropped++;
	}
	return set;
}

/* ---- settings ------------------------------------------------------------ */

void	__real_targets_settings(struct courier *, const struct config *);
void	__wrap_targets_settings(struct courier *, const struct config *);
void	__real_targets_settled(struct courier *);
void	__wrap_targets_settled(struct courier *);
void	__real_news_settings(struct courier *);
void	__wrap_news_settings(struct courier *);

void
__wrap_targets_settings(struct courier *c, const struct config *config)
{
	for (unsigned i = 0; i < TARGETS; i++) {
		struct goal *g = &now.goals[i];

		if (g->wish.there && wishes.at[i].there &&
		    g->wish.url != wishes.at[i].url)
			g->try_from = g->try_until = 0;
		g->wish = wishes.at[i];
	}
	now.hold_back = wishes.hold_back;
	now.max_queue = wishes.max_queue;
	now.max_requests = wishes.max_requests;
	__real_targets_settings(c, config);
}

void
__wrap_targets_settled(struct courier *c)
{
	for (unsigned i = 0; i < TARGETS; i++)
		if (!now.goals[i].wish.there) {
			now.dropped += now.goals[i].n;
			now.goals[i] = (struct goal){ .body = NONE };
		}
	__real_targets_settled(c);
}

void
__wrap_news_settings(struct courier *c)
{
	for (unsigned a = 0; a < APPS; a++) {
		unsigned classes = model_classes(a);

		now.known[a] &= classes;
		for (unsigned i = 0; i < CHANNELS * USERS; i++)
			if (!(classes & (i % USERS != 0 ? SAID_MEMBERS :
			    SAID_CHANNELS)))
				now.states[FACT(a, 0, i)] =
				    (struct state){ .there = false };
	}
	__real_news_settings(c);
}

/* ---- the journal --------------------------------------------------------- */

int	__real_journal_write(struct journal *);
int	__wrap_journal_write(struct journal *);
int	__real_journal_compact(struct journal *, void (*)(void *), void *);
int	__wrap_journal_compact(struct journal *, void (*)(void *), void *);
ssize_t	__real_pwrite64(int, const void *, size_t, off_t);
ssize_t	__wrap_pwrite64(int, const void *, size_t, off_t);
void	__real_ledger_open(struct courier *);
void	__wrap_ledger_open(struct courier *);

int
__wrap_journal_write(struct journal *j)
{
	int r = __real_journal_write(j);

	if (r == 0)
		kept = now;
	return r;
}

int
__wrap_journal_compact(struct journal *j, void (*tell)(void *), void *ctx)
{
	int r = __real_journal_compact(j, tell, ctx);

	if (r == 0)
		kept = now;
	return r;
}

/* A few octets fit, not a record. */
ssize_t
__wrap_pwrite64(int fd, const void *p, size_t n, off_t at)
{
	static bool some;

	if (!model_disk_full)
		return __real_pwrite64(fd, p, n, at);
	some = !some && one_in(2);
	if (some)
		return __real_pwrite64(fd, p, n < 7 ? n : 7, at);
	errno = ENOSPC;
	return -1;
}

void
__wrap_ledger_open(struct courier *c)
{
	__real_ledger_open(c);
	for (unsigned i = 0; i < TARGETS; i++)
		for (unsigned k = 0; k < now.goals[i].n; k++)
			now.goals[i].items[k].since = clock_ms();
	now.taken = now.delivered = now.dropped = now.expired = 0;
	now.began = model_items();
	before = counter;
}

void
model_killed(void)
{
	now = kept;
	for (unsigned i = 0; i < TARGETS; i++) {
		now.goals[i].wish.there = now.goals[i].asked = false;
		now.goals[i].ripe = false;
		now.goals[i].failures = 0;
	}
	for (unsigned i = 0; i < FACTS; i++) {
		struct state *s = &now.states[i];

		s->held = false;
		s->since_roll = 0;
	}
	memset(now.missed, 0, sizeof(now.missed));
	memset(now.rolled, 0, sizeof(now.rolled));
	now.n_recent = now.roll = 0;
	now.rolling = now.settled = false;
	choice_done(&hosts);
	choice_init(&hosts);
}

/* ---- both are the same --------------------------------------------------- */

static void
compare_goal(const struct target *t)
{
	const struct goal *g = goal_of(t);
	const struct queued *q;
	unsigned i = 0;

	MUST(g->wish.there && t->n == g->n && t->octets == g->octets);
	MUST(t->n_request == g->n_request && t->failures == g->failures);
	MUST((t->state == TARGET_BUSY) == g->asked);
	MUST(g->n_request == 0 || strcmp(t->id, g->id) == 0);
	TAILQ_FOREACH(q, &t->items, link)
		if (!bytes_eq(text_json(q->text),
		    bytes_str(texts[g->items[i++].text])))
			WRONG("waits for %s: %.*s, not %s", t->label,
			    (int)q->text->n, q->text->p,
			    texts[g->items[i - 1].text]);
}

/* Nobody waits that could be served. */
static void
compare_work(const struct goal *g)
{
	uint64_t failing = now.max_requests / 2 > 0 ? now.max_requests / 2 : 1;

	if (g->n == 0 || g->asked || rig->courier->targets.stopped ||
	    under_way(false) >= now.max_requests)
		return;
	if (g->failures == 0)
		MUST(g->n_request == 0 && !goal_may_begin(g));
	else
		MUST(clock_ms() < g->try_until || under_way(true) >= failing);
}

static void
on_fact(void *ctx, struct bytes app, struct bytes channel, struct bytes user)
{
	MUST(now.states[FACT(app_of(app), channel_of(channel),
	    number_of(user, model_users, USERS))].there);
	++*(unsigned *)ctx;
}

static void
on_known(void *ctx, struct bytes app, unsigned classes)
{
	(void)ctx;
	MUST(now.known[app_of(app)] == classes);
}

static void
compare_states(void)
{
	unsigned n = 0, there = 0;

	said_each(&rig->courier->said, on_fact, on_known, &n);
	for (unsigned i = 0; i < FACTS; i++) {
		const struct state *s = &now.states[i];

		there += s->there;
		MUST(!s->there || !s->held || !now.settled ||
		    clock_ms() - s->since < now.hold_back);
	}
	MUST(n == there);
}

static void
compare_counters(void)
{
	MUST(counter.hooks_taken - before.hooks_taken == now.taken);
	MUST(counter.hooks_delivered - before.hooks_delivered ==
	    now.delivered);
	MUST(counter.hooks_dropped - before.hooks_dropped == now.dropped);
	MUST(counter.hooks_expired - before.hooks_expired == now.expired);
	MUST(now.began + now.taken == now.delivered + now.dropped +
	    now.expired + model_items());
}

void
model_compare(void)
{
	const struct courier *c = rig->courier;
	const struct target *t;
	unsigned n = 0;

	TAILQ_FOREACH(t, &c->targets.all, link) {
		compare_goal(t);
		n++;
	}
	for (unsigned i = 0; i < TARGETS; i++) {
		n -= now.goals[i].wish.there;
		compare_work(&now.goals[i]);
	}
	MUST(n == 0 && c->targets.n == model_items() &&
	    c->targets.octets == model_octets() &&
	    c->targets.busy == under_way(false));
	MUST(c->epoch == now.epoch && c->serial == now.serial);
	MUST(kept.epoch != rig->epoch || rig->acked <= kept.serial);
	compare_states();
	compare_counters();
}

void
model_all_done(void)
{
	for (unsigned a = 0; a < APPS; a++)
		if (now.number[a] != said[a])
			MUST(said[a] <= lost[a]);
	MUST(model_items() == 0 && nothing_asked());
}

void
model_hopeless(void)
{
	for (unsigned i = 0; i < TARGETS; i++)
		MUST(now.goals[i].n == 0 ||
		    now.goals[i].failures >= TARGET_OPEN_AFTER);
}

bool
model_announced(unsigned fact)
{
	const struct state *s = &now.states[fact];

	MUST(!s->held);
	return s->there;
}

unsigned
model_delivered(void)
{
	return delivered_ever;
}

/* ---- life ---------------------------------------------------------------- */

void
model_wishes(const struct wishes *w)
{
	wishes = *w;
}

void
model_router_lost(void)
{
	memcpy(lost, said, sizeof(lost));
}

void
model_said(unsigned app, unsigned number)
{
	said[app] = number;
}

void
model_begin(struct rig *r, uint64_t random)
{
	rig = r;
	seed = random;
	random_state = random * UINT64_C(0x9e3779b97f4a7c15) + 1;
	memset(&now, 0, sizeof(now));
	for (unsigned i = 0; i < TARGETS; i++)
		now.goals[i].body = NONE;
	kept = now;
	memset(said, 0, sizeof(said));
	memset(lost, 0, sizeof(lost));
	said_begin();
	model_disk_full = false;
	before = counter;
	choice_init(&hosts);
}

void
model_done(void)
{
	while (n_texts > 0)
		free(texts[--n_texts]);
	free(texts);
	texts = NULL;
	cap_texts = 0;
	choice_done(&hosts);
}
