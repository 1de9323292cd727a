/* SPDX-License-Identifier: MIT
 *
 * A peald whose processes fail when they are told to, in the middle of a
 * hand-over: handover-faults.test.mjs.
 *
 * The plan is one line in the file "plan" of the directory TMPDIR (which children
 * keep):
 *
 *	WHEN KIND N HOW		before 4 3 kill
 *
 *	WHEN	before or after: the packet is sent; got: it has come, and is not
 *		looked at yet
 *	KIND	number of the packet's kind (worker/parcel.h)
 *	N	which one of that kind in this process, from 1 on
 *	HOW	kill: the process dies; stop: it stands still until it is
 *		continued; garble: the packet's last octet is another one
 *
 * Whoever carries it out writes a ! over its first octet, and then nobody else
 * does.  Only hand-overs use sendmmsg and recvmmsg, so these are what is wrapped.
 */
#include <sys/socket.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int	__real_sendmmsg(int, struct mmsghdr *, unsigned, int);
int	__real_recvmmsg(int, struct mmsghdr *, unsigned, int,
	    struct timespec *);
int	__wrap_sendmmsg(int, struct mmsghdr *, unsigned, int);
int	__wrap_recvmmsg(int, struct mmsghdr *, unsigned, int,
	    struct timespec *);

static int plan = -1;
static unsigned sent[32], got[32];	/* by kind */

/* Before the process is locked in. */
__attribute__((constructor)) static void
open_plan(void)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];

	if (dir == NULL)
		return;
	snprintf(path, sizeof(path), "%s/plan", dir);
	plan = open(path, O_RDWR | O_CLOEXEC);
}

/* What is to be done with the nth packet of this kind; NULL: nothing. */
static const char *
planned(const char *when, unsigned kind, unsigned nth)
{
	static char how[16];
	char text[80] = "", word[16] = "";
	unsigned of_kind, n;

	if (plan < 0 || lseek(plan, 0, SEEK_SET) < 0 ||
	    read(plan, text, sizeof(text) - 1) <= 0 || text[0] == '!' ||
	    sscanf(text, "%15s %u %u %15s", word, &of_kind, &n, how) != 4 ||
	    strcmp(word, when) != 0 || of_kind != kind || n != nth)
		return NULL;
	return how;
}

static void
fail(const char *how)
{
	if (lseek(plan, 0, SEEK_SET) < 0 || write(plan, "!", 1) != 1)
		abort();
	raise(strcmp(how, "kill") == 0 ? SIGKILL : SIGSTOP);
}

/* Of a packet: [kind, ...] with less than 16 fields. */
static unsigned
kind_of(const struct msghdr *m, size_t n)
{
	const unsigned char *p = m->msg_iov->iov_base;

	return n >= 2 && p[1] < 32 ? p[1] : 0;
}

static bool
garbled(const char *how, const struct msghdr *m)
{
	char *p = m->msg_iov->iov_base;

	if (how == NULL || strcmp(how, "garble") != 0)
		return false;
	p[m->msg_iov->iov_len - 1] ^= 0x55;
	if (lseek(plan, 0, SEEK_SET) < 0 || write(plan, "!", 1) != 1)
		abort();
	return true;
}

int
__wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	unsigned i;
	int r;

	/* One by one, so that what stands before and behind a fault is known. */
	for (i = 0; i < n; i++) {
		const struct msghdr *h = &m[i].msg_hdr;
		unsigned kind = kind_of(h, h->msg_iov->iov_len);
		const char *how = planned("before", kind, sent[kind] + 1);

		if (how != NULL && !garbled(how, h))
			fail(how);
		r = __real_sendmmsg(fd, m + i, 1, flags);
		if (r < 0)
			return i > 0 ? (int)i : r;
		how = planned("after", kind, ++sent[kind]);
		if (how != NULL)
			fail(how);
	}
	return (int)n;
}

int
__wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags,
    struct timespec *timeout)
{
	int r = __real_recvmmsg(fd, m, n, flags, timeout), i;

	for (i = 0; i < r; i++) {
		unsigned kind = kind_of(&m[i].msg_hdr, m[i].msg_len);
		const char *how = planned("got", kind, ++got[kind]);

		if (how != NULL)
			fail(how);
	}
	return r;
}
