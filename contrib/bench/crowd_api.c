/* SPDX-License-Identifier: MIT
 *
 * crowd: the application.  Publishers have a rhythm of their own, and one call
 * under way each: what was due while a call waited is sent late, and its delay
 * counts from when it was due.  Every fourth publisher connects anew for each
 * call, as PHP does.  Readers ask for counts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"
#include "wire.h"

#define READERS		2
#define BATCH		2
#define ANSWER_US	20000000
#define ANSWER_MAX	262144

enum question { NONE, COUNT, USERS, CONNECTIONS };

struct item {
	unsigned	 channel;
	uint32_t	 number;
};

struct call {
	int		 fd;
	bool		 busy, used, once;	/* once: connects for each call */
	bool		 right;			/* of a question */
	unsigned	 index, turn;
	uint64_t	 due, began, every;
	struct item	 item[BATCH];
	unsigned	 n_items;
	enum question	 question;
	char		*out;
	size_t		 n_out, n_in;
	char		*in;
};

static struct call *calls;
static unsigned n_calls;
static int epfd;
static bool stopped;

/* ---- a request --------------------------------------------------------------- */

static void
request(struct call *c, const char *method, const char *path,
    const char *info, const char *body)
{
	struct wire_call w = { .host = "crowd", .id = opt.id, .key = opt.key,
	    .method = method, .path = path, .info = info, .once = c->once };
	size_t n = strlen(body);

	free(c->out);
	if ((c->out = malloc(WIRE_HEAD + n)) == NULL)
		abort();
	c->n_out = wire_request(c->out, &w, body, n);
}

/* Which of its channels; the next number in it. */
static void
take_item(struct call *c, char *to, size_t size)
{
	struct item *it = &c->item[c->n_items++];
	unsigned own = (shared->channels - c->index + opt.publishers - 1) /
	    opt.publishers;
	struct channel *ch;

	it->channel = c->index + c->turn++ % own * opt.publishers;
	ch = &shared->channel[it->channel];
	it->number = atomic_load(&ch->sent[FROM_API]);
	tally_sending(ch, FROM_API, it->number);
	snprintf(to, size, "{\"name\":\"m\",\"channel\":\"%s\","
	    "\"data\":\"~a %u %u %llu %llu\"}", ch->name, it->channel,
	    it->number, (unsigned long long)c->due,
	    (unsigned long long)c->began);
}

static void
ask_publish(struct call *c)
{
	char one[256], two[256], body[640];
	unsigned own = shared->channels / opt.publishers;

	c->n_items = 0;
	take_item(c, one, sizeof one);
	if (c->turn % 16 != 0 || own < 2) {
		request(c, "POST", "/events", "", one);
		return;
	}
	take_item(c, two, sizeof two);
	snprintf(body, sizeof body, "{\"batch\":[%s,%s]}", one, two);
	request(c, "POST", "/batch_events", "", body);
}

static void
ask(struct call *c, enum question q, unsigned channel)
{
	const struct channel *ch = &shared->channel[channel];
	char path[96];

	c->question = q;
	c->item[0].channel = channel;
	if (q == CONNECTIONS) {
		request(c, "GET", "/connections", "", "");
		return;
	}
	snprintf(path, sizeof path, q == USERS ? "/channels/%s/users" :
	    "/channels/%s", ch->name);
	request(c, "GET", path, q == USERS ? "" : ch->kind == PRESENCE ?
	    "user_count" : "subscription_count", "");
}

static void
ask_something(struct call *c)
{
	unsigned n = 0;

	while (n < shared->channels && shared->channel[n].kind < CHURNING)
		n++;
	n = n > 0 ? (unsigned)random() % n : 0;
	if (c->turn++ % 8 == 0)
		ask(c, CONNECTIONS, 0);
	else
		ask(c, shared->channel[n].kind == PRESENCE && c->turn % 2 == 0 ?
		    USERS : COUNT, n);
}

/* ---- what is said of counts --------------------------------------------------- */

static unsigned
number_after(const char *text, const char *word)
{
	const char *p = strstr(text, word);

	return p != NULL ? (unsigned)strtoul(p + strlen(word), NULL, 10) : 0;
}

static unsigned
times(const char *text, const char *word)
{
	unsigned n = 0;

	while ((text = strstr(text, word)) != NULL) {
		n++;
		text += strlen(word);
	}
	return n;
}

static void
check_connections(struct call *c, const char *body)
{
	unsigned n = number_after(body, "\"connections\":"), cut = 0;

	for (unsigned i = 0; i <= opt.processes; i++)
		cut += (unsigned)shared->stats[i].disconnects;
	if (cut == 0 && (n < plan_total() || n > plan_total() + opt.churn * 30))
		fault(&stats->blinks, "%u connections of %u", n, plan_total());
	c->right = true;
}

/* A channel that nobody has left has one right answer; one that was left is
 * right again after a while. */
static void
check_count(struct call *c, const char *body)
{
	struct channel *ch = &shared->channel[c->item[0].channel];
	unsigned n, want = atomic_load(&ch->present);
	uint64_t since;

	if (c->question == CONNECTIONS) {
		check_connections(c, body);
		return;
	}
	n = c->question == USERS ? times(body, "\"id\":") :
	    number_after(body, "_count\":");
	c->right = n == want;
	if (c->right || atomic_load(&shared->phase) == FILLING)
		return;
	if (atomic_load(&ch->changes) == 0) {
		fault(&stats->blinks, "%s: %u instead of %u", ch->name, n, want);
		return;
	}
	since = now_us() - atomic_load(&ch->changed);
	if (since > stats->wrong_us)
		stats->wrong_us = since;
}

/* ---- a call ------------------------------------------------------------------- */

