/* SPDX-License-Identifier: MIT
 *
 * What is announced, see said.h.
 *
 * Runs in: the courier.
 */
#include "courier/said.h"

#include <stdlib.h>

#include "common/util.h"

#define EXPIRE_STEP	10000	/* at a time: then others are heard */

struct fact {
	struct hash_link	 hash;
	TAILQ_ENTRY(fact)	 link;		/* of those that are held */
	uint64_t		 since;		/* held; 0: it is there */
	uint32_t		 roll;		/* that named it last */
	uint16_t		 app_n, channel_n;
	uint32_t		 n;
	char			 key[];	/* both lengths, app, channel, user */
};

struct app {
	struct hash_link	 hash;
	unsigned		 known;		/* SAID_* */
	unsigned		 rolled;	/* seen in this roll */
	unsigned		 gone;		/* in said_only() */
	size_t			 n;
	char			 id[];
};

static struct bytes
fact_key(const struct hash_link *l)
{
	const struct fact *f = (const void *)l;

	return bytes_of(f->key, f->n);
}

static struct bytes
app_key(const struct hash_link *l)
{
	const struct app *a = (const void *)l;

	return bytes_of(a->id, a->n);
}

#define NAMES(f)	((f)->key + 2 * sizeof(uint16_t))

static struct bytes
app_of(const struct fact *f)
{
	return bytes_of(NAMES(f), f->app_n);
}

static struct bytes
channel_of(const struct fact *f)
{
	return bytes_of(NAMES(f) + f->app_n, f->channel_n);
}

static struct bytes
user_of(const struct fact *f)
{
	size_t before = 2 * sizeof(uint16_t) + f->app_n + f->channel_n;

	return bytes_of(f->key + before, f->n - before);
}

static unsigned
class_of(const struct fact *f)
{
	return user_of(f).n != 0 ? SAID_MEMBERS : SAID_CHANNELS;
}

/* ---- the set ---------------------------------------------------------------- */

/* Names of messages fit 16 bits; those of a journal are checked before. */
static struct bytes
key_make(struct said *all, struct bytes app, struct bytes channel,
    struct bytes user)
{
	uint16_t n[2] = { (uint16_t)app.n, (uint16_t)channel.n };

	buf_clear(&all->key);
	buf_add(&all->key, n, sizeof(n));
	buf_bytes(&all->key, app);
	buf_bytes(&all->key, channel);
	buf_bytes(&all->key, user);
	return buf_view(&all->key);
}

static struct fact *
find(struct said *all, struct bytes app, struct bytes channel,
    struct bytes user)
{
	return (struct fact *)(void *)hash_find(&all->all,
	    key_make(all, app, channel, user));
}

/* Of the key made last. */
static struct fact *
put(struct said *all, struct bytes app, struct bytes channel)
{
	struct fact *f = xmalloc(sizeof(*f) + all->key.n);

	f->since = 0;
	f->roll = (uint32_t)all->roll;
	f->app_n = (uint16_t)app.n;
	f->channel_n = (uint16_t)channel.n;
	f->n = (uint32_t)all->key.n;
	memcpy(f->key, all->key.p, f->n);
	hash_insert(&all->all, &f->hash);
	return f;
}

static void
hold(struct said *all, struct fact *f, uint64_t now)
{
	if (f->since != 0)
		return;
	f->since = now != 0 ? now : 1;
	TAILQ_INSERT_TAIL(&all->held, f, link);
}

static void
unhold(struct said *all, struct fact *f)
{
	if (f->since == 0)
		return;
	TAILQ_REMOVE(&all->held, f, link);
	f->since = 0;
}

static void
drop(struct said *all, struct fact *f)
{
	unhold(all, f);
	hash_remove(&all->all, &f->hash);
	free(f);
}

void
said_keep(struct said *all, struct bytes app, struct bytes channel,
    struct bytes user, bool present)
{
	struct fact *f = find(all, app, channel, user);

	if (present && f == NULL)
		put(all, app, channel);
	else if (!present && f != NULL)
		drop(all, f);
}

/* ---- applications ----------------------------------------------------------- */

static struct app *
app_get(struct said *all, struct bytes id)
{
	struct app *a = (void *)hash_find(&all->apps, id);

	if (a != NULL || all->apps.count >= SAID_APPS_MAX)
		return a;
	a = xcalloc(1, sizeof(*a) + id.n);
	a->n = id.n;
	memcpy(a->id, id.p != NULL ? id.p : "", id.n);
	hash_insert(&all->apps, &a->hash);
	return a;
}

static void
app_know(struct said *all, struct app *a, unsigned classes)
{
	if ((a->known | classes) == a->known)
		return;
	a->known |= classes;
	all->ops->known(all->ctx, app_key(&a->hash), a->known);
}

void
said_know(struct said *all, struct bytes id, unsigned classes)
{
	struct app *a = app_get(all, id);

	if (a != NULL)
		app_know(all, a, classes);
}

void
said_forget(struct said *all, struct bytes id, unsigned classes)
{
	struct app *a = (void *)hash_find(&all->apps, id);
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	if (a != NULL)
		a->known &= ~classes;
	while ((l = hash_walk(&all->all, &at)) != NULL) {
		struct fact *f = (struct fact *)(void *)l;

		if ((class_of(f) & classes) != 0 && bytes_eq(app_of(f), id))
			drop(all, f);
	}
}

