/* SPDX-License-Identifier: MIT
 *
 * Binding the addresses of the settings.
 *
 * Runs in: master.  Owns: see listen.h.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "master/listen.h"

/* ---- the list ------------------------------------------------------------ */

/* A change in the making; a start is one from nothing. */
struct change {
	struct listen		*then;
	const struct listen	*now;
	bool			*kept;		/* of each address in now */
	unsigned		*claimed;	/* by which line, plus 1 */
	const struct config	*config;
	unsigned		 workers;
	uid_t			 owner;
	gid_t			 gid;
	char			**why;
};

/* A line of the settings. */
struct entry {
	unsigned	 section, number;
	const char	*asked;
};

static struct listen_address *
address_add(struct change *ch, const struct entry *e, unsigned n_fd)
{
	struct listen *then = ch->then;
	struct listen_address *a;

	then->at = xreallocarray(then->at, then->n + 1, sizeof(*then->at));
	a = &then->at[then->n++];
	memset(a, 0, sizeof(*a));
	a->section = e->section;
	a->label = ch->config->listen[e->section].label;
	a->label = a->label != NULL ? xstrdup(a->label) : NULL;
	a->asked = xstrdup(e->asked);
	a->entry = e->number;
	a->workers = ch->workers;
	a->fd = xcalloc(n_fd, sizeof(*a->fd));
	for (a->n_fd = 0; a->n_fd < n_fd; a->n_fd++)
		a->fd[a->n_fd] = -1;
	return a;
}

static int
backlog_of(const struct change *ch, const struct entry *e)
{
	return (int)ch->config->listen[e->section].backlog;
}

/* Closes its sockets from that one on. */
static void
address_close(struct listen_address *a, unsigned from)
{
	for (unsigned i = from; i < a->n_fd; i++) {
		if (a->fd[i] >= 0)
			close(a->fd[i]);
		a->fd[i] = -1;
	}
}

static void
address_done(struct listen_address *a, unsigned from)
{
	address_close(a, from);
	if (a->path != NULL && from == 0)
		unlink(a->path);
	free(a->path);
	free(a->text);
	free(a->asked);
	free(a->label);
	free(a->fd);
}

static void
address_drop_last(const struct change *ch)
{
	struct listen_address *a = &ch->then->at[--ch->then->n];

	address_done(a, a->n_old);
}

static void
list_done(struct listen *all)
{
	free(all->at);
	all->at = NULL;
	all->n = 0;
}

void
listen_close(struct listen *all)
{
	for (size_t i = 0; i < all->n; i++)
		address_done(&all->at[i], 0);
	list_done(all);
}

void
listen_let_go(struct listen *all)
{
	for (size_t i = 0; i < all->n; i++)
		address_close(&all->at[i], 0);
}

int
listen_fd(const struct listen_address *a, unsigned i, unsigned k)
{
	size_t at = i + (size_t)k * a->workers;

	if (a->local)
		return k == 0 ? a->fd[0] : -1;
	return at < a->n_fd ? a->fd[at] : -1;
}

static int	address_keep(struct change *, const struct entry *,
		    const struct listen_address *);

/* ---- TCP ----------------------------------------------------------------- */

union tcp_address {
	struct sockaddr		 any;
	struct sockaddr_in	 v4;
	struct sockaddr_in6	 v6;
};

static uint16_t *
tcp_port(union tcp_address *to)
{
	return to->any.sa_family == AF_INET6 ? &to->v6.sin6_port
					     : &to->v4.sin_port;
}

static socklen_t
tcp_size(const union tcp_address *to)
{
	return to->any.sa_family == AF_INET6 ? sizeof(to->v6) : sizeof(to->v4);
}

static char *
tcp_text(const union tcp_address *to)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo(&to->any, tcp_size(to), host, sizeof(host), port,
	    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return xstrdup("?");
	return xasprintf(to->any.sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
	    host, port);
}

/* A bound socket that does not listen yet; -1 with errno. */
static int
tcp_bind(const union tcp_address *to, bool shared)
{
	int fd, on = 1, saved;

	fd = socket(to->any.sa_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
	    sizeof(on)) < 0) ||
	    (to->any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
	    bind(fd, &to->any, tcp_size(to)) < 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static const char *
tcp_advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "already in use: another peald or another program "
		       "listens there, or the address stands twice in the "
		       "settings";
	case EACCES:
		return "not permitted: ports below 1024 need root or "
		       "CAP_NET_BIND_SERVICE";
	case EADDRNOTAVAIL:
		return "this machine does not have that address";
	default:
		return strerror(error);
	}
}

