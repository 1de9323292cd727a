/* SPDX-License-Identifier: MIT
 *
 * The numbers of all processes: see numbers.h.
 *
 * Runs in: master.  Owns: see numbers.h.
 */
#include "master/numbers.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "master/master.h"
#include "master/state.h"

#define REASON_MAX	64	/* octets of a name */
#define FRONT_MAX	32

void	master_on_usage(struct child *, struct ipc *, const struct msg_usage *);
void	master_on_closes(struct child *, struct ipc *,
	    const struct msg_closes *);

/* ---- what is kept of those that are gone --------------------------------- */

struct reason {
	char		*name;
	uint64_t	 retired;
};

/* key: application, a NUL, front. */
struct known_way {
	struct hash_link link;
	struct bytes	 key;
	size_t		 place;
	struct usage	 retired;
};

static struct counters	 retired[SLOTS];
static struct reason	 reasons[NUMBERS_REASONS];
static size_t		 n_reasons;
static struct known_way	**ways;
static size_t		 n_ways;
static struct hash	 ways_by_name;
static bool		 begun;

static struct bytes
way_key(const struct hash_link *link)
{
	return container_of(link, const struct known_way, link)->key;
}

static const char *
way_front(const struct known_way *w)
{
	return w->key.p + strlen(w->key.p) + 1;
}

/* ---- lists --------------------------------------------------------------- */

/* NULL if there is no room for one more. */
static struct reason *
reason_get(struct bytes name)
{
	for (size_t i = 0; i < n_reasons; i++)
		if (bytes_eq(bytes_str(reasons[i].name), name))
			return &reasons[i];
	if (n_reasons == NUMBERS_REASONS)
		return NULL;
	reasons[n_reasons] = (struct reason){ .name = bytes_dup(name) };
	return &reasons[n_reasons++];
}

/* Names of closes.def and of front doors, and nothing that could end a line. */
static bool
is_name(struct bytes b, size_t most)
{
	for (size_t i = 0; i < b.n; i++)
		if (!((b.p[i] >= 'a' && b.p[i] <= 'z') ||
		    (b.p[i] >= 'A' && b.p[i] <= 'Z') ||
		    (b.p[i] >= '0' && b.p[i] <= '9') || b.p[i] == '_'))
			return false;
	return b.n > 0 && b.n <= most;
}

static bool
names_app(const struct config *config, struct bytes id)
{
	for (size_t i = 0; config != NULL && i < config->n_app; i++)
		if (bytes_eq(bytes_str(config->app[i].id), id))
			return true;
	return false;
}

static bool
app_is_known(struct bytes id)
{
	if (names_app(master.config, id))
		return true;
	for (unsigned k = 0; k < CREWS; k++)
		if (master.crew[k] != NULL &&
		    names_app(master.crew[k]->config, id))
			return true;
	return false;
}

static struct known_way *
way_new(struct bytes key)
{
	struct known_way *w = xcalloc(1, sizeof(*w));

	w->key = bytes_of(bytes_dup(key), key.n);
	w->place = n_ways;
	ways = xreallocarray(ways, n_ways + 1, sizeof(*ways));
	ways[n_ways++] = w;
	hash_insert(&ways_by_name, &w->link);
	return w;
}

/* NULL: it is none, or there is no room for one more. */
static struct known_way *
way_get(struct bytes app, struct bytes front, bool trusted)
{
	static struct buf key;
	struct hash_link *link;

	if (!begun)
		hash_init(&ways_by_name, way_key);
	begun = true;
	if (!is_name(front, FRONT_MAX) || app.n == 0 || !utf8_valid(app) ||
	    bytes_find(app, '\0') >= 0)
		return NULL;
	buf_clear(&key);
	buf_bytes(&key, app);
	buf_char(&key, '\0');
	buf_bytes(&key, front);
	link = hash_find(&ways_by_name, buf_view(&key));
	if (link != NULL)
		return container_of(link, struct known_way, link);
	if (n_ways == NUMBERS_WAYS || !(trusted || app_is_known(app)))
		return NULL;
	return way_new(buf_view(&key));
}

/* Room is left for those that are used. */
static void
expect(const char *app, const char *front)
{
	if (n_ways < NUMBERS_WAYS / 2)
		(void)way_get(bytes_str(app), bytes_str(front), true);
}

