/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/resolve.c: the test is master and router at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/util.h"
#include "master/master.h"
#include "master/resolver.h"

void	master_on_resolve(struct child *, struct ipc *,
	    const struct msg_resolve *);
void	master_on_lookup(struct child *, struct ipc *,
	    const struct msg_lookup *);

static struct child children[2], courier = { .slot = SLOT_COURIER };
static struct crew crew = { .at = children, .n = 2 };
static struct crew beside = { .at = &courier, .n = 1 };
static struct config_webhook hooks[2];
static struct ipc *router;
static struct config config;
static char path[] = "/tmp/peal-test-XXXXXX", host[200];
static int listener;

/* What the router got last. */
static unsigned answers;
static uint64_t cookie;
static char why[256], addresses[400];
static int fd = -1;

static int
on_message(void *ctx, struct ipc *ipc, unsigned type, struct unpacker *u,
    const char **wrong)
{
	struct msg_resolved r;
	struct msg_connected c;
	struct msg_found f;
	struct bytes at;

	(void)ctx, (void)ipc;
	answers++;
	why[0] = addresses[0] = '\0';
	if (type == MSG_connected) {
		assert_int_equal(msg_unpack_connected(u, &c, wrong), 0);
		cookie = c.cookie;
		fd = c.fd;
		return 0;
	}
	if (type == MSG_found) {
		assert_int_equal(msg_unpack_found(u, &f, wrong), 0);
		r = (struct msg_resolved){ .cookie = f.cookie,
			.addresses = f.addresses, .why = f.why };
	} else {
		assert_int_equal(type, MSG_resolved);
		assert_int_equal(msg_unpack_resolved(u, &r, wrong), 0);
	}
	cookie = r.cookie;
	snprintf(why, sizeof(why), "%.*s", (int)r.why.n, r.why.p);
	for (uint32_t i = 0; i < r.addresses.n; i++) {
		at = msg_list_at(&r.addresses, i);
		if (at.n == 4)
			snprintf(addresses + strlen(addresses), 20,
			    "%u.%u.%u.%u ", (unsigned char)at.p[0],
			    (unsigned char)at.p[1], (unsigned char)at.p[2],
			    (unsigned char)at.p[3]);
		else
			assert_int_equal(at.n, 16);
	}
	return 0;
}

static void
on_gone(void *ctx, struct ipc *ipc, const char *reason)
{
	(void)ctx, (void)ipc;
	fail_msg("the link ended: %s", reason);
}

static const struct ipc_ops ops = { .on_message = on_message,
	.on_gone = on_gone };

static int
set_up(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int ends[2];

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(host, sizeof(host), "%s/socket", path);
	strcpy(at.sun_path, host);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 10), 0);
	config.backplane.driver = BACKPLANE_REDIS;
	config.backplane.host = host;
	master.config = &config;
	master.exe = xstrdup("/proc/self/exe");
	config.peal.user = xstrdup("root");
	master.base = event_base_new();
	master.crew[CREW_IN_FORCE] = &crew;
	master.crew[CREW_BESIDE] = &beside;
	courier.crew = &beside;
	courier.generation = 1;
	config.webhook = hooks;
	children[0].crew = children[1].crew = &crew;
	children[1].slot = 1;
	children[0].generation = 1;
	assert_int_equal(ipc_pair(ends), 0);
	children[0].ipc = ipc_new(master.base, ends[0], false, &ops, NULL);
	router = ipc_new(master.base, ends[1], true, &ops, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	ipc_free(children[0].ipc);
	ipc_free(router);
	event_base_free(master.base);
	free(config.peal.user);
	free(master.exe);
	close(listener);
	unlink(host);
	rmdir(path);
	return 0;
}

static void
ask(const char *name)
{
	struct msg_resolve m = { .cookie = ++cookie, .host = bytes_str(name) };

	master_on_resolve(&children[0], children[0].ipc, &m);
}

static void
await(unsigned n)
{
	while (answers < n) {
		ipc_flush(children[0].ipc);
		event_base_loop(master.base, EVLOOP_ONCE);
		ipc_flush(children[0].ipc);
	}
}

static void
resolve(const char *name)
{
	uint64_t asked = cookie + 1;

	answers = 0;
	ask(name);
	await(1);
	assert_int_equal(cookie, asked);
}

static void
refused(const char *name, const char *expect)
{
	resolve(name);
	if (strstr(why, expect) == NULL || addresses[0] != '\0')
		fail_msg("%s: \"%s\" does not say \"%s\"", name, why, expect);
}

