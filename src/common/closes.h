/* SPDX-License-Identifier: MIT
 *
 * Reasons for closing a connection, from tables/closes.def: what the client hears
 * of it, and whether it is one to worry about.
 *
 * Runs in: workers, which close; master, which counts.  Owns: nothing.
 */
#ifndef PEAL_CLOSES_H
#define PEAL_CLOSES_H

#include <stdbool.h>

enum close_reason {
#define CLOSE(name, wire, plain, is_error, words)	CLOSE_##name,
#include "tables/closes.def"
	CLOSE_REASONS
};

struct close_info {
	const char	*name;		/* "SLOW_READER" */
	unsigned	 wire;		/* close code of Pusher, or 0 */
	unsigned	 plain;		/* the same for plain WebSockets */
	bool		 is_error;
	const char	*words;		/* said along with the code */
};

extern const struct close_info close_info[CLOSE_REASONS];

#endif
