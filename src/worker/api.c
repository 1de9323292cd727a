/* SPDX-License-Identifier: MIT
 *
 * The HTTP API: which route, and the checks that every request goes through,
 * in Reverb's order: route, app, app disabled, signature; then the body is the
 * route's business.
 *
 * HEAD is GET without the body (request.c leaves it out).  OPTIONS is answered
 * with the methods there are and no CORS headers: no page of a browser has
 * business here.
 *
 * Runs in: workers.
 */
#include "worker/api.h"

#include <stdio.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/api_call.h"
#include "worker/api_wait.h"
#include "worker/auth.h"
#include "worker/demo.h"
#include "worker/usage.h"
#include "worker/health.h"
#include "worker/metrics.h"
#include "worker/page_files.h"
#include "worker/serve.h"
#include "worker/worker.h"

#define SEGMENTS_MAX	6
#define APP_SHOWN_MAX	200

static void	api_up(const struct api_in *);
static void	api_ready(const struct api_in *);
static void	api_demo(const struct api_in *);
static void	api_metrics(const struct api_in *);
static void	api_page(const struct api_in *);

struct route {
	enum http_method  method;
	const char	 *pattern;
	enum served	  served;
	bool		  open;		/* no app, no signature */
	void		(*run)(const struct api_in *);
};

/* A pattern's segment that starts with ':' takes anything but nothing. */
static const struct route routes[] = {
#define CALL(method, pattern, run) \
	{ method, pattern, SERVED_CLIENTS, false, run },
CALL(HTTP_POST, "/apps/:app/events", api_events)
CALL(HTTP_POST, "/apps/:app/batch_events", api_batch)
CALL(HTTP_GET,  "/apps/:app/channels", api_channels)
CALL(HTTP_GET,  "/apps/:app/channels/:name", api_channel)
CALL(HTTP_GET,  "/apps/:app/channels/:name/users", api_users)
CALL(HTTP_GET,  "/apps/:app/connections", api_connections)
CALL(HTTP_POST, "/apps/:app/users/:name/terminate_connections", api_terminate)
	{ HTTP_GET, "/up", SERVED_HEALTH, true, api_up },
	{ HTTP_GET, "/ready", SERVED_HEALTH, true, api_ready },
	{ HTTP_GET, "/", SERVED_CLIENTS, true, api_demo },
/* deprecated by Pusher, still in old libraries */
CALL(HTTP_POST, "/apps/:app/channels/:name/events", api_channel_event)
CALL(HTTP_GET,  "/apps/:app/channels/:name/stats", api_channel)
#undef CALL
};

/* Whose path is a setting.  They come first. */
static const struct place {
	bool		(*wants)(struct bytes path);
	struct route	  route;
} places[] = {
	{ metrics_wants,
	    { HTTP_GET, NULL, SERVED_METRICS, true, api_metrics } },
	{ page_wants, { HTTP_GET, NULL, SERVED_PAGE, true, api_page } },
};

/* What a path matched. */
struct match {
	const struct route	*route;
	bool			 get, post;	/* methods it has at all */
	struct bytes		 app, name;
};

/* ---- paths ------------------------------------------------------------- */

static struct bytes
prefix(void)
{
	return bytes_str(worker.config->http.path);
}

/* The segments between slashes, or 0: too many, or no slash in front. */
static size_t
split(struct bytes path, struct bytes *at)
{
	ptrdiff_t slash;
	size_t n = 0;

	while (path.n > 0 && path.p[0] == '/' && n < SEGMENTS_MAX) {
		path = bytes_skip(path, 1);
		slash = bytes_find(path, '/');
		at[n++] = bytes_of(path.p, slash < 0 ? path.n : (size_t)slash);
		path = bytes_skip(path, at[n - 1].n);
	}
	return path.n == 0 ? n : 0;
}

static bool
fits(const char *pattern, const struct bytes *path, size_t n, struct match *m)
{
	struct bytes want[SEGMENTS_MAX];
	size_t i;

	if (split(bytes_str(pattern), want) != n)
		return false;
	for (i = 0; i < n; i++) {
		if (want[i].n == 0 || want[i].p[0] != ':') {
			if (!bytes_eq(want[i], path[i]))
				return false;
		} else if (path[i].n == 0) {
			return false;
		}
	}
	m->app = n > 1 ? path[1] : bytes_of(NULL, 0);
	m->name = n > 3 ? path[3] : bytes_of(NULL, 0);
	return true;
}

/* True: this is the one. */
static bool
meets(const struct route *route, enum http_method method, struct match *m)
{
	m->get |= route->method == HTTP_GET;
	m->post |= route->method == HTTP_POST;
	if (route->method == method)
		m->route = route;
	return m->route != NULL;
}