/* Is somebody else there?  Without SO_REUSEPORT nobody may be.  A port that the
 * kernel chooses is free. */
static int
tcp_probe(union tcp_address *to)
{
	int fd;

	if (*tcp_port(to) == 0)
		return 0;
	if ((fd = tcp_bind(to, false)) < 0)
		return -1;
	close(fd);
	return 0;
}

/* The first socket settles the port. */
static int
tcp_bind_rest(struct listen_address *a, union tcp_address *to)
{
	socklen_t n = tcp_size(to);

	for (unsigned i = a->n_old; i < a->n_fd; i++) {
		if ((a->fd[i] = tcp_bind(to, true)) < 0)
			return -1;
		if (i == 0 && getsockname(a->fd[0], &to->any, &n) < 0)
			return -1;
	}
	return 0;
}

static int
address_listen(const struct listen_address *a, int backlog)
{
	for (unsigned i = 0; i < a->n_fd; i++)
		if (listen(a->fd[i], backlog) < 0)
			return -1;
	return 0;
}

static int
tcp_of_fd(int fd, union tcp_address *to)
{
	socklen_t n = sizeof(*to);

	memset(to, 0, sizeof(*to));
	return getsockname(fd, &to->any, &n);
}

static bool
tcp_is_any(const union tcp_address *to)
{
	return to->any.sa_family == AF_INET6 ?
	    IN6_IS_ADDR_UNSPECIFIED(&to->v6.sin6_addr) :
	    to->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* Could one connection be meant for both? */
static bool
tcp_overlaps(const struct listen_address *a, union tcp_address *to)
{
	union tcp_address other;

	if (a->local || a->fd[0] < 0 || tcp_of_fd(a->fd[0], &other) < 0 ||
	    other.any.sa_family != to->any.sa_family ||
	    *tcp_port(&other) != *tcp_port(to))
		return false;
	if (tcp_is_any(&other) || tcp_is_any(to))
		return true;
	return to->any.sa_family == AF_INET6 ?
	    IN6_ARE_ADDR_EQUAL(&other.v6.sin6_addr, &to->v6.sin6_addr) :
	    other.v4.sin_addr.s_addr == to->v4.sin_addr.s_addr;
}

/* Another line of the settings has it. */
static bool
tcp_is_taken(const struct change *ch, union tcp_address *to)
{
	bool taken = false;

	for (size_t i = 0; i < ch->then->n; i++)
		taken |= tcp_overlaps(&ch->then->at[i], to);
	for (size_t i = 0; i < ch->now->n; i++)
		taken |= ch->kept[i] && tcp_overlaps(&ch->now->at[i], to);
	return taken;
}

/* Ours, and going: it must not stand in our own way. */
static bool
tcp_is_leaving(const struct change *ch, union tcp_address *to)
{
	for (size_t i = 0; i < ch->now->n; i++)
		if (!ch->kept[i] && tcp_overlaps(&ch->now->at[i], to))
			return true;
	return false;
}

/* All are bound before one listens, so that the kernel never hands a client to
 * half a group. */
static int
tcp_open_group(struct change *ch, const struct entry *e,
    union tcp_address *to)
{
	struct listen_address *a;

	if (*tcp_port(to) != 0 && tcp_is_taken(ch, to)) {
		errno = EADDRINUSE;
		return -1;
	}
	if (!tcp_is_leaving(ch, to) && tcp_probe(to) < 0)
		return -1;
	a = address_add(ch, e, ch->workers);
	if (tcp_bind_rest(a, to) < 0 || address_listen(a, backlog_of(ch, e)) < 0)
		return -1;
	a->text = tcp_text(to);
	return 0;
}

/* Is this address in force already, as it was written in another way or place? */
static struct listen_address *
find_by_text(const struct change *ch, const char *text)
{
	for (size_t i = 0; i < ch->now->n; i++)
		if (!ch->kept[i] && strcmp(ch->now->at[i].text, text) == 0)
			return &ch->now->at[i];
	return NULL;
}

static int
tcp_open_one(struct change *ch, const struct entry *e, union tcp_address *to)
{
	size_t before = ch->then->n;
	char *text = tcp_text(to);
	struct listen_address *same = find_by_text(ch, text);
	int r, error;

	r = same != NULL ? address_keep(ch, e, same) :
	    tcp_open_group(ch, e, to);
	if (r < 0) {
		error = errno;
		if (ch->then->n > before)
			address_drop_last(ch);
		*ch->why = xasprintf("%s: %s", text, tcp_advice(error));
		errno = error;
	}
	free(text);
	return r;
}

/* A name (localhost, or all addresses) may stand for IPv4 and IPv6: a machine
 * without one of them is content with the other. */
static bool
tcp_may_skip(int error)
{
	return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

/* /etc/hosts may name an address twice. */
static bool
tcp_is_open(const struct listen *all, size_t from, const union tcp_address *to)
{
	char *text = tcp_text(to);
	bool found = false;

	for (size_t i = from; i < all->n; i++)
		found |= strcmp(all->at[i].text, text) == 0;
	free(text);
	return found;
}

static int
tcp_open_list(struct change *ch, const struct entry *e, struct addrinfo *list)
{
	union tcp_address to;
	uint16_t port = 0;
	char *last = NULL;
	size_t before = ch->then->n;

	for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		if (ai->ai_addrlen > sizeof(to))
			continue;
		memcpy(&to, ai->ai_addr, ai->ai_addrlen);
		if (port != 0)
			*tcp_port(&to) = port;
		if (tcp_is_open(ch->then, before, &to))
			continue;
		if (tcp_open_one(ch, e, &to) == 0) {
			port = *tcp_port(&to);
			continue;
		}
		free(last);
		if (!tcp_may_skip(errno))
			return -1;
		last = *ch->why;
	}
	if (ch->then->n == before) {
		*ch->why = last;
		return -1;
	}
	free(last);
	*ch->why = NULL;
	return 0;
}

static int
tcp_open(struct change *ch, const struct entry *e,
    const struct listen_name *name)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	int r;

	r = getaddrinfo(name->host[0] != '\0' ? name->host : NULL, name->port,
	    &hints, &list);
	if (r != 0) {
		*ch->why = xasprintf("%s: no such host: %s", name->host,
		    gai_strerror(r));
		return -1;
	}
	r = tcp_open_list(ch, e, list);
	freeaddrinfo(list);
	return r;
}

