/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier/journal.c: whatever is cut off or spoilt, what is read is the
 * beginning of what was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "courier/journal.h"

static int files[2];
static struct journal j;
static struct buf taken;	/* records read, each with a ; behind it */

static void
on_take(void *ctx, struct bytes record)
{
	(void)ctx;
	buf_bytes(&taken, record);
	buf_char(&taken, ';');
}

static bool
reopen(void)
{
	journal_done(&j);
	buf_clear(&taken);
	for (unsigned i = 0; i < 2; i++)
		journal_file(&j, i, dup(files[i]), false);
	bool was = journal_open(&j, on_take, NULL);

	buf_cstr(&taken);
	return was;
}

static void
add(const char *text)
{
	journal_add(&j, bytes_str(text));
}

static void
contents(int fd, struct buf *to)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	buf_clear(to);
	to->n = (size_t)pread(fd, buf_room(to, (size_t)st.st_size + 1),
	    (size_t)st.st_size, 0);
	assert_int_equal(to->n, st.st_size);
}

static void
put_back(int fd, struct bytes what)
{
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, what.p, what.n, 0), what.n);
}

static int
begin(void **state)
{
	(void)state;
	log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	for (unsigned i = 0; i < 2; i++)
		files[i] = memfd_create("journal", MFD_CLOEXEC);
	journal_init(&j);
	assert_false(reopen());
	return 0;
}

static int
done(void **state)
{
	(void)state;
	close(log_fd());
	journal_done(&j);
	buf_done(&taken);
	close(files[0]);
	close(files[1]);
	return 0;
}

static void
what_is_written_is_read(void **state)
{
	(void)state;
	add("one");
	add("");
	add("two");
	assert_true(reopen());		/* nothing was written */
	assert_string_equal(taken.p, "");
	add("one");
	assert_int_equal(journal_write(&j), 0);
	add("two");
	add("three");
	assert_int_equal(journal_write(&j), 0);
	assert_int_equal(journal_write(&j), 0);
	assert_true(reopen());
	assert_string_equal(taken.p, "one;two;three;");
	add("four");
	assert_int_equal(journal_write(&j), 0);
	assert_true(reopen());
	assert_string_equal(taken.p, "one;two;three;four;");
}

static void
without_files_all_works(void **state)
{
	struct journal none;

	(void)state;
	journal_init(&none);
	assert_false(journal_open(&none, on_take, NULL));
	journal_add(&none, B("x"));
	assert_int_equal(journal_write(&none), 0);
	assert_false(journal_long(&none));
	assert_int_equal(journal_compact(&none, NULL, NULL), 0);
	journal_done(&none);
}

static void
tell_some(void *ctx)
{
	unsigned n = *(unsigned *)ctx;
	char text[40];

	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "told %u", i);
		add(text);
	}
}

/* Whatever it reads is a beginning of want, of whole records. */
static void
expect_beginning(const char *want)
{
	size_t n = taken.n;

	assert_true(n <= strlen(want));
	assert_memory_equal(taken.p, want, n);
	assert_true(n == 0 || want[n - 1] == ';');
}

static void
cut_anywhere(void **state)
{
	const char *all = "alpha;b;gamma gamma;delta;";
	struct buf whole = { 0 };
	int active;

	(void)state;
	add("alpha");
	add("b");
	add("gamma gamma");
	add("delta");
	assert_int_equal(journal_write(&j), 0);
	active = files[j.active];
	contents(active, &whole);
	for (size_t n = 0; n <= whole.n; n++) {
		size_t was;

		put_back(active, bytes_of(whole.p, n));
		(void)reopen();
		expect_beginning(all);
		assert_true(n < whole.n || strcmp(taken.p, all) == 0);
		was = taken.n;
		/* It goes on behind what is good. */
		add("new");
		assert_int_equal(journal_write(&j), 0);
		assert_true(reopen());
		assert_int_equal(taken.n, was + 4);
		assert_string_equal(taken.p + was, "new;");
		journal_done(&j);
		put_back(files[0], B(""));
		put_back(files[1], B(""));
	}
	buf_done(&whole);
}

