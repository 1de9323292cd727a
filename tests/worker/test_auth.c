/* SPDX-License-Identifier: MIT
 *
 * src/worker/auth.c: the published vectors of Pusher and Reverb, and every part
 * of a request's signature that may be wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/crypto.h"
#include "common/util.h"
#include "worker/auth.h"

static char *pusher_keys[] = { (char []){ "278d425bdf160c739803" },
    (char []){ "second" } };
static char *reverb_keys[] = { (char []){ "app-key" } };
static struct config_app sets[] = {
	{ .id = (char []){ "3" }, .key = { pusher_keys, 2 },
	    .secret = (char []){ "7ad3773142a6692b25b8" } },
	{ .id = (char []){ "123456" }, .key = { reverb_keys, 1 },
	    .secret = (char []){ "app-secret" } },
};
static struct config config = { .app = sets, .n_app = 2 };

static struct app *pusher, *reverb;

static const struct vector {
	struct app	**app;
	const char	 *auth, *socket, *channel, *data;
} vectors[] = {
	{ &pusher, "278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25"
	    "bba48f5369f135bf843651c3a4", "1234.1234", "private-foobar", NULL },
	{ &pusher, "278d425bdf160c739803:afaed3695da2ffd16931f457e338e6c9f2921f"
	    "a133ce7dac49f529792be6304c", "1234.1234", "presence-foobar",
	    "{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Pusher\"}}" },
	{ &pusher, "278d425bdf160c739803:31935e7d86dba64c2a90aed31fdc61869f9b22"
	    "ba9d8863bba239c03ca481bc80", "1234.1234", "presence-foobar",
	    "{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Channels\"}}" },
	{ &reverb, "app-key:eac53072418f048540e99a8514ba31f8f84de872c812c2511c0"
	    "14ab7da4cd25f", "1234.5678", "private-room", NULL },
	{ &reverb, "app-key:41bf4b33456ff2a84fb0b430b58c0b8fea926736689011a49c1"
	    "6c6aa94f32ecd", "1234.5678", "presence-room",
	    "{\"user_id\":\"7\",\"user_info\":{\"name\":\"Ann\"}}" },
};

static bool
channel(const struct vector *v, struct bytes auth)
{
	return auth_channel(*v->app, auth, bytes_str(v->socket),
	    bytes_str(v->channel), bytes_str(v->data));
}

static void
test_channels(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct bytes auth = bytes_str(v->auth);

		assert_true(channel(v, auth));
		/* one octet less, without the key, for another socket */
		assert_false(channel(v, bytes_of(auth.p, auth.n - 1)));
		assert_false(channel(v, bytes_skip(auth,
		    (size_t)bytes_find(auth, ':'))));
		assert_false(channel(v, bytes_skip(auth,
		    (size_t)bytes_find(auth, ':') + 1)));
		assert_false(auth_channel(*v->app, auth, B("1234.1235"),
		    bytes_str(v->channel), bytes_str(v->data)));
		assert_false(auth_channel(*v->app, auth, bytes_str(v->socket),
		    bytes_str(v->channel), B("{}")));
	}
	assert_false(auth_channel(pusher, B(""), B("1.1"), B("c"), B("")));
	/* the same digest under another key of the same app is good */
	assert_true(auth_channel(pusher, B("second:58df8b0c36d6982b82c3ecf6b466"
	    "2e34fe8c25bba48f5369f135bf843651c3a4"), B("1234.1234"),
	    B("private-foobar"), B("")));
	assert_false(auth_channel(pusher, B("app-key:58df8b0c36d6982b82c3ecf6b4"
	    "662e34fe8c25bba48f5369f135bf843651c3a4"), B("1234.1234"),
	    B("private-foobar"), B("")));
}

