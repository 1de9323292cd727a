/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: what a server of the Pusher protocol can do.  See
 * peal-benchmark(1) and README.
 *
 *	benchmark.c		main, the scenarios by name
 *	benchmark_options.c	what the user asks for
 *	benchmark_run.c		the overseer: processes, phases, progress
 *	benchmark_hand.c	a process: its loop, its share of the clients
 *	benchmark_client.c	one client: comes, subscribes, leaves
 *	benchmark_heard.c	what it hears
 *	benchmark_tally.c	is it complete, once, in order?
 *	benchmark_speaker.c	who publishes, when, and how far ahead
 *	benchmark_api.c		publishing by the HTTP API
 *	benchmark_line.c	a connection, plain or by TLS
 *	benchmark_server.c	what the server's processes use
 *	benchmark_report.c	what is printed
 *	benchmark_connect.c, fanout, presence, pressure, reload: the scenarios
 *
 * The overseer draws up a plan and forks hands that go by it: hand 0 speaks, the
 * others hold the clients.  They share struct shared, mapped before; of the
 * counters and histograms in it each has its own.  Times are nanoseconds of
 * CLOCK_MONOTONIC, which is the same for all processes.
 *
 * The data of a message is "~NNNNNNNNCCCCCCCCTTTTTTTTTTTTTTTT~" and fill: its
 * number in its channel, the channel, and when it was due, in hexadecimal.
 */
#ifndef BENCH_BENCHMARK_H
#define BENCH_BENCHMARK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "benchmark_tally.h"
#include "histogram.h"

#define HANDS_MAX	64
#define SECOND		1000000000ull
#define MARK_SIZE	34	/* of a message's data, at least */
#define NAME_MAX_SIZE	48	/* of a channel */

/* ---- what the user asks for (benchmark_options.c) ----------------------- */

struct settings {
	const char	*host, *id, *key, *secret, *command, *kind, *origin;
	unsigned	 port, pid, tls, resume, json, quiet, brief;
	unsigned	 connections, channels, members, inflight, processes;
	unsigned	 subscribe, client, rate, window, size, publishers;
	unsigned	 pipeline, messages, warmup, seconds, hold, stalled;
	unsigned	 wait;
};
extern struct settings opt;

struct scenario {
	const char	*name;
	const char	*defaults;	/* "--rate 50 --size 100" */
	const char	*brief;		/* of --short, on top of these */
	const char	*help;
	int		(*run)(const struct scenario *);	/* faults? */
};
extern const struct scenario scenarios[];

/* Reads the command line; NULL is "all".  -1 with *why. */
int	options_scenario(int argc, char **argv, const struct scenario **,
	    const char **why);
/* Settings for one scenario, from nothing; -1 with *why. */
int	options_read(struct settings *, const struct scenario *, int argc,
	    char **argv, const char **why);
void	options_help(void);
/* What goes for a scenario, into a report. */
void	options_report(const struct settings *, const struct scenario *);

/* ---- what processes share ----------------------------------------------- */

enum counter {
	N_CONNECTED, N_DELIVERIES, N_ENDED, N_PUBLISHED, N_RESUMED,
	N_SEEN,			/* members that were seen to come */
	N_UNSEEN,		/* ... and to leave */
	N_STALLED_CLOSED,
	/* faults */
	N_MISSING, N_DOUBLED, N_DISORDERED, N_REFUSED, N_CLOSED, N_BAD,
	COUNTERS
};
#define FAULTS_FROM	N_MISSING

enum book {
	BOOK_NONE,		/* deliveries of a warm-up */
	BOOK_DELIVERY, BOOK_OTHER, BOOK_FLOOD,
	BOOK_CONNECT, BOOK_PUBLISH, BOOK_PAUSE, BOOKS
};

#define STATUSES	600
struct stats {
	uint64_t	 count[COUNTERS];
	uint32_t	 status[STATUSES];	/* answers of the API; 0: none */
	uint32_t	 opening;		/* clients that are on their way */
	uint64_t	 complete;		/* messages that all here have got */
	struct histogram book[BOOKS];
	char		 first[200];		/* fault, in words */
};

struct spot {				/* a channel */
	_Atomic uint32_t sent;		/* the next number */
	_Atomic uint32_t unsure;	/* numbers that nobody may ever get */
};

enum phase { PHASE_OPEN, PHASE_LEAVE, PHASE_END };

struct shared {
	_Atomic int	 phase;
	_Atomic int	 stopped;	/* by the user: what is missing is no fault */
	_Atomic int	 book;		/* where deliveries are noted */
	_Atomic int	 stall;		/* some stop reading */
	_Atomic int	 left;		/* every second member has gone */
	_Atomic uint32_t in;		/* clients that have all they want */
	_Atomic uint32_t round, done;	/* of publishing: begun, at its end */
	_Atomic int	 halt;		/* the round is to end now */
	_Atomic int	 flood;		/* 429 and 503 are what we want to see */
	_Atomic uint64_t cut;		/* when the first client was cut off */
	_Atomic uint64_t back;		/* when the last was back */
	int		 wake;		/* eventfd of the speaker */
	/* of the round, written before it begins */
	unsigned	 rate, window;
	unsigned	 first, speakers;	/* publishers that have a part in it */
	uint64_t	 messages, fan, seconds;
	uint64_t	*joined;	/* of presence: when member i asked */
	struct stats	 stats[HANDS_MAX + 1];
	struct spot	 spot[];
};
extern struct shared *shared;
extern struct stats *stats;		/* of this process */

