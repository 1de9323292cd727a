/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/config.c and, by way of it, config_reverb.c and
 * config_check.c: where a setting comes from, what differs, which socket.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/config_parts.h"
#include "common/util.h"

#define APP	"[app chat]\nid = 1\nkey = k\nsecret = s\n"

/* Settings of a text in memory; NULL with the complaint in `why`. */
static char why[1000];

static struct config *
load(const char *ini, struct config_source src)
{
	struct config_draft d;
	struct config *c = NULL;

	src.file = "t.ini";
	config_draft_init(&d);
	d.env.environ_ = src.environ_;
	if (config_draft_load(&d, &src, bytes_str(ini)) == 0) {
		c = d.config;
		d.config = NULL;
	}
	snprintf(why, sizeof why, "%s", buf_cstr(&d.why));
	config_draft_done(&d);
	return c;
}

static struct config *
load_good(const char *ini)
{
	struct config *c = load(ini, (struct config_source){ 0 });

	if (c == NULL)
		fail_msg("%s", why);
	return c;
}

static struct config *
load_env(const char *ini, const char *const *env)
{
	struct config *c;

	c = load(ini, (struct config_source){
	    .environ_ = (char *const *)(uintptr_t)env });
	if (c == NULL)
		fail_msg("%s", why);
	return c;
}

static void
test_defaults(void **state)
{
	struct config *c = load_good(APP);

	(void)state;
	assert_true(c->peal.workers >= 1 && c->peal.workers <= 64);
	assert_string_equal(c->peal.user, "peal");
	assert_int_equal(c->peal.jail, JAIL_ON);
	assert_null(c->peal.control);
	assert_int_equal(c->peal.watchdog, 5000);
	assert_int_equal(c->n_listen, 1);
	assert_null(c->listen[0].label);
	assert_int_equal(c->listen[0].address.n, 1);
	assert_string_equal(c->listen[0].address.at[0], "0.0.0.0:8080");
	assert_int_equal(c->listen[0].tls_min_version, TLS_1_2);
	assert_int_equal(c->http.max_request_size, 10000);
	assert_int_equal(c->backplane.driver, BACKPLANE_NONE);
	assert_int_equal(c->n_app, 1);
	assert_string_equal(c->app[0].label, "chat");
	/* What Reverb has, with its defaults. */
	assert_true(c->app[0].enabled);
	assert_string_equal(c->app[0].allowed_origins.at[0], "*");
	assert_int_equal(c->app[0].client_events, CLIENT_EVENTS_MEMBERS);
	assert_int_equal(c->app[0].activity_timeout, 30000);
	assert_int_equal(c->app[0].ping_interval, 60000);
	assert_int_equal(c->app[0].max_connections, 0);
	assert_int_equal(c->app[0].max_message_size, 10000);
	assert_false(c->app[0].rate_limiting);
	assert_int_equal(c->app[0].rate_limit_attempts, 60);
	assert_int_equal(c->app[0].rate_limit_window, 60000);
	assert_false(c->app[0].rate_limit_terminate);
	assert_false(c->debug);
	config_free(c);
}

static void
test_several_sections(void **state)
{
	struct config *c = load_good(APP "[listen]\naddress = 1\n"
	    "[app b]\nid = 2\nkey = l\nkey = m\nsecret = t\n"
	    "[listen two]\naddress = 127.0.0.1:2, unix:/x\n");

	(void)state;
	assert_int_equal(c->n_app, 2);
	assert_string_equal(c->app[1].label, "b");
	assert_int_equal(c->app[1].key.n, 2);
	assert_string_equal(c->app[1].key.at[1], "m");
	assert_int_equal(c->n_listen, 2);
	assert_string_equal(c->listen[0].address.at[0], ":1");
	assert_string_equal(c->listen[1].label, "two");
	assert_string_equal(c->listen[1].address.at[1], "unix:/x");
	config_free(c);
}

