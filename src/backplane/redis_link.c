/* SPDX-License-Identifier: MIT
 *
 * One connection to one Redis, see redis_link.h.
 *
 * Owners may open and close a link from inside the calls it makes to them:
 * `life` counts the connections, and what goes on after such a call looks at it.
 *
 * Runs in: the router.
 */
#include "backplane/redis_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <hiredis/hiredis.h>

#include "backplane/redis.h"
#include "backplane/redis_dial.h"
#include "backplane/redis_reply.h"
#include "backplane/redis_sign.h"
#include "common/counters.h"
#include "common/log.h"
#include "common/tls.h"
#include "common/util.h"

#define PAUSE_MIN_MS	50
#define PAUSE_MAX_MS	1000
#define SETTLED_MS	5000	/* up for so long: the next pause is short */
#define PING_MS		1000
#define READ_SIZE	(256u << 10)
#define READ_A_TURN	(1u << 20)	/* then others get their turn */
#define IN_KEEP		(2u << 20)	/* a larger buffer is given back */
#define REPLY_SLACK	(64u << 10)	/* around the longest message */

enum link_state {
	LINK_CLOSED, LINK_PAUSE, LINK_DIALING, LINK_SECURING, LINK_SIGNING,
	LINK_UP
};

struct redis_link {
	TAILQ_ENTRY(redis_link)	 of_redis;
	struct redis		*redis;
	bool			 subscriber, freed;
	const struct redis_sign	*sign;
	const struct redis_link_ops *ops;
	void			*ctx;

	enum link_state		 state;
	uint64_t		 life;
	struct redis_place	 place;
	char			 text[300];
	char			 why[300];
	unsigned		 fails;
	uint64_t		 up_ms;

	struct redis_dial	 dial;
	int			 fd;
	struct tls		*tls;
	struct event		*readable, *writable, *timer;
	struct redis_replies	 replies;
	struct buf		 in, out;
	size_t			 in_at, out_at;
	bool			 blocked;	/* the kernel takes no more now */

	struct redis_signing	 signing;
	uint64_t		 asked, answered;	/* commands */
	bool			 pinging;
	uint64_t		 ping_asked;		/* commands before it */
	uint64_t		 ping_us, rtt_us;
	uint64_t		 silent_ms;	/* waits for an answer since; 0:
						   for none */
};

static void	on_timer(evutil_socket_t, short, void *);
static void	on_readable(evutil_socket_t, short, void *);
static void	on_writable(evutil_socket_t, short, void *);
static void	on_dialed(void *, int, const char *);

static void
timer_set(struct redis_link *l, uint64_t ms)
{
	struct timeval in = timeval_ms(ms);

	evtimer_add(l->timer, &in);
}

static uint64_t
timeout_ms(const struct redis_link *l)
{
	return l->redis->settings.set->timeout;
}

/* ---- life ---------------------------------------------------------------- */

struct redis_link *
redis_link_new(struct redis *r, bool subscriber, const struct redis_sign *sign,
    const struct redis_link_ops *ops, void *ctx)
{
	struct redis_link *l = xcalloc(1, sizeof(*l));

	l->redis = r;
	l->subscriber = subscriber;
	l->sign = sign;
	l->ops = ops;
	l->ctx = ctx;
	l->fd = -1;
	redis_dial_init(&l->dial, r, on_dialed, l);
	redis_replies_init(&l->replies, (size_t)r->settings.set->max_message +
	    REPLY_SLACK);
	if ((l->timer = evtimer_new(r->base, on_timer, l)) == NULL)
		fatal("no timer for a link");
	TAILQ_INSERT_TAIL(&r->links, l, of_redis);
	return l;
}

