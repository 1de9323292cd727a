/* SPDX-License-Identifier: MIT
 *
 * Replacing all children while they serve: see replace.h.
 *
 * Runs in: master.  Owns: see replace.h.
 */
#include <event2/event.h>

#include <inttypes.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "master/beside.h"
#include "master/control.h"
#include "master/handed.h"
#include "master/logfile.h"
#include "master/master.h"
#include "master/pidfile.h"
#include "master/reload.h"
#include "master/replace.h"
#include "master/spool.h"
#include "master/state.h"
#include "master/tell.h"

#define RAISING_MS	10000	/* beside the watchdog's time */
#define RAISING_MAX_MS	25000	/* a worker waits 30 s for its router */
#define ORPHANED_MS	2000	/* raising, without a router in force */
#define YIELDING_MS	3000
#define HEIRS_MAX	24	/* a worker takes 32; some may come again */
#define STALL_MS	10000	/* a hand-over that does not move is logged */
#define STALLS_MAX	6	/* and after so many lines it is given up */
#define DRAINING_MS	30000	/* beside reload_drain */
#define ENDING_MS	5000	/* for who was told to stop at once */

static enum replace_phase phase;
static bool		 failed;	/* raising: they are only reaped yet */
static bool		 orphaned;	/* raising: the router in force died */
static uint64_t		 linked;	/* a question: have all the new link? */
static bool		 unpaired;	/* moving: an elder lacks an heir */
static uint64_t		 drain_ms;	/* reload_drain of those that leave */
static struct event	*timer;		/* of the phase */
static uid_t		 uid;		/* of the crew that comes */
static gid_t		 gid;

static struct crew *
coming(void)
{
	return master.crew[CREW_COMING];
}

static struct crew *
leaving(void)
{
	return master.crew[CREW_LEAVING];
}

static struct crew *
in_force(void)
{
	return master.crew[CREW_IN_FORCE];
}

enum replace_phase
replace_phase(void)
{
	return phase;
}

/* ---- phases -------------------------------------------------------------- */

static void	on_late(evutil_socket_t, short, void *);

static void
enter(enum replace_phase next, uint64_t limit_ms)
{
	struct timeval in = timeval_ms(limit_ms);

	phase = next;
	if (timer == NULL &&
	    (timer = evtimer_new(master.base, on_late, NULL)) == NULL)
		fatal("no memory for a timer");
	evtimer_del(timer);
	if (limit_ms != 0)
		evtimer_add(timer, &in);
}

/* ---- raising ------------------------------------------------------------- */

/* What died in force meanwhile was not replaced. */
static void
refill(void)
{
	struct crew *crew = in_force();

	for (unsigned i = 0; i < crew->n; i++)
		if (crew->at[i].pid == 0 &&
		    !evtimer_pending(crew->at[i].respawn, NULL))
			child_schedule(&crew->at[i]);
}

/* Nothing has changed: those that came go. */
static void
fail(const char *why)
{
	struct crew *crew = coming();

	failed = true;
	spool_undo();
	evtimer_del(timer);
	for (unsigned i = 0; i < crew->n; i++) {
		evtimer_del(crew->at[i].respawn);
		crew->at[i].told_to_stop = true;
		child_kill(&crew->at[i]);
	}
	refill();
	reload_done(why);
}

static void
coming_drop(void)
{
	listen_undo(&coming()->listen);
	crew_free(coming());
	master.crew[CREW_COMING] = NULL;
	failed = false;
	enter(REPLACE_IDLE, 0);
}

static int
raise_crew(struct config *config, struct certificate *certificates, char **why)
{
	unsigned workers = master_workers(config);
	struct listen listen;
	struct crew *crew;

	if (logfile_try(config, why) < 0 ||
	    pidfile_try(config->peal.pid_file, why) < 0 ||
	    spool_prepare(config, uid, gid, 0, why) < 0)
		return -1;
	if (listen_change(&listen, &master.listen, config, workers, uid, gid,
	    why) < 0) {
		spool_undo();
		return -1;
	}
	crew = crew_new(workers);
	crew->config = config;
	crew->certificates = certificates;
	crew->listen = listen;
	master.crew[CREW_COMING] = crew;
	log_info("new processes are started generation=%" PRIu64 " workers=%u",
	    crew->number, workers);
	crew_bring_up(crew, 0, crew->n);
	return 0;
}

static int
next_take(struct bytes packed, struct config **config,
    struct certificate **certificates, char **why)
{
	const char *words;
	struct next next;
	int r;