/* ---- unix sockets -------------------------------------------------------- */

/* 0: somebody answers; else errno. */
static int
path_try(const struct sockaddr_un *to)
{
	int fd, r;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	r = connect(fd, (const struct sockaddr *)to, sizeof(*to));
	/* EAGAIN: its queue is full, so there is somebody. */
	r = r == 0 || errno == EAGAIN || errno == EINPROGRESS ? 0 : errno;
	close(fd);
	return r;
}

/* Only what nobody holds may be removed: not another program's datagram
 * socket, nor one we may not even ask, unless its mode shuts us out of our
 * own. */
static bool
path_stale(int error, const struct stat *st)
{
	return error == ECONNREFUSED ||
	    (error == EACCES && st->st_uid == geteuid());
}

static void
path_address(const char *path, struct sockaddr_un *to)
{
	memset(to, 0, sizeof(*to));
	to->sun_family = AF_UNIX;
	snprintf(to->sun_path, sizeof(to->sun_path), "%s", path);
}

int
listen_clear_path(const char *path, const char **why)
{
	struct sockaddr_un to;
	struct stat st;
	int error;

	if (listen_path(path, why) < 0)
		return -1;
	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		*why = "there is a file of that name that is no socket";
		return -1;
	}
	path_address(path, &to);
	if ((error = path_try(&to)) == 0) {
		*why = "already in use: another peald answers there";
		return -1;
	}
	if (!path_stale(error, &st)) {
		*why = "another program's socket is there";
		return -1;
	}
	if (unlink(path) < 0) {
		*why = "a stale socket is there and cannot be removed";
		return -1;
	}
	return 0;
}

static int
mode_parse(const char *text, mode_t *mode)
{
	char *end;
	unsigned long n = strtoul(text, &end, 8);

	if (text[0] < '0' || text[0] > '7' || *end != '\0' || n > 0777)
		return -1;
	*mode = (mode_t)n;
	return 0;
}

