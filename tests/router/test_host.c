/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/host.c and hear.c: what hosts know of each other, and when.
 */
#include "cluster.h"

#include "common/counters.h"

static void
join(struct mate *w, const char *channel)
{
	SAY(w, join, .app = B("1"), .channel = bytes_str(channel), .n = 1);
}

static void
leave(struct mate *w, const char *channel)
{
	SAY(w, leave, .app = B("1"), .channel = bytes_str(channel), .n = 1);
}

static void
enter(struct mate *w, const char *user, uint64_t cookie)
{
	SAY(w, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .cookie = cookie, .flags = JOIN_PRESENCE | JOIN_ROSTER,
	    .user = bytes_str(user), .member = B("{}"));
}

static void
go(struct mate *w, const char *user)
{
	SAY(w, leave, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .user = bytes_str(user));
}

static void
ask(struct mate *w, unsigned kind, const char *name)
{
	SAY(w, query, .cookie = 9, .kind = kind, .app = B("1"),
	    .name = bytes_str(name));
}

/* What it got so far does not matter. */
static void
ignore(struct mate *w)
{
	while (w->n_lines > 0)
		free(w->lines[--w->n_lines]);
}

/* Two hosts that know each other, with a worker each. */
struct two {
	struct cluster	*c;
	struct rig	*a, *b;
	struct mate	*wa, *wb;
};

static struct two
two_hosts(const char *ini)
{
	struct two t = { .c = cluster_new(ini) };

	t.a = cluster_host(t.c, 1, 0);
	t.b = cluster_host(t.c, 2, 0);
	t.wa = rig_worker(t.a, 1);
	t.wb = rig_worker(t.b, 1);
	cluster_later(t.c, 1000);
	assert_int_equal(TAILQ_FIRST(&t.a->router->hosts)->state, HOST_KNOWN);
	assert_int_equal(TAILQ_FIRST(&t.b->router->hosts)->state, HOST_KNOWN);
	return t;
}

static void
test_counts_over_hosts(void **state)
{
	struct two t = two_hosts("");

	(void)state;
	join(t.wa, "news");
	join(t.wa, "news");
	join(t.wb, "news");
	join(t.wb, "other");
	SAY(t.wa, load, .app = B("1"), .open = 5, .subscribed = 2);
	SAY(t.wb, load, .app = B("1"), .open = 4, .subscribed = 1);
	cluster_later(t.c, 20);
	ask(t.wa, QUERY_CHANNELS, "");
	ask(t.wa, QUERY_CHANNEL, "other");
	ask(t.wa, QUERY_CONNECTIONS, "");
	cluster_run(t.c);
	GETS(t.wa, "row news 3/0");
	GETS(t.wa, "row other 1/0");
	GETS(t.wa, "done 9");
	GETS(t.wa, "row other 1/0");
	GETS(t.wa, "done 9");
	GETS(t.wa, "row 1 3/9");
	GETS(t.wa, "done 9");
	leave(t.wb, "news");
	leave(t.wb, "other");
	mate_dies(t.wa);
	cluster_later(t.c, 20);
	ask(t.wb, QUERY_CHANNELS, "");
	ask(t.wb, QUERY_CONNECTIONS, "");
	cluster_run(t.c);
	GETS(t.wb, "done 9");
	GETS(t.wb, "row 1 1/4");
	GETS(t.wb, "done 9");
	GETS_NONE(t.wb);
	cluster_free(t.c);
}

/* Counts are pushed when other hosts' subscribers come and go. */
static void
test_pushed_counts(void **state)
{
	struct two t = two_hosts("");

	(void)state;
	SAY(t.wa, join, .app = B("1"), .channel = B("news"), .n = 1,
	    .flags = JOIN_COUNT);
	cluster_later(t.c, 20);
	GETS(t.wa, "count news 1");
	join(t.wb, "news");
	cluster_later(t.c, 20);
	GETS(t.wa, "count news 2");
	leave(t.wb, "news");
	cluster_later(t.c, 20);
	GETS(t.wa, "count news 1");
	GETS_NONE(t.wa);
	cluster_free(t.c);
}

