/* SPDX-License-Identifier: MIT
 *
 * crowd: one client, and the herd of them that a process holds.
 *
 * A client that should stay and is cut off comes back as pusher-js does: at once
 * if it was told so (4200 to 4299), else after a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"
#include "wire.h"

#define TICK_US		10000
#define SLICES		16	/* a tick looks at one of so many parts */
#define AGAIN_US	1000000
#define STUCK_US	30000000
#define SPLIT_US	120000	/* a frame in two halves: the second comes later */
#define READ_MAX	65536

void
client_note(struct client *c, uint64_t us)
{
	uint64_t recent = atomic_load(&stats->recent_us);

	if (us > c->worst)
		c->worst = us;
	if (us > stats->pause_us)
		stats->pause_us = us;
	while (us > recent && !atomic_compare_exchange_weak(&stats->recent_us,
	    &recent, us))
		;
}

/* ---- what it says ----------------------------------------------------------- */

static void
watch_writable(struct herd *f, struct client *c, bool writable)
{
	struct epoll_event ev = { .events = writable ? EPOLLIN | EPOLLOUT :
	    EPOLLIN, .data.ptr = c };

	epoll_ctl(f->ep, EPOLL_CTL_MOD, c->fd, &ev);
}

static struct herd *herd;	/* of this process */

static void
keep(struct client *c, const char *p, size_t n)
{
	if ((c->out = realloc(c->out, c->n_out + n)) == NULL)
		abort();
	memcpy(c->out + c->n_out, p, n);
	c->n_out += n;
}

static void
put(struct client *c, const char *p, size_t n)
{
	ssize_t done = 0;

	if (c->n_out > 0 || c->held) {
		keep(c, p, n);
		return;
	}
	done = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (done < 0)
		done = 0;	/* if it is lost, reading will tell */
	if ((size_t)done < n) {
		keep(c, p + done, n - (size_t)done);
		watch_writable(herd, c, true);
	}
}

static void
flush(struct client *c)
{
	ssize_t n = send(c->fd, c->out, c->n_out, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN)
		n = (ssize_t)c->n_out;
	if (n > 0)
		memmove(c->out, c->out + n, c->n_out -= (size_t)n);
	watch_writable(herd, c, c->n_out > 0);
	if (c->n_out == 0) {
		free(c->out);
		c->out = NULL;
	}
}

void
client_say(struct client *c, unsigned opcode, const char *p, size_t n)
{
	char text[1024];

	if (n + WIRE_FRAME <= sizeof text)
		put(c, text, wire_frame(text, opcode, p, n));
}

static void
ping(struct client *c, uint64_t now)
{
	static const char words[] = "{\"event\":\"pusher:ping\",\"data\":{}}";
	bool plain = c->door == DOOR_PUSHER && random() % 2 == 0;
	char text[64];
	size_t n = plain ? wire_frame(text, 1, words, sizeof words - 1) :
	    wire_frame(text, 9, "here?", 5), half = n / 2;

	c->pinged = now;
	c->asked = c->told;
	if (random() % 4 != 0 || c->n_out > 0) {
		put(c, text, n);
		return;
	}
	/* Half a frame is in the server's hands for a while. */
	put(c, text, half);
	c->held = true;
	keep(c, text + half, n - half);
	c->released = now + SPLIT_US;
}

/* A client event, and a ping whose answer says that it was taken. */
static void
speak(struct client *c, uint64_t now)
{
	struct channel *ch = &shared->channel[c->sub[c->n_subs - 1].channel];
	char data[96], text[256];
	int n;

	c->speak = now + opt.speak_us;
	tally_sending(ch, FROM_CLIENT, c->told);
	snprintf(data, sizeof data, "~c %u %u %llu %llu",
	    (unsigned)(ch - shared->channel), c->told,
	    (unsigned long long)now, (unsigned long long)now);
	n = c->door == DOOR_ROOM ? snprintf(text, sizeof text, "%s", data) :
	    snprintf(text, sizeof text, "{\"event\":\"client-m\",\"channel\":"
	    "\"%s\",\"data\":\"%s\"}", ch->name, data);
	c->told++;
	stats->client_events++;
	client_say(c, 1, text, (size_t)n);
	if (c->pinged == 0)
		ping(c, now);
}

