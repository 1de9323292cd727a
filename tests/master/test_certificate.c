/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/certificate.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <unistd.h>

#include "common/util.h"
#include "master/certificate.h"

static char dir[] = "/tmp/peal-test-certificate-XXXXXX";
static char *chain, *key, *other, *words;
static bool made;	/* there is an openssl command */

static struct config_listen section[2];
static struct config config = { .listen = section, .n_listen = 2 };

static struct certificate *
read_these(char *certificate, char *certificate_key, char **why)
{
	*why = NULL;
	section[1].certificate = certificate;
	section[1].certificate_key = certificate_key;
	return certificates_read(&config, why);
}

static void
refused(char *certificate, char *certificate_key, const char *file)
{
	char *why;

	assert_null(read_these(certificate, certificate_key, &why));
	assert_non_null(why);
	assert_non_null(strstr(why, file));
	free(why);
}

static void
test_none(void **state)
{
	struct certificate *all;
	char *why;

	(void)state;
	all = read_these(NULL, NULL, &why);
	assert_non_null(all);
	assert_int_equal(all[0].chain.n, 0);
	assert_int_equal(all[1].key.n, 0);
	certificates_free(all, 2);
	certificates_free(NULL, 2);
}

static void
test_refused(void **state)
{
	(void)state;
	refused(other, NULL, "certificate_key");
	refused(other, words, other);
	refused(words, words, words);
	if (made)
		refused(chain, other, other);
}

static void
test_too_large(void **state)
{
	char *large = xasprintf("%s/large", dir);
	FILE *f = fopen(large, "w");

	(void)state;
	for (int i = 0; i < 300; i++)
		fprintf(f, "%04096d", 0);
	fclose(f);
	refused(large, words, large);
	unlink(large);
	free(large);
}

static void
test_good(void **state)
{
	struct certificate *all, *again;
	char *why;

	(void)state;
	if (!made)
		return;
	all = read_these(chain, key, &why);
	assert_non_null(all);
	assert_int_equal(all[0].chain.n, 0);
	assert_true(bytes_starts(buf_view(&all[1].chain),
	    B("-----BEGIN CERTIFICATE")));
	again = read_these(chain, key, &why);
	assert_true(certificates_equal(all, again, 2));
	again[1].chain.p[40] ^= 1;
	assert_false(certificates_equal(all, again, 2));
	certificates_free(again, 2);
	again = read_these(NULL, NULL, &why);
	assert_false(certificates_equal(all, again, 2));
	certificates_free(again, 2);
	certificates_free(all, 2);
}

static int
files_make(void **state)
{
	char *command;
	FILE *f;

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	chain = xasprintf("%s/chain.pem", dir);
	key = xasprintf("%s/key.pem", dir);
	other = xasprintf("%s/missing.pem", dir);
	words = xasprintf("%s/words", dir);
	command = xasprintf("openssl req -x509 -newkey ec -pkeyopt "
	    "ec_paramgen_curve:P-256 -nodes -subj /CN=test -keyout %s -out %s "
	    ">/dev/null 2>&1", key, chain);
	made = system(command) == 0;
	free(command);
	if ((f = fopen(words, "w")) == NULL)
		return -1;
	fputs("no PEM at all\n", f);
	return fclose(f);
}

static int
files_remove(void **state)
{
	char *all[] = { chain, key, other, words };

	(void)state;
	for (size_t i = 0; i < NELEM(all); i++) {
		unlink(all[i]);
		free(all[i]);
	}
	return rmdir(dir);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_good),
	};

	return cmocka_run_group_tests(tests, files_make, files_remove);
}
