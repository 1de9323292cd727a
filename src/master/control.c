/* SPDX-License-Identifier: MIT
 *
 * The unix socket that pealctl speaks to.
 *
 * Runs in: master.  Owns: see control.h.
 */
#include <event2/event.h>

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/log_line.h"
#include "common/util.h"
#include "master/control.h"
#include "master/master.h"
#include "master/metrics.h"
#include "master/reload.h"
#include "master/report.h"
#include "master/rundir.h"
#include "master/state.h"
#include "master/status.h"
#include "master/stop.h"

#define LINE_MAX_	(1u << 20)	/* octets of a request */
#define CALLERS_MAX	512		/* at a time */
#define PATIENCE_S	10		/* for a line, and for its answer */

/* A connection of pealctl. */
struct caller {
	TAILQ_ENTRY(caller)	 link;
	int			 fd;
	struct event		*event;
	struct buf		 in, out;
	size_t			 sent;
	bool			 asked;		/* its line is complete */
	uint64_t		 waits_for;	/* the end of this reload */
	bool			 waits_for_end;	/* of the service */
	bool			 silent;	/* it has closed its side */
};

static struct {
	int			 fd;
	char			*path;
	struct event		*event;
	TAILQ_HEAD(, caller)	 callers;	/* heard of last: at the end */
	unsigned		 n;
	bool			 deaf;		/* nobody is accepted until one goes */
} control = { .fd = -1, .callers = TAILQ_HEAD_INITIALIZER(control.callers) };

static void	on_caller(evutil_socket_t, short, void *);

/* ---- one caller ---------------------------------------------------------- */

static void
caller_free(struct caller *c)
{
	TAILQ_REMOVE(&control.callers, c, link);
	control.n--;
	if (control.deaf && control.event != NULL)
		event_add(control.event, NULL);
	control.deaf = false;
	event_free(c->event);
	if (c->fd >= 0)
		close(c->fd);
	buf_done(&c->in);
	buf_done(&c->out);
	free(c);
}

static void
caller_await(struct caller *c, short what)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };

	event_del(c->event);
	event_assign(c->event, master.base, c->fd, what, on_caller, c);
	event_add(c->event, &patience);
}

/* Of those who have not said their whole line the one who was silent longest;
 * NULL: all wait for an answer. */
static struct caller *
caller_silent(void)
{
	struct caller *c;

	TAILQ_FOREACH(c, &control.callers, link)
		if (!c->asked)
			return c;
	return NULL;
}

/* There may be no room in its socket for words, then it goes without. */
static void
caller_put_out(struct caller *c)
{
	static const char words[] = "{\"ok\":false,\"error\":\"nothing was "
	    "asked here, and others wait\",\"again\":true}\n";

	(void)!send(c->fd, words, sizeof(words) - 1, MSG_NOSIGNAL);
	caller_free(c);
}

/* Sends what there is; when all has left, the caller goes. */
static void
caller_write(struct caller *c)
{
	ssize_t n;

	while (c->sent < c->out.n) {
		n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent,
		    MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			caller_await(c, EV_WRITE);
			return;
		}
		if (n <= 0)
			break;
		c->sent += (size_t)n;
	}
	caller_free(c);
}

static void
caller_refuse_with(struct caller *c, const char *why, const char *more)
{
	buf_str(&c->out, "{\"ok\":false,\"error\":");
	json_quote(&c->out, bytes_str(why));
	buf_str(&c->out, more);
	buf_str(&c->out, "}\n");
	caller_write(c);
}

static void
caller_refuse(struct caller *c, const char *why)
{
	caller_refuse_with(c, why, "");
}

/* A member that is true or false, or is left out.  -1: it is something else, and
 * the caller was told so. */
static int
caller_flag(struct caller *c, const struct json *request, const char *name,
    bool *on)
{
	struct json v;
	const struct json_want want = { bytes_str(name), &v };
	char why[64];

	json_pick(request, &want, 1);
	*on = v.type == JSON_TRUE;
	if (*on || v.type == JSON_FALSE || json_absent(&v))
		return 0;
	snprintf(why, sizeof(why), "%s is true or false", name);
	caller_refuse(c, why);
	return -1;
}

/* ---- verbs --------------------------------------------------------------- */

static void
verb_status(struct caller *c, const struct json *request)
{
	(void)request;
	status_json(&c->out);
	caller_write(c);
}

static void
verb_report(struct caller *c, const struct json *request)
{
	(void)request;
	report_json(&c->out);
	caller_write(c);
}

/* The text in a line of JSON. */
static void
verb_metrics(struct caller *c, const struct json *request)
{
	struct buf text = { 0 };
	bool open;

	if (caller_flag(c, request, "openmetrics", &open) < 0)
		return;
	metrics_text(&text, open);
	buf_str(&c->out, "{\"ok\":true,\"text\":");
	json_quote(&c->out, buf_view(&text));
	buf_str(&c->out, "}\n");
	buf_done(&text);
	caller_write(c);
}

