/* SPDX-License-Identifier: MIT
 *
 * Connections come, go, subscribe, sign in and change workers at random, and what
 * workers say is read in any order between links: after each message that is read
 * all numbers are as if nobody had ever moved, nobody hears of a move, and the
 * limit on connections is kept to the last one.
 */
#include "driver.h"
#include "told.h"

#include <inttypes.h>
#include <stdio.h>

#define WORKERS		4
#define CLIENTS		24
#define CHANNELS	4
#define USERS		3
#define MOST		16	/* max_connections */
#define STEPS		1500
#define ROUNDS		12

/* The last two have members. */
static const char *const channels[CHANNELS] = { "x", "y", "presence-p",
	"presence-q" };
static const char *const users[USERS] = { "u0", "u1", "u2" };

#define HAS_MEMBERS(ch)	((ch) >= 2)
#define NOBODY		(-1)

enum effect { NOTHING, JOINS, LEAVES, EXPECTS, EXPECTS_NOT, SIGNS_IN, SIGNS_OUT,
	LOAD, CONNECTS, MOVES };

/* What a worker has said and the router has not read. */
struct said {
	struct buf	 frame;
	enum effect	 effect;
	int		 client, channel, user;
	int64_t		 open, subscribed;	/* more of them */
	uint64_t	 granted, conn;
	struct said	*next;
};

static struct client {
	bool		 used, open, waiting;
	int		 at;			/* worker */
	uint64_t	 conn;
	int		 in[CHANNELS];		/* user there; NOBODY: not in */
	int		 user;			/* signed in */
	/* what the router knows: who has it, and as what */
	int		 told_at;
	uint64_t	 told_conn;
	int		 watched[USERS];	/* heard last: 0, 1, NOBODY */
	bool		 watches;
	unsigned	 unread;		/* messages about it */
} clients[CLIENTS];

static struct worker {
	struct mate	*mate;
	struct said	*first, **last;
	uint64_t	 open, subscribed, granted, told_granted;
	uint64_t	 came, went, came_subscribed, went_subscribed;
	int64_t		 more_open, more_subscribed;	/* since its last load */
	uint64_t	 let_go, let_go_subscribed;	/* to be done yet */
	bool		 expects[CHANNELS];	/* says so */
	bool		 told_expects[CHANNELS];
	unsigned	 told_subs[CHANNELS];
	bool		 knows[CHANNELS][USERS], listed[CHANNELS][USERS];
	unsigned	 delivered;
} workers[WORKERS];

/* As if there were one worker, by what has been read. */
static struct {
	unsigned	 subs[CHANNELS], seats[CHANNELS][USERS], online[USERS];
	int64_t		 open, subscribed;
	uint64_t	 granted, read;
} truth;

static struct told told;		/* its courier */
static struct rig *g;
static struct mate *observer;
static uint64_t last_conn, last_cookie, last_serial;
static bool silent;			/* nobody may hear anything */

static unsigned
any(unsigned n)
{
	return (unsigned)rand() % n;
}

/* ---- what is said ---------------------------------------------------------- */

static struct said *
say(struct worker *w, enum effect effect, int client, int channel)
{
	struct said *s = xcalloc(1, sizeof(*s));

	s->effect = effect;
	s->client = client;
	s->channel = channel;
	s->user = NOBODY;
	if (client != NOBODY)
		clients[client].unread++;
	*w->last = s;
	w->last = &s->next;
	return s;
}

static struct bytes
user_of(int user)
{
	return user == NOBODY ? bytes_of(NULL, 0) : bytes_str(users[user]);
}

static unsigned
n_subs(const struct client *cl)
{
	unsigned n = 0;

	for (int ch = 0; ch < CHANNELS; ch++)
		n += cl->in[ch] != NOBODY;
	return n;
}

static void
subscribed(struct worker *w, int more)
{
	w->subscribed += (uint64_t)(int64_t)more;
	w->more_subscribed += more;
}

static void
opened(struct worker *w, int more)
{
	w->open += (uint64_t)(int64_t)more;
	w->more_open += more;
}

static void
joins(int i, int ch)
{
	struct client *cl = &clients[i];
	struct worker *w = &workers[cl->at];
	int user = HAS_MEMBERS(ch) ? (int)any(USERS) : 0;
	struct said *s = say(w, JOINS, i, ch);

	if (n_subs(cl) == 0)
		subscribed(w, 1);
	cl->in[ch] = s->user = user;
	msg_pack_join(&s->frame, &(struct msg_join){
	    .app = B("1"), .channel = bytes_str(channels[ch]), .n = 1,
	    .flags = HAS_MEMBERS(ch) ? JOIN_PRESENCE : 0,
	    .user = user_of(HAS_MEMBERS(ch) ? user : NOBODY),
	    .member = HAS_MEMBERS(ch) ? B("{}") : bytes_of(NULL, 0) });
}

