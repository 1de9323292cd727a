/* SPDX-License-Identifier: MIT
 *
 * Packets between two workers, alone and over a link: the first octet says where
 * one ends and the next begins.
 */
#include "fuzz.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"
#include "worker/parcel.h"

static unsigned handed_out, gone;

static void
must_be_inside(struct bytes in, struct bytes b)
{
	MUST(b.n == 0 || (b.p >= in.p && b.p + b.n <= in.p + in.n));
}

/* What is understood reads the same when we have written it. */
static void
check_packet(struct bytes in)
{
	struct parcel p, again;
	struct buf out = { 0 };

	if (parcel_unpack(in, &p) <= 0)
		return;
	MUST(p.kind >= PARCEL_CHANNEL && p.kind <= PARCEL_OVER);
	MUST(p.fd == -1 && p.fault == NULL);
	must_be_inside(in, p.app);
	must_be_inside(in, p.name);
	must_be_inside(in, p.record);
	must_be_inside(in, p.why);
	must_be_inside(in, p.online);
	must_be_inside(in, p.offline);
	parcel_pack(&out, &p);
	MUST(parcel_unpack(buf_view(&out), &again) == 1);
	MUST(again.kind == p.kind && again.was == p.was && again.n == p.n &&
	    again.of_kind == p.of_kind && again.epoch == p.epoch &&
	    again.size == p.size && again.again == p.again);
	MUST(bytes_eq(again.app, p.app) && bytes_eq(again.name, p.name) &&
	    bytes_eq(again.record, p.record) && bytes_eq(again.why, p.why) &&
	    bytes_eq(again.online, p.online) &&
	    bytes_eq(again.offline, p.offline));
	buf_done(&out);
}

static void
on_parcel(void *ctx, struct parcel *p)
{
	(void)ctx;
	handed_out++;
	/* None was sent along. */
	MUST(p->fd == -1);
	MUST(p->kind != PARCEL_RECORD || p->fault != NULL);
}

static void
on_gone(void *ctx, const char *why)
{
	(void)ctx;
	MUST(why[0] != '\0');
	gone++;
}

static const struct parcel_ops ops = { on_parcel, on_gone };

/* Cuts it into packets; how many are good. */
static unsigned
send_all(int fd, struct bytes in, size_t step)
{
	unsigned good = 0;
	struct parcel p;

	for (size_t n; in.n > 0; in = bytes_skip(in, n)) {
		n = step < in.n ? step : in.n;
		good += parcel_unpack(bytes_of(in.p, n), &p) > 0;
		if (send(fd, in.p, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	}
	return good;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct event_base *base;
	struct parcel_link *link;
	struct bytes in;
	unsigned good;
	int fds[2];

	if (n < 2 || n > 4096)
		return 0;
	in = bytes_of(data + 1, n - 1);
	check_packet(in);
	if (base == NULL)
		base = event_base_new();
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	link = parcel_link_new(base, fds[1], &ops, NULL);
	handed_out = gone = 0;
	good = send_all(fds[0], in, (size_t)data[0] + 16);
	close(fds[0]);
	for (unsigned i = 0; i < 64 && gone == 0; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	MUST(gone == 1);
	MUST(handed_out == good);
	parcel_link_free(link);
	return 0;
}
