/* SPDX-License-Identifier: MIT
 *
 * A router process and all it talks to.
 */
#include "station.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/config.h"
#include "common/log.h"
#include "common/util.h"

#define IN_SIZE		(4u << 20)
#define LINK_FD		3
#define SETUP_S		20

struct samples samples;

double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double
process_time(pid_t pid)
{
	unsigned long long user = 0, system = 0;
	char path[64], text[1024], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* Behind the name, which may hold anything. */
	p = strrchr(text, ')');
	if (p == NULL || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u"
	    " %*u %*u %llu %llu", &user, &system) != 2)
		return 0;
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- the master's part --------------------------------------------------- */

/* Names were made addresses by the settings; sockets are opened as asked. */
static void
answer_resolve(struct ipc *ipc, const struct msg_resolve *m)
{
	char *host = bytes_dup(m->host);
	unsigned char address[16];
	struct bytes one = bytes_of(address, 0);
	struct msg_resolved r = { .cookie = m->cookie };

	if (inet_pton(AF_INET, host, address) == 1)
		one.n = 4;
	else if (inet_pton(AF_INET6, host, address) == 1)
		one.n = 16;
	else if (strcmp(host, "localhost") == 0)
		one = bytes_of("\177\0\0\1", 4);
	r.addresses_out.at = &one;
	r.addresses_out.n = one.n > 0;
	r.why = one.n > 0 ? B("") : B("give an address");
	msg_pack_resolved(ipc_out(ipc), &r);
	free(host);
}

static int
on_message(void *ctx, struct ipc *ipc, unsigned type, struct unpacker *u,
    const char **why)
{
	struct station *s = ctx;
	struct msg_resolve resolve;
	struct msg_counters counters;

	if (type == MSG_ready) {
		s->ready = true;
	} else if (type == MSG_resolve) {
		if (msg_unpack_resolve(u, &resolve, why) < 0)
			return -1;
		answer_resolve(ipc, &resolve);
	} else if (type == MSG_counters) {
		if (msg_unpack_counters(u, &counters, why) < 0 ||
		    counters_unpack(&s->counters, counters.packed) < 0)
			return -1;
		s->told = true;
	}
	return 0;
}

static void
on_gone(void *ctx, struct ipc *ipc, const char *why)
{
	struct station *s = ctx;

	(void)ipc;
	s->gone = true;
	die("the router has ended: %s", why);
}

void
station_turn(struct station *s)
{
	event_base_loop(s->base, EVLOOP_NONBLOCK);
	ipc_flush(s->master);
}

static struct config *
settings_load(const struct bench *b)
{
	const struct passwd *who = getpwuid(geteuid() != 0 ? geteuid() : 65534);
	char path[] = "/tmp/routerload-XXXXXX", *why = NULL;
	struct config_source source = { .file = path };
	struct config *config;
	int fd = mkstemp(path);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	dprintf(fd, "[peal]\njail = %s\nuser = %s\nlog_level = warn\n"
	    "[app bench]\nid = 1\nkey = k\nsecret = s\n[backplane]\n%s",
	    b->jail, who != NULL ? who->pw_name : "nobody", b->settings);
	close(fd);
	config = config_load(&source, &why);
	unlink(path);
	if (config == NULL)
		die("%s", why);
	return config;
}

static void
process_start(struct station *s, int link)
{
	char name[] = "peald: router";
	char *args[] = { name, NULL };

	s->pid = fork();
	if (s->pid < 0)
		die("no process: %s", strerror(errno));
	if (s->pid > 0)
		return;
	if (link == LINK_FD)
		fcntl(link, F_SETFD, 0);
	else
		dup2(link, LINK_FD);
	execv(s->bench->peald, args);
	fprintf(stderr, "routerload: %s: %s\n", s->bench->peald,
	    strerror(errno));
	_exit(127);
}

#define TELL(s, name, ...) \
	msg_pack_##name(ipc_out((s)->master), &(struct msg_##name){ __VA_ARGS__ })

static void
master_start(struct station *s, int fd)
{
	static const struct ipc_ops ops = { on_message, on_gone, NULL, NULL };
	struct config *config = settings_load(s->bench);
	struct buf frame = { 0 };

	config_pack(config, CONFIG_ROUTER, &s->packed);
	config_free(config);
	s->base = event_base_new();
	s->master = ipc_new(s->base, fd, false, &ops, s);
	TELL(s, start, .version = MSG_VERSION, .node = s->node,
	    .incarnation = clock_wall_ms(), .slot = 0, .generation = 1);
	TELL(s, settings, .packed = buf_view(&s->packed));
	msg_pack_log(&frame, &(struct msg_log){ .fd = 2 });
	ipc_put_fd(s->master, buf_view(&frame), 2);
	buf_done(&frame);
}

