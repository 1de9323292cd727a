/* SPDX-License-Identifier: MIT
 *
 * Not a server: the work that no server of the Pusher protocol can leave out,
 * and nothing else, to compare a server with on the same machine in the same
 * hour.
 *
 * It accepts, answers the handshake, greets, and takes every subscription,
 * event of the API and client event for granted: no signature is checked,
 * nothing is limited, counted, kept or logged, and JSON is searched rather than
 * read.  What must go to a subscriber goes in one send(2) for all messages of a
 * channel in one turn of the loop.  Members of presence channels are known to one
 * worker alone, each with one connection.
 *
 *	floor [--port 8080] [--workers 1]
 *
 * Several workers share the port (SO_REUSEPORT) and send each other what is
 * published, all to all.
 */
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#define WORKERS		64
#define BUCKETS		(1u << 20)
#define ANSWER		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" \
			"Content-Length: 2\r\n\r\n{}"
#define S(literal)	((struct span){ (literal), sizeof(literal) - 1 })

struct span { const char *p; size_t n; };
struct room { char *p; uint32_t n, cap; };	/* octets that grow */

struct sub {
	struct conn	*conn;
	struct channel	*channel;
	struct sub	*next;		/* of the conn */
	uint32_t	 at;		/* in channel->subs */
	uint32_t	 member_n;	/* presence: channel_data, a JSON string */
	char		 member[];
};

/* What the sender of some of a turn's messages is not to get. */
struct except { struct conn *conn; uint32_t from, to; };

struct channel {
	struct channel	*next, *next_dirty;
	struct sub	**subs;
	struct room	 out;		/* frames of this turn */
	struct room	 ids, hash;	/* presence: who is there */
	struct except	*excepts;
	uint32_t	 n_excepts, cap_excepts;
	uint32_t	 n_subs, cap_subs;
	bool		 dirty, stale;	/* stale: ids and hash */
	uint32_t	 name_n;
	char		 name[];	/* as it stands in JSON, without quotes */
};

struct conn {
	int		 fd;
	bool		 websocket, dead;
	uint32_t	 number, excepted;	/* in that turn */
	struct conn	*next_dead;
	struct sub	*subs;
	struct room	 in, wait;	/* an unfinished message; unsent octets */
};

static int mail[WORKERS][2], workers = 1, me, ep;	/* mail: from others */
static struct channel *buckets[BUCKETS], *dirty;
static struct conn *dead;
static uint32_t connections, turn = 1;

/* ---- octets ------------------------------------------------------------- */

static void
add(struct room *r, const void *p, size_t n)
{
	if (n > r->cap - r->n) {
		r->cap = (uint32_t)(r->n + n) * 2;
		if ((r->p = realloc(r->p, r->cap)) == NULL)
			err(1, "realloc");
	}
	if (n > 0)
		memcpy(r->p + r->n, p, n);
	r->n += (uint32_t)n;
}

static void
add_span(struct room *r, struct span s)
{
	add(r, s.p, s.n);
}

static void
let_go(struct room *r)
{
	free(r->p);
	*r = (struct room){ 0 };
}

/* A text as one frame. */
static void
add_frame(struct room *r, struct span text)
{
	unsigned char head[4] = { 0x81, (unsigned char)text.n };
	size_t n = 2;

	if (text.n > 125) {
		head[1] = 126;
		head[2] = (unsigned char)(text.n >> 8);
		head[3] = (unsigned char)text.n;
		n = 4;
	}
	if (text.n > 65535) {
		unsigned char wide[10] = { 0x81, 127, 0, 0, 0, 0,
		    (unsigned char)(text.n >> 24), (unsigned char)(text.n >> 16),
		    (unsigned char)(text.n >> 8), (unsigned char)text.n };

		add(r, wide, sizeof(wide));
	} else
		add(r, head, n);
	add_span(r, text);
}

/* The value behind the first such key: a string with its quotes, or an object
 * or array with its brackets; empty if there is none. */
static struct span
value(struct span json, const char *key)
{
	const char *end = json.p + json.n, *p, *start;
	bool quoted = false;
	int depth = 0;

	p = memmem(json.p, json.n, key, strlen(key));
	if (p == NULL)
		return S("");
	for (start = p += strlen(key); p < end; p++) {
		if (*p == '\\' && quoted)
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && (*p == '{' || *p == '['))
			depth++;
		else if (!quoted && depth > 0 && (*p == '}' || *p == ']'))
			depth--;
		else if (!quoted && depth == 0 && strchr(",}]", *p) != NULL)
			break;
	}
	return (struct span){ start, (size_t)(p - start) };
}