/* The variables of reverb.md, a.1 and a.2. */
static void
test_reverb_variables(void **state)
{
	static const char *const env[] = { "REVERB_APP_ID=123",
		"REVERB_APP_KEY=key", "REVERB_APP_SECRET=secret",
		"REVERB_SERVER_HOST=127.0.0.1", "REVERB_SERVER_PORT=9000",
		"REVERB_SERVER_PATH=ws/", "REVERB_HOST=ws.example",
		"REVERB_PORT=443", "REVERB_SCHEME=https",
		"REVERB_MAX_REQUEST_SIZE=5000", "REVERB_SERVER=reverb",
		"REVERB_SCALING_ENABLED=false", "REVERB_SCALING_CHANNEL=r",
		"REDIS_PORT=tcp://10.0.0.1:6379",
		"REVERB_APP_PING_INTERVAL=10",
		"REVERB_APP_ACTIVITY_TIMEOUT=20",
		"REVERB_APP_MAX_CONNECTIONS=100",
		"REVERB_APP_MAX_MESSAGE_SIZE=0",
		"REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=all",
		"REVERB_APP_RATE_LIMITING_ENABLED=TRUE",
		"REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS=5",
		"REVERB_APP_RATE_LIMIT_DECAY_SECONDS=2",
		"REVERB_APP_RATE_LIMIT_TERMINATE=(true)",
		"REVERB_PULSE_INGEST_INTERVAL=1",
		"REVERB_TELESCOPE_INGEST_INTERVAL=1", NULL };
	struct config *c = load_env("", env);

	(void)state;
	assert_string_equal(c->listen[0].address.at[0], "127.0.0.1:9000");
	assert_string_equal(c->http.path, "/ws");
	assert_string_equal(c->http.hostname, "ws.example");
	assert_int_equal(c->http.max_request_size, 5000);
	assert_int_equal(c->backplane.driver, BACKPLANE_NONE);
	assert_string_equal(c->backplane.channel, "r");
	assert_int_equal(c->n_app, 1);
	assert_string_equal(c->app[0].label, "reverb");
	assert_string_equal(c->app[0].id, "123");
	assert_string_equal(c->app[0].key.at[0], "key");
	assert_string_equal(c->app[0].secret, "secret");
	assert_int_equal(c->app[0].ping_interval, 10000);
	assert_int_equal(c->app[0].activity_timeout, 20000);
	assert_int_equal(c->app[0].max_connections, 100);
	assert_int_equal(c->app[0].max_message_size, 64 << 20);
	assert_int_equal(c->app[0].client_events, CLIENT_EVENTS_ALL);
	assert_true(c->app[0].rate_limiting);
	assert_int_equal(c->app[0].rate_limit_attempts, 5);
	assert_int_equal(c->app[0].rate_limit_window, 2000);
	assert_true(c->app[0].rate_limit_terminate);
	config_free(c);
}

/* Reverb takes them where scaling is on; a url goes before its parts. */
static void
test_redis_variables(void **state)
{
	static const char *const parts[] = { "REVERB_SCALING_ENABLED=true",
		"REVERB_SCALING_CHANNEL=ours", "REDIS_URL=null",
		"REDIS_HOST=tls://r", "REDIS_PORT=tcp://10.0.0.1:16379",
		"REDIS_USERNAME=u", "REDIS_PASSWORD=null", "REDIS_DB=3",
		"REDIS_TIMEOUT=7", NULL };
	static const char *const url[] = { "REVERB_SCALING_ENABLED=1",
		"REDIS_URL=redis://:p%40ss@[::1]:7/4", "REDIS_HOST=r",
		"REDIS_PORT=1", "REDIS_USERNAME=u", "REDIS_PASSWORD=other",
		"REDIS_DB=3", "REDIS_SCHEME=tls", NULL };
	static const char *const off[] = { "REVERB_SCALING_ENABLED=false",
		"REDIS_URL=nonsense", "REDIS_HOST=r", "REDIS_DB=many", NULL };
	struct config *c = load_env(APP, parts);

	(void)state;
	assert_int_equal(c->backplane.driver, BACKPLANE_REDIS);
	assert_string_equal(c->backplane.channel, "ours");
	assert_string_equal(c->backplane.host, "r");
	assert_int_equal(c->backplane.port, 16379);
	assert_true(c->backplane.tls);
	assert_string_equal(c->backplane.username, "u");
	assert_null(c->backplane.password);
	assert_int_equal(c->backplane.database, 3);
	assert_int_equal(c->backplane.timeout, 3000);
	config_free(c);
	c = load_env(APP "[backplane]\nurl = redis://f:file@file:9/9\n", url);
	assert_null(c->backplane.url);
	assert_string_equal(c->backplane.host, "::1");
	assert_int_equal(c->backplane.port, 7);
	assert_true(c->backplane.tls);
	assert_string_equal(c->backplane.username, "u");
	assert_string_equal(c->backplane.password, "p@ss");
	assert_int_equal(c->backplane.database, 4);
	config_free(c);
	c = load_env(APP, off);
	assert_int_equal(c->backplane.driver, BACKPLANE_NONE);
	assert_string_equal(c->backplane.host, "127.0.0.1");
	config_free(c);
}