static void
spoilt_anywhere(void **state)
{
	const char *all = "alpha;b;gamma gamma;delta;";
	struct buf whole = { 0 };
	int active;

	(void)state;
	add("alpha");
	add("b");
	add("gamma gamma");
	add("delta");
	assert_int_equal(journal_write(&j), 0);
	active = files[j.active];
	contents(active, &whole);
	for (size_t n = 0; n < whole.n; n++)
		for (int bit = 0; bit < 8; bit++) {
			whole.p[n] ^= (char)(1 << bit);
			put_back(active, buf_view(&whole));
			whole.p[n] ^= (char)(1 << bit);
			(void)reopen();
			expect_beginning(all);
			journal_done(&j);
			put_back(files[0], B(""));
			put_back(files[1], B(""));
		}
	buf_done(&whole);
}

static void
compaction_changes_files(void **state)
{
	unsigned n = 2;

	(void)state;
	add("old");
	assert_int_equal(journal_write(&j), 0);
	add("waits");
	for (unsigned round = 0; round < 5; round++) {
		unsigned was = j.active;
		struct buf empty = { 0 };

		assert_int_equal(journal_compact(&j, tell_some, &n), 0);
		assert_int_not_equal(j.active, was);
		contents(files[was], &empty);
		assert_int_equal(empty.n, 0);
		buf_done(&empty);
		add("after");
		assert_int_equal(journal_write(&j), 0);
		assert_true(reopen());
		assert_string_equal(taken.p, "told 0;told 1;after;");
	}
}

/* Who dies in it leaves the file before, or the new one whole. */
static void
compaction_cut_anywhere(void **state)
{
	struct buf before = { 0 }, after = { 0 };
	unsigned n = 3, was = j.active;

	(void)state;
	add("old");
	add("older");
	assert_int_equal(journal_write(&j), 0);
	contents(files[was], &before);
	assert_int_equal(journal_compact(&j, tell_some, &n), 0);
	contents(files[!was], &after);
	for (size_t cut = 0; cut <= after.n; cut++) {
		put_back(files[was], buf_view(&before));
		put_back(files[!was], bytes_of(after.p, cut));
		assert_true(reopen());
		assert_string_equal(taken.p, cut < after.n ? "old;older;" :
		    "told 0;told 1;told 2;");
		/* And the next one works. */
		assert_int_equal(journal_compact(&j, tell_some, &n), 0);
		assert_true(reopen());
		assert_string_equal(taken.p, "told 0;told 1;told 2;");
	}
	/* It was done, but for emptying the first. */
	put_back(files[was], buf_view(&before));
	put_back(files[!was], buf_view(&after));
	assert_true(reopen());
	assert_string_equal(taken.p, "told 0;told 1;told 2;");
	buf_done(&before);
	buf_done(&after);
}

static void
it_is_long_when_it_has_doubled(void **state)
{
	char *big = xmalloc(1u << 20);
	unsigned n = 10, compactions = 0;

	(void)state;
	memset(big, 'x', 1u << 20);
	assert_false(journal_long(&j));
	for (unsigned i = 0; i < 40; i++) {
		journal_add(&j, bytes_of(big, 1u << 20));
		assert_false(journal_long(&j));	/* it is not written */
		assert_int_equal(journal_write(&j), 0);
		if (!journal_long(&j))
			continue;
		assert_int_equal(journal_compact(&j, tell_some, &n), 0);
		assert_false(journal_long(&j));
		compactions++;
	}
	assert_int_equal(compactions, 10);
	free(big);
}

/* A record longer than what is read at a time, and many small ones. */
static void
long_records(void **state)
{
	size_t size = 3u << 20, n = 0;
	char *big = xmalloc(size);

	(void)state;
	memset(big, 'y', size);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 5000; k++) {
			add("a small one");
			n += 12;
		}
		journal_add(&j, bytes_of(big, size));
		n += size + 1;
	}
	assert_int_equal(journal_write(&j), 0);
	assert_true(reopen());
	assert_int_equal(taken.n, n);
	free(big);
}

