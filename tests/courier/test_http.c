/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier/http.c and name.c: where requests go, and where not.  TLS
 * servers are child processes, by OpenSSL itself.
 */
#include "rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/crypto.h"
#include "courier/http.h"

static struct rig *g;
static struct server *s;

static const char local_octets[] = { 127, 0, 0, 1 };
static const char other_octets[] = { 127, 0, 0, 2 };
static const char private_octets[] = { 10, 9, 8, 7 };
static const struct bytes local = { local_octets, 4 };
static const struct bytes other = { other_octets, 4 };

static void
settings(const char *courier)
{
	char *text = xasprintf("[courier]\n%s[webhook a]\n"
	    "url = http://target.example:%u/x\nevents = client_event\n"
	    "retry_for = 24h\n", courier, s->port);

	rig_settings(g, text);
	free(text);
}

static void
begin(const char *courier, const struct bytes *addresses, uint32_t n)
{
	g = rig_new("");
	s = server_new(g->base);
	g->addresses = addresses;
	g->n_addresses = n;
	settings(courier);
	rig_link(g);
}

static void
end(void)
{
	server_free(s);
	rig_free(g);	/* with the loop of both */
	g = NULL;
}

static struct target *
target(void)
{
	return TAILQ_FIRST(&g->courier->targets.all);
}

static void
say(void)
{
	rig_client(g, "room", "1");
	rig_acked(g);
}

static void
idle(void)
{
	rig_until(g, g->courier->targets.n == 0);
}

static void
expect_why(const char *why)
{
	rig_until(g, target()->failures == 1);
	if (strstr(target()->last_error, why) == NULL)
		fail_msg("%s", target()->last_error);
}

/* ---- names -------------------------------------------------------------------------- */

static void
names_are_asked_for(void **state)
{
	char host[40];

	(void)state;
	begin("allow = 127.0.0.1\n", &local, 1);
	say();
	idle();
	assert_string_equal(g->asked, "target.example");
	snprintf(host, sizeof(host), "target.example:%u", s->port);
	assert_string_equal(request_header(server_request(s, 0), "Host"),
	    host);
	say();
	idle();
	assert_int_equal(g->n_asked, 1);
	assert_int_equal(s->connections, 1);
	rig_later(g, NAME_GOOD_MS);
	say();
	idle();
	assert_int_equal(g->n_asked, 2);
	end();
}

static void
names_that_are_none(void **state)
{
	(void)state;
	begin("allow = 127.0.0.1\n", NULL, 0);
	say();
	expect_why("the name was not found: no such name");
	g->addresses = &local;
	g->n_addresses = 1;
	rig_later(g, TARGET_PAUSE_MAX);
	idle();
	end();
}

static void
no_answer_is_a_failure(void **state)
{
	(void)state;
	begin("allow = 127.0.0.1\n", &local, 1);
	g->mute = true;
	say();
	rig_until(g, g->n_asked == 1);
	rig_later(g, NAME_LATE_MS);
	expect_why("not looked up in time");
	/* An answer that comes now is nobody's. */
	g->mute = false;
	msg_pack_found(ipc_out(g->master), &(struct msg_found){
	    .cookie = g->cookie, .addresses_out = { &local, 1 } });
	rig_idle(g);
	rig_later(g, TARGET_PAUSE_MAX);
	idle();
	assert_int_equal(g->n_asked, 2);
	end();
}

/* ---- many names ------------------------------------------------------------------- */

#define NAMES	(3 * NAMES_ASKED)

static struct {
	uint64_t	 cookies[NAMES];
	char		 hosts[NAMES][8];
	unsigned	 n, found, refused;
} asked;

static void
on_ask(void *ctx, uint64_t cookie, struct bytes host)
{
	(void)ctx;
	assert_true(asked.n < NAMES);
	snprintf(asked.hosts[asked.n], sizeof(asked.hosts[0]), "%.*s",
	    (int)host.n, host.p);
	asked.cookies[asked.n++] = cookie;
}

static void
on_name(void *ctx, const struct addresses *list, const char *why)
{
	(void)ctx, (void)why;
	asked.found += list != NULL;
	asked.refused += list == NULL;
}

