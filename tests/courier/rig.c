/* SPDX-License-Identifier: MIT
 *
 * A courier without a service, see rig.h.
 */
#include "rig.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"

static uint64_t ahead_ms, stopped_ms;	/* when the clock was stopped */

uint64_t	__real_clock_ms(void);
uint64_t	__wrap_clock_ms(void);

uint64_t
__wrap_clock_ms(void)
{
	return (stopped_ms != 0 ? stopped_ms : __real_clock_ms()) + ahead_ms;
}

void
rig_clock_stop(void)
{
	stopped_ms = __real_clock_ms();
}

uint64_t
rig_real_ms(void)
{
	return __real_clock_ms();
}

uint64_t
rig_deadline(void)
{
	return __real_clock_ms() + RIG_PATIENCE_MS;
}

/* ---- what the courier says --------------------------------------------------- */

static void
answer_name(struct rig *g)
{
	struct msg_found found = { .cookie = g->cookie };

	if (g->mute)
		return;
	found.addresses_out = (struct msg_strings){ g->addresses,
		g->n_addresses };
	if (g->n_addresses == 0)
		found.why = B("no such name");
	msg_pack_found(ipc_out(g->master), &found);
	ipc_flush(g->master);
}

static void
keep_report(struct rig *g, const struct msg_hook_report *m)
{
	unsigned i = 0;

	while (g->report_names[i] != NULL && !bytes_eq(m->target,
	    bytes_str(g->report_names[i])))
		i++;
	assert_true(i < NELEM(g->reports));
	free(g->report_names[i]);
	free(g->reports[i]);
	g->report_names[i] = bytes_dup(m->target);
	g->reports[i] = bytes_dup(m->json);
}

static int
on_master(void *ctx, struct ipc *ipc, unsigned type, struct unpacker *u,
    const char **why)
{
	struct msg_hook_report report;
	struct msg_lookup lookup;
	struct rig *g = ctx;

	(void)ipc;
	switch (type) {
	case MSG_ready:
		g->ready = true;
		break;
	case MSG_hook_report:
		assert_int_equal(msg_unpack_hook_report(u, &report, why), 0);
		keep_report(g, &report);
		break;
	case MSG_lookup:
		assert_int_equal(msg_unpack_lookup(u, &lookup, why), 0);
		snprintf(g->asked, sizeof(g->asked), "%.*s",
		    (int)lookup.host.n, lookup.host.p);
		g->cookie = lookup.cookie;
		g->n_asked++;
		answer_name(g);
		break;
	case MSG_counters:
	case MSG_pong:
		break;
	default:
		fail_msg("the master hears %s", msg_name(type));
	}
	return 0;
}

static void
on_master_gone(void *ctx, struct ipc *ipc, const char *why)
{
	struct rig *g = ctx;

	(void)ipc, (void)why;
	g->master_gone = true;
}

/* ---- what is not acknowledged ------------------------------------------------- */

static void
kept_drop(struct rig *g)
{
	buf_done(&g->kept[0].frame);
	memmove(g->kept, g->kept + 1, --g->n_kept * sizeof(g->kept[0]));
}

void
rig_forget(struct rig *g)
{
	while (g->n_kept > 0)
		kept_drop(g);
}

/* Says it if somebody is there, and keeps it. */
static void
say(struct rig *g, struct buf *frame)
{
	if (g->n_kept == g->cap_kept) {
		g->cap_kept = g->cap_kept * 2 + 8;
		g->kept = xreallocarray(g->kept, g->cap_kept,
		    sizeof(*g->kept));
	}
	g->kept[g->n_kept].serial = g->serial;
	g->kept[g->n_kept++].frame = *frame;
	if (g->router != NULL)
		ipc_put(g->router, buf_view(frame));
}

void
rig_resend(struct rig *g)
{
	for (size_t i = 0; i < g->n_kept; i++)
		ipc_put(g->router, buf_view(&g->kept[i].frame));
}

static int
on_router(void *ctx, struct ipc *ipc, unsigned type, struct unpacker *u,
    const char **why)
{
	struct msg_hook_ack ack;
	struct rig *g = ctx;

	(void)ipc;
	assert_int_equal(type, MSG_hook_ack);
	assert_int_equal(msg_unpack_hook_ack(u, &ack, why), 0);
	assert_true(ack.serial <= g->serial);
	g->acked = ack.serial;
	while (g->n_kept > 0 && g->kept[0].serial <= g->acked)
		kept_drop(g);
	return 0;
}

