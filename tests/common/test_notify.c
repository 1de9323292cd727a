/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/notify.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/notify.h"

/* A socket in the abstract namespace; name gets its "@..." form. */
static int
listen_here(char name[64])
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	snprintf(name, 64, "@peal-test-notify-%d", (int)getpid());
	memcpy(to.sun_path + 1, name + 1, strlen(name) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(name))), 0);
	return fd;
}

static const char *
received(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* notify_init() is once per process. */
static void
in_child(void (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
speak(void)
{
	notify_init();
	if (notify_watchdog_ms() != 15000)
		_exit(1);
	notify_send("READY=1\nSTATUS=%d workers", 3);
	notify_reloading();
	notify_send("%02000d", 0);
}

static void
test_speaks(void **state)
{
	char name[64];
	int fd = listen_here(name);

	(void)state;
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	unsetenv("WATCHDOG_PID");
	in_child(speak);
	assert_string_equal(received(fd), "READY=1\nSTATUS=3 workers");
	assert_memory_equal(received(fd), "RELOADING=1\nMONOTONIC_USEC=", 27);
	assert_int_equal(strlen(received(fd)), 1023);
	close(fd);
}

static void
watchdog_of_another(void)
{
	notify_init();
	if (notify_watchdog_ms() != 0)
		_exit(1);
}

static void
test_watchdog_of_another(void **state)
{
	char name[64];
	int fd = listen_here(name);

	(void)state;
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	in_child(watchdog_of_another);
	close(fd);
}

static void
quiet(void)
{
	notify_init();
	notify_send("READY=1");
	if (notify_watchdog_ms() != 0)
		_exit(1);
}

static void
test_nobody(void **state)
{
	static const char *const names[] = { NULL, "", "@", "relative",
		"/nonexistent/socket" };
	char longer[300];

	(void)state;
	unsetenv("WATCHDOG_USEC");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i] != NULL)
			setenv("NOTIFY_SOCKET", names[i], 1);
		else
			unsetenv("NOTIFY_SOCKET");
		in_child(quiet);
	}
	snprintf(longer, sizeof(longer), "/%0250d", 0);
	setenv("NOTIFY_SOCKET", longer, 1);
	in_child(quiet);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_speaks),
		cmocka_unit_test(test_watchdog_of_another),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