/* ---- workers ------------------------------------------------------------- */

static void
mate_start(struct station *s, struct mate *m, unsigned slot)
{
	struct buf frame = { 0 };
	int ends[2];

	if (ipc_pair(ends) < 0)
		die("no socket pair: %s", strerror(errno));
	m->station = s;
	m->fd = ends[0];
	m->slot = slot;
	m->sent = m->acked = SERIAL_BASE;
	m->in = xmalloc(IN_SIZE);
	msg_pack_worker_link(&frame, &(struct msg_worker_link){
	    .fd = ends[1], .slot = slot, .generation = 1 });
	ipc_put_fd(s->master, buf_view(&frame), ends[1]);
	close(ends[1]);
	buf_done(&frame);
	msg_pack_hello(&m->out, &(struct msg_hello){
	    .version = MSG_VERSION, .slot = slot, .generation = 1 });
	msg_pack_synced(&m->out, &(struct msg_synced){ .end_ = "" });
}

static void
channel_name(unsigned i, char name[32])
{
	snprintf(name, 32, "bench-%u", i);
}

static void
mate_join(struct mate *m)
{
	char name[32];

	for (unsigned i = 0; i < m->station->bench->channels; i++) {
		channel_name(i, name);
		msg_pack_join(&m->out, &(struct msg_join){ .app = B("1"),
		    .channel = bytes_str(name), .n = 1, .cookie = i + 1 });
	}
}

/* ---- out ----------------------------------------------------------------- */

static void
frames_make(struct station *s)
{
	unsigned size = s->bench->size;
	struct buf data = { 0 };
	char name[32];

	buf_char(&data, '"');
	while (data.n + 1 < size)
		buf_char(&data, 'x');
	buf_char(&data, '"');
	s->frame = xcalloc(s->bench->channels, sizeof(*s->frame));
	for (unsigned i = 0; i < s->bench->channels; i++) {
		channel_name(i, name);
		msg_pack_publish(&s->frame[i], &(struct msg_publish){
		    .serial = SERIAL_BASE, .app = B("1"),
		    .channel = bytes_str(name), .event = B("\"bench\""),
		    .data = buf_view(&data) });
	}
	/* Length, array, code, then the serial as a number of 8 octets. */
	s->serial_at = 7;
	if ((unsigned char)s->frame[0].p[s->serial_at - 1] != 0xcf)
		fatal("a publish has another form than expected");
	buf_done(&data);
}

static void
serial_set(char *at, uint64_t serial)
{
	for (int i = 7; i >= 0; i--, serial >>= 8)
		at[i] = (char)serial;
}

void
mate_publish(struct mate *m, unsigned channel)
{
	const struct station *s = m->station;
	size_t from = m->out.n;

	buf_bytes(&m->out, buf_view(&s->frame[channel]));
	serial_set(m->out.p + from + s->serial_at, ++m->sent);
}

void
mate_publish_timed(struct mate *m, unsigned channel)
{
	char name[32], data[64];

	channel_name(channel, name);
	snprintf(data, sizeof(data), "%.9f", now());
	msg_pack_publish(&m->out, &(struct msg_publish){ .serial = ++m->sent,
	    .app = B("1"), .channel = bytes_str(name), .event = B("\"bench\""),
	    .data = bytes_str(data) });
}

static bool
mate_write(struct mate *m)
{
	size_t n = m->out.n - m->out_at;
	ssize_t sent;

	if (n == 0)
		return false;
	sent = send(m->fd, m->out.p + m->out_at, n,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent <= 0)
		return false;
	m->out_at += (size_t)sent;
	if (m->out_at == m->out.n) {
		m->out_at = 0;
		buf_clear(&m->out);
	}
	return true;
}

/* ---- in ------------------------------------------------------------------ */

/* A msgpack number at *p, which moves behind it. */
static uint64_t
number(const unsigned char **p)
{
	unsigned char head = *(*p)++;
	unsigned n = head < 0x80 ? 0 : 1u << (head - 0xcc);
	uint64_t v = head < 0x80 ? head : 0;

	if (n > 8)
		fatal("what came is no number");
	while (n-- > 0)
		v = v << 8 | *(*p)++;
	return v;
}