static void
verb_apps(struct caller *c, const struct json *request)
{
	(void)request;
	status_apps(&c->out);
	caller_write(c);
}

static void
verb_check(struct caller *c, const struct json *request)
{
	struct buf changed = { 0 };
	char *why = NULL;

	(void)request;
	if (reload_try(&changed, &why) < 0) {
		caller_refuse(c, why);
	} else {
		buf_str(&c->out, "{\"ok\":true,\"changed\":");
		json_quote(&c->out, buf_view(&changed));
		buf_str(&c->out, "}\n");
		caller_write(c);
	}
	buf_done(&changed);
	free(why);
}

/* Nobody is there to read an answer. */
static bool
caller_gone(const struct caller *c)
{
	struct pollfd p = { .fd = c->fd };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

/* Without a time limit: the reload has its own, and a queue. */
static void
caller_wait(struct caller *c)
{
	const struct buf *answer = reload_answer(c->waits_for);

	if (answer == NULL && c->silent && caller_gone(c)) {
		caller_free(c);
	} else if (answer == NULL) {
		event_del(c->event);
		event_assign(c->event, master.base, c->fd, EV_READ, on_caller,
		    c);
		if (!c->silent)
			event_add(c->event, NULL);
	} else {
		c->waits_for = 0;
		buf_bytes(&c->out, buf_view(answer));
		caller_write(c);
	}
}

/* Answered when all processes have the settings, or have been replaced. */
static void
verb_reload(struct caller *c, const struct json *request)
{
	(void)request;
	if (master.stopping || master.ending) {
		caller_refuse(c, "the service is stopping");
		return;
	}
	c->waits_for = reload_ask();
	caller_wait(c);
}

/* Answered when the service has ended, by control_close(). */
static void
verb_stop(struct caller *c, const struct json *request)
{
	bool now;

	if (caller_flag(c, request, "now", &now) < 0)
		return;
	log_info("stop asked for by pealctl");
	c->waits_for_end = true;
	event_del(c->event);
	if (now)
		master_stop(0);
	else
		stop_ask(master.config->peal.drain_timeout);
}

/* The settings in force, or how those on disk differ. */
static void
verb_config(struct caller *c, const struct json *request)
{
	struct config *file;
	struct buf text = { 0 };
	char *why = NULL;
	bool diff;

	if (caller_flag(c, request, "diff", &diff) < 0)
		return;
	if (!diff) {
		config_dump(master.config, false, &text);
		buf_str(&c->out, "{\"ok\":true,\"settings\":");
		json_quote(&c->out, buf_view(&text));
		buf_str(&c->out, "}\n");
		caller_write(c);
	} else if ((file = config_load(master.source, &why)) == NULL) {
		caller_refuse(c, why);
	} else {
		config_diff_rows(master.config, file, &c->out);
		config_free(file);
		buf_fmt(&c->out, "{\"ok\":true%s}\n",
		    reload_another_binary() ? ",\"binary\":true" : "");
		caller_write(c);
	}
	buf_done(&text);
	free(why);
}

/* Until the next reload of the settings. */
static void
verb_log(struct caller *c, const struct json *request)
{
	struct json level;
	const struct json_want want[] = { { BYTES("level"), &level } };
	struct buf room = { 0 };

	json_pick(request, want, NELEM(want));
	if (!json_absent(&level)) {
		if (level.type != JSON_STRING ||
		    log_level_named(json_text(&level, &room),
		    &master.config->peal.log_level) < 0) {
			caller_refuse(c, "a level is error, warn, info or "
			    "debug");
			buf_done(&room);
			return;
		}
		log_set_level((enum log_level)master.config->peal.log_level);
		children_settings();
	}
	buf_done(&room);
	buf_fmt(&c->out, "{\"ok\":true,\"level\":\"%s\"}\n",
	    log_level_name((enum log_level)master.config->peal.log_level));
	caller_write(c);
}

static void
verb_of_router(struct caller *c)
{
	struct bytes line = { c->in.p, c->in.n };

	if (child_control(c->fd, line) < 0)
		caller_refuse_with(c, "the router is being replaced or "
		    "stopped; try again", ",\"again\":true");
	else
		caller_free(c);
}

static const struct verb {
	struct bytes	 name;
	void		(*run)(struct caller *, const struct json *request);
} verbs[] = {
	{ BYTES("status"), verb_status },
	{ BYTES("report"), verb_report },
	{ BYTES("metrics"), verb_metrics },
	{ BYTES("apps"), verb_apps },
	{ BYTES("check"), verb_check },
	{ BYTES("reload"), verb_reload },
	{ BYTES("stop"), verb_stop },
	{ BYTES("config"), verb_config },
	{ BYTES("log"), verb_log },
};

/* The line is complete, without its newline. */
static void
caller_obey(struct caller *c)
{
	struct json request, verb;
	const struct json_want want[] = { { BYTES("verb"), &verb } };
	struct buf scratch = { 0 };
	const char *why;
	struct bytes name;

	if (json_parse(buf_view(&c->in), &request, &why) < 0 ||
	    json_pick(&request, want, NELEM(want)) < 0 ||
	    verb.type != JSON_STRING) {
		caller_refuse(c, "a request is a line of JSON with a verb");
		return;
	}
	name = json_text(&verb, &scratch);
	for (size_t i = 0; i < NELEM(verbs); i++) {
		if (bytes_eq(name, verbs[i].name)) {
			verbs[i].run(c, &request);
			buf_done(&scratch);
			return;
		}
	}
	log_debug("pealctl verb=%s", log_value(name));
	buf_done(&scratch);
	verb_of_router(c);
}

/* ---- reading ------------------------------------------------------------- */

static void
caller_read(struct caller *c)
{
	ptrdiff_t end;
	ssize_t n;

	n = recv(c->fd, buf_room(&c->in, 65536), 65536, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return caller_await(c, EV_READ);
	if (n <= 0)
		return caller_free(c);
	c->in.n += (size_t)n;
	TAILQ_REMOVE(&control.callers, c, link);
	TAILQ_INSERT_TAIL(&control.callers, c, link);
	end = bytes_find(buf_view(&c->in), '\n');
	if (end >= 0) {
		c->in.n = (size_t)end;
		c->asked = true;
		return caller_obey(c);
	}
	if (c->in.n > LINE_MAX_) {
		c->asked = true;
		return caller_refuse(c, "the request is too long");
	}
	caller_await(c, EV_READ);
}

/* Who waits for a reload says nothing more, but may read its answer yet. */
static void
caller_waiting(struct caller *c)
{
	char octet;
	ssize_t n = recv(c->fd, &octet, 1, 0);

	c->silent |= n == 0;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		caller_free(c);
	else
		caller_wait(c);
}

static void
on_caller(evutil_socket_t fd, short what, void *arg)
{
	struct caller *c = arg;

	(void)fd;
	if (c->waits_for != 0)
		caller_waiting(c);
	else if (what & EV_TIMEOUT)
		caller_free(c);
	else if (what & EV_WRITE)
		caller_write(c);
	else
		caller_read(c);
}

void
control_check(void)
{
	struct caller *c, *next;

	for (c = TAILQ_FIRST(&control.callers); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->waits_for != 0)
			caller_wait(c);
	}
}

/* ---- accepting ----------------------------------------------------------- */

static bool
caller_allowed(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0)
		return false;
	if (who.uid == 0 || who.uid == geteuid() || who.uid == master.uid)
		return true;
	log_warn("pealctl refused uid=%u pid=%d", (unsigned)who.uid,
	    (int)who.pid);
	return false;
}

