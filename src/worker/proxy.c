/* SPDX-License-Identifier: MIT
 *
 * The PROXY protocol: see proxy.h.
 */
#include <sys/socket.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/address.h"
#include "worker/conn.h"
#include "worker/forwarded.h"
#include "worker/proxy.h"
#include "worker/worker.h"

#define V2_HEAD		16

#define V2_SIGNATURE	12
static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* ---- version 1: a line of text ------------------------------------------- */

/* Takes the word up to the next space off the line. */
static struct bytes
next_word(struct bytes *line)
{
	ptrdiff_t space = bytes_find(*line, ' ');
	struct bytes word = *line;

	if (space < 0) {
		line->n = 0;
		return word;
	}
	word.n = (size_t)space;
	*line = bytes_skip(*line, (size_t)space + 1);
	return word;
}

static bool
is_port(struct bytes word)
{
	uint64_t n;

	return word.n <= 5 && bytes_u64(word, &n) == 0 && n <= 65535 &&
	    (word.n == 1 || word.p[0] != '0');
}

static bool
is_address(struct bytes word, bool v6, struct ip *ip)
{
	return (bytes_find(word, ':') >= 0) == v6 && ip_parse(word, ip) == 0;
}

/* What stands behind "PROXY ", without CR LF. */
static int
v1_words(struct bytes line, struct proxy_header *h, const char **why)
{
	struct bytes family = next_word(&line);
	struct ip to;
	bool v6 = bytes_eq(family, B("TCP6"));

	if (bytes_eq(family, B("UNKNOWN"))) {
		h->who = PROXY_NOBODY;
		return 0;
	}
	if (!v6 && !bytes_eq(family, B("TCP4"))) {
		*why = "neither TCP4, TCP6 nor UNKNOWN";
		return -1;
	}
	h->who = PROXY_ADDRESS;
	if (!is_address(next_word(&line), v6, &h->ip) ||
	    !is_address(next_word(&line), v6, &to)) {
		*why = "no address of its family";
		return -1;
	}
	if (!is_port(next_word(&line)) || line.n == 0 || !is_port(line)) {
		*why = "no port";
		return -1;
	}
	return 0;
}

static ssize_t
v1_parse(struct bytes in, struct proxy_header *h, const char **why)
{
	ptrdiff_t end;

	if (in.n > PROXY_V1_MAX)
		in.n = PROXY_V1_MAX;
	end = bytes_find(in, '\n');
	if (end < 0 && in.n < PROXY_V1_MAX)
		return 0;
	if (end < 1 || in.p[end - 1] != '\r') {
		*why = "its line does not end";
		return -1;
	}
	if (v1_words(bytes_of(in.p + 6, (size_t)end - 1 - 6), h, why) < 0)
		return -1;
	return end + 1;
}

/* ---- version 2: octets --------------------------------------------------- */

/* Families and protocols that exist, and how long their addresses are. */
static const struct v2_family {
	uint8_t		 family;	/* and protocol */
	uint8_t		 octets;
	enum proxy_who	 who;
} v2_families[] = {
	{ 0x00, 0, PROXY_NOBODY },
	{ 0x11, 12, PROXY_ADDRESS },	/* TCP over IPv4 */
	{ 0x12, 12, PROXY_NOBODY },	/* UDP */
	{ 0x21, 36, PROXY_ADDRESS },	/* TCP over IPv6 */
	{ 0x22, 36, PROXY_NOBODY },
	{ 0x31, 216, PROXY_UNIX },
	{ 0x32, 216, PROXY_NOBODY },
};

/* The addresses of a PROXY command. */
static int
v2_addresses(uint8_t family, struct bytes body, struct proxy_header *h,
    const char **why)
{
	size_t i;

	for (i = 0; i < NELEM(v2_families); i++)
		if (v2_families[i].family == family)
			break;
	if (i == NELEM(v2_families)) {
		*why = "a family or protocol that does not exist";
		return -1;
	}
	if (body.n < v2_families[i].octets) {
		*why = "shorter than its addresses";
		return -1;
	}
	h->who = v2_families[i].who;
	if (family == 0x11)
		ip_of_v4(body.p, &h->ip);
	else if (family == 0x21)
		memcpy(h->ip.b, body.p, sizeof(h->ip.b));
	return 0;
}

