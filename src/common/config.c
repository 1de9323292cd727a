/* SPDX-License-Identifier: MIT
 *
 * Loads the settings: file, then environment, then command line, then the
 * checks between them.  Compares two of them, and finds the control socket.
 *
 * Runs in: master, pealctl.  Owns: what it returns, until config_free().
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/config_parts.h"
#include "common/util.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR	"/etc"
#endif

#define DEFAULT_FILE	SYSCONFDIR "/peal/peal.ini"
#define FILE_MAX	(4u << 20)

/* ---- files --------------------------------------------------------------- */

static int
read_file(struct config_draft *d, const char *path, struct buf *out)
{
	if (file_read(path, FILE_MAX, out) < 0)
		return config_draft_refuse(d, (struct config_place){ path, 0 },
		    "%s", strerror(errno));
	return 0;
}

static int
load_env_file(struct config_draft *d, const char *path)
{
	struct buf text = { 0 };
	int rc = 0;

	if (path == NULL)
		return 0;
	if (read_file(d, path, &text) < 0 ||
	    config_env_parse(&d->env, path, buf_view(&text), &d->why) < 0)
		rc = -1;
	buf_done(&text);
	return rc;
}

const char *
config_file_left_out(const struct config_source *src)
{
	if (src->file != NULL || src->env_file == NULL ||
	    access(DEFAULT_FILE, F_OK) < 0 || access(DEFAULT_FILE, R_OK) == 0)
		return NULL;
	return errno == EACCES ? DEFAULT_FILE : NULL;
}

const char *
config_file(const struct config_source *src)
{
	if (src->file != NULL)
		return src->file;
	if (access(DEFAULT_FILE, F_OK) < 0 || config_file_left_out(src) != NULL)
		return NULL;
	return DEFAULT_FILE;
}

/* ---- load ---------------------------------------------------------------- */

int
config_draft_load(struct config_draft *d, const struct config_source *src,
    struct bytes ini)
{
	d->file = src->file;
	if (config_ini_parse(d, src->file, ini) < 0)
		return -1;
	if (d->config->n_listen == 0)
		config_draft_add(d, config_section_find(B("listen")),
		    (struct bytes){ NULL, 0 },
		    (struct config_place){ NULL, 0 });
	if (config_reverb_apply(d, src) < 0 || config_own_listens(d) < 0)
		return -1;
	return src->unchecked ? 0 : config_check(d);
}

static int
load(struct config_draft *d, struct config_source src)
{
	struct buf ini = { 0 };
	int rc = 0;

	d->env.environ_ = src.environ_;
	src.file = config_file(&src);
	if (load_env_file(d, src.env_file) < 0)
		return -1;
	if (src.file != NULL)
		rc = read_file(d, src.file, &ini);
	if (rc == 0)
		rc = config_draft_load(d, &src, buf_view(&ini));
	buf_done(&ini);
	return rc;
}

struct config *
config_load(const struct config_source *src, char **why)
{
	struct config_draft d;
	struct config *c = NULL;

	config_draft_init(&d);
	if (load(&d, *src) == 0) {
		c = d.config;
		d.config = NULL;
	} else
		*why = xstrdup(buf_cstr(&d.why));
	config_draft_done(&d);
	return c;
}

/* ---- control socket ------------------------------------------------------ */

/* The first address of one kind. */
static bool
find_address(const struct config *c, bool local, struct config_address *a)
{
	const char *why;
	size_t i, j;

	for (i = 0; i < c->n_listen; i++)
		for (j = 0; j < c->listen[i].address.n; j++)
			if (config_address_parse(bytes_str(
			    c->listen[i].address.at[j]), a, &why) == 0 &&
			    a->local == local)
				return true;
	return false;
}

/* "8080" of the first TCP address; else the unix path with - for /. */
static void
service_name(const struct config *c, struct buf *out)
{
	struct config_address a = { 0 };
	size_t i;

	if (find_address(c, false, &a) || !find_address(c, true, &a)) {
		buf_u64(out, a.port);
		return;
	}
	if (a.host.n > 50)
		a.host = bytes_skip(a.host, a.host.n - 50);
	for (i = 0; i < a.host.n; i++)
		if (a.host.p[i] != '/')
			buf_char(out, a.host.p[i]);
		else if (i > 0)
			buf_char(out, '-');
}

char *
config_control_path(const struct config *c)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct buf name = { 0 };
	char *path;

	if (c->peal.control != NULL)
		return xstrdup(c->peal.control);
	service_name(c, &name);
	if (geteuid() == 0)
		path = xasprintf("/run/peal/peal-%s.sock", buf_cstr(&name));
	else if (runtime != NULL && runtime[0] == '/')
		path = xasprintf("%s/peal-%s.sock", runtime, buf_cstr(&name));
	else
		path = xasprintf("/tmp/peal-%u/peal-%s.sock",
		    (unsigned)geteuid(), buf_cstr(&name));
	buf_done(&name);
	return path;
}