static void
leaves(int i, int ch)
{
	struct client *cl = &clients[i];
	struct worker *w = &workers[cl->at];
	struct said *s = say(w, LEAVES, i, ch);

	s->user = cl->in[ch];
	msg_pack_leave(&s->frame, &(struct msg_leave){
	    .app = B("1"), .channel = bytes_str(channels[ch]), .n = 1,
	    .user = user_of(HAS_MEMBERS(ch) ? s->user : NOBODY) });
	cl->in[ch] = NOBODY;
	if (n_subs(cl) == 0)
		subscribed(w, -1);
}

static void
signs(int i, int user)
{
	struct client *cl = &clients[i];
	struct worker *w = &workers[cl->at];
	struct bytes watch[USERS];
	struct said *s = say(w, user != NOBODY ? SIGNS_IN : SIGNS_OUT, i, 0);

	for (int u = 0; u < USERS; u++)
		watch[u] = bytes_str(users[u]);
	s->user = user != NOBODY ? user : cl->user;
	if (user != NOBODY)
		msg_pack_signin(&s->frame, &(struct msg_signin){
		    .app = B("1"), .conn = cl->conn, .user = user_of(user),
		    .watch_out = { watch, USERS } });
	else
		msg_pack_signout(&s->frame, &(struct msg_signout){
		    .app = B("1"), .conn = cl->conn,
		    .user = user_of(cl->user) });
	cl->user = user;
}

static void
says_load(struct worker *w)
{
	struct said *s = say(w, LOAD, NOBODY, 0);

	s->open = w->more_open;
	s->subscribed = w->more_subscribed;
	s->granted = w->granted - w->told_granted;
	w->told_granted = w->granted;
	w->more_open = w->more_subscribed = 0;
	msg_pack_load(&s->frame, &(struct msg_load){
	    .app = B("1"), .open = w->open, .subscribed = w->subscribed,
	    .granted = w->granted, .came = w->came, .went = w->went,
	    .came_subscribed = w->came_subscribed,
	    .went_subscribed = w->went_subscribed });
}

static void
connects(int i)
{
	struct client *cl = &clients[i];
	struct said *s;

	*cl = (struct client){ .used = true, .waiting = true,
	    .at = (int)any(WORKERS), .conn = ++last_conn, .user = NOBODY };
	for (int ch = 0; ch < CHANNELS; ch++)
		cl->in[ch] = NOBODY;
	cl->told_at = cl->at;
	cl->told_conn = cl->conn;
	s = say(&workers[cl->at], CONNECTS, i, 0);
	msg_pack_connect(&s->frame, &(struct msg_connect){
	    .app = B("1"), .conn = cl->conn });
}

static void
ends(int i)
{
	struct client *cl = &clients[i];

	for (int ch = 0; ch < CHANNELS; ch++)
		if (cl->in[ch] != NOBODY)
			leaves(i, ch);
	if (cl->user != NOBODY)
		signs(i, NOBODY);
	opened(&workers[cl->at], -1);
	cl->used = false;
}

/* ---- what the router reads ------------------------------------------------- */

static void
count_online(int user, int more)
{
	truth.online[user] += (unsigned)more;
}

static void
takes_effect(struct worker *w, const struct said *s)
{
	struct client *cl = s->client != NOBODY ? &clients[s->client] : NULL;
	int ch = s->channel;

	if (cl != NULL)
		cl->unread--;
	switch (s->effect) {
	case JOINS:
	case LEAVES:
		truth.subs[ch] += s->effect == JOINS ? 1 : -1u;
		w->told_subs[ch] += s->effect == JOINS ? 1 : -1u;
		truth.seats[ch][s->user] += s->effect == JOINS ? 1 : -1u;
		break;
	case EXPECTS:
	case EXPECTS_NOT:
		w->told_expects[ch] = s->effect == EXPECTS;
		break;
	case SIGNS_IN:
		cl->watches = true;
		for (int u = 0; u < USERS; u++)
			cl->watched[u] = NOBODY;
		count_online(s->user, 1);
		break;
	case SIGNS_OUT:
		cl->watches = false;
		count_online(s->user, -1);
		break;
	case LOAD:
		truth.open += s->open;
		truth.subscribed += s->subscribed;
		truth.read += s->granted;
		break;
	case MOVES:
		for (ch = 0; ch < CHANNELS; ch++)
			if (s->user & 1 << ch) {
				workers[cl->told_at].told_subs[ch]--;
				w->told_subs[ch]++;
			}
		cl->told_at = (int)(w - workers);
		cl->told_conn = s->conn;
		silent = true;
		break;
	default:
		break;
	}
}