static void
subscribe(struct client *c, struct sub *sub)
{
	const struct channel *ch = &shared->channel[sub->channel];
	char text[512], word[256], member[64] = "", hex[65] = "";
	int n;

	if (strncmp(ch->name, "presence-", 9) == 0)
		snprintf(member, sizeof member, "{\"user_id\":\"%s%u\"}",
		    c->churns ? "c" : "", c->id);
	if (strncmp(ch->name, "pr", 2) == 0) {
		n = snprintf(word, sizeof word, "%s:%s%s%s", c->socket_id,
		    ch->name, member[0] != '\0' ? ":" : "", member);
		wire_sign(hex, word, (size_t)n);
	}
	n = snprintf(text, sizeof text, "{\"event\":\"pusher:subscribe\","
	    "\"data\":{\"channel\":\"%s\"", ch->name);
	if (hex[0] != '\0')
		n += snprintf(text + n, sizeof text - (size_t)n,
		    ",\"auth\":\"%s:%s\"", opt.key, hex);
	if (member[0] != '\0')
		n += snprintf(text + n, sizeof text - (size_t)n,
		    ",\"channel_data\":\"{\\\"user_id\\\":\\\"%s%u\\\"}\"",
		    c->churns ? "c" : "", c->id);
	n += snprintf(text + n, sizeof text - (size_t)n, "}}");
	client_say(c, 1, text, (size_t)n);
}

/* The connection is greeted. */
void
client_enter(struct client *c)
{
	for (unsigned i = 0; i < c->n_subs; i++)
		subscribe(c, &c->sub[i]);
}

void
client_leave(struct client *c)
{
	c->state = LEAVING;
	client_say(c, 8, "\x03\xe8", 2);
}

/* ---- coming and going -------------------------------------------------------- */

static void
forget(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	free(c->in);
	free(c->out);
	c->in = c->out = NULL;
	c->n_in = c->n_out = c->in_size = 0;
	c->held = false;
	c->pinged = 0;
	c->entered = 0;
}

static void
count_lost(struct client *c, unsigned code)
{
	stats->codes[code < CODES ? code : 0]++;
	fault(&stats->disconnects, "client %u (%s) was closed: %u", c->id,
	    c->churns ? "comes and goes" : "stays", code);
	if (c->ready)
		atomic_fetch_sub(&shared->open, 1);
	if (c->down == 0)
		c->down = now_us();
	c->ready = false;
	c->watches = false;	/* it cannot know what it missed */
}

/* code: of the close frame, 1006 without one. */
void
client_lost(struct herd *f, struct client *c, unsigned code)
{
	enum state was = c->state;
	uint64_t now = now_us();

	for (unsigned i = 0; i < c->n_subs; i++)
		tally_left(&c->sub[i]);
	for (; c->sure < c->told; c->sure++)
		tally_unsure(&shared->channel[c->sub[c->n_subs - 1].channel],
		    FROM_CLIENT, c->sure);
	if (was == CONNECTING || was == SHAKING)
		f->shaking--;
	forget(c);
	c->state = IDLE;
	c->when = now + AGAIN_US;
	if (was == LEAVING) {
		atomic_fetch_or(&shared->churn[c->id], CHURN_LEFT);
	} else if (was == OPEN) {
		count_lost(c, code);
		if (code >= 4200 && code < 4300)
			c->when = now;
	} else {
		fault(&stats->refused, "client %u was refused (%s)", c->id,
		    was == CONNECTING ? "connect" : "handshake");
	}
	if (c->churns)
		c->state = GONE;
}

/* Loopback has too few ports for all from one address. */
static void
choose_address(int fd)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (strncmp(opt.host, "127.", 4) != 0)
		return;
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 +
	    (unsigned)(stats - shared->stats));
	bind(fd, (struct sockaddr *)&from, sizeof from);
}

void
client_start(struct herd *f, struct client *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)opt.port) };
	struct epoll_event ev = { .events = EPOLLOUT, .data.ptr = c };

	inet_pton(AF_INET, opt.host, &to.sin_addr);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		perror("crowd: socket");
		exit(2);
	}
	choose_address(c->fd);
	c->state = CONNECTING;
	f->shaking++;
	if (epoll_ctl(f->ep, EPOLL_CTL_ADD, c->fd, &ev) != 0 ||
	    (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 &&
	    errno != EINPROGRESS))
		client_lost(f, c, 0);
}

static void
shake(struct herd *f, struct client *c)
{
	char text[512], path[256];
	const char *room = shared->channel[c->sub[0].channel].name + 5;

	if (c->door == DOOR_STREAM)
		snprintf(path, sizeof path, "%s%s", opt.stream_path, room);
	else if (c->door == DOOR_ROOM)
		snprintf(path, sizeof path, "%s?room=%s", opt.room_path, room);
	else
		snprintf(path, sizeof path, "/app/%s?protocol=7&client=crowd&"
		    "version=1", opt.key);
	put(c, text, (size_t)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n"
	    "Host: crowd\r\n%s\r\n", path, c->door == DOOR_STREAM ? "" :
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n"));
	c->state = SHAKING;
	watch_writable(f, c, false);
}

/* The answer to the handshake; false: not all of it has come, or it is lost. */
static bool
shaken(struct herd *f, struct client *c, const char *p, size_t n,
    size_t *used)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4);
	bool good = n > 12 && memcmp(p + 9, c->door == DOOR_STREAM ? "200" :
	    "101", 3) == 0;

	if (end == NULL)
		return false;
	if (!good) {
		client_lost(f, c, 0);
		return false;
	}
	*used = (size_t)(end + 4 - p);
	c->state = OPEN;
	f->shaking--;
	stats->connected++;
	c->heard = now_us();
	c->next_ping = c->heard + (uint64_t)random() % (opt.ping_ms * 1000ull);
	if (c->door != DOOR_PUSHER)
		heard_entered(c, &c->sub[0]);
	return true;
}