/* What is named in the file's url, the single variables go before. */
static void
test_redis_precedence(void **state)
{
	static const char *const env[] = { "REVERB_SCALING_ENABLED=true",
		"REDIS_HOST=/run/redis.sock", "REDIS_PASSWORD=new", NULL };
	struct config *c = load_env(APP "[backplane]\n"
	    "url = redis://u:old@file:9/2\n", env);

	(void)state;
	assert_string_equal(c->backplane.host, "/run/redis.sock");
	assert_int_equal(c->backplane.port, 9);
	assert_string_equal(c->backplane.username, "u");
	assert_string_equal(c->backplane.password, "new");
	assert_int_equal(c->backplane.database, 2);
	config_free(c);
}

static void
test_laravel_words(void **state)
{
	static const struct {
		const char	*text;
		int		 events;
		bool		 limiting;
	} cases[] = {
		{ "true", CLIENT_EVENTS_NONE, true },
		{ "(true)", CLIENT_EVENTS_NONE, true },
		{ "1", CLIENT_EVENTS_NONE, true },
		{ "false", CLIENT_EVENTS_NONE, false },
		{ "(False)", CLIENT_EVENTS_NONE, false },
		{ "null", CLIENT_EVENTS_MEMBERS, false },
		{ "(NULL)", CLIENT_EVENTS_MEMBERS, false },
		{ "empty", CLIENT_EVENTS_MEMBERS, false },
		{ "", CLIENT_EVENTS_MEMBERS, false },
		{ "\"true\"", CLIENT_EVENTS_NONE, true },
	};
	char events[100], limiting[100];
	const char *env[] = { events, limiting, NULL };
	struct config *c;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		snprintf(events, sizeof events,
		    "REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=%s", cases[i].text);
		snprintf(limiting, sizeof limiting,
		    "REVERB_APP_RATE_LIMITING_ENABLED=%s", cases[i].text);
		c = load_env(APP, env);
		assert_int_equal(c->app[0].client_events, cases[i].events);
		assert_int_equal(c->app[0].rate_limiting, cases[i].limiting);
		config_free(c);
	}
}

static void
test_which_app(void **state)
{
	static const char two[] = APP "[app b]\nid = 2\nkey = l\nsecret = t\n";
	static const char *const same_id[] = { "REVERB_APP_ID=2",
		"REVERB_APP_SECRET=new", NULL };
	static const char *const new_id[] = { "REVERB_APP_ID=3",
		"REVERB_APP_KEY=n", "REVERB_APP_SECRET=new", NULL };
	static const char *const no_id[] = { "REVERB_APP_SECRET=new", NULL };
	struct config *c;

	(void)state;
	c = load_env(two, same_id);
	assert_int_equal(c->n_app, 2);
	assert_string_equal(c->app[0].secret, "s");
	assert_string_equal(c->app[1].secret, "new");
	config_free(c);
	c = load_env(two, new_id);
	assert_int_equal(c->n_app, 3);
	assert_string_equal(c->app[2].label, "reverb");
	config_free(c);
	c = load_env(APP, no_id);
	assert_string_equal(c->app[0].secret, "new");
	config_free(c);
	assert_null(load(two, (struct config_source){ .environ_ =
	    (char *const *)(uintptr_t)no_id }));
	assert_non_null(strstr(why, "REVERB_APP_ID is not set"));
}

