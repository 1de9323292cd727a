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
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/util.h"
#include "master/listen.h"

/* ---- names --------------------------------------------------------------- */

static int
port_parse(struct bytes text, char port[6], const char **why)
{
	uint64_t n;

	if (bytes_u64(text, &n) < 0 || n > 65535) {
		*why = "the port must be a number from 0 to 65535";
		return -1;
	}
	snprintf(port, 6, "%u", (unsigned)n);
	return 0;
}

static int
path_parse(const char *path, const char **why)
{
	if (path[0] != '/') {
		*why = "unix: needs a path that starts with /";
		return -1;
	}
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		*why = "the path of a unix socket has at most 107 octets";
		return -1;
	}
	return 0;
}

/* The host before the last colon, without the brackets of IPv6. */
static int
host_parse(struct bytes text, char host[256], const char **why)
{
	if (text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']') {
		text.p++;
		text.n -= 2;
	} else if (bytes_find(text, ':') >= 0) {
		*why = "an IPv6 address is written in brackets: [::1]:8080";
		return -1;
	}
	if (text.n > 255) {
		*why = "the host name is too long";
		return -1;
	}
	memcpy(host, text.p, text.n);
	host[text.n] = '\0';
	return 0;
}

int
listen_parse(const char *text, struct listen_name *name, const char **why)
{
	const char *colon;

	memset(name, 0, sizeof(*name));
	if (strncmp(text, "unix:", 5) == 0) {
		name->local = true;
		name->path = text + 5;
		return path_parse(name->path, why);
	}
	if ((colon = strrchr(text, ':')) == NULL) {
		*why = "must be HOST:PORT, [IPv6]:PORT, :PORT or unix:/path";
		return -1;
	}
	if (host_parse(bytes_of(text, (size_t)(colon - text)), name->host,
	    why) < 0)
		return -1;
	return port_parse(bytes_str(colon + 1), name->port, why);
}

/* ---- the list ------------------------------------------------------------ */

static struct listen_address *
address_add(struct listen *all, unsigned section, unsigned n_fd)
{
	struct listen_address *a;

	all->at = xreallocarray(all->at, all->n + 1, sizeof(*all->at));
	a = &all->at[all->n++];
	memset(a, 0, sizeof(*a));
	a->section = section;
	a->fd = xcalloc(n_fd, sizeof(*a->fd));
	for (a->n_fd = 0; a->n_fd < n_fd; a->n_fd++)
		a->fd[a->n_fd] = -1;
	return a;
}

static void
address_done(struct listen_address *a)
{
	for (unsigned i = 0; i < a->n_fd; i++)
		if (a->fd[i] >= 0)
			close(a->fd[i]);
	if (a->path != NULL)
		unlink(a->path);
	free(a->path);
	free(a->text);
	free(a->fd);
}

void
listen_close(struct listen *all)
{
	for (size_t i = 0; i < all->n; i++)
		address_done(&all->at[i]);
	free(all->at);
	all->at = NULL;
	all->n = 0;
}

int
listen_fd(const struct listen_address *a, unsigned i)
{
	return a->fd[i % a->n_fd];
}

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

/* The first socket settles the port; all are bound before one listens, so that
 * the kernel never hands a client to half a group. */
static int
tcp_bind_all(struct listen_address *a, union tcp_address *to, int backlog)
{
	socklen_t n = tcp_size(to);

	for (unsigned i = 0; i < a->n_fd; i++) {
		if ((a->fd[i] = tcp_bind(to, true)) < 0)
			return -1;
		if (i == 0 && getsockname(a->fd[0], &to->any, &n) < 0)
			return -1;
	}
	for (unsigned i = 0; i < a->n_fd; i++)
		if (listen(a->fd[i], backlog) < 0)
			return -1;
	return 0;
}

