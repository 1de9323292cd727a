/* SPDX-License-Identifier: MIT
 *
 * The log, see log.h.
 *
 * Works in the jail: nothing but clock_gettime(2), poll(2), write(2) and
 * send(2), and nothing is allocated.
 */
#include "common/log.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log_line.h"
#include "common/util.h"

#define SHOWN_MAX	200	/* octets of log_bytes() */
#define SHOWN_SLOTS	8
#define KINDS		64	/* of lines whose repeats are counted */
#define FACILITY	(3 << 3)	/* of syslog: daemons */
#define PATIENCE	500	/* ms for a reader, once in LOG_WINDOW */

static struct {
	char		 who[40];
	int		 fd;
	bool		 colours;
	bool		 journal;	/* fd leads to systemd's journal */
	bool		 datagrams;	/* or is a socket as syslog has it */
	bool		 syslog;	/* settings say syslog */
	bool		 stalls;	/* fd waits for a reader: pipe, terminal */
	bool		 stream;	/* a socket that does: the journal's */
	uint64_t	 impatient;	/* until then nobody waits for it */
	uint64_t	 lost;		/* lines that nobody took */
	enum log_format	 format;
	enum log_level	 level;
} log_ = { .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO };

/* ---- where it goes ------------------------------------------------------- */

void
log_init(const char *who)
{
	snprintf(log_.who, sizeof(log_.who), "%s", who);
	log_to_fd(log_.fd);
}

/* systemd names the file that it reads: JOURNAL_STREAM=DEVICE:INODE. */
static bool
is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat file;
	char name[64];

	if (stream == NULL || fstat(fd, &file) < 0)
		return false;
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)file.st_dev,
	    (uintmax_t)file.st_ino);
	return strcmp(name, stream) == 0;
}

static bool
is_socket(int fd, int wanted)
{
	socklen_t n = sizeof(int);
	int type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
	    type == wanted;
}

static bool
waits_for_reader(int fd)
{
	struct stat file;

	return isatty(fd) == 1 ||
	    (fstat(fd, &file) == 0 && S_ISFIFO(file.st_mode));
}

/* Settings and descriptor come to a process one after the other: until both say
 * syslog, lines have the form that standard error wants. */
static bool
is_syslog(void)
{
	return log_.syslog && log_.datagrams;
}

void
log_to_fd(int fd)
{
	log_.fd = fd;
	log_.colours = isatty(fd) == 1 && getenv("NO_COLOR") == NULL;
	log_.journal = is_journal(fd);
	log_.datagrams = is_socket(fd, SOCK_DGRAM);
	log_.stream = is_socket(fd, SOCK_STREAM);
	log_.stalls = waits_for_reader(fd);
	log_.impatient = 0;
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

void
log_settings(enum log_level level, enum log_format format, const char *to)
{
	log_.level = level;
	log_.format = format;
	log_.syslog = to != NULL && strcmp(to, LOG_SYSLOG) == 0;
}

bool
log_wants(enum log_level level)
{
	return level <= log_.level;
}

/* ---- a line ------------------------------------------------------------- */

struct body {
	char	text[LOG_BODY_MAX];
	size_t	n;
};

static void __attribute__((format(printf, 2, 0)))
body_vfmt(struct body *b, const char *format, va_list args)
{
	size_t room = sizeof(b->text) - 4 - b->n;
	int n = vsnprintf(b->text + b->n, room, format, args);

	b->n += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
	if (n >= 0 && (size_t)n >= room) {
		memcpy(b->text + b->n, "...", 3);
		b->n += 3;
	}
	/* A line stays one line, whatever it is made of. */
	for (size_t i = 0; i < b->n; i++) {
		unsigned char c = (unsigned char)b->text[i];

		if (c < 0x20 || c == 0x7f)
			b->text[i] = ' ';
	}
}

static bool
write_all(int fd, const char *text, size_t n)
{
	ssize_t rc;

	do
		rc = fd == log_.fd && log_.stream ? send(fd, text, n,
		    MSG_DONTWAIT | MSG_NOSIGNAL) : write(fd, text, n);
	while (rc < 0 && errno == EINTR);
	return rc >= 0;
}

static bool
is_writable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n;

	do
		n = poll(&p, 1, ms);
	while (n < 0 && errno == EINTR);
	return n != 0;
}

