/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/listen.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/util.h"
#include "master/listen.h"

static char dir[] = "/tmp/peal-test-listen-XXXXXX";

/* A config of one [listen] section with these addresses. */
static struct config_listen section;
static struct config config = { .listen = &section, .n_listen = 1 };

static int
open_these(struct listen *all, unsigned workers, char **list, size_t n,
    char **why)
{
	section = (struct config_listen){ .address = { list, n },
		.unix_mode = (char *)(uintptr_t)"0600", .backlog = 16 };
	return listen_open(all, &config, workers, (uid_t)-1, (gid_t)-1, why);
}

static int
open_one(struct listen *all, unsigned workers, char *address, char **why)
{
	return open_these(all, workers, &address, 1, why);
}

static unsigned
port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t n = sizeof(at);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	return ntohs(at.sin_port);
}

static bool
connects(unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), r;

	r = connect(fd, (struct sockaddr *)&to, sizeof(to));
	close(fd);
	return r == 0;
}

static void
test_parse(void **state)
{
	static const struct {
		const char *text, *host, *port, *path;
	} good[] = {
		{ "127.0.0.1:80", "127.0.0.1", "80", NULL },
		{ "[::1]:8080", "::1", "8080", NULL },
		{ ":0", "", "0", NULL },
		{ "localhost:65535", "localhost", "65535", NULL },
		{ "[]:1", "", "1", NULL },
		{ "unix:/run/x y:z", NULL, NULL, "/run/x y:z" },
	};
	static const char *const bad[] = {
		"", "8080", "host", "host:", "host:65536", "host:-1", "h:8x",
		"::1:8080", "unix:", "unix:relative", "[::1]8080",
	};
	struct listen_name name;
	const char *why;
	char longer[200];

	(void)state;
	for (size_t i = 0; i < NELEM(good); i++) {
		assert_int_equal(listen_parse(good[i].text, &name, &why), 0);
		assert_int_equal(name.local, good[i].path != NULL);
		if (good[i].path != NULL) {
			assert_string_equal(name.path, good[i].path);
			continue;
		}
		assert_string_equal(name.host, good[i].host);
		assert_string_equal(name.port, good[i].port);
	}
	for (size_t i = 0; i < NELEM(bad); i++) {
		why = NULL;
		assert_int_equal(listen_parse(bad[i], &name, &why), -1);
		assert_non_null(why);
	}
	snprintf(longer, sizeof(longer), "unix:/%0120d", 0);
	assert_int_equal(listen_parse(longer, &name, &why), -1);
}

/* Every worker has a socket of its own on the same port, and each works. */
static void
test_group(void **state)
{
	char address[] = "127.0.0.1:0", expected[64];
	struct listen all;
	unsigned port;
	char *why;

	(void)state;
	assert_int_equal(open_one(&all, 3, address, &why), 0);
	assert_int_equal(all.n, 1);
	assert_int_equal(all.at[0].n_fd, 3);
	assert_false(all.at[0].local);
	port = port_of(listen_fd(&all.at[0], 0, 0));
	assert_int_not_equal(port, 0);
	for (unsigned i = 1; i < 3; i++) {
		assert_int_equal(port_of(listen_fd(&all.at[0], i, 0)), port);
		assert_int_not_equal(listen_fd(&all.at[0], i, 0),
		    listen_fd(&all.at[0], i - 1, 0));
	}
	snprintf(expected, sizeof(expected), "127.0.0.1:%u", port);
	assert_string_equal(all.at[0].text, expected);
	assert_true(connects(port));
	for (unsigned i = 0; i < 3; i++)
		assert_true(fcntl(listen_fd(&all.at[0], i, 0), F_GETFD) &
		    FD_CLOEXEC);
	listen_close(&all);
	assert_false(connects(port));
}

/* A second instance is an error and not half of the clients. */
static void
test_second(void **state)
{
	char address[] = "127.0.0.1:0";
	struct listen first, second;
	char *why = NULL;

	(void)state;
	assert_int_equal(open_one(&first, 2, address, &why), 0);
	assert_int_equal(open_one(&second, 2, first.at[0].text, &why), -1);
	assert_non_null(strstr(why, first.at[0].text));
	assert_non_null(strstr(why, "already in use"));
	assert_int_equal(second.n, 0);
	free(why);
	listen_close(&first);
}

