/* SPDX-License-Identifier: MIT
 *
 * A call of pealctl: what the command line said, and the verbs there are.
 *
 * Runs in: pealctl.
 */
#ifndef PEAL_CALL_H
#define PEAL_CALL_H

#include "common/buf.h"

#define INTERVAL_MAX	3600	/* seconds between two screens of top */

enum { STATUS_OK, STATUS_REFUSED, STATUS_USAGE };

/* What the command line said. */
struct call {
	const struct verb *verb;
	const char	*file, *socket, *app;
	const char	*channel, *user, *id, *match, *kinds;
	const char	*limit, *data, *interval;
	bool		 json, now, once, slow, list;
	char		 given[16];	/* letters of options, as in verbs */
	char		**args;		/* behind the verb */
	int		 n;
};

struct verb {
	const char	*name, *args, *summary;
	const char	*usage;		/* args with all options, if these are
					   too long for the list of verbs */
	int		 min, max;
	/* Letters of the options that it takes: (a)pp, (n)ow, (o)nce,
	 * (i)nterval, (k)ind, (d)ata, (l)imit, (m)atch, (C)hannel, (u)ser,
	 * i(D), (S)low, (L)ist.  With an (a) the app may also be one argument
	 * more. */
	const char	*options;
	const char	*help;
	/* What it is called on the wire, if not by its name. */
	const char	*wire;
	/* The request's members behind "verb", if it has any. */
	void		(*ask)(const struct call *, struct buf *);
	void		(*show)(struct bytes answer);
	const char	*rows;		/* their name in --json */
	/* --json, if it is not the answer as it is. */
	void		(*print_json)(struct bytes answer);
	/* The exit status of an answer that is ok, if that is not always 0. */
	int		(*status)(struct bytes answer);
	/* A single argument that names an application is that, not what args
	 * say. */
	bool		app_alone;
	/* In place of asking. */
	int		(*run)(struct call *);
};

/* The last one has no name. */
extern const struct verb verbs[];
const struct verb *verb_find(const char *);

/* Asks what the call's verb asks, and shows the answer; the exit status. */
int	call_ask(struct call *);
/* The line that asks it. */
void	call_request(const struct call *, struct buf *line);
/* Says what went wrong, for programs, too (--json); STATUS_REFUSED.  Frees why. */
int	call_fail(const struct call *, char *why);
/* What the last line of an answer says: NULL if ok, or why not (caller
 * frees). */
char	*call_error(struct bytes answer);
/* May the same be answered in a moment? */
bool	call_again(struct bytes answer);

/* Verbs that do more than ask (ctl.c). */
int	run_check(struct call *);
int	run_help(struct call *);

#endif
