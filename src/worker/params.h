/* SPDX-License-Identifier: MIT
 *
 * The parameters of a query string, decoded.  Names are lower case, as Pusher
 * signs them.  name[]=a&name[]=b (also name[0]=a) is a list: its values count
 * as one, joined by commas.  Of a plain name given twice the last value wins,
 * for the signature and for the API alike.
 *
 * Runs in: workers.  Owns: its text; kept from request to request.  What needs
 * no decoding is borrowed from the query.
 */
#ifndef PEAL_PARAMS_H
#define PEAL_PARAMS_H

#include "common/buf.h"

#define PARAMS_MAX	256

struct param {
	struct bytes	 name, value;
	bool		 list;		/* the name had [] behind it */
};

struct params {
	struct buf	 text;
	struct param	 at[PARAMS_MAX];	/* by name, then as sent */
	size_t		 n;
};

/* 0, or -1: a bad escape, bad UTF-8, or too many. */
int	params_read(struct params *, struct bytes query);
/* The value, or empty bytes with p NULL.  A list of several is joined in room
 * (cleared before). */
struct bytes params_get(const struct params *, struct bytes name,
	    struct buf *room);
/* Adds name=value&... without the name `skip`: what Pusher signs. */
void	params_sorted(const struct params *, struct bytes skip, struct buf *);

#endif