/* Nobody can connect before it listens, when mode and owner are what they should
 * be.  The file takes its mode from the socket: whoever may write to the
 * directory could put a link in its place, and root would change what it points
 * to. */
static int
path_bind(struct listen_address *a, mode_t mode, uid_t owner, gid_t gid,
    int backlog)
{
	struct sockaddr_un to;
	mode_t mask;
	int r;

	a->fd[0] = socket(AF_UNIX,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd[0] < 0)
		return -1;
	path_address(a->text + 5, &to);
	if (fchmod(a->fd[0], mode) < 0)
		return -1;
	mask = umask(0);
	r = bind(a->fd[0], (const struct sockaddr *)&to, sizeof(to));
	umask(mask);
	if (r < 0)
		return -1;
	a->path = xstrdup(to.sun_path);
	if (lchown(a->path, owner, gid) < 0)
		return -1;
	return listen(a->fd[0], backlog);
}

static int
mode_check(const struct change *ch, const struct entry *e)
{
	const char *text = ch->config->listen[e->section].unix_mode;
	mode_t mode;

	if (mode_parse(text, &mode) == 0)
		return 0;
	*ch->why = xasprintf("unix_mode %s: must be octal, such as 0660", text);
	return -1;
}

/* Found by its text, a path in another section is kept, too. */
static int
path_open(struct change *ch, const struct entry *e, const char *path)
{
	const struct config_listen *settings = &ch->config->listen[e->section];
	struct listen_address *a;
	const char *words;
	mode_t mode = 0;

	if ((a = find_by_text(ch, e->asked)) != NULL)
		return address_keep(ch, e, a);
	if (listen_clear_path(path, &words) < 0) {
		*ch->why = xasprintf("unix:%s: %s", path, words);
		return -1;
	}
	a = address_add(ch, e, 1);
	a->local = true;
	a->text = xasprintf("unix:%s", path);
	(void)mode_parse(settings->unix_mode, &mode);	/* was checked */
	if (path_bind(a, mode, ch->owner, ch->gid, backlog_of(ch, e)) < 0) {
		*ch->why = xasprintf("unix:%s: %s", path, strerror(errno));
		return -1;
	}
	return 0;
}

