/* SPDX-License-Identifier: MIT
 *
 * A backplane driver in this process without a router: what it tells is kept as
 * lines of text, its names are looked up here.
 *
 *	struct rig *g = rig_new("host = 127.0.0.1\nport = 7000\n");
 *	rig_start(g);
 *	SEES(g, "up");
 *	rig_join(g, "news");
 *	SEES(g, "joined 1:news");
 *
 * SEES runs the loop until the next line is there, and it must be that one.
 * Time can be put forward for what the driver measures; libevent's timers take
 * the real one.
 *
 * A broker is a real redis-server (broker.h) or is played by the test: play_*().
 */
#ifndef TESTS_BACKPLANE_RIG_H
#define TESTS_BACKPLANE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backplane/backplane.h"
#include "common/util.h"

struct event_base;

struct rig {
	struct event_base	*base;
	struct config		*config;
	const struct backplane	*driver;
	void			*self;
	char			**lines;	/* not looked at yet */
	size_t			 n_lines, cap_lines;
	bool			 in_verb;	/* no upcall may come then */
	/* resolve: asked, answered after the turn */
	uint64_t		 asked[16];
	char			*host[16];
	unsigned		 n_asked;
	bool			 no_names;	/* nothing can be looked up */
	uint64_t		 received, octets;	/* messages */
	bool			 quiet;		/* they are only counted */
};

/* ini: lines for [backplane]; driver = redis is there. */
struct rig *rig_new(const char *ini);
/* The same for settings that open() must refuse, with this in why. */
void	rig_refused(const char *ini, const char *why);
void	rig_start(struct rig *);
void	rig_free(struct rig *);
/* One turn of the loop, waiting for at most that long; of the other host's too,
 * if there are two. */
void	rig_turn(struct rig *, int wait_ms);
/* What is measured by clock_ms() goes on by so much. */
void	rig_later(uint64_t ms);

void	rig_join(struct rig *, const char *channel);
void	rig_leave(struct rig *, const char *channel);
void	rig_publish(struct rig *, const char *channel, const char *text,
	    uint64_t cookie);
void	rig_publish_bytes(struct rig *, const char *channel, struct bytes,
	    uint64_t cookie);
void	rig_store(struct rig *, const char *channel, const char *text,
	    uint64_t ttl_ms, uint64_t cookie);
void	rig_fetch(struct rig *, const char *channel, uint64_t cookie);
struct topic rig_topic(const char *channel);

/* Any octets of the next line may be left open: "down *in time". */
void	rig_sees(struct rig *, const char *pattern, const char *file, int at);
/* Nothing is there. */
void	rig_sees_none(struct rig *, const char *file, int at);
/* Until the line comes; what comes before is forgotten. */
void	rig_skip_to(struct rig *, const char *pattern, const char *file,
	    int at);
#define SEES(g, line)	rig_sees(g, line, __FILE__, __LINE__)
#define SEES_NONE(g)	rig_sees_none(g, __FILE__, __LINE__)
#define SKIPS_TO(g, line) rig_skip_to(g, line, __FILE__, __LINE__)
/* Runs the loop until the condition holds. */
#define UNTIL(g, condition) do {					\
	uint64_t ends_ = rig_deadline();				\
	while (!(condition)) {						\
		rig_turn(g, 20);					\
		if (rig_deadline() - RIG_PATIENCE_MS > ends_)		\
			fail_msg("never: %s", #condition);		\
	}								\
} while (0)
#define RIG_PATIENCE_MS	20000
uint64_t rig_deadline(void);

/* ---- a broker that the test plays ----------------------------------------- */

struct play {
	struct rig	*rig;
	int		 listener;
	unsigned	 port;
};

void	play_open(struct play *);
void	play_close(struct play *);
/* The next connection; the driver's loop runs meanwhile. */
int	play_accept(struct play *);
/* The next command on the connection; good until the next call. */
char	*play_hears_any(struct play *, int fd, const char *file, int at);
/* It must be this one: "SUBSCRIBE|peal:1:news|".  A PING that comes instead is
 * answered. */
void	play_hears(struct play *, int fd, const char *command,
	    const char *file, int at);
#define HEARS(p, fd, command) play_hears(p, fd, command, __FILE__, __LINE__)
/* The connection is closed by the driver. */
void	play_hears_end(struct play *, int fd);
void	play_says(int fd, const char *);
void	play_says_bytes(int fd, struct bytes);
/* A link that was signed in: reads and answers CLIENT and PING; tells which. */
int	play_sign_in(struct play *, bool *subscriber);
/* Both links of a node, and the probe of the first. */
void	play_node(struct play *, int *publish, int *subscribe);

#endif