static int
tcp_open_one(struct listen *all, unsigned section, union tcp_address *to,
    unsigned workers, int backlog, char **why)
{
	struct listen_address *a = address_add(all, section, workers);

	if (tcp_probe(to) < 0 || tcp_bind_all(a, to, backlog) < 0) {
		int error = errno;
		char *text = tcp_text(to);

		*why = xasprintf("%s: %s", text, tcp_advice(error));
		free(text);
		errno = error;
		return -1;
	}
	a->text = tcp_text(to);
	return 0;
}

/* A name (localhost, or all addresses) may stand for IPv4 and IPv6: a machine
 * without one of them is content with the other. */
static bool
tcp_may_skip(int error)
{
	return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

static void
address_drop_last(struct listen *all)
{
	address_done(&all->at[--all->n]);
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
tcp_open_list(struct listen *all, unsigned section, struct addrinfo *list,
    unsigned workers, int backlog, char **why)
{
	union tcp_address to;
	uint16_t port = 0;
	char *last = NULL;
	size_t before = all->n;

	for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		if (ai->ai_addrlen > sizeof(to))
			continue;
		memcpy(&to, ai->ai_addr, ai->ai_addrlen);
		if (port != 0)
			*tcp_port(&to) = port;
		if (tcp_is_open(all, before, &to))
			continue;
		if (tcp_open_one(all, section, &to, workers, backlog,
		    why) == 0) {
			port = *tcp_port(&to);
			continue;
		}
		if (!tcp_may_skip(errno)) {
			free(last);
			return -1;
		}
		address_drop_last(all);
		free(last);
		last = *why;
	}
	if (all->n == before) {
		*why = last;
		return -1;
	}
	free(last);
	*why = NULL;
	return 0;
}

static int
tcp_open(struct listen *all, unsigned section, const struct listen_name *name,
    unsigned workers, int backlog, char **why)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	int r;

	r = getaddrinfo(name->host[0] != '\0' ? name->host : NULL, name->port,
	    &hints, &list);
	if (r != 0) {
		*why = xasprintf("%s: no such host: %s", name->host,
		    gai_strerror(r));
		return -1;
	}
	r = tcp_open_list(all, section, list, workers, backlog, why);
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

	if (path_parse(path, why) < 0)
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
path_open(struct listen *all, unsigned section, const char *path,
    const struct config_listen *settings, uid_t owner, gid_t gid, char **why)
{
	struct listen_address *a;
	const char *words;
	mode_t mode;

	if (mode_parse(settings->unix_mode, &mode) < 0) {
		*why = xasprintf("unix_mode %s: must be octal, such as 0660",
		    settings->unix_mode);
		return -1;
	}
	if (listen_clear_path(path, &words) < 0) {
		*why = xasprintf("unix:%s: %s", path, words);
		return -1;
	}
	a = address_add(all, section, 1);
	a->local = true;
	a->text = xasprintf("unix:%s", path);
	if (path_bind(a, mode, owner, gid, (int)settings->backlog) < 0) {
		*why = xasprintf("unix:%s: %s", path, strerror(errno));
		return -1;
	}
	return 0;
}

/* ---- all of them --------------------------------------------------------- */

static int
open_one(struct listen *all, unsigned section, const char *text,
    const struct config_listen *settings, unsigned workers, uid_t owner,
    gid_t gid, char **why)
{
	struct listen_name name;
	const char *words;

	if (listen_parse(text, &name, &words) < 0) {
		*why = xasprintf("%s: %s", text, words);
		return -1;
	}
	if (name.local)
		return path_open(all, section, name.path, settings, owner, gid,
		    why);
	return tcp_open(all, section, &name, workers, (int)settings->backlog,
	    why);
}

int
listen_open(struct listen *all, const struct config *config, unsigned workers,
    uid_t owner, gid_t gid, char **why)
{
	const struct config_listen *settings;

	memset(all, 0, sizeof(*all));
	*why = NULL;
	for (size_t i = 0; i < config->n_listen; i++) {
		settings = &config->listen[i];
		for (size_t k = 0; k < settings->address.n; k++) {
			if (open_one(all, (unsigned)i, settings->address.at[k],
			    settings, workers, owner, gid, why) == 0)
				continue;
			listen_close(all);
			return -1;
		}
	}
	return 0;
}
