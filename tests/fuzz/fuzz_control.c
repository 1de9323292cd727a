/* SPDX-License-Identifier: MIT
 *
 * What is asked of a router from outside, and what workers answer for it: the
 * input is a list of texts, each behind an octet for its kind and two for its
 * length:
 *
 *	0	a worker asks this line
 *	1	a worker answers these lines about connections (64: and no more)
 *	2	a worker publishes this as data (the upper bits: flags), which
 *		tails show
 *	3	a member of a presence channel has this object
 *
 * Whatever comes, each line that goes out is an object of JSON, and nothing is
 * left when the worker has gone.
 */
#include "router.h"

#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/ipc.h"
#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "router/control.h"
#include "router/inspect.h"

/* The worker's end. */
static struct {
	int			 fd;
	struct buf		 in;
	struct msg_reader	*reader;
	uint64_t		 serial, cookie;
} worker;

static const char *const questions[] = {
	"{\"verb\":\"tail\",\"data\":7}",
	"{\"verb\":\"tail\",\"channel\":\"c*\",\"data\":65536}",
	"{\"verb\":\"inspect\"}",
	"{\"verb\":\"inspect\",\"slow\":true,\"limit\":2}",
};

/* ---- a router ----------------------------------------------------------- */

/* One for all inputs. */
static struct router *
router(void)
{
	static struct router *r;
	int fds[2];

	if (r != NULL)
		return r;
	log_init("fuzz");
	MUST(ipc_pair(fds) == 0);
	r = router_new(event_base_new(), fds[0]);
	router_settings(r, settings(""));
	log_set_level(LOG_LEVEL_ERROR);
	sync_go(r, 0);
	router_turn(r);
	MUST(!r->sync.on);
	worker.reader = msg_reader_new();
	return r;
}

static struct peer *
connect_worker(struct router *r)
{
	struct peer *p;
	int fds[2];

	MUST(ipc_pair(fds) == 0);
	worker.fd = fds[1];
	worker.serial = worker.cookie = 0;
	buf_clear(&worker.in);
	p = peer_new(r, fds[0], 1, 1);
	MUST(p != NULL);
	p->hello = true;
	p->version = MSG_VERSION;
	return p;
}

/* ---- what goes out ------------------------------------------------------ */

static void
check_lines(struct bytes lines)
{
	struct json all;
	const char *why;

	while (lines.n > 0) {
		ptrdiff_t end = bytes_find(lines, '\n');

		MUST(end > 0);
		MUST(json_parse(bytes_of(lines.p, (size_t)end), &all,
		    &why) == 0);
		MUST(all.type == JSON_OBJECT);
		lines = bytes_skip(lines, (size_t)end + 1);
	}
}

static void
check_message(struct bytes body)
{
	struct unpacker u;
	struct msg_told m;
	const char *why;
	unsigned type;

	MUST(msg_read(worker.reader, body, &type, &u, &why) == 0);
	if (type != MSG_told)
		return;
	MUST(msg_unpack_told(&u, &m, &why) == 0);
	check_lines(m.lines);
}

static void
read_all(void)
{
	size_t at = 0, body;
	ssize_t n;

	while ((n = read(worker.fd, buf_room(&worker.in, 65536), 65536)) > 0)
		worker.in.n += (size_t)n;
	while (worker.in.n - at >= 4) {
		const unsigned char *p = (unsigned char *)worker.in.p + at;

		body = (size_t)p[0] << 24 | (size_t)p[1] << 16 |
		    (size_t)p[2] << 8 | p[3];
		if (worker.in.n - at < 4 + body)
			break;
		check_message(bytes_of(p + 4, body));
		at += 4 + body;
	}
	buf_drop(&worker.in, at);
}

static void
turn(struct router *r)
{
	r->taps.due = true;
	router_turn(r);
	read_all();
}

/* ---- what comes in ------------------------------------------------------ */

static void
publish(struct router *r, struct peer *p, unsigned flags, struct bytes data)
{
	static const unsigned kinds[] = { 0, PUBLISH_CLIENT, PUBLISH_TEXT,
	    PUBLISH_BINARY };

	passage_publish(r, p, &(struct msg_publish){
	    .serial = ++worker.serial, .app = B("1"), .channel = B("c"),
	    .event = data, .data = data, .user = data,
	    .except_a = flags, .flags = kinds[flags & 3] });
}

static void
join(struct router *r, struct peer *p, struct bytes object)
{
	census_join(r, p, &(struct msg_join){ .app = B("1"),
	    .channel = B("presence-c"), .n = 1, .flags = JOIN_PRESENCE,
	    .user = object.n > 0 && object.n <= 1024 ? object : B("u"),
	    .member = object });
	control_ask(p, &(struct msg_ask){ .cookie = ++worker.cookie,
	    .line = B("{\"verb\":\"users\",\"channel\":\"presence-c\"}") });
}

static void
take(struct router *r, struct peer *p, unsigned kind, struct bytes text)
{
	switch (kind & 3) {
	case 0:
		control_ask(p, &(struct msg_ask){
		    .cookie = ++worker.cookie, .line = text });
		break;
	case 1:
		inspect_heard(p, &(struct msg_inspected){
		    .cookie = r->last_inspection - (kind >> 2 & 1),
		    .lines = text, .end = (kind & 64) != 0, .n = kind });
		break;
	case 2:
		publish(r, p, kind >> 2, text);
		break;
	case 3:
		join(r, p, text);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct router *r = router();
	struct peer *p = connect_worker(r);

	for (unsigned i = 0; i < NELEM(questions); i++)
		control_ask(p, &(struct msg_ask){ .cookie = ++worker.cookie,
		    .line = bytes_str(questions[i]) });
	/* Nonsense ends the link. */
	while (n >= 3 && !TAILQ_EMPTY(&r->peers)) {
		size_t size = (size_t)data[1] << 8 | data[2];

		if (size > n - 3)
			size = n - 3;
		take(r, p, data[0], bytes_of(data + 3, size));
		turn(r);
		data += 3 + size;
		n -= 3 + size;
	}
	if (!TAILQ_EMPTY(&r->peers))
		p->gone = true;
	turn(r);
	MUST(r->n_asks == 0 && r->n_controls == 0 && r->taps.n == 0);
	MUST(LIST_EMPTY(&r->controls) && LIST_EMPTY(&r->inspections));
	MUST(TAILQ_EMPTY(&r->answers) && counter.tails == 0);
	MUST(TAILQ_EMPTY(&r->peers) && counter.members == 0);
	close(worker.fd);
	return 0;
}