static void
on_router_gone(void *ctx, struct ipc *ipc, const char *why)
{
	struct rig *g = ctx;

	(void)ipc, (void)why;
	g->router_gone = true;
}

static const struct ipc_ops master_ops = {
	.on_message = on_master, .on_gone = on_master_gone,
};
static const struct ipc_ops router_ops = {
	.on_message = on_router, .on_gone = on_router_gone,
};

/* ---- turns --------------------------------------------------------------------- */

static void
on_nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

void
rig_turn(struct rig *g)
{
	struct timeval soon = { 0, 10000 };

	if (g->router != NULL)
		ipc_flush(g->router);
	if (g->master != NULL)
		ipc_flush(g->master);
	if (!g->quick)
		event_base_once(g->base, -1, EV_TIMEOUT, on_nothing, NULL,
		    &soon);
	event_base_loop(g->base, g->quick ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
	if (g->courier != NULL)
		while (courier_turn(g->courier))
			event_base_loop(g->base, EVLOOP_NONBLOCK);
}

void
rig_idle(struct rig *g)
{
	for (int i = 0; i < 10; i++)
		rig_turn(g);
}

void
rig_later(struct rig *g, uint64_t ms)
{
	ahead_ms += ms;
	if (g->courier != NULL)
		courier_tick(g->courier);
	rig_turn(g);
}

/* ---- settings ------------------------------------------------------------------- */

static void
settings_make(struct rig *g, const char *text)
{
	free(g->settings);
	g->settings = xasprintf("[peal]\nworkers = 1\njail = off\nuser = root\n"
	    "log_level = error\n%s"
	    RIG_APP "%s", strstr(text, "[courier]") != NULL ? "" :
	    "[courier]\nallow_private = yes\n", text);
}

static void
settings_say(struct rig *g)
{
	char path[] = "/tmp/peal-courier-XXXXXX", *why = NULL;
	static char *const nothing[] = { NULL };
	struct config_source from = { .file = path, .environ_ = nothing };
	struct buf packed = { 0 };
	struct config *config;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, g->settings, strlen(g->settings)),
	    strlen(g->settings));
	close(fd);
	if ((config = config_load(&from, &why)) == NULL)
		fail_msg("%s", why);
	unlink(path);
	config_pack(config, CONFIG_COURIER, &packed);
	config_free(config);
	msg_pack_settings(ipc_out(g->master),
	    &(struct msg_settings){ .packed = buf_view(&packed) });
	buf_done(&packed);
}

void
rig_settings_next(struct rig *g, const char *text)
{
	settings_make(g, text);
}

void
rig_settings(struct rig *g, const char *text)
{
	settings_make(g, text);
	settings_say(g);
	ipc_flush(g->master);
	rig_idle(g);
}

/* ---- life ------------------------------------------------------------------------ */

static void
say_fd(struct rig *g, struct buf *frame, int fd)
{
	ipc_put_fd(g->master, buf_view(frame), fd);
	buf_clear(frame);
}

void
rig_start(struct rig *g)
{
	struct buf b = { 0 };
	int fds[2];

	assert_null(g->courier);
	assert_int_equal(ipc_pair(fds), 0);
	g->master = ipc_new(g->base, fds[1], false, &master_ops, g);
	g->courier = courier_new(g->base, fds[0]);
	g->ready = false;
	msg_pack_start(ipc_out(g->master),
	    &(struct msg_start){ .version = MSG_VERSION, .node = 1 });
	settings_say(g);
	for (unsigned i = 0; i < 2; i++) {
		if (g->journal[i] < 0)
			continue;
		msg_pack_spool(&b, &(struct msg_spool){ .index = i });
		say_fd(g, &b, g->journal[i]);
	}
	msg_pack_go(ipc_out(g->master), &(struct msg_go){ .expect = 0 });
	buf_done(&b);
	rig_until(g, g->ready);
}

void
rig_kill(struct rig *g)
{
	courier_free(g->courier);
	g->courier = NULL;
	ipc_free(g->master);
	g->master = NULL;
	rig_unlink(g);
}

void
rig_stop(struct rig *g, uint64_t grace_ms)
{
	msg_pack_stop(ipc_out(g->master),
	    &(struct msg_stop){ .grace_ms = grace_ms });
	rig_until(g, g->courier->done);
	rig_kill(g);
}