/* route stays NULL if there is none for this method. */
static void
find_route(const struct request *r, struct match *m)
{
	enum http_method method = r->head.method == HTTP_HEAD ? HTTP_GET :
	    r->head.method;
	struct bytes path = r->head.path, at[SEGMENTS_MAX];
	size_t n, i;

	memset(m, 0, sizeof(*m));
	if (!serve_path(r->conn, &path))
		return;
	for (i = 0; i < NELEM(places); i++)
		if (serve_here(r->conn, places[i].route.served) &&
		    places[i].wants(path) &&
		    meets(&places[i].route, method, m))
			return;
	if ((n = split(path, at)) == 0)
		return;
	for (i = 0; i < NELEM(routes); i++) {
		if (!fits(routes[i].pattern, at, n, m) ||
		    !serve_here(r->conn, routes[i].served))
			continue;
		if (routes[i].run == api_demo && !worker.config->peal.demo)
			continue;
		if (meets(&routes[i], method, m))
			return;
	}
}

/* ---- checks ------------------------------------------------------------ */

static void
refuse_method(struct request *r, const struct match *m)
{
	const char *allow = m->get && m->post ?
	    "Allow: GET, HEAD, POST, OPTIONS\r\n" :
	    m->get ? "Allow: GET, HEAD, OPTIONS\r\n" :
	    "Allow: POST, OPTIONS\r\n";
	const char *plain = "text/plain; charset=utf-8";

	if (!m->get && !m->post)
		request_refuse(r, 404, "Not found.");
	else if (r->head.method == HTTP_OPTIONS)
		request_answer(r, 200, plain, allow, B(""));
	else
		request_answer(r, 405, plain, allow, B("Method not allowed."));
}

static void
refuse_app(struct request *r, struct bytes id)
{
	static struct buf words;

	buf_clear(&words);
	buf_str(&words, "No matching application for ID [");
	buf_bytes(&words, bytes_of(id.p, id.n < APP_SHOWN_MAX ? id.n :
	    APP_SHOWN_MAX));
	buf_str(&words, "].");
	request_refuse(r, 404, buf_cstr(&words));
}

static void
refused(const struct api_in *in, const char *why)
{
	const struct request *r = in->req;
	static struct buf more;

	buf_clear(&more);
	buf_fmt(&more, " req=%s why=%s", request_name(r),
	    log_value(bytes_str(why)));
	auth_refused(in->app, r->conn, "request", r->head.path,
	    buf_cstr(&more));
	request_refuse(in->req, 401, why);
}

static int
check_signature(const struct api_in *in)
{
	const struct request *r = in->req;
	const char *why;

	if (auth_request(in->app, &r->head, in->params, r->body, prefix(),
	    worker.config->http.timestamp_window, clock_wall_ms(), &why) == 0)
		return 0;
	refused(in, why);
	return -1;
}

/* Once, also of one that had to wait and comes again. */
static void
count(const struct api_in *in)
{
	if (!in->req->counted)
		usage_of(in->app, NULL)->requests++;
	in->req->counted = true;
}

static void
run_signed(struct api_in *in, const struct match *m)
{
	static struct params params;
	static struct buf id, name;

	buf_clear(&id);
	buf_clear(&name);
	if (http_decode(m->app, false, &id) != 0 ||
	    http_decode(m->name, false, &name) != 0 ||
	    !utf8_valid(buf_view(&name)) ||
	    params_read(&params, in->req->head.query) != 0) {
		request_refuse(in->req, 400, "Bad request.");
		return;
	}
	in->name = buf_view(&name);
	in->params = &params;
	if ((in->app = app_by_id(buf_view(&id))) == NULL)
		refuse_app(in->req, m->app);
	else if (!in->app->set->enabled)
		request_refuse(in->req, 403, "Application disabled.");
	else if (check_signature(in) == 0) {
		count(in);
		m->route->run(in);
	}
}

void
api_handle(struct request *r)
{
	struct api_in in = { .req = r };
	struct match m;

	find_route(r, &m);
	if (m.route == NULL)
		refuse_method(r, &m);
	else if (m.route->open)
		m.route->run(&in);
	else
		run_signed(&in, &m);
}

/* ---- routes of its own ------------------------------------------------- */

static void
api_up(const struct api_in *in)
{
	request_answer(in->req, 200, NULL, NULL, B("{\"health\":\"OK\"}"));
}

/* 404 is for who wants that (HAProxy's disable-on-404): no new clients, but let
 * alone those that are there. */
static void
api_ready(const struct api_in *in)
{
	unsigned no = bytes_eq(in->req->head.query, B("not=404")) ? 404 : 503;
	const char *why = health_trouble();
	char text[64];

	snprintf(text, sizeof(text), "{\"ready\":%s%s%s%s}",
	    why == NULL ? "true" : "false",
	    why == NULL ? "" : ",\"why\":\"", why == NULL ? "" : why,
	    why == NULL ? "" : "\"");
	request_answer(in->req, why == NULL ? 200 : no, NULL,
	    "Cache-Control: no-store\r\n", bytes_str(text));
}

static void
api_metrics(const struct api_in *in)
{
	metrics_answer(in->req);
}

static void
api_page(const struct api_in *in)
{
	page_answer(in->req);
}

static void
api_demo(const struct api_in *in)
{
	request_answer(in->req, 200, "text/html; charset=utf-8",
	    "Cache-Control: no-store\r\n",
	    bytes_of(demo_page, demo_page_size));
}

bool
api_busy(const struct api_in *in)
{
	if (!uplink_full() && api_wait_none())
		return false;
	if (!api_wait(in->req))
		api_wait_refuse(in->req);
	return true;
}
