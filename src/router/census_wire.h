/* SPDX-License-Identifier: MIT
 *
 * What hosts tell of themselves, as octets: the payload of envelopes HELLO to
 * BYE.  Msgpack values, one behind the other: first an array of numbers (the
 * head), then arrays, one a row:
 *
 *	[kind, n, app]				ITEM_OPEN, ITEM_SUBSCRIBED
 *	[kind, n, app, channel]			ITEM_CHANNEL
 *	[kind, n, app, user]			ITEM_USER
 *	[kind, n, app, channel, user, object]	ITEM_MEMBER
 *
 * An empty app or channel is that of the row before.  n is absolute, 0 says
 * that nothing is left.  An object that is too long is left out.
 *
 * Heads, by kind of envelope:
 *
 *	HELLO, BEAT	[epoch, number, rows, sum, fresh] and the host's name
 *	WANT		[node]
 *	CHANGES		[epoch, number] rows
 *	SNAPSHOT	[epoch, number, id, index, last] rows
 *	BYE		[epoch]
 *
 * epoch: generation of the router; number: that of the last CHANGES; rows and
 * sum: how many rows with n > 0 were told, and their n added up; fresh: a
 * snapshot follows unasked.
 *
 * Runs in: the router.  Fuzzed: tests/fuzz/fuzz_hosts.c.
 */
#ifndef PEAL_CENSUS_WIRE_H
#define PEAL_CENSUS_WIRE_H

#include "common/packed.h"
#include "router/item.h"

#define WIRE_APP_MAX		200
#define WIRE_NAME_MAX		1024
#define WIRE_OBJECT_MAX		65536
#define WIRE_COUNT_MAX		(UINT64_C(1) << 40)
#define WIRE_HOST_MAX		64	/* octets of a host's name */

enum { HEAD_EPOCH, HEAD_NUMBER, HEAD_ROWS, HEAD_SUM, HEAD_FRESH,
       HEAD_OF_BEAT };
enum { HEAD_OF_CHANGES = HEAD_NUMBER + 1 };
enum { HEAD_ID = HEAD_OF_CHANGES, HEAD_INDEX, HEAD_LAST, HEAD_OF_SNAPSHOT };

/* Writes rows behind each other into one payload. */
struct wire_pen {
	struct buf	*out;
	size_t		 app, app_n, channel, channel_n;	/* the last */
};

void	wire_head(struct buf *, const uint64_t *numbers, uint32_t n);
void	wire_row(struct wire_pen *, const struct item_name *, uint64_t n);
/* How much that can be, at most. */
size_t	wire_row_size(const struct item_name *);

/* Reads; what it gives points into the payload. */
struct wire_eye {
	struct packed	in;
	struct bytes	app, channel;	/* of the row before */
};

void	wire_open(struct wire_eye *, struct bytes payload);
/* -1 unless an array of exactly n numbers comes next. */
int	wire_read_head(struct wire_eye *, uint64_t *numbers, uint32_t n);
/* True: a row.  False: the end, or it is wrong. */
bool	wire_read_row(struct wire_eye *, struct item_name *, uint64_t *n);
/* Are all rows that follow right? */
bool	wire_check(struct wire_eye);

#endif
