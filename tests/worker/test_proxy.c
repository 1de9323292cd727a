/* SPDX-License-Identifier: MIT
 *
 * What proxies say about clients: src/common/ip.c, src/worker/proxy.c (PROXY
 * protocol), forwarded.c (X-Forwarded-For) and address.c (who is counted).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "tests/worker/test_core.h"
#include "worker/address.h"
#include "worker/forwarded.h"
#include "worker/proxy.h"
#include "worker/request.h"

/* ---- addresses ----------------------------------------------------------- */

static void
parse_addresses(void **state)
{
	static const struct {
		const char *text, *plain, *with_port;	/* NULL: refused */
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1" },
		{ "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1" },
		{ "2001:DB8:0::1", "2001:db8::1", "2001:db8::1" },
		{ "192.0.2.1:80", NULL, "192.0.2.1" },
		{ "[2001:db8::1]:65535", NULL, "2001:db8::1" },
		{ "[2001:db8::1]", NULL, "2001:db8::1" },
		{ "::ffff:192.0.2.1:80", NULL, NULL },
		{ "[2001:db8::1]:65536", NULL, NULL },
		{ "[2001:db8::1]x", NULL, NULL },
		{ "[192.0.2.1]:80", NULL, NULL },
		{ "[2001:db8::1", NULL, NULL },
		{ "[]", NULL, NULL },
		{ "192.0.2.1:", NULL, NULL },
		{ "192.0.2.1:x", NULL, NULL },
		{ "192.0.2", NULL, NULL },
		{ "192.0.2.01", NULL, NULL },
		{ "192.0.2.1 ", NULL, NULL },
		{ "fe80::1%eth0", NULL, NULL },
		{ "unknown", NULL, NULL },
		{ "", NULL, NULL },
		{ "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", NULL,
		    NULL },
	};
	char text[IP_TEXT];
	struct ip ip;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct bytes b = bytes_str(cases[i].text);

		if (cases[i].plain == NULL)
			assert_int_equal(ip_parse(b, &ip), -1);
		else {
			assert_int_equal(ip_parse(b, &ip), 0);
			assert_string_equal(ip_show(&ip, text),
			    cases[i].plain);
		}
		if (cases[i].with_port == NULL)
			assert_int_equal(ip_parse_port(b, &ip), -1);
		else {
			assert_int_equal(ip_parse_port(b, &ip), 0);
			assert_string_equal(ip_show(&ip, text),
			    cases[i].with_port);
		}
	}
	assert_int_equal(ip_parse(bytes_of("192.0.2.1\0x", 11), &ip), -1);
}

static bool
net_has(const char *net_text, const char *ip_text)
{
	struct ip_net net;
	struct ip ip;
	const char *why;

	assert_int_equal(ip_net_parse(bytes_str(net_text), &net, &why), 0);
	assert_int_equal(ip_parse(bytes_str(ip_text), &ip), 0);
	return ip_net_has(&net, &ip);
}

static void
networks(void **state)
{
	(void)state;
	assert_true(net_has("10.0.0.0/8", "10.255.255.255"));
	assert_false(net_has("10.0.0.0/8", "11.0.0.0"));
	assert_true(net_has("10.0.0.0/8", "::ffff:10.1.2.3"));
	assert_true(net_has("::ffff:10.0.0.0/104", "10.1.2.3"));
	assert_true(net_has("192.0.2.128/25", "192.0.2.128"));
	assert_false(net_has("192.0.2.128/25", "192.0.2.127"));
	assert_true(net_has("10.1.2.3/8", "10.9.9.9"));
	assert_true(net_has("192.0.2.1", "192.0.2.1"));
	assert_false(net_has("192.0.2.1", "192.0.2.2"));
	assert_true(net_has("192.0.2.1/32", "192.0.2.1"));
	assert_true(net_has("0.0.0.0/0", "203.0.113.9"));
	assert_false(net_has("0.0.0.0/0", "2001:db8::1"));
	assert_true(net_has("::/0", "2001:db8::1"));
	assert_false(net_has("::/0", "203.0.113.9"));
	assert_true(net_has("fd00::/8", "fdff::1"));
	assert_false(net_has("fd00::/8", "fe00::1"));
	assert_true(net_has("2001:db8::/127", "2001:db8::1"));
	assert_false(net_has("2001:db8::/127", "2001:db8::2"));
	assert_true(net_has("2001:db8::1", "2001:db8::1"));
}

