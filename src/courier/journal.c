/* SPDX-License-Identifier: MIT
 *
 * The courier's journal, see journal.h.
 *
 * Runs in: the courier.
 */
#include "courier/journal.h"

#include <sys/stat.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/util.h"

#define MAGIC		"PEALHOOK"
#define VERSION		1
#define HEAD		24
#define RECORD_HEAD	8
#define WINDOW		(256u << 10)	/* read and, while all is told, written
					   at a time */

static uint32_t
check_of(uint64_t generation, uint64_t place, struct bytes octets)
{
	uint64_t key[2] = { generation, place };

	return (uint32_t)hash_siphash13(key, octets);
}

static void
put_u32(struct buf *to, uint32_t n)
{
	n = htole32(n);
	buf_add(to, &n, sizeof(n));
}

static void
put_u64(struct buf *to, uint64_t n)
{
	n = htole64(n);
	buf_add(to, &n, sizeof(n));
}

static uint32_t
get_u32(const char *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return le32toh(n);
}

static uint64_t
get_u64(const char *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return le64toh(n);
}

/* ---- reading --------------------------------------------------------------- */

struct reader {
	int		 fd;
	uint64_t	 generation;
	uint64_t	 size;		/* of the file */
	uint64_t	 at;		/* place of the next record */
	uint64_t	 from;		/* place of what buf begins with */
	struct buf	 buf;
};

/* The n octets at `at`, or NULL. */
static const char *
reader_see(struct reader *r, size_t n)
{
	size_t skip = (size_t)(r->at - r->from), want = n > WINDOW ? n : WINDOW;
	ssize_t got;

	if (r->at > r->size || n > r->size - r->at)
		return NULL;
	if (r->buf.n >= skip + n)
		return r->buf.p + skip;
	buf_drop(&r->buf, skip);
	r->from = r->at;
	while (r->buf.n < n) {
		got = pread(r->fd, buf_room(&r->buf, want), want,
		    (off_t)(r->from + r->buf.n));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return NULL;
		r->buf.n += (size_t)got;
	}
	return r->buf.p;
}

/* Its head is good. */
static bool
reader_open(struct reader *r, int fd)
{
	struct stat st;
	const char *p;

	*r = (struct reader){ .fd = fd };
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < 0)
		return false;
	r->size = (uint64_t)st.st_size;
	if ((p = reader_see(r, HEAD)) == NULL ||
	    memcmp(p, MAGIC, 8) != 0 || get_u32(p + 16) != VERSION ||
	    get_u32(p + 20) != check_of(0, 0, bytes_of(p, 20)))
		return false;
	r->generation = get_u64(p + 8);
	r->at = HEAD;
	return true;
}

/* The next whole record; false at the end of what is good. */
static bool
reader_next(struct reader *r, struct bytes *record)
{
	uint64_t place = r->at;
	uint32_t n, check;
	const char *p;

	if ((p = reader_see(r, RECORD_HEAD)) == NULL)
		return false;
	n = get_u32(p);
	check = get_u32(p + 4);
	if (n > JOURNAL_RECORD_MAX ||
	    (p = reader_see(r, RECORD_HEAD + (size_t)n)) == NULL)
		return false;
	*record = bytes_of(p + RECORD_HEAD, n);
	if (check != check_of(r->generation, place, *record))
		return false;
	r->at = place + RECORD_HEAD + n;
	return true;
}

/* The generation of a file that has its mark, or 0; up to where that goes. */
static uint64_t
file_generation(int fd, uint64_t *told)
{
	struct reader r;
	struct bytes record;
	uint64_t generation = 0;

	if (reader_open(&r, fd))
		while (generation == 0 && reader_next(&r, &record))
			if (record.n == 0)
				generation = r.generation;
	*told = r.at;
	buf_done(&r.buf);
	return generation;
}

static void
file_take(struct journal *j, void (*take)(void *ctx, struct bytes), void *ctx)
{
	struct reader r;
	struct bytes record;

	if (reader_open(&r, j->fd[j->active]))
		while (reader_next(&r, &record))
			if (record.n != 0)
				take(ctx, record);
	j->end = r.at;
	if (r.size > r.at)
		log_info("journal: its last %" PRIu64 " octets were not whole",
		    r.size - r.at);
	buf_done(&r.buf);
}

/* ---- writing --------------------------------------------------------------- */

static int
write_at(int fd, struct bytes octets, uint64_t place)
{
	while (octets.n > 0) {
		ssize_t n = pwrite(fd, octets.p, octets.n, (off_t)place);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		octets = bytes_skip(octets, (size_t)n);
		place += (uint64_t)n;
	}
	return 0;
}

static int
write_waiting(struct journal *j)
{
	int fd = j->fd[j->active];

	if (write_at(fd, buf_view(&j->waiting), j->end) < 0)
		return -1;
	j->end += j->waiting.n;
	buf_reuse(&j->waiting);
	return 0;
}

/* After one failure the kernel may call clean what never reached the disk, so what
 * it says of this file next proves nothing. */
static int
sync_written(struct journal *j)
{
	if (!j->durable)
		return 0;
	if (!j->unsafe && fdatasync(j->fd[j->active]) == 0)
		return 0;
	j->unsafe = true;
	return -1;
}