/* ---- what workers hear ------------------------------------------------------ */

static bool
hears(const struct worker *w, int ch)
{
	return w->told_subs[ch] > 0 || w->told_expects[ch];
}

static int
named(const char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	fail_msg("%s", name);
	return 0;
}

static void
hears_grant(struct worker *w, uint64_t conn, bool allowed)
{
	bool may = truth.open + (int64_t)(truth.granted - truth.read) < MOST;
	struct client *cl = clients;

	while (cl->conn != conn)
		cl++;
	assert_int_equal(allowed, may);
	cl->waiting = false;
	cl->used = cl->open = allowed;
	if (!allowed)
		return;
	truth.granted++;
	w->granted++;
	opened(w, 1);
}

static void
hears_watch(const struct worker *w, uint64_t conn, char *lists)
{
	struct client *cl = clients;
	char *list, *user, *a, *b;

	while (cl->told_conn != conn)
		cl++;
	/* It is told to where it is. */
	assert_ptr_equal(&workers[cl->told_at], w);
	for (list = strtok_r(lists, " ", &a); list != NULL;
	    list = strtok_r(NULL, " ", &a)) {
		int online = strncmp(list, "online", 6) == 0;

		strtok_r(list, "=", &b);
		while ((user = strtok_r(NULL, ",", &b)) != NULL) {
			int u = named(users, USERS, user);

			assert_int_not_equal(cl->watched[u], online);
			cl->watched[u] = online;
		}
	}
}

static void
hears_line(struct worker *w, char *line)
{
	char what[20] = "", channel[20] = "", user[20] = "";
	uint64_t conn, n;
	int ch, u, at = 0;

	if (sscanf(line, "grant %" SCNu64 " %" SCNu64, &conn, &n) == 2) {
		hears_grant(w, conn, n != 0);
		return;
	}
	if (silent)
		fail_msg("a move was heard: %s", line);
	if (sscanf(line, "watch %" SCNu64 " %n", &conn, &at) == 1) {
		hears_watch(w, conn, line + at);
		return;
	}
	assert_true(sscanf(line, "%19s %19s %19s", what, channel, user) >= 2);
	ch = named(channels, CHANNELS, channel);
	if (strcmp(what, "deliver") == 0) {
		w->delivered++;
		return;
	}
	if (strcmp(what, "roster") == 0) {
		memcpy(w->knows[ch], w->listed[ch], sizeof(w->knows[ch]));
		memset(w->listed[ch], 0, sizeof(w->listed[ch]));
		return;
	}
	u = named(users, USERS, user);
	if (strcmp(what, "member") == 0) {
		w->listed[ch][u] = true;
	} else {
		assert_true(strcmp(what, "added") == 0 ||
		    strcmp(what, "removed") == 0);
		assert_int_not_equal(w->knows[ch][u], what[0] == 'a');
		w->knows[ch][u] = what[0] == 'a';
	}
}

static void
all_hear(void)
{
	for (int i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];

		for (size_t k = 0; k < w->mate->n_lines; k++) {
			hears_line(w, w->mate->lines[k]);
			free(w->mate->lines[k]);
		}
		w->mate->n_lines = 0;
	}
}

/* ---- what must be true ------------------------------------------------------ */

static unsigned
members(int ch)
{
	unsigned n = 0;

	for (int u = 0; u < USERS; u++)
		n += HAS_MEMBERS(ch) && truth.seats[ch][u] > 0;
	return n;
}

static void
is_answer(unsigned kind, const char *name, const char *row)
{
	char done[32];

	snprintf(done, sizeof(done), "done %" PRIu64, ++last_cookie);
	SAY(observer, query, .cookie = last_cookie, .kind = kind,
	    .app = B("1"), .name = bytes_str(name));
	rig_run(g);
	if (row != NULL)
		GETS(observer, row);
	GETS(observer, done);
	GETS_NONE(observer);
}

