/* SPDX-License-Identifier: MIT
 *
 * A router in this process with workers that the test plays.
 */
#include "driver.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"

static uint64_t clock_now = 1000000;

uint64_t	__wrap_clock_ms(void);

uint64_t
__wrap_clock_ms(void)
{
	return clock_now;
}

/* ---- what a mate gets --------------------------------------------------- */

#define TEXT(b)	(int)(b).n, (b).n != 0 ? (b).p : ""

/* Serials rise; the epoch is the router's. */
static void
in_order(struct mate *w, uint64_t epoch, uint64_t serial)
{
	assert_int_equal(epoch, w->rig->router->epoch);
	assert_true(serial > w->serial);
	w->serial = serial;
}

#define READ(name)							\
	struct msg_##name m;						\
	const char *why;						\
	(void)w;							\
	if (msg_unpack_##name(u, &m, &why) < 0)				\
		fail_msg("bad " #name ": %s", why)

static char *
line_subscribed(struct mate *w, struct unpacker *u)
{
	READ(subscribed);
	in_order(w, m.epoch, m.serial);
	if (m.refused)
		return xasprintf("refused %.*s cookie=%" PRIu64 " code=%" PRIu64,
		    TEXT(m.channel), m.cookie, m.refused);
	if (m.cached)
		return xasprintf("subscribed %.*s cookie=%" PRIu64 " count=%"
		    PRIu64 " at=%" PRIu64 " cached=%.*s:%.*s", TEXT(m.channel),
		    m.cookie, m.count, m.position_offset, TEXT(m.event),
		    TEXT(m.data));
	return xasprintf("subscribed %.*s cookie=%" PRIu64 " count=%" PRIu64,
	    TEXT(m.channel), m.cookie, m.count);
}

static char *
line_deliver(struct mate *w, struct unpacker *u)
{
	READ(deliver);
	in_order(w, m.epoch, m.serial);
	return xasprintf("deliver %.*s %.*s=%.*s from=%" PRIu64 " n=%" PRIu64
	    " at=%" PRIu64, TEXT(m.channel), TEXT(m.event), TEXT(m.data),
	    m.origin >> 32 & 0xffffff, m.origin_serial, m.position_offset);
}

static char *
line_member_added(struct mate *w, struct unpacker *u)
{
	READ(member_added);
	in_order(w, m.epoch, m.serial);
	return xasprintf("added %.*s %.*s %.*s", TEXT(m.channel), TEXT(m.user),
	    TEXT(m.member));
}

static char *
line_member_removed(struct mate *w, struct unpacker *u)
{
	READ(member_removed);
	in_order(w, m.epoch, m.serial);
	return xasprintf("removed %.*s %.*s", TEXT(m.channel), TEXT(m.user));
}

static char *
line_member(struct mate *w, struct unpacker *u)
{
	READ(member);
	return xasprintf("member %.*s %.*s %.*s", TEXT(m.channel), TEXT(m.user),
	    TEXT(m.member));
}

static char *
line_roster(struct mate *w, struct unpacker *u)
{
	READ(roster);
	in_order(w, m.epoch, m.serial);
	return xasprintf("roster %.*s %" PRIu64, TEXT(m.channel), m.n);
}

static char *
line_count(struct mate *w, struct unpacker *u)
{
	READ(count);
	in_order(w, m.epoch, m.serial);
	return xasprintf("count %.*s %" PRIu64, TEXT(m.channel), m.count);
}

static char *
line_grant(struct mate *w, struct unpacker *u)
{
	READ(grant);
	return xasprintf("grant %" PRIu64 " %" PRIu64, m.conn, m.allowed);
}

static char *
line_ack(struct mate *w, struct unpacker *u)
{
	READ(ack);
	return xasprintf("ack %" PRIu64, m.serial);
}

static char *
line_row(struct mate *w, struct unpacker *u)
{
	READ(row);
	if (m.cached)
		return xasprintf("row %.*s %" PRIu64 "/%" PRIu64
		    " cached=%.*s:%.*s ttl=%" PRIu64, TEXT(m.name),
		    m.subscriptions, m.users, TEXT(m.event), TEXT(m.data),
		    m.ttl_ms);
	if (m.member.n > 0)
		return xasprintf("row %.*s %.*s", TEXT(m.name), TEXT(m.member));
	return xasprintf("row %.*s %" PRIu64 "/%" PRIu64, TEXT(m.name),
	    m.subscriptions, m.users);
}

static char *
line_done(struct mate *w, struct unpacker *u)
{
	READ(done);
	return xasprintf("done %" PRIu64, m.cookie);
}

static void
add_list(struct buf *out, const char *name, const struct msg_list *list)
{
	for (uint32_t i = 0; i < list->n; i++) {
		struct bytes b = msg_list_at(list, i);

		buf_fmt(out, "%s%.*s", i == 0 ? name : ",", TEXT(b));
	}
}

static char *
line_watch(struct mate *w, struct unpacker *u)
{
	struct buf b = { 0 };

	READ(watch);
	in_order(w, m.epoch, m.serial);
	buf_fmt(&b, "watch %" PRIu64, m.conn);
	add_list(&b, " online=", &m.online);
	add_list(&b, " offline=", &m.offline);
	return buf_cstr(&b);
}

static char *
line_terminate(struct mate *w, struct unpacker *u)
{
	READ(terminate);
	in_order(w, m.epoch, m.serial);
	return xasprintf("terminate %.*s", TEXT(m.user));
}

static char *
line_marked(struct mate *w, struct unpacker *u)
{
	READ(marked);
	assert_int_equal(m.epoch, w->rig->router->epoch);
	assert_true(m.serial >= w->serial);
	w->serial = m.serial;
	return xasprintf("marked %" PRIu64, m.cookie);
}

static char *
line_stalled(struct mate *w, struct unpacker *u)
{
	READ(stalled);
	return xasprintf("stalled %" PRIu64 " %" PRIu64, m.slot, m.generation);
}

/* Where it stands in what is kept, and what kind of data it is. */
static char *
line_replay(struct mate *w, struct unpacker *u)
{
	READ(replay);
	return xasprintf("replay %.*s cookie=%" PRIu64 " %.*s=%.*s%s at=%"
	    PRIu64, TEXT(m.channel), m.cookie, TEXT(m.event), TEXT(m.data),
	    m.flags & PUBLISH_TEXT ? " text" : "", m.position_offset);
}

/* Its lines stand one behind the other. */
static char *
line_told(struct mate *w, struct unpacker *u)
{
	READ(told);
	return xasprintf("told %" PRIu64 "%s %.*s", m.cookie,
	    m.end ? " end" : "", TEXT(m.lines));
}

static char *
line_tailed(struct mate *w, struct unpacker *u)
{
	struct buf out = { 0 };
	char *text;

	READ(tailed);
	buf_str(&out, "tailed opened=");
	for (uint32_t i = 0; i < m.opened.n; i++)
		buf_fmt(&out, "%.*s,", TEXT(msg_list_at(&m.opened, i)));
	buf_str(&out, " closed=");
	for (uint32_t i = 0; i < m.closed.n; i++)
		buf_fmt(&out, "%.*s,", TEXT(msg_list_at(&m.closed, i)));
	text = xstrdup(buf_cstr(&out));
	buf_done(&out);
	return text;
}

static char *
line_inspect(struct mate *w, struct unpacker *u)
{
	READ(inspect);
	return xasprintf("inspect %" PRIu64 " app=%.*s channel=%.*s user=%.*s"
	    " socket=%" PRIu64 ".%" PRIu64 " slow=%" PRIu64 " limit=%" PRIu64
	    " kick=%" PRIu64, m.cookie, TEXT(m.app), TEXT(m.channel),
	    TEXT(m.user), m.socket_a, m.socket_b, m.slow, m.limit, m.kick);
}

/* ---- what a courier gets ------------------------------------------------- */

/* Serials of one router rise, over all of its links. */
static void
fact_in_order(struct mate *w, uint64_t serial)
{
	assert_true(serial > w->serial);
	w->serial = serial;
}

static char *
line_hook_hosts(struct mate *w, struct unpacker *u)
{
	struct buf b = { 0 };

	READ(hook_hosts);
	assert_int_equal(m.epoch, w->rig->router->epoch);
	buf_fmt(&b, "hosts own=%" PRIu64 " lost=%" PRIu64 " live", m.own,
	    m.lost);
	for (uint32_t i = 0; i < m.nodes.n; i++) {
		struct bytes node = msg_list_at(&m.nodes, i);

		assert_int_equal(node.n, 8);
		buf_fmt(&b, " %u", (unsigned char)node.p[7]);
	}
	return buf_cstr(&b);
}

static char *
line_hook_state(struct mate *w, struct unpacker *u)
{
	READ(hook_state);
	fact_in_order(w, m.serial);
	if (m.user.n > 0)
		return xasprintf("%s %.*s %.*s", m.present ? "added" :
		    "removed", TEXT(m.channel), TEXT(m.user));
	return xasprintf("%s %.*s", m.present ? "occupied" : "vacated",
	    TEXT(m.channel));
}

static char *
line_hook_roll(struct mate *w, struct unpacker *u)
{
	READ(hook_roll);
	fact_in_order(w, m.serial);
	return xstrdup(m.on ? "roll" : "rolled");
}

static char *
line_hook_event(struct mate *w, struct unpacker *u)
{
	static const char *const kinds[] = { [HOOK_CLIENT] = "client",
		[HOOK_MISS] = "miss", [HOOK_COUNT] = "counted",
		[HOOK_OPENED] = "opened", [HOOK_CLOSED] = "closed" };

	READ(hook_event);
	fact_in_order(w, m.serial);
	switch (m.kind) {
	case HOOK_CLIENT:
		return xasprintf("client %.*s %.*s=%.*s by=%.*s %" PRIu64 ".%"
		    PRIu64, TEXT(m.channel), TEXT(m.event), (int)(m.data.n > 40 ?
		    40 : m.data.n), m.data.p, TEXT(m.text), m.socket_a,
		    m.socket_b);
	case HOOK_OPENED:
	case HOOK_CLOSED:
		return xasprintf("%s %" PRIu64 ".%" PRIu64 " by=%.*s code=%"
		    PRIu64 " %.*s", kinds[m.kind], m.socket_a, m.socket_b,
		    TEXT(m.user), m.count, TEXT(m.text));
	case HOOK_COUNT:
		return xasprintf("counted %.*s %" PRIu64, TEXT(m.channel),
		    m.count);
	default:
		assert_int_equal(m.kind, HOOK_MISS);
		return xasprintf("miss %.*s", TEXT(m.channel));
	}
}

static char *(*const lines[MSG_TYPES])(struct mate *, struct unpacker *) = {
	[MSG_subscribed] = line_subscribed,
	[MSG_deliver] = line_deliver,
	[MSG_member_added] = line_member_added,
	[MSG_member_removed] = line_member_removed,
	[MSG_member] = line_member,
	[MSG_roster] = line_roster,
	[MSG_count] = line_count,
	[MSG_grant] = line_grant,
	[MSG_ack] = line_ack,
	[MSG_row] = line_row,
	[MSG_done] = line_done,
	[MSG_watch] = line_watch,
	[MSG_terminate] = line_terminate,
	[MSG_stalled] = line_stalled,
	[MSG_marked] = line_marked,
	[MSG_replay] = line_replay,
	[MSG_hook_hosts] = line_hook_hosts,
	[MSG_hook_state] = line_hook_state,
	[MSG_hook_roll] = line_hook_roll,
	[MSG_hook_event] = line_hook_event,
	[MSG_told] = line_told,
	[MSG_inspect] = line_inspect,
	[MSG_tailed] = line_tailed,
};

static void
mate_take(struct mate *w, struct bytes body)
{
	struct unpacker u;
	const char *why;
	unsigned type;

	if (msg_read(w->reader, body, &type, &u, &why) < 0)
		fail_msg("unreadable message: %s", why);
	if (type == MSG_counters)
		return;
	if (w->n_lines == w->cap_lines) {
		w->cap_lines = w->cap_lines * 2 + 64;
		w->lines = xreallocarray(w->lines, w->cap_lines,
		    sizeof(char *));
	}
	w->lines[w->n_lines++] = lines[type] != NULL ? lines[type](w, &u) :
	    xstrdup(msg_name(type));
}

/* True if something came. */
static bool
mate_read(struct mate *w)
{
	ssize_t n;
	size_t at = 0;

	if (w->asleep || w->fd < 0)
		return false;
	n = read(w->fd, buf_room(&w->in, 65536), 65536);
	if (n <= 0)
		return false;
	w->in.n += (size_t)n;
	for (;;) {
		const unsigned char *p = (unsigned char *)w->in.p + at;
		size_t have = w->in.n - at, body;

		if (have < 4)
			break;
		body = (size_t)p[0] << 24 | (size_t)p[1] << 16 |
		    (size_t)p[2] << 8 | p[3];
		if (have < 4 + body)
			break;
		mate_take(w, bytes_of(p + 4, body));
		at += 4 + body;
	}
	buf_drop(&w->in, at);
	return true;
}

static bool
mate_write(struct mate *w)
{
	ssize_t n;

	if (w->out.n == 0 || w->fd < 0)
		return false;
	n = write(w->fd, w->out.p, w->out.n);
	if (n < 0 && errno == EPIPE)
		n = (ssize_t)w->out.n;
	if (n <= 0)
		return false;
	buf_drop(&w->out, (size_t)n);
	return true;
}

void
mate_gets(struct mate *w, const char *line, const char *file, int at)
{
	char *got;

	if (w->n_lines == 0)
		fail_msg("%s:%d: nothing came instead of \"%s\"", file, at,
		    line);
	got = w->lines[0];
	if (strcmp(got, line) != 0)
		fail_msg("%s:%d: \"%s\" came instead of \"%s\"", file, at, got,
		    line);
	free(got);
	memmove(w->lines, w->lines + 1, --w->n_lines * sizeof(char *));
}

void
mate_gets_none(struct mate *w, const char *file, int at)
{
	if (w->n_lines != 0)
		fail_msg("%s:%d: \"%s\" came and %zu more", file, at,
		    w->lines[0], w->n_lines - 1);
}

/* ---- the rig ------------------------------------------------------------ */

static struct config *
settings(const char *ini)
{
	char *none[] = { NULL }, path[] = "/tmp/peal-test-XXXXXX", *why;
	struct config_source source = { .file = path, .environ_ = none };
	struct config *c;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	dprintf(fd, "[app chat]\nid = 1\nkey = k\nsecret = s\n%s\n", ini);
	close(fd);
	c = config_load(&source, &why);
	unlink(path);
	if (c == NULL)
		fail_msg("settings: %s", why);
	return c;
}

static int
mate_open(struct rig *g, struct mate *w)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	w->rig = g;
	w->fd = fds[1];
	w->reader = msg_reader_new();
	return fds[0];
}

static void
mate_done(struct mate *w)
{
	if (w->reader != NULL && w->fd >= 0)
		close(w->fd);
	while (w->n_lines > 0)
		free(w->lines[--w->n_lines]);
	free(w->lines);
	buf_done(&w->in);
	buf_done(&w->out);
	if (w->reader != NULL)
		msg_reader_free(w->reader);
}

/* Seconds pass by rig_later() alone, however slow the machine is. */
static struct router *
router_without_clock(struct rig *g)
{
	struct router *r = router_new(g->base, mate_open(g, &g->master));

	event_del(r->second);
	return r;
}

struct rig *
rig_new(const char *ini)
{
	return rig_backplane(ini, NULL);
}

struct rig *
rig_backplane(const char *ini, const struct backplane *backplane)
{
	struct rig *g = xcalloc(1, sizeof(*g));

	signal(SIGPIPE, SIG_IGN);
	log_init("test");
	log_set_level(LOG_LEVEL_ERROR);
	g->base = event_base_new();
	g->router = router_without_clock(g);
	g->router->backplane = backplane;
	rig_settings(g, ini);
	carrier_start(g->router);
	sync_go(g->router, 0);
	return g;
}

struct rig *
rig_heir(const char *ini, const struct backplane *backplane,
    struct rig *elder)
{
	struct rig *g = xcalloc(1, sizeof(*g));
	struct router *r;
	int fds[2];

	g->base = event_base_new();
	g->router = r = router_without_clock(g);
	r->epoch = elder->router->epoch + 1;
	r->backplane = backplane;
	r->node = elder->router->node;
	r->incarnation = elder->router->incarnation;
	r->generation = elder->router->generation + 1;
	rig_settings(g, ini);
	assert_int_equal(ipc_pair(fds), 0);
	elder_begin(elder->router, fds[0]);
	heir_begin(r, fds[1]);
	carrier_start(r);
	heir_go(r);
	return g;
}

void
rig_starting(struct rig *g, unsigned expect)
{
	sync_init(g->router);
	sync_go(g->router, expect);
}

void
rig_settings(struct rig *g, const char *ini)
{
	router_settings(g->router, settings(ini));
	log_set_level(LOG_LEVEL_ERROR);
}

void
rig_free(struct rig *g)
{
	router_free(g->router);
	for (size_t i = 0; i < g->n_mates; i++)
		mate_done(&g->mates[i]);
	mate_done(&g->master);
	mate_done(&g->courier);
	event_base_free(g->base);
	free(g);
}

struct mate *
rig_stranger(struct rig *g, unsigned slot)
{
	struct mate *w = &g->mates[g->n_mates++];

	assert_true(g->n_mates <= MATES);
	w->slot = slot;
	w->generation = g->n_mates;
	w->peer = peer_new(g->router, mate_open(g, w), slot, w->generation);
	return w;
}

struct mate *
rig_worker(struct rig *g, unsigned slot)
{
	struct mate *w = rig_stranger(g, slot);

	SAY(w, hello, .version = MSG_VERSION, .slot = slot,
	    .generation = w->generation);
	SAY(w, synced, .end_ = "");
	rig_run(g);
	return w;
}

struct mate *
rig_courier(struct rig *g)
{
	mate_done(&g->courier);
	g->courier = (struct mate){ .fd = -1 };
	hooks_link(g->router, mate_open(g, &g->courier));
	return &g->courier;
}

void
mate_dies(struct mate *w)
{
	close(w->fd);
	w->fd = -1;
	w->peer = NULL;
}

void
rig_run(struct rig *g)
{
	/* A hang-up is noticed one turn later than what came before it. */
	for (int idle = 0; idle < 3; idle++) {
		bool busy = false;

		for (size_t i = 0; i < g->n_mates; i++)
			busy |= mate_write(&g->mates[i]);
		if (g->courier.reader != NULL)
			busy |= mate_write(&g->courier);
		event_base_loop(g->base, EVLOOP_NONBLOCK);
		busy |= router_turn(g->router);
		for (size_t i = 0; i < g->n_mates; i++)
			busy |= mate_read(&g->mates[i]);
		busy |= mate_read(&g->master);
		if (g->courier.reader != NULL)
			busy |= mate_read(&g->courier);
		if (busy)
			idle = -1;
	}
}

void
rig_later(struct rig *g, uint64_t ms)
{
	clock_now += ms;
	g->router->now = clock_now;
	router_tick(g->router);
	rig_run(g);
}