static ssize_t
v2_parse(struct bytes in, struct proxy_header *h, const char **why)
{
	const unsigned char *p = (const unsigned char *)in.p;
	size_t n;

	if (in.n < V2_HEAD)
		return 0;
	n = (size_t)p[14] << 8 | p[15];
	if (p[12] >> 4 != 2 || (p[12] & 15) > 1) {
		*why = "a version or command that does not exist";
		return -1;
	}
	if (n > PROXY_V2_MAX - V2_HEAD) {
		*why = "too long";
		return -1;
	}
	if (in.n < V2_HEAD + n)
		return 0;
	h->who = PROXY_SELF;
	if ((p[12] & 15) == 1 &&
	    v2_addresses(p[13], bytes_of(in.p + V2_HEAD, n), h, why) < 0)
		return -1;
	return (ssize_t)(V2_HEAD + n);
}

ssize_t
proxy_parse(struct bytes in, struct proxy_header *h, const char **why)
{
	static const struct bytes v1 = { "PROXY ", 6 };

	memset(h, 0, sizeof(*h));
	if (in.n == 0)
		return 0;
	if (memcmp(in.p, v1.p, in.n < v1.n ? in.n : v1.n) == 0)
		return v1_parse(in, h, why);
	if (memcmp(in.p, v2_signature,
	    in.n < V2_SIGNATURE ? in.n : V2_SIGNATURE) == 0)
		return v2_parse(in, h, why);
	*why = "no PROXY header";
	return -1;
}

/* ---- the stage ----------------------------------------------------------- */

ssize_t
proxy_recv(int fd, char *p, size_t have)
{
	struct proxy_header h;
	const char *why;
	ssize_t got, used;

	got = recv(fd, p + have, PROXY_V2_MAX - have, MSG_PEEK | MSG_DONTWAIT);
	if (got <= 0)
		return got;
	used = proxy_parse(bytes_of(p, have + (size_t)got), &h, &why);
	if (used > 0)
		got = used - (ssize_t)have;
	return recv(fd, p + have, (size_t)got, MSG_DONTWAIT);
}

void
proxy_refuse(const struct conn *c, const char *why)
{
	static struct notice notice;

	counter.proxy_refused++;
	address_log(&notice, c, "refused PROXY connection", why);
}

static size_t
proxy_input(struct conn *c, char *p, size_t n)
{
	struct proxy_header h;
	const char *why;
	ssize_t used = proxy_parse(bytes_of(p, n), &h, &why);

	if (used < 0) {
		proxy_refuse(c, why);
		conn_kill(c, CLOSE_PROXY_BAD);
		return n;
	}
	if (used == 0)
		return 0;
	if (h.who != PROXY_SELF)
		c->trusted = h.who == PROXY_ADDRESS ? forwarded_trusts(&h.ip) :
		    h.who == PROXY_UNIX && forwarded_trusts_local();
	if (h.who == PROXY_ADDRESS) {
		address_name(c, &h.ip);
		if (!c->trusted && address_count(c) < 0) {
			conn_kill(c, CLOSE_MANY);
			return n;
		}
	}
	conn_begin(c);
	return (size_t)used;
}

static void
proxy_tick(struct conn *c, uint32_t now)
{
	if (now < c->deadline)
		return;
	proxy_refuse(c, "too slow");
	conn_kill(c, CLOSE_HTTP_TIMEOUT);
}

static void
proxy_gone(struct conn *c, enum close_reason why)
{
	(void)c, (void)why;
}

const struct conn_stage proxy_stage = {
	.name = "proxy",
	.input = proxy_input,
	.tick = proxy_tick,
	.gone = proxy_gone,
};
