/* SPDX-License-Identifier: MIT
 *
 * A worker without sockets; see fake.h.  Stands in for client.c, conn.c,
 * request.c, uplink.c, ipc.c and worker.c.
 */
#include "worker/fake.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/address.h"
#include "worker/inherit.h"

#define MANY	64

struct fake fake;
struct worker worker;

static struct buf up;			/* frames for the router */
static struct msg_reader *reader;
static TAILQ_HEAD(, waiter) waiters = TAILQ_HEAD_INITIALIZER(waiters);
static struct query *question;
static uint64_t last_serial, last_conn;
static struct fake_client *clients[MANY];

static char *keys7[] = { (char []){ "app-key" },
    (char []){ "278d425bdf160c739803" } };
static char *keys8[] = { (char []){ "other" } };
static char *any_origin[] = { (char []){ "*" } };
static struct config_app sets[2];

/* What the played router knows. */
static struct {
	char	*channel, *user, *member;
	size_t	 n;
} members[MANY];
static size_t n_members;
static struct {
	char	*channel, *event, *data;
} cached[MANY];
static size_t n_cached;

static struct {
	struct buf	 channel, event, data, user;
	uint64_t	 a, b, flags, offset;
} latest;

/* ---- settings ---------------------------------------------------------- */

static void
app_settings(struct config_app *set, const char *id, const char *secret)
{
	*set = (struct config_app){
		.id = (char *)(uintptr_t)id,
		.secret = (char *)(uintptr_t)secret,
		.enabled = true,
		.allowed_origins = { any_origin, 1 },
		.max_message_size = 10000,
		.client_events = CLIENT_EVENTS_MEMBERS,
		.activity_timeout = 30000, .ping_interval = 60000,
		.rate_limit_attempts = 60, .rate_limit_window = 60000,
		.max_channels = 1000, .max_channel_name = 200,
		.max_event_name = 200, .max_event_channels = 100,
		.max_batch = 10, .max_presence_members = 10000,
		.max_presence_member = 2048, .max_watchlist = 100,
	};
}

void
fake_setup(void)
{
	app_settings(&sets[0], "7", "app-secret");
	sets[0].key = (struct config_strings){ keys7, 2 };
	app_settings(&sets[1], "8", "other-secret");
	sets[1].key = (struct config_strings){ keys8, 1 };
	memset(&fake, 0, sizeof(fake));
	fake.config.app = sets;
	fake.config.n_app = 2;
	fake.config.http.timestamp_window = 600000;
	fake.config.router.publish_window = 16 << 20;
	fake.app = &sets[0];
	worker.config = &fake.config;
	worker.now = 1000;
	worker.now_ms = 1000000;
	reader = msg_reader_new();
	apps_init(&fake.config);
	latest.offset = 0;
}

static void
forget(void)
{
	size_t i;

	for (i = 0; i < n_members; i++) {
		free(members[i].channel);
		free(members[i].user);
		free(members[i].member);
	}
	for (i = 0; i < n_cached; i++) {
		free(cached[i].channel);
		free(cached[i].event);
		free(cached[i].data);
	}
	n_members = n_cached = 0;
}

void
fake_teardown(void)
{
	size_t i;

	for (i = 0; i < MANY; i++)
		if (clients[i] != NULL)
			fake_gone(clients[i]);
	forget();
	buf_done(&up);
	buf_done(&fake.last);
	buf_done(&fake.answer);
	buf_done(&fake.headers);
	buf_done(&fake.asked);
	buf_done(&fake.noted);
	msg_reader_free(reader);
	while (!TAILQ_EMPTY(&waiters))
		waiter_cancel(TAILQ_FIRST(&waiters));
}

/* ---- clients ----------------------------------------------------------- */

static struct fake_client *
of(const struct client *c)
{
	return container_of((struct client *)(uintptr_t)c, struct fake_client,
	    c);
}

