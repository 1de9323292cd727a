/* SPDX-License-Identifier: MIT
 *
 * Query strings and percent-encoding.
 *
 * Runs in: workers.
 */
#include "worker/http.h"

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
http_decode(struct bytes in, bool plus, struct buf *out)
{
	size_t before = out->n;
	char *to;

	if (in.n == 0)
		return 0;
	to = buf_room(out, in.n);
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '%') {
			int high = in.n - i > 2 ? hex(in.p[i + 1]) : -1;
			int low = in.n - i > 2 ? hex(in.p[i + 2]) : -1;

			if (high < 0 || low < 0) {
				out->n = before;
				return -1;
			}
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		*to++ = c;
	}
	out->n = to - out->p;
	return 0;
}

bool
http_query_next(struct bytes query, size_t *pos, struct bytes *name,
    struct bytes *value)
{
	while (*pos < query.n) {
		struct bytes pair = bytes_skip(query, *pos);
		ptrdiff_t end = bytes_find(pair, '&'), equals;

		if (end >= 0)
			pair.n = end;
		*pos += pair.n + 1;
		if (pair.n == 0)
			continue;
		equals = bytes_find(pair, '=');
		*name = equals < 0 ? pair : bytes_of(pair.p, equals);
		*value = equals < 0 ? bytes_of(pair.p + pair.n, 0) :
		    bytes_skip(pair, equals + 1);
		return true;
	}
	return false;
}
