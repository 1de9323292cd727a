/* SPDX-License-Identifier: MIT
 *
 * POST requests, see http.h.
 *
 * libcurl's multi interface tells which sockets and what time it waits for; these
 * are events of the loop.  What ends in there is put into a list, and whoever
 * waits for it is told at the end of the turn: from inside libcurl nobody is
 * called that could call it.
 *
 * Runs in: the courier.
 */
#include <config.h>		/* of configure, not our own */

#include "courier/http.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/util.h"
#include "courier/curl_late.h"

#define CONNECT_MS	3000	/* for an address while there are others */
#define IDLE_MAX	64L	/* connections that are kept open */

struct http {
	CURLM		*multi;
	struct event_base *base;
	struct event	*timer;
	const struct address_rules *rules;
	struct names	*names;
	struct bytes	 authorities;
	TAILQ_HEAD(, transfer) running, over;
};

struct transfer {
	TAILQ_ENTRY(transfer) link;
	struct http	*http;
	bool		 is_over;
	CURL		*easy;		/* of the attempt under way */
	struct curl_slist *lines, *connect_to;
	char		*url;
	char		 host[256];
	unsigned	 port;
	uint64_t	 deadline;
	struct name_wait wait;
	struct addresses addresses;	/* that are allowed */
	unsigned	 next;		/* to be tried */
	struct ip	 at;		/* being tried */
	bool		 elsewhere;	/* it led where none may go */
	bool		 answered;	/* the head of a response is whole */
	size_t		 head, answer;	/* octets of it */
	struct http_post post;
	struct http_result result;
	char		 error[CURL_ERROR_SIZE];
	char		 why[CURL_ERROR_SIZE + 64];
};

/* ---- the end of a transfer ------------------------------------------------------ */

static void
attempt_end(struct transfer *t)
{
	if (t->easy != NULL) {
		curl_multi_remove_handle(t->http->multi, t->easy);
		curl_easy_cleanup(t->easy);
		t->easy = NULL;
	}
	curl_slist_free_all(t->connect_to);
	t->connect_to = NULL;
}

static void
transfer_free(struct transfer *t)
{
	names_leave(&t->wait);
	attempt_end(t);
	curl_slist_free_all(t->lines);
	free(t->url);
	free(t);
}

static void
over(struct transfer *t, unsigned status, const char *why)
{
	names_leave(&t->wait);
	attempt_end(t);
	t->result.status = status;
	if (why != NULL && why != t->why)
		snprintf(t->why, sizeof(t->why), "%s", why);
	t->result.why = why != NULL ? t->why : NULL;
	TAILQ_REMOVE(&t->http->running, t, link);
	TAILQ_INSERT_TAIL(&t->http->over, t, link);
	t->is_over = true;
}

static void
answered(struct transfer *t, long status)
{
	curl_off_t seconds = 0;

	names_prefer(t->http->names, bytes_str(t->host), &t->at);
	if (status >= 200 && status < 300) {
		over(t, (unsigned)status, NULL);
		return;
	}
	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &seconds);
	if (seconds > 0)
		t->result.retry_after_ms = seconds > HTTP_RETRY_MAX / 1000 ?
		    HTTP_RETRY_MAX : (uint64_t)seconds * 1000;
	snprintf(t->why, sizeof(t->why), "answered with %ld", status);
	over(t, (unsigned)status, t->why);
}

static void attempt(struct transfer *);

/* Nothing of the request has left. */
static bool
not_begun(CURL *easy, CURLcode code)
{
	curl_off_t begun = 0;

	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &begun);
	return begun == 0 && (code == CURLE_COULDNT_CONNECT ||
	    code == CURLE_OPERATION_TIMEDOUT);
}

static void
attempt_over(struct transfer *t, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (t->answered && status >= 200) {
		answered(t, status);
		return;
	}
	if (t->elsewhere)
		snprintf(t->why, sizeof(t->why), "it led to a private address");
	else if (t->head > HTTP_HEAD_MAX)
		snprintf(t->why, sizeof(t->why), "an answer with too long a "
		    "head");
	else
		snprintf(t->why, sizeof(t->why), "%s", t->error[0] != '\0' ?
		    t->error : curl_easy_strerror(code));
	if (not_begun(t->easy, code) && t->next < t->addresses.n) {
		attempt_end(t);
		attempt(t);
	} else
		over(t, 0, t->why);
}

/* ---- the loop and libcurl ------------------------------------------------------ */

static void
look(struct http *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		CURLcode code = m->data.result;
		void *t = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE,
		    (char **)&t);
		attempt_over(t, code);
	}
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	int running, bits = (what & EV_READ ? CURL_CSELECT_IN : 0) |
	    (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	curl_multi_socket_action(h->multi, fd, bits, &running);
	look(h);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	int running;

	(void)fd, (void)what;
	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	look(h);
}