void
numbers_expect(const struct config *config)
{
	for (size_t i = 0; i < config->n_app; i++) {
		expect(config->app[i].id, "pusher");
		expect(config->app[i].id, "api");
	}
	for (size_t i = 0; i < config->n_rooms; i++) {
		expect(config->rooms[i].app, "rooms");
		expect(config->rooms[i].app, "sse");
	}
}

/* ---- room ---------------------------------------------------------------- */

struct ids {
	const char	**at;
	size_t		 n;
};

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
ids_add(struct ids *ids, const struct config *config)
{
	if (config == NULL)
		return;
	ids->at = xreallocarray(ids->at, ids->n + config->n_app + 1,
	    sizeof(*ids->at));
	for (size_t i = 0; i < config->n_app; i++)
		ids->at[ids->n++] = config->app[i].id;
}

/* The same that app_is_known() knows, for thousands of questions. */
static void
ids_of_all(struct ids *ids)
{
	ids_add(ids, master.config);
	for (unsigned k = 0; k < CREWS; k++)
		if (master.crew[k] != NULL)
			ids_add(ids, master.crew[k]->config);
	if (ids->n > 1)
		qsort(ids->at, ids->n, sizeof(*ids->at), by_text);
}

static bool
ids_have(const struct ids *ids, const char *app)
{
	return ids->n > 0 && bsearch(&app, ids->at, ids->n, sizeof(*ids->at),
	    by_text) != NULL;
}

static void
way_free(struct known_way *w)
{
	hash_remove(&ways_by_name, &w->link);
	free((char *)(uintptr_t)w->key.p);
	free(w);
}

/* kept[i]: the i-th of the ways as they were is still there. */
static void
told_follow(struct numbers *n, const bool *kept)
{
	size_t to = 0;

	for (size_t i = 0; i < n->n_usage; i++)
		if (kept[i])
			n->usage[to++] = n->usage[i];
	n->n_usage = to;
}

void
numbers_prune(void)
{
	struct ids ids = { 0 };
	size_t n = 0;
	struct child *c;
	bool *kept;

	if (n_ways < NUMBERS_WAYS / 2)
		return;
	ids_of_all(&ids);
	kept = xcalloc(n_ways, sizeof(*kept));
	for (size_t i = 0; i < n_ways; i++) {
		kept[i] = ids_have(&ids, ways[i]->key.p);
		if (!kept[i]) {
			way_free(ways[i]);
			continue;
		}
		ways[i]->place = n;
		ways[n++] = ways[i];
	}
	n_ways = n;
	for (c = children_next(NULL); c != NULL; c = children_next(c))
		told_follow(&c->numbers, kept);
	free(kept);
	free(ids.at);
}

/* Places in what a child told, made when there is something to put there. */
static uint64_t *
closes_at(struct numbers *n, size_t i)
{
	if (i >= n->n_closes) {
		n->closes = xreallocarray(n->closes, i + 1,
		    sizeof(*n->closes));
		memset(n->closes + n->n_closes, 0,
		    (i + 1 - n->n_closes) * sizeof(*n->closes));
		n->n_closes = i + 1;
	}
	return &n->closes[i];
}

static struct usage *
usage_at_way(struct numbers *n, size_t i)
{
	if (i >= n->n_usage) {
		n->usage = xreallocarray(n->usage, i + 1, sizeof(*n->usage));
		memset(n->usage + n->n_usage, 0,
		    (i + 1 - n->n_usage) * sizeof(*n->usage));
		n->n_usage = i + 1;
	}
	return &n->usage[i];
}

/* ---- what is told -------------------------------------------------------- */

/* What the kernel says is not the child's to say. */
void
numbers_told(struct child *c, const struct counters *told)
{
	uint64_t memory = c->counters.memory, cpu_us = c->counters.cpu_us;

	c->counters = *told;
	c->counters.memory = memory;
	c->counters.cpu_us = cpu_us;
}

void
master_on_usage(struct child *c, struct ipc *ipc, const struct msg_usage *m)
{
	struct known_way *w;
	struct usage told;

	(void)ipc;
	if (!child_is_worker(c) || usage_unpack(&told, m->packed) < 0 ||
	    (w = way_get(m->app, m->front, false)) == NULL) {
		log_debug("%s told of what is not known", child_name(c));
		return;
	}
	*usage_at_way(&c->numbers, w->place) = told;
}

