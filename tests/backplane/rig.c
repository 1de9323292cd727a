/* SPDX-License-Identifier: MIT
 *
 * A backplane driver without a router, see rig.h.
 */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

static uint64_t ahead_ms;
static struct rig *rigs[2];	/* all that there are */

uint64_t	__real_clock_ms(void);
uint64_t	__wrap_clock_ms(void);

uint64_t
__wrap_clock_ms(void)
{
	return __real_clock_ms() + ahead_ms;
}

void
rig_later(uint64_t ms)
{
	ahead_ms += ms;
}

uint64_t
rig_deadline(void)
{
	return __real_clock_ms() + RIG_PATIENCE_MS;
}

/* ---- upcalls ------------------------------------------------------------- */

#define TEXT(b)	(int)(b).n, (b).n != 0 ? (b).p : ""

static void
line_add(struct rig *g, char *line)
{
	assert_false(g->in_verb);
	if (g->n_lines == g->cap_lines) {
		g->cap_lines = g->cap_lines * 2 + 8;
		g->lines = xreallocarray(g->lines, g->cap_lines,
		    sizeof(*g->lines));
	}
	g->lines[g->n_lines++] = line;
}

static void
on_joined(void *ctx, const struct topic *t, struct position at)
{
	assert_int_equal(at.epoch, 0);
	line_add(ctx, xasprintf("joined %.*s:%.*s", TEXT(t->app),
	    TEXT(t->channel)));
}

static void
on_gap(void *ctx, const struct topic *t)
{
	line_add(ctx, xasprintf("gap %.*s:%.*s", TEXT(t->app),
	    TEXT(t->channel)));
}

static void
on_published(void *ctx, uint64_t cookie, const char *why)
{
	struct rig *g = ctx;

	assert_false(g->in_verb);
	if (g->quiet && why == NULL)
		return;
	line_add(ctx, xasprintf("published %" PRIu64 "%s%s", cookie,
	    why != NULL ? ": " : "", why != NULL ? why : ""));
}

static void
on_message(void *ctx, const struct topic *t, struct position at,
    struct bytes text)
{
	struct rig *g = ctx;

	assert_int_equal(at.epoch, 0);
	assert_false(g->in_verb);
	g->received++;
	g->octets += text.n;
	if (g->quiet)
		return;
	if (text.n > 100)
		line_add(ctx, xasprintf("message %.*s:%.*s %zu octets",
		    TEXT(t->app), TEXT(t->channel), text.n));
	else
		line_add(ctx, xasprintf("message %.*s:%.*s %.*s",
		    TEXT(t->app), TEXT(t->channel), TEXT(text)));
}

static void
on_fetched(void *ctx, uint64_t cookie, struct bytes text, uint64_t ttl_ms,
    const char *why)
{
	if (why != NULL)
		line_add(ctx, xasprintf("fetched %" PRIu64 ": %s", cookie,
		    why));
	else
		line_add(ctx, xasprintf("fetched %" PRIu64 " %.*s ttl=%s",
		    cookie, TEXT(text), ttl_ms == 0 ? "0" :
		    ttl_ms <= 60000 ? "some" : "much"));
}

static void
on_up(void *ctx)
{
	line_add(ctx, xstrdup("up"));
}

static void
on_down(void *ctx, const char *why)
{
	line_add(ctx, xasprintf("down %s", why));
}

static void
on_resolve(void *ctx, uint64_t cookie, struct bytes host)
{
	struct rig *g = ctx;

	assert_false(g->in_verb);
	assert_true(g->n_asked < NELEM(g->asked));
	g->asked[g->n_asked] = cookie;
	g->host[g->n_asked++] = bytes_dup(host);
}

static const struct backplane_up upcalls = {
	.joined = on_joined, .gap = on_gap, .published = on_published,
	.message = on_message, .fetched = on_fetched, .up = on_up,
	.down = on_down, .resolve = on_resolve,
};

/* ---- names --------------------------------------------------------------- */