struct fake_client *
fake_connect(const char *path, const char *query, const char *origin)
{
	return fake_request(&(struct http_request){
		.method = HTTP_GET, .path = bytes_str(path),
		.query = bytes_str(query), .origin = bytes_str(origin),
		.has_origin = origin != NULL, .upgrade = B("websocket"),
	});
}

struct fake_client *
fake_request(const struct http_request *req)
{
	struct fake_client *f = xcalloc(1, sizeof(*f));
	unsigned as;
	size_t i;

	for (i = 0; clients[i] != NULL; i++)
		if (i == MANY - 1)
			fatal("too many clients");
	clients[i] = f;
	f->conn.id = ++last_conn;
	f->c.conn = &f->conn;
	f->c.state.opened = f->c.state.seen = f->c.sent = worker.now;
	f->c.front = front_match(req, req->path, &as);
	if (f->c.front == NULL) {
		fake_gone(f);
		return NULL;
	}
	fake.refused = (struct front_refusal){ .status = 0 };
	if (f->c.front->admit != NULL &&
	    !f->c.front->admit(&f->c, req, req->path, &fake.refused)) {
		fake_gone(f);
		return NULL;
	}
	f->c.front->open(&f->c, req, req->path);
	fake_router();
	return f;
}

void
fake_gone(struct fake_client *f)
{
	size_t i;

	for (i = 0; i < MANY; i++)
		if (clients[i] == f)
			clients[i] = NULL;
	channel_leave_all(&f->c);
	fake_router();
	if (f->c.front != NULL && f->c.front->done != NULL)
		f->c.front->done(&f->c);
	free(f->c.user);
	buf_done(&f->sent);
	free(f);
}

void
fake_say(struct fake_client *f, struct bytes text)
{
	f->c.state.seen = worker.now;
	f->c.state.pinged = false;
	f->c.front->input(&f->c, WEBSOCKET_TEXT, text);
	fake_router();
}

const char *
fake_heard(struct fake_client *f)
{
	static struct buf heard[4];
	static unsigned at;
	struct buf *b = &heard[at++ % 4];

	buf_clear(b);
	buf_bytes(b, buf_view(&f->sent));
	buf_clear(&f->sent);
	return buf_cstr(b);
}

void
client_send_text(struct client *c, struct bytes text)
{
	if (!utf8_valid(text))
		fatal("text is not UTF-8");
	if (fake.on_text != NULL)
		fake.on_text(text);
	buf_bytes(&of(c)->sent, text);
	buf_char(&of(c)->sent, '\n');
}

void
client_send(struct client *c, struct frame *f)
{
	c->sent = worker.now;
	if (c->front->flags & FRONT_STREAM)
		client_send_octets(c, bytes_of(f->p, f->n));
	else
		client_send_text(c, bytes_of(f->p, f->n));
}

struct frame *
client_frame_text(struct bytes text, unsigned window_bits)
{
	(void)window_bits;
	return frame_of(text);
}

/* In a line of its own, as hexadecimal digits. */
struct frame *
client_frame_binary(struct bytes octets, unsigned window_bits)
{
	struct buf b = { 0 };
	struct frame *f;

	(void)window_bits;
	buf_str(&b, "binary ");
	buf_hex(&b, octets);
	f = frame_of(buf_view(&b));
	buf_done(&b);
	return f;
}

void
client_send_head(struct client *c, struct bytes lines)
{
	c->begun = true;
	client_send_octets(c, lines);
}

/* As it is: no newline behind it. */
void
client_send_octets(struct client *c, struct bytes octets)
{
	c->sent = worker.now;
	buf_bytes(&of(c)->sent, octets);
}

void
client_send_ping(struct client *c)
{
	of(c)->pings++;
}

void
client_close(struct client *c, enum close_reason reason)
{
	if (of(c)->closed != CLOSE_NONE)
		return;
	if (c->front->closing != NULL)
		c->front->closing(c, reason);
	of(c)->closed = reason;
	channel_leave_all(c);
}

void
client_enter(struct client *c)
{
	if (fake.no_link) {
		client_close(c, CLOSE_OVER_CAPACITY);
	} else if (c->app->set->max_connections > 0) {
		c->waiting = true;
	} else {
		fake_grant(of(c), true);
	}
}