/* Once per user, whatever hosts he is on. */
static void
test_members_once(void **state)
{
	struct two t = two_hosts("");

	(void)state;
	enter(t.wa, "ann", 1);
	cluster_later(t.c, 20);
	GETS(t.wa, "member presence-r ann {}");
	GETS(t.wa, "roster presence-r 1");
	GETS(t.wa, "subscribed presence-r cookie=1 count=1");
	enter(t.wb, "bob", 2);
	cluster_later(t.c, 20);
	GETS(t.wb, "member presence-r ann {}");
	GETS(t.wb, "member presence-r bob {}");
	GETS(t.wb, "roster presence-r 2");
	GETS(t.wb, "subscribed presence-r cookie=2 count=2");
	GETS(t.wa, "added presence-r bob {}");
	enter(t.wb, "ann", 0);
	cluster_later(t.c, 20);
	GETS_NONE(t.wa);
	go(t.wa, "ann");
	cluster_later(t.c, 20);
	GETS_NONE(t.wa);
	ask(t.wa, QUERY_USERS, "presence-r");
	ask(t.wa, QUERY_CHANNEL, "presence-r");
	cluster_run(t.c);
	GETS(t.wa, "row ann {}");
	GETS(t.wa, "row bob {}");
	GETS(t.wa, "done 9");
	GETS(t.wa, "row presence-r 2/2");
	GETS(t.wa, "done 9");
	enter(t.wa, "cid", 0);
	cluster_later(t.c, 20);
	ignore(t.wa);
	go(t.wb, "ann");
	cluster_later(t.c, 20);
	GETS(t.wa, "removed presence-r ann");
	cluster_free(t.c);
}

/* An object that other hosts would not take costs the member no more than it. */
static void
test_member_with_long_object(void **state)
{
	struct two t = two_hosts("");
	static char object[WIRE_OBJECT_MAX + 10];

	(void)state;
	memset(object, ' ', sizeof(object));
	object[0] = '{';
	object[sizeof(object) - 1] = '}';
	SAY(t.wa, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .cookie = 1, .flags = JOIN_PRESENCE | JOIN_ROSTER,
	    .user = B("ann"), .member = bytes_of(object, sizeof(object)));
	join(t.wa, "news");
	cluster_later(t.c, 20);
	assert_int_equal(counter.backplane_bad_payload, 0);
	ask(t.wb, QUERY_CHANNELS, "");
	cluster_run(t.c);
	GETS(t.wb, "row presence-r 1/1");
	GETS(t.wb, "row news 1/0");
	cluster_free(t.c);
}

static void
test_member_limit_counts_all(void **state)
{
	struct two t = two_hosts("max_presence_members = 1\n");

	(void)state;
	enter(t.wa, "ann", 1);
	cluster_later(t.c, 20);
	enter(t.wb, "bob", 2);
	enter(t.wb, "ann", 3);
	cluster_run(t.c);
	GETS(t.wb, "refused presence-r cookie=2 code=1");
	GETS(t.wb, "member presence-r ann {}");
	GETS(t.wb, "roster presence-r 1");
	GETS(t.wb, "subscribed presence-r cookie=3 count=2");
	cluster_free(t.c);
}

static void
signin(struct mate *w, uint64_t conn, const char *user)
{
	SAY(w, signin, .app = B("1"), .conn = conn, .user = bytes_str(user));
}

static void
test_watchers_over_hosts(void **state)
{
	struct two t = two_hosts("");
	const struct bytes ann = BYTES("ann");

	(void)state;
	SAY(t.wb, signin, .app = B("1"), .conn = 5, .user = B("bob"),
	    .watch_out = { &ann, 1 });
	cluster_later(t.c, 20);
	GETS(t.wb, "watch 5 offline=ann");
	signin(t.wa, 7, "ann");
	cluster_later(t.c, 20);
	GETS(t.wb, "watch 5 online=ann");
	signin(t.wb, 8, "ann");
	cluster_later(t.c, 20);
	SAY(t.wa, signout, .app = B("1"), .conn = 7, .user = B("ann"));
	cluster_later(t.c, 20);
	GETS_NONE(t.wb);
	SAY(t.wb, signout, .app = B("1"), .conn = 8, .user = B("ann"));
	cluster_later(t.c, 20);
	GETS(t.wb, "watch 5 offline=ann");
	GETS_NONE(t.wb);
	cluster_free(t.c);
}