static int
unix_connect(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(strlen(path) < sizeof(at.sun_path));
	strcpy(at.sun_path, path);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* "localhost" is ::1, where nobody listens, and 127.0.0.1. */
static void
answer(struct rig *g, uint64_t cookie, const char *host)
{
	struct in6_addr six = in6addr_loopback;
	struct in_addr four = { htonl(INADDR_LOOPBACK) };
	struct bytes at[2] = { bytes_of(&six, 16), bytes_of(&four, 4) };
	struct msg_list list = { at, 2 };
	int fd;

	g->in_verb = true;
	if (!g->no_names && host[0] == '/' && (fd = unix_connect(host)) >= 0) {
		g->driver->connected(g->self, cookie, fd);
	} else if (!g->no_names && strcmp(host, "localhost") == 0) {
		g->driver->resolved(g->self, cookie, &list, "");
	} else {
		list.n = 0;
		g->driver->resolved(g->self, cookie, &list, "no such host");
	}
	g->in_verb = false;
}

static void
answer_all(struct rig *g)
{
	for (unsigned i = 0; i < g->n_asked; i++) {
		answer(g, g->asked[i], g->host[i]);
		free(g->host[i]);
	}
	g->n_asked = 0;
}

/* ---- life ---------------------------------------------------------------- */

static struct config *
settings(const char *ini)
{
	char *none[] = { NULL }, path[] = "/tmp/peal-test-XXXXXX", *why;
	struct config_source source = { .file = path, .environ_ = none };
	struct config *c;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	dprintf(fd, "[app chat]\nid = 1\nkey = k\nsecret = s\n[backplane]\n"
	    "driver = redis\n%s\n", ini);
	close(fd);
	c = config_load(&source, &why);
	unlink(path);
	if (c == NULL)
		fail_msg("settings: %s", why);
	return c;
}

static struct rig *
rig_make(const char *ini)
{
	struct rig *g = xcalloc(1, sizeof(*g));

	g->base = event_base_new();
	g->config = settings(ini);
	g->driver = backplane_by_driver(g->config->backplane.driver);
	assert_non_null(g->driver);
	return g;
}

static void
rig_open(struct rig *g, const char **why)
{
	g->in_verb = true;
	g->self = g->driver->open(&g->config->backplane, g->base, &upcalls, g,
	    why);
	g->in_verb = false;
}

struct rig *
rig_new(const char *ini)
{
	struct rig *g = rig_make(ini);
	const char *why = NULL;

	rig_open(g, &why);
	if (g->self == NULL)
		fail_msg("open: %s", why);
	rigs[rigs[0] != NULL] = g;
	/* As a reload does. */
	config_free(g->config);
	g->config = NULL;
	return g;
}

void
rig_free(struct rig *g)
{
	for (size_t i = 0; i < NELEM(rigs); i++)
		if (rigs[i] == g)
			rigs[i] = NULL;
	if (g->self != NULL) {
		g->in_verb = true;
		g->driver->close(g->self);
	}
	for (size_t i = 0; i < g->n_lines; i++)
		free(g->lines[i]);
	for (unsigned i = 0; i < g->n_asked; i++)
		free(g->host[i]);
	free(g->lines);
	config_free(g->config);
	event_base_free(g->base);
	free(g);
}

void
rig_refused(const char *ini, const char *expect)
{
	struct rig *g = rig_make(ini);
	const char *why = NULL;

	rig_open(g, &why);
	assert_null(g->self);
	assert_non_null(why);
	if (strstr(why, expect) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, expect);
	rig_free(g);
}

void
rig_start(struct rig *g)
{
	g->in_verb = true;
	g->driver->start(g->self);
	g->in_verb = false;
}

static void
on_nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

static void
flush(struct rig *g)
{
	g->in_verb = true;
	g->driver->flush(g->self);
	g->in_verb = false;
}

static void
turn(struct rig *g, int wait_ms)
{
	struct timeval in = { wait_ms / 1000, wait_ms % 1000 * 1000 };

	flush(g);
	event_base_once(g->base, -1, EV_TIMEOUT, on_nothing, NULL, &in);
	event_base_loop(g->base, EVLOOP_ONCE);
	answer_all(g);
	flush(g);
}

void
rig_turn(struct rig *g, int wait_ms)
{
	bool alone = true;

	for (size_t i = 0; i < NELEM(rigs); i++)
		if (rigs[i] != NULL && rigs[i] != g) {
			turn(rigs[i], 0);
			alone = false;
		}
	turn(g, alone || wait_ms < 2 ? wait_ms : 2);
}

/* ---- verbs --------------------------------------------------------------- */

/* One lane for each letter that a channel begins with. */
struct topic
rig_topic(const char *channel)
{
	if (strncmp(channel, "raw ", 4) == 0)
		return (struct topic){ .app = B("1"),
		    .channel = bytes_str(channel + 4), .raw = true };
	return (struct topic){ .app = B("1"), .channel = bytes_str(channel),
	    .lane = (unsigned)channel[0] % LANES };
}

void
rig_join(struct rig *g, const char *channel)
{
	struct topic t = rig_topic(channel);

	g->in_verb = true;
	g->driver->join(g->self, &t, (struct position){ 0, 0 });
	g->in_verb = false;
}

void
rig_leave(struct rig *g, const char *channel)
{
	struct topic t = rig_topic(channel);

	g->in_verb = true;
	g->driver->leave(g->self, &t);
	g->in_verb = false;
}

void
rig_publish_bytes(struct rig *g, const char *channel, struct bytes text,
    uint64_t cookie)
{
	struct topic t = rig_topic(channel);

	g->in_verb = true;
	g->driver->publish(g->self, &t, text, cookie);
	g->in_verb = false;
}

void
rig_publish(struct rig *g, const char *channel, const char *text,
    uint64_t cookie)
{
	rig_publish_bytes(g, channel, bytes_str(text), cookie);
}

void
rig_store(struct rig *g, const char *channel, const char *text,
    uint64_t ttl_ms, uint64_t cookie)
{
	struct topic t = rig_topic(channel);

	g->in_verb = true;
	g->driver->store(g->self, &t, bytes_str(text), ttl_ms, cookie);
	g->in_verb = false;
}

void
rig_fetch(struct rig *g, const char *channel, uint64_t cookie)
{
	struct topic t = rig_topic(channel);

	g->in_verb = true;
	g->driver->fetch(g->self, &t, cookie);
	g->in_verb = false;
}

/* ---- what was told ------------------------------------------------------- */

static void
line_drop(struct rig *g)
{
	free(g->lines[0]);
	memmove(g->lines, g->lines + 1, --g->n_lines * sizeof(char *));
}

static void
line_wait(struct rig *g, const char *pattern, const char *file, int at)
{
	uint64_t ends = rig_deadline();

	while (g->n_lines == 0) {
		if (__real_clock_ms() > ends)
			fail_msg("%s:%d: nothing came instead of \"%s\"", file,
			    at, pattern);
		rig_turn(g, 20);
	}
}

void
rig_sees(struct rig *g, const char *pattern, const char *file, int at)
{
	line_wait(g, pattern, file, at);
	if (fnmatch(pattern, g->lines[0], 0) != 0)
		fail_msg("%s:%d: \"%s\" came instead of \"%s\"", file, at,
		    g->lines[0], pattern);
	line_drop(g);
}

void
rig_sees_none(struct rig *g, const char *file, int at)
{
	if (g->n_lines != 0)
		fail_msg("%s:%d: \"%s\" came", file, at, g->lines[0]);
}

void
rig_skip_to(struct rig *g, const char *pattern, const char *file, int at)
{
	bool found = false;

	while (!found) {
		line_wait(g, pattern, file, at);
		found = fnmatch(pattern, g->lines[0], 0) == 0;
		line_drop(g);
	}
}

/* ---- a broker that the test plays ----------------------------------------- */

void
play_open(struct play *p)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);

	p->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(p->listener, 16), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &n),
	    0);
	p->port = ntohs(at.sin_port);
}

