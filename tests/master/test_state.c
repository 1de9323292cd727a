/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/state.c: what the master carries over an exec, there and back,
 * between releases, and damaged.
 *
 * What each release wrote must be understood for ever: $srcdir/tests/master/records
 * has a folder of each.  test_state --write FOLDER makes this one's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <limits.h>

#include "common/packed.h"
#include "common/util.h"
#include "master/master.h"
#include "master/state.h"

/* ---- the table ----------------------------------------------------------- */

/* Keys of each record: none twice. */
#define RECORD(name)							\
	static void							\
	test_keys_##name(void **state)					\
	{								\
		static const uint64_t keys[] = {
#define NUM(key, field)		key,
#define DESCRIPTOR(key, field)	key,
#define TEXT(key, field)	key,
#define OCTETS(key, field)	key,
#define MANY(key, field, of)	key,
#define END								\
		};							\
		(void)state;						\
		for (size_t i = 0; i < NELEM(keys); i++)		\
			for (size_t k = 0; k < i; k++)			\
				assert_int_not_equal(keys[i], keys[k]);	\
	}
#include "tables/state.def"

static uint64_t filled;		/* fields so far, so that each is different */

static void
fill_octets(struct buf *b)
{
	buf_fmt(b, "o%llu", (unsigned long long)++filled);
	buf_char(b, '\0');
}

