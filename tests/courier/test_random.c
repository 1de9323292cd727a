/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier as a whole: random facts, events, answers of targets, settings,
 * hosts, full disks, a clock that jumps; couriers and routers that are killed or
 * replaced.  A model goes along (model.h) and says at each step whether the courier
 * does what it must.
 *
 *	PEAL_TEST_ROUNDS=100000		more seeds
 *	PEAL_TEST_SEED=17		this one alone
 */
#include "model.h"

#include <fcntl.h>
#include <inttypes.h>

#include <event2/event.h>

#include "common/crypto.h"
#include "common/hash.h"
#include "common/log.h"
#include "courier/body.h"
#include "courier/ledger.h"

#define STEPS	150
#define ROUNDS	(getenv("PEAL_TEST_BRIEF") == NULL ? 500u : 40u)
#define MANY	20000		/* patience, in turns */

static struct rig *g;
static struct wishes wishes;
static bool truth[FACTS];
static unsigned numbers[APPS];
static bool alone;		/* there are no other hosts */
static uint64_t number;		/* of the seed */

static void
patience(unsigned i)
{
	if (i > MANY)
		fail_msg("PEAL_TEST_SEED=%" PRIu64 ": has no end", number);
}

/* ---- settings ------------------------------------------------------------ */

static void
wish(struct wish *w, unsigned i)
{
	static const unsigned few[] = { 1, 1, 3, 10 };
	static const uint64_t waits[] = { 0, 0, 0, 700, 5000 },
	    patience[] = { 300000, 300000, 5000, 0, 86400000 },
	    times[] = { 10000, 10000, 100, 300000 };

	w->there = !one_in(4);
	w->app = i == 3 ? 1 : 0;
	w->events = one_in(2) ? 0x1fe : (1 + dice(255)) << 1;
	w->prefix = one_in(4);
	w->url = dice(3);
	w->most = few[dice(4)];
	w->wait = waits[dice(5)];
	w->retry_for = patience[dice(5)];
	w->timeout = times[dice(4)];
	w->max_queue = one_in(2) ? 65536 : 200000;
	snprintf(w->key, sizeof(w->key), "%s", w->app == 0 ? "app-key" :
	    "other-key");
	snprintf(w->secret, sizeof(w->secret), "%s", one_in(3) ? "own" :
	    w->app == 0 ? "app-secret" : "other-secret");
}

static void
wish_anew(void)
{
	for (unsigned i = 0; i < TARGETS; i++)
		if (one_in(2))
			wish(&wishes.at[i], i);
	wishes.hold_back = one_in(4) ? dice(2) * 100 : 3000;
	wishes.max_queue = one_in(2) ? 65536 : 1000000;
	wishes.max_requests = 1 + dice(4);
	model_wishes(&wishes);
}

static void
write_wish(struct buf *to, const struct wish *w, unsigned i)
{
	const char *comma = "";

	buf_fmt(to, "[webhook %c]\napp = %s\nurl = http://127.0.0.1:9/%c?%u\n"
	    "key = %s\nsecret = %s\nevents = ", 'a' + (int)i,
	    model_apps[w->app], 'a' + (int)i, w->url, w->key, w->secret);
	for (unsigned k = 1; k < EVENT_KINDS; k++)
		if (w->events & 1u << k) {
			buf_fmt(to, "%s%s", comma, body_name(k));
			comma = ", ";
		}
	buf_fmt(to, "\nmax_batch = %u\nbatching = %s\nbatch_wait = %ums\n"
	    "retry_for = %us\ntimeout = %ums\nmax_queue = %u\n",
	    (unsigned)w->most, w->most == 1 ? "no" : "yes", (unsigned)w->wait,
	    (unsigned)(w->retry_for / 1000), (unsigned)w->timeout,
	    (unsigned)w->max_queue);
	if (w->prefix)
		buf_str(to, "prefix = presence-\n");
}

static char *
settings_text(void)
{
	struct buf b = { 0 };
	char *text;

	buf_fmt(&b, "[app other]\nid = 1002\nkey = other-key\n"
	    "secret = other-secret\n[courier]\nallow_private = yes\n"
	    "ca_file = /dev/null\nhold_back = %ums\nmax_queue = %u\n"
	    "max_requests = %u\n", (unsigned)wishes.hold_back,
	    (unsigned)wishes.max_queue, (unsigned)wishes.max_requests);
	for (unsigned i = 0; i < TARGETS; i++)
		if (wishes.at[i].there)
			write_wish(&b, &wishes.at[i], i);
	text = xstrdup(buf_cstr(&b));
	buf_done(&b);
	return text;
}

