/* SPDX-License-Identifier: MIT
 *
 * Settings and log file of a running service.
 *
 * Runs in: master.  Owns: see reload.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/notify.h"
#include "common/util.h"
#include "master/master.h"
#include "master/reload.h"

static uint64_t asked;		/* 0: no reload is under way */

/* ---- log ----------------------------------------------------------------- */

static int
log_open(const char *where)
{
	if (where == NULL || strcmp(where, "stderr") == 0)
		return 2;
	return open(where,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

static void
log_use(int fd)
{
	int old = log_fd();

	log_to_fd(fd);
	if (old > 2 && old != fd)
		close(old);
}

int
reload_log(const struct config *config, char **why)
{
	int fd = log_open(config->peal.log);

	if (fd < 0) {
		*why = xasprintf("[peal] log: %s: %s", config->peal.log,
		    strerror(errno));
		return -1;
	}
	log_set_level((enum log_level)config->peal.log_level);
	log_use(fd);
	return 0;
}

void
reload_log_again(void)
{
	char *why;

	if (reload_log(master.config, &why) < 0) {
		log_error("the log goes on in the old file: %s", why);
		free(why);
		return;
	}
	children_log();
	log_info("log reopened");
}

/* ---- settings ------------------------------------------------------------ */

/* What a reload would put in force. */
struct fresh {
	struct config		*config;
	struct certificate	*certificates;
};

static void
fresh_done(struct fresh *f)
{
	if (f->config != NULL) {
		certificates_free(f->certificates, f->config->n_listen);
		config_free(f->config);
	}
}

/* There is no message that takes a certificate back. */
static bool
tls_is_off(const struct config *now, const struct config *then)
{
	for (size_t i = 0; i < now->n_listen && i < then->n_listen; i++)
		if (now->listen[i].certificate == NULL &&
		    then->listen[i].certificate != NULL)
			return true;
	return false;
}

/* The differences, unless they cannot be made in a running server. */
static int
fresh_compare(const struct fresh *f, struct buf *changed, char **why)
{
	bool restart = false;

	config_diff(master.config, f->config, changed, &restart);
	if (!restart && f->config->n_listen == master.config->n_listen &&
	    !tls_is_off(f->config, master.config))
		return 0;
	*why = xasprintf("%s changed, which needs a restart; nothing was "
	    "changed", changed->n != 0 ? buf_cstr(changed) : "listen");
	return -1;
}

static int
fresh_read(struct fresh *f, struct buf *changed, char **why)
{
	memset(f, 0, sizeof(*f));
	if ((f->config = config_load(master.source, why)) == NULL)
		return -1;
	if (fresh_compare(f, changed, why) < 0)
		return -1;
	f->certificates = certificates_read(f->config, why);
	if (f->certificates == NULL)
		return -1;
	if (!certificates_equal(f->certificates, master.certificates,
	    f->config->n_listen))
		buf_str(changed, changed->n != 0 ? ", certificates"
						 : "certificates");
	return 0;
}

static void
fresh_use(struct fresh *f)
{
	struct fresh old = { master.config, master.certificates };

	master.config = f->config;
	master.certificates = f->certificates;
	fresh_done(&old);
	children_settings();
	children_log();
}

int
reload_try(struct buf *changed, char **why)
{
	struct fresh f;
	int r = fresh_read(&f, changed, why);

	fresh_done(&f);
	return r;
}

static int
reload_apply(struct buf *changed, char **why)
{
	struct fresh f;

	if (fresh_read(&f, changed, why) < 0 ||
	    reload_log(f.config, why) < 0) {
		fresh_done(&f);
		return -1;
	}
	fresh_use(&f);
	return 0;
}

int
reload_now(struct buf *changed, char **why)
{
	notify_reloading();
	if (reload_apply(changed, why) < 0) {
		log_error("reload refused: %s", *why);
		notify_send("READY=1\nSTATUS=reload refused: %.900s", *why);
		return -1;
	}
	log_info("settings reloaded changed=%s",
	    changed->n != 0 ? buf_cstr(changed) : "nothing");
	asked = children_ask();
	return 0;
}

uint64_t
reload_asked(void)
{
	return asked;
}

void
reload_check(void)
{
	if (asked == 0 || !children_answered(asked))
		return;
	asked = 0;
	notify_send("READY=1\nSTATUS=settings reloaded");
}