void
play_close(struct play *p)
{
	close(p->listener);
}

static bool
readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

static void
play_wait(struct play *p, int fd, const char *what, const char *file, int at)
{
	uint64_t ends = rig_deadline();

	while (!readable(fd)) {
		if (__real_clock_ms() > ends)
			fail_msg("%s:%d: the broker never got \"%s\"", file, at,
			    what);
		rig_turn(p->rig, 5);
	}
}

int
play_accept(struct play *p)
{
	int fd;

	play_wait(p, p->listener, "a connection", __FILE__, __LINE__);
	fd = accept(p->listener, NULL, NULL);
	assert_true(fd >= 0);
	return fd;
}

/* Octets of the command that they begin with, and it as "GET|x|"; 0: it is not
 * whole yet. */
static size_t
command_take(struct bytes in, struct buf *out)
{
	char *end;
	size_t at, n;
	long words;

	buf_clear(out);
	if (in.n < 4 || memchr(in.p, '\n', in.n) == NULL)
		return 0;
	assert_int_equal(in.p[0], '*');
	words = strtol(in.p + 1, &end, 10);
	at = (size_t)(end - in.p) + 2;
	while (words-- > 0) {
		if (at >= in.n || memchr(in.p + at, '\n', in.n - at) == NULL)
			return 0;
		assert_int_equal(in.p[at], '$');
		n = strtoul(in.p + at + 1, &end, 10);
		at = (size_t)(end - in.p) + 2;
		if (at + n + 2 > in.n)
			return 0;
		buf_add(out, in.p + at, n);
		buf_char(out, '|');
		at += n + 2;
	}
	return at;
}

