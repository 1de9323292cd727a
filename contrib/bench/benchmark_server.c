/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: what the server's processes use, by /proc.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmark.h"

#define PROCESSES_MAX	4096

struct process {
	unsigned	 pid, parent;
	bool		 ours;
	double		 user, system;		/* seconds */
	double		 gone_user, gone_system; /* of ended children */
};

static long
read_text(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got;

	if (fd < 0)
		return -1;
	while (n < size - 1 && (got = read(fd, to + n, size - 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	to[n] = '\0';
	return (long)n;
}

/* pid (any name) state parent ... utime stime cutime cstime */
static bool
read_stat(unsigned pid, struct process *p)
{
	char path[64], text[1024], *after;
	unsigned long long user, system, gone_user, gone_system;
	double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);

	snprintf(path, sizeof path, "/proc/%u/stat", pid);
	if (read_text(path, text, sizeof text) <= 0 ||
	    (after = strrchr(text, ')')) == NULL ||
	    sscanf(after + 1, " %*c %u %*d %*d %*d %*d %*u %*u %*u %*u %*u "
	    "%llu %llu %llu %llu", &p->parent, &user, &system, &gone_user,
	    &gone_system) != 5)
		return false;
	p->pid = pid;
	p->user = (double)user * tick;
	p->system = (double)system * tick;
	p->gone_user = (double)gone_user * tick;
	p->gone_system = (double)gone_system * tick;
	return true;
}

/* Ticks are coarse; the scheduler knows better how much it was in all. */
static void
refine(struct process *p)
{
	char path[320], text[128];
	double all = 0, ticks = p->user + p->system;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%u/task", p->pid);
	if ((d = opendir(path)) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		snprintf(path, sizeof path, "/proc/%u/task/%s/schedstat", p->pid,
		    e->d_name);
		if (isdigit((unsigned char)e->d_name[0]) &&
		    read_text(path, text, sizeof text) > 0)
			all += (double)strtoull(text, NULL, 10) / 1e9;
	}
	closedir(d);
	if (all <= 0)
		return;
	p->user = ticks > 0 ? all * p->user / ticks : all;
	p->system = all - p->user;
}

/* Not the part of programs and libraries: it falls with whoever maps them, too,
 * and our own processes do. */
static bool
add_memory(unsigned pid, uint64_t *sum)
{
	char path[64], text[4096], *all, *files;

	snprintf(path, sizeof path, "/proc/%u/smaps_rollup", pid);
	errno = 0;
	if (read_text(path, text, sizeof text) <= 0 ||
	    (all = strstr(text, "\nPss:")) == NULL)
		return errno != EACCES && errno != EPERM;	/* it has ended */
	files = strstr(text, "\nPss_File:");	/* since Linux 5.4 */
	*sum += (strtoull(all + 5, NULL, 10) - (files == NULL ? 0 :
	    strtoull(files + 10, NULL, 10))) * 1024;
	return true;
}

static unsigned
read_all(struct process *list)
{
	struct dirent *e;
	unsigned n = 0;
	DIR *d = opendir("/proc");

	while (d != NULL && n < PROCESSES_MAX && (e = readdir(d)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]) &&
		    read_stat((unsigned)atoi(e->d_name), &list[n]))
			n++;
	if (d != NULL)
		closedir(d);
	return n;
}

/* A child may stand before its parent. */
static void
mark_family(struct process *list, unsigned n, unsigned root)
{
	bool more = true;

	for (unsigned i = 0; i < n; i++)
		list[i].ours = list[i].pid == root;
	while (more) {
		more = false;
		for (unsigned i = 0; i < n; i++)
			for (unsigned k = 0; k < n && !list[i].ours; k++)
				if (list[k].ours &&
				    list[k].pid == list[i].parent)
					more = list[i].ours = true;
	}
}

unsigned
server_usage(unsigned pid, struct usage *u, bool memory)
{
	static struct process list[PROCESSES_MAX];
	unsigned n, ours = 0;

	memset(u, 0, sizeof *u);
	if (pid == 0)
		return 0;
	memset(list, 0, sizeof list);
	n = read_all(list);
	mark_family(list, n, pid);
	for (unsigned i = 0; i < n; i++) {
		if (!list[i].ours)
			continue;
		refine(&list[i]);
		u->user += list[i].user + list[i].gone_user;
		u->system += list[i].system + list[i].gone_system;
		ours++;
		if (memory)
			memory = add_memory(list[i].pid, &u->memory);
	}
	if (!memory)
		u->memory = 0;
	return ours;
}
