/* SPDX-License-Identifier: MIT
 *
 * The files of the live page (src/page), built into the program, and Chart.js,
 * which a worker reads before it is locked in.  They hold nothing worth
 * knowing: what the page shows comes over its WebSocket (front/page.h), to
 * those who have logged in.
 *
 * Runs in: workers.
 */
#ifndef PEAL_PAGE_FILES_H
#define PEAL_PAGE_FILES_H

#include "common/buf.h"

struct request;

/* Before the jail: reads [page] charts, if the page is enabled. */
void	page_load(void);
/* Is this path, as routes know it (serve.h), under that of the page, or is it
 * that without its last slash? */
bool	page_wants(struct bytes path);
/* The same for what is under it: *rest is what follows. */
bool	page_below(struct bytes path, struct bytes *rest);
void	page_answer(struct request *);
/* Was there a Chart.js? */
bool	page_charts(void);

/* What src/page/ holds: made by build-aux/embed.sh. */
#define PAGE_FILE(name) \
	extern const char	name[]; \
	extern const size_t	name##_size;
PAGE_FILE(page_index_html)
PAGE_FILE(page_page_css)
PAGE_FILE(page_page_js)
PAGE_FILE(page_link_js)
PAGE_FILE(page_numbers_js)
PAGE_FILE(page_draw_js)
PAGE_FILE(page_views_js)
#undef PAGE_FILE

#endif