static void
check_copies(void)
{
	for (int i = 0; i < WORKERS; i++)
		for (int ch = 2; ch < CHANNELS; ch++)
			for (int u = 0; u < USERS; u++)
				if (hears(&workers[i], ch))
					assert_int_equal(
					    workers[i].knows[ch][u],
					    truth.seats[ch][u] > 0);
	for (int i = 0; i < CLIENTS; i++)
		for (int u = 0; u < USERS; u++)
			if (clients[i].watches)
				assert_int_equal(clients[i].watched[u],
				    truth.online[u] > 0);
}

static void
check(void)
{
	char row[64];

	for (int ch = 0; ch < CHANNELS; ch++) {
		snprintf(row, sizeof(row), "row %s %u/%u", channels[ch],
		    truth.subs[ch], members(ch));
		is_answer(QUERY_CHANNEL, channels[ch],
		    truth.subs[ch] > 0 ? row : NULL);
	}
	snprintf(row, sizeof(row), "row 1 %" PRId64 "/%" PRId64,
	    truth.subscribed, truth.open);
	is_answer(QUERY_CONNECTIONS, "", row);
	check_copies();
	told_hear(&told, g);
	told_check(&told, g->router);
}

/* Whoever has or expects subscribers gets it, once. */
static void
publishes(void)
{
	int ch = (int)any(CHANNELS);
	char ack[32];

	SAY(observer, publish, .serial = ++last_serial, .app = B("1"),
	    .channel = bytes_str(channels[ch]), .event = B("e"),
	    .data = B("1"));
	rig_run(g);
	snprintf(ack, sizeof(ack), "ack %" PRIu64, last_serial);
	GETS(observer, ack);
	all_hear();
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(workers[i].delivered, hears(&workers[i], ch));
		workers[i].delivered = 0;
	}
}

/* ---- what happens ------------------------------------------------------------- */

/* The router reads one message of a worker. */
static bool
reads(struct worker *w)
{
	struct said *s = w->first;

	if (s == NULL)
		return false;
	w->first = s->next;
	if (w->first == NULL)
		w->last = &w->first;
	buf_bytes(&w->mate->out, buf_view(&s->frame));
	takes_effect(w, s);
	rig_run(g);
	all_hear();
	silent = false;
	buf_done(&s->frame);
	free(s);
	return true;
}

static void
reads_all(struct worker *w)
{
	while (reads(w))
		;
}

/* One that may do something now, or NOBODY. */
static int
somebody(void)
{
	for (int tries = 0; tries < 10; tries++) {
		int i = (int)any(CLIENTS);

		if (clients[i].used && clients[i].open)
			return i;
	}
	return NOBODY;
}

static bool
is_expected(const struct client *cl, const struct worker *w)
{
	for (int ch = 0; ch < CHANNELS; ch++)
		if (cl->in[ch] != NOBODY &&
		    !(w->expects[ch] && w->told_expects[ch]))
			return false;
	return true;
}

static void
pack_moved(struct said *s, const struct client *cl, const struct worker *from,
    uint64_t was)
{
	struct bytes names[CHANNELS], who[CHANNELS], objects[CHANNELS],
	    watch[USERS];
	uint32_t n = 0;

	for (int ch = 0; ch < CHANNELS; ch++) {
		if (cl->in[ch] == NOBODY)
			continue;
		s->user |= 1 << ch;
		names[n] = bytes_str(channels[ch]);
		who[n] = user_of(HAS_MEMBERS(ch) ? cl->in[ch] : NOBODY);
		objects[n++] = HAS_MEMBERS(ch) ? B("{}") : bytes_of(NULL, 0);
	}
	for (int u = 0; u < USERS; u++)
		watch[u] = bytes_str(users[u]);
	msg_pack_moved(&s->frame, &(struct msg_moved){
	    .slot = from->mate->slot, .generation = from->mate->generation,
	    .app = B("1"), .was = was, .conn = cl->conn, .open = 1,
	    .channels_out = { names, n }, .users_out = { who, n },
	    .members_out = { objects, n }, .user = user_of(cl->user),
	    .watch_out = { watch, cl->user != NOBODY ? USERS : 0 },
	    .epoch = g->router->epoch, .first = 1 });
}