/* Who reads our standard error may stop, and the terminal may be held: that
 * must not stop the service.  One that is only slow is waited for. */
static bool
wait_for_reader(void)
{
	uint64_t now = clock_ms();

	if (now < log_.impatient)
		return false;
	log_.impatient = now + LOG_WINDOW;
	return is_writable(log_.fd, PATIENCE);
}

/* A socket is called full by poll(2) long before it is. */
static bool
take(const char *text, size_t n)
{
	if (log_.stream)
		return write_all(log_.fd, text, n) || (errno == EAGAIN &&
		    wait_for_reader() && write_all(log_.fd, text, n));
	return (!log_.stalls || is_writable(log_.fd, 0) ||
	    wait_for_reader()) && write_all(log_.fd, text, n);
}

static void
put(const char *line, size_t n)
{
	log_.lost += !take(line, n);
}

/* Readers of syslog and of the journal know the time, and want the level in
 * front: error is 3, warning 4, info 6, debug 7. */
static size_t
put_priority(enum log_level level, char *to)
{
	static const int severities[] = {
		[LOG_LEVEL_ERROR] = 3, [LOG_LEVEL_WARN] = 4,
		[LOG_LEVEL_INFO] = 6, [LOG_LEVEL_DEBUG] = 7,
	};

	if (is_syslog())
		return (size_t)sprintf(to, "<%d>peald[%d]: ",
		    FACILITY | severities[level], (int)getpid());
	if (log_.journal)
		return (size_t)sprintf(to, "<%d>", severities[level]);
	return 0;
}

static void
line_write(enum log_level level, const struct body *b)
{
	const struct log_event e = {
		.level = level, .wall_ms = clock_wall_ms(),
		.who = log_.who[0] != '\0' ? log_.who : "-",
		.body = { b->text, b->n },
	};
	char line[LOG_LINE_MAX + 64];
	size_t n = put_priority(level, line);

	n += log_.format == LOG_FORMAT_JSON ? log_line_json(&e, line + n) :
	    log_line_text(&e, n == 0, log_.colours, line + n);
	if (!is_syslog())
		line[n++] = '\n';
	put(line, n);
}

/* ---- repeats ------------------------------------------------------------ */

/* Lines of one format, which is where in the program they come from. */
static struct kind {
	const char	*format;
	enum log_level	 level;
	uint64_t	 since;		/* clock_ms() */
	uint64_t	 n, left;	/* written and left out since */
} kinds[KINDS];

static void
kind_say(struct kind *k, uint64_t now)
{
	struct body b;
	int n;

	if (k->left == 0)
		return;
	n = snprintf(b.text, sizeof(b.text), "lines left out n=%" PRIu64
	    " ms=%" PRIu64 " like=\"%.200s\"", k->left, now - k->since,
	    k->format);
	b.n = n < 0 ? 0 : (size_t)n;
	/* The quotes of the format are not ours. */
	for (char *p = strstr(b.text, "like=\"") + 6; p < b.text + b.n - 1; p++)
		if (*p == '"')
			*p = '\'';
	k->left = 0;
	line_write(k->level, &b);
}

/* The place to count lines of this format in: its own, or one whose time is
 * over; only if all are in use another's. */
static struct kind *
kind_find(const char *format, uint64_t now)
{
	size_t at = ((uintptr_t)format >> 4) % KINDS;
	struct kind *k, *over = NULL;

	for (size_t i = 0; i < KINDS; i++) {
		k = &kinds[(at + i) % KINDS];
		if (k->format == format)
			return k;
		if (over == NULL && (k->format == NULL ||
		    now - k->since >= LOG_WINDOW))
			over = k;
	}
	return over != NULL ? over : &kinds[at];
}

/* Is this one written?  Lines of debugging all are: somebody wants them. */
static bool
may_write(enum log_level level, const char *format)
{
	uint64_t now = clock_ms();
	struct kind *k;
	int saved = errno;

	if (level == LOG_LEVEL_DEBUG)
		return true;
	k = kind_find(format, now);
	if (k->format != format || now - k->since >= LOG_WINDOW) {
		kind_say(k, now);
		errno = saved;	/* for %m */
		*k = (struct kind){ .format = format, .level = level,
			.since = now };
	}
	if (k->n == LOG_REPEATS) {
		k->left++;
		return false;
	}
	k->n++;
	return true;
}

/* Syslog is full or away, or the disk is: once it takes lines again it hears how
 * many it has missed. */