static void
test_twice_in_the_settings(void **state)
{
	char address[] = "127.0.0.1:0", *list[2];
	struct listen first, both;
	char *why = NULL;

	(void)state;
	assert_int_equal(open_one(&first, 1, address, &why), 0);
	list[0] = list[1] = xstrdup(first.at[0].text);
	listen_close(&first);
	assert_int_equal(open_these(&both, 1, list, 2, &why), -1);
	assert_non_null(strstr(why, "twice"));
	/* Nothing stays behind. */
	assert_false(connects((unsigned)atoi(strchr(list[0], ':') + 1)));
	free(why);
	free(list[0]);
}

static void
test_unknown(void **state)
{
	char foreign[] = "192.0.2.1:0", nowhere[] = "no.such.host.invalid:0";
	struct listen all;
	char *why = NULL;

	(void)state;
	assert_int_equal(open_one(&all, 1, foreign, &why), -1);
	assert_non_null(strstr(why, "does not have that address"));
	free(why);
	assert_int_equal(open_one(&all, 1, nowhere, &why), -1);
	assert_non_null(strstr(why, "no.such.host.invalid"));
	free(why);
}

/* IPv4 and, where there is IPv6, that too: on the same port. */
static void
test_all_addresses(void **state)
{
	char address[] = ":0";
	struct listen all;
	char *why = NULL;

	(void)state;
	assert_int_equal(open_one(&all, 1, address, &why), 0);
	assert_in_range(all.n, 1, 2);
	if (all.n == 2)
		assert_string_equal(strrchr(all.at[0].text, ':'),
		    strrchr(all.at[1].text, ':'));
	listen_close(&all);
}

/* ---- unix sockets -------------------------------------------------------- */

static void
test_unix(void **state)
{
	char *address = xasprintf("unix:%s/a.sock", dir), *path = address + 5;
	struct listen all;
	struct stat st;
	char *why = NULL;

	(void)state;
	assert_int_equal(open_one(&all, 3, address, &why), 0);
	assert_int_equal(all.at[0].n_fd, 1);
	assert_true(all.at[0].local);
	assert_int_equal(listen_fd(&all.at[0], 0, 0), listen_fd(&all.at[0], 2, 0));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	listen_close(&all);
	assert_int_equal(stat(path, &st), -1);
	free(address);
}

/* Who has a copy goes on being reached; the file stays for so long. */
static void
test_let_go(void **state)
{
	char *list[] = { xasprintf("unix:%s/g.sock", dir),
		xstrdup("127.0.0.1:0") };
	const char *path = list[0] + 5;
	struct listen all;
	unsigned port;
	char *why;
	int copy;

	(void)state;
	assert_int_equal(open_these(&all, 2, list, 2, &why), 0);
	port = port_of(listen_fd(&all.at[1], 1, 0));
	copy = dup(listen_fd(&all.at[1], 1, 0));
	listen_let_go(&all);
	assert_int_equal(listen_fd(&all.at[0], 0, 0), -1);
	assert_true(connects(port));
	assert_int_equal(access(path, F_OK), 0);
	close(copy);
	assert_false(connects(port));
	listen_close(&all);
	assert_int_equal(access(path, F_OK), -1);
	listen_close(&all);
	free(list[0]);
	free(list[1]);
}

