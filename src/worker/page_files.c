/* SPDX-License-Identifier: MIT
 *
 * The files of the live page: see page_files.h.
 */
#include "worker/page_files.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/access.h"
#include "worker/request.h"
#include "worker/serve.h"
#include "worker/worker.h"

#define CHARTS_MOST	(2 << 20)	/* octets */

#define HTML	"text/html; charset=utf-8"
#define CSS	"text/css; charset=utf-8"
#define SCRIPT	"text/javascript; charset=utf-8"

static const struct file {
	struct bytes	 name;
	const char	*type;
	const char	*text;
	const size_t	*size;
} files[] = {
	{ BYTES(""), HTML, page_index_html, &page_index_html_size },
	{ BYTES("page.css"), CSS, page_page_css, &page_page_css_size },
	{ BYTES("page.js"), SCRIPT, page_page_js, &page_page_js_size },
	{ BYTES("link.js"), SCRIPT, page_link_js, &page_link_js_size },
	{ BYTES("numbers.js"), SCRIPT, page_numbers_js,
	    &page_numbers_js_size },
	{ BYTES("draw.js"), SCRIPT, page_draw_js, &page_draw_js_size },
	{ BYTES("views.js"), SCRIPT, page_views_js, &page_views_js_size },
};

/* Scripts and styles from here alone, no frames, nothing inline: a name that a
 * client made up stays text even if the page had a mistake. */
#define HEADERS \
	"Content-Security-Policy: default-src 'none'; script-src 'self'; " \
	"style-src 'self'; img-src 'self' data:; connect-src 'self'; " \
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n" \
	"X-Content-Type-Options: nosniff\r\n" \
	"Referrer-Policy: no-referrer\r\n" \
	"Cross-Origin-Resource-Policy: same-origin\r\n"
#define FRESH	HEADERS "Cache-Control: no-store\r\n"
/* The same for years. */
#define KEPT	HEADERS "Cache-Control: private, max-age=3600\r\n"

static char *charts;
static size_t charts_n;

/* ---- Chart.js ---------------------------------------------------------------- */

static char *
read_charts(int fd, size_t *n)
{
	struct stat st;
	char *text;
	ssize_t got;

	*n = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0 ||
	    st.st_size > CHARTS_MOST)
		return NULL;
	text = xmalloc((size_t)st.st_size);
	while (*n < (size_t)st.st_size) {
		got = read(fd, text + *n, (size_t)st.st_size - *n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			free(text);
			return NULL;
		}
		*n += (size_t)got;
	}
	return text;
}

void
page_load(void)
{
	const char *name = worker.config->page.charts;
	int fd;

	if (!worker.config->page.enabled || name == NULL)
		return;
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		charts = read_charts(fd, &charts_n);
		close(fd);
	}
	/* One line for all workers. */
	if (charts == NULL && worker.slot == 1)
		log_info("the live page shows no charts: page.charts=%s "
		    "cannot be read", name);
}

bool
page_charts(void)
{
	return charts != NULL;
}

/* ---- answers ------------------------------------------------------------------ */

bool
page_below(struct bytes path, struct bytes *rest)
{
	const struct config_page *page = &worker.config->page;
	struct bytes own = bytes_str(page->path);

	if (!page->enabled || own.n == 0 || !bytes_starts(path, own))
		return false;
	*rest = bytes_skip(path, own.n);
	return true;
}

/* /peal for /peal/ */
static bool
lacks_slash(struct bytes path)
{
	const struct config_page *page = &worker.config->page;
	struct bytes own = bytes_str(page->path);

	return page->enabled && path.n > 0 && own.n == path.n + 1 &&
	    bytes_starts(own, path);
}

bool
page_wants(struct bytes path)
{
	struct bytes rest;

	return page_below(path, &rest) || lacks_slash(path);
}

/* Relative, so that it is right behind any proxy. */
static void
redirect(struct request *r, struct bytes path)
{
	static struct buf lines;
	size_t n = path.n;

	while (n > 0 && path.p[n - 1] != '/')
		n--;
	buf_clear(&lines);
	buf_str(&lines, FRESH "Location: ");
	buf_bytes(&lines, bytes_skip(path, n));
	buf_str(&lines, "/\r\n");
	request_answer(r, 302, "text/plain; charset=utf-8", buf_cstr(&lines),
	    B(""));
}

static void
answer_file(struct request *r, struct bytes name)
{
	for (size_t i = 0; i < NELEM(files); i++) {
		if (!bytes_eq(files[i].name, name))
			continue;
		request_answer(r, 200, files[i].type, FRESH,
		    bytes_of(files[i].text, *files[i].size));
		return;
	}
	if (charts != NULL && bytes_eq(name, B("chart.js")))
		request_answer(r, 200, SCRIPT, KEPT,
		    bytes_of(charts, charts_n));
	else
		request_answer(r, 404, "text/plain; charset=utf-8", FRESH,
		    B("Not found."));
}

void
page_answer(struct request *r)
{
	struct bytes path = r->head.path, rest;

	(void)serve_path(r->conn, &path);
	if (!access_allows(&worker.config->page.allow, r->conn))
		request_refuse(r, 403, "Forbidden.");
	else if (page_below(path, &rest))
		answer_file(r, rest);
	else
		redirect(r, path);
}