static void
hang_up(struct call *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->n_in = 0;
}

static void
failed(struct call *c, const char *why, unsigned status)
{
	for (unsigned i = 0; i < c->n_items; i++)
		tally_unsure(&shared->channel[c->item[i].channel], FROM_API,
		    c->item[i].number);
	stats->status[status]++;
	fault(&stats->api_failed, "%s: %s %u (%s connection)",
	    c->n_items > 0 ? "publish" : "question", why, status,
	    c->used ? "kept" : "new");
	c->busy = c->right = false;
	hang_up(c);
}

static void
push(struct call *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	ssize_t n = send(c->fd, c->out, c->n_out, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n > 0)
		memmove(c->out, c->out + n, c->n_out -= (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != ENOTCONN) {
		failed(c, "cut while writing", 0);
		return;
	}
	if (c->n_out > 0)
		ev.events |= EPOLLOUT;
	epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void
dial(struct call *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)opt.port) };
	struct epoll_event ev = { .events = EPOLLOUT, .data.ptr = c };
	int on = 1;

	inet_pton(AF_INET, opt.host, &to.sin_addr);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	c->used = false;
	if (c->fd < 0) {
		failed(c, "no socket", 0);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev);
	if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 &&
	    errno != EINPROGRESS)
		failed(c, "connect", 0);
}

/* The request is made; off it goes. */
static void
begin(struct call *c)
{
	c->busy = true;
	stats->api_calls++;
	if (c->fd < 0)
		dial(c);
	else
		push(c);
}

static void
answered(struct call *c, unsigned status, const char *body)
{
	uint64_t took = now_us() - c->began;

	if (status != 200) {
		failed(c, "status", status);
		return;
	}
	stats->status[status]++;
	log_value(stats->api, took);
	if (took > stats->api_us)
		stats->api_us = took;
	c->busy = false;
	c->used = true;
	c->n_in = 0;
	if (c->n_items > 0) {
		stats->published += c->n_items;
	} else {
		stats->reads++;
		check_count(c, body);
	}
}

/* A whole answer? */
static void
digest(struct call *c)
{
	char *end, *length;
	unsigned status;
	bool closes;

	c->in[c->n_in] = '\0';
	end = strstr(c->in, "\r\n\r\n");
	if (end == NULL)
		return;
	length = strcasestr(c->in, "\r\ncontent-length:");
	if (length == NULL || length > end) {
		failed(c, "no length", 0);
		return;
	}
	if (c->n_in < (size_t)(end + 4 - c->in) +
	    strtoul(length + 17, NULL, 10))
		return;
	status = (unsigned)strtoul(c->in + 9, NULL, 10);
	length = strcasestr(c->in, "\r\nconnection: close");
	closes = length != NULL && length < end;
	answered(c, status < 600 ? status : 0, end + 4);
	if (closes || c->once)
		hang_up(c);
}

static void
call_read(struct call *c)
{
	ssize_t n = recv(c->fd, c->in + c->n_in, ANSWER_MAX - c->n_in, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0 && c->busy) {
		c->n_in += (size_t)n;
		digest(c);
	} else if (c->busy) {
		stats->api_cut++;
		failed(c, n < 0 ? strerror(errno) : "closed", 0);
	} else {
		stats->api_reopened++;
		hang_up(c);
	}
}

void
api_event(void *p, unsigned events)
{
	struct call *c = p;

	if (c->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		call_read(c);
	if (c->fd >= 0 && (events & EPOLLOUT) != 0)
		push(c);
}

bool
api_owns(const void *p)
{
	const struct call *c = p;

	return n_calls > 0 && c >= calls && c < calls + n_calls;
}

void
api_open(int ep)
{
	epfd = ep;
	n_calls = opt.publishers + READERS;
	calls = calloc(n_calls, sizeof *calls);
	for (unsigned i = 0; calls != NULL && i < n_calls; i++) {
		struct call *c = &calls[i];
		bool reads = i >= opt.publishers;

		c->fd = -1;
		c->index = i;
		c->once = !reads && i % 4 == 3;
		c->every = reads ? READERS * 1000000ull / opt.reads :
		    opt.publishers * 1000000ull / opt.rate;
		if ((c->in = malloc(ANSWER_MAX + 1)) == NULL)
			abort();
	}
}

void
api_start(void)
{
	uint64_t now = now_us();

	for (unsigned i = 0; i < n_calls; i++)
		calls[i].due = now + calls[i].every * i / n_calls;
}

int
api_turn(void)
{
	uint64_t now = now_us(), next = now + 10000;

	for (unsigned i = 0; i < n_calls; i++) {
		struct call *c = &calls[i];

		if (c->busy && now > c->began && now - c->began > ANSWER_US)
			failed(c, "no answer", 0);
		while (!stopped && !c->busy && c->due <= now) {
			c->began = now_us();
			if (i < opt.publishers)
				ask_publish(c);
			else
				ask_something(c);
			begin(c);
			c->due += c->every;
		}
		if (!c->busy && c->due < next)
			next = c->due;
	}
	return next > now ? (int)((next - now) / 1000) : 0;
}

bool
api_finished(void)
{
	stopped = true;
	for (unsigned i = 0; i < n_calls; i++)
		if (calls[i].busy)
			return false;
	return true;
}

bool
api_settled(struct herd *f, uint64_t until)
{
	struct call *c = &calls[opt.publishers];

	for (unsigned i = 0; i < shared->channels; i++) {
		if (shared->channel[i].kind >= CHURNING)
			break;
		do {
			if (now_us() > until)
				return false;
			c->began = now_us();
			ask(c, COUNT, i);
			begin(c);
			while (c->busy && now_us() < until)
				herd_turn(f, 1);
		} while (!c->right);
	}
	return true;
}