static void
test_precedence(void **state)
{
	static const char ini[] = APP "[listen]\naddress = 10.0.0.1:1, :2\n"
	    "[http]\npath = file\n[peal]\nworkers = 1\n";
	static const char *const env[] = { "REVERB_SERVER_PORT=5",
		"REVERB_SERVER_PATH=env", NULL };
	struct config_source src = { .environ_ =
	    (char *const *)(uintptr_t)env };
	struct config *c = load_good(ini);

	(void)state;
	assert_int_equal(c->listen[0].address.n, 2);
	assert_string_equal(c->http.path, "/file");
	config_free(c);
	c = load(ini, src);
	assert_int_equal(c->listen[0].address.n, 1);
	assert_string_equal(c->listen[0].address.at[0], "10.0.0.1:5");
	assert_string_equal(c->http.path, "/env");
	config_free(c);
	src.host = "::1";
	src.path = "/";
	src.workers = "7";
	src.hostname = "h";
	src.debug = true;
	c = load(ini, src);
	assert_string_equal(c->listen[0].address.at[0], "[::1]:5");
	assert_null(c->http.path);
	assert_int_equal(c->peal.workers, 7);
	assert_string_equal(c->http.hostname, "h");
	assert_true(c->debug);
	config_free(c);
}

/* Names of what differs between two texts. */
static void
check_diff(const char *a, const char *b, const char *names, bool reload)
{
	struct config *x = load_good(a), *y = load_good(b);
	struct buf out = { 0 };
	bool need = !reload;

	config_diff(x, y, &out, &need);
	assert_string_equal(buf_cstr(&out), names);
	assert_int_equal(need, reload);
	config_free(x);
	config_free(y);
	buf_done(&out);
}

static void
test_diff(void **state)
{
	(void)state;
	check_diff(APP, APP, "", false);
	check_diff(APP, "[app chat]\nid = 1\nkey = k, l\nsecret = t\n",
	    "app.chat.key, app.chat.secret", false);
	check_diff(APP, APP "[app b]\nid = 2\nkey = l\nsecret = s\n", "app.b",
	    false);
	check_diff(APP "[app b]\nid = 2\nkey = l\nsecret = s\n", APP, "app.b",
	    false);
	check_diff(APP "[peal]\nworkers = 2\n", APP "[peal]\nworkers = 3\n",
	    "peal.workers", true);
	check_diff(APP, APP "[listen]\naddress = :1\n", "listen.address",
	    true);
	check_diff(APP "[listen]\naddress = :1\n",
	    APP "[listen]\naddress = :1\n[listen b]\naddress = :2\n",
	    "listen.b", true);
	check_diff(APP "[listen a]\naddress = :1\n[listen b]\naddress = :2\n",
	    APP "[listen b]\naddress = :2\n[listen a]\naddress = :1\n",
	    "listen", true);
	check_diff(APP, APP "[http]\npath = /x\n[peal]\nlog_level = debug\n",
	    "peal.log_level, http.path", false);
}

static void
check_control(const char *ini, const char *end)
{
	struct config *c = load_good(ini);
	char *path = config_control_path(c);
	size_t n = strlen(path), m = strlen(end);

	assert_true(path[0] == '/' && n >= m);
	assert_string_equal(path + n - m, end);
	free(path);
	config_free(c);
}

static void
test_control_path(void **state)
{
	(void)state;
	check_control(APP "[peal]\ncontrol = /x/y\n", "/x/y");
	check_control(APP, "/peal-8080.sock");
	check_control(APP "[listen]\naddress = unix:/a/b, 1.2.3.4:7\n",
	    "/peal-7.sock");
	check_control(APP "[listen]\naddress = unix:/a/b.sock\n",
	    "/peal-a-b.sock.sock");
	if (geteuid() == 0)
		return;
	setenv("XDG_RUNTIME_DIR", "/run/user/9", 1);
	check_control(APP, "/run/user/9/peal-8080.sock");
	unsetenv("XDG_RUNTIME_DIR");
	check_control(APP, "/peal-8080.sock");
}

static void
test_dump_loads_again(void **state)
{
	struct config *c = load_good("[app a]\nid = 1\nkey = x;y\n"
	    "secret = \" a # \\\" \\\\ $${b} ; \"\n"
	    "[http]\nhostname = \"\\\"\"\n"), *again;
	struct buf text = { 0 }, names = { 0 };
	bool reload;

	(void)state;
	assert_string_equal(c->app[0].secret, " a # \" \\ ${b} ; ");
	assert_string_equal(c->app[0].key.at[0], "x;y");
	config_dump(c, true, &text);
	again = load_good(buf_cstr(&text));
	config_diff(c, again, &names, &reload);
	assert_string_equal(buf_cstr(&names), "");
	buf_clear(&text);
	config_dump(c, false, &text);
	assert_null(strstr(buf_cstr(&text), "${b}"));
	assert_non_null(strstr(buf_cstr(&text), "secret = ***\n"));
	config_free(c);
	config_free(again);
	buf_done(&text);
	buf_done(&names);
}