void
master_on_closes(struct child *c, struct ipc *ipc, const struct msg_closes *m)
{
	uint64_t told[NUMBERS_REASONS];
	const struct reason *r;

	(void)ipc;
	if (!child_is_worker(c) || m->names.n > NUMBERS_REASONS ||
	    msg_unpack_numbers(m->packed, told, m->names.n) < 0) {
		log_debug("%s told of what is not known", child_name(c));
		return;
	}
	for (uint32_t i = 0; i < m->names.n; i++) {
		struct bytes name = msg_list_at(&m->names, i);

		if (is_name(name, REASON_MAX) && (r = reason_get(name)) != NULL)
			*closes_at(&c->numbers, (size_t)(r - reasons)) =
			    told[i];
	}
}

void
numbers_used(struct child *c, const struct rusage *used)
{
	c->counters.cpu_us = (uint64_t)used->ru_utime.tv_sec * 1000000 +
	    (uint64_t)used->ru_utime.tv_usec +
	    (uint64_t)used->ru_stime.tv_sec * 1000000 +
	    (uint64_t)used->ru_stime.tv_usec;
}

void
numbers_retire(struct child *c)
{
	struct numbers *n = &c->numbers;
	struct reason *died = reason_get(B(NUMBERS_DIED));
	uint64_t lost = child_is_worker(c) ? c->counters.connections : 0;

	c->counters.closed += lost;
	if (died != NULL)
		died->retired += lost;
	counters_retire(&master.retired, &c->counters);
	counters_retire(&retired[c->slot], &c->counters);
	memset(&c->counters, 0, sizeof(c->counters));
	for (size_t i = 0; i < n->n_closes; i++)
		reasons[i].retired += n->closes[i];
	for (size_t i = 0; i < n->n_usage; i++)
		usage_retire(&ways[i]->retired, &n->usage[i]);
	numbers_done(n);
}

void
numbers_done(struct numbers *n)
{
	free(n->closes);
	free(n->usage);
	memset(n, 0, sizeof(*n));
}

void
numbers_end(void)
{
	while (n_reasons > 0)
		free(reasons[--n_reasons].name);
	while (n_ways > 0) {
		free((char *)(uintptr_t)ways[--n_ways]->key.p);
		free(ways[n_ways]);
	}
	free(ways);
	ways = NULL;
	if (begun)
		hash_done(&ways_by_name);
	begun = false;
	memset(retired, 0, sizeof(retired));
}

/* ---- what the kernel knows ----------------------------------------------- */