static int
on_want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *ev)
{
	struct http *h = arg;
	struct event *e = ev;

	(void)easy;
	if (e != NULL)
		event_free(e);
	e = NULL;
	if (what != CURL_POLL_REMOVE) {
		e = event_new(h->base, fd, EV_PERSIST |
		    (what & CURL_POLL_IN ? EV_READ : 0) |
		    (what & CURL_POLL_OUT ? EV_WRITE : 0), on_socket, h);
		if (e == NULL || event_add(e, NULL) < 0)
			fatal("no event for a request");
	}
	curl_multi_assign(h->multi, fd, e);
	return 0;
}

static int
on_want_timer(CURLM *multi, long ms, void *arg)
{
	struct timeval in = timeval_ms(ms > 0 ? (uint64_t)ms : 0);
	struct http *h = arg;

	(void)multi;
	if (ms < 0)
		event_del(h->timer);
	else
		event_add(h->timer, &in);
	return 0;
}

/* ---- where a connection leads ---------------------------------------------------- */

static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = arg;
	struct ip ip;

	(void)purpose;
	if (ip_of_sockaddr(&to->addr, &ip) < 0 ||
	    !address_allowed(t->http->rules, &ip)) {
		t->elsewhere = true;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    to->protocol);
}

#if LIBCURL_VERSION_NUM >= 0x075000
/* Also of a connection that was kept open: rules may have changed. */
static int
on_request(void *arg, char *ip_text, char *own, int port, int own_port)
{
	struct transfer *t = arg;
	struct ip ip;

	(void)own, (void)port, (void)own_port;
	if (ip_parse(bytes_str(ip_text), &ip) == 0 &&
	    address_allowed(t->http->rules, &ip))
		return CURL_PREREQFUNC_OK;
	t->elsewhere = true;
	return CURL_PREREQFUNC_ABORT;
}
#endif

/* ---- what comes back --------------------------------------------------------------- */

static size_t
on_head(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	long status = 0;

	n *= size;
	t->head += n;
	if (t->head > HTTP_HEAD_MAX)
		return 0;
	if (n > 0 && (p[0] == '\r' || p[0] == '\n')) {
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status >= 200)
			t->answered = true;
	}
	return n;
}

static size_t
on_answer(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)p;
	n *= size;
	t->answer += n;
	return t->answer > HTTP_ANSWER_MAX ? 0 : n;
}

/* ---- an attempt -------------------------------------------------------------------- */

/* Whatever the URL names, the connection goes to this address. */
static struct curl_slist *
lead_to(const struct ip *ip, unsigned port)
{
	char text[IP_TEXT], line[IP_TEXT + 20];

	ip_show(ip, text);
	snprintf(line, sizeof(line), strchr(text, ':') != NULL ? "::[%s]:%u" :
	    "::%s:%u", text, port);
	return curl_slist_append(NULL, line);
}

static void
set_fixed(CURL *e, struct transfer *t)
{
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(e, CURLOPT_PROTOCOLS,
	    (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
	curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
#if LIBCURL_VERSION_NUM >= 0x075000
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_request);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
#endif
}

static bool
is_plain(const char *url)
{
	return strncasecmp(url, "http:", 5) == 0;
}

static void
set_tls(CURL *e, const struct transfer *t)
{
	struct bytes pem = t->http->authorities;
	struct curl_blob blob = { .data = (void *)(uintptr_t)pem.p,
	    .len = pem.n, .flags = CURL_BLOB_NOCOPY };

	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, t->post.verify ? 1L : 0L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, t->post.verify ? 2L : 0L);
	/* Those and no others.  libcurl copies them for each request, 200 KB. */
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
	if (pem.n > 0 && t->post.verify && !is_plain(t->url))
		curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &blob);
}

static void
set_request(CURL *e, const struct transfer *t, uint64_t left)
{
	uint64_t connect = t->next < t->addresses.n && left > CONNECT_MS ?
	    CONNECT_MS : left;

	curl_easy_setopt(e, CURLOPT_URL, t->url);
	curl_easy_setopt(e, CURLOPT_POST, 1L);
	curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->post.body.p);
	curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
	    (curl_off_t)t->post.body.n);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->lines);
	curl_easy_setopt(e, CURLOPT_CONNECT_TO, t->connect_to);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)left);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
}

static void
attempt(struct transfer *t)
{
	uint64_t now = clock_ms();

	if (now >= t->deadline) {
		over(t, 0, t->why[0] != '\0' ? t->why : "no answer in time");
		return;
	}
	t->at = t->addresses.at[t->next++];
	t->error[0] = '\0';
	t->elsewhere = t->answered = false;
	t->head = t->answer = 0;
	t->connect_to = lead_to(&t->at, t->port);
	if ((t->easy = curl_easy_init()) == NULL || t->connect_to == NULL)
		fatal("no memory for a request");
	set_fixed(t->easy, t);
	set_tls(t->easy, t);
	set_request(t->easy, t, t->deadline - now);
	if (curl_multi_add_handle(t->http->multi, t->easy) != CURLM_OK)
		over(t, 0, "the request could not be begun");
}

