/* SPDX-License-Identifier: MIT
 *
 * What a fuzz target is: takes any octets, returns 0, or the process dies.
 */
#ifndef PEAL_FUZZ_H
#define PEAL_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What must hold, whatever the input. */
#define MUST(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, \
		    __LINE__, #condition); \
		abort(); \
	} \
} while (0)

#endif