uint64_t now_ns(void);
/* Sum over all hands; cheap enough to ask often. */
uint64_t stats_sum(enum counter);
/* Counts a fault, and remembers the first in words. */
void	fault(enum counter, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
__attribute__((noreturn, format(printf, 1, 2)))
void	die(const char *fmt, ...);

/* ---- plan --------------------------------------------------------------- */

enum speaker { SPEAK_NOT, SPEAK_API, SPEAK_CLIENT };

struct plan {
	unsigned	 hands;		/* that hold clients */
	unsigned	 clients, inflight, channels;
	const char	*prefix;	/* of channels: "", "private-", "presence-" */
	bool		 subscribe;
	bool		 churn;		/* leave as soon as they are in, and again */
	bool		 comeback;	/* who is cut off comes again */
	bool		 members;	/* each is to see everybody */
	bool		 pauses;	/* note the longest silence of each */
	unsigned	 crowd;		/* the first so many are all in channel 0 */
	unsigned	 stalled;	/* % of them stop reading when told */
	unsigned	 speakers;	/* API connections; or clients */
	enum speaker	 speaker;
	unsigned	 nonce;		/* in channel names: of this run */
};
extern struct plan plan;

void	plan_name(char name[NAME_MAX_SIZE], unsigned channel);
/* Which channel client `id` is in; whether it is to stop reading. */
unsigned plan_channel(unsigned id);
bool	plan_stalls(unsigned id);

/* ---- a connection (benchmark_line.c) ------------------------------------ */

enum line_state { LINE_IDLE, LINE_CONNECTING, LINE_SECURING, LINE_OPEN };
enum line_news { LINE_UP, LINE_READABLE, LINE_LOST };

/* In a client or a caller; heard() may close it, nothing frees it. */
struct line {
	int		 fd;
	uint8_t		 state;
	bool		 waits;		/* until it is writable */
	uint32_t	 n_out, out_size;
	char		*out;		/* what the kernel did not take */
	void		*ssl;
	void		(*heard)(struct line *, enum line_news);
};

/* Where to, for all; before hands are forked. */
void	line_setup(void);
/* who: a number that spreads over source addresses. */
void	line_open(struct line *, unsigned who);
void	line_close(struct line *);
void	line_event(struct line *, unsigned events);
/* What cannot be sent is kept. */
void	line_send(struct line *, const char *p, size_t n);
/* Keeps it; line_flush() sends all that is kept. */
void	line_keep(struct line *, const char *p, size_t n);
void	line_flush(struct line *);
/* > 0: so many octets; 0: no more now; -1: it has ended. */
long	line_recv(struct line *, char *p, size_t n);
/* No more is read from it. */
void	line_stall(struct line *);
bool	line_resumed(const struct line *);

/* TLS (benchmark_tls.c); results as of recv() and send(). */
void	tls_setup(const char *host);
void	*tls_open(int fd);
void	tls_close(void *);
int	tls_handshake(void *, bool *want_write);	/* 1, 0: later, -1 */
long	tls_recv(void *, char *p, size_t n);
long	tls_send(void *, const char *p, size_t n);
bool	tls_resumed(void *);

/* ---- a client ----------------------------------------------------------- */

enum client_state {
	CLIENT_IDLE, CLIENT_DIALING, CLIENT_SHAKING, CLIENT_GREETED, CLIENT_IN,
	CLIENT_LEAVING, CLIENT_GONE
};

struct client {
	struct line	 line;		/* first: the loop knows only this */
	uint8_t		 state;
	bool		 stalls, stalled;
	uint32_t	 id, channel;
	struct tally	 tally;
	uint32_t	 n_in, in_size;
	char		*in;		/* the beginning of a frame */
	uint64_t	 when;		/* it began; or is to come again */
	uint64_t	 heard, pause;
	uint64_t	 spoke;		/* it sent something last */
	uint8_t		*members;	/* of presence: a bit for each seen */
};

/* id: number of the client in the run; channel: where it subscribes. */
void	client_init(struct client *, unsigned id, unsigned channel);
void	client_start(struct client *);
void	client_say(struct client *, unsigned opcode, const char *p, size_t n);
/* The same, sent with what follows. */
void	client_keep(struct client *, unsigned opcode, const char *p, size_t n);
void	client_subscribe(struct client *, const char *socket_id, size_t n);
void	client_in(struct client *);
/* What it waited for has come: a message, or it is back. */
void	client_pause(struct client *, uint64_t now);
void	client_leave(struct client *);
/* It was closed: code of the close frame, 1006 without one. */
void	client_lost(struct client *, unsigned code, const char *why);
/* One whole frame; false: the client is closed now. */
bool	heard_frame(struct client *, unsigned char *head, char *p, size_t n);
/* All that nothing more will come after. */
void	client_finish(struct client *);

/* ---- a process ---------------------------------------------------------- */

struct hand {
	int		 ep, timer;
	unsigned	 index, n, idle, opening, next;
	struct client	*client;
};
extern struct hand hand;

/* Does what the plan says until PHASE_END; index 0 speaks. */
void	hand_work(unsigned index);

/* Opens what it speaks by; what is due is sent in speaker_turn(). */
void	speaker_open(void);
void	speaker_turn(void);
/* At the end of a turn: it may go on. */
void	speaker_wake(void);
/* A client got a message of the only channel; with a window it counts who did. */
#define WINDOW_MAX	1024
void	speaker_heard(uint32_t number);
void	api_open(unsigned calls);
void	api_turn(void);
bool	api_ready(unsigned call);
void	api_publish(unsigned call, unsigned channel, uint64_t due);
/* Calls that have no answer yet. */
uint64_t api_waiting(void);
/* The mark and fill of a message's data: opt.size octets. */
void	mark_write(char *to, uint32_t number, uint32_t channel, uint64_t due);
bool	mark_read(const char *p, size_t n, uint32_t *number, uint32_t *channel,
	    uint64_t *due);

/* ---- the overseer ------------------------------------------------------- */

struct usage {
	double		 user, system;	/* seconds of processor */
	uint64_t	 memory;	/* octets, shared ones in parts, no files;
					 * 0: it may not be seen */
};
/* Of a process and all it descends to; how many these are. */
unsigned server_usage(unsigned pid, struct usage *, bool memory);

struct run {
	const struct scenario *scenario;
	bool		 stopped;	/* by the user, or hopeless */
	bool		 interrupted;	/* by the user */
	unsigned	 look_ms;	/* how often memory is looked at */
	uint64_t	 opened, began, ended;
	struct usage	 before, start, end, self_start, self_end;
	uint64_t	 filled;	/* memory with all clients in */
	uint64_t	 peak;
	uint64_t	 warmup, warmup_sent;	/* deliveries, messages before */
	bool		 opening_cpu;	/* processor time is that of connections */
	struct stats	*sum;		/* once it is finished */
};

void	run_open(struct run *, const struct scenario *);
/* The user wants no other one. */
bool	run_no_more(void);
/* Until all clients are in; false: not in time. */
bool	run_filled(struct run *);
void	run_measure(struct run *);
/* Publishes: what opt says of rate and window, so many messages or seconds;
 * until all is delivered. */
void	run_round(struct run *, enum book, uint64_t messages, uint64_t seconds);
/* The two halves of it. */
void	run_begin(struct run *, enum book, uint64_t messages, uint64_t seconds);
void	run_wait(struct run *);
/* All have said what they had to; all clients are in. */
bool	run_spoken(void);
bool	run_all_in(void);
/* Runs a command of the user's by sh; its exit status. */
int	run_command(struct run *, const char *command);
void	run_measured(struct run *);
/* Until cond() holds, shows what goes on meanwhile; false: ms are over, or (0)
 * nothing has happened for --wait seconds, or the user has enough. */
bool	run_until(struct run *, bool (*cond)(void), uint64_t ms);
/* Ends the hands, adds up. */
void	run_finish(struct run *);
uint64_t run_faults(const struct run *);

/* ---- what is printed ---------------------------------------------------- */

/* A report is one JSON object or a table; groups do not nest. */
void	report_open(const struct run *);
void	report_number(const char *name, double value, unsigned decimals);
void	report_text(const char *name, const char *value);
void	report_flag(const char *name, bool value);
void	report_group(const char *name);
void	report_end(void);
void	report_times(const char *name, const struct histogram *);
/* What all reports begin with. */
void	report_head(const struct run *, uint64_t messages, uint64_t deliveries,
	    enum book latency);
/* Answers of the API, by status. */
void	report_statuses(const struct run *);
/* Server, client, faults, and out with it: exit status. */
int	report_close(const struct run *);
/* A line that is written over; NULL ends it. */
void	report_progress(const char *text);

void	plan_speaking(unsigned clients, unsigned channels);
bool	run_warm(struct run *);
void	report_deliveries(const struct run *);

int	scenario_fanout(const struct scenario *);
int	scenario_many(const struct scenario *);
int	scenario_connect(const struct scenario *);
int	scenario_idle(const struct scenario *);
int	scenario_churn(const struct scenario *);
int	scenario_presence(const struct scenario *);
int	scenario_publish(const struct scenario *);
int	scenario_reload(const struct scenario *);
int	scenario_pressure(const struct scenario *);

#endif