	if (next_unpack(&next, packed, &words) < 0) {
		*why = xasprintf("what preflight brought: %s", words);
		return -1;
	}
	uid = (uid_t)next.uid;
	gid = (gid_t)next.gid;
	r = state_settings_unpack(buf_view(&next.settings), next.certificates,
	    next.n_certificates, config, certificates, why);
	next_done(&next);
	return r;
}

void
replace_begin(struct bytes packed)
{
	uint64_t limit = master.config->peal.watchdog + RAISING_MS;
	struct certificate *certificates;
	struct config *config;
	char *why = NULL;

	if (next_take(packed, &config, &certificates, &why) < 0) {
		refill();
		reload_done(why);
		free(why);
		return;
	}
	reload_compare(config, certificates);
	failed = orphaned = false;
	enter(REPLACE_RAISING,
	    limit < RAISING_MAX_MS ? limit : RAISING_MAX_MS);
	if (raise_crew(config, certificates, &why) == 0)
		return;
	certificates_free(certificates, config->n_listen);
	config_free(config);
	enter(REPLACE_IDLE, 0);
	refill();
	reload_done(why);
	free(why);
}

static const struct child *
fallen(const struct crew *crew)
{
	for (unsigned i = 0; i < crew->n; i++)
		if (crew->at[i].state == CHILD_DOWN ||
		    crew->at[i].state == CHILD_ENDING)
			return &crew->at[i];
	return NULL;
}

static void
check_raising(void)
{
	struct child *router = crew_router(in_force());
	const struct child *c;
	char *why;

	if (failed) {
		if (crew_gone(coming()))
			coming_drop();
	} else if ((c = fallen(coming())) != NULL) {
		why = xasprintf("the new %s has died; its lines in the log say "
		    "why", child_name(c));
		fail(why);
		free(why);
	} else if (crew_up(coming())) {
		if (router->ipc != NULL)
			TELL(router, yield, .end_ = "");
		enter(REPLACE_YIELDING, YIELDING_MS);
		replace_check();
	} else if (router->pid == 0 && !orphaned) {
		orphaned = true;
		enter(REPLACE_RAISING, ORPHANED_MS);
	}
}

/* "router, worker 2": who has not said ready. */
static void
late_list(struct buf *out)
{
	const struct crew *crew = coming();

	for (unsigned i = 0; i < crew->n; i++)
		if (crew->at[i].state != CHILD_UP)
			buf_fmt(out, "%s%s", out->n != 0 ? ", " : "",
			    child_name(&crew->at[i]));
}

static void
late_raising(void)
{
	struct buf list = { 0 };
	char *why;

	late_list(&list);
	why = xasprintf("of the new processes these were not ready in time: "
	    "%s", buf_cstr(&list));
	fail(why);
	free(why);
	buf_done(&list);
}

static void
late_yielding(void)
{
	log_error("the old router did not hand over in time: killed");
	child_kill(crew_router(in_force()));
}

/* Its clients are told to come back. */
static void
dismiss(struct child *c, uint64_t grace_ms)
{
	c->told_to_stop = true;
	if (c->ipc != NULL)
		TELL(c, stop, .grace_ms = grace_ms);
}

static void
late_draining(void)
{
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c)) {
		if (c->crew != leaving() || c->pid == 0)
			continue;
		log_warn("the old %s does not end: %s pid=%d", child_name(c),
		    c->told_to_stop ? "killed" : "stopped", (int)c->pid);
		if (c->told_to_stop)
			child_kill(c);
		else
			dismiss(c, 0);
	}
	enter(REPLACE_DRAINING, ENDING_MS);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	static void (*const late[])(void) = {
		[REPLACE_RAISING] = late_raising,
		[REPLACE_YIELDING] = late_yielding,
		[REPLACE_DRAINING] = late_draining,
	};

	(void)fd, (void)what, (void)arg;
	late[phase]();
}

/* ---- moving -------------------------------------------------------------- */

/* Settings, addresses and user of the crew that comes are the master's now. */
static void
terms_commit(struct crew *old, struct crew *new)
{
	char *why;

	old->config = master.config;
	old->certificates = master.certificates;
	master.config = new->config;
	master.certificates = new->certificates;
	new->config = NULL;
	new->certificates = NULL;
	listen_commit(&master.listen, &new->listen, &old->listen,
	    master.config);
	master.uid = uid;
	master.gid = gid;
	if (logfile_use(master.config, &why) < 0) {
		log_error("the log goes on in the old file: %s", why);
		free(why);
	}
	pidfile_follow(master.config->peal.pid_file);
	control_follow();
}

