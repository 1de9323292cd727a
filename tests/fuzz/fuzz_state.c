/* SPDX-License-Identifier: MIT
 *
 * What one release leaves for the next: the master's state, what preflight
 * brings, settings.  Whatever is taken comes back the same when it is packed
 * again.
 */
#include "common/packed.h"
#include "common/util.h"
#include "fuzz.h"
#include "master/state.h"

static void
count(int fd, void *n)
{
	MUST(fd >= 0);
	++*(size_t *)n;
}

static void
as_state(struct bytes in)
{
	struct buf one = { 0 }, two = { 0 };
	const char *why = NULL;
	struct state s, back;
	size_t n = 0;

	if (state_unpack(&s, in, &why) < 0) {
		MUST(why != NULL);
		return;
	}
	why = NULL;
	MUST(state_check(&s, 2, &why) == 0 || why != NULL);
	state_each_descriptor(&s, count, &n);
	state_pack(&s, &one);
	MUST(state_unpack(&back, buf_view(&one), &why) == 0);
	state_pack(&back, &two);
	MUST(bytes_eq(buf_view(&one), buf_view(&two)));
	state_done(&s);
	state_done(&back);
	buf_done(&one);
	buf_done(&two);
}

static void
as_settings(struct bytes in)
{
	struct buf one = { 0 }, two = { 0 };
	struct config *c, *back;
	char *why = NULL;

	if ((c = config_unpack(in, &why)) == NULL) {
		MUST(why != NULL);
		free(why);
		return;
	}
	config_pack(c, CONFIG_ALL, &one);
	MUST((back = config_unpack(buf_view(&one), &why)) != NULL);
	config_pack(back, CONFIG_ALL, &two);
	MUST(bytes_eq(buf_view(&one), buf_view(&two)));
	config_free(c);
	config_free(back);
	buf_done(&one);
	buf_done(&two);
}

static void
as_next(struct bytes in)
{
	struct certificate *certificates;
	struct config *config;
	struct next next;
	const char *words;
	char *why = NULL;

	if (next_unpack(&next, in, &words) < 0)
		return;
	if (state_settings_unpack(buf_view(&next.settings), next.certificates,
	    next.n_certificates, &config, &certificates, &why) == 0) {
		certificates_free(certificates, config->n_listen);
		config_free(config);
	}
	free(why);
	next_done(&next);
}

static void
as_any(struct bytes in)
{
	struct packed p = packed_open(in);

	while (!p.bad && p.p != p.end)
		packed_skip(&p);
	MUST(p.p == p.end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	/* The first octet says what it is. */
	static void (*const as[])(struct bytes) = { as_state, as_next,
		as_settings, as_any };

	if (n > 0)
		as[data[0] % NELEM(as)](bytes_of(data + 1, n - 1));
	return 0;
}
