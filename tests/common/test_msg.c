/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/msg.c: every message there and back, made from the table
 * itself, and what another process must not get away with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/packed.h"
#include "common/util.h"

static struct msg_reader *reader;
static struct buf frame;
static const char *why;

static int
set_up(void **state)
{
	(void)state;
	reader = msg_reader_new();
	buf_clear(&frame);
	why = NULL;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	msg_reader_free(reader);
	buf_done(&frame);
	return 0;
}

static struct bytes
body(void)
{
	return bytes_skip(buf_view(&frame), 4);
}

/* The one frame in the buf must say how long it is. */
static void
check_frame(void)
{
	const unsigned char *p = (unsigned char *)frame.p;

	assert_true(frame.n > 4);
	assert_int_equal(frame.n - 4, (uint32_t)p[0] << 24 | p[1] << 16 |
	    p[2] << 8 | p[3]);
}

/* ---- every message there and back --------------------------------------- */

static const struct bytes strings[] = {
	BYTES("one"), BYTES(""), BYTES("th\0ree"),
};
static uint64_t next_number;
static int descriptors[] = { 71, 72, 73 };

static uint64_t
some_number(void)
{
	/* Of every size, up to the largest. */
	return UINT64_MAX >> (next_number++ * 7 % 64);
}

static void
check_list(const struct msg_list *list)
{
	assert_int_equal(list->n, NELEM(strings));
	for (uint32_t i = 0; i < list->n; i++)
		assert_true(bytes_eq(msg_list_at(list, i), strings[i]));
}

