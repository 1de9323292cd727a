/* SPDX-License-Identifier: MIT
 *
 * All that the master must remember when it becomes another binary (again.h):
 * the records of tables/state.def, packed and unpacked.  Nothing in here touches
 * the running master; again.c fills a struct state from it and makes one of a
 * struct state.
 *
 * Who writes it may be another release, so it is read as if a stranger had
 * written it: no length is trusted, and what does not fit is refused.
 *
 * Runs in: master, preflight.  Owns: texts, octets and lists; not descriptors.
 * Dies: state_done(), next_done().
 */
#ifndef PEAL_STATE_H
#define PEAL_STATE_H

#include "common/buf.h"
#include "common/config.h"
#include "master/certificate.h"

#define RECORD(name)		struct name {
#define NUM(key, field)		uint64_t field;
#define DESCRIPTOR(key, field)	int field;
#define TEXT(key, field)	char *field;
#define OCTETS(key, field)	struct buf field;
#define MANY(key, field, of)	struct of *field; size_t n_##field;
#define END			};
#include "tables/state.def"

#define STATE_MAX	(256u << 20)	/* octets of a packed state */

/* All descriptors -1, all else 0. */
void	state_init(struct state *);
void	state_pack(const struct state *, struct buf *);
/* -1 with why: nothing was made. */
int	state_unpack(struct state *, struct bytes, const char **why);
void	state_done(struct state *);
/* Calls for each descriptor that is there. */
void	state_each_descriptor(const struct state *,
	    void (*)(int fd, void *ctx), void *ctx);

/* Does it make sense with so many [listen] sections?  -1 with why. */
int	state_check(const struct state *, size_t n_listen, const char **why);

/* One more in a list of a state, zeroed, descriptors -1. */
struct state_address *state_add_address(struct state *);
struct state_socket *state_add_socket(struct state_address *);
struct state_slot *state_add_slot(struct state *);
struct state_child *state_add_child(struct state *);
struct state_usage *state_add_usage(struct state_child *);
struct state_reason *state_add_reason(struct state *);
struct state_way *state_add_way(struct state *);
struct state_reload *state_add_reload(struct state *);
struct state_child *state_add_courier(struct state *);
struct state_hook *state_add_hook(struct state *);
struct state_caller *state_add_caller(struct state *);

/* What preflight has read. */
void	next_init(struct next *);
void	next_pack(const struct next *, struct buf *);
int	next_unpack(struct next *, struct bytes, const char **why);
void	next_done(struct next *);

/* Settings with their certificates, into records and out of them: what is in
 * force, and what preflight brings.  state_settings_unpack() makes both, or
 * returns -1 with *why (caller frees). */
void	state_settings_pack(const struct config *, const struct certificate *,
	    struct buf *settings, struct state_certificate **, size_t *n);
int	state_settings_unpack(struct bytes settings,
	    const struct state_certificate *, size_t n, struct config **,
	    struct certificate **, char **why);

#endif
