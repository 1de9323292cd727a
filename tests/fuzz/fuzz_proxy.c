/* SPDX-License-Identifier: MIT
 *
 * What proxies say about clients: the octets are a PROXY header, lines of
 * X-Forwarded-For, and a network.  A header must read the same whole and in
 * pieces, and X-Forwarded-For as by a second, slower reader.
 */
#include "fuzz.h"

#include "common/util.h"
#include "worker/forwarded.h"
#include "worker/proxy.h"

#define LINES	8
#define MANY	4096

static char *trusted[] = { (char []){ "10.0.0.0/8" }, (char []){ "fd00::/8" } };

static void
must_be_same(const struct proxy_header *a, const struct proxy_header *b)
{
	MUST(a->who == b->who);
	MUST(memcmp(&a->ip, &b->ip, sizeof(a->ip)) == 0);
}

static ssize_t
parse(struct bytes in, struct proxy_header *h)
{
	const char *why = NULL;
	ssize_t n = proxy_parse(in, h, &why);

	MUST(n >= -1 && n <= (ssize_t)in.n);
	MUST(n >= 0 || why != NULL);
	MUST(n <= PROXY_V2_MAX);
	/* Nobody waits for more than there may be. */
	MUST(n != 0 || in.n < PROXY_V2_MAX);
	return n;
}

static void
check_header(struct bytes in, size_t step)
{
	struct proxy_header whole, h;
	ssize_t n = parse(in, &whole), m = 0;
	size_t cut;

	for (cut = 0; cut <= in.n && m == 0; cut += step)
		m = parse(bytes_of(in.p, cut), &h);
	if (m > 0) {
		MUST(m == n);
		must_be_same(&whole, &h);
	}
	if (n > 0) {
		MUST(parse(bytes_of(in.p, (size_t)n), &h) == n);
		must_be_same(&whole, &h);
		MUST(parse(bytes_of(in.p, (size_t)n - 1), &h) == 0);
	}
	MUST(m >= 0 || n < 0);
}

static void
check_shown(const struct ip *ip)
{
	char text[IP_TEXT];
	struct ip again;

	MUST(ip_parse(bytes_str(ip_show(ip, text)), &again) == 0);
	MUST(memcmp(ip, &again, sizeof(again)) == 0);
}

/* From the left: all elements first, then back over them. */
static bool
read_slowly(const struct http_request *req, struct ip *out)
{
	static struct bytes all[MANY];
	size_t n = 0, seen = 0;
	bool found = false;
	struct ip ip;

	for (unsigned i = 0; i < req->n_headers; i++) {
		struct bytes v = req->headers[i].value;

		for (;;) {
			ptrdiff_t comma = bytes_find(v, ',');

			all[n] = v;
			if (comma >= 0)
				all[n].n = (size_t)comma;
			all[n] = bytes_trim(all[n]);
			n += all[n].n > 0;
			if (comma < 0 || n == MANY)
				break;
			v = bytes_skip(v, (size_t)comma + 1);
		}
	}
	while (n > 0 && seen++ < FORWARDED_MAX &&
	    ip_parse_port(all[--n], &ip) == 0) {
		*out = ip;
		found = true;
		if (!forwarded_trusts(&ip))
			break;
	}
	return found;
}

static void
check_forwarded(struct bytes in)
{
	struct http_header lines[LINES];
	struct http_request req = { .headers = lines };
	struct ip fast, slow;
	bool found;

	while (req.n_headers < LINES && in.n > 0) {
		ptrdiff_t end = bytes_find(in, '\n');
		struct bytes line = in;

		if (end >= 0)
			line.n = (size_t)end;
		lines[req.n_headers++] = (struct http_header){
			B("X-Forwarded-For"), bytes_trim(line) };
		in = end >= 0 ? bytes_skip(in, (size_t)end + 1) :
		    bytes_of(in.p, 0);
	}
	found = forwarded_for(&req, &fast);
	MUST(found == read_slowly(&req, &slow));
	if (!found)
		return;
	MUST(memcmp(&fast, &slow, sizeof(fast)) == 0);
	check_shown(&fast);
}

static void
check_net(struct bytes in)
{
	const char *why = NULL;
	struct ip_net net;

	if (ip_net_parse(in, &net, &why) < 0) {
		MUST(why != NULL);
		return;
	}
	MUST(net.bits <= 128);
	MUST(ip_net_has(&net, &net.ip) || net.bits < 96);
	check_shown(&net.ip);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct config config;
	struct bytes in;

	if (config.http.trusted_proxies.n == 0) {
		config.http.trusted_proxies.at = trusted;
		config.http.trusted_proxies.n = NELEM(trusted);
		forwarded_init(&config);
	}
	if (n < 1 || n >= MANY)
		return 0;
	/* The last octet says in what pieces: a header can be read as it is. */
	in = bytes_of(p, n - 1);
	check_header(in, (size_t)p[n - 1] % 64 + 1);
	check_forwarded(in);
	check_net(in);
	return 0;
}