void
said_only(struct said *all, unsigned (*wanted)(void *ctx, struct bytes app),
    void (*forgotten)(void *ctx, struct bytes app, unsigned classes),
    void *ctx)
{
	struct hash_cursor at = { 0 }, apps = { 0 };
	struct hash_link *l;
	struct app *a;

	/* Also what was told before it was known. */
	while ((l = hash_walk(&all->all, &at)) != NULL) {
		struct fact *f = (struct fact *)(void *)l;
		unsigned class = class_of(f);

		if ((class & wanted(ctx, app_of(f))) != 0)
			continue;
		if ((a = app_get(all, app_of(f))) != NULL)
			a->gone |= class;
		else
			forgotten(ctx, app_of(f), class);
		drop(all, f);
	}
	while ((l = hash_walk(&all->apps, &apps)) != NULL) {
		a = (struct app *)(void *)l;
		a->gone |= a->known & ~wanted(ctx, app_key(l));
		a->known &= ~a->gone;
		if (a->gone != 0)
			forgotten(ctx, app_key(l), a->gone);
		a->gone = 0;
	}
}

/* ---- what the router says ----------------------------------------------------- */

/* True: this one is new to us, but nothing has happened. */
static bool
is_silent(struct said *all, struct bytes app, unsigned class)
{
	struct app *a;

	if (!all->rolling || (a = app_get(all, app)) == NULL ||
	    (a->known & class) != 0)
		return false;
	a->rolled |= class;
	return true;
}

static void
came(struct said *all, struct bytes app, struct bytes channel,
    struct bytes user)
{
	put(all, app, channel);
	if (is_silent(all, app, user.n != 0 ? SAID_MEMBERS : SAID_CHANNELS))
		all->ops->silent(all->ctx, app, channel, user);
	else
		all->ops->announce(all->ctx, app, channel, user, true);
}

void
said_state(struct said *all, struct bytes app, struct bytes channel,
    struct bytes user, bool present, uint64_t now)
{
	struct fact *f = find(all, app, channel, user);

	if (f == NULL) {
		if (present)
			came(all, app, channel, user);
	} else if (present) {
		f->roll = (uint32_t)all->roll;
		unhold(all, f);
	} else
		hold(all, f, now);
}

void
said_roll_begin(struct said *all)
{
	all->roll++;
	all->rolling = true;
	all->settled = false;
}

/* Members go before their channels. */
static void
sweep(struct said *all, unsigned class, uint64_t now)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&all->all, &at)) != NULL) {
		struct fact *f = (struct fact *)(void *)l;

		if (f->roll != (uint32_t)all->roll && class_of(f) == class)
			hold(all, f, now);
	}
}

bool
said_roll_end(struct said *all, uint64_t now)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	if (!all->rolling)
		return false;
	all->rolling = false;
	all->settled = true;
	sweep(all, SAID_MEMBERS, now);
	sweep(all, SAID_CHANNELS, now);
	while ((l = hash_walk(&all->apps, &at)) != NULL) {
		struct app *a = (struct app *)(void *)l;

		app_know(all, a, a->rolled);
		a->rolled = 0;
	}
	return true;
}

void
said_unsettle(struct said *all)
{
	all->rolling = all->settled = false;
}

/* ---- holding back ------------------------------------------------------------- */

bool
said_expire(struct said *all, uint64_t now, uint64_t hold_back)
{
	struct fact *f;
	unsigned n = 0;

	while ((f = TAILQ_FIRST(&all->held)) != NULL &&
	    now - f->since >= hold_back) {
		if (n++ == EXPIRE_STEP)
			return true;
		all->ops->announce(all->ctx, app_of(f), channel_of(f),
		    user_of(f), false);
		drop(all, f);
	}
	return false;
}

uint64_t
said_due(const struct said *all, uint64_t hold_back)
{
	const struct fact *f = TAILQ_FIRST(&all->held);

	return f != NULL ? f->since + hold_back : 0;
}

/* ---- life --------------------------------------------------------------------- */

void
said_each(struct said *all, void (*fact)(void *ctx, struct bytes app,
    struct bytes channel, struct bytes user),
    void (*known)(void *ctx, struct bytes app, unsigned classes), void *ctx)
{
	struct hash_cursor at = { 0 }, apps = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&all->apps, &apps)) != NULL) {
		struct app *a = (struct app *)(void *)l;

		if (a->known != 0)
			known(ctx, app_key(l), a->known);
	}
	while ((l = hash_walk(&all->all, &at)) != NULL) {
		struct fact *f = (struct fact *)(void *)l;

		fact(ctx, app_of(f), channel_of(f), user_of(f));
	}
}

void
said_init(struct said *all, const struct said_ops *ops, void *ctx)
{
	*all = (struct said){ .ops = ops, .ctx = ctx };
	hash_init(&all->all, fact_key);
	hash_init(&all->apps, app_key);
	TAILQ_INIT(&all->held);
}

void
said_done(struct said *all)
{
	struct hash_cursor at = { 0 }, apps = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&all->all, &at)) != NULL)
		drop(all, (struct fact *)(void *)l);
	while ((l = hash_walk(&all->apps, &apps)) != NULL) {
		hash_remove(&all->apps, l);
		free(l);
	}
	hash_done(&all->all);
	hash_done(&all->apps);
	buf_done(&all->key);
}
