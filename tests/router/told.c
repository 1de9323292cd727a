/* SPDX-License-Identifier: MIT
 *
 * A courier's memory.
 */
#include "told.h"

#include <stdio.h>

struct thing {
	struct hash_link	 link;
	uint64_t		 mark;
	char			 name[];
};

static struct bytes
key_of(const struct hash_link *l)
{
	return bytes_str(container_of(l, const struct thing, link)->name);
}

void
told_init(struct told *t)
{
	*t = (struct told){ .rolling = false };
	hash_init(&t->there, key_of);
}

static struct thing *
find(struct told *t, const char *name)
{
	struct hash_link *l = hash_find(&t->there, bytes_str(name));

	return l != NULL ? container_of(l, struct thing, link) : NULL;
}

static void
gone(struct told *t, struct thing *thing)
{
	if (t->steady != NULL && t->steady(thing->name))
		fail_msg("%s has gone", thing->name);
	hash_remove(&t->there, &thing->link);
	free(thing);
}

/* Those that have not this mark. */
static void
sweep(struct told *t, uint64_t mark)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&t->there, &at)) != NULL) {
		struct thing *thing = container_of(l, struct thing, link);

		if (thing->mark != mark)
			gone(t, thing);
	}
}

void
told_done(struct told *t)
{
	t->steady = NULL;
	sweep(t, UINT64_MAX);
	hash_done(&t->there);
}

void
told_link(struct told *t, struct rig *g)
{
	rig_courier(g);
	t->rolling = t->sure = false;
}

static void
comes(struct told *t, const char *name)
{
	struct thing *thing = find(t, name);

	if (thing != NULL && t->sure && !t->rolling)
		fail_msg("%s was told twice", name);
	if (thing == NULL) {
		thing = xcalloc(1, sizeof(*thing) + strlen(name) + 1);
		memcpy(thing->name, name, strlen(name));
		hash_insert(&t->there, &thing->link);
	}
	thing->mark = t->mark;
}

static void
goes(struct told *t, const char *name)
{
	struct thing *thing = find(t, name);

	if (thing != NULL)
		gone(t, thing);
	else if (t->sure && !t->rolling)
		fail_msg("%s was not there, and has gone", name);
}

static bool
is(const char *line, const char *verb)
{
	size_t n = strlen(verb);

	return strncmp(line, verb, n) == 0 && (line[n] == ' ' ||
	    line[n] == '\0');
}

static void
take(struct told *t, const char *line)
{
	const char *name = strchr(line, ' ');

	if (is(line, "roll")) {
		t->rolling = true;
		t->mark++;
	} else if (is(line, "rolled")) {
		assert_true(t->rolling);
		t->rolling = false;
		t->sure = true;
		t->rolls++;
		sweep(t, t->mark);
	} else if (is(line, "occupied") || is(line, "added")) {
		comes(t, name + 1);
	} else if (is(line, "vacated") || is(line, "removed")) {
		goes(t, name + 1);
	}
}

void
told_hear(struct told *t, struct rig *g)
{
	struct mate *k = &g->courier;

	for (size_t i = 0; i < k->n_lines; i++) {
		take(t, k->lines[i]);
		free(k->lines[i]);
	}
	k->n_lines = 0;
}

static void
must_know(struct told *t, const char *name)
{
	if (find(t, name) == NULL)
		fail_msg("%s is there, and was not told", name);
}

static uint32_t
check_route(struct told *t, const struct route *route)
{
	char *name = bytes_dup(route_name(route)), *full;
	const struct member *who;
	uint32_t n = 0;

	if (hooks_occupied(route)) {
		must_know(t, name);
		n++;
	}
	if (route->members != NULL) {
		TAILQ_FOREACH(who, &route->members->order, order) {
			full = xasprintf("%s %.*s", name,
			    (int)member_user(who).n, member_user(who).p);
			must_know(t, full);
			free(full);
			n++;
		}
	}
	free(name);
	return n;
}

void
told_check(struct told *t, struct router *r)
{
	struct census *c = census_get(r, B("1"));
	const struct route *route;
	uint32_t n = 0;

	TAILQ_FOREACH(route, &c->order, order)
		n += check_route(t, route);
	if (n != t->there.count)
		fail_msg("%u are there, %u were told", n, t->there.count);
}