static void
on_found(void *ctx, const struct addresses *list, const char *why)
{
	struct transfer *t = ctx;
	char text[IP_TEXT];

	if (list == NULL) {
		over(t, 0, why);
		return;
	}
	for (unsigned i = 0; i < list->n; i++)
		if (address_allowed(t->http->rules, &list->at[i]))
			t->addresses.at[t->addresses.n++] = list->at[i];
	if (t->addresses.n > 0) {
		attempt(t);
		return;
	}
	snprintf(t->why, sizeof(t->why), "its address %s is private, and not "
	    "in [courier] allow", ip_show(&list->at[0], text));
	over(t, 0, t->why);
}

/* ---- a transfer -------------------------------------------------------------------- */

static int
url_part(CURLU *u, CURLUPart part, unsigned flags, char *to, size_t room)
{
	char *text = NULL;
	int r = -1;

	if (curl_url_get(u, part, &text, flags) == CURLUE_OK &&
	    strlen(text) < room) {
		strcpy(to, text);
		r = 0;
	}
	curl_free(text);
	return r;
}

static bool
url_has(CURLU *u, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return has;
}

/* Of an IPv6 address without its brackets. */
static void
strip_brackets(char *host)
{
	size_t n = strlen(host);

	if (n < 2 || host[0] != '[' || host[n - 1] != ']')
		return;
	memmove(host, host + 1, n - 2);
	host[n - 2] = '\0';
}

int
http_url_host(const char *url, char host[256], unsigned *port)
{
	char scheme[8], number[8];
	CURLU *u = curl_url();
	uint64_t n;
	int r = -1;

	if (u == NULL)
		fatal("no memory for an address");
	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    url_part(u, CURLUPART_SCHEME, 0, scheme, sizeof(scheme)) == 0 &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
	    url_part(u, CURLUPART_HOST, 0, host, 256) == 0 &&
	    !url_has(u, CURLUPART_USER) && !url_has(u, CURLUPART_PASSWORD) &&
	    url_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, number,
	    sizeof(number)) == 0 && bytes_u64(bytes_str(number), &n) == 0 &&
	    n > 0 && n <= 65535 && host[0] != '\0') {
		*port = (unsigned)n;
		strip_brackets(host);
		r = 0;
	}
	curl_url_cleanup(u);
	return r;
}

static void
line_add(struct transfer *t, const char *line)
{
	struct curl_slist *more = curl_slist_append(t->lines, line);

	if (more == NULL)
		fatal("no memory for a request");
	t->lines = more;
}

struct transfer *
http_post(struct http *h, const struct http_post *post)
{
	struct transfer *t = xcalloc(1, sizeof(*t));
	struct addresses literal = { .n = 1 };

	t->http = h;
	t->post = *post;
	t->url = xstrdup(post->url);
	t->deadline = clock_ms() + post->timeout_ms;
	t->wait = (struct name_wait){ .found = on_found, .ctx = t };
	for (size_t i = 0; i < post->n_lines; i++)
		line_add(t, post->lines[i]);
	/* Or libcurl would wait for 100 Continue. */
	line_add(t, "Expect:");
	TAILQ_INSERT_TAIL(&h->running, t, link);
	if (http_url_host(t->url, t->host, &t->port) < 0)
		over(t, 0, "the url is none");
	else if (ip_parse(bytes_str(t->host), &literal.at[0]) == 0)
		on_found(t, &literal, NULL);
	else
		names_find(h->names, bytes_str(t->host), &t->wait, clock_ms());
	return t;
}

void
http_cancel(struct transfer *t)
{
	if (t->is_over)
		TAILQ_REMOVE(&t->http->over, t, link);
	else
		TAILQ_REMOVE(&t->http->running, t, link);
	transfer_free(t);
}

bool
http_waits(const struct http *h)
{
	return !TAILQ_EMPTY(&h->over);
}

void
http_turn(struct http *h)
{
	struct transfer *t, *next;
	uint64_t now = clock_ms();

	/* Those libcurl has have a time limit there. */
	for (t = TAILQ_FIRST(&h->running); t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->easy == NULL && now >= t->deadline)
			over(t, 0, "the name was not looked up in time");
	}
	while ((t = TAILQ_FIRST(&h->over)) != NULL) {
		TAILQ_REMOVE(&h->over, t, link);
		t->post.done(t->post.ctx, &t->result);
		transfer_free(t);
	}
}

/* ---- life --------------------------------------------------------------------------- */

void
http_authorities(struct http *h, struct bytes pem)
{
	h->authorities = pem;
}

struct http *
http_new(struct event_base *base, const struct address_rules *rules,
    struct names *names)
{
	struct http *h = xcalloc(1, sizeof(*h));
	const char *why;

	h->base = base;
	h->rules = rules;
	h->names = names;
	TAILQ_INIT(&h->running);
	TAILQ_INIT(&h->over);
	if (curl_load(&why) < 0)
		die("webhooks need libcurl: %s", why);
	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK ||
	    (h->multi = curl_multi_init()) == NULL ||
	    (h->timer = evtimer_new(base, on_timer, h)) == NULL)
		fatal("cannot set up libcurl");
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_want_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, IDLE_MAX);
	return h;
}

void
http_free(struct http *h)
{
	curl_multi_cleanup(h->multi);
	event_free(h->timer);
	curl_global_cleanup();
	free(h);
}
