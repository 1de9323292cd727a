/* SPDX-License-Identifier: MIT
 *
 * A real redis-server, see broker.h.
 */
#include "broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"

#define PATIENCE_MS	20000

bool
broker_installed(void)
{
	return system("redis-server --version >/dev/null 2>&1") == 0;
}

static int
dial(const struct broker *b)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)b->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

static unsigned
free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	close(fd);
	return ntohs(at.sin_port);
}

void
broker_again(struct broker *b)
{
	char conf[128];
	pid_t parent = getpid();
	int fd, null;

	snprintf(conf, sizeof(conf), "%s/redis.conf", b->dir);
	fd = open(conf, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	dprintf(fd, "port %u\nbind 127.0.0.1\nunixsocket %s\ndir %s\n"
	    "save \"\"\nappendonly no\ndaemonize no\n%s\n", b->port, b->path,
	    b->dir, b->options);
	close(fd);
	if ((b->pid = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		execlp("redis-server", "redis-server", conf, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < PATIENCE_MS / 10; i++) {
		if ((fd = dial(b)) >= 0) {
			close(fd);
			return;
		}
		assert_int_equal(waitpid(b->pid, NULL, WNOHANG), 0);
		poll(NULL, 0, 10);
	}
	fail_msg("redis-server does not start");
}

void
broker_start(struct broker *b, const char *options)
{
	if (b->dir[0] == '\0') {
		strcpy(b->dir, "/tmp/peal-redis-XXXXXX");
		assert_non_null(mkdtemp(b->dir));
	}
	snprintf(b->path, sizeof(b->path), "%s/socket", b->dir);
	b->port = free_port();
	free(b->options);
	b->options = xstrdup(options);
	broker_again(b);
}

void
broker_signal(struct broker *b, int signal)
{
	assert_int_equal(kill(b->pid, signal), 0);
}

void
broker_kill(struct broker *b)
{
	if (b->pid <= 0)
		return;
	kill(b->pid, SIGKILL);
	waitpid(b->pid, NULL, 0);
	b->pid = 0;
}

void
broker_done(struct broker *b)
{
	char *command = xasprintf("rm -rf '%s'", b->dir);

	broker_kill(b);
	if (b->dir[0] != '\0')
		assert_int_equal(system(command), 0);
	free(command);
	free(b->options);
	*b = (struct broker){ 0 };
}

/* Inline commands, and QUIT, whose answer ends the connection. */
const char *
broker_says(struct broker *b, const char *command)
{
	static struct buf text;
	struct buf say = { 0 };
	int fd = dial(b);
	ssize_t n;

	assert_true(fd >= 0);
	buf_fmt(&say, "%s\r\nQUIT\r\n", command);
	assert_int_equal(send(fd, say.p, say.n, MSG_NOSIGNAL), say.n);
	buf_clear(&text);
	while ((n = recv(fd, buf_room(&text, 4096), 4096, 0)) > 0)
		text.n += (size_t)n;
	close(fd);
	buf_done(&say);
	return buf_cstr(&text);
}

const char *
broker_file(struct broker *b, const char *name)
{
	static char path[4][128];
	static unsigned next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", b->dir, name);
	return path[next];
}

static const char certificates[] =
    "cd '%s' || exit 1\n"
    "authority() {\n"
    "	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    "	    -keyout $1.key -out $1.crt -days 2 -subj /CN=$1 2>/dev/null\n"
    "}\n"
    "certify() {\n"	/* name, its alternative names, days */
    "	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    "	    -keyout $1.key -out $1.csr -subj /CN=$1 2>/dev/null &&\n"
    "	printf 'subjectAltName=%%s\\n' \"$2\" >$1.ext &&\n"
    "	openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key"
    "	    -CAcreateserial -out $1.crt -days $3 -extfile $1.ext 2>/dev/null\n"
    "}\n"
    "authority ca && authority other-ca &&\n"
    "certify server DNS:localhost,IP:127.0.0.1 2 &&\n"
    "certify named DNS:elsewhere.example 2 &&\n"
    "certify old DNS:localhost,IP:127.0.0.1 -1 &&\n"
    "certify client DNS:client 2\n";

void
broker_certify(struct broker *b)
{
	char *script;

	strcpy(b->dir, "/tmp/peal-redis-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	script = xasprintf(certificates, b->dir);
	assert_int_equal(system(script), 0);
	free(script);
}
