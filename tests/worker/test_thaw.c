/* SPDX-License-Identifier: MIT
 *
 * Records of every release must thaw for ever: $srcdir/tests/worker/records has a
 * folder of each, with the records of the situations.  What is no record, or does
 * not fit here, is refused, and costs nothing.
 *	test_thaw --write FOLDER	writes those of this release
 */
#include "tests/worker/situations.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>

#include "common/packed.h"

/* ---- every release ---------------------------------------------------------------- */

static void
read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	buf_clear(out);
	while ((n = fread(buf_room(out, 65536), 1, 65536, f)) > 0)
		out->n += n;
	fclose(f);
}

static int
visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static unsigned
thaw_release(const char *in)
{
	struct buf record = { 0 };
	char path[PATH_MAX];
	unsigned n = 0;
	size_t i;

	for (i = 0; i < NELEM(situations); i++) {
		snprintf(path, sizeof(path), "%.3600s/%s.record", in,
		    situations[i].name);
		/* Older releases did not have all of them. */
		if (access(path, R_OK) < 0)
			continue;
		read_file(path, &record);
		goes_on(&situations[i], buf_view(&record));
		n++;
	}
	buf_done(&record);
	return n;
}

static unsigned
files_in(const char *in)
{
	struct dirent **names;
	int i, n = scandir(in, &names, visible, alphasort);

	assert_true(n >= 0);
	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return (unsigned)n;
}

static void
records_of_every_release(void **state)
{
	const char *srcdir = getenv("srcdir");
	char path[PATH_MAX], one[PATH_MAX];
	struct dirent **names;
	struct peer two[2];
	int i, n;

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/worker/records",
	    srcdir != NULL ? srcdir : ".");
	n = scandir(path, &names, visible, alphasort);
	assert_true(n > 0);
	resident(two);
	for (i = 0; i < n; i++) {
		snprintf(one, sizeof(one), "%.3000s/%.500s", path,
		    names[i]->d_name);
		/* None may be left out. */
		assert_int_equal(thaw_release(one), files_in(one));
		free(names[i]);
	}
	free(names);
	resident_done(two);
}

static void
records_of_now(void **state)
{
	struct buf record = { 0 };
	struct peer two[2];
	size_t i;

	(void)state;
	resident(two);
	for (i = 0; i < NELEM(situations); i++) {
		record_of(&situations[i], &record);
		goes_on(&situations[i], buf_view(&record));
	}
	resident_done(two);
	buf_done(&record);
}

/* ---- what is skipped and what is missing ------------------------------------------- */

/* Every field at its largest goes through octets and comes back. */
static void
every_field(void **state)
{
	struct bytes pair[] = { BYTES("a"), BYTES("") };
	struct buf out = { 0 };
	struct record r, back;
	const char *why;

	(void)state;
#define NUM(number, name, max, def)	r.name = (max);
#define FLAG(number, name)		r.name = true;
#define OCTETS(number, name, max)	r.name = B(#name);
#define LIST(number, name, max, each)	r.name = (struct record_list){ pair, 2 };
#include "tables/record.def"
	assert_int_equal(record_pack(&r, &out, &why), 0);
	assert_int_equal(record_unpack(buf_view(&out), &back, &why), 0);
#define NUM(number, name, max, def)	assert_true(back.name == (max));
#define FLAG(number, name)		assert_true(back.name);
#define OCTETS(number, name, max)	assert_true(bytes_eq(back.name, B(#name)));
#define LIST(number, name, max, each) \
	assert_true(back.name.n == 2 && bytes_eq(back.name.at[0], pair[0]));
#include "tables/record.def"
	record_done(&back);
	buf_done(&out);
}

/* What a later release adds is passed over. */
static void
unknown_fields(void **state)
{
	struct buf record = { 0 }, longer = { 0 };
	struct packed in;
	struct peer two[2];
	struct bytes rest;
	uint32_t n;

	(void)state;
	resident(two);
	record_of(&situations[7], &record);
	in = packed_open(buf_view(&record));
	n = packed_map(&in, 1000);
	rest = packed_rest(&in);
	pack_map(&longer, n + 3);
	pack_u64(&longer, 240);
	pack_nil(&longer);
	buf_bytes(&longer, rest);
	pack_u64(&longer, 241);
	pack_array(&longer, 2);
	pack_map(&longer, 1);
	pack_bytes(&longer, B("key"));
	pack_u64(&longer, 1);
	pack_bytes(&longer, B("more"));
	pack_u64(&longer, 100000);
	pack_u64(&longer, 5);
	goes_on(&situations[7], buf_view(&longer));
	resident_done(two);
	buf_done(&record);
	buf_done(&longer);
}