static void
proxies(void **state)
{
	static const char *const good[] = {
		"[http]\ntrusted_proxies = 10.0.0.1, 10.0.0.0/8\n"
		    "trusted_proxies = fd00::/8, unix\n",
		"[http]\ntrusted_proxies = 127.0.0.1\n"
		    "[listen]\nproxy_protocol = yes\n",
		"[http]\ntrusted_proxies = unix\n"
		    "[listen]\naddress = unix:/x\nproxy_protocol = yes\n",
	};
	static const struct {
		const char *ini, *says;
	} bad[] = {
		{ "[http]\ntrusted_proxies = 10.0.0.1, proxy.example\n",
		    "proxy.example: not an address; allowed are" },
		{ "[http]\ntrusted_proxies = 10.0.0.0/33\n",
		    "10.0.0.0/33: behind the slash of an IPv4 network" },
		{ "[http]\ntrusted_proxies = *\n", "0.0.0.0/0 and ::/0 for "
		    "all" },
		{ "[listen]\naddress = :80\nproxy_protocol = yes\n",
		    "[listen] proxy_protocol: nobody may connect to :80: name "
		    "the proxy in [http] trusted_proxies, as its address" },
		{ "[http]\ntrusted_proxies = unix\n"
		    "[listen]\nproxy_protocol = yes\n", "nobody may connect" },
		{ "[http]\ntrusted_proxies = 127.0.0.1\n"
		    "[listen]\naddress = unix:/x\nproxy_protocol = yes\n",
		    "nobody may connect to unix:/x: name the proxy in [http] "
		    "trusted_proxies, as unix" },
	};
	char ini[500];
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(good); i++) {
		snprintf(ini, sizeof ini, "%s%s", good[i], APP);
		config_free(load_good(ini));
	}
	for (i = 0; i < NELEM(bad); i++) {
		snprintf(ini, sizeof ini, "%s%s", bad[i].ini, APP);
		assert_null(load(ini, (struct config_source){ 0 }));
		if (strstr(why, bad[i].says) == NULL)
			fail_msg("%s", why);
	}
}

/* ---- the default file ---------------------------------------------------- */

static int there, readable;	/* errno; 0: yes */

int	__wrap_access(const char *, int mode);

int
__wrap_access(const char *path, int mode)
{
	(void)path;
	errno = mode == F_OK ? there : readable;
	return errno == 0 ? 0 : -1;
}

/* Whoever starts peald with an .env needs not be able to read the settings of the
 * service; who names a file, or has no .env, does. */
static void
test_default_file(void **state)
{
	const struct config_source plain = { 0 }, env = { .env_file = ".env" },
	    named = { .file = "x.ini", .env_file = ".env" };

	(void)state;
	there = readable = 0;
	assert_non_null(config_file(&plain));
	assert_non_null(config_file(&env));
	assert_null(config_file_left_out(&env));
	readable = EACCES;
	assert_non_null(config_file(&plain));
	assert_null(config_file_left_out(&plain));
	assert_null(config_file(&env));
	assert_non_null(config_file_left_out(&env));
	assert_string_equal(config_file(&named), "x.ini");
	assert_null(config_file_left_out(&named));
	readable = EIO;
	assert_non_null(config_file(&env));
	there = readable = ENOENT;
	assert_null(config_file(&plain));
	assert_null(config_file(&env));
	assert_null(config_file_left_out(&env));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proxies),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_several_sections),
		cmocka_unit_test(test_reverb_variables),
		cmocka_unit_test(test_redis_variables),
		cmocka_unit_test(test_redis_precedence),
		cmocka_unit_test(test_laravel_words),
		cmocka_unit_test(test_which_app),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_default_file),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_control_path),
		cmocka_unit_test(test_dump_loads_again),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