#define MESSAGE(code, name, to)						\
static void								\
fill_##name(struct msg_##name *m)					\
{									\
	*m = (struct msg_##name){ .end_ = { 0 } };
#define NUM(f)		m->f = some_number();
#define BYTES_(f, max)	m->f = B(#f "\0" #max);
#define LIST(f, max) \
	m->f##_out = (struct msg_strings){ strings, NELEM(strings) };
#define FD(f)		m->f = -1;
#define END		}
#include "tables/messages.def"

#define MESSAGE(code, name, to)						\
static void								\
check_##name(const struct msg_##name *in, const struct msg_##name *out)	\
{									\
	(void)in, (void)out;
#define NUM(f)		assert_true(in->f == out->f);
#define BYTES_(f, max)	assert_true(bytes_eq(in->f, out->f));
#define LIST(f, max)	check_list(&out->f);
#define FD(f)		assert_int_equal(out->f, descriptors[0]);
#define END		}
#include "tables/messages.def"

/* Whole, as a newer and an older release send it, cut everywhere, and each octet changed;
 * what unpacks at all must leave a good unpacker behind. */
#define MESSAGE(code, name, to)						\
static bool								\
try_##name(struct bytes text)						\
{									\
	struct msg_##name m;						\
	struct unpacker u;						\
	unsigned type;							\
									\
	if (msg_read(reader, text, &type, &u, &why) < 0)		\
		return false;						\
	u.fds = descriptors;						\
	u.n_fds = NELEM(descriptors);					\
	if (type != (code) || msg_unpack_##name(&u, &m, &why) < 0)	\
		return false;						\
	assert_int_equal(u.left, 0);					\
	return true;							\
}									\
									\
static void								\
test_##name(void **state)						\
{									\
	struct msg_##name in, out;					\
	struct unpacker u;						\
	unsigned type;							\
									\
	(void)state;							\
	fill_##name(&in);						\
	msg_pack_##name(&frame, &in);					\
	check_frame();							\
	assert_int_equal(msg_read(reader, body(), &type, &u, &why), 0);	\
	u.fds = descriptors;						\
	u.n_fds = NELEM(descriptors);					\
	assert_int_equal(type, code);					\
	assert_string_equal(msg_name(type), #name);			\
	assert_int_equal(msg_unpack_##name(&u, &out, &why), 0);		\
	check_##name(&in, &out);					\
	/* As received, it can be passed on. */				\
	struct buf again = { 0 };					\
	msg_pack_##name(&again, &out);					\
	assert_true(bytes_eq(buf_view(&again), buf_view(&frame)));	\
	buf_done(&again);						\
	damage(try_##name, code);					\
}
#define NUM(f)
#define BYTES_(f, max)
#define LIST(f, max)
#define FD(f)
#define END

static void
damage(bool (*try)(struct bytes), unsigned code)
{
	struct bytes all = body();
	char *p = (char *)(uintptr_t)all.p;

	assert_true(try(all));
	for (size_t n = 0; n < all.n; n++) {
		char *copy = xmalloc(n + 1);

		memcpy(copy, all.p, n);
		assert_false(try(bytes_of(copy, n)));
		free(copy);
	}
	for (size_t i = 0; i < all.n; i++) {
		char old = p[i];

		for (unsigned c = 0; c < 256; c++) {
			p[i] = (char)c;
			try(all);
		}
		p[i] = old;
	}
	/* Something behind, and the same as a field of a newer release. */
	buf_char(&frame, 1);
	assert_false(try(body()));
	if ((unsigned char)frame.p[4] < 0x9f) {
		frame.p[4]++;
		assert_true(try(body()));
	}
	/* Of an older one that knew no field at all yet. */
	buf_clear(&frame);
	buf_add(&frame, "\0\0\0\3\x91\xcc", 6);
	buf_char(&frame, (char)code);
	assert_true(try(body()));
}

#include "tables/messages.def"

/* ---- limits ------------------------------------------------------------- */

static void
test_names(void **state)
{
	(void)state;
	assert_null(msg_name(0));
	assert_null(msg_name(49));
	assert_null(msg_name(MSG_TYPES));
	assert_null(msg_name(UINT32_MAX));
	assert_string_equal(msg_name(MSG_publish), "publish");
}

static void
test_pack_limits(void **state)
{
	char many[1025];
	struct msg_leave m = { .app = B("1"), .n = 1 };

	(void)state;
	memset(many, 'x', sizeof(many));
	m.channel = bytes_of(many, 1024);
	buf_str(&frame, "before");
	msg_pack_leave(&frame, &m);
	assert_true(frame.n > 6 + 1024);
	/* Too long: nothing is sent, what stood before stays. */
	frame.n = 6;
	m.channel = bytes_of(many, 1025);
	msg_pack_leave(&frame, &m);
	assert_int_equal(frame.n, 6);
	assert_memory_equal(frame.p, "before", 6);
}

static void
test_pack_list_limit(void **state)
{
	struct bytes *many = xcalloc(10001, sizeof(*many));
	struct msg_signin m = { .app = B("1"), .user = B("u") }, out;
	struct unpacker u;
	unsigned type;

	(void)state;
	m.watch_out = (struct msg_strings){ many, 10001 };
	msg_pack_signin(&frame, &m);
	assert_int_equal(frame.n, 0);
	m.watch_out.n = 10000;
	msg_pack_signin(&frame, &m);
	check_frame();
	assert_int_equal(msg_read(reader, body(), &type, &u, &why), 0);
	assert_int_equal(msg_unpack_signin(&u, &out, &why), 0);
	assert_int_equal(out.watch.n, 10000);
	free(many);
}

/* The largest data, with everything around it, fits a frame. */
static void
test_large(void **state)
{
	struct msg_publish m = { .app = B("1"), .channel = B("c") }, out;
	struct unpacker u;
	char *data = xcalloc(1, MSG_MAX + 1);
	unsigned type;

	(void)state;
	m.data = bytes_of(data, MSG_MAX);
	msg_pack_publish(&frame, &m);
	check_frame();
	assert_int_equal(msg_read(reader, body(), &type, &u, &why), 0);
	assert_int_equal(msg_unpack_publish(&u, &out, &why), 0);
	assert_int_equal(out.data.n, MSG_MAX);
	/* Borrowed, not copied. */
	assert_true(out.data.p > frame.p && out.data.p < frame.p + frame.n);
	buf_clear(&frame);
	m.data = bytes_of(data, MSG_MAX + 1);
	msg_pack_publish(&frame, &m);
	assert_int_equal(frame.n, 0);
	m.data.n = MSG_MAX;
	m.event = m.data;
	msg_pack_publish(&frame, &m);
	assert_int_equal(frame.n, 0);
	free(data);
}

static const struct bytes hostile[] = {
	BYTES(""),
	BYTES("\x90"),				/* no type */
	BYTES("\x91\x00"), BYTES("\x91\x31"),	/* types that are none */
	BYTES("\x91\xcf\x00\x00\x00\x01\x00\x00\x00\x14"),
	BYTES("\x91\xa1x"),			/* a type that is a string */
	BYTES("\x14"), BYTES("\xa1x"),		/* no array */
	BYTES("\x91\x14\x00"),			/* something behind */
	BYTES("\xdd\x05\xf5\xe1\x00\x14"),	/* 100,000,000 elements */
	BYTES("\xdd\xff\xff\xff\xff\x14"),
	BYTES("\xdc\xff\xff\x14"),
	BYTES("\xdc\x00"), BYTES("\xdd\x00\x00\x00"),
	BYTES("\x92\x15\xdd\x05\xf5\xe1\x00"),
	BYTES("\x92\x15\xdc\xff\xff\x01"),
	BYTES("\x92\x15\x91\x91\x01"),		/* a list in a list */
	BYTES("\x92\x15\x91\x90"),
	BYTES("\x92\x15\x80"),			/* maps, ext, nil and others */
	BYTES("\x92\x15\x81\x01\x01"),
	BYTES("\x92\x15\xde\xff\xff"), BYTES("\x92\x15\xdf\xff\xff\xff\xff"),
	BYTES("\x92\x15\xc0"), BYTES("\x92\x15\xc1"), BYTES("\x92\x15\xc2"),
	BYTES("\x92\x15\xc3"), BYTES("\x92\x15\xff"),
	BYTES("\x92\x15\xd0\x01"), BYTES("\x92\x15\xd3\0\0\0\0\0\0\0\1"),
	BYTES("\x92\x15\xca\0\0\0\0"), BYTES("\x92\x15\xcb\0\0\0\0\0\0\0\0"),
	BYTES("\x92\x15\xd4\x01\x01"), BYTES("\x92\x15\xc7\x01\x01\x01"),
	BYTES("\x92\x15\xc9\xff\xff\xff\xff\x01"),
	BYTES("\x92\x15\xc4\x02x"),		/* strings without their end */
	BYTES("\x92\x15\xc5\x00"), BYTES("\x92\x15\xc6\xff\xff\xff\xffx"),
	BYTES("\x92\x15\xd9\x02x"), BYTES("\x92\x15\xdb\xff\xff\xff\xffx"),
	BYTES("\x92\x15\xa2x"), BYTES("\x92\x15\xcf\0\0\0\0\0\0\0"),
};

static void
test_hostile(void **state)
{
	struct unpacker u;
	unsigned type;

	(void)state;
	for (size_t i = 0; i < NELEM(hostile); i++) {
		why = NULL;
		if (msg_read(reader, hostile[i], &type, &u, &why) == 0)
			fail_msg("accepted: hostile body %zu", i);
		assert_non_null(why);
	}
}

static void
test_why(void **state)
{
	static const struct {
		struct bytes	 body;
		const char	*why;
	} wrong[] = {
		{ BYTES("\x93\x21\xa1x\xa1y"),
		  "message connect: conn is no number" },
		{ BYTES("\x93\x21\x01\x01"),
		  "message connect: app is no byte string" },
		{ BYTES("\x93\x21\x90\x01"),
		  "message connect: app is no byte string" },
	};
	struct msg_connect m;
	struct unpacker u;
	unsigned type;

	(void)state;
	for (size_t i = 0; i < NELEM(wrong); i++) {
		assert_int_equal(msg_read(reader, wrong[i].body, &type, &u,
		    &why), 0);
		assert_int_equal(type, MSG_connect);
		assert_int_equal(msg_unpack_connect(&u, &m, &why), -1);
		assert_string_equal(why, wrong[i].why);
	}
	/* A string is as good as binary. */
	assert_int_equal(msg_read(reader, B("\x93\x21\xa1x\xcc\xff"), &type, &u,
	    &why), 0);
	assert_int_equal(msg_unpack_connect(&u, &m, &why), 0);
	assert_int_equal(m.conn, 255);
}

/* Neighbouring releases: a field that the reader does not know, and one that the
 * sender did not. */
static void
test_releases(void **state)
{
	struct msg_connect m;
	struct unpacker u;
	unsigned type;

	(void)state;
	assert_int_equal(msg_read(reader, B("\x95\x21\xa1x\x07\x91\xa1y\x09"),
	    &type, &u, &why), 0);
	assert_int_equal(msg_unpack_connect(&u, &m, &why), 0);
	assert_true(bytes_eq(m.app, B("x")));
	assert_int_equal(m.conn, 7);
	assert_int_equal(u.left, 0);

	assert_int_equal(msg_read(reader, B("\x92\x21\xa1x"), &type, &u, &why),
	    0);
	assert_int_equal(msg_unpack_connect(&u, &m, &why), 0);
	assert_true(bytes_eq(m.app, B("x")));
	assert_int_equal(m.conn, 0);

	assert_int_equal(msg_read(reader, B("\x91\x23"), &type, &u, &why), 0);
	struct msg_signin none;
	assert_int_equal(msg_unpack_signin(&u, &none, &why), 0);
	assert_int_equal(none.watch.n + none.user.n + none.flags, 0);
}

static void
test_unpack_limits(void **state)
{
	struct msg_connect m;
	struct unpacker u;
	unsigned type;

	(void)state;
	for (unsigned n = 200; n <= 201; n++) {
		buf_clear(&frame);
		buf_str(&frame, "\x93\x21\xc4");
		buf_char(&frame, (char)n);
		for (unsigned i = 0; i < n; i++)
			buf_char(&frame, 'x');
		buf_char(&frame, 1);
		assert_int_equal(msg_read(reader, buf_view(&frame), &type, &u,
		    &why), 0);
		assert_int_equal(msg_unpack_connect(&u, &m, &why),
		    n <= 200 ? 0 : -1);
	}
	assert_string_equal(why, "message connect: app is too long");
}

static void
test_unpack_list(void **state)
{
	struct msg_signin m;
	struct unpacker u;
	unsigned type;

	(void)state;
	/* code 35, app, conn, user, watch, flags */
	assert_int_equal(msg_read(reader, B("\x96\x23\xa1x\x01\xa1u\x92\xa1y\x05"
	    "\x00"), &type, &u, &why), 0);
	assert_int_equal(msg_unpack_signin(&u, &m, &why), -1);
	assert_string_equal(why, "message signin: watch holds no byte strings");
	assert_int_equal(msg_read(reader, B("\x96\x23\xa1x\x01\xa1u\x05\x00"),
	    &type, &u, &why), 0);
	assert_int_equal(msg_unpack_signin(&u, &m, &why), -1);
	assert_string_equal(why, "message signin: watch is no list");
}

/* What stands in a frame of a pong, against msgpack-c's way to write it. */
static void
check_number(uint64_t n)
{
	struct buf want = { 0 };

	buf_clear(&frame);
	msg_pack_pong(&frame, &(struct msg_pong){ .n = n });
	check_frame();
	pack_array(&want, 2);
	pack_u64(&want, MSG_pong);
	pack_u64(&want, n);
	assert_true(bytes_eq(body(), buf_view(&want)));
	buf_done(&want);
}

static void
check_bytes(size_t n)
{
	struct buf want = { 0 };
	char *text = test_calloc(1, n + 1);

	buf_clear(&frame);
	msg_pack_settings(&frame, &(struct msg_settings){
	    .packed = bytes_of(text, n) });
	check_frame();
	pack_array(&want, 2);
	pack_u64(&want, MSG_settings);
	pack_bytes(&want, bytes_of(text, n));
	assert_true(bytes_eq(body(), buf_view(&want)));
	buf_done(&want);
	test_free(text);
}

static void
check_strings(uint32_t n)
{
	struct bytes *names = test_calloc(n + 1, sizeof(*names));
	struct msg_signin out;
	struct buf want = { 0 };
	struct unpacker u;
	unsigned type;

	for (uint32_t i = 0; i < n; i++)
		names[i] = B("name");
	buf_clear(&frame);
	msg_pack_signin(&frame, &(struct msg_signin){
	    .watch_out = { names, n } });
	check_frame();
	pack_array(&want, n);
	for (uint32_t i = 0; i < n; i++)
		pack_bytes(&want, names[i]);
	assert_true(memmem(frame.p, frame.n, want.p, want.n) != NULL);
	assert_int_equal(msg_read(reader, body(), &type, &u, &why), 0);
	assert_int_equal(msg_unpack_signin(&u, &out, &why), 0);
	assert_int_equal(out.watch.n, n);
	for (uint32_t i = 0; i < n; i++)
		assert_true(bytes_eq(msg_list_at(&out.watch, i), names[i]));
	buf_done(&want);
	test_free(names);
}

/* The sizes at which msgpack writes another head. */
static void
test_octets(void **state)
{
	static const size_t edges[] = { 0, 1, 255, 256, 65535, 65536, 70000 };
	static const uint32_t lists[] = { 0, 1, 15, 16, 17, 1000 };

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		check_number(UINT64_C(1) << bit);
		check_number((UINT64_C(1) << bit) - 1);
	}
	check_number(UINT64_MAX);
	for (size_t i = 0; i < NELEM(edges); i++)
		check_bytes(edges[i]);
	for (size_t i = 0; i < NELEM(lists); i++)
		check_strings(lists[i]);
}

static void
test_descriptors(void **state)
{
	struct msg_listener in = { .address = B("[::1]:80") }, out;
	struct unpacker u;
	unsigned type;

	(void)state;
	msg_pack_listener(&frame, &in);
	assert_int_equal(msg_read(reader, body(), &type, &u, &why), 0);
	assert_int_equal(msg_unpack_listener(&u, &out, &why), -1);
	assert_string_equal(why,
	    "message listener: fd came without its descriptor");
	u.fds = descriptors;
	u.n_fds = 2;
	assert_int_equal(msg_unpack_listener(&u, &out, &why), 0);
	assert_int_equal(out.fd, 71);
	assert_int_equal(u.n_fds, 1);
	assert_int_equal(u.fds[0], 72);
	/* A message that is refused takes no descriptor with it. */
	assert_int_equal(msg_read(reader, B("\x94\x04\x01\x01\x01"), &type, &u,
	    &why), 0);
	u.fds = descriptors;
	u.n_fds = 2;
	assert_int_equal(msg_unpack_listener(&u, &out, &why), -1);
	assert_int_equal(u.n_fds, 2);
	assert_ptr_equal(u.fds, descriptors);
}

int
main(void)
{
#define TEST(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
#define MESSAGE(code, name, to)	TEST(test_##name),
#define NUM(f)
#define BYTES_(f, max)
#define LIST(f, max)
#define FD(f)
#define END
#include "tables/messages.def"
		TEST(test_names),
		TEST(test_pack_limits),
		TEST(test_pack_list_limit),
		TEST(test_large),
		TEST(test_hostile),
		TEST(test_why),
		TEST(test_releases),
		TEST(test_unpack_limits),
		TEST(test_unpack_list),
		TEST(test_octets),
		TEST(test_descriptors),
	};

	/* Messages that are too large are logged. */
	log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