static struct span
bare(struct span s)
{
	if (s.n >= 2 && *s.p == '"')
		return (struct span){ s.p + 1, s.n - 2 };
	return s;
}

static bool
is(struct span s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* ---- sockets ------------------------------------------------------------ */

static void
die(struct conn *c)
{
	if (c->dead)
		return;
	c->dead = true;
	c->next_dead = dead;
	dead = c;
}

static void
watch(struct conn *c, uint32_t events, int how)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	if (epoll_ctl(ep, how, c->fd, &e) != 0)
		err(1, "epoll_ctl");
}

/* What does not fit waits. */
static void
push(struct conn *c, const char *p, size_t n)
{
	ssize_t sent = 0;

	if (c->dead || n == 0)
		return;
	if (c->wait.n == 0) {
		sent = send(c->fd, p, n, MSG_NOSIGNAL);
		if (sent == (ssize_t)n)
			return;
		if (sent < 0 && errno != EAGAIN) {
			die(c);
			return;
		}
		if (sent < 0)
			sent = 0;
		watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
	}
	add(&c->wait, p + sent, n - (size_t)sent);
}

static void
push_waiting(struct conn *c)
{
	struct room r = c->wait;

	c->wait = (struct room){ 0 };
	push(c, r.p, r.n);
	free(r.p);
	if (c->wait.n == 0 && !c->dead)
		watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

static void
push_text(struct conn *c, struct span text)
{
	static struct room r;

	r.n = 0;
	add_frame(&r, text);
	push(c, r.p, r.n);
}

/* ---- channels ----------------------------------------------------------- */

static struct channel *
channel_of(struct span name, bool make)
{
	uint64_t h = 14695981039346656037u;
	struct channel **at, *ch;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)name.p[i]) * 1099511628211u;
	at = &buckets[(h ^ h >> 29) % BUCKETS];
	for (ch = *at; ch != NULL; ch = ch->next)
		if (ch->name_n == name.n && !memcmp(ch->name, name.p, name.n))
			return ch;
	if (!make)
		return NULL;
	if ((ch = calloc(1, sizeof(*ch) + name.n)) == NULL)
		err(1, "calloc");
	memcpy(ch->name, name.p, name.n);
	ch->name_n = (uint32_t)name.n;
	ch->next = *at;
	return *at = ch;
}

/* A text for all subscribers but one, at the end of the turn. */
static void
say(struct channel *ch, struct span text, struct conn *but)
{
	uint32_t from = ch->out.n;

	if (ch->n_subs == 0)
		return;
	add_frame(&ch->out, text);
	if (but != NULL) {
		if (ch->n_excepts == ch->cap_excepts) {
			ch->cap_excepts = ch->cap_excepts * 2 + 4;
			ch->excepts = realloc(ch->excepts, ch->cap_excepts *
			    sizeof(*ch->excepts));
		}
		ch->excepts[ch->n_excepts++] =
		    (struct except){ but, from, ch->out.n };
		but->excepted = turn;
	}
	if (!ch->dirty) {
		ch->dirty = true;
		ch->next_dirty = dirty;
		dirty = ch;
	}
}

/* All but what is excepted. */
static void
flush_pieces(const struct channel *ch, struct conn *c)
{
	static struct room r;
	uint32_t from = 0;

	r.n = 0;
	for (uint32_t i = 0; i < ch->n_excepts; i++) {
		if (ch->excepts[i].conn != c)
			continue;
		add(&r, ch->out.p + from, ch->excepts[i].from - from);
		from = ch->excepts[i].to;
	}
	add(&r, ch->out.p + from, ch->out.n - from);
	push(c, r.p, r.n);
}

static void
flush(struct channel *ch)
{
	for (uint32_t i = 0; i < ch->n_subs; i++) {
		struct conn *c = ch->subs[i]->conn;

		if (c->excepted == turn)
			flush_pieces(ch, c);
		else
			push(c, ch->out.p, ch->out.n);
	}
	ch->n_excepts = 0;
	ch->dirty = false;
	if (ch->out.cap > 65536)
		let_go(&ch->out);
	ch->out.n = 0;
}

/* ---- what clients and publishers ask for ----------------------------------- */