/* ---- the router ---------------------------------------------------------- */

static void
turns(unsigned n)
{
	while (n-- > 0)
		rig_turn(g);
	model_compare();
}

static void
say_hosts(uint64_t lost)
{
	static const uint64_t nodes[] = { 1, 2, 3 };

	rig_hosts(g, 1, lost, nodes, alone ? 1 : 3);
}

static void
state(unsigned fact)
{
	rig_state_of(g, model_apps[fact / USERS / CHANNELS],
	    model_channels[fact / USERS % CHANNELS],
	    model_users[fact % USERS], truth[fact]);
}

static void
change(void)
{
	unsigned app = one_in(4), channel = dice(CHANNELS),
	    user = channel >= 2 ? dice(USERS) : 0;
	unsigned fact = FACT(app, channel, user);

	truth[fact] = !truth[fact];
	state(fact);
}

/* All that is there, and what changes meanwhile. */
static void
roll(void)
{
	rig_roll(g, true);
	for (unsigned i = 0; i < FACTS; i++) {
		if (truth[i])
			state(i);
		if (one_in(20))
			change();
		if (one_in(10))
			rig_turn(g);
	}
	if (!one_in(10))
		rig_roll(g, false);
}

static void
relink(void)
{
	rig_link_bare(g);
	say_hosts(0);
	rig_resend(g);
	roll();
}

static void
other_router(void)
{
	if (one_in(2))
		turns(3);
	rig_unlink(g);
	rig_forget(g);
	model_router_lost();
	g->epoch++;
	relink();
}

static void
client(void)
{
	unsigned app = one_in(4), size = one_in(10) ? dice(20000) : dice(50);
	char *text = xasprintf("\"n%u %*s\"", ++numbers[app], (int)size, "");

	model_said(app, numbers[app]);
	rig_event(g, (struct msg_hook_event){ .kind = HOOK_CLIENT,
	    .app = bytes_str(model_apps[app]),
	    .channel = bytes_str(model_channels[dice(CHANNELS)]),
	    .event = B("\"client-x\""), .data = bytes_str(text),
	    .socket_a = 12, .socket_b = 34 });
	free(text);
}

static void
event(unsigned kind)
{
	rig_event(g, (struct msg_hook_event){ .kind = kind,
	    .app = bytes_str(model_apps[one_in(4)]),
	    .channel = kind == HOOK_OPENED ? B("") :
	    bytes_str(model_channels[dice(CHANNELS)]), .count = dice(2000),
	    .socket_a = dice(1000), .socket_b = 34 });
}

/* ---- couriers ------------------------------------------------------------ */

static void
start(void)
{
	char *text;

	if (one_in(3))
		wish_anew();
	text = settings_text();
	rig_settings_next(g, text);
	free(text);
	if (one_in(2))
		rig_later(g, dice(10000));
	rig_start(g);
	turns(1);
	relink();
}

/* Perhaps with news that it has heard and not written. */
static void
killed(void)
{
	if (one_in(2))
		rig_turn(g);
	else if (one_in(2) && g->router != NULL) {
		ipc_flush(g->router);
		event_base_loop(g->base, EVLOOP_NONBLOCK);
	}
	rig_kill(g);
	model_killed();
}

static void
answer_one(void)
{
	static const unsigned how[] = { SAYS_YES, SAYS_YES, SAYS_YES, SAYS_YES,
	    SAYS_NO, SAYS_NO, SAYS_NOTHING, SAYS_LATER };

	if (model_asked() > 0)
		model_answer(dice(model_asked()), how[dice(8)]);
}

static void
stopped(uint64_t grace_ms)
{
	msg_pack_stop(ipc_out(g->master),
	    &(struct msg_stop){ .grace_ms = grace_ms });
	for (unsigned i = 0; !g->courier->done; i++) {
		patience(i);
		if (grace_ms == 0 && one_in(3))
			answer_one();
		while (grace_ms > 0 && model_asked() > 0)
			model_answer(0, SAYS_YES);
		rig_turn(g);
		rig_later(g, dice(500));
	}
}

static void
replaced(void)
{
	stopped(0);
	killed();
	start();
}

static void
new_settings(void)
{
	char *text;

	wish_anew();
	text = settings_text();
	rig_settings(g, text);
	free(text);
	if (!one_in(4))
		roll();
}

static void
new_hosts(void)
{
	alone = !alone;
	say_hosts(alone ? 2 + dice(2) : 0);
}

/* ---- a seed -------------------------------------------------------------- */