/* The whole file, which is short; false without it. */
static bool
read_proc(pid_t pid, const char *name, char *room, size_t n)
{
	char path[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return false;
	got = read(fd, room, n - 1);
	close(fd);
	if (got <= 0)
		return false;
	room[got] = '\0';
	return true;
}

/* proc(5): statm has the resident pages second; in stat the name is in brackets,
 * and may have any character; user and system time are the 12th and 13th behind
 * it. */
static void
look_at(pid_t pid, uint64_t *memory, uint64_t *cpu_us)
{
	unsigned long long pages, user, system;
	uint64_t tick = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	const char *end;
	char text[1024];

	if (read_proc(pid, "statm", text, sizeof(text)) &&
	    sscanf(text, "%*u %llu", &pages) == 1)
		*memory = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	if (read_proc(pid, "stat", text, sizeof(text)) &&
	    (end = strrchr(text, ')')) != NULL &&
	    sscanf(end + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
	    "%llu %llu", &user, &system) == 2 &&
	    (user + system) * tick > *cpu_us)
		*cpu_us = (user + system) * tick;
}

void
numbers_look(void)
{
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (c->pid > 0)
			look_at(c->pid, &c->counters.memory,
			    &c->counters.cpu_us);
}

void
numbers_own(uint64_t *memory, uint64_t *cpu_us)
{
	*memory = *cpu_us = 0;
	look_at(getpid(), memory, cpu_us);
}

/* ---- sums ---------------------------------------------------------------- */

void
numbers_total(struct counters *sum)
{
	struct child *c;

	*sum = master.retired;
	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (child_is_router(c) && child_crew(c) != CREW_IN_FORCE)
			counters_retire(sum, &c->counters);
		else
			counters_add(sum, &c->counters);
}

void
numbers_of_slot(unsigned slot, struct counters *sum)
{
	struct child *c;

	*sum = retired[slot];
	for (c = children_next(NULL); c != NULL; c = children_next(c)) {
		if (c->slot != slot)
			continue;
		if (child_is_router(c) && child_crew(c) != CREW_IN_FORCE)
			counters_retire(sum, &c->counters);
		else
			counters_add(sum, &c->counters);
	}
}

const char *
numbers_reason(size_t i, uint64_t *closed)
{
	struct child *c;

	if (i >= n_reasons)
		return NULL;
	*closed = reasons[i].retired;
	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (i < c->numbers.n_closes)
			*closed += c->numbers.closes[i];
	return reasons[i].name;
}

bool
numbers_way(size_t i, struct way *out)
{
	if (i >= n_ways)
		return false;
	*out = (struct way){ ways[i]->key.p, way_front(ways[i]), i };
	return true;
}

struct usage
numbers_by_way(const struct way *way)
{
	struct usage sum = ways[way->place]->retired;
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (way->place < c->numbers.n_usage)
			usage_add(&sum, &c->numbers.usage[way->place]);
	return sum;
}

/* ---- over an exec -------------------------------------------------------- */

void
numbers_save(struct state *s)
{
	struct state_way *way;
	struct state_reason *reason;

	for (size_t i = 0; i < s->n_slots; i++)
		if (s->slots[i].slot < NELEM(retired))
			counters_pack(&retired[s->slots[i].slot],
			    &s->slots[i].retired);
	for (size_t i = 0; i < n_reasons; i++) {
		reason = state_add_reason(s);
		reason->name = xstrdup(reasons[i].name);
		reason->retired = reasons[i].retired;
	}
	for (size_t i = 0; i < n_ways; i++) {
		way = state_add_way(s);
		way->app = xstrdup(ways[i]->key.p);
		way->front = xstrdup(way_front(ways[i]));
		usage_pack(&ways[i]->retired, &way->retired);
	}
}

void
numbers_save_child(const struct child *c, struct state_child *to)
{
	const struct numbers *n = &c->numbers;
	struct state_usage *usage;

	if (n->n_closes > 0)
		msg_pack_numbers(&to->closes, n->closes, n->n_closes);
	for (size_t i = 0; i < n->n_usage; i++) {
		usage = state_add_usage(to);
		usage->way = i;
		usage_pack(&n->usage[i], &usage->told);
	}
}

/* Places are those of this state, if nothing was left out. */
void
numbers_restore(const struct state *s)
{
	struct known_way *w;
	struct reason *r;

	for (size_t i = 0; i < s->n_slots; i++)
		if (s->slots[i].slot < NELEM(retired))
			(void)counters_unpack(&retired[s->slots[i].slot],
			    buf_view(&s->slots[i].retired));
	for (size_t i = 0; i < s->n_reasons; i++) {
		struct bytes name = bytes_str(s->reasons[i].name);

		r = is_name(name, REASON_MAX) ? reason_get(name) : NULL;
		if (r != NULL)
			r->retired = s->reasons[i].retired;
	}
	for (size_t i = 0; i < s->n_ways; i++) {
		w = way_get(bytes_str(s->ways[i].app),
		    bytes_str(s->ways[i].front), true);
		if (w != NULL)
			(void)usage_unpack(&w->retired,
			    buf_view(&s->ways[i].retired));
	}
}

void
numbers_restore_child(const struct state_child *from, struct child *c)
{
	uint64_t closes[NUMBERS_REASONS];
	struct usage told;

	if (from->closes.n > 0 && msg_unpack_numbers(buf_view(&from->closes),
	    closes, n_reasons) == 0)
		for (size_t i = 0; i < n_reasons; i++)
			*closes_at(&c->numbers, i) = closes[i];
	for (size_t i = 0; i < from->n_usage; i++)
		if (from->usage[i].way < n_ways &&
		    usage_unpack(&told, buf_view(&from->usage[i].told)) == 0)
			*usage_at_way(&c->numbers, from->usage[i].way) = told;
}