static void
test_users(void **state)
{
	static const struct bytes auth = BYTES("278d425bdf160c739803:4708d583da"
	    "da6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba");

	(void)state;
	assert_true(auth_user(pusher, auth, B("1234.1234"),
	    B("{\"id\":\"12345\"}")));
	assert_false(auth_user(pusher, auth, B("1234.1234"),
	    B("{\"id\":\"12346\"}")));
	assert_true(auth_user(reverb, B("app-key:8ec0344c9213077ebecad818feed86"
	    "688e35be148b72432f675aec4fcdcff27e"), B("1234.5678"),
	    B("{\"id\":\"7\"}")));
}

/* ---- requests ---------------------------------------------------------- */

static const char *why;

static int
request(const struct app *app, const char *method, const char *path,
    const char *query, const char *body, const char *prefix,
    uint64_t window_s, uint64_t now_s)
{
	static struct params ps;
	struct http_request r = {
		.method_text = bytes_str(method), .path = bytes_str(path),
		.query = bytes_str(query),
	};

	why = "";
	assert_int_equal(params_read(&ps, r.query), 0);
	return auth_request(app, &r, &ps, bytes_str(body), bytes_str(prefix),
	    window_s * 1000, now_s * 1000, &why);
}

#define PUSHER_QUERY "auth_key=278d425bdf160c739803&auth_timestamp=1353088179" \
	"&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f&" \
	"auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a" \
	"1f3f457e6c"
#define PUSHER_BODY "{\"name\":\"foo\",\"channels\":[\"project-3\"]," \
	"\"data\":\"{\\\"some\\\":\\\"data\\\"}\"}"

#define REVERB_AUTH "auth_key=app-key&auth_timestamp=1700000000&" \
	"auth_version=1.0"
#define REVERB_EVENTS "/apps/123456/events"
#define REVERB_BODY "{\"name\":\"a\",\"channel\":\"b\",\"data\":\"c\"}"
#define REVERB_MD5 "&body_md5=9b3510d6b66aacd0d275a74ae0b24b51"
#define REVERB_SIGNED "&auth_signature=8181af946f266024de281adcbaedd1ad23413f" \
	"891d446c6e424aa96d3fe81b9a"
#define REVERB_CHANNELS "&filter_by_prefix=presence-&info=user_count&" \
	"auth_signature=9e8545747b6a301f343f9478318f39bdc5f1e7f0931f25452f105b" \
	"4c8a4c29ed"

static void
test_requests(void **state)
{
	(void)state;
	assert_int_equal(request(pusher, "POST", "/apps/3/events",
	    PUSHER_QUERY, PUSHER_BODY, "", 600, 1353088179), 0);
	assert_int_equal(request(reverb, "POST", REVERB_EVENTS,
	    REVERB_AUTH REVERB_MD5 REVERB_SIGNED, REVERB_BODY, "", 600,
	    1700000000), 0);
	/* any order in the query */
	assert_int_equal(request(reverb, "GET", "/apps/123456/channels",
	    "info=user_count&filter_by_prefix=presence-&" REVERB_AUTH
	    "&auth_signature=9e8545747b6a301f343f9478318f39bdc5f1e7f0931f25452"
	    "f105b4c8a4c29ed", "", "", 600, 1700000000), 0);
	assert_int_equal(request(reverb, "GET", "/apps/123456/channels",
	    REVERB_AUTH REVERB_CHANNELS, "", "", 600, 1700000000), 0);
	/* signed without the prefix that it is sent with */
	assert_int_equal(request(reverb, "GET", "/ws/apps/123456/channels",
	    REVERB_AUTH REVERB_CHANNELS, "", "/ws", 600, 1700000000), 0);
	assert_int_equal(request(reverb, "GET", "/ws/apps/123456/channels",
	    REVERB_AUTH REVERB_CHANNELS, "", "", 600, 1700000000), -1);
}