static void
test_connection_limit(void **state)
{
	struct two t = two_hosts("max_connections = 2\n"
	    "max_connections_of = cluster\n");

	(void)state;
	SAY(t.wa, connect, .app = B("1"), .conn = 1);
	cluster_later(t.c, 20);
	GETS(t.wa, "grant 1 1");
	SAY(t.wb, connect, .app = B("1"), .conn = 2);
	cluster_later(t.c, 20);
	GETS(t.wb, "grant 2 1");
	SAY(t.wb, connect, .app = B("1"), .conn = 3);
	SAY(t.wa, connect, .app = B("1"), .conn = 4);
	cluster_later(t.c, 20);
	GETS(t.wb, "grant 3 0");
	GETS(t.wa, "grant 4 0");
	cluster_free(t.c);
}

/* ---- death and return --------------------------------------------------- */

static void
test_silent_host_leaves(void **state)
{
	struct two t = two_hosts("");
	uint64_t lost = counter.hosts_lost;

	(void)state;
	enter(t.wa, "ann", 1);
	enter(t.wb, "bob", 0);
	cluster_later(t.c, 20);
	GETS(t.wa, "member presence-r ann {}");
	GETS(t.wa, "roster presence-r 1");
	GETS(t.wa, "subscribed presence-r cookie=1 count=1");
	GETS(t.wa, "added presence-r bob {}");
	cluster_kill(t.c, t.b);
	cluster_later(t.c, 3800);
	GETS_NONE(t.wa);
	cluster_later(t.c, 1400);
	GETS(t.wa, "removed presence-r bob");
	assert_int_equal(counter.hosts_lost, lost + 1);
	assert_int_equal(counter.hosts, 1);
	assert_true(TAILQ_EMPTY(&t.a->router->hosts));
	cluster_free(t.c);
}

static void
test_bye(void **state)
{
	struct two t = two_hosts("");
	uint64_t lost = counter.hosts_lost;

	(void)state;
	enter(t.wa, "ann", 1);
	enter(t.wb, "bob", 0);
	cluster_later(t.c, 20);
	hosts_bye(t.b->router);
	cluster_run(t.c);
	GETS(t.wa, "member presence-r ann {}");
	GETS(t.wa, "roster presence-r 1");
	GETS(t.wa, "subscribed presence-r cookie=1 count=1");
	GETS(t.wa, "added presence-r bob {}");
	GETS(t.wa, "removed presence-r bob");
	assert_int_equal(counter.hosts_lost, lost);
	cluster_free(t.c);
}

/* Another router of the same host: nobody leaves and returns. */
static void
test_router_replaced(void **state)
{
	struct two t = two_hosts("");
	struct mate *again;

	(void)state;
	enter(t.wa, "ann", 0);
	enter(t.wb, "bob", 0);
	enter(t.wb, "cid", 0);
	join(t.wb, "news");
	cluster_later(t.c, 20);
	ignore(t.wa);
	cluster_kill(t.c, t.b);
	t.b = cluster_host(t.c, 2, 1);
	rig_starting(t.b, 1);
	again = rig_stranger(t.b, 1);
	SAY(again, hello, .version = MSG_VERSION, .slot = 1,
	    .generation = again->generation);
	cluster_run(t.c);
	SAY(again, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .flags = JOIN_PRESENCE | JOIN_SYNC, .user = B("bob"),
	    .member = B("{}"));
	/* cid went while there was no router. */
	SAY(again, synced, .end_ = "");
	cluster_later(t.c, 400);
	GETS(t.wa, "removed presence-r cid");
	GETS_NONE(t.wa);
	GETS(again, "member presence-r bob {}");
	GETS(again, "member presence-r ann {}");
	GETS(again, "roster presence-r 2");
	GETS_NONE(again);
	ask(t.wa, QUERY_CHANNELS, "");
	cluster_run(t.c);
	GETS(t.wa, "row presence-r 2/2");
	GETS(t.wa, "done 9");
	cluster_free(t.c);
}

