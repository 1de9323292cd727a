/* SPDX-License-Identifier: MIT
 *
 * Pusher's signatures; see auth.h.
 */
#include "worker/auth.h"

#include <inttypes.h>

#include "common/counters.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/conn.h"
#include "worker/notice.h"
#include "worker/worker.h"

#define LINES_A_SECOND	9	/* a flood of guesses must not fill the disk */

/* The log itself leaves none out. */
_Static_assert(LINES_A_SECOND * (LOG_WINDOW / 1000 + 1) <= LOG_REPEATS,
    "each second has its lines");

static const char wrong[] = "Authentication signature invalid.";

static bool
signed_by(const struct app *app, const struct bytes *parts, size_t n,
    struct bytes hex)
{
	char expected[64];

	if (app->set->secret == NULL || app->set->secret[0] == '\0')
		return false;
	hmac_sha256_hex(bytes_str(app->set->secret), parts, n, expected);
	return equal_secret(hex, bytes_of(expected, sizeof(expected)));
}

/* "KEY:hex": the key must be the app's. */
static bool
split_auth(const struct app *app, struct bytes auth, struct bytes *hex)
{
	ptrdiff_t colon = bytes_find(auth, ':');

	if (colon < 0 || !app_has_key(app, bytes_of(auth.p, (size_t)colon)))
		return false;
	*hex = bytes_skip(auth, (size_t)colon + 1);
	return true;
}

bool
auth_channel(const struct app *app, struct bytes auth, struct bytes socket,
    struct bytes channel, struct bytes data)
{
	const struct bytes parts[] = { socket, B(":"), channel, B(":"), data };
	struct bytes hex;

	return split_auth(app, auth, &hex) &&
	    signed_by(app, parts, data.n > 0 ? 5 : 3, hex);
}

bool
auth_user(const struct app *app, struct bytes auth, struct bytes socket,
    struct bytes data)
{
	const struct bytes parts[] = { socket, B("::user::"), data };
	struct bytes hex;

	return split_auth(app, auth, &hex) && signed_by(app, parts, 3, hex);
}

/* ---- requests ---------------------------------------------------------- */

static struct bytes
get(const struct params *ps, const char *name)
{
	static struct buf room;

	return params_get(ps, bytes_str(name), &room);
}

static int
check_time(struct bytes value, uint64_t window_ms, uint64_t now_ms,
    const char **why)
{
	uint64_t sent, now = now_ms / 1000, off;

	if (bytes_u64(value, &sent) != 0) {
		*why = "Authentication signature invalid: "
		    "auth_timestamp must be a number.";
		return -1;
	}
	off = sent > now ? sent - now : now - sent;
	if (window_ms > 0 && off > window_ms / 1000) {
		*why = "Authentication signature invalid: "
		    "auth_timestamp is too far from this server's time.";
		return -1;
	}
	return 0;
}

/* A body must be signed; body_md5 without a body is that of nothing. */
static int
check_md5(struct bytes value, struct bytes body, const char **why)
{
	char md5[32];

	if (value.p == NULL && body.n == 0)
		return 0;
	md5_hex(body, md5);
	if (bytes_eq(value, bytes_of(md5, sizeof(md5))) ||
	    bytes_ieq(value, bytes_of(md5, sizeof(md5))))
		return 0;
	*why = value.p == NULL ?
	    "Authentication signature invalid: body_md5 is missing." :
	    "Authentication signature invalid: "
	    "body_md5 is not the MD5 of the body.";
	return -1;
}

/* The digest over METHOD\nPATH\nQUERY, with and without the path's prefix. */
static bool
check_signature(const struct app *app, const struct http_request *req,
    struct bytes prefix, struct bytes query, struct bytes hex)
{
	struct bytes parts[] = { req->method_text, B("\n"), req->path, B("\n"),
	    query };
	bool good;

	good = signed_by(app, parts, NELEM(parts), hex);
	if (prefix.n > 0 && bytes_starts(req->path, prefix)) {
		parts[2] = bytes_skip(req->path, prefix.n);
		good |= signed_by(app, parts, NELEM(parts), hex);
	}
	return good;
}

int
auth_request(const struct app *app, const struct http_request *req,
    const struct params *ps, struct bytes body, struct bytes path_prefix,
    uint64_t window_ms, uint64_t now_ms, const char **why)
{
	static struct buf query;

	if (!app_has_key(app, get(ps, "auth_key"))) {
		*why = wrong;
		return -1;
	}
	if (!bytes_eq(get(ps, "auth_version"), B("1.0"))) {
		*why = "Authentication signature invalid: "
		    "auth_version must be 1.0.";
		return -1;
	}
	if (check_time(get(ps, "auth_timestamp"), window_ms, now_ms,
	    why) != 0 || check_md5(get(ps, "body_md5"), body, why) != 0)
		return -1;
	buf_clear(&query);
	params_sorted(ps, B("auth_signature"), &query);
	if (!check_signature(app, req, path_prefix, buf_view(&query),
	    get(ps, "auth_signature"))) {
		*why = wrong;
		return -1;
	}
	return 0;
}

/* ---- the log ----------------------------------------------------------- */

void
auth_refused(const struct app *app, const struct conn *conn, const char *what,
    struct bytes name, const char *more)
{
	static struct notice notice;

	counter.signatures_refused++;
	if (notice_due(&notice, LINES_A_SECOND))
		notice_said(&notice, log_info("refused signature of=%s name=%s"
		    " from=%s conn=%s app=%s%s left_out=%" PRIu64, what,
		    log_value(name), conn_from(conn), conn_name(conn),
		    log_value(app->id), more, notice.left_out));
}