/* A release that knew nothing but these. */
static void
missing_fields(void **state)
{
	struct buf record = { 0 };
	struct record r = { .stage = RECORD_WEBSOCKET, .front = B("pusher"),
	    .app = B("1"), .established = true };
	const char *why;

	(void)state;
	assert_int_equal(record_pack(&r, &record, &why), 0);
	goes_on(&situations[5], buf_view(&record));
	buf_done(&record);
}

/* ---- refusals ------------------------------------------------------------------------ */

static void
refused(const struct record *r, const char *because)
{
	struct buf record = { 0 };
	struct peer p;
	const char *why = "";

	assert_int_equal(record_pack(r, &record, &why), 0);
	if (make_of(&p, buf_view(&record), &why) == 0)
		fail_msg("not refused: %s", because);
	assert_string_equal(why, because);
	buf_done(&record);
}

static void
what_is_not_here(void **state)
{
	static const struct record good = {
		.stage = RECORD_WEBSOCKET, .front = BYTES("pusher"),
		.app = BYTES("1"), .user = BYTES("ann"),
		.address = BYTES("0123456789abcdef"), .counted = true,
	};
	static const struct bytes guest =
	    BYTES("\x83\x01\xa0\x02\x01\x03\xa6room-7");
	struct bytes name = B("nowhere"), nobody = B("");
	struct record r;

	(void)state;
#define WITH(...)	(r = good, __VA_ARGS__, &r)
	refused(WITH(r.stage = 0), "record: of a kind that is not known here");
	refused(WITH(r.app = B("9")), "its application is gone");
	refused(WITH(r.front = B("none")), "its front door is gone");
	refused(WITH(r.front = B("sse")), "its front door is gone");
	refused(WITH(r.stage = RECORD_STREAM), "its front door is gone");
	refused(WITH(r.channels = ((struct record_list){ &name, 1 }),
	    r.members = ((struct record_list){ &nobody, 1 })),
	    "a channel is not live here");
	refused(WITH(r.channels = ((struct record_list){ &name, 1 })),
	    "record: channels and members differ");
	refused(WITH(r.front = B("rooms")), "record: no such guest");
	refused(WITH(r.front = B("rooms"),
	    r.of_front = B("\x81\x01\xa4gone")), "its [rooms] section is gone");
	refused(WITH(r.front = B("rooms"), r.app = B("2"), r.of_front = guest),
	    "may stay no longer");
	refused(WITH(r.stage = RECORD_PROXY, r.listen_label = B("x")),
	    "its [listen] section is gone");
	refused(WITH(r.address = B("short")), "record: no such address");
	refused(WITH(r.out_first = 1),
	    "record: less to send than it says");
	refused(WITH(r.stage = RECORD_HTTP, r.body = true),
	    "record: no such body");
	refused(WITH(r.stage = RECORD_HTTP, r.body = true, r.in = B("GET"),
	    r.chunk_in = 4), "record: no such body");
	refused(WITH(r.stage = RECORD_HTTP, r.body = true, r.in = B("GET"),
	    r.chunk_state = 99), "record: no such body");
	refused(WITH(r.window_bits = 15), "record: no such compression");
	refused(WITH(r.window_bits = 8, r.deflate = true),
	    "record: no such compression");
	refused(WITH(r.variant = 16), "record: no such compression");
	refused(WITH(r.stage = RECORD_STREAM, r.front = B("sse"),
	    r.partial_kind = 2), "record: a stream with messages");
	refused(WITH(r.partial_kind = 1, r.partial = B("\xff")),
	    "record: no such message");
	refused(WITH(r.partial_kind = 2, r.partial_compressed = true),
	    "record: no such message");
	refused(WITH(r.partial_kind = 2, r.partial_fin = true),
	    "record: no such message");
}

/* Cut off anywhere, or with an octet changed: refused, or something else, but
 * nothing breaks. */
static void
damaged(void **state)
{
	struct buf record = { 0 };
	struct peer two[2], p;
	const char *why;
	size_t i, k, n;
	char was, *copy;

	(void)state;
	resident(two);
	for (k = 0; k < NELEM(situations); k++) {
		if (strcmp(situations[k].name, "pusher-unsent") == 0)
			continue;	/* long, and nothing new */
		record_of(&situations[k], &record);
		for (n = 0; n < record.n; n++) {
			copy = xmalloc(n + 1);
			memcpy(copy, record.p, n);
			assert_int_equal(make_of(&p, bytes_of(copy, n), &why),
			    -1);
			free(copy);
		}
		for (i = 0; i < record.n; i++) {
			was = record.p[i];
			record.p[i] ^= (char)(1 + i % 255);
			if (make_of(&p, buf_view(&record), &why) == 0) {
				thaw_wake(peer_conn(&p));
				peer_done(&p);
			}
			record.p[i] = was;
		}
	}
	resident_done(two);
	buf_done(&record);
}

