/* SPDX-License-Identifier: MIT
 *
 * Lines that strangers provoke: what is not written is in the number of one that
 * is, or of one to come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/notice.h"
#include "worker/worker.h"

#define A_SECOND	5
#define SECONDS		30
#define FLOOD		100	/* of each kind, each second */

static void
a_few_a_second(void **state)
{
	struct notice n = { 0 };
	unsigned lines = 0;

	(void)state;
	for (worker.now = 1; worker.now <= 2; worker.now++)
		for (unsigned i = 0; i < 9; i++)
			lines += notice_due(&n, 3);
	assert_int_equal(lines, 6);
	assert_int_equal(n.left_out, 12);
	notice_said(&n, true);
	assert_int_equal(n.left_out, 0);
}

/* Two kinds that are one to the log, which so leaves out lines itself. */
static uint64_t
flood(int fd)
{
	struct notice notices[2] = { { 0 }, { 0 } };

	log_to_fd(fd);
	for (worker.now = 1; worker.now <= SECONDS; worker.now++)
		for (unsigned i = 0; i < 2 * FLOOD; i++) {
			struct notice *n = &notices[i % 2];

			if (notice_due(n, A_SECOND))
				notice_said(n, log_info("refused left_out=%"
				    PRIu64, n->left_out));
		}
	log_to_fd(STDERR_FILENO);
	return notices[0].left_out + notices[1].left_out;
}

static void
no_number_is_lost(void **state)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	uint64_t told = flood(fd);
	unsigned lines = 0;
	char line[200];
	FILE *f = fdopen(fd, "r");

	(void)state;
	rewind(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		char *number = strstr(line, "refused left_out=");

		/* The log's own line about those repeats it in quotes. */
		if (number == NULL || strstr(line, "like=") != NULL)
			continue;
		lines++;
		told += strtoull(strchr(number, '=') + 1, NULL, 10);
	}
	fclose(f);
	assert_true(lines < 2 * A_SECOND * SECONDS);
	assert_int_equal(told + lines, 2 * FLOOD * SECONDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_few_a_second),
		cmocka_unit_test(no_number_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
