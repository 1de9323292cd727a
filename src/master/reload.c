/* SPDX-License-Identifier: MIT
 *
 * Settings, certificates, binary and log file of a running service.
 *
 * Runs in: master.  Owns: see reload.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/util.h"
#include "master/again.h"
#include "master/beside.h"
#include "master/control.h"
#include "master/handed.h"
#include "master/logfile.h"
#include "master/master.h"
#include "master/numbers.h"
#include "master/preflight.h"
#include "master/reload.h"
#include "master/reloads.h"
#include "master/replace.h"
#include "master/spool.h"
#include "master/state.h"

enum kind { NONE, LIVE, FULL };

/* The one under way; number also of the last one. */
static struct {
	enum kind	 kind;
	uint64_t	 number;
	uint64_t	 since_ms, wall_ms;
	uint64_t	 asked;		/* LIVE: a question to all processes */
	bool		 binary;	/* FULL: it is another one */
	bool		 resumed;	/* FULL: behind the exec */
	struct buf	 changed;
} job;

/* The master is another binary than its children, since a reload failed. */
static bool		 stale;
static bool		 queued;	/* another one waits for its turn */
static bool		 again;		/* and may have it now */

/* The one that has ended. */
static struct {
	uint64_t	 number;
	bool		 ok, full;
	uint64_t	 wall_ms, took_ms;
	struct buf	 answer, words;
} last;

/* ---- settings ------------------------------------------------------------ */

