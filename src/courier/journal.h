/* SPDX-License-Identifier: MIT
 *
 * The courier's journal: records in order, in two files that the master opened
 * and keeps, so that they outlive a courier.
 *
 * One file is in force, records are put behind its end.  When it has grown too
 * long, all that still counts is told anew into the other one (journal_compact()),
 * which is in force from the moment that the mark behind it is written; then the
 * first is emptied.  So at any time one of the files is whole.
 *
 *	file	head, records that tell all, mark, records of what changed
 *	head	8 octets "PEALHOOK", 8 generation, 4 version, 4 check
 *	record	4 length, 4 check, octets; the mark has none
 *
 * A disk may be full of what does not count any more: so the file that is not in
 * force holds room for a compaction of what is small (JOURNAL_RESERVE).
 *
 * Numbers are little-endian.  A check is keyed with the file's generation and the
 * place, so nothing that an earlier use of the file has left is taken for a
 * record.  Reading ends at the first record that is not whole: what was being
 * written when somebody died was not acknowledged yet.
 *
 * Without files (fd -1) nothing is kept, and all else works.
 *
 * Runs in: the courier.  Owned by: the courier.  Owns: both descriptors.  Dies:
 * journal_done().
 */
#ifndef PEAL_JOURNAL_H
#define PEAL_JOURNAL_H

#include "common/buf.h"

#define JOURNAL_RECORD_MAX	(256u << 20)	/* octets of one */
#define JOURNAL_SMALL		(4u << 20)	/* shorter ones stay as they are */
#define JOURNAL_RESERVE		(128u << 10)	/* octets of the disk that the other
						   file of a durable one holds */

struct journal {
	int		 fd[2];
	bool		 durable;	/* what is written must reach the disk */
	bool		 broken;	/* the last write did not succeed */
	bool		 unsafe;	/* what is written may not be on the disk,
					   and will not be */
	unsigned	 active;	/* index of the file in force */
	uint64_t	 generation;	/* of it; 0: it is not begun */
	uint64_t	 end;		/* octets of it that are good */
	uint64_t	 told;		/* octets up to the mark */
	uint64_t	 retry;		/* no compaction below this length */
	struct buf	 waiting;	/* records that are not written yet */
	bool		 telling;	/* inside journal_compact() */
	bool		 lost;		/* and it does not succeed */
};

void	journal_init(struct journal *);
void	journal_done(struct journal *);

/* One of the files; takes the descriptor.  index is 0 or 1. */
void	journal_file(struct journal *, unsigned index, int fd, bool durable);

/* Reads the file in force: take() for each record, in order.  Where no file is
 * good both are begun anew; false then, and if there are none.  If that is not
 * possible (logged once) nothing can be written but by journal_compact(). */
bool	journal_open(struct journal *, void (*take)(void *ctx, struct bytes),
	    void *ctx);

/* One record behind the others; it is written with journal_write(). */
void	journal_add(struct journal *, struct bytes record);

/* Writes all that waits.  -1: it could not, and waits on (logged once), or the
 * journal could not be begun.  Once a file could not be brought to the disk, it is
 * -1 until journal_compact() has told all into the other one. */
int	journal_write(struct journal *);

/* Is it time to call journal_compact()?  After all is written. */
bool	journal_long(const struct journal *);
/* tell() says with journal_add() all that counts.  -1: the other file could not
 * be written, all is as before. */
int	journal_compact(struct journal *, void (*tell)(void *ctx), void *ctx);

#endif
