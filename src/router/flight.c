/* SPDX-License-Identifier: MIT
 *
 * Own messages in flight.
 *
 * Runs in: the router.
 */
#include "router/flight.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/peer.h"

#define RING_LEAST	1024
#define RING_KEEP	65536		/* a larger one is given back when empty */
#define OCTETS_MOVE	(256u << 10)	/* this much past: move the rest down */
#define OCTETS_KEEP	(4u << 20)

void
flights_init(struct flights *fs)
{
	*fs = (struct flights){ .first = 1 };
}

void
flights_done(struct flights *fs)
{
	free(fs->ring);
	buf_done(&fs->octets);
}

struct buf *
flights_tail(struct flights *fs)
{
	return &fs->octets;
}

size_t
flights_octets(const struct flights *fs)
{
	return fs->octets.n - fs->past;
}

static struct flight *
slot_of(const struct flights *fs, uint64_t number)
{
	return &fs->ring[number & (fs->room - 1)];
}

/* ---- room --------------------------------------------------------------- */

static void
ring_grow(struct flights *fs, uint64_t need)
{
	uint64_t room = fs->room > 0 ? fs->room : RING_LEAST;
	struct flight *old = fs->ring;
	uint64_t old_room = fs->room;

	if (need <= fs->room)
		return;
	while (room < need)
		room *= 2;
	fs->ring = xreallocarray(NULL, room, sizeof(*old));
	fs->room = room;
	for (uint64_t i = 0; i < fs->n; i++)
		*slot_of(fs, fs->first + i) = old[(fs->first + i) &
		    (old_room - 1)];
	free(old);
}

/* Everything is back. */
static void
flights_empty(struct flights *fs)
{
	fs->n = 0;
	fs->dropped += fs->octets.n;
	fs->octets.n = fs->past = 0;
	if (fs->octets.cap > OCTETS_KEEP)
		buf_done(&fs->octets);
	if (fs->room > RING_KEEP) {
		free(fs->ring);
		fs->ring = NULL;
		fs->room = 0;
	}
}

/* Gives up the holes at the front and their octets. */
static void
flights_trim(struct flights *fs)
{
	if (fs->live == 0) {
		flights_empty(fs);
		return;
	}
	while (!slot_of(fs, fs->first)->live) {
		fs->first++;
		fs->n--;
	}
	fs->past = (size_t)(slot_of(fs, fs->first)->at - fs->dropped);
	if (fs->past > OCTETS_MOVE && fs->past > fs->octets.n / 2) {
		buf_drop(&fs->octets, fs->past);
		fs->dropped += fs->past;
		fs->past = 0;
	}
}

/* ---- coming ------------------------------------------------------------- */

struct flight *
flight_add(struct flights *fs, uint64_t number, unsigned lane, uint32_t n)
{
	struct flight *f;

	if (fs->live == 0) {
		fs->first = number;
		fs->n = 0;
	}
	ring_grow(fs, number - fs->first + 1);
	for (uint64_t hole = fs->first + fs->n; hole < number; hole++)
		slot_of(fs, hole)->live = false;
	fs->n = number - fs->first + 1;
	f = slot_of(fs, number);
	*f = (struct flight){
		.number = number, .lane = (uint16_t)lane, .live = true,
		.at = fs->dropped + fs->octets.n - n, .n = n,
	};
	fs->live++;
	if (fs->lanes[lane].last != 0)
		slot_of(fs, fs->lanes[lane].last)->lane_next = number;
	else
		fs->lanes[lane].first = number;
	fs->lanes[lane].last = number;
	return f;
}

void
flight_of(struct flights *fs, struct flight *f, struct peer *from,
    uint64_t settled)
{
	f->from = from;
	f->settled = settled;
	f->before = from->last_flight;
	if (f->before != 0)
		slot_of(fs, f->before)->after = f->number;
	else
		from->first_flight = f->number;
	from->last_flight = f->number;
}

/* ---- finding ------------------------------------------------------------ */

struct flight *
flight_find(struct flights *fs, uint64_t number)
{
	struct flight *f;

	if (fs->live == 0 || number < fs->first || number - fs->first >= fs->n)
		return NULL;
	f = slot_of(fs, number);
	return f->live ? f : NULL;
}

struct flight *
flight_first(const struct flights *fs)
{
	return fs->live > 0 ? slot_of(fs, fs->first) : NULL;
}

struct flight *
flight_first_of(const struct flights *fs, unsigned lane)
{
	uint64_t number = fs->lanes[lane].first;

	return number != 0 ? slot_of(fs, number) : NULL;
}

struct bytes
flight_octets(const struct flights *fs, const struct flight *f)
{
	return bytes_of(fs->octets.p + (f->at - fs->dropped), f->n);
}

/* ---- going -------------------------------------------------------------- */

static void
leave_peer(struct flights *fs, struct flight *f)
{
	struct peer *p = f->from;

	if (p == NULL)
		return;
	if (f->after != 0)
		slot_of(fs, f->after)->before = f->before;
	else
		p->last_flight = f->before;
	if (f->before != 0) {
		slot_of(fs, f->before)->after = f->after;
		return;
	}
	p->first_flight = f->after;
	p->settled = f->after != 0 ? slot_of(fs, f->after)->settled :
	    p->highest;
}

void
flight_end(struct flights *fs, struct flight *f)
{
	leave_peer(fs, f);
	f->live = false;
	fs->live--;
	fs->lanes[f->lane].first = f->lane_next;
	if (f->lane_next == 0)
		fs->lanes[f->lane].last = 0;
	flights_trim(fs);
}

void
flights_forget(struct flights *fs, struct peer *dead)
{
	uint64_t number = dead->first_flight;

	while (number != 0) {
		struct flight *f = slot_of(fs, number);

		number = f->after;
		f->from = NULL;
	}
	dead->first_flight = dead->last_flight = 0;
}
