/* SPDX-License-Identifier: MIT
 *
 * libcurl, loaded by the courier alone.
 *
 * Runs in: the courier.  Owns: see curl_late.h.
 */
#include "courier/curl_late.h"

#include <dlfcn.h>

#include "common/util.h"

#define LIBRARY	"libcurl.so.4"

struct curl_late curl_late;

static const struct {
	const char	*name;
	size_t		 at;
} names[] = {
#define NAME(name)	{ "curl_" #name, offsetof(struct curl_late, name) },
	CURL_FUNCTIONS(NAME)
};

int
curl_load(const char **why)
{
	static void *library;	/* found by leak checkers */
	void *f;

	if (library != NULL)
		return 0;
	if ((library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL)) == NULL) {
		*why = dlerror();
		return -1;
	}
	for (size_t i = 0; i < NELEM(names); i++) {
		if ((f = dlsym(library, names[i].name)) == NULL) {
			*why = dlerror();
			return -1;
		}
		memcpy((char *)&curl_late + names[i].at, &f, sizeof(f));
	}
	return 0;
}
