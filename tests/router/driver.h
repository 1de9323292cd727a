/* SPDX-License-Identifier: MIT
 *
 * A router in this process with workers that the test plays: it says what they
 * say and reads, as lines of text, what they get.
 *
 *	struct rig *g = rig_new("");
 *	struct mate *a = rig_worker(g, 1);
 *	SAY(a, join, .app = B("1"), .channel = B("news"), .n = 1, .cookie = 7);
 *	rig_run(g);
 *	GETS(a, "subscribed news cookie=7 count=1");
 *
 * Time stands still but for rig_later().
 */
#ifndef TESTS_ROUTER_DRIVER_H
#define TESTS_ROUTER_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/util.h"
#include "router/router.h"

#define MATES	8

/* The other end of a link of the router. */
struct mate {
	struct rig		*rig;
	struct peer		*peer;
	int			 fd;
	struct buf		 out, in;
	struct msg_reader	*reader;
	char			**lines;	/* not looked at yet */
	size_t			 n_lines, cap_lines;
	uint64_t		 serial;	/* last one seen */
	uint64_t		 slot, generation;
	bool			 asleep;	/* does not read */
};

struct rig {
	struct event_base	*base;
	struct router		*router;
	struct mate		 master, courier;
	struct mate		 mates[MATES];	/* of generation 1 and so on */
	size_t			 n_mates;
};

/* ini: more lines for the settings; they start in [app chat] (id 1). */
struct rig *rig_new(const char *ini);
/* The same with a backplane that the test plays; started. */
struct rig *rig_backplane(const char *ini, const struct backplane *);
/* One that is to follow another of the same host; its setup is complete. */
struct rig *rig_heir(const char *ini, const struct backplane *,
	    struct rig *elder);
void	rig_free(struct rig *);
/* As if the router had replaced another: it waits for so many workers. */
void	rig_starting(struct rig *, unsigned expect);
/* New settings of the same shape. */
void	rig_settings(struct rig *, const char *ini);
/* A worker that has said hello and synced. */
struct mate *rig_worker(struct rig *, unsigned slot);
/* One that has not. */
struct mate *rig_stranger(struct rig *, unsigned slot);
/* A new courier; the one before has died. */
struct mate *rig_courier(struct rig *);
void	mate_dies(struct mate *);
/* Turns of the loop until nothing happens any more. */
void	rig_run(struct rig *);
/* ms pass, and the things that are done each second are done. */
void	rig_later(struct rig *, uint64_t ms);

void	mate_gets(struct mate *, const char *line, const char *file, int at);
void	mate_gets_none(struct mate *, const char *file, int at);

#define SAY(mate, name, ...) do {					\
	struct msg_##name m_ = { __VA_ARGS__ };				\
	msg_pack_##name(&(mate)->out, &m_);				\
} while (0)
/* The next line it got. */
#define GETS(mate, line)	mate_gets(mate, line, __FILE__, __LINE__)
/* It got no more than what was looked at. */
#define GETS_NONE(mate)		mate_gets_none(mate, __FILE__, __LINE__)

#endif