/* The file, and not what a link in its place points to. */
static int
path_chmod(const char *path, mode_t mode)
{
	char self[40];
	struct stat st;
	int fd, r = -1;

	if ((fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	errno = EPERM;
	if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
		r = chmod(self, mode);
	close(fd);
	return r;
}

/* ---- all of them --------------------------------------------------------- */

/* The address stays, with all its sockets; more if there are more workers. */
static int
address_keep(struct change *ch, const struct entry *e,
    const struct listen_address *old)
{
	unsigned n = old->local || old->n_fd > ch->workers ? old->n_fd :
	    ch->workers;
	struct listen_address *a = address_add(ch, e, n);
	union tcp_address to;

	ch->kept[old - ch->now->at] = true;
	a->local = old->local;
	a->text = xstrdup(old->text);
	a->path = old->path != NULL ? xstrdup(old->path) : NULL;
	memcpy(a->fd, old->fd, old->n_fd * sizeof(*a->fd));
	a->n_old = old->n_fd;
	if (a->n_old == a->n_fd)
		return 0;
	return tcp_of_fd(a->fd[0], &to) < 0 ? -1 : tcp_bind_rest(a, &to);
}

static bool
text_is(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* The line as it was: all its addresses are claimed. */
static int
entry_claim(struct change *ch, const struct entry *e)
{
	const struct listen *now = ch->now;
	const char *label = ch->config->listen[e->section].label;
	bool found = false;
	unsigned number = 0;

	for (size_t i = 0; i < now->n; i++) {
		const struct listen_address *a = &now->at[i];

		if (ch->kept[i] || (found && a->entry != number) ||
		    !text_is(a->asked, e->asked) || !text_is(a->label, label))
			continue;
		found = ch->kept[i] = true;
		ch->claimed[i] = e->number + 1;
		number = a->entry;
	}
	return 0;
}

static int
entry_keep(struct change *ch, const struct entry *e, bool *found)
{
	const struct listen_address *a;

	*found = false;
	for (size_t i = 0; i < ch->now->n; i++) {
		a = &ch->now->at[i];
		if (ch->claimed[i] != e->number + 1)
			continue;
		*found = true;
		if (address_keep(ch, e, a) < 0) {
			*ch->why = xasprintf("%s: %s", a->text,
			    tcp_advice(errno));
			return -1;
		}
	}
	return 0;
}

static int
entry_open(struct change *ch, const struct entry *e)
{
	struct listen_name name;
	const char *words;
	bool kept;

	if (listen_parse(e->asked, &name, &words) < 0) {
		*ch->why = xasprintf("%s: %s", e->asked, words);
		return -1;
	}
	if (name.local && mode_check(ch, e) < 0)
		return -1;
	if (entry_keep(ch, e, &kept) < 0)
		return -1;
	if (kept)
		return 0;
	return name.local ? path_open(ch, e, name.path) :
	    tcp_open(ch, e, &name);
}

static int
each_entry(struct change *ch, int (*fn)(struct change *, const struct entry *))
{
	const struct config *c = ch->config;
	struct entry e = { 0 };

	for (; e.section < c->n_listen; e.section++) {
		const struct config_strings *list =
		    &c->listen[e.section].address;

		for (size_t k = 0; k < list->n; k++, e.number++) {
			e.asked = list->at[k];
			if (fn(ch, &e) < 0)
				return -1;
		}
	}
	return 0;
}

int
listen_change(struct listen *then, const struct listen *now,
    const struct config *config, unsigned workers, uid_t owner, gid_t gid,
    char **why)
{
	struct change ch = { .then = then, .now = now, .config = config,
		.workers = workers, .owner = owner, .gid = gid, .why = why };
	int r;

	memset(then, 0, sizeof(*then));
	*why = NULL;
	ch.kept = xcalloc(now->n + 1, sizeof(*ch.kept));
	ch.claimed = xcalloc(now->n + 1, sizeof(*ch.claimed));
	/* Whose line is unchanged comes first: another line that stands for
	 * the same address is one too many. */
	(void)each_entry(&ch, entry_claim);
	r = each_entry(&ch, entry_open);
	free(ch.kept);
	free(ch.claimed);
	if (r < 0)
		listen_undo(then);
	return r;
}

int
listen_open(struct listen *all, const struct config *config, unsigned workers,
    uid_t owner, gid_t gid, char **why)
{
	static const struct listen nothing;

	return listen_change(all, &nothing, config, workers, owner, gid, why);
}

void
listen_undo(struct listen *then)
{
	for (size_t i = 0; i < then->n; i++)
		address_done(&then->at[i], then->at[i].n_old);
	list_done(then);
}

/* ---- in force ------------------------------------------------------------ */

static void
address_enforce(struct listen_address *a, const struct config_listen *settings)
{
	mode_t mode;

	if (address_listen(a, (int)settings->backlog) < 0)
		log_error("cannot listen address=%s why=\"%s\"", a->text,
		    strerror(errno));
	if (!a->local)
		listen_steer(a);
	else if (a->n_old != 0 && mode_parse(settings->unix_mode, &mode) == 0 &&
	    path_chmod(a->path, mode) < 0)
		log_warn("the permissions stay as they are address=%s "
		    "why=\"%s\"", a->text, strerror(errno));
	a->n_old = 0;
}

static bool
is_in(const struct listen *all, const struct listen_address *a)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->at[i].fd[0] == a->fd[0])
			return true;
	return false;
}

static void
address_leave(struct listen *gone, struct listen_address *a)
{
	if (!a->local)
		listen_turn_away(a);
	else if (a->path != NULL)
		unlink(a->path);
	free(a->path);
	a->path = NULL;
	gone->at = xreallocarray(gone->at, gone->n + 1, sizeof(*gone->at));
	gone->at[gone->n++] = *a;
}

void
listen_commit(struct listen *now, struct listen *then, struct listen *gone,
    const struct config *config)
{
	memset(gone, 0, sizeof(*gone));
	for (size_t i = 0; i < now->n; i++) {
		struct listen_address *a = &now->at[i];

		if (is_in(then, a))
			address_done(a, a->n_fd);
		else
			address_leave(gone, a);
	}
	list_done(now);
	for (size_t i = 0; i < then->n; i++)
		address_enforce(&then->at[i],
		    &config->listen[then->at[i].section]);
	*now = *then;
	memset(then, 0, sizeof(*then));
}