/* ---- the herd ---------------------------------------------------------------- */

/* Takes what is whole from what has come; keeps the rest. */
static void
digest(struct herd *f, struct client *c, char *p, size_t n)
{
	size_t at = 0, used;

	if (c->state == SHAKING) {
		if (!shaken(f, c, p, n, &at) && c->fd < 0)
			return;
	}
	if (c->state == OPEN || c->state == LEAVING) {
		used = 0;
		if (c->door == DOOR_STREAM)
			heard_lines(c, p + at, n - at, &used);
		else if (!heard_frames(f, c, p + at, n - at, &used))
			return;
		at += used;
	}
	n -= at;
	if (n > c->in_size && (c->in = realloc(c->in, c->in_size = n)) == NULL)
		abort();
	if (n > 0)
		memmove(c->in, p + at, n);
	c->n_in = n;
}

static void
client_read(struct herd *f, struct client *c)
{
	static char room[READ_MAX + (1u << 20)];
	size_t kept = c->n_in;
	ssize_t n;

	if (kept > (1u << 20)) {
		client_lost(f, c, 1009);
		return;
	}
	memcpy(room, c->in != NULL ? c->in : "", kept);
	n = recv(c->fd, room + kept, READ_MAX, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		/* The end of an event stream has no code. */
		client_lost(f, c, n == 0 && c->door == DOOR_STREAM ? 0 : 1006);
		return;
	}
	digest(f, c, room, kept + (size_t)n);
}

static void
client_event(struct herd *f, struct client *c, unsigned events)
{
	int error = 0;
	socklen_t size = sizeof error;

	if (c->fd < 0)
		return;
	if (c->state == CONNECTING) {
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error != 0)
			client_lost(f, c, 0);
		else
			shake(f, c);
		return;
	}
	if (events & EPOLLOUT)
		flush(c);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		client_read(f, c);
}

static void
client_tick(struct herd *f, struct client *c, uint64_t now)
{
	bool run = atomic_load(&shared->phase) == RUNNING;

	if (c->state == IDLE && now >= c->when && f->shaking < opt.handshakes)
		client_start(f, c);
	if (c->state != OPEN)
		return;
	if (c->held && now >= c->released) {
		c->held = false;
		c->pinged = now;
		flush(c);
	}
	if (c->churns && now >= c->when && c->entered == c->n_subs)
		client_leave(c);
	else if (c->churns && now >= c->when + STUCK_US)
		client_lost(f, c, 1);
	else if (c->door == DOOR_STREAM || !run)
		return;
	else if (c->speaks && now >= c->speak && c->entered == c->n_subs)
		speak(c, now);
	else if (now >= c->next_ping && c->pinged == 0) {
		c->next_ping = now + opt.ping_ms * 1000ull;
		ping(c, now);
	}
}

void
herd_open(struct herd *f, unsigned n)
{
	*f = (struct herd){ .ep = epoll_create1(EPOLL_CLOEXEC), .n = n };
	f->client = calloc(n > 0 ? n : 1, sizeof *f->client);
	if (f->ep < 0 || f->client == NULL) {
		perror("crowd: clients");
		exit(2);
	}
	for (unsigned i = 0; i < n; i++) {
		f->client[i].fd = -1;
		f->client[i].state = GONE;
	}
	herd = f;
}

void
herd_turn(struct herd *f, int ms)
{
	struct epoll_event ev[256];
	int n = epoll_wait(f->ep, ev, 256, ms);
	uint64_t now;
	unsigned part;

	for (int i = 0; i < n; i++) {
		if (api_owns(ev[i].data.ptr))
			api_event(ev[i].data.ptr, ev[i].events);
		else
			client_event(f, ev[i].data.ptr, ev[i].events);
	}
	now = now_us();
	if (now - f->ticked < TICK_US)
		return;
	f->ticked = now;
	part = f->n / SLICES + 1;
	for (unsigned i = 0; i < part && i < f->n; i++) {
		client_tick(f, &f->client[f->next], now);
		f->next = (f->next + 1) % f->n;
	}
}