static void
a_disk_that_is_full(void **state)
{
	char path[40];
	unsigned n = 2, was;
	int full, good;

	(void)state;
	add("one");
	assert_int_equal(journal_write(&j), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", files[j.active]);
	full = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(full >= 0);
	good = j.fd[j.active];
	j.fd[j.active] = full;
	add("two");
	assert_int_equal(journal_write(&j), -1);
	assert_true(j.broken);
	add("three");
	assert_int_equal(journal_write(&j), -1);
	/* The other file cannot be written either. */
	j.fd[j.active] = good;
	was = j.active;
	good = j.fd[!was];
	j.fd[!was] = full;
	assert_int_equal(journal_compact(&j, tell_some, &n), -1);
	assert_int_equal(j.active, was);
	j.fd[!was] = good;
	close(full);
	assert_int_equal(journal_write(&j), 0);
	assert_false(j.broken);
	assert_true(reopen());
	assert_string_equal(taken.p, "one;two;three;");
}

/* What was written may never reach the disk, even if the next attempt succeeds:
 * only the other file does, once it has all. */
static void
a_disk_that_fails_once(void **state)
{
	int none = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned n = 2, was = j.active;
	int good[2] = { j.fd[0], j.fd[1] };

	(void)state;
	assert_true(none >= 0);
	j.durable = true;
	add("one");
	assert_int_equal(journal_write(&j), 0);
	j.fd[was] = none;		/* takes all, and cannot be synced */
	add("two");
	assert_int_equal(journal_write(&j), -1);
	assert_true(j.broken);
	j.fd[was] = good[was];
	assert_int_equal(journal_write(&j), -1);
	add("three");
	assert_int_equal(journal_write(&j), -1);
	j.fd[!was] = none;
	assert_int_equal(journal_compact(&j, tell_some, &n), -1);
	j.fd[!was] = good[!was];
	assert_int_equal(journal_write(&j), -1);
	assert_true(j.broken);
	assert_int_equal(journal_compact(&j, tell_some, &n), 0);
	assert_false(j.broken);
	assert_int_not_equal(j.active, was);
	add("four");
	assert_int_equal(journal_write(&j), 0);
	close(none);
	assert_true(reopen());
	assert_string_equal(taken.p, "told 0;told 1;four;");
}

static void
disk(rlim_t octets)
{
	struct rlimit room;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &room), 0);
	room.rlim_cur = octets;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
}

/* Nothing is kept in an empty one until there is room; then all that counts is. */
static void
a_disk_that_is_full_from_the_first(void **state)
{
	unsigned n = 0;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	journal_done(&j);
	put_back(files[0], B(""));
	put_back(files[1], B(""));
	disk(3);
	assert_false(reopen());
	assert_true(j.broken);
	add("one");
	assert_int_equal(journal_write(&j), -1);
	assert_false(journal_long(&j));
	assert_int_equal(journal_compact(&j, tell_some, &n), -1);
	assert_int_equal(journal_write(&j), -1);
	disk(RLIM_INFINITY);
	assert_int_equal(journal_write(&j), -1);
	assert_int_equal(journal_compact(&j, tell_some, &n), 0);
	assert_false(j.broken);
	add("two");
	assert_int_equal(journal_write(&j), 0);
	assert_true(reopen());
	assert_string_equal(taken.p, "two;");
}

/* What another journal has left is not taken for a part of this one. */
static void
old_octets_are_no_records(void **state)
{
	struct buf old = { 0 }, new = { 0 };
	unsigned n = 0, was;

	(void)state;
	add("11111");
	add("22222");
	add("33333");
	assert_int_equal(journal_write(&j), 0);
	was = j.active;
	contents(files[was], &old);
	assert_int_equal(journal_compact(&j, tell_some, &n), 0);
	assert_int_equal(journal_compact(&j, tell_some, &n), 0);
	assert_int_equal(j.active, was);
	add("aaaaa");
	assert_int_equal(journal_write(&j), 0);
	contents(files[was], &new);
	assert_true(new.n < old.n);
	buf_add(&new, old.p + new.n, old.n - new.n);
	put_back(files[was], buf_view(&new));
	assert_true(reopen());
	assert_string_equal(taken.p, "aaaaa;");
	buf_done(&old);
	buf_done(&new);
}

static void
files_that_cannot_be_read(void **state)
{
	(void)state;
	journal_done(&j);
	put_back(files[0], B("this is something else, and long enough for it"));
	put_back(files[1], B("and this"));
	assert_false(reopen());
	add("new");
	assert_int_equal(journal_write(&j), 0);
	assert_true(reopen());
	assert_string_equal(taken.p, "new;");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f)	cmocka_unit_test_setup_teardown(f, begin, done)
		TEST(what_is_written_is_read),
		TEST(without_files_all_works),
		TEST(cut_anywhere),
		TEST(spoilt_anywhere),
		TEST(compaction_changes_files),
		TEST(compaction_cut_anywhere),
		TEST(it_is_long_when_it_has_doubled),
		TEST(long_records),
		TEST(a_disk_that_is_full),
		TEST(a_disk_that_fails_once),
		TEST(a_disk_that_is_full_from_the_first),
		TEST(old_octets_are_no_records),
		TEST(files_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