/* What a reload would put in force. */
struct fresh {
	struct config		*config;
	struct certificate	*certificates;
	bool			 full;	/* needs new processes */
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

static void
name_add(struct buf *names, const char *name)
{
	buf_fmt(names, "%s%s", names->n != 0 ? ", " : "", name);
}

/* Names what differs from what is in force; true if processes must be
 * replaced. */
static bool
differences(const struct config *config,
    const struct certificate *certificates, struct buf *changed)
{
	bool full, listen = config->n_listen != master.config->n_listen;

	config_diff(master.config, config, changed, &full);
	if (!listen && !certificates_equal(certificates, master.certificates,
	    config->n_listen))
		name_add(changed, "certificates");
	return full || listen || tls_is_off(config, master.config);
}

static int
fresh_read(struct fresh *f, struct buf *changed, char **why)
{
	memset(f, 0, sizeof(*f));
	if ((f->config = config_load(master.source, why)) == NULL ||
	    beside_check(f->config, why) < 0)
		return -1;
	f->certificates = certificates_read(f->config, why);
	if (f->certificates == NULL)
		return -1;
	f->full = differences(f->config, f->certificates, changed);
	return 0;
}

static int
fresh_use(struct fresh *f, char **why)
{
	struct fresh old = { master.config, master.certificates, false };

	if (spool_prepare(f->config, master.uid, master.gid, 0, why) < 0)
		return -1;
	if (logfile_use(f->config, why) < 0) {
		spool_undo();
		return -1;
	}
	master.config = f->config;
	master.certificates = f->certificates;
	*f = old;
	children_settings();
	children_log();
	beside_follow(false);
	return 0;
}

int
reload_try(struct buf *changed, char **why)
{
	struct fresh f;
	int r = fresh_read(&f, changed, why);

	fresh_done(&f);
	return r;
}

/* ---- the end of one ------------------------------------------------------ */

/* Who is asked while he starts is not ready by that. */
static const char *
ready(void)
{
	return master.ready ? "READY=1\n" : "";
}

static void
answer_bad(const char *why)
{
	log_error("reload refused: %s", why);
	notify_send("%sSTATUS=reload refused: %.900s", ready(), why);
	buf_fmt(&last.words, "refused: %s", why);
	buf_str(&last.answer, "{\"ok\":false,\"error\":");
	json_quote(&last.answer, bytes_str(why));
	buf_str(&last.answer, "}\n");
}

static void
answer_good(void)
{
	const char *changed = job.changed.n != 0 ? buf_cstr(&job.changed)
						 : "nothing";

	log_info("settings reloaded changed=%s ms=%" PRIu64,
	    log_value(bytes_str(changed)),
	    last.took_ms);
	notify_send("%sSTATUS=settings reloaded", ready());
	buf_fmt(&last.words, "changed: %s", changed);
	buf_str(&last.answer, "{\"ok\":true,\"changed\":");
	json_quote(&last.answer, buf_view(&job.changed));
	buf_fmt(&last.answer, ",\"replaced\":%s,\"ms\":%" PRIu64,
	    last.full ? "true" : "false", last.took_ms);
	if (last.full) {
		buf_char(&last.answer, ',');
		handed_json(&last.answer);
	}
	buf_str(&last.answer, "}\n");
}

void
reload_done(const char *why)
{
	if (job.kind == NONE)
		return;
	last.number = job.number;
	last.ok = why == NULL;
	last.full = job.kind == FULL;
	last.wall_ms = job.wall_ms;
	last.took_ms = clock_ms() - job.since_ms;
	buf_clear(&last.answer);
	buf_clear(&last.words);
	if (why != NULL) {
		answer_bad(why);
	} else {
		answer_good();
		numbers_prune();
	}
	reloads_note(last.wall_ms, last.took_ms, last.full,
	    buf_view(&job.changed), why);
	if (last.full)
		stale = !last.ok && (stale || (job.binary && job.resumed));
	job.kind = NONE;
	again = queued;
	control_check();
}

const struct buf *
reload_answer(uint64_t number)
{
	return last.number >= number ? &last.answer : NULL;
}

/* ---- the beginning of one ------------------------------------------------ */

static void
live_begin(struct fresh *f)
{
	char *why;

	if (fresh_use(f, &why) < 0) {
		reload_done(why);
		free(why);
		return;
	}
	job.asked = children_ask();
}

/* The exec does not return, unless nothing has changed. */
static void
on_preflight(struct bytes next, const char *words)
{
	char *why = NULL;

	if (words == NULL && again_exec(next, &why) < 0)
		words = why;
	reload_done(words != NULL ? words : "the exec came back");
	free(why);
	reload_check();
}

static void
full_begin(void)
{
	char *why = NULL;

	log_info("all processes are to be replaced%s", job.binary ?
	    ": the binary is another one" : "");
	if (preflight_start(on_preflight, &why) == 0)
		return;
	reload_done(why);
	free(why);
}

/* A file that is gone for the moment is no other binary. */
bool
reload_another_binary(void)
{
	return stale ||
	    (access(master.exe, F_OK) == 0 && again_binary_changed());
}

/* Another release may understand settings that we do not, so it reads them. */
static uint64_t
begin(void)
{
	bool binary = reload_another_binary();
	struct fresh f = { NULL, NULL, true };
	struct buf changed = { 0 };
	char *why = NULL;
	int r = binary ? 0 : fresh_read(&f, &changed, &why);

	queued = r == 0 && f.full && replace_phase() != REPLACE_IDLE;
	if (queued) {
		log_info("a reload waits for the last one's end");
		fresh_done(&f);
		buf_done(&changed);
		return job.number + 1;
	}
	notify_reloading();
	job.number++;
	job.kind = f.full && r == 0 ? FULL : LIVE;
	job.since_ms = clock_ms();
	job.wall_ms = clock_wall_ms();
	job.asked = 0;
	job.binary = binary;
	job.resumed = false;
	buf_done(&job.changed);
	job.changed = changed;
	if (r < 0)
		reload_done(why);
	else if (f.full)
		full_begin();
	else
		live_begin(&f);
	fresh_done(&f);
	free(why);
	return job.number;
}

uint64_t
reload_ask(void)
{
	if (job.kind == NONE)
		return begin();
	queued = true;
	return job.number + 1;
}

void
reload_check(void)
{
	if (master.stopping)
		return;
	if (job.kind == LIVE && children_answered(job.asked))
		reload_done(NULL);
	if (job.kind == NONE && queued &&
	    (again || replace_phase() == REPLACE_IDLE)) {
		again = false;
		(void)begin();
	}
}

void
reload_stop(void)
{
	queued = false;
	preflight_cancel();
	if (job.kind != NONE)
		reload_done("the service is stopping");
}

/* ---- processes are replaced ---------------------------------------------- */

void
reload_compare(const struct config *config,
    const struct certificate *certificates)
{
	buf_clear(&job.changed);
	if (job.binary)
		buf_str(&job.changed, "binary");
	(void)differences(config, certificates, &job.changed);
}

bool
reload_binary(void)
{
	return job.kind == FULL && job.binary;
}

void
reload_save(struct state *s)
{
	s->reload = job.number;
	s->reload_binary = job.binary;
	s->reload_since_ms = job.since_ms;
	s->reload_wall_ms = job.wall_ms;
	s->reload_queued = queued;
}

void
reload_restore(const struct state *s)
{
	job.kind = FULL;
	job.resumed = true;
	job.number = s->reload;
	job.binary = s->reload_binary != 0;
	job.since_ms = s->reload_since_ms;
	job.wall_ms = s->reload_wall_ms;
	/* Who asked during the preflight has the next one. */
	queued = s->reload_queued != 0;
}

/* ---- status -------------------------------------------------------------- */

void
reload_status(struct buf *out)
{
	buf_str(out, "\"reload\":");
	if (last.number == 0) {
		buf_str(out, "null");
		return;
	}
	buf_fmt(out, "{\"number\":%" PRIu64 ",\"time\":%" PRIu64 ",\"ms\":%"
	    PRIu64 ",\"ok\":%s,\"replaced\":%s,\"result\":", last.number,
	    last.wall_ms / 1000, last.took_ms, last.ok ? "true" : "false",
	    last.full ? "true" : "false");
	json_quote(out, buf_view(&last.words));
	buf_fmt(out, ",\"waiting\":%s}", queued ? "true" : "false");
}