static void
test_unix_stale(void **state)
{
	char *address = xasprintf("unix:%s/b.sock", dir), *path = address + 5;
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct listen all;
	char *why = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	/* Left by somebody who died. */
	strcpy(to.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(open_one(&all, 1, address, &why), 0);
	listen_close(&all);
	free(address);
}

static void
test_unix_alive(void **state)
{
	char *address = xasprintf("unix:%s/c.sock", dir);
	struct listen first, second;
	char *why = NULL;

	(void)state;
	assert_int_equal(open_one(&first, 1, address, &why), 0);
	assert_int_equal(open_one(&second, 1, address, &why), -1);
	assert_non_null(strstr(why, "already in use"));
	/* The other's socket is left alone. */
	assert_int_equal(access(address + 5, F_OK), 0);
	free(why);
	listen_close(&first);
	free(address);
}

/* What speaks another protocol is no stale socket of ours. */
static void
test_unix_other(void **state)
{
	char *address = xasprintf("unix:%s/o.sock", dir), *path = address + 5;
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct listen all;
	char *why = NULL;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)state;
	strcpy(to.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(open_one(&all, 1, address, &why), -1);
	assert_non_null(strstr(why, "another program"));
	assert_int_equal(access(path, F_OK), 0);
	free(why);
	close(fd);
	/* Its owner has died. */
	assert_int_equal(open_one(&all, 1, address, &why), 0);
	listen_close(&all);
	free(address);
}

static void
test_unix_file(void **state)
{
	char *address = xasprintf("unix:%s/file", dir), *path = address + 5;
	struct listen all;
	char *why = NULL;

	(void)state;
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(open_one(&all, 1, address, &why), -1);
	assert_non_null(strstr(why, "no socket"));
	assert_int_equal(unlink(path), 0);
	free(why);
	free(address);
}

static void
test_unix_mode(void **state)
{
	char *address = xasprintf("unix:%s/d.sock", dir);
	static const char *const bad[] = { "", "8", "rw", "1777", "-1" };
	struct listen all;
	char *why = NULL;

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		section = (struct config_listen){ .address = { &address, 1 },
			.unix_mode = (char *)(uintptr_t)bad[i], .backlog = 1 };
		assert_int_equal(listen_open(&all, &config, 1, (uid_t)-1,
		    (gid_t)-1, &why), -1);
		assert_non_null(strstr(why, "octal"));
		free(why);
	}
	free(address);
}

/* ---- changes ------------------------------------------------------------- */

#define CROWD	1200

static int crowd[CROWD];

static int
change_to(struct listen *then, const struct listen *now, unsigned workers,
    char *address, char **why)
{
	section.address = (struct config_strings){ &address, 1 };
	return listen_change(then, now, &config, workers, (uid_t)-1,
	    (gid_t)-1, why);
}

/* The number of workers changes, and nothing else. */
static void
resize(struct listen *all, unsigned workers)
{
	struct listen then, gone;
	char *why = NULL, *asked = xstrdup(all->at[0].asked);

	assert_int_equal(change_to(&then, all, workers, asked, &why), 0);
	listen_commit(all, &then, &gone, &config);
	assert_int_equal(gone.n, 0);
	assert_int_equal(then.n, 0);
	listen_close(&gone);
	free(asked);
}

static int
dial(unsigned port, int flags)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static void
crowd_connects(unsigned port, unsigned from, unsigned to)
{
	for (; from < to; from++) {
		crowd[from] = dial(port, 0);
		assert_int_equal(send(crowd[from], "x", 1, 0), 1);
	}
}

static void
crowd_leaves(unsigned from, unsigned to)
{
	for (; from < to; from++)
		close(crowd[from]);
}

/* Accepts all that waits at a socket; each can be heard. */
static unsigned
take_all(int listener)
{
	unsigned n = 0;
	char c;
	int fd;

	for (; (fd = accept(listener, NULL, NULL)) >= 0; n++) {
		assert_int_equal(recv(fd, &c, 1, 0), 1);
		close(fd);
	}
	assert_int_equal(errno, EAGAIN);
	return n;
}

/* What waits at the sockets of one worker. */
static unsigned
take_of(const struct listen *all, unsigned worker)
{
	unsigned n = 0;
	int fd;

	for (unsigned k = 0; (fd = listen_fd(&all->at[0], worker, k)) >= 0;
	    k++)
		n += take_all(fd);
	return n;
}

static void
open_wide(struct listen *all, unsigned workers)
{
	char address[] = "127.0.0.1:0", *list = address, *why = NULL;

	section = (struct config_listen){ .address = { &list, 1 },
		.unix_mode = (char *)(uintptr_t)"0600", .backlog = 4096 };
	assert_int_equal(listen_open(all, &config, workers, (uid_t)-1,
	    (gid_t)-1, &why), 0);
}

static void
test_nothing_changes(void **state)
{
	struct listen all;
	int fd[2];

	(void)state;
	open_wide(&all, 2);
	fd[0] = all.at[0].fd[0];
	fd[1] = all.at[0].fd[1];
	resize(&all, 2);
	assert_int_equal(all.n, 1);
	assert_int_equal(all.at[0].n_fd, 2);
	assert_memory_equal(all.at[0].fd, fd, sizeof(fd));
	listen_close(&all);
}