/* What is written here next needs room on a disk that may be full by then. */
static void
file_reserve(struct journal *j, unsigned i)
{
	if (j->durable)
		(void)fallocate(j->fd[i], FALLOC_FL_KEEP_SIZE, 0,
		    JOURNAL_RESERVE);
}

/* An empty one keeps its reserve. */
static int
file_empty(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_size == 0)
		return 0;
	return ftruncate(fd, 0);
}

static void
add_head(struct journal *j)
{
	buf_add(&j->waiting, MAGIC, 8);
	put_u64(&j->waiting, j->generation);
	put_u32(&j->waiting, VERSION);
	put_u32(&j->waiting, check_of(0, 0, buf_view(&j->waiting)));
}

static void
add(struct journal *j, struct bytes record)
{
	uint64_t place = j->end + j->waiting.n;

	put_u32(&j->waiting, (uint32_t)record.n);
	put_u32(&j->waiting, check_of(j->generation, place, record));
	buf_bytes(&j->waiting, record);
}

void
journal_add(struct journal *j, struct bytes record)
{
	if (j->fd[0] < 0 || j->fd[1] < 0 || record.n == 0 ||
	    record.n > JOURNAL_RECORD_MAX || j->generation == 0)
		return;
	add(j, record);
	if (j->telling && j->waiting.n >= WINDOW && !j->lost)
		j->lost = write_waiting(j) < 0;
	if (j->lost)
		buf_reuse(&j->waiting);
}

int
journal_write(struct journal *j)
{
	int saved;

	if (j->fd[0] >= 0 && j->fd[1] >= 0 && j->generation == 0)
		return -1;
	if (j->waiting.n == 0 && !j->unsafe)
		return 0;
	if (write_waiting(j) == 0 && sync_written(j) == 0) {
		if (j->broken)
			log_info("journal: it is written again");
		j->broken = false;
		return 0;
	}
	saved = errno;
	if (!j->broken)
		log_error("journal: cannot write why=\"%s\"; no more is taken "
		    "until it can", strerror(saved));
	j->broken = true;
	return -1;
}

bool
journal_long(const struct journal *j)
{
	return j->waiting.n == 0 && j->end > JOURNAL_SMALL &&
	    j->end / 2 > j->told && j->end >= j->retry;
}

int
journal_compact(struct journal *j, void (*tell)(void *ctx), void *ctx)
{
	struct journal was = *j;
	int saved;

	if (j->fd[0] < 0 || j->fd[1] < 0)
		return 0;
	j->active = !was.active;
	j->generation++;
	j->end = 0;
	j->waiting = (struct buf){ 0 };
	j->telling = true;
	j->lost = file_empty(j->fd[j->active]) < 0;
	add_head(j);
	tell(ctx);
	add(j, B(""));
	j->telling = false;
	if (j->lost || write_waiting(j) < 0 ||
	    (j->durable && fdatasync(j->fd[j->active]) < 0)) {
		saved = errno;
		buf_done(&j->waiting);
		(void)!ftruncate(j->fd[j->active], 0);
		file_reserve(j, j->active);
		was.retry = was.end + JOURNAL_SMALL;
		*j = was;
		errno = saved;
		return -1;
	}
	if (was.broken)
		log_info("journal: it is written again");
	j->lost = j->unsafe = j->broken = false;
	j->told = j->end;
	/* What waited is told with the rest. */
	buf_done(&was.waiting);
	(void)!ftruncate(j->fd[was.active], 0);
	file_reserve(j, was.active);
	return 0;
}

/* ---- life ------------------------------------------------------------------ */

void
journal_init(struct journal *j)
{
	*j = (struct journal){ .fd = { -1, -1 } };
}

void
journal_done(struct journal *j)
{
	for (unsigned i = 0; i < 2; i++)
		if (j->fd[i] >= 0)
			close(j->fd[i]);
	buf_done(&j->waiting);
	journal_init(j);
}

void
journal_file(struct journal *j, unsigned i, int fd, bool durable)
{
	if (j->fd[i] >= 0)
		close(j->fd[i]);
	j->fd[i] = fd;
	j->durable = durable;
}

static void
tell_nothing(void *ctx)
{
	(void)ctx;
}

static bool
is_empty(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == 0;
}

bool
journal_open(struct journal *j, void (*take)(void *ctx, struct bytes),
    void *ctx)
{
	uint64_t generation[2], told[2];

	if (j->fd[0] < 0 || j->fd[1] < 0)
		return false;
	for (unsigned i = 0; i < 2; i++)
		generation[i] = file_generation(j->fd[i], &told[i]);
	j->active = generation[1] > generation[0];
	if ((j->generation = generation[j->active]) != 0) {
		j->told = told[j->active];
		file_take(j, take, ctx);
		/* What is torn must not stand behind what comes now. */
		if (ftruncate(j->fd[j->active], (off_t)j->end) < 0)
			log_warn("journal: cannot cut what is torn");
		if (file_empty(j->fd[!j->active]) == 0)
			file_reserve(j, !j->active);
		return true;
	}
	if (!is_empty(j->fd[0]) || !is_empty(j->fd[1]))
		log_error("journal: neither file can be read; it begins anew");
	if (journal_compact(j, tell_nothing, NULL) < 0) {
		log_error("journal: cannot be begun why=\"%s\"; nothing is "
		    "taken until it can", strerror(errno));
		j->broken = true;
	}
	return false;
}