static void
test_names(void **state)
{
	(void)state;
	resolve("localhost");
	assert_string_equal(why, "");
	assert_non_null(strstr(addresses, "127.0.0.1 "));
	resolve("10.1.2.3");
	assert_string_equal(addresses, "10.1.2.3 ");
	refused("a..b", "");
	assert_true(why[0] != '\0');
}

static void
test_socket(void **state)
{
	int other;

	(void)state;
	fd = -1;
	resolve(host);
	assert_true(fd >= 0);
	other = accept(listener, NULL, NULL);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(other, why, 1), 1);
	close(fd);
	close(other);
	refused("/run/another.sock", "not the socket in the settings");
	refused("/", "not the socket in the settings");
	close(listener);
	refused(host, "refused");
	unlink(host);
	refused(host, "No such file");
}

static void
test_refused(void **state)
{
	struct msg_resolve m = { .cookie = 99, .host = B("a\0b") };

	(void)state;
	refused("", "no name");
	answers = 0;
	master_on_resolve(&children[0], children[0].ipc, &m);
	await(1);
	assert_string_equal(why, "that is no name");
	config.backplane.driver = BACKPLANE_NONE;
	refused("localhost", "no backplane");
	config.backplane.driver = BACKPLANE_REDIS;
	/* A worker has no such question. */
	answers = 0;
	m = (struct msg_resolve){ .cookie = 5, .host = B("localhost") };
	master_on_resolve(&children[1], children[0].ipc, &m);
	event_base_loop(master.base, EVLOOP_NONBLOCK);
	assert_int_equal(answers, 0);
}

static void
test_many(void **state)
{
	(void)state;
	answers = 0;
	for (int i = 0; i < 9; i++)
		ask("localhost");
	await(1);
	assert_string_equal(why, "too many names are looked up already");
	await(9);
	/* There is room again. */
	resolve("localhost");
	assert_string_equal(why, "");
}

/* The courier asks for the hosts of its targets, and for nothing else. */
static void
test_courier(void **state)
{
	static const char *const others[] = { "example.com", "localhos", "",
		"/run/another.sock", "peer" };
	struct msg_lookup m = { .cookie = 7, .host = B("LocalHost") };
	struct msg_resolve r = { .cookie = 8, .host = B("localhost") };

	(void)state;
	courier.ipc = children[0].ipc;
	hooks[0].url = xstrdup("https://localhost:8443/x?host=peer");
	hooks[1].url = xstrdup("http://10.1.2.3/");
	config.n_webhook = 2;
	answers = 0;
	master_on_lookup(&courier, courier.ipc, &m);
	await(1);
	assert_int_equal(cookie, 7);
	assert_string_equal(why, "");
	assert_non_null(strstr(addresses, "127.0.0.1 "));
	for (size_t i = 0; i < NELEM(others); i++) {
		m.host = bytes_str(others[i]);
		master_on_lookup(&courier, courier.ipc, &m);
		await((unsigned)i + 2);
		assert_string_equal(why, "that is no host of a webhook");
	}
	/* Nobody asks what is another's to ask. */
	answers = 0;
	m.host = B("localhost");
	master_on_lookup(&children[0], courier.ipc, &m);
	master_on_resolve(&courier, courier.ipc, &r);
	event_base_loop(master.base, EVLOOP_NONBLOCK);
	assert_int_equal(answers, 0);
	/* Many of one do not keep the other waiting. */
	for (int i = 0; i < 9; i++)
		master_on_lookup(&courier, courier.ipc, &m);
	await(1);
	assert_string_equal(why, "too many names are looked up already");
	ask("10.1.2.3");
	await(10);
	assert_int_equal(answers, 10);
	free(hooks[0].url);
	free(hooks[1].url);
	config.n_webhook = 0;
	courier.ipc = NULL;
}

/* A router that died meanwhile gets no answer to what another asked. */
static void
test_other_router(void **state)
{
	int n = 0;

	(void)state;
	answers = 0;
	ask("localhost");
	children[0].generation++;
	while (waitpid(-1, NULL, 0) > 0)
		n++;
	assert_true(n > 0);
	event_base_loop(master.base, EVLOOP_ONCE);
	ipc_flush(children[0].ipc);
	event_base_loop(master.base, EVLOOP_NONBLOCK);
	assert_int_equal(answers, 0);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_courier),
		cmocka_unit_test(test_other_router),
	};

	(void)argc;
	if (strcmp(argv[0], "peald: resolver") == 0)
		return resolver_main();
	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