/* Sockets of workers that do not come: nobody may have landed there. */
static void
test_undo(void **state)
{
	struct listen all, then;
	char address[] = "127.0.0.1:0", *why = NULL;
	unsigned port;
	int extra;

	(void)state;
	open_wide(&all, 2);
	port = port_of(all.at[0].fd[0]);
	assert_int_equal(change_to(&then, &all, 4, address, &why), 0);
	assert_int_equal(then.at[0].n_fd, 4);
	assert_memory_equal(then.at[0].fd, all.at[0].fd, 2 * sizeof(int));
	extra = then.at[0].fd[3];
	assert_int_equal(port_of(extra), port);
	crowd_connects(port, 0, 200);
	listen_undo(&then);
	assert_int_equal(fcntl(extra, F_GETFD), -1);
	assert_int_equal(all.at[0].workers, 2);
	crowd_connects(port, 200, 400);
	assert_int_equal(take_of(&all, 0) + take_of(&all, 1), 400);
	crowd_leaves(0, 400);
	listen_close(&all);
}

/* A share of n that is no accident of an even spread: seven sigma. */
static void
assert_share(unsigned got, unsigned n, unsigned workers)
{
	unsigned mean = n / workers;

	assert_in_range(got, mean - mean / 3, mean + mean / 3);
}

/* From four workers to two and back, while clients wait in all queues. */
static void
test_fewer_and_more(void **state)
{
	struct listen all;
	unsigned port, n;

	(void)state;
	open_wide(&all, 4);
	port = port_of(all.at[0].fd[0]);
	crowd_connects(port, 0, 400);
	resize(&all, 2);
	assert_int_equal(all.at[0].n_fd, 4);
	/* Two workers find all who waited at four sockets. */
	n = take_of(&all, 0);
	assert_int_equal(n + take_of(&all, 1), 400);
	crowd_leaves(0, 400);
	/* The surplus sockets get no more, and the two get the same. */
	crowd_connects(port, 0, CROWD);
	assert_int_equal(take_all(all.at[0].fd[2]), 0);
	assert_int_equal(take_all(all.at[0].fd[3]), 0);
	n = take_all(all.at[0].fd[0]);
	assert_share(n, CROWD, 2);
	assert_int_equal(n + take_all(all.at[0].fd[1]), CROWD);
	crowd_leaves(0, CROWD);
	/* Nothing that waits is lost on the way back, either. */
	crowd_connects(port, 0, 200);
	resize(&all, 4);
	crowd_connects(port, 200, CROWD);
	for (unsigned i = n = 0; i < 4; i++) {
		unsigned got = take_of(&all, i);

		assert_in_range(got, 100, 600);
		n += got;
	}
	assert_int_equal(n, CROWD);
	crowd_leaves(0, CROWD);
	/* More than there ever were. */
	resize(&all, 6);
	crowd_connects(port, 0, CROWD);
	for (unsigned i = 0; i < 6; i++)
		assert_share(take_of(&all, i), CROWD, 6);
	crowd_leaves(0, CROWD);
	listen_close(&all);
}

static void
test_three_of_four(void **state)
{
	struct listen all;

	(void)state;
	open_wide(&all, 4);
	resize(&all, 3);
	assert_int_equal(listen_fd(&all.at[0], 0, 1), all.at[0].fd[3]);
	assert_int_equal(listen_fd(&all.at[0], 1, 1), -1);
	crowd_connects(port_of(all.at[0].fd[0]), 0, CROWD);
	for (unsigned i = 0; i < 3; i++)
		assert_share(take_of(&all, i), CROWD, 3);
	crowd_leaves(0, CROWD);
	listen_close(&all);
}

/* An address that leaves: who waits is served, who comes is not begun with, and
 * is refused when the last copy is closed. */
