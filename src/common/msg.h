/* SPDX-License-Identifier: MIT
 *
 * The messages of tables/messages.def as C: enum, structs, packers and checked
 * unpackers.
 *
 *	struct msg_publish m = { .serial = 7, .app = B("1"), ... };
 *	msg_pack_publish(&buf, &m);		a whole frame, length included
 *	msg_unpack_publish(&unpacker, &m, &why);
 *
 * Only numbers and bytes cross a process boundary.  The other side may have
 * been taken over: every length, type and count is checked, and a message that
 * does not fit ends the link, never the reader.
 *
 * Runs in: every process.
 */
#ifndef PEAL_MSG_H
#define PEAL_MSG_H

#include "common/buf.h"

#define MSG_VERSION	7
#define MSG_OLDEST	3	/* that is still understood */
#define MSG_MAX		(64u << 20)	/* octets of a message's bytes */
#define MSG_FRAME_MAX	(MSG_MAX + (1u << 16))	/* and of all of it */

/* flags of join and signin */
#define JOIN_SYNC	1	/* told again to a new router: announce nothing */
#define JOIN_CACHE	2	/* a cache channel: send the last message along */
#define JOIN_ROSTER	4	/* send the members before subscribed */
#define JOIN_PRESENCE	8	/* a presence channel: user and member count */
#define JOIN_COUNT	16	/* the app wants subscription counts pushed */
#define JOIN_REPLAY	32	/* send what came after since_* along (epoch 0:
				   nothing), keep what comes from now on */
#define JOIN_HEIR	64	/* n is 0: subscribers will be handed over.  The
				   route is to be live, nothing is counted.
				   Ended by leave with n = 0 */

/* flags of publish and deliver */
#define PUBLISH_CLIENT	1	/* a client event: not cached, data may be any */
#define PUBLISH_CACHE	2	/* keep as the last message of the channel */
#define PUBLISH_TEXT	4	/* data is no JSON but UTF-8 as it stands */
#define PUBLISH_BINARY	8	/* data is octets as they stand */
#define PUBLISH_ALONE	16	/* a client event whose sender is the only one
				   there: its worker need not hear of it */

enum { QUERY_CHANNELS = 1, QUERY_CHANNEL, QUERY_USERS, QUERY_CONNECTIONS };
/* QUERY_CHANNELS: name is a prefix; a row each: name, subscriptions, users.
 * QUERY_CHANNEL: one row if occupied or cached, with all fields.
 * QUERY_USERS: a row each in join order: name (user), member.
 * QUERY_CONNECTIONS: one row: subscriptions = open ones with a subscription,
 * users = all open ones. */

/* kinds of hook_event: client_event, cache_miss, subscription_count,
 * connection_opened and connection_closed */
enum { HOOK_CLIENT = 1, HOOK_MISS, HOOK_COUNT, HOOK_OPENED, HOOK_CLOSED };

/* what ask_report asks for: the text of /metrics (master/metrics.h) as OpenMetrics,
 * the JSON of `pealctl report` (master/report.h), or the text of /metrics for a
 * Prometheus that does not accept OpenMetrics */
enum { REPORT_METRICS = 1, REPORT_JSON, REPORT_METRICS_PLAIN };

enum { REFUSED_NOT = 0, REFUSED_FULL };	/* too many members */

struct msg_list {
	const struct bytes	*at;
	uint32_t		 n;
};
/* The i-th byte string of a checked list; i < n. */
struct bytes msg_list_at(const struct msg_list *, uint32_t i);

/* To send a list, give the strings; unpacking fills `list`, packing reads
 * `strings`. */
struct msg_strings {
	const struct bytes	*at;
	uint32_t		 n;
};

/* One field of a received message; see msg.c. */
struct msg_field;

/* A received message whose framing and msgpack were checked already. */
struct unpacker {
	const struct msg_field	*field;	/* the next one */
	const struct bytes	*strings;	/* of its lists */
	uint32_t		 left;
	int			*fds;	/* descriptors that came along */
	uint32_t		 n_fds;
};

enum msg_type {
	MSG_NONE,
#define MESSAGE(code, name, to)	MSG_##name = (code),
#define NUM(f)
#define BYTES_(f, max)
#define LIST(f, max)
#define FD(f)
#define END
#include "tables/messages.def"
	MSG_TYPES
};

#define MESSAGE(code, name, to)	struct msg_##name {
#define NUM(f)			uint64_t f;
#define BYTES_(f, max)		struct bytes f;
#define LIST(f, max)		struct msg_list f; struct msg_strings f##_out;
#define FD(f)			int f;
#define END			char end_[1]; };
#include "tables/messages.def"

/*
 * msg_pack_x() appends one frame (length, array) to buf.  Descriptors do not go
 * into the frame; ipc_put_fd() takes them.  A field over its maximum is a
 * mistake of the caller: nothing is appended then and the log says so, as the
 * receiver would end the link for it.
 *
 * msg_unpack_x() takes all fields or, with -1, nothing.  *why names message and
 * field and is good until the next call.  Fields behind the last that is known
 * are passed over, and those that are not there are 0 or empty (not
 * descriptors): the sender may be another release.
 */
#define MESSAGE(code, name, to) \
	void msg_pack_##name(struct buf *, const struct msg_##name *); \
	int msg_unpack_##name(struct unpacker *, struct msg_##name *, \
	    const char **why);
#define NUM(f)
#define BYTES_(f, max)
#define LIST(f, max)
#define FD(f)
#define END
#include "tables/messages.def"

/* "publish", or NULL for a number that is none. */
const char *msg_name(unsigned type);

/* A plain msgpack array of n numbers, without a frame, and back; -1 if there is
 * anything else in it.  Of a longer array the first n are read, and what a
 * shorter one lacks is 0: releases may differ. */
void	msg_pack_numbers(struct buf *, const uint64_t *, size_t n);
int	msg_unpack_numbers(struct bytes, uint64_t *, size_t n);

/*
 * Reads one frame's body (without the length).  The unpacker is good until the
 * next call with the same reader.  -1 with why: no array, unknown type, counts
 * that do not fit the octets there are.
 */
struct msg_reader;
struct msg_reader *msg_reader_new(void);
void	msg_reader_free(struct msg_reader *);
int	msg_read(struct msg_reader *, struct bytes body, unsigned *type,
	    struct unpacker *, const char **why);

#endif
