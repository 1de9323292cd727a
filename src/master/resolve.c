/* SPDX-License-Identifier: MIT
 *
 * Names for the router, see resolve.h.
 *
 * Runs in: master.  Owns: the questions under way.
 */
#include "master/resolve.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/util.h"
#include "master/master.h"
#include "master/tell.h"

#define AT_A_TIME	8
#define SECONDS		10	/* for one */
#define ADDRESSES	16
#define ANSWER_MAX	512
#define CHILD_FD	3

/* A question under way; one datagram answers it:
 *	'A' (size octets)*	addresses
 *	'F'			a connection, as descriptor
 *	'E' text		why not */
struct question {
	struct event	*event;		/* NULL: free */
	int		 fd;
	uint64_t	 cookie, generation;	/* of the router that asked */
};

static struct question questions[AT_A_TIME];

void	master_on_resolve(struct child *, struct ipc *,
	    const struct msg_resolve *);

/* ---- in the child -------------------------------------------------------- */

static void
answer_error(int to, const char *why)
{
	char text[ANSWER_MAX];
	int n = snprintf(text, sizeof(text), "E%.190s", why);

	(void)send(to, text, (size_t)n, MSG_NOSIGNAL);
}

static void
answer_addresses(int to, const struct addrinfo *list)
{
	char text[1 + ADDRESSES * 17];
	const void *p;
	size_t n = 0, size;

	text[n++] = 'A';
	for (; list != NULL && n + 17 <= sizeof(text); list = list->ai_next) {
		if (list->ai_family == AF_INET) {
			size = 4;
			p = &((const struct sockaddr_in *)
			    (const void *)list->ai_addr)->sin_addr;
		} else if (list->ai_family == AF_INET6) {
			size = 16;
			p = &((const struct sockaddr_in6 *)
			    (const void *)list->ai_addr)->sin6_addr;
		} else {
			continue;
		}
		text[n++] = (char)size;
		memcpy(text + n, p, size);
		n += size;
	}
	(void)send(to, text, n, MSG_NOSIGNAL);
}

static void
look_up(const char *host, int to)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int error = getaddrinfo(host, NULL, &want, &list);

	if (error != 0)
		answer_error(to, error == EAI_SYSTEM ? strerror(errno) :
		    gai_strerror(error));
	else
		answer_addresses(to, list);
	if (list != NULL)
		freeaddrinfo(list);
}

static void
answer_descriptor(int to, int fd)
{
	char octet = 'F';
	union {
		char		room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr	align;
	} control = { { 0 } };
	struct iovec v = { &octet, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	(void)sendmsg(to, &m, MSG_NOSIGNAL);
}

static void
connect_path(const char *path, int to)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(at.sun_path)) {
		answer_error(to, "the path of the socket is too long");
		return;
	}
	memcpy(at.sun_path, path, strlen(path));
	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		answer_error(to, strerror(errno));
	else
		answer_descriptor(to, fd);
}

_Noreturn void
resolve_run(const char *host, int fd)
{
	if (host[0] == '/')
		connect_path(host, fd);
	else
		look_up(host, fd);
	_exit(0);
}

/* As in spawn.c: the master's handlers and descriptors are not for children. */
static void
child_settle(int fd)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(SECONDS);
	if (dup2(fd, CHILD_FD) < 0)
		_exit(1);
	if (syscall(SYS_close_range, CHILD_FD + 1, ~0U, 0) < 0)
		for (int i = CHILD_FD + 1; i < 1024; i++)
			close(i);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* All groups of the user: the broker's socket may be for one of them. */
static void
child_step_down(const char *user)
{
	if (geteuid() != 0)
		return;
	if (initgroups(user != NULL ? user : "", master.gid) < 0 ||
	    setresgid(master.gid, master.gid, master.gid) < 0 ||
	    setresuid(master.uid, master.uid, master.uid) < 0)
		_exit(1);
}

