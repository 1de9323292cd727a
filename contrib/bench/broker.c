/* SPDX-License-Identifier: MIT
 *
 * A redis-server of our own.
 */
#include "broker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"

static struct sockaddr_in
loopback(unsigned port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((unsigned short)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* One that was free a moment ago. */
static unsigned
free_port(void)
{
	struct sockaddr_in a = loopback(0);
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		die("no free port");
	close(fd);
	return ntohs(a.sin_port);
}

static bool
answers(unsigned port)
{
	struct sockaddr_in a = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool up = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	close(fd);
	return up;
}

unsigned
broker_start(pid_t *pid)
{
	unsigned port = free_port();
	char text[16];
	int null;

	snprintf(text, sizeof(text), "%u", port);
	*pid = fork();
	if (*pid == 0) {
		null = open("/dev/null", O_RDWR);
		dup2(null, STDOUT_FILENO);
		execlp("redis-server", "redis-server", "--port", text,
		    "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		    "--dir", "/tmp", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; *pid > 0 && i < 500; i++) {
		if (answers(port))
			return port;
		if (waitpid(*pid, NULL, WNOHANG) == *pid)
			break;
		poll(NULL, 0, 10);
	}
	die("redis-server does not start");
}

void
broker_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
