/* SPDX-License-Identifier: MIT
 *
 * The table of reasons for closing a connection, see closes.h.
 */
#include "common/closes.h"

const struct close_info close_info[CLOSE_REASONS] = {
#define CLOSE(name, wire, plain, is_error, words) \
	[CLOSE_##name] = { #name, wire, plain, is_error, words },
#include "tables/closes.def"
};