static void
crews_turn(void)
{
	struct crew *old = in_force(), *new = coming();

	terms_commit(old, new);
	for (unsigned i = 0; i < old->n; i++) {
		evtimer_del(old->at[i].respawn);
		old->at[i].handed = (struct handed){ .since_ms = clock_ms() };
	}
	master.crews = new->number;
	master.crew[CREW_IN_FORCE] = new;
	master.crew[CREW_LEAVING] = old;
	master.crew[CREW_COMING] = NULL;
	handed_begin();
	children_log();
	if (master.crew[CREW_BESIDE]->at[0].ipc != NULL)
		tell_settings(&master.crew[CREW_BESIDE]->at[0]);
}

static void
routers_turn(void)
{
	struct child *new = crew_router(in_force());

	children_link();
	if (new->ipc != NULL)
		TELL(new, take_over, .expect = children_linked());
	beside_link();
	linked = children_ask();
}

/* The old router goes when all workers have left it: to them it is not lost. */
static void
router_dismiss(void)
{
	struct child *old = crew_router(leaving());

	if (old->told_to_stop || !children_answered(linked))
		return;
	old->told_to_stop = true;
	if (old->ipc != NULL)
		TELL(old, stop, .grace_ms = 0);
}

/* Is this one an heir of that one?  Where there are as many as before, each has
 * one; else all, or the next HEIRS_MAX in a ring. */
static bool
is_heir(const struct child *old, const struct child *heir)
{
	unsigned n = heir->crew->n - SLOT_WORKER_FIRST;

	if (old->crew->n == heir->crew->n)
		return old->slot == heir->slot;
	return (heir->slot + n - old->slot % n) % n < HEIRS_MAX;
}

static bool
inherits(const struct child *old, const struct child *heir)
{
	return child_is_worker(old) && child_is_worker(heir) &&
	    old->ipc != NULL && heir->ipc != NULL && !old->handed.settled &&
	    is_heir(old, heir);
}

void
replace_brought_up(struct child *heir)
{
	struct crew *old = leaving();

	if (old == NULL || heir->crew != in_force())
		return;
	for (unsigned i = SLOT_WORKER_FIRST; i < old->n; i++)
		if (inherits(&old->at[i], heir) &&
		    tell_handover(&old->at[i], heir) < 0)
			unpaired = true;
}

/* Descriptors had run out: again.  An elder may have the same heir twice. */
static void
pair_again(void)
{
	struct crew *crew = in_force();

	if (!unpaired)
		return;
	unpaired = false;
	for (unsigned i = SLOT_WORKER_FIRST; i < crew->n; i++)
		replace_brought_up(&crew->at[i]);
}

static void
move(void)
{
	struct child *c;

	crews_turn();
	routers_turn();
	beside_follow(reload_binary() ||
	    beside_differ(leaving()->config, master.config));
	drain_ms = master.config->peal.reload_drain;
	for (c = children_next(NULL); c != NULL; c = children_next(c)) {
		if (!child_is_worker(c) || c->ipc == NULL ||
		    c->crew != in_force())
			continue;
		TELL(c, serve, .end_ = "");
		replace_brought_up(c);
	}
	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (child_is_worker(c) && c->ipc != NULL &&
		    c->crew == leaving())
			TELL(c, depart, .pace_ms = drain_ms);
	log_info("new processes are in force generation=%" PRIu64,
	    in_force()->number);
	enter(REPLACE_MOVING, 0);
	replace_check();
}

static void
check_yielding(void)
{
	struct child *old = crew_router(in_force());

	if (crew_router(coming())->state == CHILD_DOWN ||
	    crew_router(coming())->state == CHILD_ENDING)
		child_kill(old);
	if (old->pid == 0 || old->yielded)
		move();
}

/* ---- moving and draining ------------------------------------------------- */

static bool
all_settled(void)
{
	const struct crew *old = leaving();

	for (unsigned i = SLOT_WORKER_FIRST; i < old->n; i++)
		if (old->at[i].pid != 0 && !old->at[i].handed.settled)
			return false;
	return true;
}

/* What stays with an old worker lives by the new settings, too: clients of an
 * application that is gone hear so now, not at the end of the drain. */
static void
tell_kept(void)
{
	struct crew *old = leaving();

	for (unsigned i = SLOT_WORKER_FIRST; i < old->n; i++)
		if (old->at[i].ipc != NULL)
			tell_settings(&old->at[i]);
}

