/* SPDX-License-Identifier: MIT
 *
 * Runs a fuzz target over the files of its corpus, without a fuzzer: one line
 * of TAP each.  replay_http reads $srcdir/tests/fuzz/corpus/http, or the
 * folders and files it is given.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static char **paths;
static size_t n_paths;

static void
add(const char *path)
{
	paths = realloc(paths, (n_paths + 1) * sizeof(*paths));
	MUST(paths != NULL);
	MUST((paths[n_paths++] = strdup(path)) != NULL);
}

static int
visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* A file, or all files of a folder in order. */
static void
collect(const char *path)
{
	char one[PATH_MAX];
	struct dirent **names;
	int n = scandir(path, &names, visible, alphasort);

	if (n < 0) {
		add(path);
		return;
	}
	for (int i = 0; i < n; i++) {
		snprintf(one, sizeof(one), "%s/%s", path, names[i]->d_name);
		add(one);
		free(names[i]);
	}
	free(names);
}

/* Octets of a file in an allocation of just their number, so that a sanitizer
 * sees every read beyond them. */
static int
replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *p;
	size_t n;

	if (f == NULL || fstat(fileno(f), &st) != 0)
		return -1;
	n = st.st_size;
	p = malloc(n > 0 ? n : 1);
	MUST(p != NULL);
	if (fread(p, 1, n, f) != n)
		n = 0;
	fclose(f);
	LLVMFuzzerTestOneInput(p, n);
	free(p);
	return 0;
}

static void
collect_default(const char *program)
{
	const char *srcdir = getenv("srcdir"), *name = strrchr(program, '/');
	char path[PATH_MAX];

	name = name != NULL ? name + 1 : program;
	if (strncmp(name, "replay_", 7) == 0)
		name += 7;
	snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s",
	    srcdir != NULL ? srcdir : ".", name);
	collect(path);
}

int
main(int argc, char **argv)
{
	size_t failed = 0;

	for (int i = 1; i < argc; i++)
		collect(argv[i]);
	if (argc < 2)
		collect_default(argv[0]);
	printf("1..%zu\n", n_paths);
	for (size_t i = 0; i < n_paths; i++) {
		const char *name = strrchr(paths[i], '/');
		int result;

		fflush(stdout);		/* the target may die */
		result = replay(paths[i]);
		if (result == 0)
			printf("ok %zu - %s\n", i + 1,
			    name != NULL ? name + 1 : paths[i]);
		else
			printf("not ok %zu - %s: %s\n", i + 1, paths[i],
			    strerror(errno));
		failed += result != 0;
		free(paths[i]);
	}
	free(paths);
	return failed > 0 || n_paths == 0;
}
