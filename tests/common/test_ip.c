/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/ip.c: which addresses are not for everybody.  (Reading and
 * networks: tests/worker/test_proxy.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/ip.h"
#include "common/util.h"

static void
expect(const char *const *list, size_t n, bool private)
{
	struct ip ip;

	for (size_t i = 0; i < n; i++) {
		if (ip_parse(bytes_str(list[i]), &ip) < 0)
			fail_msg("%s is no address", list[i]);
		if (ip_is_private(&ip) != private)
			fail_msg("%s is%s private", list[i],
			    private ? " not" : "");
	}
}

static void
test_private(void **state)
{
	static const char *const list[] = {
		"0.0.0.0", "0.1.2.3", "10.0.0.0", "10.255.255.255",
		"100.64.0.1", "100.127.255.255", "127.0.0.1", "127.9.9.9",
		"169.254.169.254", "172.16.0.1", "172.31.255.255",
		"192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1",
		"198.18.0.1", "198.19.255.255", "198.51.100.7",
		"203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1",
		"255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3",
		"::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1",
		"64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1",
		"2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd12::1",
		"fe80::1", "fec0::1", "ff02::1",
	};

	(void)state;
	expect(list, NELEM(list), true);
}

static void
test_public(void **state)
{
	static const char *const list[] = {
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255",
		"100.128.0.0", "126.255.255.255", "128.0.0.1",
		"169.253.255.255", "172.15.255.255", "172.32.0.0",
		"192.167.255.255", "192.169.0.0", "198.17.255.255",
		"198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8",
		"64:ff9b::8.8.8.8", "2001:200::1", "2001:4860:4860::8888",
		"2606:4700::1111", "2a00:1450::1",
	};

	(void)state;
	expect(list, NELEM(list), false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_public),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
