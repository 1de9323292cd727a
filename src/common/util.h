/* SPDX-License-Identifier: MIT
 *
 * The few things everything stands on: memory that does not fail, clocks,
 * random numbers, descriptors.
 *
 * Allocation: these end the process when memory runs out, and the master
 * replaces it.  A size that a client chose is checked against a limit BEFORE
 * it gets here.
 *
 * Runs in: every process.
 */
#ifndef PEAL_UTIL_H
#define PEAL_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

#include "common/buf.h"

#define NELEM(a)	(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

void	*xmalloc(size_t);
void	*xcalloc(size_t n, size_t size);
void	*xrealloc(void *, size_t);
/* n * size, checked for overflow. */
void	*xreallocarray(void *, size_t n, size_t size);
char	*xstrdup(const char *);
char	*xasprintf(const char *, ...) __attribute__((format(printf, 1, 2)));

/* Milliseconds of CLOCK_MONOTONIC: for time-outs. */
uint64_t clock_ms(void);
/* The same in nanoseconds: to measure. */
uint64_t clock_ns(void);
/* Milliseconds since 1970: for people and signatures only. */
uint64_t clock_wall_ms(void);

/* As timers want it. */
struct timeval timeval_ms(uint64_t ms);

/* From the system's random source; never fails (ends the process instead). */
void	random_fill(void *, size_t);
/* Uniform in 1 .. limit; for what need not stay secret: it is taken from a
 * store in memory. */
uint32_t random_1_to(uint32_t limit);

/* -1 with errno. */
int	fd_nonblock(int fd);
int	fd_cloexec(int fd, int on);
/* Puts nothing where the standard descriptors are closed, or what is opened later
 * takes their place and gets what is written to them. */
void	fd_standard(void);
/* A packet with a descriptor, without waiting; results as of sendmsg(). */
ssize_t	fd_send(int to, const void *, size_t n, int fd);
/* What fits of one, without waiting, and the descriptor that came with it, or -1;
 * results as of recvmsg(). */
ssize_t	fd_recv(int from, void *, size_t n, int *fd);
/* Appends a whole file.  -1 with errno: EFBIG for more than `max` octets; ENODATA if
 * it is a pipe or the like that does not end within 3 s, which is all the time this
 * takes.  Not from within the jail. */
int	file_read(const char *path, size_t max, struct buf *);
/* Soft limit of open files raised to the hard one; returns it. */
uint64_t fd_limit_raise(void);

/*
 * Title of the process in ps and top: "peald: worker 2".  It is written over
 * the memory that the kernel put arguments and environment in: title_init()
 * gives argv and environ copies, so call it before anything else keeps a
 * pointer to them.
 */
void	title_init(int argc, char **argv);
void	title_set(const char *, ...) __attribute__((format(printf, 1, 2)));

#endif
