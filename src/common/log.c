/* SPDX-License-Identifier: MIT
 *
 * The log, see log.h.
 *
 * Works in the jail: nothing but clock_gettime(2) and write(2), nothing is
 * allocated, and the date is computed here, as gmtime_r(3) would look for the
 * time zone's file.
 */
#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/util.h"

#define LINE_MAX_	4096
#define SHOWN_MAX	200	/* octets of log_bytes() */
#define SHOWN_SLOTS	8

static struct {
	char		 who[40];
	int		 fd;
	bool		 colours;
	enum log_level	 level;
} log_ = { .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO };

static const struct {
	const char	*word, *on;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "\033[31m" },
	[LOG_LEVEL_WARN] = { "warn", "\033[33m" },
	[LOG_LEVEL_INFO] = { "info", "\033[32m" },
	[LOG_LEVEL_DEBUG] = { "debug", "\033[2m" },
};

void
log_init(const char *who)
{
	snprintf(log_.who, sizeof(log_.who), "%s", who);
	log_to_fd(log_.fd);
}

void
log_to_fd(int fd)
{
	log_.fd = fd;
	log_.colours = isatty(fd) == 1 && getenv("NO_COLOR") == NULL;
}

int
log_fd(void)
{
	return log_.fd;
}

void
log_set_level(enum log_level level)
{
	log_.level = level;
}

bool
log_wants(enum log_level level)
{
	return level <= log_.level;
}

/* ---- a line ------------------------------------------------------------- */

struct line {
	char	text[LINE_MAX_];
	size_t	n;		/* leaves room for the line's end */
};

#define LINE_END	8	/* "...", end of colour or newline */

static void __attribute__((format(printf, 2, 0)))
line_vfmt(struct line *l, const char *format, va_list args)
{
	size_t room = sizeof(l->text) - LINE_END - l->n;
	int n = vsnprintf(l->text + l->n, room, format, args);

	if (n < 0)
		return;
	if ((size_t)n >= room) {
		l->n += room - 1;
		memcpy(l->text + l->n, "...", 3);
		l->n += 3;
	} else {
		l->n += (size_t)n;
	}
}

static void __attribute__((format(printf, 2, 3)))
line_fmt(struct line *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line_vfmt(l, format, args);
	va_end(args);
}

/* Days since 1970 as year, month, day; years start in March here, so that the
 * leap day comes last. */
static void
civil(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	uint64_t since_0 = days + 719468;	/* 1 March of year 0 */
	uint64_t era = since_0 / 146097, of_era = since_0 % 146097;
	uint64_t y = (of_era - of_era / 1460 + of_era / 36524 -
	    of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * y + y / 4 - y / 100);
	uint64_t m = (5 * of_year + 2) / 153;

	*day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
	*month = (unsigned)(m < 10 ? m + 3 : m - 9);
	*year = (unsigned)(y + era * 400 + (*month <= 2));
}

static void
line_time(struct line *l)
{
	uint64_t ms = clock_wall_ms(), s = ms / 1000;
	unsigned year, month, day;

	civil(s / 86400, &year, &month, &day);
	line_fmt(l, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day,
	    (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60),
	    (unsigned)(s % 60), (unsigned)(ms % 1000));
}

/* A line stays one line, whatever it is made of. */
static void
line_flatten(struct line *l, size_t from)
{
	for (size_t i = from; i < l->n; i++) {
		unsigned char c = (unsigned char)l->text[i];

		if (c < 0x20 || c == 0x7f)
			l->text[i] = ' ';
	}
}

static void
line_write(struct line *l)
{
	ssize_t n;

	l->text[l->n++] = '\n';
	do
		n = write(log_.fd, l->text, l->n);
	while (n < 0 && errno == EINTR);
}

static void __attribute__((format(printf, 2, 0)))
emit(enum log_level level, const char *format, va_list args)
{
	int saved = errno;
	struct line l;
	size_t from;

	l.n = 0;
	line_time(&l);
	if (log_.colours)
		line_fmt(&l, " %s%s\033[0m", levels[level].on,
		    levels[level].word);
	else
		line_fmt(&l, " %s", levels[level].word);
	line_fmt(&l, " %s: ", log_.who[0] != '\0' ? log_.who : "-");
	from = l.n;
	errno = saved;		/* for %m */
	line_vfmt(&l, format, args);
	line_flatten(&l, from);
	line_write(&l);
	errno = saved;
}

#define LOG_FUNCTION(name, level)		\
void						\
name(const char *format, ...)			\
{						\
	va_list args;				\
						\
	if (!log_wants(level))			\
		return;				\
	va_start(args, format);			\
	emit(level, format, args);		\
	va_end(args);				\
}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

/* ---- bytes from outside ------------------------------------------------- */

/* Octets of the character at text that may stand in a line as they are; 0: the
 * first octet must be escaped. */
static size_t
printable(struct bytes text)
{
	size_t n = utf8_length(text);
	unsigned char c = (unsigned char)text.p[0];

	if (n == 1 && (c < 0x20 || c == 0x7f))
		return 0;
	/* U+0080 to U+009F are control characters too. */
	if (n == 2 && c == 0xc2 && (unsigned char)text.p[1] < 0xa0)
		return 0;
	return n;
}

const char *
log_bytes(struct bytes b)
{
	static char slots[SHOWN_SLOTS][SHOWN_MAX * 4 + 4];
	static unsigned turn;
	char *start = slots[turn++ % SHOWN_SLOTS], *to = start;
	bool cut = b.n > SHOWN_MAX;
	size_t n;

	if (cut)
		b.n = SHOWN_MAX;
	while (b.n > 0) {
		n = printable(b);
		if (n == 0) {
			to += sprintf(to, "\\x%02x", (unsigned char)b.p[0]);
			n = 1;
		} else {
			memcpy(to, b.p, n);
			to += n;
		}
		b = bytes_skip(b, n);
	}
	memcpy(to, cut ? "..." : "", cut ? 4 : 1);
	return start;
}

/* ---- the end ------------------------------------------------------------ */

void
fatal(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	emit(LOG_LEVEL_ERROR, format, args);
	va_end(args);
	abort();
}

void
die(const char *format, ...)
{
	struct line l = { .n = 0 };
	va_list args;

	va_start(args, format);
	if (log_.who[0] == '\0') {
		/* Somebody sits in front of it: no date needed. */
		line_fmt(&l, "%s: ", program_invocation_short_name);
		line_vfmt(&l, format, args);
		line_flatten(&l, 0);
		line_write(&l);
	} else {
		emit(LOG_LEVEL_ERROR, format, args);
	}
	va_end(args);
	exit(1);
}
