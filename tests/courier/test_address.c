/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier/address.c.  Which addresses are private: tests/common/test_ip.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/util.h"
#include "courier/address.h"

static struct ip
ip(const char *text)
{
	struct ip to;

	if (ip_parse(bytes_str(text), &to) < 0)
		fail_msg("no address: %s", text);
	return to;
}

static void
settings_allow_more(void **state)
{
	char texts[4][12] = { "127.0.0.1", "10.0.0.0/8", "fd00::/8",
	    "nonsense" };
	char *list[] = { texts[0], texts[1], texts[2], texts[3] };
	struct config_courier set = { .allow = { list, 4 } };
	struct ip local = ip("127.0.0.1"), other = ip("127.0.0.2"),
	    net = ip("10.9.8.7"), mapped = ip("::ffff:10.9.8.7"),
	    six = ip("fd00::1"), nat = ip("64:ff9b::10.9.8.7"),
	    open = ip("8.8.8.8");
	struct address_rules r = { .all = false };

	(void)state;
	address_rules_set(&r, &set);
	assert_true(address_allowed(&r, &local));
	assert_false(address_allowed(&r, &other));
	assert_true(address_allowed(&r, &net));
	assert_true(address_allowed(&r, &mapped));
	assert_true(address_allowed(&r, &six));
	assert_false(address_allowed(&r, &nat));
	assert_true(address_allowed(&r, &open));
	set.allow.n = 0;
	address_rules_set(&r, &set);
	assert_false(address_allowed(&r, &local));
	set.allow_private = true;
	address_rules_set(&r, &set);
	assert_true(address_allowed(&r, &other));
	address_rules_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_allow_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
