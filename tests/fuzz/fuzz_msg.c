/* SPDX-License-Identifier: MIT
 *
 * Messages between processes: the input is a frame's body.  Whatever unpacks
 * must be within its bounds, and packed again read as the same message.
 */
#include "fuzz.h"

#include "common/counters.h"
#include "common/msg.h"
#include "common/util.h"

static struct bytes input;

static void
check_bytes(struct bytes b, size_t max)
{
	MUST(b.n <= max);
	MUST(b.n == 0 || (b.p >= input.p && b.p + b.n <= input.p + input.n));
}

static void
check_list(const struct msg_list *list, uint32_t max)
{
	MUST(list->n <= max);
	for (uint32_t i = 0; i < list->n; i++)
		check_bytes(msg_list_at(list, i), MSG_MAX);
}

#define MESSAGE(code, name, to)						\
static void								\
check_##name(const struct msg_##name *m)				\
{									\
	(void)m;
#define NUM(f)
#define BYTES_(f, max)	check_bytes(m->f, max);
#define LIST(f, max)	check_list(&m->f, max);
#define FD(f)		MUST(m->f == 5);
#define END		}
#include "tables/messages.def"

/* There, back and there again. */
#define MESSAGE(code, name, to)						\
static int								\
try_##name(struct unpacker *u, struct buf *frame)			\
{									\
	struct msg_##name m;						\
	const char *why = NULL;						\
									\
	if (msg_unpack_##name(u, &m, &why) < 0) {			\
		MUST(why != NULL);					\
		return -1;						\
	}								\
	MUST(u->left == 0);						\
	check_##name(&m);						\
	msg_pack_##name(frame, &m);					\
	return 0;							\
}
#define NUM(f)
#define BYTES_(f, max)
#define LIST(f, max)
#define FD(f)
#define END
#include "tables/messages.def"

static int (*const try[MSG_TYPES])(struct unpacker *, struct buf *) = {
#define MESSAGE(code, name, to)	[code] = try_##name,
#define NUM(f)
#define BYTES_(f, max)
#define LIST(f, max)
#define FD(f)
#define END
#include "tables/messages.def"
};

/* 0 and the message packed again, or -1. */
static int
pass(struct msg_reader *reader, struct bytes body, struct buf *frame)
{
	int fds[] = { 5, 6 };
	const char *why = NULL;
	struct unpacker u, copy;
	unsigned type;

	input = body;
	if (msg_read(reader, body, &type, &u, &why) < 0) {
		MUST(why != NULL);
		return -1;
	}
	MUST(type < MSG_TYPES && try[type] != NULL && msg_name(type) != NULL);
	u.fds = fds;
	u.n_fds = NELEM(fds);
	/* Each unpacker must stand every message. */
	for (unsigned i = 0; i < MSG_TYPES; i++) {
		copy = u;
		buf_clear(frame);
		if (i != type && try[i] != NULL && try[i](&copy, frame) < 0)
			MUST(copy.n_fds == u.n_fds && copy.left == u.left);
	}
	buf_clear(frame);
	return try[type](&u, frame);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct msg_reader *reader = msg_reader_new();
	struct buf one = { 0 }, two = { 0 };
	struct counters c;

	if (pass(reader, bytes_of(data, n), &one) == 0) {
		MUST(one.n > 4);
		MUST(pass(reader, bytes_skip(buf_view(&one), 4), &two) == 0);
		MUST(bytes_eq(buf_view(&one), buf_view(&two)));
	}
	if (counters_unpack(&c, bytes_of(data, n)) == 0) {
		struct counters back;

		buf_clear(&one);
		counters_pack(&c, &one);
		MUST(counters_unpack(&back, buf_view(&one)) == 0);
		MUST(memcmp(&c, &back, sizeof(c)) == 0);
	}
	buf_done(&one);
	buf_done(&two);
	msg_reader_free(reader);
	return 0;
}