static void
lost_say(void)
{
	uint64_t lost = log_.lost;
	struct body b;
	int n;

	if (lost == 0)
		return;
	n = snprintf(b.text, sizeof(b.text), "lines lost n=%" PRIu64, lost);
	b.n = n < 0 ? 0 : (size_t)n;
	log_.lost = 0;
	line_write(LOG_LEVEL_WARN, &b);
	if (log_.lost != 0)
		log_.lost = lost;
}

void
log_due(void)
{
	uint64_t now = clock_ms();

	lost_say();
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].left > 0 && now - kinds[i].since >= LOG_WINDOW)
			kind_say(&kinds[i], now);
}

static void __attribute__((format(printf, 2, 0)))
emit(enum log_level level, const char *format, va_list args)
{
	int saved = errno;
	struct body b;

	b.n = 0;
	body_vfmt(&b, format, args);
	line_write(level, &b);
	errno = saved;
}

#define LOG_FUNCTION(name, level)				\
bool								\
name(const char *format, ...)					\
{								\
	va_list args;						\
								\
	if (!log_wants(level) || !may_write(level, format))	\
		return false;					\
	va_start(args, format);					\
	emit(level, format, args);				\
	va_end(args);						\
	return true;						\
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

/* Writes the text in readable octets, cut; from here on `special` ones get a
 * backslash in front. */
static char *
show(char *to, struct bytes b, const char *special)
{
	bool cut = b.n > SHOWN_MAX;
	size_t n;

	if (cut)
		b.n = SHOWN_MAX;
	for (; b.n > 0; b = bytes_skip(b, n)) {
		n = printable(b);
		if (n == 0) {
			to += sprintf(to, "\\x%02x", (unsigned char)b.p[0]);
			n = 1;
			continue;
		}
		if (n == 1 && strchr(special, b.p[0]) != NULL)
			*to++ = '\\';
		memcpy(to, b.p, n);
		to += n;
	}
	memcpy(to, "...", 3);
	return cut ? to + 3 : to;
}

static char *
slot(void)
{
	static char slots[SHOWN_SLOTS][SHOWN_MAX * 4 + 8];
	static unsigned turn;

	return slots[turn++ % SHOWN_SLOTS];
}

const char *
log_bytes(struct bytes b)
{
	char *start = slot();

	*show(start, b, "") = '\0';
	return start;
}

static bool
is_plain(struct bytes b)
{
	/* Behind a value without quotes these belong to the words. */
	if (b.n > 0 && strchr(":,;", b.p[b.n - 1]) != NULL)
		return false;
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] == ' ' || b.p[i] == '"' || b.p[i] == '\\')
			return false;
	return b.n > 0 && utf8_valid(b);
}

const char *
log_value(struct bytes b)
{
	char *start = slot(), *to = start;
	bool plain = is_plain(b);

	if (!plain)
		*to++ = '"';
	to = show(to, b, "\"\\");
	if (!plain)
		*to++ = '"';
	*to = '\0';
	return start;
}

void
log_watch(const char *what, struct bytes text, struct bytes more)
{
	char line[LOG_LINE_MAX];
	int n = snprintf(line, sizeof(line), "  %s%-24.100s%s %s %s\n",
	    log_.colours ? "\033[32m" : "", what,
	    log_.colours ? "\033[0m" : "", log_bytes(text), log_bytes(more));

	if (n > 0)
		put(line, (size_t)n);
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

/* To who started this program and sits in front of it: no date needed. */
static void __attribute__((format(printf, 2, 0)))
say_plainly(int fd, const char *format, va_list args)
{
	struct body b;

	b.n = (size_t)snprintf(b.text, sizeof(b.text), "%.50s: ",
	    program_invocation_short_name);
	body_vfmt(&b, format, args);
	b.text[b.n++] = '\n';
	(void)write_all(fd, b.text, b.n);
}

void
die(const char *format, ...)
{
	va_list args;

	if (log_.who[0] != '\0') {
		va_start(args, format);
		emit(LOG_LEVEL_ERROR, format, args);
		va_end(args);
	}
	if (log_.who[0] == '\0' || log_.fd != STDERR_FILENO) {
		va_start(args, format);
		say_plainly(log_.who[0] == '\0' ? log_.fd : STDERR_FILENO,
		    format, args);
		va_end(args);
	}
	exit(1);
}