/* What was read stays until the next connection: its owner may look at it. */
static void
shut(struct redis_link *l)
{
	l->life++;
	redis_dial_stop(&l->dial);
	evtimer_del(l->timer);
	if (l->readable != NULL) {
		event_free(l->readable);
		event_free(l->writable);
	}
	l->readable = l->writable = NULL;
	tls_free(l->tls);
	l->tls = NULL;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	buf_reuse(&l->out);
	l->out_at = 0;
	l->blocked = l->pinging = false;
	l->silent_ms = 0;
	l->state = LINK_CLOSED;
}

static void
destroy(struct redis_link *l)
{
	TAILQ_REMOVE(&l->redis->links, l, of_redis);
	redis_dial_done(&l->dial);
	redis_replies_done(&l->replies);
	event_free(l->timer);
	buf_done(&l->in);
	buf_done(&l->out);
	free(l);
}

void
redis_link_free(struct redis_link *l)
{
	if (l == NULL)
		return;
	shut(l);
	l->freed = true;
}

/* The longest pause after so many failures. */
static uint64_t
longest_pause_ms(unsigned fails)
{
	uint64_t ms = PAUSE_MIN_MS;

	for (unsigned i = 1; i < fails && ms < PAUSE_MAX_MS; i++)
		ms *= 2;
	return ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
}

static uint64_t
pause_ms(const struct redis_link *l)
{
	uint64_t ms = longest_pause_ms(l->fails);

	return l->fails == 0 ? 0 : ms / 2 + random_1_to((uint32_t)(ms / 2));
}

uint64_t
redis_link_others_ms(const struct redis_link *l)
{
	return l->fails == 0 ? 0 : longest_pause_ms(l->fails + 1);
}

void
redis_link_open(struct redis_link *l, const struct redis_place *place)
{
	const char *host = place->host;

	shut(l);
	if (!redis_place_eq(&l->place, place))
		l->fails = 0;
	l->place = *place;
	if (host[0] == '/')
		snprintf(l->text, sizeof(l->text), "%s", host);
	else
		snprintf(l->text, sizeof(l->text), strchr(host, ':') != NULL ?
		    "[%s]:%u" : "%s:%u", host, place->port);
	l->state = LINK_PAUSE;
	timer_set(l, pause_ms(l));
}

void
redis_link_close(struct redis_link *l)
{
	shut(l);
}

/* From the loop only. */
static void
link_failed(struct redis_link *l, const char *why)
{
	if (l->state == LINK_UP && l->up_ms != 0 &&
	    clock_ms() - l->up_ms >= SETTLED_MS)
		l->fails = 0;
	l->up_ms = 0;
	l->fails++;
	counter.backplane_failures++;
	if (why != l->why)
		snprintf(l->why, sizeof(l->why), "%s", why);
	shut(l);
	l->ops->down(l->ctx, l, l->why);
}

bool
redis_link_up(const struct redis_link *l)
{
	return l->state == LINK_UP;
}

bool
redis_link_idle(const struct redis_link *l)
{
	return l->state == LINK_CLOSED && !l->freed;
}

const struct redis_place *
redis_link_place(const struct redis_link *l)
{
	return &l->place;
}

const char *
redis_link_text(const struct redis_link *l)
{
	return l->text;
}

uint64_t
redis_link_rtt_us(const struct redis_link *l)
{
	return l->rtt_us;
}

/* ---- writing ------------------------------------------------------------- */

size_t
redis_link_unwritten(const struct redis_link *l)
{
	return l->out.n - l->out_at;
}

static void
expect(struct redis_link *l)
{
	if (l->silent_ms == 0)
		l->silent_ms = clock_ms();
}

void
redis_link_command(struct redis_link *l, size_t argc, const struct bytes *argv)
{
	if (l->state != LINK_UP)
		return;
	redis_command(&l->out, argc, argv);
	l->asked++;
	expect(l);
}

void
redis_link_wire(struct redis_link *l, struct bytes wire, uint64_t n)
{
	if (l->state != LINK_UP)
		return;
	buf_bytes(&l->out, wire);
	l->asked += n;
	expect(l);
}