static void
test_prefix_signed(void **state)
{
	struct bytes text[] = { B("GET\n/ws/apps/123456/channels\n"
	    REVERB_AUTH) };
	char query[200], hex[64];

	(void)state;
	hmac_sha256_hex(B("app-secret"), text, 1, hex);
	snprintf(query, sizeof(query), REVERB_AUTH "&auth_signature=%.64s",
	    hex);
	assert_int_equal(request(reverb, "GET", "/ws/apps/123456/channels",
	    query, "", "/ws", 600, 1700000000), 0);
}

static void
test_requests_refused(void **state)
{
	static const struct {
		const char *query, *body, *says;
	} cases[] = {
		{ "", REVERB_BODY, "Authentication signature invalid." },
		{ "auth_key=other&auth_timestamp=1700000000&auth_version=1.0"
		    REVERB_MD5 REVERB_SIGNED, REVERB_BODY,
		    "Authentication signature invalid." },
		{ "auth_key=app-key&auth_timestamp=1700000000&auth_version=1.1"
		    REVERB_MD5 REVERB_SIGNED, REVERB_BODY, "auth_version" },
		{ "auth_key=app-key&auth_timestamp=&auth_version=1.0"
		    REVERB_MD5 REVERB_SIGNED, REVERB_BODY, "a number" },
		{ REVERB_AUTH REVERB_SIGNED, REVERB_BODY,
		    "body_md5 is missing" },
		{ REVERB_AUTH REVERB_MD5 REVERB_SIGNED, REVERB_BODY " ",
		    "body_md5 is not" },
		{ REVERB_AUTH REVERB_MD5 REVERB_SIGNED, "", "body_md5 is not" },
		{ REVERB_AUTH REVERB_MD5, REVERB_BODY,
		    "Authentication signature invalid." },
		{ REVERB_AUTH REVERB_MD5 REVERB_SIGNED "&x=1", REVERB_BODY,
		    "Authentication signature invalid." },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		assert_int_equal(request(reverb, "POST", REVERB_EVENTS,
		    cases[i].query, cases[i].body, "", 600, 1700000000), -1);
		assert_non_null(strstr(why, cases[i].says));
	}
	assert_int_equal(request(reverb, "PUT", REVERB_EVENTS,
	    REVERB_AUTH REVERB_MD5 REVERB_SIGNED, REVERB_BODY, "", 600,
	    1700000000), -1);
	assert_int_equal(request(pusher, "POST", REVERB_EVENTS,
	    REVERB_AUTH REVERB_MD5 REVERB_SIGNED, REVERB_BODY, "", 600,
	    1700000000), -1);
}

static void
test_timestamp(void **state)
{
	static const struct {
		uint64_t	now, window;
		int		result;
	} cases[] = {
		{ 1700000600, 600, 0 }, { 1700000601, 600, -1 },
		{ 1699999400, 600, 0 }, { 1699999399, 600, -1 },
		{ 1800000000, 0, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++)
		assert_int_equal(request(reverb, "POST", REVERB_EVENTS,
		    REVERB_AUTH REVERB_MD5 REVERB_SIGNED, REVERB_BODY, "",
		    cases[i].window, cases[i].now), cases[i].result);
}

/* No secret set must not mean that anybody can sign. */
static void
test_no_secret(void **state)
{
	struct config_app set = sets[1];
	struct app app = { .set = &set };
	struct bytes text[] = { B("1.1:private-c") };
	char auth[80], hex[64];

	(void)state;
	set.secret = NULL;
	hmac_sha256_hex(B(""), text, 1, hex);
	snprintf(auth, sizeof(auth), "app-key:%.64s", hex);
	assert_false(auth_channel(&app, bytes_str(auth), B("1.1"),
	    B("private-c"), B("")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_prefix_signed),
		cmocka_unit_test(test_requests_refused),
		cmocka_unit_test(test_timestamp),
		cmocka_unit_test(test_no_secret),
	};

	crypto_init();
	apps_init(&config);
	pusher = app_by_id(B("3"));
	reverb = app_by_id(B("123456"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
