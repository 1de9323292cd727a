/* SPDX-License-Identifier: MIT
 *
 * permessage-deflate: the octets as a list of offers, as compressed data with
 * a limit, and as a message to compress.
 */
#include "fuzz.h"
#include "worker/deflate.h"

#define MAX	20000

static void
negotiate(struct bytes offers)
{
	static struct buf answer, again;
	unsigned bits;

	buf_clear(&answer);
	bits = deflate_negotiate(offers, &answer);
	MUST(bits == 0 || (bits >= 9 && bits <= 15));
	MUST((bits == 0) == (answer.n == 0));
	/* What we answer, we would take. */
	buf_clear(&again);
	MUST(deflate_negotiate(buf_view(&answer), &again) == bits);
	MUST(bytes_eq(buf_view(&answer), buf_view(&again)));
}

static void
inflate_twice(struct bytes in)
{
	static struct buf one, two;
	int first, second;

	buf_clear(&one);
	buf_clear(&two);
	first = inflate_message(in, MAX, &one);
	MUST(first == 0 || one.n == 0);
	MUST(one.n <= MAX);
	second = inflate_message(in, MAX, &two);
	MUST(first == second && bytes_eq(buf_view(&one), buf_view(&two)));
	if (first == 0 && one.n > 0)
		MUST(inflate_message(in, one.n - 1, &two) == -2);
}

static void
there_and_back(struct bytes in, unsigned bits)
{
	static struct buf packed, back;

	buf_clear(&packed);
	buf_clear(&back);
	deflate_message(in, bits, &packed);
	MUST(inflate_message(buf_view(&packed), in.n, &back) == 0);
	MUST(bytes_eq(in, buf_view(&back)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = bytes_of(p, n);

	negotiate(in);
	inflate_twice(in);
	there_and_back(in, 9 + (n > 0 ? p[0] % 7 : 0));
	return 0;
}
