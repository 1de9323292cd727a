/* SPDX-License-Identifier: MIT
 *
 * crowd: thousands of clients and an application that publishes to them, and a
 * count of everything that went wrong.  See README.
 *
 *	crowd.c		options, processes, what is printed
 *	crowd_plan.c	who is in which channel
 *	crowd_client.c	one client: its socket and what it says
 *	crowd_heard.c	what a client hears
 *	crowd_tally.c	is it complete, once, in order?  how late?
 *	crowd_api.c	the application: publishes, asks for counts
 *
 * The first process is the application, and the clients that come and go; the
 * others hold the clients that stay.  They share struct shared, which is mapped
 * before they are forked; all times are microseconds of the host's clock.
 *
 * An event's data is "~S C N D T": whose it is (a: API, c: a client of the
 * channel), channel, number (each publisher counts each of its channels), when it
 * was due and when it was sent.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUBS_MAX	3	/* channels of a client */
#define PROCESSES_MAX	16
#define CHURN_MAX	(1u << 20)	/* clients that come and go in a run */
#define UNSURE_RING	4096u	/* numbers of which we remember a failure */
#define BUCKETS		512
#define CODES		5000

enum stream { FROM_API, FROM_CLIENT, STREAMS };

enum kind {
	PUBLIC, PRIVATE, PRESENCE, ROOM,	/* their subscribers stay */
	CHURNING, CHURNING_PRESENCE		/* they come and go */
};

struct options {
	const char	*host, *id, *key, *secret;
	const char	*room_path, *stream_path;
	unsigned	 port;
	unsigned	 clients, rooms, streams, size, processes;
	unsigned	 rate, publishers, client_rate, churn, reads;
	unsigned	 ping_ms, seconds, wait_s, handshakes;
	uint64_t	 speak_us;	/* between a client's events */
};
extern struct options opt;

struct channel {
	char		 name[32];
	enum kind	 kind;
	unsigned	 sender;	/* id of the client that speaks in it */
	_Atomic uint32_t sent[STREAMS];	/* the next number */
	_Atomic uint32_t present;	/* subscribers that are there */
	_Atomic uint32_t changes;	/* of those who should stay */
	_Atomic uint64_t changed;	/* when */
	_Atomic uint64_t unsure[STREAMS][UNSURE_RING / 64];
};

/* What happened to one who came and went. */
enum { CHURN_IN = 1, CHURN_LEFT = 2 };

/* One for each process: nobody else writes to it. */
struct stats {
	uint64_t	 received, pongs, connected, disconnects, refused;
	uint64_t	 missing, missing_away, doubled, disordered, strange;
	uint64_t	 unanswered, noise, presence_wrong, errors;
	uint64_t	 presence_again;
	uint64_t	 published, api_calls, api_failed, api_cut, api_reopened;
	uint64_t	 client_events, churned, reads, blinks;
	uint64_t	 pause_us, delay_us, ping_us, gap_us, api_us, away_us;
	uint64_t	 wrong_us;		/* a count was wrong for so long */
	uint32_t	 codes[CODES];
	uint32_t	 status[600];
	uint32_t	 delays[BUCKETS];	/* messages, by delay */
	uint32_t	 pauses[BUCKETS];	/* clients, by longest pause */
	uint32_t	 api[BUCKETS];		/* calls, by time to answer */
	char		 first[200];		/* the first fault, in words */
	bool		 first_grave;		/* of what came, not of who went */
	_Atomic uint64_t recent_us;		/* longest pause since it was
						 * read last */
	double		 cpu;
};

enum phase { FILLING, RUNNING, DRAINING, ENDING };

struct shared {
	_Atomic int	 phase;
	_Atomic uint32_t open;		/* clients that stay: connected and in */
	uint64_t	 began;
	unsigned	 channels;
	_Atomic uint32_t churned;	/* ids given */
	struct stats	 stats[PROCESSES_MAX + 1];
	_Atomic uint8_t	 churn[CHURN_MAX];
	struct channel	 channel[];
};
extern struct shared *shared;
extern struct stats *stats;		/* this process's */