/* A broker that is away for a while costs nothing; one that is away for longer
 * than partition_timeout costs the other hosts' rows. */
static void
test_partition(void **state)
{
	struct two t = two_hosts("[backplane]\npartition_timeout = 20s\n");

	(void)state;
	enter(t.wa, "ann", 0);
	enter(t.wb, "bob", 0);
	cluster_later(t.c, 20);
	ignore(t.wa);
	ignore(t.wb);
	cluster_cut(t.c, t.a);
	cluster_cut(t.c, t.b);
	enter(t.wb, "cid", 0);
	cluster_later(t.c, 15000);
	go(t.wb, "bob");
	cluster_later(t.c, 200);
	GETS_NONE(t.wa);
	cluster_mend(t.c, t.a);
	cluster_mend(t.c, t.b);
	cluster_later(t.c, 1500);
	GETS(t.wa, "removed presence-r bob");
	GETS(t.wa, "added presence-r cid {}");
	GETS_NONE(t.wa);
	/* Only a is cut off: b waits for a host_timeout, a for longer. */
	ignore(t.wb);
	cluster_cut(t.c, t.a);
	cluster_later(t.c, 7000);
	GETS(t.wb, "removed presence-r ann");
	GETS_NONE(t.wa);
	cluster_later(t.c, 14000);
	GETS(t.wa, "removed presence-r cid");
	cluster_mend(t.c, t.a);
	cluster_later(t.c, 2000);
	GETS(t.wa, "added presence-r cid {}");
	GETS(t.wb, "added presence-r ann {}");
	GETS_NONE(t.wa);
	GETS_NONE(t.wb);
	cluster_free(t.c);
}

/* Stopped and thawed: it does not drop the others, and they take it back. */
static void
test_frozen(void **state)
{
	struct two t = two_hosts("");

	(void)state;
	enter(t.wa, "ann", 0);
	enter(t.wb, "bob", 0);
	cluster_later(t.c, 20);
	ignore(t.wa);
	ignore(t.wb);
	cluster_freeze(t.c, t.b, true);
	cluster_later(t.c, 10000);
	GETS(t.wa, "removed presence-r bob");
	cluster_freeze(t.c, t.b, false);
	cluster_later(t.c, 2000);
	GETS(t.wa, "added presence-r bob {}");
	GETS_NONE(t.wa);
	GETS_NONE(t.wb);
	cluster_free(t.c);
}

/* ---- what is lost on the way -------------------------------------------- */

static unsigned to_lose;

static bool
lose_some_changes(struct cluster *c, const struct envelope *e,
    const struct port *to)
{
	(void)c;
	return e->kind == ENVELOPE_CHANGES && e->node != to->rig->router->node
	    && to_lose > 0 && to_lose-- > 0;
}

static void
test_missed_changes(void **state)
{
	struct two t = two_hosts("");
	uint64_t gaps = counter.host_gaps;

	(void)state;
	enter(t.wa, "ann", 0);
	enter(t.wb, "bob", 0);
	enter(t.wb, "cid", 0);
	cluster_later(t.c, 20);
	ignore(t.wa);
	t.c->lose = lose_some_changes;
	to_lose = 1;
	go(t.wb, "bob");
	enter(t.wb, "dan", 0);
	cluster_later(t.c, 20);
	GETS_NONE(t.wa);
	assert_int_equal(to_lose, 0);
	cluster_later(t.c, 2200);
	assert_int_equal(counter.host_gaps, gaps + 1);
	GETS(t.wa, "added presence-r dan {}");
	GETS(t.wa, "removed presence-r bob");
	GETS_NONE(t.wa);
	cluster_free(t.c);
}