static pid_t
child_fork(const char *host, int fd)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0) {
		child_settle(fd);
		title_set("peald: resolver");
		child_step_down(master.config->peal.user);
		resolve_run(host, CHILD_FD);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* ---- in the master -------------------------------------------------------- */

static struct child *
router_of(const struct question *q)
{
	struct child *router = &master.child[SLOT_ROUTER];

	return master.n_child > 0 && router->ipc != NULL &&
	    router->generation == q->generation ? router : NULL;
}

static void
tell_why(struct child *router, uint64_t cookie, struct bytes why)
{
	if (why.n > 190)
		why.n = 190;
	TELL(router, resolved, .cookie = cookie, .why = why);
}

static void
tell_addresses(struct child *router, uint64_t cookie, struct bytes list)
{
	struct bytes at[ADDRESSES];
	uint32_t n = 0;
	size_t size;

	while (list.n > 0 && n < ADDRESSES) {
		size = (unsigned char)list.p[0];
		if ((size != 4 && size != 16) || size >= list.n)
			break;
		at[n++] = bytes_of(list.p + 1, size);
		list = bytes_skip(list, size + 1);
	}
	TELL(router, resolved, .cookie = cookie, .addresses_out = { at, n },
	    .why = n == 0 ? B("the name has no address") : B(""));
}

static void
tell_connected(struct child *router, uint64_t cookie, int fd)
{
	struct buf frame = { 0 };
	struct msg_connected m = { .cookie = cookie };

	msg_pack_connected(&frame, &m);
	ipc_put_fd(router->ipc, buf_view(&frame), fd);
	buf_done(&frame);
}

static void
question_end(struct question *q)
{
	event_free(q->event);
	close(q->fd);
	q->event = NULL;
}

/* The answer's octets; *fd is what came with it, or -1. */
static ssize_t
answer_read(int from, char *to, size_t size, int *fd)
{
	union {
		char		room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr	align;
	} control;
	struct iovec v = { to, size };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c;

	*fd = -1;
	if (n <= 0)
		return n;
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return n;
}

static void
on_answer(evutil_socket_t from, short what, void *arg)
{
	struct question *q = arg;
	struct child *router = router_of(q);
	char text[ANSWER_MAX];
	int fd = -1;
	ssize_t n = what & EV_TIMEOUT ? 0 :
	    answer_read(from, text, sizeof(text), &fd);

	if (router == NULL)
		;
	else if (n > 0 && text[0] == 'A')
		tell_addresses(router, q->cookie, bytes_of(text + 1,
		    (size_t)n - 1));
	else if (n > 0 && text[0] == 'F' && fd >= 0)
		tell_connected(router, q->cookie, fd);
	else if (n > 0 && text[0] == 'E')
		tell_why(router, q->cookie, bytes_of(text + 1, (size_t)n - 1));
	else
		tell_why(router, q->cookie, B("the lookup took too long or "
		    "failed"));
	if (fd >= 0)
		close(fd);
	question_end(q);
}

static const char *
refusal(struct bytes host)
{
	const struct config_backplane *set = &master.config->backplane;

	if (set->driver == BACKPLANE_NONE)
		return "there is no backplane";
	if (host.n == 0 || memchr(host.p, '\0', host.n) != NULL)
		return "that is no name";
	if (host.p[0] == '/' && !bytes_eq(host, bytes_str(set->host)))
		return "that is not the socket in the settings";
	return NULL;
}

/* NULL with why. */
static struct question *
question_new(const char *host, const char **why)
{
	const struct timeval limit = { .tv_sec = SECONDS + 1 };
	struct question *q = questions;
	int ends[2];

	while (q < questions + AT_A_TIME && q->event != NULL)
		q++;
	*why = "too many names are looked up already";
	if (q == questions + AT_A_TIME)
		return NULL;
	*why = "no process for it";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return NULL;
	if (child_fork(host, ends[1]) < 0) {
		close(ends[0]);
		close(ends[1]);
		return NULL;
	}
	close(ends[1]);
	q->fd = ends[0];
	q->event = event_new(master.base, q->fd, EV_READ, on_answer, q);
	if (q->event == NULL || event_add(q->event, &limit) < 0)
		fatal("no event for a lookup");
	return q;
}

void
master_on_resolve(struct child *router, struct ipc *ipc,
    const struct msg_resolve *m)
{
	const char *why = refusal(m->host);
	struct question *q;
	char *host;

	(void)ipc;
	if (router->slot != SLOT_ROUTER)
		return;
	if (why != NULL) {
		tell_why(router, m->cookie, bytes_str(why));
		return;
	}
	host = bytes_dup(m->host);
	if ((q = question_new(host, &why)) == NULL) {
		tell_why(router, m->cookie, bytes_str(why));
	} else {
		q->cookie = m->cookie;
		q->generation = router->generation;
	}
	free(host);
}
