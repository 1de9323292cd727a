/* SPDX-License-Identifier: MIT
 *
 * What processes count:
 *
 *	struct counters	   tables/counters.def: one plain array per process, counted
 *			   as  counter.accepted++  and
 *			   histogram_add(&counter.publish_seconds, ns)
 *	struct usage	   tables/usage.def: one for each application and front door
 *			   (worker/usage.h)
 *	closed_by	   connections closed, by reason
 *
 * Runs in: every process; the master keeps a copy of each child's and adds them up
 * (master/numbers.h).
 */
#ifndef PEAL_COUNTERS_H
#define PEAL_COUNTERS_H

#include "common/buf.h"
#include "common/closes.h"

/*
 * The upper bounds of all histograms, in one place:
 *
 *	BOUND(nanoseconds, seconds as text)
 *
 * Histograms travel by place, too, so none is added and none taken away.
 */
#define HISTOGRAM_BOUNDS(BOUND)						\
	BOUND(50000,		"5e-05")				\
	BOUND(100000,		"0.0001")				\
	BOUND(250000,		"0.00025")				\
	BOUND(500000,		"0.0005")				\
	BOUND(1000000,		"0.001")				\
	BOUND(2500000,		"0.0025")				\
	BOUND(5000000,		"0.005")				\
	BOUND(10000000,		"0.01")					\
	BOUND(25000000,		"0.025")				\
	BOUND(50000000,		"0.05")					\
	BOUND(100000000,	"0.1")					\
	BOUND(250000000,	"0.25")					\
	BOUND(500000000,	"0.5")					\
	BOUND(1000000000,	"1.0")					\
	BOUND(2500000000,	"2.5")					\
	BOUND(5000000000,	"5.0")					\
	BOUND(10000000000,	"10.0")

#define HISTOGRAM_ONE_(ns, text)	+ 1
enum { HISTOGRAM_BUCKETS = 0 HISTOGRAM_BOUNDS(HISTOGRAM_ONE_) + 1 };

/* Durations of at most the bound; the last bucket has those above all bounds.
 * Nothing but uint64_t. */
struct histogram {
	uint64_t	 counts[HISTOGRAM_BUCKETS];	/* not cumulative */
	uint64_t	 sum;				/* nanoseconds */
};

struct histogram_bound {
	uint64_t	 ns;
	const char	*seconds;	/* "0.0025" */
};
extern const struct histogram_bound histogram_bounds[HISTOGRAM_BUCKETS - 1];

/* n events that took so long each. */
void	histogram_add(struct histogram *, uint64_t ns, uint64_t n);
/* How many there were. */
uint64_t histogram_count(const struct histogram *);

struct counters {
#define COUNTER(name, help)	uint64_t name;
#define GAUGE(name, help)	uint64_t name;
#define HISTOGRAM(name, help)	struct histogram name;
#include "tables/counters.def"
};

extern struct counters counter;

/* Of a field that is one uint64_t, and (is_gauge is false) of a histogram. */
struct counter_info {
	const char	*name, *help;
	bool		 is_gauge;
	size_t		 offset;	/* in its struct */
};
/* Without histograms. */
extern const struct counter_info counter_info[];
extern const size_t counter_count;
extern const struct counter_info histogram_info[];
extern const size_t histogram_kinds;

static inline uint64_t
counter_at(const struct counters *c, const struct counter_info *info)
{
	return *(const uint64_t *)(const void *)((const char *)c +
	    info->offset);
}

static inline const struct histogram *
histogram_at(const struct counters *c, const struct counter_info *info)
{
	return (const void *)((const char *)c + info->offset);
}

/* msgpack array of all values in table order, and back; -1 if it is none.  What
 * another release has more of is dropped, what it has not is 0. */
void	counters_pack(const struct counters *, struct buf *);
int	counters_unpack(struct counters *, struct bytes);
/* sum += c */
void	counters_add(struct counters *sum, const struct counters *c);
/* The same without gauges: what a process counted that is gone. */
void	counters_retire(struct counters *sum, const struct counters *c);

/* ---- by application and front door ------------------------------------------ */

struct usage {
#define COUNTER(name, help)	uint64_t name;
#define GAUGE(name, help)	uint64_t name;
#include "tables/usage.def"
};
extern const struct counter_info usage_info[];
extern const size_t usage_count;

static inline uint64_t
usage_at(const struct usage *u, const struct counter_info *info)
{
	return *(const uint64_t *)(const void *)((const char *)u +
	    info->offset);
}

/* As of counters. */
void	usage_pack(const struct usage *, struct buf *);
int	usage_unpack(struct usage *, struct bytes);
void	usage_add(struct usage *sum, const struct usage *);
/* Its process is gone: what was open there is closed. */
void	usage_retire(struct usage *sum, const struct usage *);

/* ---- by reason --------------------------------------------------------------- */

/* Connections that this process has closed: enum close_reason. */
extern uint64_t closed_by[CLOSE_REASONS];

#endif