/* The master would refuse them, and that would count against targets. */
static void
no_more_names_are_asked_for_than_the_master_takes(void **state)
{
	struct msg_found found = { .why = B("no such name") };
	struct name_wait waits[NAMES];
	struct names names;
	char host[8];

	(void)state;
	memset(&asked, 0, sizeof(asked));
	names_init(&names, on_ask, NULL);
	for (unsigned i = 0; i < NAMES; i++) {
		waits[i] = (struct name_wait){ .found = on_name };
		snprintf(host, sizeof(host), "n%u", i);
		names_find(&names, bytes_str(host), &waits[i], 1);
	}
	assert_int_equal(asked.n, NAMES_ASKED);
	found.cookie = asked.cookies[3];
	names_found(&names, &found, 2);
	names_found(&names, &found, 2);		/* nobody's */
	assert_int_equal(asked.n, NAMES_ASKED + 1);
	assert_int_equal(asked.refused, 1);
	/* In the order in which they came; who went is not asked for. */
	names_leave(&waits[NAMES_ASKED + 1]);
	found.cookie = asked.cookies[0];
	names_found(&names, &found, 2);
	snprintf(host, sizeof(host), "n%u", NAMES_ASKED + 2);
	assert_string_equal(asked.hosts[NAMES_ASKED + 1], host);
	names_tick(&names, 1 + NAME_LATE_MS);
	names_tick(&names, 2 + NAME_LATE_MS);
	assert_int_equal(asked.n, 2 * NAMES_ASKED + 2);
	assert_int_equal(asked.refused, NAMES_ASKED + 2);
	names_tick(&names, 3 + 3 * NAME_LATE_MS);
	assert_int_equal(asked.n, NAMES - 1);
	names_tick(&names, 4 + 5 * NAME_LATE_MS);
	assert_int_equal(asked.refused, NAMES - 1);
	assert_int_equal(asked.found, 0);
	names_done(&names);
}

static void
private_addresses_are_refused(void **state)
{
	const struct bytes lan = { private_octets, 4 };

	(void)state;
	begin("", &local, 1);
	say();
	expect_why("its address 127.0.0.1 is private");
	assert_int_equal(s->connections, 0);
	end();
	begin("allow = 127.0.0.0/8\n", &lan, 1);
	say();
	expect_why("its address 10.9.8.7 is private");
	end();
}

/* What was good for a name is not for ever. */
static void
names_may_change_their_mind(void **state)
{
	(void)state;
	begin("allow = 127.0.0.1\n", &local, 1);
	say();
	idle();
	g->addresses = &other;
	rig_later(g, NAME_GOOD_MS);
	say();
	expect_why("its address 127.0.0.2 is private");
	assert_int_equal(s->n, 1);
	end();
}

/* Of several only those that are allowed, one after the other; the one that
 * works is first the next time. */
static void
addresses_are_tried_in_turn(void **state)
{
	const struct bytes all[] = { { private_octets, 4 }, other, local };

	(void)state;
	/* Nobody listens at the second. */
	begin("allow = 127.0.0.1, 127.0.0.2\n", all, 3);
	say();
	idle();
	say();
	idle();
	assert_int_equal(s->n, 2);
	assert_int_equal(s->connections, 1);
	assert_int_equal(target()->failures, 0);
	end();
}

/* The rules changed while a connection was kept open: it is not used again. */
static void
rules_hold_for_connections_that_are_open(void **state)
{
	(void)state;
	begin("allow = 127.0.0.1\n", &local, 1);
	say();
	idle();
	settings("");
	say();
	expect_why("private");
	assert_int_equal(s->n, 1);
	end();
}

static void
urls(void **state)
{
	char host[256];
	unsigned port;

	(void)state;
	assert_int_equal(http_url_host("http://a.example/x", host, &port), 0);
	assert_string_equal(host, "a.example");
	assert_int_equal(port, 80);
	assert_int_equal(http_url_host("https://[::1]:99/", host, &port), 0);
	assert_string_equal(host, "::1");
	assert_int_equal(port, 99);
	assert_int_equal(http_url_host("https://a", host, &port), 0);
	assert_int_equal(port, 443);
	assert_int_equal(http_url_host("ftp://a/", host, &port), -1);
	assert_int_equal(http_url_host("file:///etc/passwd", host, &port), -1);
	assert_int_equal(http_url_host("http://u@a/", host, &port), -1);
	assert_int_equal(http_url_host("http://user:word@a/", host, &port),
	    -1);
	assert_int_equal(http_url_host("a.example", host, &port), -1);
	assert_int_equal(http_url_host("", host, &port), -1);
	/* Other ways to write 127.0.0.1 are that. */
	assert_int_equal(http_url_host("http://0x7f.1/", host, &port), 0);
	assert_string_equal(host, "127.0.0.1");
}

/* ---- TLS ------------------------------------------------------------------------------ */

struct identity {
	EVP_PKEY	*key;
	X509		*cert;
};

