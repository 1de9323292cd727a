/* SPDX-License-Identifier: MIT
 *
 * What a shell cannot do by itself:
 *
 *	tool datagrams PATH	prints what arrives at a unix datagram socket
 *	tool stale PATH		leaves a unix socket that nobody answers on
 *	tool get PORT PATH	the status of GET PATH at 127.0.0.1:PORT
 *	tool get SOCKET PATH	the same at a unix socket
 *
 * Put in the place of peald, it is a binary that takes its time: as a preflight
 * it hangs if there is a file $PEAL_TEST_TOOL.hang, as the master it makes
 * $PEAL_TEST_TOOL.here and waits for $PEAL_TEST_TOOL.go; then it becomes
 * $PEAL_TEST_PEALD.
 *
 * Runs in: tests.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int
unix_bound(const char *path, int type)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	if (fd < 0 || strlen(path) >= sizeof(to.sun_path))
		return -1;
	strcpy(to.sun_path, path);
	return bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -1 : fd;
}

static int
datagrams(const char *path)
{
	int fd = unix_bound(path, SOCK_DGRAM);
	char text[4096];
	ssize_t n;

	if (fd < 0)
		return 1;
	while ((n = recv(fd, text, sizeof(text), 0)) >= 0) {
		printf("%.*s\n--\n", (int)n, text);
		fflush(stdout);
	}
	return 1;
}

static int
stale(const char *path)
{
	return unix_bound(path, SOCK_STREAM) < 0;
}

static int
dial(const char *where)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)atoi(where)) };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	int fd, r;

	if (where[0] == '/') {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		snprintf(local.sun_path, sizeof(local.sun_path), "%s", where);
		r = connect(fd, (struct sockaddr *)&local, sizeof(local));
	} else {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		r = connect(fd, (struct sockaddr *)&to, sizeof(to));
	}
	return r < 0 ? -1 : fd;
}

static int
get(const char *where, const char *path)
{
	char text[4096] = "";
	int fd = dial(where);
	unsigned status;
	ssize_t n;

	if (fd < 0)
		return 1;
	n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\n\r\n", path);
	if (write(fd, text, (size_t)n) != n ||
	    read(fd, text, sizeof(text) - 1) <= 0 ||
	    sscanf(text, "HTTP/1.1 %u", &status) != 1)
		return 1;
	printf("%u\n", status);
	return 0;
}

static const char *
beside(const char *what)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s.%s", getenv("PEAL_TEST_TOOL"), what);
	return path;
}

static int
take_time(char **argv)
{
	if (strcmp(argv[0], "peald: preflight") == 0) {
		while (access(beside("hang"), F_OK) == 0)
			usleep(10000);
	} else {
		fclose(fopen(beside("here"), "w"));
		while (access(beside("go"), F_OK) < 0)
			usleep(10000);
	}
	execv(getenv("PEAL_TEST_PEALD"), argv);
	return 1;
}

int
main(int argc, char **argv)
{
	if (strncmp(argv[0], "peald: ", 7) == 0)
		return take_time(argv);
	if (argc == 3 && strcmp(argv[1], "datagrams") == 0)
		return datagrams(argv[2]);
	if (argc == 3 && strcmp(argv[1], "stale") == 0)
		return stale(argv[2]);
	if (argc == 4 && strcmp(argv[1], "get") == 0)
		return get(argv[2], argv[3]);
	fputs("usage: tool datagrams PATH | stale PATH | get PORT PATH\n",
	    stderr);
	return 2;
}
