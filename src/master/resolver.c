/* SPDX-License-Identifier: MIT
 *
 * A process that answers one question about a name, see resolver.h.
 *
 * Runs in: a process of its own.
 */
#include "master/resolver.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/process.h"
#include "common/util.h"

#define ADDRESSES	16

/* ---- answers ------------------------------------------------------------- */

static void
answer_error(int to, const char *why)
{
	char text[RESOLVER_ANSWER_MAX];
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
		(void)fd_send(to, "F", 1, fd);
}

/* ---- the process --------------------------------------------------------- */

/* All groups of the user: the broker's socket may be for one of them. */
static int
step_down(const char *user)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return 0;
	if ((pw = getpwnam(user)) == NULL ||
	    initgroups(user, pw->pw_gid) < 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return -1;
	return 0;
}

int
resolver_main(void)
{
	char question[RESOLVER_QUESTION_MAX + 1];
	const char *user = question, *host;
	ssize_t n;

	alarm(RESOLVER_SECONDS);
	n = recv(PROCESS_LINK, question, RESOLVER_QUESTION_MAX, 0);
	if (n <= 0)
		return 1;
	question[n] = '\0';
	host = question + strlen(question) + 1;
	if (host > question + n || step_down(user) < 0)
		return 1;
	/* Another user's process has no such wish any more: so only now. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (host[0] == '/')
		connect_path(host, PROCESS_LINK);
	else
		look_up(host, PROCESS_LINK);
	return 0;
}