static void
step(unsigned d)
{
	if (d < 25)
		client();
	else if (d < 47)
		change();
	else if (d < 53)
		event(HOOK_COUNT);
	else if (d < 57)
		event(one_in(2) ? HOOK_MISS : HOOK_OPENED);
	else if (d < 75)
		answer_one();
	else if (d < 83)
		rig_later(g, dice(2000));
	else if (d < 86)
		rig_later(g, dice(12000));
	else if (d < 87)
		rig_later(g, dice(400000));
	else if (d < 89) {
		killed();
		start();
	} else if (d < 90)
		replaced();
	else if (d < 91)
		other_router();
	else if (d < 93)
		new_settings();
	else if (d < 94)
		roll();
	else if (d < 96)
		new_hosts();
	else if (d < 98)
		(void)ledger_rewrite(g->courier);
	else
		model_disk_full = !model_disk_full && one_in(2);
}

static void
drain(void)
{
	for (unsigned i = 0; i < 3 || model_asked() > 0 ||
	    g->courier->targets.n > 0; i++) {
		patience(i);
		while (model_asked() > 0)
			model_answer(0, SAYS_YES);
		turns(1);
		if (i % 8 == 7)
			rig_later(g, 61000);
	}
}

/* All is told, all is well: what is announced is what there is. */
static void
finish(void)
{
	model_disk_full = false;
	rig_later(g, 5000);
	turns(3);
	rig_roll(g, true);
	for (unsigned i = 0; i < FACTS; i++)
		if (truth[i])
			state(i);
	rig_roll(g, false);
	rig_until(g, g->acked == g->serial);
	rig_later(g, 60000);
	drain();
	model_all_done();
	for (unsigned i = 0; i < FACTS; i++)
		if (model_announced(i) != truth[i])
			fail_msg("fact %u: not as it is", i);
}

/* The service ends: what is held back goes out, and all that waits. */
static void
service_ends(void)
{
	for (unsigned i = 0; i < 20; i++)
		change();
	turns(2);
	alone = true;
	say_hosts(0);
	turns(2);
	rig_unlink(g);
	stopped(200000);
	model_hopeless();
	for (unsigned i = 0; i < FACTS; i++)
		(void)model_announced(i);	/* none is held */
}

static void
begin(uint64_t seed)
{
	char *text;

	number = seed;
	g = rig_make("");
	g->quick = true;
	model_begin(g, seed);
	memset(truth, 0, sizeof(truth));
	memset(numbers, 0, sizeof(numbers));
	memset(&wishes, 0, sizeof(wishes));
	alone = !one_in(4);
	wish_anew();
	text = settings_text();
	rig_settings_next(g, text);
	free(text);
}

static void
live(uint64_t seed)
{
	begin(seed);
	model_disk_full = one_in(10);
	rig_start(g);
	relink();
	for (unsigned i = 0; i < STEPS; i++) {
		step(dice(100));
		if (!one_in(3))
			turns(1);
	}
	finish();
	if (one_in(3))
		service_ends();
	rig_free(g);
	model_done();
}

/* Nothing is taken that cannot be kept, also if the journal is not begun yet. */
static void
waits_for_room(void **state)
{
	(void)state;
	rig_clock_stop();
	begin(1);
	model_disk_full = true;
	rig_start(g);
	relink();
	client();
	turns(5);
	assert_int_equal(g->acked, 0);
	assert_true(g->courier->journal.broken);
	rig_later(g, 2000);
	turns(5);
	assert_int_equal(g->acked, 0);
	model_disk_full = false;
	rig_later(g, 2000);
	turns(5);
	assert_int_equal(g->acked, g->serial);
	killed();
	rig_start(g);
	assert_int_equal(g->courier->serial, g->acked);
	relink();
	finish();
	rig_free(g);
	model_done();
}

static void
does_what_it_must(void **state)
{
	const char *seed = getenv("PEAL_TEST_SEED"),
	    *rounds = getenv("PEAL_TEST_ROUNDS");
	unsigned most = rounds != NULL ? (unsigned)atoi(rounds) : ROUNDS;

	(void)state;
	rig_clock_stop();
	if (seed != NULL) {
		live(strtoull(seed, NULL, 10));
		return;
	}
	for (unsigned i = 1; i <= most; i++)
		live(i);
	print_message("# seeds 1 to %u: %u events delivered\n", most,
	    model_delivered());
	assert_true(model_delivered() > most * 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_for_room),
		cmocka_unit_test(does_what_it_must),
	};

	crypto_init();
	(void)hash_bytes(B(""));	/* its key: before all seeds */
	/* A disk that is full is an error. */
	log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
