/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/logfile.c: what our standard error is made to bear.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "master/logfile.h"

#define LINES	400

/* A supervisor that reads a socket, and looks elsewhere for a while. */
static void
test_slow_reader(void **state)
{
	static char got[LINES * 200];
	struct config config = { .peal.log_level = LOG_LEVEL_DEBUG };
	int ends[2], own = dup(STDERR_FILENO);
	size_t n = 0, lines = 0;
	ssize_t rc;
	char *why;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(dup2(ends[0], STDERR_FILENO), STDERR_FILENO);
	log_init("test");
	rc = logfile_use(&config, &why);
	for (int i = 0; i < LINES; i++)
		log_debug("it goes on i=%d", i);
	dup2(own, STDERR_FILENO);
	close(own);
	assert_int_equal(rc, 0);
	while ((rc = recv(ends[1], got + n, sizeof(got) - n,
	    MSG_DONTWAIT)) > 0)
		n += (size_t)rc;
	for (size_t i = 0; i < n; i++)
		lines += got[i] == '\n';
	assert_int_equal(lines, LINES);
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