static void
check_moving(void)
{
	router_dismiss();
	if (!all_settled())
		return;
	tell_kept();
	enter(REPLACE_DRAINING, drain_ms + DRAINING_MS);
	reload_done(NULL);
	replace_check();
}

static void
check_draining(void)
{
	router_dismiss();
	if (!crew_gone(leaving()))
		return;
	log_info("old processes are gone generation=%" PRIu64,
	    leaving()->number);
	handed_end();
	crew_free(leaving());
	master.crew[CREW_LEAVING] = NULL;
	enter(REPLACE_IDLE, 0);
}

static void
check_idle(void)
{
}

void
replace_check(void)
{
	static void (*const checks[])(void) = {
		[REPLACE_IDLE] = check_idle,
		[REPLACE_RAISING] = check_raising,
		[REPLACE_YIELDING] = check_yielding,
		[REPLACE_MOVING] = check_moving,
		[REPLACE_DRAINING] = check_draining,
	};

	if (!master.stopping)
		checks[phase]();
}

static void
stalled(struct child *c, uint64_t now)
{
	struct handed *h = &c->handed;

	h->since_ms = now;
	h->warnings++;
	log_warn("%s has handed nothing over for %u s%s moved=%" PRIu64
	    " kept=%" PRIu64 " why=\"%s\"", child_name(c),
	    h->warnings * STALL_MS / 1000, h->warnings < STALLS_MAX ? "" :
	    ": given up, its clients are told to reconnect", h->moved,
	    h->kept, h->why);
	if (h->warnings < STALLS_MAX)
		return;
	handed_give_up(c);
	dismiss(c, drain_ms);
}

void
replace_tick(uint64_t now)
{
	struct crew *old = leaving();
	struct child *c;

	if (phase != REPLACE_MOVING || master.stopping)
		return;
	pair_again();
	for (unsigned i = SLOT_WORKER_FIRST; i < old->n; i++) {
		c = &old->at[i];
		if (c->pid != 0 && !c->handed.settled &&
		    now - c->handed.since_ms >= STALL_MS)
			stalled(c, now);
	}
	replace_check();
}

bool
replace_refills(const struct child *c)
{
	switch (child_crew(c)) {
	case CREW_IN_FORCE:
		return phase == REPLACE_IDLE || phase >= REPLACE_MOVING ||
		    failed;
	case CREW_COMING:
		return phase == REPLACE_YIELDING;
	case CREW_BESIDE:
		return beside_wanted();
	default:
		return false;
	}
}

/* Those that come have no clients; those that leave end as all others do. */
void
replace_stop(void)
{
	if (timer != NULL)
		evtimer_del(timer);
	if (coming() == NULL)
		return;
	listen_undo(&coming()->listen);
	for (unsigned i = 0; i < coming()->n; i++) {
		coming()->at[i].told_to_stop = true;
		child_kill(&coming()->at[i]);
	}
}

/* ---- status -------------------------------------------------------------- */

static void
worker_json(struct buf *out, const struct child *c)
{
	buf_fmt(out, "{\"slot\":%u,\"pid\":%d,\"connections\":%" PRIu64
	    ",\"moved\":%" PRIu64 ",\"kept\":%" PRIu64 ",\"refused\":%" PRIu64
	    ",\"settled\":%s,\"why\":", c->slot, (int)c->pid,
	    c->counters.connections, c->handed.moved, c->handed.kept,
	    c->handed.refused, c->handed.settled ? "true" : "false");
	json_quote(out, bytes_str(c->handed.why));
	buf_char(out, '}');
}

static void
crew_json(struct buf *out, const struct crew *crew, const char *state)
{
	buf_fmt(out, "{\"generation\":%" PRIu64 ",\"state\":\"%s\","
	    "\"workers\":[", crew->number, state);
	for (unsigned i = SLOT_WORKER_FIRST; i < crew->n; i++) {
		buf_str(out, i != SLOT_WORKER_FIRST ? "," : "");
		worker_json(out, &crew->at[i]);
	}
	buf_str(out, "]}");
}

void
replace_status(struct buf *out)
{
	static const char *const phases[] = { "idle", "raising", "yielding",
		"moving", "draining" };
	static const char *const states[] = { "in force", "coming",
		"leaving" };
	const char *comma = "";

	buf_fmt(out, "\"phase\":\"%s\",\"generations\":[", phases[phase]);
	for (unsigned k = 0; k < NELEM(states); k++) {
		if (master.crew[k] == NULL)
			continue;
		buf_str(out, comma);
		crew_json(out, master.crew[k], states[k]);
		comma = ",";
	}
	buf_str(out, "],");
	handed_json(out);
}