uint64_t now_us(void);
/* Remembers the first fault in words; one in what came rather than one of many
 * connections that went. */
void	fault(uint64_t *count, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	log_value(uint32_t *buckets, uint64_t us);
double	log_percentile(const uint32_t *buckets, double p);

/* ---- tally ------------------------------------------------------------------ */

struct sub {
	uint32_t	 channel;
	bool		 in;		/* is there now */
	bool		 was;		/* has been there */
	bool		 fresh[STREAMS];	/* nothing has come yet */
	uint32_t	 next[STREAMS];
	uint32_t	 since[STREAMS];	/* was cut off before these */
	uint64_t	 seen[STREAMS];	/* the 64 before next */
};

struct event {
	enum stream	 stream;
	uint32_t	 channel, number;
	uint64_t	 due, sent;
};

/* False: that is none. */
bool	event_read(const char *p, size_t n, struct event *);
void	tally_entered(struct sub *);
void	tally_left(struct sub *);
void	tally_event(struct sub *, const struct event *);
/* Has all come?  last: nothing more will, count what is missing. */
bool	tally_complete(struct sub *, bool speaks, bool last);
void	tally_unsure(struct channel *, enum stream, uint32_t number);
void	tally_sending(struct channel *, enum stream, uint32_t number);

/* ---- plan ------------------------------------------------------------------- */

struct client;
/* Channels of a run; how many. */
unsigned plan_channels(bool fill);
/* What client `id` is in. */
void	plan_client(struct client *, unsigned id);
void	plan_churn(struct client *, unsigned id);
unsigned plan_total(void);

/* ---- clients ---------------------------------------------------------------- */

enum door { DOOR_PUSHER, DOOR_ROOM, DOOR_STREAM };
enum state { IDLE, CONNECTING, SHAKING, OPEN, LEAVING, GONE };

struct client {
	int		 fd;
	unsigned	 id;
	enum door	 door;
	enum state	 state;
	bool		 churns, watches, speaks;
	bool		 held;		/* the rest of a frame comes later */
	bool		 ready;		/* in all its channels */
	uint8_t		 n_subs, entered;
	struct sub	 sub[SUBS_MAX];
	char		*in, *out;
	size_t		 n_in, n_out, in_size;
	uint64_t	 when;		/* connect; or leave */
	uint64_t	 next_ping, pinged, released, speak;
	uint64_t	 down;		/* since then without its channels */
	uint64_t	 heard, worst;
	uint32_t	 told, asked, sure;	/* client events: sent, before the
					 * last ping, known as taken */
	uint8_t		*watched;	/* who came and went */
	char		 socket_id[24];
};

struct herd {
	int		 ep;
	struct client	*client;
	unsigned	 n, shaking, next;
	uint64_t	 ticked;
};

void	herd_open(struct herd *, unsigned n);
/* Reads, connects, pings for at most ms. */
void	herd_turn(struct herd *, int ms);
void	client_start(struct herd *, struct client *);
void	client_lost(struct herd *, struct client *, unsigned code);
/* A text frame, or another opcode. */
void	client_say(struct client *, unsigned opcode, const char *p, size_t n);
/* It was greeted: subscribes. */
void	client_enter(struct client *);
void	client_leave(struct client *);
void	client_note(struct client *, uint64_t us);
/* Bytes of an open connection; false: it is lost, or has left. */
bool	heard_frames(struct herd *, struct client *, char *p, size_t n,
	    size_t *used);
void	heard_lines(struct client *, const char *p, size_t n, size_t *used);
void	heard_entered(struct client *, struct sub *);
/* Nothing more is on its way to anybody; last as in tally_complete(). */
bool	herd_complete(struct herd *, bool last);

/* ---- the application -------------------------------------------------------- */

void	api_open(int ep);
/* From now on calls are due. */
void	api_start(void);
/* Makes the calls that are due; ms until the next. */
int	api_turn(void);
void	api_event(void *, unsigned events);
bool	api_owns(const void *);
/* No more of them; have all been answered? */
bool	api_finished(void);
/* Asks until each channel has as many as are there; false: not by then. */
bool	api_settled(struct herd *, uint64_t until);

#endif