void
fake_grant(struct fake_client *f, bool allowed)
{
	f->c.waiting = false;
	f->c.established = allowed;
	f->c.front->granted(&f->c, allowed);
	fake_router();
}

const char *
client_socket_id(const struct client *c, char room[24])
{
	snprintf(room, 24, "%u.%u", c->state.socket_a, c->state.socket_b);
	return room;
}

void
client_signin(struct client *c, struct bytes id, struct bytes data,
    const struct bytes *watch, uint32_t n_watch)
{
	struct client_user *u = xcalloc(1, sizeof(*u) + id.n + data.n);
	uint32_t i;

	memcpy(u->room, id.p, id.n);
	memcpy(u->room + id.n, data.p, data.n);
	u->id = bytes_of(u->room, id.n);
	u->data = bytes_of(u->room + id.n, data.n);
	u->n_watch = n_watch;
	c->user = u;
	buf_clear(&fake.last);
	for (i = 0; i < n_watch; i++)
		buf_fmt(&fake.last, "%.*s ", (int)watch[i].n, watch[i].p);
}

void
clients_resync(void)
{
}

void
client_pause(struct client *c)
{
	c->conn->paused = 1;
}

void
client_resume(struct client *c)
{
	c->conn->paused = 0;
}

void
client_cork(struct client *c)
{
	c->conn->corked = 1;
}

void
client_uncork(struct client *c)
{
	c->conn->corked = 0;
}

bool
conn_half_full(const struct conn *c)
{
	(void)c;
	return false;
}

const char *
conn_from(const struct conn *c)
{
	(void)c;
	return "-";
}

const struct ip *
address_ip(const struct conn *c)
{
	(void)c;
	return fake.from;
}

void
address_log(struct notice *n, const struct conn *c, const char *what,
    const char *why)
{
	(void)n;
	(void)c;
	buf_clear(&fake.noted);
	buf_fmt(&fake.noted, "%s: %s", what, why);
	buf_cstr(&fake.noted);
}

const char *
conn_name(const struct conn *conn)
{
	(void)conn;
	return "1:1:1";
}

uint64_t
conns_dirtied(void)
{
	return 0;
}

uint64_t
conns_written(void)
{
	return 0;
}

void
worker_trace(const char *what, struct bytes text, struct bytes more)
{
	(void)what;
	(void)text;
	(void)more;
}

/* ---- the router -------------------------------------------------------- */

struct ipc *
uplink(void)
{
	static char dummy;

	return fake.no_link ? NULL : (struct ipc *)(void *)&dummy;
}

struct buf *
ipc_out(struct ipc *link)
{
	(void)link;
	return &up;
}

void
inherit_channel_live(struct channel *ch)
{
	(void)ch;
}

void
uplink_load(struct app *app)
{
	(void)app;
}

bool
uplink_full(void)
{
	return fake.full;
}

static bool
is(const char *s, struct bytes b)
{
	return bytes_eq(bytes_str(s), b);
}

static size_t
member_at(struct bytes channel, struct bytes user)
{
	size_t i;

	for (i = 0; i < n_members; i++)
		if (is(members[i].channel, channel) &&
		    is(members[i].user, user))
			break;
	return i;
}

static void
add_member(const struct msg_join *j)
{
	struct msg_member_added m = {
		.app = j->app, .channel = j->channel, .user = j->user,
		.member = j->member,
	};
	size_t i = member_at(j->channel, j->user);

	if (i < n_members) {
		members[i].n++;
		return;
	}
	if (n_members == MANY)
		return;
	members[n_members].channel = bytes_dup(j->channel);
	members[n_members].user = bytes_dup(j->user);
	members[n_members].member = bytes_dup(j->member);
	members[n_members++].n = 1;
	presence_on_added(&m);
}