/* Every field of every record has a value, and each list two records. */
#define RECORD(name)							\
	static void							\
	fill_##name(struct name *r)					\
	{								\
		(void)r;
#define NUM(key, field)		r->field = UINT64_MAX / ++filled;
#define DESCRIPTOR(key, field)	r->field = (int)++filled;
#define TEXT(key, field) \
	r->field = xasprintf("t%llu", (unsigned long long)++filled);
#define OCTETS(key, field)	fill_octets(&r->field);
#define MANY(key, field, of)						\
		r->n_##field = 2;					\
		r->field = xcalloc(2, sizeof(*r->field));		\
		for (int i = 0; i < 2; i++)				\
			fill_##of(&r->field[i]);
#define END		}
#include "tables/state.def"

#define RECORD(name)							\
	static void							\
	same_##name(const struct name *a, const struct name *b)		\
	{
#define NUM(key, field)		assert_true(a->field == b->field);
#define DESCRIPTOR(key, field)	assert_int_equal(a->field, b->field);
#define TEXT(key, field)	assert_string_equal(a->field, b->field);
#define OCTETS(key, field) \
	assert_true(bytes_eq(buf_view(&a->field), buf_view(&b->field)));
#define MANY(key, field, of)						\
		assert_int_equal(a->n_##field, b->n_##field);		\
		for (size_t i = 0; i < a->n_##field; i++)		\
			same_##of(&a->field[i], &b->field[i]);
#define END		}
#include "tables/state.def"

static void
full(struct state *s, struct buf *packed)
{
	filled = 0;
	state_init(s);
	fill_state(s);
	state_pack(s, packed);
}

/* ---- there and back ------------------------------------------------------ */

static void
test_round_trip(void **state)
{
	struct buf packed = { 0 }, again = { 0 };
	const char *why;
	struct state in, out;

	(void)state;
	full(&in, &packed);
	assert_int_equal(state_unpack(&out, buf_view(&packed), &why), 0);
	same_state(&in, &out);
	state_pack(&out, &again);
	assert_true(bytes_eq(buf_view(&packed), buf_view(&again)));
	state_done(&in);
	state_done(&out);
	buf_done(&packed);
	buf_done(&again);
}

static void
test_next(void **state)
{
	struct buf packed = { 0 };
	struct next in, out;
	const char *why;

	(void)state;
	next_init(&in);
	fill_next(&in);
	next_pack(&in, &packed);
	assert_int_equal(next_unpack(&out, buf_view(&packed), &why), 0);
	same_next(&in, &out);
	next_done(&in);
	next_done(&out);
	buf_done(&packed);
}

/* What has no value takes no room, and reads as none. */
static void
test_empty(void **state)
{
	struct buf packed = { 0 };
	const char *why;
	struct state s;

	(void)state;
	state_init(&s);
	state_pack(&s, &packed);
	assert_true(bytes_eq(buf_view(&packed), B("\x80")));
	memset(&s, 0xff, sizeof(s));
	assert_int_equal(state_unpack(&s, B("\x80"), &why), 0);
	assert_int_equal(s.log, -1);
	assert_int_equal(s.node, 0);
	assert_null(s.exe);
	assert_int_equal(s.n_children, 0);
	state_done(&s);
	buf_done(&packed);
}

static void
add_fd(int fd, void *sum)
{
	*(uint64_t *)sum += (uint64_t)fd;
}

static void
test_descriptors(void **state)
{
	struct state_address *a;
	uint64_t sum = 0;
	struct state s;

	(void)state;
	state_init(&s);
	state_each_descriptor(&s, add_fd, &sum);
	assert_int_equal(sum, 0);
	s.log = 1;
	s.control = 10;
	a = state_add_address(&s);
	state_add_socket(a)->fd = 100;
	state_add_socket(a)->fd = 1000;
	state_add_socket(a);		/* none */
	state_add_child(&s)->link = 10000;
	state_add_caller(&s)->fd = 100000;
	state_each_descriptor(&s, add_fd, &sum);
	assert_int_equal(sum, 111111);
	state_done(&s);
}

/* ---- releases ------------------------------------------------------------ */

/* Keys that this release has not, of every kind, between those it has. */
static const struct bytes newer = BYTES("\x8a"
    "\x01\x07"				/* version 7 */
    "\xcd\x03\xe7\x01"			/* 999: a number */
    "\xcd\x03\xe8\xa3yes"		/* 1000: a text */
    "\xcd\x03\xe9\x93\x01\x92\x02\xc0\x81\x01\x02"	/* lists and a map */
    "\xcd\x03\xea\xc3"			/* true */
    "\xcd\x03\xeb\xd0\xff"		/* a negative number */
    "\xcd\x03\xec\xcb\0\0\0\0\0\0\0\0"	/* a float */
    "\xcd\x03\xed\xde\0\1\x01\xc4\2xx"	/* a map of 16 bits */
    "\x3d\x91\x83\x02\x05\x03\x06\xcd\x03\xe7\xa1x"	/* a child */
    "\x25\xa4/bin");			/* exe */

static void
test_newer(void **state)
{
	const char *why;
	struct state s;

	(void)state;
	assert_int_equal(state_unpack(&s, newer, &why), 0);
	assert_int_equal(s.version, 7);
	assert_string_equal(s.exe, "/bin");
	assert_int_equal(s.n_children, 1);
	assert_int_equal(s.children[0].slot, 5);
	assert_int_equal(s.children[0].generation, 6);
	assert_int_equal(s.children[0].link, -1);
	state_done(&s);
	/* Cut anywhere. */
	for (size_t n = 0; n < newer.n; n++) {
		char *part = xmalloc(n + 1);

		memcpy(part, newer.p, n);
		assert_int_equal(state_unpack(&s, bytes_of(part, n), &why),
		    -1);
		free(part);
	}
}

/* ---- damage -------------------------------------------------------------- */

static void
test_cut(void **state)
{
	struct buf packed = { 0 };
	struct state s, out;
	const char *why = NULL;

	(void)state;
	full(&s, &packed);
	for (size_t n = 0; n < packed.n; n++) {
		char *part = xmalloc(n + 1);

		memcpy(part, packed.p, n);
		why = NULL;
		assert_int_equal(state_unpack(&out, bytes_of(part, n), &why),
		    -1);
		assert_non_null(why);
		free(part);
	}
	buf_char(&packed, 0);
	assert_int_equal(state_unpack(&out, buf_view(&packed), &why), -1);
	state_done(&s);
	buf_done(&packed);
}

static void
test_changed(void **state)
{
	struct buf packed = { 0 };
	struct state s, out;
	const char *why;
	unsigned step = getenv("PEAL_TEST_BRIEF") == NULL ? 5 : 51;

	(void)state;
	full(&s, &packed);
	for (size_t i = 0; i < packed.n; i++) {
		char was = packed.p[i];

		for (unsigned c = 0; c < 256; c += step) {
			packed.p[i] = (char)c;
			if (state_unpack(&out, buf_view(&packed), &why) < 0)
				continue;
			(void)state_check(&out, 3, &why);
			state_done(&out);
		}
		packed.p[i] = was;
	}
	state_done(&s);
	buf_done(&packed);
}

static const struct bytes hostile[] = {
	BYTES(""), BYTES("\x90"), BYTES("\xc0"), BYTES("\x80\x80"),
	BYTES("\xdf\xff\xff\xff\xff"),		/* lengths that are not there */
	BYTES("\xde\xff\xff"),
	BYTES("\x81\x3d\xdd\xff\xff\xff\xff"),
	BYTES("\x81\x3d\xdc\xff\xff\x80"),
	BYTES("\x81\x14\xc6\xff\xff\xff\xffx"),
	BYTES("\x81\xcd\x03\xe7\xdd\xff\xff\xff\xff"),
	BYTES("\x81\xcd\x03\xe7\xdf\xff\xff\xff\xff"),
	BYTES("\x81\xcd\x03\xe7\xc6\xff\xff\xff\xff"),
	BYTES("\x81\xcd\x03\xe7\xc1"),		/* no msgpack */
	BYTES("\x81\x01\xa1x"),			/* kinds that do not fit */
	BYTES("\x81\x25\x01"), BYTES("\x81\x3d\x01"), BYTES("\x81\x3d\x91\x01"),
	BYTES("\x81\xa1x\x01"),
	BYTES("\x81\x25\xa3""a\0b"),		/* a text with a NUL */
	BYTES("\x81\x32\xce\x80\0\0\0"),	/* no descriptor */
	BYTES("\x82\x25\xa1""a\x25\xa1""b"),	/* the same key twice */
	BYTES("\x82\x3d\x91\x80\x3d\x91\x80"),
};

static void
test_hostile(void **state)
{
	const char *why;
	struct state s;

	(void)state;
	for (size_t i = 0; i < NELEM(hostile); i++) {
		why = NULL;
		if (state_unpack(&s, hostile[i], &why) == 0)
			fail_msg("accepted: hostile state %zu", i);
		assert_non_null(why);
	}
}

/* A value of many levels is passed over without a stack for them. */
static void
test_deep(void **state)
{
	struct buf b = { 0 };
	const char *why;
	struct state s;

	(void)state;
	buf_str(&b, "\x81\xcd\x03\xe7");
	for (int i = 0; i < 1000000; i++)
		buf_char(&b, (char)0x91);
	assert_int_equal(state_unpack(&s, buf_view(&b), &why), -1);
	buf_char(&b, 1);
	assert_int_equal(state_unpack(&s, buf_view(&b), &why), 0);
	state_done(&s);
	buf_done(&b);
}

/* ---- sense --------------------------------------------------------------- */

/* The least that makes sense: one address, a router, a worker. */
static void
sensible(struct state *s)
{
	struct state_address *a;

	state_init(s);
	s->exe = xstrdup("/sbin/peald");
	a = state_add_address(s);
	a->text = xstrdup("127.0.0.1:80");
	state_add_socket(a)->fd = 5;
	state_add_child(s)->slot = 1;
	state_add_child(s)->slot = 0;
}

static void
no_socket(struct state *s)
{
	s->addresses[0].n_sockets = 0;
}

static void
closed_socket(struct state *s)
{
	s->addresses[0].sockets[0].fd = -1;
}

static void
other_section(struct state *s)
{
	s->addresses[0].section = 1;
}

static void
no_address(struct state *s)
{
	state_done(s);
	state_init(s);
}

static void
slot_twice(struct state *s)
{
	s->children[1].slot = 1;
}

static void
slot_too_high(struct state *s)
{
	s->children[1].slot = WORKERS_MAX + 1;
}

static void
slot_left_out(struct state *s)
{
	s->children[0].slot = 2;
}

static void
worker_missing(struct state *s)
{
	s->n_children = 1;
	s->children[0].slot = 0;
}

static void
not_a_pid(struct state *s)
{
	s->children[0].pid = UINT64_C(1) << 32;
}

static void
no_exe(struct state *s)
{
	free(s->exe);
	s->exe = NULL;
}

static void
no_control_path(struct state *s)
{
	s->control = 9;
}

static void
no_pid_path(struct state *s)
{
	s->pid_file = 9;
}

static void
couriers(struct state *s)
{
	state_add_courier(s)->slot = SLOT_COURIER;
	state_add_courier(s)->slot = SLOT_COURIER;
}

static void
courier_elsewhere(struct state *s)
{
	state_add_courier(s)->slot = 1;
}

static void
half_a_spool(struct state *s)
{
	s->spool_1 = 7;
}

static void
spool_without_files(struct state *s)
{
	s->spool = xstrdup("/var/lib/peal");
}

static void
hook_of_nobody(struct state *s)
{
	buf_str(&state_add_hook(s)->json, "{}");
}

static void
test_check(void **state)
{
	static void (*const spoil[])(struct state *) = {
		no_socket, closed_socket, other_section, no_address,
		slot_twice, slot_too_high, slot_left_out, worker_missing,
		not_a_pid, no_exe, no_control_path, no_pid_path,
		couriers, courier_elsewhere, half_a_spool,
		spool_without_files, hook_of_nobody,
	};
	const char *why;
	struct state s;

	(void)state;
	sensible(&s);
	assert_int_equal(state_check(&s, 1, &why), 0);
	state_add_courier(&s)->slot = SLOT_COURIER;
	s.spool_0 = s.spool_1 = 7;
	assert_int_equal(state_check(&s, 1, &why), 0);
	state_done(&s);
	for (size_t i = 0; i < NELEM(spoil); i++) {
		sensible(&s);
		spoil[i](&s);
		why = NULL;
		if (state_check(&s, 1, &why) == 0)
			fail_msg("makes sense: %zu", i);
		assert_non_null(why);
		state_done(&s);
	}
}

/* ---- settings ------------------------------------------------------------ */

static const struct bytes settings = BYTES("\x82"
    "\xa6listen\x92\x80\x80" "\xa3""app\x91\x81\xa2id\xa1""1");

static void
test_settings(void **state)
{
	struct certificate *certificates, *back_certificates;
	struct config *config, *back;
	struct state_certificate list[2] = { 0 };
	char *why = NULL;
	struct next next;

	(void)state;
	buf_str(&list[1].chain, "chain");
	buf_str(&list[1].key, "key");
	assert_int_equal(state_settings_unpack(settings, list, 1, &config,
	    &certificates, &why), -1);
	assert_string_equal(why, "certificates for 1 of 2 [listen] sections");
	free(why);
	assert_int_equal(state_settings_unpack(B("\x80"), list, 2, &config,
	    &certificates, &why), -1);
	free(why);

	assert_int_equal(state_settings_unpack(settings, list, 2, &config,
	    &certificates, &why), 0);
	assert_int_equal(certificates[0].chain.n, 0);
	assert_true(bytes_eq(buf_view(&certificates[1].key), B("key")));
	next_init(&next);
	state_settings_pack(config, certificates, &next.settings,
	    &next.certificates, &next.n_certificates);
	assert_int_equal(state_settings_unpack(buf_view(&next.settings),
	    next.certificates, next.n_certificates, &back, &back_certificates,
	    &why), 0);
	assert_true(certificates_equal(certificates, back_certificates, 2));
	certificates_free(certificates, 2);
	certificates_free(back_certificates, 2);
	config_free(config);
	config_free(back);
	next_done(&next);
	buf_done(&list[1].chain);
	buf_done(&list[1].key);
}

/* ---- every release ------------------------------------------------------- */

/* Settings with all keys, and a certificate in the second [listen] section. */
static void
settings_fill(struct buf *packed, struct state_certificate **list, size_t *n)
{
	struct state_certificate two[2] = { 0 };
	struct certificate *certificates;
	struct config *config;
	char *why;

	buf_str(&two[1].chain, "chain");
	buf_str(&two[1].key, "key");
	if (state_settings_unpack(settings, two, 2, &config, &certificates,
	    &why) < 0)
		fail_msg("%s", why);
	config->peal.drain_timeout = 1234;
	state_settings_pack(config, certificates, packed, list, n);
	certificates_free(certificates, 2);
	config_free(config);
	buf_done(&two[1].chain);
	buf_done(&two[1].key);
}

static void
state_example(struct buf *packed)
{
	struct state s;

	sensible(&s);
	s.version = MSG_VERSION;
	s.oldest = MSG_OLDEST;
	s.file = xstrdup("/etc/peal/peal.ini");
	s.node = 77;
	settings_fill(&s.settings, &s.certificates, &s.n_certificates);
	s.children[0].generation = 9;
	s.children[0].pid = 100;
	s.children[0].link = 12;
	s.children[0].state = CHILD_UP;
	buf_str(&s.children[0].unread, "half");
	counters_pack(&(struct counters){ .accepted = 5 },
	    &s.children[0].counters);
	state_add_slot(&s)->generation = 3;
	state_add_caller(&s)->fd = 20;
	s.callers[0].waits = 4;
	s.reload = 4;
	buf_str(&s.next, "opaque");
	state_pack(&s, packed);
	state_done(&s);
}

static void
next_example(struct buf *packed)
{
	struct next next;

	next_init(&next);
	next.version = MSG_VERSION;
	next.uid = 1000;
	settings_fill(&next.settings, &next.certificates,
	    &next.n_certificates);
	next_pack(&next, packed);
	next_done(&next);
}

static void
settings_are_it(struct bytes packed, const struct state_certificate *list,
    size_t n)
{
	struct certificate *certificates;
	struct config *config;
	char *why;

	if (state_settings_unpack(packed, list, n, &config, &certificates,
	    &why) < 0)
		fail_msg("%s", why);
	assert_int_equal(config->peal.drain_timeout, 1234);
	assert_string_equal(config->app[0].id, "1");
	assert_true(bytes_eq(buf_view(&certificates[1].key), B("key")));
	certificates_free(certificates, config->n_listen);
	config_free(config);
}

static void
state_is_it(struct bytes packed)
{
	struct counters counted;
	const char *why;
	struct state s;

	if (state_unpack(&s, packed, &why) < 0 ||
	    state_check(&s, 2, &why) < 0)
		fail_msg("%s", why);
	settings_are_it(buf_view(&s.settings), s.certificates,
	    s.n_certificates);
	assert_true(s.version >= 3);
	assert_string_equal(s.file, "/etc/peal/peal.ini");
	assert_int_equal(s.node, 77);
	assert_string_equal(s.addresses[0].text, "127.0.0.1:80");
	assert_int_equal(s.addresses[0].sockets[0].fd, 5);
	assert_int_equal(s.children[0].slot, 1);
	assert_int_equal(s.children[0].generation, 9);
	assert_int_equal(s.children[0].pid, 100);
	assert_int_equal(s.children[0].link, 12);
	assert_int_equal(s.children[0].state, CHILD_UP);
	assert_true(bytes_eq(buf_view(&s.children[0].unread), B("half")));
	assert_int_equal(counters_unpack(&counted,
	    buf_view(&s.children[0].counters)), 0);
	assert_int_equal(counted.accepted, 5);
	assert_int_equal(s.slots[0].generation, 3);
	assert_int_equal(s.callers[0].fd, 20);
	assert_int_equal(s.callers[0].waits, 4);
	assert_int_equal(s.reload, 4);
	assert_true(bytes_eq(buf_view(&s.next), B("opaque")));
	state_done(&s);
}

static void
next_is_it(struct bytes packed)
{
	struct next next;
	const char *why;

	if (next_unpack(&next, packed, &why) < 0)
		fail_msg("%s", why);
	settings_are_it(buf_view(&next.settings), next.certificates,
	    next.n_certificates);
	assert_int_equal(next.uid, 1000);
	next_done(&next);
}

static const struct {
	const char	*name;
	void		(*make)(struct buf *);
	void		(*check)(struct bytes);
} examples[] = {
	{ "state", state_example, state_is_it },
	{ "next", next_example, next_is_it },
};

static FILE *
example_open(const char *folder, const char *name, const char *how)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.3000s/%s", folder, name);
	return fopen(path, how);
}

static void
release_check(const char *folder)
{
	char text[65536];
	size_t n;
	FILE *f;

	for (size_t i = 0; i < NELEM(examples); i++) {
		f = example_open(folder, examples[i].name, "rb");
		if (f == NULL)
			fail_msg("%s has no %s", folder, examples[i].name);
		n = fread(text, 1, sizeof(text), f);
		fclose(f);
		examples[i].check(bytes_of(text, n));
	}
}

static void
test_every_release(void **state)
{
	const char *srcdir = getenv("srcdir");
	char path[PATH_MAX], one[PATH_MAX];
	struct dirent **names;
	int n, found = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/master/records",
	    srcdir != NULL ? srcdir : ".");
	n = scandir(path, &names, NULL, alphasort);
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			snprintf(one, sizeof(one), "%.3000s/%.500s", path,
			    names[i]->d_name);
			release_check(one);
			found++;
		}
		free(names[i]);
	}
	free(names);
	assert_true(found > 0);
}

static void
test_this_release(void **state)
{
	struct buf packed = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEM(examples); i++) {
		buf_clear(&packed);
		examples[i].make(&packed);
		examples[i].check(buf_view(&packed));
	}
	buf_done(&packed);
}

static int
write_examples(const char *folder)
{
	struct buf packed = { 0 };
	size_t written = 0;
	FILE *f;

	for (size_t i = 0; i < NELEM(examples); i++) {
		buf_clear(&packed);
		examples[i].make(&packed);
		f = example_open(folder, examples[i].name, "wb");
		if (f == NULL)
			return 1;
		written += fwrite(packed.p, packed.n, 1, f);
		fclose(f);
	}
	buf_done(&packed);
	return written != NELEM(examples);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define RECORD(name)		cmocka_unit_test(test_keys_##name),
#define NUM(key, field)
#define DESCRIPTOR(key, field)
#define TEXT(key, field)
#define OCTETS(key, field)
#define MANY(key, field, of)
#define END
#include "tables/state.def"
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_newer),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_every_release),
		cmocka_unit_test(test_this_release),
	};

	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_examples(argv[2]);

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
