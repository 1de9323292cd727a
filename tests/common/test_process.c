/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/process.c: children whose master says things in the wrong order
 * end with a word and a status.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/msg.h"
#include "common/process.h"
#include "courier/courier.h"
#include "router/router.h"
#include "worker/worker.h"

/* The child: its link and its words. */
static void
play(int (*role)(void), int link, int words)
{
	/* The words first: the link's number may be that of theirs. */
	if (dup2(words, STDERR_FILENO) < 0 || dup2(link, PROCESS_LINK) < 0)
		_exit(100);
	_exit(role());
}

/* Its exit status when the master has said no more than this. */
static int
status_of(int (*role)(void), struct bytes said, struct buf *words)
{
	int link[2], out[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, link), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(write(link[0], said.p, said.n), said.n);
	fflush(stdout);
	if ((pid = fork()) == 0)
		play(role, link[1], out[1]);
	assert_true(pid > 0);
	/* One that does not refuse it ends, too. */
	close(link[0]);
	close(link[1]);
	close(out[1]);
	while ((n = read(out[0], buf_room(words, 4096), 4096)) > 0)
		words->n += (size_t)n;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(out[0]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
refuses(int (*role)(void), struct buf *said, const char *why)
{
	struct buf words = { 0 };

	assert_int_equal(status_of(role, buf_view(said), &words), 1);
	assert_non_null(strstr(buf_cstr(&words), why));
	buf_done(&words);
	buf_done(said);
}

static void
go_before_settings(void **state)
{
	static int (*const roles[])(void) = { worker_main, router_main,
		courier_main };
	struct buf said = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		msg_pack_go(&said, &(struct msg_go){ .expect = 0 });
		refuses(roles[i], &said, "go came before the settings");
	}
}

static void
certificate_before_settings(void **state)
{
	struct buf said = { 0 };

	(void)state;
	msg_pack_certificate(&said, &(struct msg_certificate){ .section = 0 });
	refuses(worker_main, &said, "a certificate came before the settings");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(go_before_settings),
		cmocka_unit_test(certificate_before_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