static void
send_roster(const struct msg_join *j)
{
	struct msg_roster end = { .app = j->app, .channel = j->channel };
	struct msg_member row = { .app = j->app, .channel = j->channel };
	size_t i;

	for (i = 0; i < n_members; i++) {
		if (!is(members[i].channel, j->channel))
			continue;
		row.user = bytes_str(members[i].user);
		row.member = bytes_str(members[i].member);
		presence_on_member(&row);
		end.n++;
	}
	presence_on_roster(&end);
}

static void
on_join(const struct msg_join *j)
{
	struct msg_subscribed s = {
		.app = j->app, .channel = j->channel, .cookie = j->cookie,
		.count = 1, .position_epoch = 77,
		.position_offset = latest.offset,
	};
	size_t i;

	fake.since_epoch = j->since_epoch;
	fake.since_offset = j->since_offset;

	if (fake.presence_full && (j->flags & JOIN_PRESENCE))
		s.refused = REFUSED_FULL;
	else if (j->flags & JOIN_PRESENCE)
		add_member(j);
	if (s.refused == 0 && (j->flags & JOIN_ROSTER))
		send_roster(j);
	for (i = 0; i < n_cached; i++) {
		if (!is(cached[i].channel, j->channel))
			continue;
		s.cached = 1;
		s.event = bytes_str(cached[i].event);
		s.data = bytes_str(cached[i].data);
	}
	if (j->cookie != 0)
		channel_on_subscribed(&s);
}

static void
on_leave(const struct msg_leave *l)
{
	struct msg_member_removed m = {
		.app = l->app, .channel = l->channel, .user = l->user,
	};
	size_t i = member_at(l->channel, l->user);

	if (i == n_members || --members[i].n > 0)
		return;
	free(members[i].channel);
	free(members[i].user);
	free(members[i].member);
	memmove(&members[i], &members[i + 1],
	    (--n_members - i) * sizeof(members[0]));
	presence_on_removed(&m);
}

static void
handle(unsigned type, struct unpacker *u)
{
	const char *why = "";
	struct msg_join j;
	struct msg_leave l;
	int bad = 0;

	if (type == MSG_join && (bad = msg_unpack_join(u, &j, &why)) == 0)
		on_join(&j);
	else if (type == MSG_leave &&
	    (bad = msg_unpack_leave(u, &l, &why)) == 0)
		on_leave(&l);
	if (bad != 0)
		fatal("bad message: %s", why);
}

void
fake_router(void)
{
	struct unpacker u;
	struct buf frame = { 0 };
	const char *why;
	unsigned type;
	size_t n;

	while (up.n > 0) {
		const unsigned char *p = (const unsigned char *)up.p;

		n = (size_t)p[0] << 24 | (size_t)p[1] << 16 |
		    (size_t)p[2] << 8 | p[3];
		buf_clear(&frame);
		buf_add(&frame, up.p + 4, n);
		buf_drop(&up, n + 4);
		if (msg_read(reader, buf_view(&frame), &type, &u, &why) != 0)
			fatal("bad frame: %s", why);
		handle(type, &u);
	}
	buf_done(&frame);
}

static void
keep(struct buf *b, struct bytes text)
{
	buf_clear(b);
	buf_bytes(b, text);
}

static void
keep_cached(const struct msg_publish *m)
{
	if (n_cached == MANY || fake.no_cache)
		return;
	cached[n_cached].channel = bytes_dup(m->channel);
	cached[n_cached].event = bytes_dup(m->event);
	cached[n_cached++].data = bytes_dup(m->data);
}

static void
must_be_json(struct bytes token)
{
	struct json v;
	const char *why;

	if (json_parse(token, &v, &why) != 0)
		fatal("no JSON token: %s", why);
}