static void
test_removed(void **state)
{
	struct listen all, then, gone;
	char other[] = "127.0.0.1:0", *why = NULL;
	struct pollfd late = { .events = POLLOUT };
	char *first;
	unsigned port;

	(void)state;
	open_wide(&all, 2);
	port = port_of(all.at[0].fd[0]);
	/* In the settings it is another line now. */
	first = all.at[0].asked;
	all.at[0].asked = xstrdup("127.0.0.1:1");
	free(first);
	crowd_connects(port, 0, 100);
	assert_int_equal(change_to(&then, &all, 2, other, &why), 0);
	listen_commit(&all, &then, &gone, &config);
	assert_int_equal(gone.n, 1);
	assert_int_not_equal(port_of(all.at[0].fd[0]), port);
	late.fd = dial(port, SOCK_NONBLOCK);
	assert_int_equal(poll(&late, 1, 100), 0);
	assert_int_equal(take_of(&gone, 0) + take_of(&gone, 1), 100);
	listen_close(&gone);
	assert_false(connects(port));
	/* Its next attempt is refused. */
	assert_int_equal(poll(&late, 1, 10000), 1);
	assert_true(late.revents & POLLERR);
	close(late.fd);
	crowd_leaves(0, 100);
	listen_close(&all);
}

/* Our own old socket is no stranger on the port. */
static void
test_wider(void **state)
{
	struct listen all, then, gone;
	char *wide, *why = NULL;
	unsigned port;

	(void)state;
	open_wide(&all, 2);
	port = port_of(all.at[0].fd[0]);
	wide = xasprintf("0.0.0.0:%u", port);
	assert_int_equal(change_to(&then, &all, 2, wide, &why), 0);
	listen_commit(&all, &then, &gone, &config);
	assert_int_equal(gone.n, 1);
	listen_close(&gone);
	assert_true(connects(port));
	/* A stranger is one. */
	free(wide);
	listen_close(&all);
	open_wide(&gone, 1);
	open_wide(&all, 1);
	assert_int_equal(change_to(&then, &all, 1, gone.at[0].text, &why), -1);
	assert_non_null(strstr(why, "already in use"));
	assert_int_equal(then.n, 0);
	free(why);
	listen_close(&gone);
	listen_close(&all);
}

/* The same address may stand in another place, or be written another way. */
static void
test_moved(void **state)
{
	struct config_listen many[3];
	struct config c = { .listen = many, .n_listen = 3 };
	char any[] = "127.0.0.1:0", other[] = "127.0.0.1:0", *fixed;
	char *lists[3] = { other, NULL, any }, *why = NULL;
	struct listen all, then, gone;
	int fd;

	(void)state;
	open_wide(&all, 1);
	fd = all.at[0].fd[0];
	for (unsigned i = 0; i < 3; i++) {
		many[i] = section;
		many[i].address = (struct config_strings){ &lists[i], 1 };
	}
	/* Behind two new sections. */
	many[0].label = (char *)(uintptr_t)"new";
	c.listen[1].address.n = 0;
	assert_int_equal(listen_change(&then, &all, &c, 1, (uid_t)-1,
	    (gid_t)-1, &why), 0);
	listen_commit(&all, &then, &gone, &c);
	assert_int_equal(gone.n, 0);
	assert_int_equal(all.n, 2);
	assert_int_equal(all.at[1].fd[0], fd);
	assert_int_equal(all.at[1].section, 2);
	assert_int_not_equal(all.at[0].fd[0], fd);
	listen_close(&gone);
	/* With its port's number, in another section; the rest is gone. */
	lists[0] = fixed = xstrdup(all.at[1].text);
	c.n_listen = 1;
	assert_int_equal(listen_change(&then, &all, &c, 1, (uid_t)-1,
	    (gid_t)-1, &why), 0);
	listen_commit(&all, &then, &gone, &c);
	assert_int_equal(all.n, 1);
	assert_int_equal(gone.n, 1);
	assert_int_equal(all.at[0].fd[0], fd);
	assert_int_equal(all.at[0].section, 0);
	listen_close(&gone);
	/* Twice is one too many, also for what is kept. */
	lists[1] = fixed;
	c.n_listen = 2;
	c.listen[1].address.n = 1;
	assert_int_equal(listen_change(&then, &all, &c, 1, (uid_t)-1,
	    (gid_t)-1, &why), -1);
	assert_non_null(strstr(why, "twice"));
	free(why);
	free(fixed);
	listen_close(&all);
}