static uint64_t deaf_node;	/* hears nobody */

static bool
lose_what_one_hears(struct cluster *c, const struct envelope *e,
    const struct port *to)
{
	(void)c, (void)e;
	return to->rig->router->node == deaf_node;
}

/* The broker says that all is well, but brings nothing: not the others are
 * silent. */
static void
test_deaf(void **state)
{
	struct two t = two_hosts("");

	(void)state;
	enter(t.wa, "ann", 0);
	enter(t.wb, "bob", 0);
	cluster_later(t.c, 20);
	ignore(t.wa);
	deaf_node = 1;
	t.c->lose = lose_what_one_hears;
	cluster_later(t.c, 20000);
	GETS_NONE(t.wa);
	t.c->lose = NULL;
	cluster_later(t.c, 2000);
	GETS_NONE(t.wa);
	cluster_kill(t.c, t.b);
	cluster_later(t.c, 6500);
	GETS(t.wa, "removed presence-r bob");
	cluster_free(t.c);
}

static bool
lose_others(struct cluster *c, const struct envelope *e,
    const struct port *to)
{
	(void)c;
	return to->rig->router->node != e->node;
}

/* After an outage the others have a host_timeout to be heard. */
static void
test_grace(void **state)
{
	struct two t = two_hosts("");

	(void)state;
	enter(t.wa, "ann", 0);
	enter(t.wb, "bob", 0);
	cluster_later(t.c, 20);
	ignore(t.wa);
	ignore(t.wb);
	cluster_cut(t.c, t.a);
	cluster_cut(t.c, t.b);
	cluster_later(t.c, 15000);
	cluster_mend(t.c, t.a);
	cluster_mend(t.c, t.b);
	t.c->lose = lose_others;
	cluster_later(t.c, 4000);
	GETS_NONE(t.wa);
	t.c->lose = NULL;
	cluster_later(t.c, 2000);
	GETS_NONE(t.wa);
	GETS_NONE(t.wb);
	cluster_free(t.c);
}

/* So long that all that was kept for it is gone. */
static void
test_frozen_for_long(void **state)
{
	struct two t = two_hosts("");

	(void)state;
	enter(t.wa, "ann", 0);
	enter(t.wb, "bob", 0);
	cluster_later(t.c, 20);
	ignore(t.wa);
	ignore(t.wb);
	cluster_freeze(t.c, t.b, true);
	cluster_later(t.c, 100000);
	GETS(t.wa, "removed presence-r bob");
	deaf_node = 2;
	t.c->lose = lose_what_one_hears;
	cluster_freeze(t.c, t.b, false);
	cluster_run(t.c);
	t.c->lose = NULL;
	cluster_later(t.c, 3000);
	GETS(t.wa, "added presence-r bob {}");
	GETS_NONE(t.wa);
	GETS_NONE(t.wb);
	cluster_free(t.c);
}

/* Whatever went wrong: who holds something else than the other told learns it
 * by the next heartbeat. */
static void
test_heartbeat_mends(void **state)
{
	struct two t = two_hosts("");
	struct host *h = TAILQ_FIRST(&t.a->router->hosts);

	(void)state;
	join(t.wb, "news");
	join(t.wb, "other");
	cluster_later(t.c, 20);
	assert_int_equal(h->n_rows, 2);
	item_drop(TAILQ_FIRST(&h->rows));
	cluster_later(t.c, 2500);
	assert_int_equal(h->n_rows, 2);
	TAILQ_FIRST(&h->rows)->item->away_n += 1;
	TAILQ_FIRST(&h->rows)->n += 1;
	h->sum++;
	cluster_later(t.c, 2500);
	assert_int_equal(TAILQ_FIRST(&h->rows)->item->away_n, 1);
	cluster_free(t.c);
}