static void
take_time(struct bytes body)
{
	static struct msg_reader *reader;
	struct msg_deliver d;
	struct unpacker u;
	const char *why;
	unsigned type;
	char text[64];

	if (reader == NULL)
		reader = msg_reader_new();
	if (msg_read(reader, body, &type, &u, &why) < 0 ||
	    msg_unpack_deliver(&u, &d, &why) < 0)
		fatal("what came is no message: %s", why);
	if (samples.n == SAMPLES_MAX || d.data.n >= sizeof(text))
		return;
	memcpy(text, d.data.p, d.data.n);
	text[d.data.n] = '\0';
	samples.at[samples.n++] = now() - strtod(text, NULL);
}

static void
take_frame(struct mate *m, const unsigned char *p, size_t n)
{
	const unsigned char *body = p;

	p += *p == 0xdc ? 3 : 1;	/* an array, short or long */
	switch (number(&p)) {
	case MSG_deliver:
		(void)number(&p);	/* epoch, serial, origin */
		(void)number(&p);
		(void)number(&p);
		m->received++;
		m->sum += number(&p);
		if (m->timed)
			take_time(bytes_of(body, n));
		break;
	case MSG_ack:
		m->acked = number(&p);
		break;
	case MSG_subscribed:
		m->joined++;
		break;
	case MSG_xoff:
		m->held = true;
		break;
	case MSG_xon:
		m->held = false;
		break;
	}
}

static bool
mate_read(struct mate *m)
{
	const unsigned char *p = (const unsigned char *)m->in;
	size_t at = 0, n;
	ssize_t got;

	got = recv(m->fd, m->in + m->in_n, IN_SIZE - m->in_n, MSG_DONTWAIT);
	if (got == 0)
		die("the router has closed a worker's link");
	if (got < 0)
		return false;
	m->in_n += (size_t)got;
	while (m->in_n - at >= 4) {
		n = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 |
		    (size_t)p[at + 2] << 8 | p[at + 3];
		if (n + 4 > IN_SIZE)
			fatal("a message is too long for this program");
		if (m->in_n - at < 4 + n)
			break;
		take_frame(m, p + at + 4, n);
		at += 4 + n;
	}
	m->in_n -= at;
	memmove(m->in, m->in + at, m->in_n);
	return true;
}

bool
mate_turn(struct mate *m)
{
	bool wrote = mate_write(m);

	return mate_read(m) || wrote;
}

/* ---- life ---------------------------------------------------------------- */

static bool
is_up(const struct station *s)
{
	for (unsigned i = 0; i < s->bench->workers; i++)
		if (s->mate[i].joined < s->bench->channels)
			return false;
	return s->ready;
}

static void
station_await(struct station *s)
{
	double until = now() + SETUP_S;

	while (!is_up(s)) {
		station_turn(s);
		for (unsigned i = 0; i < s->bench->workers; i++)
			mate_turn(&s->mate[i]);
		if (now() > until)
			die("the router did not come up in %d s", SETUP_S);
		poll(NULL, 0, 1);
	}
}

struct station *
station_start(const struct bench *b, uint64_t node)
{
	struct station *s = xcalloc(1, sizeof(*s));
	int ends[2];

	s->bench = b;
	s->node = node;
	s->mate = xcalloc(b->workers, sizeof(*s->mate));
	if (ipc_pair(ends) < 0)
		die("no socket pair: %s", strerror(errno));
	process_start(s, ends[1]);
	close(ends[1]);
	master_start(s, ends[0]);
	frames_make(s);
	for (unsigned i = 0; i < b->workers; i++) {
		mate_start(s, &s->mate[i], i + 1);
		mate_join(&s->mate[i]);
	}
	TELL(s, go, .expect = b->workers);
	station_await(s);
	return s;
}

void
station_stop(struct station *s)
{
	for (unsigned i = 0; i < s->bench->workers; i++) {
		close(s->mate[i].fd);
		buf_done(&s->mate[i].out);
		free(s->mate[i].in);
	}
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	ipc_free(s->master);
	event_base_free(s->base);
	for (unsigned i = 0; i < s->bench->channels; i++)
		buf_done(&s->frame[i]);
	free(s->frame);
	buf_done(&s->packed);
	free(s->mate);
	free(s);
}
