/* SPDX-License-Identifier: MIT
 *
 * For tests of the worker's core: settings with one app, a router played by the
 * test over a real link, and a front door that writes down what it is told.
 */
#ifndef PEAL_TEST_CORE_H
#define PEAL_TEST_CORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"
#include "front/front.h"
#include "worker/app.h"
#include "worker/conn.h"
#include "worker/listener.h"
#include "worker/table.h"
#include "worker/uplink.h"
#include "worker/worker.h"

/* Not every test uses all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

/* What the front door was told last. */
static struct {
	unsigned	 subscribed, refused, encoded;
	struct sub	*sub;
	uint64_t	 count;
	bool		 cached;
	char		 event[64];
} told;

static void
test_subscribed(struct client *cl, struct sub *s, struct bytes channel,
    const struct subscription *info, const char *why)
{
	(void)cl, (void)channel;
	if (why != NULL) {
		told.refused++;
		return;
	}
	told.subscribed++;
	told.sub = s;
	told.count = info->count;
	told.cached = info->cached;
}

static unsigned
test_variant(const struct client *cl)
{
	return cl->state.variant;
}

/* One letter for the kind, then what it is about. */
static struct frame *
test_encode(const struct message *m, unsigned variant)
{
	struct bytes what = m->kind == MESSAGE_EVENT ? m->event : m->id;
	struct frame *f = frame_new(1 + what.n);

	(void)variant;
	told.encoded++;
	f->p[0] = "EARC"[m->kind];
	if (what.n > 0)
		memcpy(f->p + 1, what.p, what.n);
	return f;
}

static const struct front test_front = {
	.name = "test",
	.subscribed = test_subscribed,
	.variant = test_variant,
	.encode = test_encode,
};

/* The router's end. */
static int router_fd;
static struct msg_reader *reader;
static struct buf inbox;
static size_t inbox_at;

static int
no_message(void *ctx, struct ipc *l, unsigned type, struct unpacker *u,
    const char **why)
{
	(void)ctx, (void)l, (void)type, (void)u, (void)why;
	return 0;
}

static void
no_end(void *ctx, struct ipc *l, const char *why)
{
	(void)ctx, (void)l, (void)why;
}

static const struct ipc_ops test_ops = {
	.on_message = no_message, .on_gone = no_end,
};

static void
test_connect(void)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	router_fd = fds[0];
	buf_clear(&inbox);
	inbox_at = 0;
	uplink_connect(worker.base, fds[1], &test_ops, NULL);
}

/* The next message the worker has sent, or MSG_NONE. */
static unsigned
next_message(struct unpacker *u)
{
	const char *why;
	unsigned type;
	size_t n;
	ssize_t got;

	uplink_turn();
	if (inbox_at == inbox.n) {
		buf_clear(&inbox);
		inbox_at = 0;
	}
	while ((got = recv(router_fd, buf_room(&inbox, 65536), 65536,
	    MSG_DONTWAIT)) > 0)
		inbox.n += got;
	if (inbox_at == inbox.n)
		return MSG_NONE;
	const unsigned char *p = (unsigned char *)inbox.p + inbox_at;
	n = (size_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
	assert_true(inbox.n - inbox_at >= 4 + n);
	assert_int_equal(msg_read(reader, bytes_of(p + 4, n), &type, u, &why),
	    0);
	inbox_at += 4 + n;
	return type;
}

/* The next one must be of this type. */
#define expect_msg(name, m) do { \
	struct unpacker u_; const char *why_; \
	assert_int_equal(next_message(&u_), MSG_##name); \
	assert_int_equal(msg_unpack_##name(&u_, (m), &why_), 0); \
} while (0)

#define expect_silence() do { \
	struct unpacker u_; \
	assert_int_equal(next_message(&u_), MSG_NONE); \
} while (0)

static void
expect_hello(void)
{
	struct msg_hello hello;
	struct msg_load load;
	struct msg_synced synced;

	expect_msg(hello, &hello);
	assert_int_equal(hello.version, MSG_VERSION);
	expect_msg(load, &load);
	expect_msg(synced, &synced);
}

/* The router's answer to a JOIN. */
static void
answer(const char *channel, uint64_t cookie, uint64_t count)
{
	struct msg_subscribed m = {
		.app = B("1"), .channel = bytes_str(channel),
		.cookie = cookie, .count = count,
	};

	channel_on_subscribed(&m);
}

/* What the router of a hand-over heard, and how it answers a JOIN. */
static struct {
	uint64_t	 mark;		/* cookie of the last one asked for */
	unsigned	 forgotten;	/* expected channels that were given up */
	void		(*on_join)(const struct msg_join *);	/* or NULL */
} router;

static void
play_router(void)
{
	struct msg_join join;
	struct msg_leave leave;
	struct msg_mark mark;
	struct unpacker u;
	const char *why;
	unsigned type;

	while ((type = next_message(&u)) != MSG_NONE) {
		if (type == MSG_mark) {
			assert_int_equal(msg_unpack_mark(&u, &mark, &why), 0);
			router.mark = mark.cookie;
		} else if (type == MSG_leave) {
			assert_int_equal(msg_unpack_leave(&u, &leave, &why),
			    0);
			router.forgotten += leave.n == 0;
		} else if (type == MSG_join && router.on_join != NULL) {
			assert_int_equal(msg_unpack_join(&u, &join, &why), 0);
			router.on_join(&join);
		}
	}
}

static struct config test_config;
static struct config_app test_app;
static struct config_listen test_listen;

static int
core_setup(void **state)
{
	static bool once;

	(void)state;
	memset(&told, 0, sizeof(told));
	if (!once) {
		once = true;
		test_app.id = (char *)"1";
		test_app.secret = (char *)"secret";
		test_config.app = &test_app;
		test_config.n_app = 1;
		test_config.listen = &test_listen;
		test_config.n_listen = 1;
		test_config.router.publish_window = 4096;
		test_config.websocket.max_backlog = 65536;
		test_config.websocket.max_backlog_total = 1u << 30;
		worker.config = &test_config;
		worker.base = event_base_new();
		worker.tls = xcalloc(1, sizeof(*worker.tls));
		worker_clock();
		conns_init(worker.base, 1ULL << 56);
		apps_init(&test_config);
		reader = msg_reader_new();
	}
	test_connect();
	expect_hello();
	return 0;
}

static int
core_teardown(void **state)
{
	(void)state;
	uplink_lost();
	close(router_fd);
	return 0;
}

/* A client on a real socket; the other end goes to *peer. */
static struct client *
test_client(int *peer)
{
	struct listener l = { .local = true };
	struct client *cl;
	struct conn *c;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	*peer = fds[0];
	c = conns_accept(fds[1], &l, NULL);
	assert_non_null(c);
	cl = conn_client(c);
	memset(cl, 0, sizeof(*cl));
	cl->conn = c;
	cl->front = &test_front;
	cl->app = app_by_id(B("1"));
	cl->state.socket_a = (uint32_t)c->id;
	cl->state.socket_b = 7;
	return cl;
}

/* All the client's end gets at the end of a turn. */
static const char *
received(int peer)
{
	static char text[65536];
	ssize_t n;

	conns_turn();
	n = recv(peer, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
test_client_end(struct client *cl, int peer)
{
	channel_leave_all(cl);
	conn_kill(cl->conn, CLOSE_PEER_CLOSED);
	conns_turn();
	close(peer);
}

#endif