/* channel and event: JSON strings. */
static void
publish(struct span channel, struct span event, struct span data,
    struct conn *from)
{
	static struct room r;
	struct channel *ch = channel_of(bare(channel), false);

	r.n = 0;
	add_span(&r, S("{\"channel\":"));
	add_span(&r, channel);
	add_span(&r, S(",\"event\":"));
	add_span(&r, event);
	add_span(&r, S(",\"data\":"));
	add_span(&r, data);
	add_span(&r, S("}"));
	if (ch != NULL)
		say(ch, (struct span){ r.p, r.n }, from);
	for (int i = 0; i < workers; i++)
		if (i != me && send(mail[i][1], r.p, r.n, MSG_DONTWAIT) < 0)
			err(1, "worker %d is too slow", i);
}

static void
hear_others(void)
{
	static char text[1 << 20];
	ssize_t n;

	while ((n = recv(mail[me][0], text, sizeof(text), MSG_DONTWAIT)) > 0) {
		struct span s = { text, (size_t)n };
		struct channel *ch = channel_of(bare(value(s, "\"channel\":")),
		    false);

		if (ch != NULL)
			say(ch, s, NULL);
	}
}

/* What stands in a string: ,\"ID\" and ,\"ID\":INFO.  The load tools write
 * user_id first and no comma into it. */
static void
add_member(struct channel *ch, const struct sub *s)
{
	static const char id_key[] = "\\\"user_id\\\":",
	    info_key[] = "\\\"user_info\\\":";
	const char *end = s->member + s->member_n - 2, *id, *info;
	size_t n = 0;

	id = memmem(s->member, s->member_n, id_key, sizeof(id_key) - 1);
	if (id == NULL)
		return;
	id += sizeof(id_key) - 1;
	while (id + n < end && id[n] != ',' && id[n] != '}')
		n++;
	info = memmem(id, (size_t)(end - id), info_key, sizeof(info_key) - 1);
	add(&ch->ids, ",", 1);
	add(&ch->ids, id, n);
	add(&ch->hash, ",", 1);
	add(&ch->hash, id, n);
	add(&ch->hash, ":", 1);
	if (info != NULL)
		add(&ch->hash, info + sizeof(info_key) - 1,
		    (size_t)(end - info) - sizeof(info_key) + 1);
	else
		add(&ch->hash, "null", 4);
}

static void
add_roster(struct room *r, struct channel *ch)
{
	char head[80];

	for (uint32_t i = ch->stale ? 0 : ch->n_subs - 1; i < ch->n_subs; i++) {
		if (i == 0)
			ch->ids.n = ch->hash.n = 0;
		add_member(ch, ch->subs[i]);
	}
	ch->stale = false;
	add(r, head, (size_t)snprintf(head, sizeof(head),
	    "{\\\"presence\\\":{\\\"count\\\":%u,\\\"ids\\\":[", ch->n_subs));
	add(r, ch->ids.p + 1, ch->ids.n - 1);
	add_span(r, S("],\\\"hash\\\":{"));
	add(r, ch->hash.p + 1, ch->hash.n - 1);
	add_span(r, S("}}}"));
}

static void
tell_member(struct channel *ch, const char *what, const struct sub *s)
{
	static struct room r;

	r.n = 0;
	add_span(&r, S("{\"event\":\"pusher_internal:member_"));
	add(&r, what, strlen(what));
	add_span(&r, S("\",\"channel\":\""));
	add(&r, ch->name, ch->name_n);
	add_span(&r, S("\",\"data\":"));
	add(&r, s->member, s->member_n);
	add_span(&r, S("}"));
	say(ch, (struct span){ r.p, r.n }, s->conn);
}

static void
subscribe(struct conn *c, struct span name, struct span member)
{
	static struct room r;
	struct channel *ch = channel_of(bare(name), true);
	struct sub *s = malloc(sizeof(*s) + member.n);

	if (ch->n_subs == ch->cap_subs) {
		ch->cap_subs = ch->cap_subs * 2 + 1;
		ch->subs = realloc(ch->subs, ch->cap_subs * sizeof(*ch->subs));
	}
	if (s == NULL || ch->subs == NULL)
		err(1, "malloc");
	*s = (struct sub){ c, ch, c->subs, ch->n_subs, (uint32_t)member.n };
	memcpy(s->member, member.p, member.n);
	c->subs = ch->subs[ch->n_subs++] = s;
	r.n = 0;
	add_span(&r, S("{\"event\":\"pusher_internal:subscription_succeeded\","
	    "\"data\":\""));
	if (member.n > 2) {
		tell_member(ch, "added", s);
		/* What was said before is in the list that he gets. */
		ch->excepts[ch->n_excepts - 1].from = 0;
		add_roster(&r, ch);
	} else
		add_span(&r, S("{}"));
	add_span(&r, S("\",\"channel\":"));
	add_span(&r, name);
	add_span(&r, S("}"));
	push_text(c, (struct span){ r.p, r.n });
}