/* A router that was replaced may have words under way yet. */
static void
test_late_words(void **state)
{
	struct two t = two_hosts("");
	struct host *h = TAILQ_FIRST(&t.a->router->hosts);
	struct buf b = { 0 };
	struct envelope e = { .node = h->node, .incarnation = h->incarnation,
	    .kind = ENVELOPE_CHANGES };
	struct wire_pen pen = { .out = &b };
	const struct item_name name = { .kind = ITEM_CHANNEL, .app = B("1"),
	    .channel = B("x") };

	(void)state;
	cluster_kill(t.c, t.b);
	t.b = cluster_host(t.c, 2, 5);
	cluster_later(t.c, 1000);
	assert_int_equal(h->epoch, 5);
	wire_head(&b, (uint64_t[]){ 4, 1000 }, 2);
	wire_row(&pen, &name, 3);
	e.payload = buf_view(&b);
	assert_int_equal(host_take(t.a->router, h, &e), 0);
	assert_int_equal(h->n_rows, 0);
	buf_clear(&b);
	wire_head(&b, (uint64_t[]){ 4 }, 1);
	e.kind = ENVELOPE_BYE;
	e.payload = buf_view(&b);
	assert_int_equal(host_take(t.a->router, h, &e), 0);
	assert_int_equal(h->state, HOST_KNOWN);
	buf_done(&b);
	cluster_free(t.c);
}

/* What cannot be read is not taken, also in part. */
static void
test_bad_payload(void **state)
{
	struct two t = two_hosts("");
	struct host *h = TAILQ_FIRST(&t.a->router->hosts);
	struct buf b = { 0 };
	const uint64_t head[] = { 0, h->number + 1 };
	struct envelope e = { .node = h->node, .incarnation = h->incarnation,
	    .kind = ENVELOPE_CHANGES };
	struct wire_pen pen = { .out = &b };
	struct item_name name = { .kind = ITEM_CHANNEL, .app = B("1"),
	    .channel = B("x") };

	(void)state;
	wire_head(&b, head, 2);
	wire_row(&pen, &name, 3);
	buf_char(&b, 0x01);
	e.payload = buf_view(&b);
	assert_int_equal(host_take(t.a->router, h, &e), -1);
	assert_int_equal(h->n_rows, 0);
	e.payload.n--;
	assert_int_equal(host_take(t.a->router, h, &e), 0);
	assert_int_equal(h->n_rows, 1);
	/* An object that is none would reach clients. */
	buf_clear(&b);
	pen = (struct wire_pen){ .out = &b };
	wire_head(&b, (uint64_t[]){ 0, h->number + 1 }, 2);
	name = (struct item_name){ .kind = ITEM_MEMBER, .app = B("1"),
	    .channel = B("presence-x"), .user = B("u"), .object = B("{") };
	wire_row(&pen, &name, 1);
	e.payload = buf_view(&b);
	assert_int_equal(host_take(t.a->router, h, &e), -1);
	assert_int_equal(h->n_rows, 1);
	buf_done(&b);
	cluster_free(t.c);
}

/* What others say of themselves has room for so many octets; what it held is
 * given back. */
static void
test_room_for_octets(void **state)
{
	struct two t = two_hosts("");
	struct contact *c = &t.a->router->contact;
	struct host *h = TAILQ_FIRST(&t.a->router->hosts);
	uint64_t held = c->octets;

	(void)state;
	join(t.wb, "news");
	cluster_later(t.c, 20);
	assert_int_equal(c->octets, held + 5);
	c->octets = AWAY_OCTETS_MAX - 8;
	join(t.wb, "long-name");
	join(t.wb, "news");
	cluster_later(t.c, 20);
	assert_true(h->crowded);
	assert_null(route_find(census_find(t.a->router, B("1")),
	    B("long-name")));
	c->octets = held + 5;
	leave(t.wb, "news");
	leave(t.wb, "news");
	cluster_later(t.c, 20);
	assert_int_equal(c->octets, held);
	cluster_free(t.c);
}