static ssize_t
put(struct redis_link *l, const char *p, size_t n)
{
	ssize_t done;

	if (l->tls == NULL) {
		done = send(l->fd, p, n, MSG_NOSIGNAL);
		if (done < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		return done;
	}
	done = tls_write(l->tls, p, n);
	return done == TLS_WANT_READ || done == TLS_WANT_WRITE ? 0 :
	    done > 0 ? done : -1;
}

static const char *
broke(const struct redis_link *l)
{
	if (l->tls != NULL)
		return tls_why(l->tls);
	return errno == EPIPE || errno == ECONNRESET ?
	    "it closed the connection" : strerror(errno);
}

void
redis_link_flush(struct redis_link *l)
{
	ssize_t n = 1;

	if ((l->state != LINK_UP && l->state != LINK_SIGNING) || l->blocked)
		return;
	while (l->out_at < l->out.n && n > 0) {
		n = put(l, l->out.p + l->out_at, l->out.n - l->out_at);
		if (n > 0)
			l->out_at += (size_t)n;
	}
	if (n < 0) {
		/* What it said before it closed may say why. */
		l->blocked = true;
		event_active(l->readable, EV_READ, 0);
		return;
	}
	if (l->out_at == l->out.n) {
		buf_reuse(&l->out);
		l->out_at = 0;
		return;
	}
	if (l->out_at > l->out.n / 2) {
		buf_drop(&l->out, l->out_at);
		l->out_at = 0;
	}
	l->blocked = true;
	event_add(l->writable, NULL);
}

/* The other side took something: it is alive. */
static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *l = arg;

	(void)fd, (void)what;
	l->blocked = false;
	if (l->silent_ms != 0)
		l->silent_ms = clock_ms();
	if (l->state == LINK_SECURING)
		on_readable(fd, what, l);
	else
		redis_link_flush(l);
}

/* ---- signing in ---------------------------------------------------------- */

/* All at once: the answers come in order. */
static void
sign_in(struct redis_link *l)
{
	l->state = LINK_SIGNING;
	redis_signing_say(&l->signing, l->sign, &l->out);
	redis_link_flush(l);
}

static uint64_t
ping_ms(const struct redis_link *l)
{
	uint64_t half = timeout_ms(l) / 2;

	return half < PING_MS ? half : PING_MS;
}

static int
take_step(struct redis_link *l, const redisReply *reply)
{
	int step = redis_signing_take(&l->signing, reply, l->why,
	    sizeof(l->why));

	if (step <= 0)
		return step;
	l->state = LINK_UP;
	l->asked = l->answered = 0;
	l->up_ms = clock_ms();
	counter.backplane_connects++;
	timer_set(l, ping_ms(l));
	l->ops->up(l->ctx, l);
	return 0;
}

/* ---- reading ------------------------------------------------------------- */

static bool
is_pong(const struct redis_link *l, const redisReply *reply)
{
	if (!l->pinging)
		return false;
	if (!l->subscriber)
		return l->answered == l->ping_asked;
	return redis_reply_is(reply, "PONG") ||
	    (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	    redis_reply_is(reply->element[0], "pong"));
}

static int
take_reply(struct redis_link *l, const redisReply *reply)
{
	const char *why = "";

	if (l->state == LINK_SIGNING)
		return take_step(l, reply);
	if (is_pong(l, reply)) {
		l->pinging = false;
		l->rtt_us = clock_ns() / 1000 - l->ping_us;
		return 0;
	}
	if (!l->subscriber && l->answered++ == l->asked) {
		snprintf(l->why, sizeof(l->why), "an answer to nothing");
		return -1;
	}
	if (l->ops->reply(l->ctx, l, reply, &why) == 0)
		return 0;
	snprintf(l->why, sizeof(l->why), "%s", why);
	return -1;
}

