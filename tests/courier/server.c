/* SPDX-License-Identifier: MIT
 *
 * An HTTP server that answers as it is told, see rig.h.
 */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

struct visitor {
	LIST_ENTRY(visitor) link;
	struct server	*server;
	struct event	*read, *drip;
	int		 fd;
	int		 how;		/* a drip's */
	struct buf	 in;
};

static void
leave(struct visitor *v, bool reset)
{
	struct linger hard = { .l_onoff = 1 };

	if (reset)
		setsockopt(v->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	LIST_REMOVE(v, link);
	event_free(v->read);
	if (v->drip != NULL)
		event_free(v->drip);
	close(v->fd);
	buf_done(&v->in);
	free(v);
}

static void
say(struct visitor *v, const char *text)
{
	(void)!send(v->fd, text, strlen(text), MSG_NOSIGNAL);
}

static void
on_drip(evutil_socket_t fd, short what, void *arg)
{
	static char much[65536];
	struct visitor *v = arg;
	ssize_t n;

	(void)fd, (void)what;
	memset(much, 'x', sizeof(much));
	memcpy(much + 4096, "\r\n", 2);
	if (v->how == ANSWER_DRIP)
		n = send(v->fd, "x", 1, MSG_NOSIGNAL);
	else if (v->how == ANSWER_HEADS)
		n = send(v->fd, memcpy(much, "X-More: ", 8), 4098, MSG_NOSIGNAL);
	else
		n = send(v->fd, much, sizeof(much), MSG_NOSIGNAL |
		    MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		leave(v, true);
}

static void
drip(struct visitor *v, int how)
{
	struct timeval often = { 0, how == ANSWER_DRIP ? 10000 : 200 };

	v->how = how;
	v->drip = event_new(v->server->base, -1, EV_PERSIST, on_drip, v);
	event_add(v->drip, &often);
}

/* False: the visitor is gone. */
static bool
answer(struct visitor *v, int how)
{
	char text[100];

	switch (how) {
	case ANSWER_STALL:
		return true;
	case ANSWER_RESET:
		leave(v, true);
		return false;
	case ANSWER_DRIP:
		say(v, "HTTP/1.1 200 O");
		drip(v, how);
		return true;
	case ANSWER_GIANT:
		say(v, "HTTP/1.1 200 OK\r\n\r\n");
		drip(v, how);
		return true;
	case ANSWER_CUT:
		say(v, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
		shutdown(v->fd, SHUT_WR);
		return true;
	case ANSWER_HEADS:
		say(v, "HTTP/1.1 200 OK\r\n");
		drip(v, how);
		return true;
	case ANSWER_REDIRECT:
		snprintf(text, sizeof(text), "HTTP/1.1 302 Found\r\nLocation: "
		    "/other\r\nContent-Length: 0\r\n\r\n");
		break;
	case ANSWER_LATER:
		snprintf(text, sizeof(text), "HTTP/1.1 503 Later\r\n"
		    "Retry-After: 120\r\nContent-Length: 2\r\n\r\nno");
		break;
	default:
		snprintf(text, sizeof(text), "HTTP/1.1 %d Some\r\n"
		    "Content-Length: 2\r\n\r\nok", how);
	}
	say(v, text);
	return true;
}

static int
how_next(struct server *s)
{
	int how = s->always != 0 ? s->always : 200;

	if (s->n_answers == 0)
		return how;
	how = s->answers[0];
	memmove(s->answers, s->answers + 1,
	    --s->n_answers * sizeof(s->answers[0]));
	return how;
}

static char *
text_of(const char *p, size_t n)
{
	return bytes_dup(bytes_of(p, n));
}

/* A whole request, if there is one; false: the visitor is gone. */
static bool
take(struct visitor *v)
{
	struct server *s = v->server;
	char *end, *length;
	size_t head, n;

	buf_cstr(&v->in);
	if ((end = strstr(v->in.p, "\r\n\r\n")) == NULL)
		return true;
	head = (size_t)(end - v->in.p) + 4;
	length = strstr(v->in.p, "Content-Length: ");
	assert_true(length != NULL && length < end);
	n = strtoul(length + 16, NULL, 10);
	if (v->in.n < head + n)
		return true;
	if (s->n == s->cap) {
		s->cap = s->cap * 2 + 8;
		s->requests = xreallocarray(s->requests, s->cap,
		    sizeof(*s->requests));
	}
	s->requests[s->n++] = (struct request){ text_of(v->in.p, head),
		text_of(v->in.p + head, n), n };
	buf_drop(&v->in, head + n);
	return answer(v, how_next(s));
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct visitor *v = arg;
	ssize_t n = recv(fd, buf_room(&v->in, 65536), 65536, 0);

	(void)what;
	if (n <= 0) {
		leave(v, false);
		return;
	}
	v->in.n += (size_t)n;
	(void)take(v);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct visitor *v = xcalloc(1, sizeof(*v));

	(void)what;
	v->server = arg;
	v->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(v->fd >= 0);
	v->server->connections++;
	v->read = event_new(v->server->base, v->fd, EV_READ | EV_PERSIST,
	    on_read, v);
	event_add(v->read, NULL);
	LIST_INSERT_HEAD(&v->server->visitors, v, link);
}

struct server *
server_new(struct event_base *base)
{
	struct server *s = xcalloc(1, sizeof(*s));
	struct sockaddr_in at = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);

	s->base = base;
	LIST_INIT(&s->visitors);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(s->fd, 100), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &n), 0);
	s->port = ntohs(at.sin_port);
	s->accept = event_new(base, s->fd, EV_READ | EV_PERSIST, on_accept, s);
	event_add(s->accept, NULL);
	return s;
}

void
server_free(struct server *s)
{
	while (!LIST_EMPTY(&s->visitors))
		leave(LIST_FIRST(&s->visitors), true);
	for (size_t i = 0; i < s->n; i++) {
		free(s->requests[i].head);
		free(s->requests[i].body);
	}
	free(s->requests);
	event_free(s->accept);
	close(s->fd);
	free(s);
}

void
server_answer(struct server *s, int how)
{
	assert_true(s->n_answers < NELEM(s->answers));
	s->answers[s->n_answers++] = how;
}

const struct request *
server_request(const struct server *s, size_t i)
{
	assert_true(i < s->n);
	return &s->requests[i];
}

const char *
request_header(const struct request *r, const char *name)
{
	static char value[500];
	size_t n = strlen(name);
	const char *p;

	for (p = r->head; (p = strstr(p, "\r\n")) != NULL; p += 2)
		if (strncmp(p + 2, name, n) == 0 && p[2 + n] == ':')
			break;
	if (p == NULL)
		return NULL;
	p += 3 + n;
	p += strspn(p, " ");
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(p, "\r"), p);
	return value;
}

void
server_events(const struct server *s, struct buf *to)
{
	for (size_t i = 0; i < s->n; i++) {
		const char *p = strchr(s->requests[i].body, '[');

		assert_non_null(p);
		if (to->n > 0)
			buf_char(to, ',');
		buf_add(to, p + 1, strlen(p + 1) - 2);
	}
	buf_cstr(to);
}