static struct caller *
caller_new(int fd)
{
	struct caller *c = xcalloc(1, sizeof(*c));

	c->fd = fd;
	c->event = event_new(master.base, fd, EV_READ, on_caller, c);
	if (c->event == NULL)
		fatal("no memory for an event");
	TAILQ_INSERT_TAIL(&control.callers, c, link);
	control.n++;
	return c;
}

/* -1 with EMFILE where there is no room. */
static int
accept_one(int listening)
{
	if (control.n < CALLERS_MAX)
		return accept4(listening, NULL, NULL,
		    SOCK_CLOEXEC | SOCK_NONBLOCK);
	errno = EMFILE;
	return -1;
}

/* Whoever has a question gets in, in the next turn: the one who has said nothing
 * for longest loses his place.  If all wait for answers, so does who comes. */
static void
make_room(void)
{
	struct caller *c = caller_silent();

	if (c != NULL) {
		caller_put_out(c);
	} else if (control.n > 0) {
		control.deaf = true;
		event_del(control.event);
	}
}

static void
on_accept(evutil_socket_t listening, short what, void *arg)
{
	struct caller *c;
	int fd = accept_one((int)listening);

	(void)what;
	(void)arg;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			make_room();
		return;
	}
	c = caller_new(fd);
	if (caller_allowed(fd)) {
		caller_await(c, EV_READ);
	} else {
		c->asked = true;
		caller_refuse(c, "only root and the peal user may do that");
	}
}

/* ---- the socket ---------------------------------------------------------- */

/* The socket is named after the port in force, which settings with port 0 do
 * not know. */