static void
leave(struct sub *s)
{
	struct channel *ch = s->channel;

	if (s->member_n > 2) {
		tell_member(ch, "removed", s);
		ch->stale = true;
	}
	ch->subs[s->at] = ch->subs[--ch->n_subs];
	ch->subs[s->at]->at = s->at;
	free(s);
}

static void
on_text(struct conn *c, struct span text)
{
	struct span event = value(text, "\"event\":");

	if (is(event, "\"pusher:subscribe\"")) {
		struct span name = value(text, "\"channel\":");

		if (name.n > 2)
			subscribe(c, name, value(text, "\"channel_data\":"));
	} else if (is(event, "\"pusher:ping\"")) {
		push_text(c, S("{\"event\":\"pusher:pong\",\"data\":\"{}\"}"));
	} else if (event.n > 8 && memcmp(event.p, "\"client-", 8) == 0) {
		struct span name = value(text, "\"channel\":");

		if (name.n > 2)
			publish(name, event, value(text, "\"data\":"), c);
	}
}

/* Whole frames of a client, unmasked in place; how many octets they were. */
static size_t
on_frames(struct conn *c, char *p, size_t n)
{
	size_t used = 0;

	while (n - used >= 6 && !c->dead) {
		unsigned char *f = (unsigned char *)p + used, *mask;
		size_t head = 6, length = f[1] & 127;

		if (length == 126) {
			head = 8;
			length = (size_t)f[2] << 8 | f[3];
		}
		if (length == 127 || n - used < head + length)
			break;
		mask = f + head - 4;
		for (size_t i = 0; i < length; i++)
			f[head + i] ^= mask[i % 4];
		used += head + length;
		if ((f[0] & 15) == 8) {
			push(c, "\x88", 2);	/* the literal's NUL: no reason */
			die(c);
		} else if ((f[0] & 15) == 1)
			on_text(c, (struct span){ (char *)f + head, length });
	}
	return used;
}

static void
greet(struct conn *c, struct span head)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	static struct room r;
	unsigned char digest[20];
	char text[160], key[24 + sizeof(guid)], accept[32];
	const char *p = strcasestr(head.p, "sec-websocket-key:");

	if (p == NULL || (p += 18 + strspn(p + 18, " ")) + 24 > head.p + head.n) {
		die(c);
		return;
	}
	memcpy(key, p, 24);
	memcpy(key + 24, guid, sizeof(guid));
	EVP_Digest(key, sizeof(key) - 1, digest, NULL, EVP_sha1(), NULL);
	EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
	r.n = 0;
	add_span(&r, S("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: "));
	add(&r, accept, 28);
	add_span(&r, S("\r\n\r\n"));
	add_frame(&r, (struct span){ text, (size_t)snprintf(text, sizeof(text),
	    "{\"event\":\"pusher:connection_established\",\"data\":"
	    "\"{\\\"socket_id\\\":\\\"%d.%u\\\",\\\"activity_timeout\\\":120}"
	    "\"}", me + 1, c->number) });
	push(c, r.p, r.n);
	c->websocket = true;
}

/* POST /apps/ID/events: one event for one or several channels. */
static void
on_post(struct conn *c, struct span body)
{
	struct span name = value(body, "\"name\":"), one, rest;

	one = value(body, "\"channel\":");
	if (one.n > 2)
		publish(one, name, value(body, "\"data\":"), NULL);
	rest = value(body, "\"channels\":");
	while (rest.n > 3) {
		const char *end = memchr(rest.p + 2, '"', rest.n - 2);

		if (end == NULL)
			break;
		one = (struct span){ rest.p + 1, (size_t)(end - rest.p) };
		publish(one, name, value(body, "\"data\":"), NULL);
		rest.n -= one.n + 1;
		rest.p += one.n + 1;
	}
	push(c, ANSWER, sizeof(ANSWER) - 1);
}

