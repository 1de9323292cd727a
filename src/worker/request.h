/* SPDX-License-Identifier: MIT
 *
 * One HTTP request on a conn, from its head to its answer: the first stage of
 * every connection.  Keep-alive and pipelining: requests are answered one after
 * the other, the next is read when the last one's answer is queued.
 *
 * A request is either upgraded (client.c), or answered by the API (api.c), at
 * once or later when the router has spoken.
 *
 * Runs in: workers.  Owned by: its conn.  Dies: with its answer, or its conn.
 */
#ifndef PEAL_REQUEST_H
#define PEAL_REQUEST_H

#include <sys/queue.h>

#include "common/buf.h"
#include "worker/conn.h"
#include "worker/http.h"

struct api_call;
struct metrics_call;

struct request {
	struct conn		*conn;
	struct http_request	 head;
	struct http_chunks	 chunks;
	struct bytes		 body;		/* whole, once it is there */
	struct buf		 room;		/* octets of head and body */
	struct api_call		*call;		/* the API's, while it waits */
	struct metrics_call	*metrics;	/* for the master's numbers */
	bool			 answered;
	bool			 counted;	/* among the app's requests */
	uint64_t		 since;		/* clock_ns() when it was whole */
	uint32_t		 waits_until;	/* for room: see api_wait.h */
	TAILQ_ENTRY(request)	 waiting;
	SLIST_ENTRY(request)	 spent;		/* answered, until the turn ends;
						   then unused */
};

extern const struct conn_stage request_stage;

/*
 * Answers and ends the request.  type: content type, or NULL for JSON.
 * headers: further lines "Name: value\r\n", or NULL.  For HEAD the body is left
 * out.  Statuses over 399 close nothing by themselves.
 */
void	request_answer(struct request *, unsigned status, const char *type,
	    const char *headers, struct bytes body);
/* Plain text, "Words\n"-less as Reverb's. */
void	request_refuse(struct request *, unsigned status, const char *words);
/* For a hand-over, and for freeze.c to look at: the body is waited for, on a
 * conn that was restored.  -1: the octets do not belong to it. */
int	request_restore(struct conn *, const struct http_chunks *);
/* The conn goes on elsewhere. */
void	request_forget(struct conn *);
/* For the log: the X-Request-Id that came with it, else the conn's name; as
 * log_value(). */
const char *request_name(const struct request *);
/* The Date line of an answer, good until the next call. */
const char *request_date(void);
/* End of a turn: frees what was answered. */
void	requests_turn(void);

#endif