static char *
path_in_force(void)
{
	struct config settled = *master.config;
	struct config_listen section = settled.listen[0];

	section.address.at = &master.listen.at[0].text;
	section.address.n = 1;
	settled.listen = &section;
	settled.n_listen = 1;
	return config_control_path(&settled);
}

static int
directory_make(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	int r;

	if (slash == NULL || slash == path)
		return 0;
	dir = bytes_dup(bytes_of(path, (size_t)(slash - path)));
	r = rundir_make(dir, master.config->peal.control == NULL, master.uid,
	    master.gid);
	free(dir);
	return r;
}

static int
socket_make(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, r;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	memcpy(to.sun_path, path, strlen(path) + 1);
	/* As in listen.c: the file takes its mode from the socket. */
	r = fchmod(fd, 0660);
	mask = umask(0);
	r = r < 0 ? r : bind(fd, (const struct sockaddr *)&to, sizeof(to));
	umask(mask);
	if (r < 0 || lchown(path, geteuid(), master.gid) < 0 ||
	    listen(fd, SOMAXCONN) < 0) {
		r = errno;
		close(fd);
		errno = r;
		return -1;
	}
	return fd;
}

static void
socket_watch(int fd, char *path)
{
	control.fd = fd;
	control.path = path;
	control.event = event_new(master.base, fd, EV_READ | EV_PERSIST,
	    on_accept, NULL);
	if (control.event == NULL || event_add(control.event, NULL) < 0)
		fatal("no memory for an event");
}

static void
socket_end(void)
{
	if (control.event != NULL)
		event_free(control.event);
	control.event = NULL;
	if (control.fd < 0)
		return;
	close(control.fd);
	unlink(control.path);
	free(control.path);
	control.fd = -1;
	control.path = NULL;
}

/* -1: another instance is there; with fd -1 there is no socket, which was said
 * to the log. */
static int
socket_open(const char *path, int *fd, char **why)
{
	const char *words;

	*fd = -1;
	if (directory_make(path) < 0) {
		log_warn("no socket for pealctl: %s: %s", path,
		    strerror(errno));
		return 0;
	}
	if (listen_clear_path(path, &words) < 0) {
		*why = xasprintf("control socket %s: %s", path, words);
		return -1;
	}
	if ((*fd = socket_make(path)) < 0)
		log_warn("no socket for pealctl: %s: %s", path,
		    strerror(errno));
	return 0;
}

int
control_open(char **why)
{
	char *path = path_in_force();
	int fd, r = socket_open(path, &fd, why);

	if (fd >= 0)
		socket_watch(fd, path);
	else
		free(path);
	return r;
}

void
control_follow(void)
{
	char *path = path_in_force(), *why;
	int fd;

	if (control.path != NULL && strcmp(control.path, path) == 0) {
		free(path);
		return;
	}
	if (socket_open(path, &fd, &why) < 0) {
		log_error("the old one stays: %s", why);
		free(why);
	}
	if (fd < 0) {
		free(path);
		return;
	}
	socket_end();
	socket_watch(fd, path);
}

const char *
control_path(void)
{
	return control.path;
}

void
control_close(void)
{
	struct caller *c;

	if (control.event != NULL)
		event_del(control.event);
	control.deaf = false;
	while ((c = TAILQ_FIRST(&control.callers)) != NULL) {
		if (c->waits_for_end) {
			c->waits_for_end = false;
			buf_str(&c->out, "{\"ok\":true}\n");
			(void)!send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL);
		}
		caller_free(c);
	}
	socket_end();
}

/* ---- over an exec -------------------------------------------------------- */

void
control_save(struct state *s)
{
	struct state_caller *to;
	struct caller *c;

	s->control = control.fd;
	s->control_path = control.path != NULL ? xstrdup(control.path) : NULL;
	TAILQ_FOREACH(c, &control.callers, link) {
		to = state_add_caller(s);
		to->fd = c->fd;
		to->waits = c->waits_for;
		buf_bytes(&to->in, buf_view(&c->in));
		buf_bytes(&to->out, bytes_skip(buf_view(&c->out), c->sent));
	}
}

static void
caller_restore(const struct state_caller *from)
{
	struct caller *c = caller_new(from->fd);

	c->waits_for = from->waits;
	c->asked = from->waits != 0 || from->out.n != 0;
	buf_bytes(&c->in, buf_view(&from->in));
	buf_bytes(&c->out, buf_view(&from->out));
	if (c->waits_for != 0)
		caller_wait(c);
	else
		caller_await(c, c->out.n != 0 ? EV_WRITE : EV_READ);
}

void
control_restore(const struct state *s)
{
	if (s->control >= 0)
		socket_watch(s->control, xstrdup(s->control_path));
	for (size_t i = 0; i < s->n_callers; i++)
		if (s->callers[i].fd >= 0)
			caller_restore(&s->callers[i]);
}
