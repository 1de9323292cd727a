/* SPDX-License-Identifier: MIT
 *
 * How many descriptors a test has, and may have.
 */
#ifndef PEAL_TEST_DESCRIPTORS_H
#define PEAL_TEST_DESCRIPTORS_H

#include <dirent.h>
#include <sys/resource.h>

static inline int
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* The soft limit; what it was. */
static inline rlim_t
limit_descriptors(rlim_t n)
{
	struct rlimit limit;
	rlim_t was;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	was = limit.rlim_cur;
	limit.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return was;
}

#endif