static int
take_too_long(struct redis_link *l)
{
	char text[] = "ERR the answer is too long";
	redisReply reply = { .type = REDIS_REPLY_ERROR, .str = text,
		.len = sizeof(text) - 1 };

	counter.backplane_oversize++;
	return l->subscriber ? 0 : take_reply(l, &reply);
}

static int
take_one(struct redis_link *l, enum redis_got got)
{
	switch (got) {
	case REDIS_GOT_REPLY:
		return take_reply(l, l->replies.reply);
	case REDIS_GOT_MESSAGE:
		if (l->state == LINK_UP && l->ops->message != NULL)
			l->ops->message(l->ctx, l, l->replies.channel,
			    l->replies.payload);
		return 0;
	case REDIS_GOT_TOO_LONG:
		return take_too_long(l);
	case REDIS_GOT_GARBAGE:
	default:
		snprintf(l->why, sizeof(l->why), "%s", l->replies.why);
		return -1;
	}
}

/* Hands out what is whole: -1: it must end, for l->why; 1: it is another
 * connection now. */
static int
take_all(struct redis_link *l)
{
	uint64_t life = l->life;
	enum redis_got got;
	size_t used;
	int result;

	do {
		got = redis_replies_next(&l->replies, bytes_skip(
		    buf_view(&l->in), l->in_at), &used);
		l->in_at += used;
		if (got == REDIS_GOT_NOTHING)
			break;
		result = take_one(l, got);
		if (l->life != life)
			return 1;
		if (result < 0)
			return -1;
	} while (l->in_at < l->in.n);
	return 0;
}

static void
in_settle(struct redis_link *l)
{
	if (l->in_at == l->in.n) {
		l->in_at = l->in.n = 0;
		if (l->in.cap > IN_KEEP)
			buf_done(&l->in);
	} else if (l->in_at > l->in.n / 2) {
		buf_drop(&l->in, l->in_at);
		l->in_at = 0;
	}
}

/* Octets, 0 if there are none now, -1 with l->why. */
static ssize_t
get(struct redis_link *l)
{
	char *to = buf_room(&l->in, READ_SIZE);
	ssize_t n;

	if (l->tls == NULL) {
		n = recv(l->fd, to, READ_SIZE, 0);
		if (n > 0)
			return n;
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n == 0)
			errno = ECONNRESET;
	} else {
		n = tls_read(l->tls, to, READ_SIZE);
		if (n > 0)
			return n;
		if (n == TLS_WANT_READ || n == TLS_WANT_WRITE)
			return 0;
		errno = ECONNRESET;
		if (n == TLS_CLOSED) {
			snprintf(l->why, sizeof(l->why),
			    "it closed the connection");
			return -1;
		}
	}
	snprintf(l->why, sizeof(l->why), "%s", broke(l));
	return -1;
}

static bool
waits(const struct redis_link *l)
{
	return l->pinging || (!l->subscriber && l->asked != l->answered);
}

static void
link_read(struct redis_link *l)
{
	size_t total = 0;
	ssize_t n;
	int result = 0;

	while (total < READ_A_TURN && (n = get(l)) != 0) {
		if (n < 0) {
			link_failed(l, l->why);
			return;
		}
		total += (size_t)n;
		l->in.n += (size_t)n;
		if ((result = take_all(l)) != 0)
			break;
		in_settle(l);
	}
	if (result < 0)
		link_failed(l, l->why);
	if (result != 0)
		return;
	if (total > 0 && l->state == LINK_UP)
		l->silent_ms = waits(l) ? clock_ms() : 0;
	/* epoll knows nothing of what is decrypted already. */
	if (l->tls != NULL && tls_pending(l->tls))
		event_active(l->readable, EV_READ, 0);
}

/* ---- the way up ---------------------------------------------------------- */

static void
secure(struct redis_link *l)
{
	int n = tls_handshake(l->tls);

	if (n > 0)
		sign_in(l);
	else if (n == TLS_WANT_WRITE)
		event_add(l->writable, NULL);
	else if (n != TLS_WANT_READ)
		link_failed(l, tls_why(l->tls));
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *l = arg;

	(void)fd, (void)what;
	if (l->state == LINK_SECURING)
		secure(l);
	else
		link_read(l);
}