static void
no_networks(void **state)
{
	static const char *const cases[] = { "", "/8", "10.0.0.0/", "10.0.0.0/x",
	    "10.0.0.0/33", "fd00::/129", "10.0.0.0/8/8", "proxy.example",
	    "10.0.0.0/-1", "10.0.0.0/4294967304", "*", "10.0.0.1:80" };
	struct ip_net net;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		why = NULL;
		assert_int_equal(ip_net_parse(bytes_str(cases[i]), &net, &why),
		    -1);
		assert_non_null(why);
	}
}

/* ---- the PROXY header ---------------------------------------------------- */

#define SIGNATURE	"\r\n\r\n\0\r\nQUIT\n"
#define V4		"\xc0\0\2\1" "\xc6\x33\x64\1" "\x9c\x40" "\x01\xbb"
#define V6		"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" \
			"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2" \
			"\x9c\x40" "\x01\xbb"
#define MAPPED		"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1" \
			"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\2" \
			"\x9c\x40" "\x01\xbb"

static const char nothing[216];

static const struct good {
	struct bytes	 text;
	enum proxy_who	 who;
	const char	*ip;
} good[] = {
	{ B("PROXY TCP4 192.0.2.1 198.51.100.1 40000 443\r\n"), PROXY_ADDRESS,
	    "192.0.2.1" },
	{ B("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	    PROXY_ADDRESS, "255.255.255.255" },
	{ B("PROXY TCP4 192.0.2.1 198.51.100.1 0 0\r\n"), PROXY_ADDRESS,
	    "192.0.2.1" },
	{ B("PROXY TCP6 2001:db8::1 2001:db8::2 40000 443\r\n"),
	    PROXY_ADDRESS, "2001:db8::1" },
	{ B("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n"),
	    PROXY_ADDRESS, "192.0.2.1" },
	{ B("PROXY UNKNOWN\r\n"), PROXY_NOBODY, NULL },
	{ B("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	    PROXY_NOBODY, NULL },
	{ B(SIGNATURE "\x21\x11\0\x0c" V4), PROXY_ADDRESS, "192.0.2.1" },
	{ B(SIGNATURE "\x21\x11\0\x13" V4 "\4\0\4abcd"), PROXY_ADDRESS,
	    "192.0.2.1" },
	{ B(SIGNATURE "\x21\x21\0\x24" V6), PROXY_ADDRESS, "2001:db8::1" },
	{ B(SIGNATURE "\x21\x21\0\x24" MAPPED), PROXY_ADDRESS, "192.0.2.1" },
	{ B(SIGNATURE "\x21\x12\0\x0c" V4), PROXY_NOBODY, NULL },
	{ B(SIGNATURE "\x21\x22\0\x24" V6), PROXY_NOBODY, NULL },
	{ B(SIGNATURE "\x21\0\0\0"), PROXY_NOBODY, NULL },
	{ B(SIGNATURE "\x20\0\0\0"), PROXY_SELF, NULL },
	{ B(SIGNATURE "\x20\x11\0\x0c" V4), PROXY_SELF, NULL },
	{ B(SIGNATURE "\x20\xff\0\3abc"), PROXY_SELF, NULL },
};

static ssize_t
parse(struct bytes in, struct proxy_header *h)
{
	const char *why = NULL;
	ssize_t n = proxy_parse(in, h, &why);

	assert_true((n < 0) == (why != NULL));
	return n;
}

/* Each in all pieces, with something behind it. */
static void
good_headers(void **state)
{
	static struct buf b;
	struct proxy_header h;
	char text[IP_TEXT];
	size_t i, n;

	(void)state;
	for (i = 0; i < NELEM(good); i++) {
		buf_clear(&b);
		buf_bytes(&b, good[i].text);
		buf_bytes(&b, B("\x16\x03\x01\r\n"));
		for (n = 0; n <= b.n; n++)
			assert_int_equal(parse(bytes_of(b.p, n), &h),
			    n < good[i].text.n ? 0 : good[i].text.n);
		assert_int_equal(h.who, good[i].who);
		if (good[i].ip != NULL)
			assert_string_equal(ip_show(&h.ip, text), good[i].ip);
	}
}

static void
unix_header(void **state)
{
	static struct buf b;
	struct proxy_header h;

	(void)state;
	buf_clear(&b);
	buf_bytes(&b, B(SIGNATURE "\x21\x31\0\xd8"));
	buf_bytes(&b, bytes_of(nothing, 215));
	assert_int_equal(parse(buf_view(&b), &h), 0);
	buf_char(&b, 0);
	assert_int_equal(parse(buf_view(&b), &h), 232);
	assert_int_equal(h.who, PROXY_UNIX);
}

static void
bad_headers(void **state)
{
	static const struct bytes cases[] = {
		B("GET / HTTP/1.1\r\n"), B("\x16\x03\x01"), B("PROXX"),
		B("proxy UNKNOWN\r\n"), B("\r\n\r\n\r\n"),
		B("PROXY \r\n"), B("PROXY\tTCP4"), B("PROXY UNKNOWN\n"),
		B("PROXY TCP5 192.0.2.1 192.0.2.1 1 2\r\n"),
		B("PROXY TCP4 192.0.2.1 192.0.2.1 1 2\n"),
		B("PROXY TCP4 192.0.2.1 192.0.2.1 1\r\n"),
		B("PROXY TCP4 192.0.2.1 192.0.2.1 1 2 \r\n"),
		B("PROXY TCP4 192.0.2.1 192.0.2.1 1 2 3\r\n"),
		B("PROXY TCP4  192.0.2.1 192.0.2.1 1 2\r\n"),
		B("PROXY TCP4 192.0.2.1 192.0.2.1 1 65536\r\n"),
		B("PROXY TCP4 192.0.2.1 192.0.2.1 01 2\r\n"),
		B("PROXY TCP4 192.0.2.1 192.0.2.1 -1 2\r\n"),
		B("PROXY TCP4 192.0.2.1 192.0.2 1 2\r\n"),
		B("PROXY TCP4 ::1 ::1 1 2\r\n"),
		B("PROXY TCP6 192.0.2.1 192.0.2.1 1 2\r\n"),
		B("PROXY TCP4\r\n"),
		B(SIGNATURE "\x11\x11\0\x0c" V4),
		B(SIGNATURE "\x31\x11\0\x0c" V4),
		B(SIGNATURE "\x22\x11\0\x0c" V4),
		B(SIGNATURE "\x21\x11\0\x0b" V4),
		B(SIGNATURE "\x21\x21\0\x0c" V4),
		B(SIGNATURE "\x21\x31\0\x0c" V4),
		B(SIGNATURE "\x21\x41\0\x0c" V4),
		B(SIGNATURE "\x21\x13\0\x0c" V4),
		B(SIGNATURE "\x21\x10\0\x0c" V4),
		B(SIGNATURE "\x21\x01\0\x0c" V4),
		B(SIGNATURE "\x21\x11\x07\xf1"),	/* too long by one */
		B(SIGNATURE "\x21\x11\xff\xff"),
	};
	struct proxy_header h;
	char line[PROXY_V1_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++)
		assert_int_equal(parse(cases[i], &h), -1);
	/* As long as it may be, and still no end. */
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	assert_int_equal(parse(bytes_of(line, PROXY_V1_MAX - 1), &h), 0);
	assert_int_equal(parse(bytes_of(line, PROXY_V1_MAX), &h), -1);
	memcpy(line + PROXY_V1_MAX - 2, "\r\n", 2);
	assert_int_equal(parse(bytes_of(line, PROXY_V1_MAX), &h),
	    PROXY_V1_MAX);
	memcpy(line + PROXY_V1_MAX - 2, "x\r\n", 3);
	assert_int_equal(parse(bytes_of(line, sizeof(line)), &h), -1);
}

/* Whatever comes in whatever pieces: what stands behind stays in the socket. */
static void
nothing_behind_is_read(void **state)
{
	static struct buf b;
	char room[PROXY_V2_MAX], rest[8];
	struct proxy_header h;
	size_t i, have, piece;
	ssize_t n;
	int fds[2];

	(void)state;
	for (i = 0; i < NELEM(good); i++)
		for (piece = 1; piece < 50; piece += 12) {
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0,
			    fds), 0);
			buf_clear(&b);
			buf_bytes(&b, good[i].text);
			buf_bytes(&b, B("behind"));
			for (have = 0, n = 0; b.n > 0;) {
				size_t out = b.n < piece ? b.n : piece;

				assert_int_equal(send(fds[0], b.p, out, 0),
				    out);
				buf_drop(&b, out);
				if (n > 0)
					continue;
				have += proxy_recv(fds[1], room, have);
				n = parse(bytes_of(room, have), &h);
			}
			assert_int_equal(n, good[i].text.n);
			assert_int_equal(have, n);
			assert_int_equal(recv(fds[1], rest, sizeof(rest),
			    MSG_DONTWAIT), 6);
			assert_int_equal(proxy_recv(fds[1], room, 0), -1);
			assert_int_equal(errno, EAGAIN);
			close(fds[0]);
			assert_int_equal(proxy_recv(fds[1], room, 0), 0);
			close(fds[1]);
		}
}

/* ---- X-Forwarded-For ----------------------------------------------------- */

static char *proxies[] = { (char []){ "10.0.0.0/8" }, (char []){ "fd00::/8" },
    (char []){ "unix" } };

static void
trust(size_t n)
{
	test_config.http.trusted_proxies.at = proxies;
	test_config.http.trusted_proxies.n = n;
	forwarded_init(&test_config);
}

/* Lines are apart by '|'. */
static const char *
who_is(const char *text)
{
	static char room[IP_TEXT];
	struct http_header lines[8];
	struct http_request req = { .headers = lines };
	struct bytes all = bytes_str(text);
	struct ip ip;

	while (text != NULL) {
		ptrdiff_t end = bytes_find(all, '|');

		assert_true(req.n_headers < NELEM(lines) - 1);
		lines[req.n_headers++] = (struct http_header){ B("Via"),
		    B("192.0.2.99") };
		lines[req.n_headers++] = (struct http_header){
			B("x-forwarded-FOR"), bytes_trim(bytes_of(all.p,
			end < 0 ? all.n : (size_t)end)) };
		if (end < 0)
			break;
		all = bytes_skip(all, (size_t)end + 1);
	}
	return forwarded_for(&req, &ip) ? ip_show(&ip, room) : NULL;
}

static void
forwarded_chains(void **state)
{
	static const struct {
		const char *text, *client;
	} cases[] = {
		{ "203.0.113.9", "203.0.113.9" },
		{ "203.0.113.9, 10.0.0.1", "203.0.113.9" },
		{ "203.0.113.9,10.0.0.1 ,\tfd00::1", "203.0.113.9" },
		{ "127.0.0.1, 203.0.113.9, 10.0.0.1", "203.0.113.9" },
		{ "10.0.0.7, 203.0.113.9, 10.0.0.1", "203.0.113.9" },
		{ "203.0.113.9|10.0.0.1", "203.0.113.9" },
		{ "198.51.100.7|203.0.113.9|10.0.0.1", "203.0.113.9" },
		{ "10.0.0.3, 10.0.0.2", "10.0.0.3" },
		{ "203.0.113.9, unknown, 10.0.0.1", "10.0.0.1" },
		{ "203.0.113.9|unknown|10.0.0.1", "10.0.0.1" },
		{ "203.0.113.9, unknown", NULL },
		{ "203.0.113.9, 10.0.0.1, 10.0.0.1 10.0.0.1", NULL },
		{ "203.0.113.9:4711, 10.0.0.1:80", "203.0.113.9" },
		{ "[2001:db8::1]:4711", "2001:db8::1" },
		{ "2001:db8::1", "2001:db8::1" },
		{ "::ffff:203.0.113.9, ::ffff:10.0.0.1", "203.0.113.9" },
		{ "203.0.113.9,,10.0.0.1,", "203.0.113.9" },
		{ "203.0.113.9||,|10.0.0.1", "203.0.113.9" },
		{ "", NULL },
		{ ",", NULL },
		{ NULL, NULL },
	};
	size_t i;

	(void)state;
	trust(2);
	for (i = 0; i < NELEM(cases); i++)
		if (cases[i].client == NULL)
			assert_null(who_is(cases[i].text));
		else
			assert_string_equal(who_is(cases[i].text),
			    cases[i].client);
}

static void
long_chains_are_not_walked(void **state)
{
	static struct buf b;
	unsigned i;

	(void)state;
	trust(1);
	buf_clear(&b);
	buf_str(&b, "203.0.113.9,10.0.0.2");
	for (i = 2; i < FORWARDED_MAX; i++)
		buf_str(&b, ",10.0.0.1");
	assert_string_equal(who_is(buf_cstr(&b)), "203.0.113.9");
	buf_str(&b, ",10.0.0.1");
	assert_string_equal(who_is(buf_cstr(&b)), "10.0.0.2");
}

/* ---- who is counted ------------------------------------------------------ */

static struct conn *
accepted(const char *from, bool proxy, int *peer)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct listener l = { .local = from == NULL, .proxy = proxy };
	struct conn *c;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	*peer = fds[0];
	if (from != NULL)
		assert_int_equal(inet_pton(AF_INET, from, &in.sin_addr), 1);
	c = conns_accept(fds[1], &l, from != NULL ?
	    (struct sockaddr *)&in : NULL);
	if (c == NULL) {
		close(fds[0]);
		close(fds[1]);
	}
	return c;
}

static void
end(struct conn *c, int peer)
{
	conn_kill(c, CLOSE_PEER_CLOSED);
	conns_turn();
	close(peer);
}

static void
turn(void)
{
	event_base_loop(worker.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	conns_turn();
}

static void
asks(struct conn *c, const char *forwarded)
{
	struct http_header line = { B("X-Forwarded-For"),
	    bytes_str(forwarded) };
	struct http_request req = { .headers = &line,
	    .n_headers = forwarded != NULL };

	address_request(c, &req);
}

static void
direct_ones_are_counted(void **state)
{
	struct conn *a, *b;
	int pa, pb, p;

	(void)state;
	trust(1);
	test_config.http.max_connections_per_address = 1;
	assert_non_null(a = accepted("192.0.2.1", false, &pa));
	assert_string_equal(conn_from(a), "192.0.2.1");
	assert_null(accepted("192.0.2.1", false, &p));
	assert_non_null(b = accepted("192.0.2.2", false, &pb));
	/* It is not to say who it is. */
	asks(a, "192.0.2.2");
	assert_string_equal(conn_from(a), "192.0.2.1");
	assert_int_equal(address_claim(a), 0);
	end(a, pa);
	assert_non_null(a = accepted("192.0.2.1", false, &pa));
	end(a, pa);
	end(b, pb);
}

static void
a_place_given_back_can_be_taken(void **state)
{
	struct conn *a, *b;
	int pa, pb, p;

	(void)state;
	trust(0);
	test_config.http.max_connections_per_address = 2;
	assert_non_null(a = accepted("192.0.2.1", false, &pa));
	assert_non_null(b = accepted("192.0.2.1", false, &pb));
	assert_null(accepted("192.0.2.1", false, &p));
	end(b, pb);
	assert_non_null(b = accepted("192.0.2.1", false, &pb));
	assert_null(accepted("192.0.2.1", false, &p));
	end(a, pa);
	end(b, pb);
}

static void
a_proxy_is_not_limited_its_clients_are(void **state)
{
	struct conn *c[4];
	int p[4];
	size_t i;

	(void)state;
	trust(1);
	test_config.http.max_connections_per_address = 1;
	for (i = 0; i < NELEM(c); i++)
		assert_non_null(c[i] = accepted("10.0.0.1", false, &p[i]));
	/* One connection may ask for many clients; none is counted for it. */
	asks(c[0], "192.0.2.1");
	assert_string_equal(conn_from(c[0]), "192.0.2.1");
	asks(c[0], "192.0.2.2");
	assert_string_equal(conn_from(c[0]), "192.0.2.2");
	asks(c[1], "192.0.2.2");
	assert_int_equal(address_claim(c[0]), 0);
	assert_int_equal(address_claim(c[0]), 0);
	assert_int_equal(address_claim(c[1]), -1);
	/* Who is not named any more is not the last one. */
	asks(c[1], NULL);
	assert_string_equal(conn_from(c[1]), "unix");
	assert_int_equal(address_claim(c[1]), 0);
	/* A trusted one that stands for itself. */
	asks(c[2], "10.0.0.9");
	asks(c[3], "10.0.0.9");
	assert_int_equal(address_claim(c[2]), 0);
	assert_int_equal(address_claim(c[3]), 0);
	end(c[0], p[0]);
	asks(c[3], "192.0.2.2");
	assert_int_equal(address_claim(c[3]), 0);
	for (i = 1; i < NELEM(c); i++)
		end(c[i], p[i]);
}

static void
a_limit_that_goes_takes_nobody_with_it(void **state)
{
	struct conn *a, *b;
	int pa, pb;

	(void)state;
	trust(0);
	test_config.http.max_connections_per_address = 0;
	assert_non_null(a = accepted("192.0.2.1", false, &pa));
	assert_null(a->address);
	test_config.http.max_connections_per_address = 1;
	assert_non_null(b = accepted("192.0.2.1", false, &pb));
	test_config.http.max_connections_per_address = 0;
	end(a, pa);
	end(b, pb);
}

static void
headers_name_and_are_counted(void **state)
{
	static const char head[] = "PROXY TCP4 192.0.2.1 192.0.2.9 1 2\r\n";
	struct conn *a, *b;
	int pa, pb, p;

	(void)state;
	trust(1);
	test_config.http.header_timeout = 1000;
	test_config.http.max_header_size = 8192;
	test_config.http.max_headers = 64;
	test_config.http.max_connections_per_address = 1;
	assert_null(accepted("192.0.2.3", true, &p));
	assert_non_null(a = accepted("10.0.0.1", true, &pa));
	assert_non_null(b = accepted("10.0.0.1", true, &pb));
	assert_ptr_equal(a->stage, &proxy_stage);
	assert_int_equal(send(pa, head, 20, 0), 20);
	turn();
	assert_ptr_equal(a->stage, &proxy_stage);
	assert_int_equal(send(pa, head + 20, strlen(head) - 20, 0),
	    strlen(head) - 20);
	turn();
	assert_ptr_equal(a->stage, &request_stage);
	assert_string_equal(conn_from(a), "192.0.2.1");
	/* The client was named, and is no proxy. */
	asks(a, "192.0.2.7");
	assert_string_equal(conn_from(a), "192.0.2.1");
	assert_int_equal(send(pb, head, strlen(head), 0), strlen(head));
	turn();
	assert_int_equal(conns_count(), 1);
	close(pb);
	end(a, pa);
}

/* A chain: the header names a proxy, that one's X-Forwarded-For is taken. */
static void
a_header_that_names_a_proxy(void **state)
{
	static const char inner[] = "PROXY TCP4 10.0.0.2 192.0.2.9 1 2\r\n",
	    unknown[] = "PROXY UNKNOWN\r\n";
	static const struct bytes own = B(SIGNATURE "\x20\0\0\0");
	struct conn *c;
	int p;

	(void)state;
	trust(1);
	test_config.http.max_connections_per_address = 1;
	assert_non_null(c = accepted("10.0.0.1", true, &p));
	send(p, inner, strlen(inner), 0);
	turn();
	assert_string_equal(conn_from(c), "10.0.0.2");
	asks(c, "192.0.2.7");
	assert_string_equal(conn_from(c), "192.0.2.7");
	end(c, p);
	/* Nobody knows who that is: it may not say. */
	assert_non_null(c = accepted("10.0.0.1", true, &p));
	send(p, unknown, strlen(unknown), 0);
	turn();
	assert_ptr_equal(c->stage, &request_stage);
	asks(c, "192.0.2.7");
	assert_null(c->address);
	end(c, p);
	/* The proxy for itself. */
	assert_non_null(c = accepted("10.0.0.1", true, &p));
	send(p, own.p, own.n, 0);
	turn();
	asks(c, "192.0.2.7");
	assert_string_equal(conn_from(c), "192.0.2.7");
	end(c, p);
}

static void
a_local_proxy(void **state)
{
	struct conn *c;
	int p;

	(void)state;
	trust(2);
	assert_null(accepted(NULL, true, &p));
	assert_non_null(c = accepted(NULL, false, &p));
	asks(c, "192.0.2.7");
	assert_string_equal(conn_from(c), "unix");
	end(c, p);
	trust(3);
	assert_non_null(c = accepted(NULL, true, &p));
	end(c, p);
	assert_non_null(c = accepted(NULL, false, &p));
	asks(c, "192.0.2.7");
	assert_string_equal(conn_from(c), "192.0.2.7");
	end(c, p);
}

static void
a_header_in_time(void **state)
{
	struct conn *c;
	int p;

	(void)state;
	trust(1);
	test_config.http.header_timeout = 10000;
	assert_non_null(c = accepted("10.0.0.1", true, &p));
	send(p, "PROXY ", 6, 0);
	turn();
	c->stage->tick(c, worker.now + 10);
	assert_false(c->dead);
	c->stage->tick(c, worker.now + 11);
	assert_true(c->dead);
	conns_turn();
	close(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_addresses),
		cmocka_unit_test(networks),
		cmocka_unit_test(no_networks),
		cmocka_unit_test(good_headers),
		cmocka_unit_test(unix_header),
		cmocka_unit_test(bad_headers),
		cmocka_unit_test(nothing_behind_is_read),
#define WITH_CORE(name) \
		cmocka_unit_test_setup_teardown(name, core_setup, \
		    core_teardown)
		WITH_CORE(forwarded_chains),
		WITH_CORE(long_chains_are_not_walked),
		WITH_CORE(direct_ones_are_counted),
		WITH_CORE(a_place_given_back_can_be_taken),
		WITH_CORE(a_proxy_is_not_limited_its_clients_are),
		WITH_CORE(a_limit_that_goes_takes_nobody_with_it),
		WITH_CORE(headers_name_and_are_counted),
		WITH_CORE(a_header_that_names_a_proxy),
		WITH_CORE(a_local_proxy),
		WITH_CORE(a_header_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
