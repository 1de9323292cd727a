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
#include <fcntl.h>
#include <netinet/in.h>
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
		cmocka_unit_test(test_unix_stale),
		cmocka_unit_test(test_unix_alive),
		cmocka_unit_test(test_unix_other),
		cmocka_unit_test(test_unix_file),
		cmocka_unit_test(test_unix_mode),
	};

	return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
