/* SPDX-License-Identifier: MIT
 *
 * A station: one router process as a host would have it, with this program in
 * the place of its master and of its workers.
 *
 * The links of the workers are driven by hand, so that the program spends as
 * little as possible: frames are made once and only their serial is changed,
 * and of what arrives nothing is read that is not counted.
 *
 * Owned by: who called station_start().  Dies: station_stop().
 */
#ifndef BENCH_STATION_H
#define BENCH_STATION_H

#include <sys/types.h>

#include "common/counters.h"
#include "common/ipc.h"

#define SAMPLES_MAX	(1u << 20)

/* What a run is about. */
struct bench {
	const char	*peald;		/* the binary */
	const char	*settings;	/* more lines of [backplane] */
	const char	*jail;
	unsigned	 workers;	/* of a station */
	unsigned	 channels;
	unsigned	 size;		/* octets of a message's data */
	unsigned	 window;	/* messages published, not acknowledged */
	unsigned	 seconds;
};

/* A worker, as the router sees it. */
struct mate {
	struct station	*station;
	int		 fd;
	unsigned	 slot;
	bool		 held;		/* xoff */
	bool		 timed;		/* messages hold a time: read it */
	/* out: whole frames */
	struct buf	 out;
	size_t		 out_at;
	uint64_t	 sent, acked;	/* serials; start at SERIAL_BASE */
	/* in */
	char		*in;
	size_t		 in_n;
	uint64_t	 received;	/* messages */
	uint64_t	 sum;		/* of their serials */
	unsigned	 joined;
};

#define SERIAL_BASE	(1ull << 32)	/* so that all take the same octets */

struct station {
	const struct bench *bench;
	pid_t		 pid;
	struct event_base *base;
	struct ipc	*master;
	struct buf	 packed;	/* its settings */
	uint64_t	 node;
	bool		 ready, gone;
	struct counters	 counters;	/* the last it told */
	bool		 told;		/* counters came */
	struct mate	*mate;
	struct buf	*frame;		/* a publish per channel */
	size_t		 serial_at;	/* offset of the serial in each */
};

/* Ready, all channels joined by all its mates; ends the program if not. */
struct station *station_start(const struct bench *, uint64_t node);
void	station_stop(struct station *);

/* Processor time of a process so far, in seconds. */
double	process_time(pid_t);
double	now(void);

/* Queues one message on this channel; no check of the window. */
void	mate_publish(struct mate *, unsigned channel);
/* The same with the time of now as data. */
void	mate_publish_timed(struct mate *, unsigned channel);
/* Writes what the kernel takes, reads what there is.  False: nothing moved. */
bool	mate_turn(struct mate *);
/* Answers what the router asks its master; call it now and then. */
void	station_turn(struct station *);

/* Seconds between sending and arrival of timed messages. */
extern struct samples {
	double		*at;
	size_t		 n;
} samples;

#endif