/* Lines of the log are not the broker's to fill. */
static void
test_few_lines(void **state)
{
	struct two t = two_hosts("");
	struct contact *c = &t.a->router->contact;
	unsigned before = c->said;

	(void)state;
	while (c->said < HOSTS_SAID_MAX) {
		assert_true(hosts_say(t.a->router));
		before++;
	}
	assert_int_equal(before, HOSTS_SAID_MAX);
	assert_false(hosts_say(t.a->router));
	host_lost(TAILQ_FIRST(&t.a->router->hosts), "the test says so");
	assert_int_equal(c->unsaid, 2);
	cluster_later(t.c, HOSTS_SAID_EVERY);
	assert_true(hosts_say(t.a->router));
	assert_int_equal(c->unsaid, 0);
	cluster_free(t.c);
}

/* ---- starting ----------------------------------------------------------- */

static void
test_start_waits_for_hosts(void **state)
{
	struct cluster *c = cluster_new("");
	struct rig *a = cluster_host(c, 1, 0), *b;
	struct mate *wa = rig_worker(a, 1), *wb;

	(void)state;
	enter(wa, "ann", 0);
	cluster_later(c, 400);
	b = cluster_host(c, 2, 0);
	rig_starting(b, 1);
	wb = rig_worker(b, 1);
	enter(wb, "bob", 1);
	SAY(wb, join, .app = B("1"), .channel = B("news"), .n = 1,
	    .cookie = 2);
	SAY(wb, publish, .serial = 1, .app = B("1"), .channel = B("nobody"),
	    .event = B("\"e\""));
	ask(wb, QUERY_USERS, "presence-r");
	rig_run(b);
	GETS(wb, "ack 1");
	GETS_NONE(wb);
	cluster_run(c);
	GETS(wb, "subscribed news cookie=2 count=1");
	GETS_NONE(wb);
	cluster_later(c, 400);
	GETS(wb, "member presence-r ann {}");
	GETS(wb, "member presence-r bob {}");
	GETS(wb, "roster presence-r 2");
	GETS(wb, "row ann {}");
	GETS(wb, "row bob {}");
	GETS(wb, "done 9");
	GETS(wb, "subscribed presence-r cookie=1 count=2");
	cluster_free(c);
}

static void
test_start_without_broker(void **state)
{
	struct cluster *c = cluster_new("");
	struct rig *a = cluster_host(c, 1, 0);
	struct mate *w;

	(void)state;
	rig_starting(a, 0);
	w = rig_worker(a, 1);
	ask(w, QUERY_CHANNELS, "");
	rig_run(a);
	GETS_NONE(w);
	rig_later(a, 1000);
	GETS_NONE(w);
	rig_later(a, 600);
	GETS(w, "done 9");
	cluster_kill(c, a);
	a = cluster_host(c, 1, 0);
	rig_starting(a, 0);
	cluster_cut(c, a);
	w = rig_worker(a, 1);
	ask(w, QUERY_CHANNELS, "");
	rig_run(a);
	GETS(w, "done 9");
	cluster_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_over_hosts),
		cmocka_unit_test(test_pushed_counts),
		cmocka_unit_test(test_members_once),
		cmocka_unit_test(test_member_with_long_object),
		cmocka_unit_test(test_member_limit_counts_all),
		cmocka_unit_test(test_watchers_over_hosts),
		cmocka_unit_test(test_connection_limit),
		cmocka_unit_test(test_silent_host_leaves),
		cmocka_unit_test(test_bye),
		cmocka_unit_test(test_router_replaced),
		cmocka_unit_test(test_partition),
		cmocka_unit_test(test_frozen),
		cmocka_unit_test(test_missed_changes),
		cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_grace),
		cmocka_unit_test(test_frozen_for_long),
		cmocka_unit_test(test_heartbeat_mends),
		cmocka_unit_test(test_late_words),
		cmocka_unit_test(test_bad_payload),
		cmocka_unit_test(test_room_for_octets),
		cmocka_unit_test(test_few_lines),
		cmocka_unit_test(test_start_waits_for_hosts),
		cmocka_unit_test(test_start_without_broker),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