struct rig *
rig_make(const char *settings)
{
	struct rig *g = xcalloc(1, sizeof(*g));
	static const char local[] = { 127, 0, 0, 1 };
	static const struct bytes loopback = { local, 4 };

	signal(SIGPIPE, SIG_IGN);
	log_init("test");
	g->base = event_base_new();
	g->epoch = 1000;
	g->addresses = &loopback;
	g->n_addresses = 1;
	for (unsigned i = 0; i < 2; i++)
		g->journal[i] = memfd_create("journal", MFD_CLOEXEC);
	settings_make(g, settings);
	return g;
}

struct rig *
rig_new(const char *settings)
{
	struct rig *g = rig_make(settings);

	rig_start(g);
	return g;
}

void
rig_free(struct rig *g)
{
	if (g->courier != NULL)
		rig_kill(g);
	for (unsigned i = 0; i < 2; i++)
		if (g->journal[i] >= 0)
			close(g->journal[i]);
	rig_forget(g);
	free(g->kept);
	for (unsigned i = 0; i < NELEM(g->reports); i++) {
		free(g->reports[i]);
		free(g->report_names[i]);
	}
	free(g->settings);
	event_base_free(g->base);
	free(g);
}

/* ---- the router -------------------------------------------------------------------- */

void
rig_link_bare(struct rig *g)
{
	struct buf b = { 0 };
	int fds[2];

	assert_null(g->router);
	assert_int_equal(ipc_pair(fds), 0);
	g->router = ipc_new(g->base, fds[1], false, &router_ops, g);
	msg_pack_hook_link(&b, &(struct msg_hook_link){ .fd = fds[0] });
	say_fd(g, &b, fds[0]);
	ipc_flush(g->master);
	close(fds[0]);
	buf_done(&b);
}

void
rig_link(struct rig *g)
{
	uint64_t self = 1;

	rig_link_bare(g);
	rig_hosts(g, 1, 0, &self, 1);
	rig_roll(g, true);
	rig_roll(g, false);
	rig_acked(g);
}

void
rig_unlink(struct rig *g)
{
	if (g->router != NULL)
		ipc_free(g->router);
	g->router = NULL;
}

void
rig_hosts(struct rig *g, uint64_t own, uint64_t lost, const uint64_t *nodes,
    uint32_t n)
{
	struct bytes list[16];
	char room[16][8];

	assert_true(n <= 16);
	for (uint32_t i = 0; i < n; i++) {
		for (unsigned k = 0; k < 8; k++)
			room[i][k] = (char)(nodes[i] >> (56 - 8 * k));
		list[i] = bytes_of(room[i], 8);
	}
	msg_pack_hook_hosts(ipc_out(g->router), &(struct msg_hook_hosts){
	    .own = own, .lost = lost, .nodes_out = { list, n },
	    .epoch = g->epoch });
}

void
rig_roll(struct rig *g, bool on)
{
	struct buf b = { 0 };

	msg_pack_hook_roll(&b,
	    &(struct msg_hook_roll){ .serial = ++g->serial, .on = on });
	say(g, &b);
}

void
rig_state_of(struct rig *g, const char *app, const char *channel,
    const char *user, bool present)
{
	struct buf b = { 0 };

	msg_pack_hook_state(&b, &(struct msg_hook_state){
	    .serial = ++g->serial, .app = bytes_str(app),
	    .channel = bytes_str(channel), .user = bytes_str(user),
	    .present = present });
	say(g, &b);
}

void
rig_state(struct rig *g, const char *channel, const char *user, bool present)
{
	rig_state_of(g, "1001", channel, user, present);
}

void
rig_event(struct rig *g, struct msg_hook_event m)
{
	struct buf b = { 0 };

	m.serial = ++g->serial;
	if (m.app.n == 0)
		m.app = B("1001");
	msg_pack_hook_event(&b, &m);
	say(g, &b);
}

void
rig_client(struct rig *g, const char *channel, const char *data)
{
	rig_event(g, (struct msg_hook_event){ .kind = HOOK_CLIENT,
	    .channel = bytes_str(channel), .event = B("\"client-x\""),
	    .data = bytes_str(data), .socket_a = 12, .socket_b = 34 });
}

void
rig_acked(struct rig *g)
{
	rig_until(g, g->acked == g->serial);
}