/* ---- other settings ------------------------------------------------------------------- */

/* Sections in another order, smaller limits: who is there stays. */
static void
under_new_settings(void **state)
{
	static const char text[] =
	    "[listen other]\naddress = 127.0.0.1:1\nserve = metrics\n"
	    "[listen front]\naddress = unix:/tmp/none, 127.0.0.1:2\n"
	    "proxy_protocol = yes\n"
	    "[http]\ntrusted_proxies = unix, 127.0.0.0/8\n"
	    "max_connections_per_address = 1\n"
	    "[app one]\nid = 1\nkey = new-key\nsecret = x\nenabled = no\n"
	    "max_channels = 1\nmax_message_size = 1k\nmax_connections = 1\n";
	static const size_t stay[] = { 0, 4, 5, 7 };
	struct config *before = worker.config, *after = peers_load(text);
	struct buf record[NELEM(stay) + 1] = { { 0 } };
	struct peer two[2], p;
	const char *why;
	size_t i;

	(void)state;
	resident(two);
	for (i = 0; i < NELEM(stay); i++)
		record_of(&situations[stay[i]], &record[i]);
	record_of(&situations[13], &record[i]);
	peers_use(after);
	for (i = 0; i < NELEM(stay); i++) {
		if (make_of(&p, buf_view(&record[i]), &why) < 0)
			fail_msg("refused: %s", why);
		/* A section, too, and what is served there. */
		if (stay[i] == 0 || stay[i] == 4)
			assert_int_equal(peer_conn(&p)->section, 1);
		thaw_wake(peer_conn(&p));
		run_for(&p);
		assert_false(p.end);
		peer_done(&p);
	}
	assert_int_equal(make_of(&p, buf_view(&record[i]), &why), -1);
	assert_string_equal(why, "its [rooms] section is gone");
	for (i = 0; i < NELEM(record); i++)
		buf_done(&record[i]);
	peers_use(before);
	resident_done(two);
	config_free(after);
}

/* Older releases do not tell where an HTTP connection came in, and a section may
 * be gone: then it sees what anybody sees. */
static void
section_not_told(void **state)
{
	static const char text[] =
	    "[listen]\naddress = 127.0.0.1:1\nserve = metrics\n"
	    "[listen public]\naddress = 127.0.0.1:2\n"
	    "[app one]\nid = 1\nkey = app-key\nsecret = x\n";
	static const char *const labels[] = { "", "gone" };
	struct config *before = worker.config, *after = peers_load(text);
	struct buf record = { 0 };
	struct peer p;
	const char *why;

	(void)state;
	peers_use(after);
	for (size_t i = 0; i < NELEM(labels); i++) {
		struct record r = { .stage = RECORD_HTTP,
		    .listen_label = bytes_str(labels[i]) };

		buf_clear(&record);
		assert_int_equal(record_pack(&r, &record, &why), 0);
		assert_int_equal(make_of(&p, buf_view(&record), &why), 0);
		assert_int_equal(peer_conn(&p)->section, 1);
		thaw_wake(peer_conn(&p));
		run_for(&p);
		peer_done(&p);
	}
	buf_done(&record);
	peers_use(before);
	config_free(after);
}

/* ---- fixtures -------------------------------------------------------------------------- */

static const char *folder;

static void
write_records(void **state)
{
	struct buf record = { 0 };
	struct peer two[2];
	char path[PATH_MAX];
	size_t i;
	int fd;

	(void)state;
	resident(two);
	for (i = 0; i < NELEM(situations); i++) {
		record_of(&situations[i], &record);
		snprintf(path, sizeof(path), "%s/%s.record", folder,
		    situations[i].name);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, record.p, record.n),
		    (ssize_t)record.n);
		close(fd);
	}
	resident_done(two);
	buf_done(&record);
}

int
main(int argc, char **argv)
{
#undef T
#define T(fn)	cmocka_unit_test_setup_teardown(fn, peers_setup, peers_teardown)
	const struct CMUnitTest writing[] = { T(write_records) };
	const struct CMUnitTest tests[] = {
		T(every_field),
		T(records_of_now),
		T(records_of_every_release),
		T(unknown_fields),
		T(missing_fields),
		T(what_is_not_here),
		T(damaged),
		T(under_new_settings),
		T(section_not_told),
	};

	if (argc == 3 && strcmp(argv[1], "--write") == 0) {
		folder = argv[2];
		return cmocka_run_group_tests(writing, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