/* Behind a mark, as it is: the router has read all of the elder. */
static void
moves(int i)
{
	struct client *cl = &clients[i];
	struct worker *from = &workers[cl->at], *to = &workers[any(WORKERS)];
	bool has_subs = n_subs(cl) > 0;
	uint64_t was = cl->conn;
	struct said *s;

	if (to == from || !is_expected(cl, to))
		return;
	says_load(from);
	reads_all(from);
	from->let_go++;
	from->let_go_subscribed += has_subs;
	to->open++;
	to->came++;
	to->subscribed += has_subs;
	to->came_subscribed += has_subs;
	if (any(2))
		says_load(to);
	cl->at = (int)(to - workers);
	cl->conn = ++last_conn;
	s = say(to, MOVES, i, 0);
	s->user = 0;
	s->conn = cl->conn;
	pack_moved(s, cl, from, was);
}

/* The elder reads that they were taken. */
static void
lets_go(struct worker *w)
{
	w->open -= w->let_go;
	w->went += w->let_go;
	w->subscribed -= w->let_go_subscribed;
	w->went_subscribed += w->let_go_subscribed;
	w->let_go = w->let_go_subscribed = 0;
}

static void
expects(struct worker *w, int ch, bool on)
{
	struct said *s;

	if (w->expects[ch] == on)
		return;
	w->expects[ch] = on;
	s = say(w, on ? EXPECTS : EXPECTS_NOT, NOBODY, ch);
	if (on)
		msg_pack_join(&s->frame, &(struct msg_join){
		    .app = B("1"), .channel = bytes_str(channels[ch]),
		    .flags = JOIN_HEIR | (HAS_MEMBERS(ch) ?
		    JOIN_PRESENCE | JOIN_ROSTER : 0) });
	else
		msg_pack_leave(&s->frame, &(struct msg_leave){
		    .app = B("1"), .channel = bytes_str(channels[ch]) });
}

static void
client_does_something(void)
{
	int i = somebody(), ch = (int)any(CHANNELS);

	if (i == NOBODY)
		return;
	switch (any(8)) {
	case 0:
		ends(i);
		break;
	case 1:
		signs(i, clients[i].user == NOBODY ? (int)any(USERS) : NOBODY);
		break;
	case 2:
	case 3:
	case 4:
		moves(i);
		break;
	default:
		if (clients[i].in[ch] == NOBODY)
			joins(i, ch);
		else
			leaves(i, ch);
	}
}

static void
step(void)
{
	struct worker *w = &workers[any(WORKERS)];
	int i = (int)any(CLIENTS);

	switch (any(10)) {
	case 0:
		if (!clients[i].used && clients[i].unread == 0)
			connects(i);
		break;
	case 1:
		says_load(w);
		break;
	case 2:
		lets_go(w);
		break;
	case 3:
		expects(w, (int)any(CHANNELS), any(4) > 0);
		break;
	case 4:
		publishes();
		break;
	case 5:
	case 6:
		client_does_something();
		break;
	default:
		reads(w);
		check();
	}
}

static void
finish(void)
{
	for (int i = 0; i < WORKERS; i++) {
		lets_go(&workers[i]);
		says_load(&workers[i]);
		reads_all(&workers[i]);
	}
	for (int i = 0; i < CLIENTS; i++)
		if (clients[i].used && clients[i].open)
			ends(i);
	for (int i = 0; i < WORKERS; i++) {
		for (int ch = 0; ch < CHANNELS; ch++)
			expects(&workers[i], ch, false);
		says_load(&workers[i]);
		reads_all(&workers[i]);
	}
	check();
	assert_int_equal(truth.open, 0);
	assert_int_equal(truth.subscribed, 0);
	for (int ch = 0; ch < CHANNELS; ch++)
		assert_null(route_find(census_get(g->router, B("1")),
		    bytes_str(channels[ch])));
}

static void
test_schedules(void **state)
{
	unsigned rounds = getenv("PEAL_TEST_BRIEF") != NULL ? 2 : ROUNDS;

	(void)state;
	for (unsigned seed = 1; seed <= rounds; seed++) {
		srand(seed);
		g = rig_new("max_connections = 16\n" TOLD_HOOK);
		told_init(&told);
		told_link(&told, g);
		observer = rig_worker(g, 9);
		memset(&truth, 0, sizeof(truth));
		memset(clients, 0, sizeof(clients));
		memset(workers, 0, sizeof(workers));
		for (int i = 0; i < WORKERS; i++) {
			workers[i].mate = rig_worker(g, (unsigned)i + 1);
			workers[i].last = &workers[i].first;
		}
		for (unsigned n = 0; n < STEPS; n++)
			step();
		finish();
		assert_int_equal(told.rolls, 1);
		told_done(&told);
		rig_free(g);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schedules),
	};

	return cmocka_run_group_tests_name("shift_random", tests, NULL, NULL);
}