static const char *
name_expected(const struct redis_link *l)
{
	const char *name = l->redis->settings.set->tls_name;

	return name != NULL && name[0] != '\0' ? name : l->place.host;
}

static void
on_dialed(void *arg, int fd, const char *why)
{
	struct redis_link *l = arg;
	struct redis_settings *s = &l->redis->settings;

	if (fd < 0) {
		link_failed(l, why);
		return;
	}
	l->fd = fd;
	l->in.n = l->in_at = 0;
	redis_replies_reset(&l->replies);
	l->readable = event_new(l->redis->base, fd, EV_READ | EV_PERSIST,
	    on_readable, l);
	l->writable = event_new(l->redis->base, fd, EV_WRITE, on_writable, l);
	if (l->readable == NULL || l->writable == NULL ||
	    event_add(l->readable, NULL) < 0)
		fatal("no event for a link");
	timer_set(l, timeout_ms(l));
	if (s->tls && l->place.host[0] != '/') {
		l->state = LINK_SECURING;
		l->tls = tls_connect(s->tls_context, fd, name_expected(l));
		secure(l);
	} else {
		sign_in(l);
	}
}

/* ---- time ---------------------------------------------------------------- */

static void
ping(struct redis_link *l)
{
	static const struct bytes command[] = { BYTES("PING") };

	l->pinging = true;
	l->ping_asked = l->asked;
	l->ping_us = clock_ns() / 1000;
	redis_command(&l->out, 1, command);
	expect(l);
}

/* After a while in which we were not run, the answer may have come already:
 * look before believing. */
static void
watch(struct redis_link *l)
{
	uint64_t life = l->life, limit = timeout_ms(l);
	char why[64];

	if (l->silent_ms != 0 && clock_ms() - l->silent_ms > limit)
		link_read(l);
	if (l->life != life || l->state != LINK_UP)
		return;
	if (l->silent_ms != 0 && clock_ms() - l->silent_ms > limit) {
		snprintf(why, sizeof(why), "it has not answered for %llu ms",
		    (unsigned long long)limit);
		link_failed(l, why);
		return;
	}
	if (!l->pinging && !l->signing.mute)
		ping(l);
	timer_set(l, ping_ms(l));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *l = arg;

	(void)fd, (void)what;
	switch (l->state) {
	case LINK_PAUSE:
		l->state = LINK_DIALING;
		redis_dial_start(&l->dial, &l->place);
		break;
	case LINK_UP:
		watch(l);
		break;
	case LINK_SECURING:
		link_failed(l, "TLS: no answer in time");
		break;
	case LINK_SIGNING:
		link_failed(l, "no answer to the sign-in in time");
		break;
	default:
		break;
	}
}

/* ---- all links ----------------------------------------------------------- */

void
redis_links_flush(struct redis *r)
{
	struct redis_link *l, *next;

	for (l = TAILQ_FIRST(&r->links); l != NULL; l = next) {
		next = TAILQ_NEXT(l, of_redis);
		if (l->freed)
			destroy(l);
		else
			redis_link_flush(l);
	}
}

void
redis_links_resolved(struct redis *r, uint64_t cookie,
    const struct msg_list *list, const char *why)
{
	struct redis_link *l;

	TAILQ_FOREACH(l, &r->links, of_redis)
		if (l->dial.cookie == cookie && cookie != 0) {
			redis_dial_resolved(&l->dial, list, why);
			return;
		}
}

void
redis_links_connected(struct redis *r, uint64_t cookie, int fd)
{
	struct redis_link *l;

	TAILQ_FOREACH(l, &r->links, of_redis)
		if (l->dial.cookie == cookie && cookie != 0) {
			redis_dial_connected(&l->dial, fd);
			return;
		}
	close(fd);
}
