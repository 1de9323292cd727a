/* SPDX-License-Identifier: MIT
 *
 * Tests src/courier/address.c: which addresses are of the public internet.
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
private_ones_are_known(void **state)
{
	static const char *const those[] = { "0.0.0.0", "0.1.2.3", "10.0.0.1",
		"10.255.255.255", "100.64.0.1", "100.127.255.255",
		"127.0.0.1", "127.255.255.254", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.7",
		"192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
		"198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.1.1",
		"240.0.0.1", "255.255.255.255", "::", "::1", "fc00::1",
		"fd12:3456::1", "fe80::1", "fec0::1", "ff02::1",
		"2001:db8::1", "2001::1", "3fff::1", "5f00::1", "100::1",
		"64:ff9b:1::1",
		/* IPv4 inside: mapped, compatible, NAT64, 6to4 */
		"::ffff:127.0.0.1", "::ffff:10.1.2.3", "::127.0.0.1",
		"::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1",
		"64:ff9b::169.254.169.254", "2002:7f00:1::",
		"2002:a00:1::1", "2002:c0a8:101::1" };

	(void)state;
	for (size_t i = 0; i < NELEM(those); i++) {
		struct ip a = ip(those[i]);

		if (address_public(&a))
			fail_msg("%s counts as public", those[i]);
	}
}

static void
public_ones_are_known(void **state)
{
	static const char *const those[] = { "1.1.1.1", "8.8.8.8", "9.255.0.1",
		"11.0.0.1", "100.63.255.255", "100.128.0.1", "126.1.1.1",
		"128.0.0.1", "169.253.1.1", "172.15.0.1", "172.32.0.1",
		"192.0.1.1", "192.167.1.1", "192.169.1.1", "198.17.1.1",
		"198.20.0.1", "223.255.255.255", "2606:4700::1111",
		"2a00:1450::1", "2001:4860::8888", "::ffff:8.8.8.8",
		"64:ff9b::8.8.8.8", "2002:808:808::1" };

	(void)state;
	for (size_t i = 0; i < NELEM(those); i++) {
		struct ip a = ip(those[i]);

		if (!address_public(&a))
			fail_msg("%s counts as private", those[i]);
	}
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
		cmocka_unit_test(private_ones_are_known),
		cmocka_unit_test(public_ones_are_known),
		cmocka_unit_test(settings_allow_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