uint64_t
uplink_publish(struct msg_publish *m)
{
	must_be_json(m->event);
	if ((m->flags & (PUBLISH_TEXT | PUBLISH_BINARY)) == 0)
		must_be_json(m->data);
	if (m->user.n > 0)
		must_be_json(m->user);
	fake.published++;
	buf_clear(&fake.last);
	buf_fmt(&fake.last, "%.*s %.*s %.*s %.*s %u.%u %u",
	    (int)m->channel.n, m->channel.p, (int)m->event.n, m->event.p,
	    (int)m->data.n, m->data.p, (int)m->user.n,
	    m->user.n > 0 ? m->user.p : "", (unsigned)m->except_a,
	    (unsigned)m->except_b, (unsigned)m->flags);
	buf_cstr(&fake.last);
	keep(&latest.channel, m->channel);
	keep(&latest.event, m->event);
	keep(&latest.data, m->data);
	keep(&latest.user, m->user);
	latest.flags = m->flags;
	latest.a = m->except_a;
	latest.b = m->except_b;
	if (m->flags & PUBLISH_CACHE)
		keep_cached(m);
	return m->serial = ++last_serial;
}

void
fake_deliver(void)
{
	static uint64_t serial;
	struct msg_deliver d = {
		.origin = 1, .origin_serial = ++serial, .app = B("7"),
		.channel = buf_view(&latest.channel),
		.event = buf_view(&latest.event),
		.data = buf_view(&latest.data), .user = buf_view(&latest.user),
		.except_a = latest.a, .except_b = latest.b,
		.flags = latest.flags, .position_epoch = 77,
		.position_offset = ++latest.offset,
	};

	channel_on_deliver(&d);
}

uint64_t
uplink_kick(struct bytes app, struct bytes user)
{
	fake.kicked++;
	buf_clear(&fake.last);
	buf_fmt(&fake.last, "%.*s %.*s", (int)app.n, app.p, (int)user.n,
	    user.p);
	buf_cstr(&fake.last);
	return ++last_serial;
}

void
waiter_arm(struct waiter *w, uint64_t serial)
{
	w->serial = serial;
	w->armed = true;
	fake.waiting = true;
	TAILQ_INSERT_TAIL(&waiters, w, link);
}

void
waiter_cancel(struct waiter *w)
{
	if (!w->armed)
		return;
	w->armed = false;
	TAILQ_REMOVE(&waiters, w, link);
	fake.waiting = !TAILQ_EMPTY(&waiters);
}

void
fake_ack(void)
{
	struct waiter *w;

	while ((w = TAILQ_FIRST(&waiters)) != NULL) {
		waiter_cancel(w);
		w->done(w);
	}
}

void
query_send(struct query *q, unsigned kind, struct bytes app, struct bytes name)
{
	if (question != NULL)
		fatal("two questions at once");
	q->kind = kind;
	q->app = bytes_dup(app);
	q->name = bytes_dup(name);
	q->armed = true;
	question = q;
	buf_clear(&fake.asked);
	buf_fmt(&fake.asked, "%u %s", kind, q->name);
	buf_cstr(&fake.asked);
}

void
query_cancel(struct query *q)
{
	if (!q->armed)
		return;
	q->armed = false;
	free(q->app);
	free(q->name);
	q->app = q->name = NULL;
	question = NULL;
}

void
fake_row(const struct msg_row *row)
{
	if (question != NULL)
		question->row(question, row);
}

void
fake_restart(void)
{
	if (question != NULL)
		question->restart(question);
}

void
fake_done(void)
{
	struct query *q = question;

	if (q == NULL)
		return;
	query_cancel(q);
	q->done(q);
}

/* ---- answers of the API ------------------------------------------------ */

void
request_answer(struct request *r, unsigned status, const char *type,
    const char *headers, struct bytes body)
{
	if (r->answered)
		fatal("answered twice");
	r->answered = true;
	fake.status = status;
	fake.answers++;
	buf_clear(&fake.answer);
	buf_bytes(&fake.answer, body);
	buf_cstr(&fake.answer);
	buf_clear(&fake.headers);
	buf_fmt(&fake.headers, "%s|%s", type != NULL ? type : "json",
	    headers != NULL ? headers : "");
	buf_cstr(&fake.headers);
}

void
request_refuse(struct request *r, unsigned status, const char *words)
{
	request_answer(r, status, "text", NULL, bytes_str(words));
}

const char *
request_name(const struct request *r)
{
	(void)r;
	return "request";
}