char *
play_hears_any(struct play *p, int fd, const char *file, int at)
{
	static char octets[1 << 18];
	static struct buf text;
	size_t whole = 0;
	ssize_t n;

	do {
		play_wait(p, fd, "a command", file, at);
		n = recv(fd, octets, sizeof(octets) - 1, MSG_PEEK);
		if (n <= 0)
			fail_msg("%s:%d: it ended", file, at);
		octets[n] = '\0';
		whole = command_take(bytes_of(octets, (size_t)n), &text);
		if (whole == 0)
			rig_turn(p->rig, 5);
	} while (whole == 0);
	assert_int_equal(recv(fd, octets, whole, 0), whole);
	return buf_cstr(&text);
}

/* The link's own PINGs are answered. */
void
play_hears(struct play *p, int fd, const char *command, const char *file,
    int at)
{
	const char *got = play_hears_any(p, fd, file, at);

	while (strcmp(got, "PING|") == 0 && strcmp(command, "PING|") != 0) {
		play_says(fd, "+PONG\r\n");
		got = play_hears_any(p, fd, file, at);
	}
	if (strcmp(got, command) != 0)
		fail_msg("%s:%d: \"%.200s\" instead of \"%s\"", file, at, got,
		    command);
}

void
play_hears_end(struct play *p, int fd)
{
	char octets[4096];
	ssize_t n;

	do {
		play_wait(p, fd, "the end", __FILE__, __LINE__);
		n = recv(fd, octets, sizeof(octets), 0);
	} while (n > 0);
	close(fd);
}

void
play_says_bytes(int fd, struct bytes text)
{
	assert_int_equal(send(fd, text.p, text.n, MSG_NOSIGNAL), text.n);
}

void
play_says(int fd, const char *text)
{
	play_says_bytes(fd, bytes_str(text));
}

int
play_sign_in(struct play *p, bool *subscriber)
{
	static const char begin[] = "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$";
	int fd = play_accept(p);
	char name[64] = "";

	play_wait(p, fd, "CLIENT SETNAME", __FILE__, __LINE__);
	assert_true(recv(fd, name, sizeof(name) - 1, MSG_PEEK) >
	    (ssize_t)sizeof(begin));
	*subscriber = strncmp(name + sizeof(begin) - 1, "14", 2) == 0;
	HEARS(p, fd, *subscriber ? "CLIENT|SETNAME|peal-subscribe|" :
	    "CLIENT|SETNAME|peal-publish|");
	HEARS(p, fd, "PING|");
	play_says(fd, "+OK\r\n+PONG\r\n");
	return fd;
}

void
play_node(struct play *p, int *publish, int *subscribe)
{
	bool subscriber;
	int fd;

	*publish = *subscribe = -1;
	while (*publish < 0 || *subscribe < 0) {
		fd = play_sign_in(p, &subscriber);
		*(subscriber ? subscribe : publish) = fd;
		if (subscriber)
			continue;
		HEARS(p, fd, "SET|peal::probe:last|1|PX|1000|");
		play_says(fd, "+OK\r\n");
	}
}
