/* SPDX-License-Identifier: MIT
 *
 * Clients are told to reconnect (4200), spread over a time, because they all do
 * so at once: each at a moment of its own, any moment of that time being as
 * likely as any other.  Either all of them, at the end of a worker, or those
 * that a hand-over leaves behind.
 *
 * Who has sent a part of a request, or has not sent its first one yet, is waited
 * for until the time is over; who waits for an answer, until it is there.
 *
 * Those who come while a worker ends are served, if they want no more than an
 * answer: calls of the API, health, numbers.  Who would stay is refused with 503
 * (request.c).
 *
 * Runs in: workers; there is one.
 */
#ifndef PEAL_DRAIN_H
#define PEAL_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct event_base;

/* The end: closes all conns within grace_ms; may be called again with less, and
 * in the middle of a paced one. */
void	drain_start(struct event_base *, uint64_t grace_ms);
/* Nobody is there of those who came before it, or the time is over. */
bool	drain_late(void);
/* Everybody is gone, or had the time to. */
bool	drain_done(void);

/*
 * A hand-over: closes those for whom pick() is true, within pace_ms; may be
 * called again with less.  It looks for more of them every second (who is found
 * when the time is over has another second), and asks again before it closes
 * one.  Who is being handed over at that moment is left for later.
 */
void	drain_pace(struct event_base *, uint64_t pace_ms,
	    bool (*pick)(const struct conn *));
/* The time is over; those were told, and are gone or had the time to be. */
bool	drain_over(void);

#endif