/* Whole requests; the octets have a NUL behind them. */
static size_t
on_requests(struct conn *c, char *p, size_t n)
{
	size_t used = 0, head, length;
	char *end, *at;

	while (!c->websocket && !c->dead &&
	    (end = memmem(p + used, n - used, "\r\n\r\n", 4)) != NULL) {
		*end = '\0';
		head = (size_t)(end + 4 - p) - used;
		at = strcasestr(p + used, "\r\ncontent-length:");
		length = at != NULL ? strtoul(at + 17, NULL, 10) : 0;
		*end = '\r';
		if (n - used - head < length)
			break;
		if (strncmp(p + used, "POST", 4) == 0)
			on_post(c, (struct span){ p + used + head, length });
		else
			greet(c, (struct span){ p + used, head });
		used += head + length;
	}
	return used;
}

static void
on_input(struct conn *c)
{
	static char octets[65536 + 1];
	char *p = octets;
	ssize_t got = recv(c->fd, octets, sizeof(octets) - 1, 0);
	size_t n = (size_t)got, used = 0;

	if (got <= 0) {
		if (got == 0 || errno != EAGAIN)
			die(c);
		return;
	}
	if (c->in.n > 0) {
		add(&c->in, octets, n);
		add(&c->in, "", 1);
		n = --c->in.n;
		p = c->in.p;
	} else
		p[n] = '\0';
	if (!c->websocket)
		used = on_requests(c, p, n);
	if (c->websocket)
		used += on_frames(c, p + used, n - used);
	if (p != octets) {
		memmove(p, p + used, n - used);
		c->in.n -= (uint32_t)used;
		if (c->in.n == 0)
			let_go(&c->in);
	} else if (used < n)
		add(&c->in, p + used, n - used);
}

/* ---- the loop ------------------------------------------------------------ */

static void
on_connect(int port)
{
	struct conn *c;
	int fd;

	while ((fd = accept4(port, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if ((c = calloc(1, sizeof(*c))) == NULL)
			err(1, "calloc");
		c->fd = fd;
		c->number = ++connections;
		watch(c, EPOLLIN, EPOLL_CTL_ADD);
	}
}

static void
turn_ends(void)
{
	struct conn *c;
	struct sub *s;

	/* Burying tells others, who may turn out to be dead. */
	while (dirty != NULL || dead != NULL) {
		for (; dirty != NULL; dirty = dirty->next_dirty)
			flush(dirty);
		turn++;
		while ((c = dead) != NULL) {
			dead = c->next_dead;
			while ((s = c->subs) != NULL) {
				c->subs = s->next;
				leave(s);
			}
			close(c->fd);
			let_go(&c->in);
			let_go(&c->wait);
			free(c);
		}
	}
}

static void
work(int number)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6,
	    .sin6_port = htons((uint16_t)number) };
	struct epoll_event e[256] = { { .events = EPOLLIN } };
	int port = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1, n;

	setsockopt(port, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (workers > 1)
		setsockopt(port, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
	setsockopt(port, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (bind(port, (struct sockaddr *)&any, sizeof(any)) != 0 ||
	    listen(port, 4096) != 0)
		err(1, "port %d", number);
	ep = epoll_create1(0);
	e[0].data.ptr = &ep;
	epoll_ctl(ep, EPOLL_CTL_ADD, port, &e[0]);
	e[0].data.ptr = mail;
	epoll_ctl(ep, EPOLL_CTL_ADD, mail[me][0], &e[0]);
	for (;;) {
		if ((n = epoll_wait(ep, e, 256, -1)) < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < n; i++) {
			struct conn *c = e[i].data.ptr;

			if (e[i].data.ptr == &ep)
				on_connect(port);
			else if (e[i].data.ptr == mail)
				hear_others();
			else {
				if (e[i].events & EPOLLOUT)
					push_waiting(c);
				if (e[i].events & ~(uint32_t)EPOLLOUT)
					on_input(c);
			}
		}
		turn_ends();
	}
}

int
main(int argc, char **argv)
{
	int port = 8080, i;

	for (i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--port") == 0)
			port = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--workers") == 0)
			workers = atoi(argv[i + 1]);
		else
			break;
	}
	if (i != argc || workers < 1 || workers > WORKERS)
		errx(2, "usage: floor [--port 8080] [--workers 1]");
	for (i = 0; i < workers; i++)
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, mail[i]) != 0)
			err(1, "socketpair");
	for (me = workers - 1; me > 0; me--) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			break;
		}
	}
	work(port);
}