/* A name that is several addresses is kept as a whole, also twice. */
static void
test_name_is_kept(void **state)
{
	char address[] = ":0", *list[2] = { address, address }, *why = NULL;
	struct listen all, then, gone;
	int fd[4];

	(void)state;
	assert_int_equal(open_these(&all, 1, list, 2, &why), 0);
	assert_in_range(all.n, 2, 4);
	for (size_t i = 0; i < all.n; i++)
		fd[i] = all.at[i].fd[0];
	assert_int_equal(listen_change(&then, &all, &config, 1, (uid_t)-1,
	    (gid_t)-1, &why), 0);
	listen_commit(&all, &then, &gone, &config);
	assert_int_equal(gone.n, 0);
	for (size_t i = 0; i < all.n; i++)
		assert_int_equal(fd[i], all.at[i].fd[0]);
	listen_close(&gone);
	/* One of the two lines is gone. */
	assert_int_equal(change_to(&then, &all, 1, address, &why), 0);
	listen_commit(&all, &then, &gone, &config);
	assert_int_equal(gone.n, all.n);
	assert_int_equal(fd[0], all.at[0].fd[0]);
	listen_close(&gone);
	listen_close(&all);
}

/* What fails leaves nothing behind and takes nothing away. */
static void
test_change_fails(void **state)
{
	char *path = xasprintf("unix:%s/f.sock", dir), *why = NULL;
	char any[] = "127.0.0.1:0", foreign[] = "192.0.2.1:0";
	char *list[] = { any, path, foreign };
	struct listen all, then;

	(void)state;
	open_wide(&all, 2);
	section.address = (struct config_strings){ list, 3 };
	assert_int_equal(listen_change(&then, &all, &config, 3, (uid_t)-1,
	    (gid_t)-1, &why), -1);
	assert_non_null(strstr(why, "does not have that address"));
	assert_int_equal(then.n, 0);
	assert_int_equal(access(path + 5, F_OK), -1);
	assert_int_equal(all.at[0].n_fd, 2);
	assert_true(connects(port_of(all.at[0].fd[0])));
	free(why);
	free(path);
	listen_close(&all);
}

static int
dial_path(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(to.sun_path, path);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
test_unix_stays_and_goes(void **state)
{
	char *address = xasprintf("unix:%s/k.sock", dir), *path = address + 5;
	char any[] = "127.0.0.1:0", *why = NULL;
	struct listen all, then, gone;
	struct stat st;
	int fd, waits;

	(void)state;
	assert_int_equal(open_one(&all, 1, address, &why), 0);
	fd = all.at[0].fd[0];
	waits = dial_path(path);
	section.unix_mode = (char *)(uintptr_t)"0640";
	assert_int_equal(change_to(&then, &all, 3, address, &why), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	listen_commit(&all, &then, &gone, &config);
	assert_int_equal(gone.n, 0);
	listen_close(&gone);
	assert_int_equal(all.at[0].n_fd, 1);
	assert_int_equal(all.at[0].workers, 3);
	assert_int_equal(listen_fd(&all.at[0], 2, 0), fd);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	/* Undone, the file stays. */
	assert_int_equal(change_to(&then, &all, 3, address, &why), 0);
	listen_undo(&then);
	assert_int_equal(access(path, F_OK), 0);
	/* It goes, and who waited is served. */
	assert_int_equal(change_to(&then, &all, 3, any, &why), 0);
	listen_commit(&all, &then, &gone, &config);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(dial_path(path), -1);
	assert_int_equal(send(waits, "x", 1, 0), 1);
	assert_int_equal(take_all(fd), 1);
	listen_close(&gone);
	close(waits);
	listen_close(&all);
	free(address);
}

static int
directory_make(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
directory_remove(void **state)
{
	(void)state;
	return rmdir(dir);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_second),
		cmocka_unit_test(test_twice_in_the_settings),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_all_addresses),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_let_go),
		cmocka_unit_test(test_unix_stale),
		cmocka_unit_test(test_unix_alive),
		cmocka_unit_test(test_unix_other),
		cmocka_unit_test(test_unix_file),
		cmocka_unit_test(test_unix_mode),
		cmocka_unit_test(test_nothing_changes),
		cmocka_unit_test(test_undo),
		cmocka_unit_test(test_fewer_and_more),
		cmocka_unit_test(test_three_of_four),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_wider),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_name_is_kept),
		cmocka_unit_test(test_change_fails),
		cmocka_unit_test(test_unix_stays_and_goes),
	};

	return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