static void
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* name: of the server, or NULL for an authority. */
static struct identity
certify(const char *name, const struct identity *issuer)
{
	struct identity who = { EVP_EC_gen("P-256"), X509_new() };
	X509_NAME *subject = X509_get_subject_name(who.cert);
	static long serial = 1;
	char alt[100], authority[20];

	snprintf(authority, sizeof(authority), "root %ld", serial);

	X509_set_version(who.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(who.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(who.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(who.cert), 3600);
	X509_set_pubkey(who.cert, who.key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)(name != NULL ? name : authority), -1, -1,
	    0);
	if (issuer == NULL)
		issuer = &who;
	X509_set_issuer_name(who.cert, X509_get_subject_name(issuer->cert));
	extend(who.cert, issuer->cert, NID_basic_constraints,
	    name == NULL ? "critical,CA:TRUE" : "CA:FALSE");
	if (name != NULL) {
		snprintf(alt, sizeof(alt), "DNS:%s", name);
		extend(who.cert, issuer->cert, NID_subject_alt_name, alt);
	}
	assert_true(X509_sign(who.cert, issuer->key, EVP_sha256()) > 0);
	return who;
}

static void
forget(struct identity *who)
{
	EVP_PKEY_free(who->key);
	X509_free(who->cert);
}

/* One connection after the other: a request, 200. */
static void
serve(int fd, const struct identity *who)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	char in[8192];

	SSL_CTX_use_certificate(ctx, who->cert);
	SSL_CTX_use_PrivateKey(ctx, who->key);
	for (;;) {
		int peer = accept(fd, NULL, NULL);
		SSL *ssl = SSL_new(ctx);

		SSL_set_fd(ssl, peer);
		if (SSL_accept(ssl) == 1 && SSL_read(ssl, in, sizeof(in)) > 0)
			(void)!SSL_write(ssl, "HTTP/1.1 200 OK\r\n"
			    "Content-Length: 0\r\nConnection: close\r\n\r\n",
			    57);
		SSL_shutdown(ssl);
		SSL_free(ssl);
		close(peer);
	}
}

static pid_t
tls_server(const struct identity *who, unsigned *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof(at);
	pid_t pid;

	assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(fd, 10), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	*port = ntohs(at.sin_port);
	if ((pid = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd, who);
		_exit(0);
	}
	close(fd);
	return pid;
}

/* why: it is refused for that, or NULL. */
static void
over_tls(const struct identity *authority, const struct identity *who,
    const char *more, const char *why)
{
	char path[] = "/tmp/peal-ca-XXXXXX", *text;
	FILE *f = fdopen(mkstemp(path), "w");
	unsigned port;
	pid_t pid = tls_server(who, &port);

	PEM_write_X509(f, authority->cert);
	fclose(f);
	text = xasprintf("[courier]\nallow = 127.0.0.1\nca_file = %s\n"
	    "[webhook a]\nurl = https://target.example:%u/x\n"
	    "events = client_event\n%s", path, port, more);
	g = rig_new(text);
	rig_link(g);
	say();
	if (why == NULL)
		idle();
	else
		expect_why(why);
	rig_free(g);
	g = NULL;
	free(text);
	unlink(path);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void
certificates_are_checked(void **state)
{
	struct identity root = certify(NULL, NULL);
	struct identity stranger = certify(NULL, NULL);
	struct identity good = certify("target.example", &root);
	struct identity wrong = certify("other.example", &root);
	struct identity self = certify("target.example", NULL);

	(void)state;
	over_tls(&root, &good, "", NULL);
	over_tls(&stranger, &good, "", "certificate");
	over_tls(&root, &self, "", "certificate");
	over_tls(&root, &wrong, "", "certificate");
	over_tls(&root, &wrong, "verify = no\n", NULL);
	over_tls(&root, &self, "verify = no\n", NULL);
	forget(&root);
	forget(&stranger);
	forget(&good);
	forget(&wrong);
	forget(&self);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_asked_for),
		cmocka_unit_test(names_that_are_none),
		cmocka_unit_test(no_answer_is_a_failure),
		cmocka_unit_test(
		    no_more_names_are_asked_for_than_the_master_takes),
		cmocka_unit_test(private_addresses_are_refused),
		cmocka_unit_test(names_may_change_their_mind),
		cmocka_unit_test(addresses_are_tried_in_turn),
		cmocka_unit_test(rules_hold_for_connections_that_are_open),
		cmocka_unit_test(urls),
		cmocka_unit_test(certificates_are_checked),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
