/* SPDX-License-Identifier: MIT
 *
 * What the files config*.c share: the settings of tables/config.def as data
 * that can be walked, and the draft that a load fills.
 *
 * Nobody outside of common/config*.c and its tests includes this.
 *
 * Runs in: as config.h.  Owns: a draft owns its config until the load is done.
 */
#ifndef PEAL_CONFIG_PARTS_H
#define PEAL_CONFIG_PARTS_H

#include "common/buf.h"
#include "common/config.h"
#include "common/config_names.h"

/* ---- the table (config_table.c) ------------------------------------------ */

enum config_type {
	CONFIG_TEXT, CONFIG_SECRET, CONFIG_STRINGS, CONFIG_SECRETS, CONFIG_FLAG,
	CONFIG_COUNT, CONFIG_SIZE, CONFIG_TIME, CONFIG_CHOICE
};

struct config_key {
	const char	*name;		/* NULL ends the list */
	enum config_type type;
	size_t		 at;		/* offset in the section's struct */
	const char	*def;		/* as in the file */
	uint64_t	 min, max;
	const char	*words;		/* "a|b|c" */
	bool		 live;
	const char	*help;
};

struct config_section {
	const char	*name;		/* NULL ends the list */
	bool		 many;		/* [name LABEL], an array */
	size_t		 size;		/* of one struct */
	size_t		 at, at_n;	/* offsets in struct config */
	const struct config_key *keys;
	size_t		 n_keys;
	const char	*help;
};

/* All sections in the order of the table. */
const struct config_section *config_sections(void);
/* NULL if there is none. */
const struct config_section *config_section_find(struct bytes name);
const struct config_key *config_key_find(const struct config_section *,
	    struct bytes name);

/* How many of this section a config holds, and the i-th one. */
size_t	config_count(const struct config *, const struct config_section *);
void	*config_at(const struct config *, const struct config_section *,
	    size_t i);
/* Where a section's struct keeps its label. */
char	**config_label(void *section_struct);
/* One more with all defaults; only of a section of which there are many. */
void	*config_append(struct config *, const struct config_section *,
	    struct bytes label);
/* A config with all defaults and neither [listen] nor [app]. */
struct config *config_new(void);

/* ---- values (config_value.c) --------------------------------------------- */

/*
 * Reads text as the file has it into the section's struct.  add: to what a
 * list holds already, instead of in its place.  -1 with what is wrong and what
 * is allowed appended to why.
 */
int	config_value_set(const struct config_key *, void *section_struct,
	    struct bytes text, bool add, struct buf *why);
/* The value as one may write it behind "key = "; lists with commas. */
void	config_value_show(const struct config_key *, const void *section_struct,
	    struct buf *);
bool	config_value_equal(const struct config_key *, const void *,
	    const void *);
void	config_value_free(const struct config_key *, void *section_struct);
/* "0 to 100000000 (0 is no limit)", "yes and no", "none, members and all". */
void	config_value_allowed(const struct config_key *, struct buf *);
/* The range of a number alone, nothing for other types. */
void	config_value_range(const struct config_key *, struct buf *);

/* ---- addresses (config_address.c) ---------------------------------------- */

struct config_address {
	bool		 local;		/* unix:/path */
	struct bytes	 host;		/* path if local; empty: all */
	bool		 v6;		/* host is an IPv6 literal */
	uint16_t	 port;
};

/* Borrows from the text.  -1 with *why. */
int	config_address_parse(struct bytes text, struct config_address *,
	    const char **why);
/* HOST:PORT, [IPv6]:PORT, :PORT or unix:/path. */
void	config_address_show(const struct config_address *, struct buf *);
/* A host alone, as --host and REVERB_SERVER_HOST take it. */
int	config_host_parse(struct bytes text, struct config_address *,
	    const char **why);

/* ---- addresses of brokers (config_url.c) --------------------------------- */

struct config_url {
	bool		 local;		/* host is the path of a unix socket */
	bool		 tls, has_database;
	struct buf	 host;
	uint64_t	 port;		/* 0: not named */
	uint64_t	 database;
	struct buf	 username, password;	/* empty: not named */
};

/* -1 with *why, which shows nothing of the text; also then call
 * config_url_done(). */
int	config_url_parse(struct bytes text, struct config_url *,
	    const char **why);
void	config_url_done(struct config_url *);

/* ---- environment (config_env.c) ------------------------------------------ */

/* Where a setting came from: "peal.ini" and 12; "environment" and 0. */
struct config_place {
	const char	*name;		/* NULL: the command line, a default */
	unsigned	 line;
};

struct config_variable {
	char		*name, *value;
	struct config_place place;
};

/* The environment, and behind it what an --env-file says. */
struct config_env {
	char *const	*environ_;	/* may be NULL */
	struct config_variable *at;	/* of the file */
	size_t		 n;
};

/* The lines of an env file, as Laravel reads it.  file: its name, which must
 * outlive the env.  -1 with a whole complaint in why. */
int	config_env_parse(struct config_env *, const char *file,
	    struct bytes text, struct buf *why);
/* The value of a variable, NULL if nobody sets it; place may be NULL. */
const char *config_env_get(const struct config_env *, struct bytes name,
	    struct config_place *);
void	config_env_done(struct config_env *);
/* Replaces ${NAME} and ${NAME:-default}; $${ stands for ${.  -1 with why. */
int	config_env_expand(const struct config_env *, struct bytes text,
	    struct buf *out, struct buf *why);

/* ---- a load under way (config_draft.c) ----------------------------------- */

/* A section that was given somewhere, and where its keys were. */
struct config_mark {
	const struct config_section *section;
	size_t		 index;
	struct config_place place;	/* of its heading */
	struct config_place *keys;	/* by number of the key */
};

/* Those of one section, by number and by label. */
struct config_marks {
	struct config_mark **at;
	size_t		 n;
	struct config_names by_label;
};

/* What an application is called, and its number.  Filled by the checks. */
struct config_apps {
	struct config_names by_id, by_key, by_label;
};

struct config_draft {
	struct config	*config;
	const char	*file;		/* peal.ini; NULL: there is none */
	struct config_env env;
	struct config_marks *marks;	/* by number of the section */
	struct config_apps apps;
	struct buf	 why;		/* the first complaint */
};

/* Sections of which there is one are marked from the start. */
void	config_draft_init(struct config_draft *);
/* Frees all, and the config, if nobody has taken it out (NULL). */
void	config_draft_done(struct config_draft *);
/* The section with this label (empty: without), NULL if not given. */
struct config_mark *config_draft_find(struct config_draft *,
	    const char *section, struct bytes label);
/* The i-th one of this section, NULL if there are fewer. */
struct config_mark *config_draft_nth(struct config_draft *,
	    const char *section, size_t i);
/* Adds one; the label must be a new one. */
struct config_mark *config_draft_add(struct config_draft *,
	    const struct config_section *, struct bytes label,
	    struct config_place);
/*
 * Sets a key in place of what it was (add: to a list, too).  subject names it
 * in a complaint; NULL is "[section label] key".
 */
int	config_draft_set(struct config_draft *, struct config_mark *,
	    const char *key, struct bytes value, bool add, struct config_place,
	    const char *subject);
/* Where this key was set, or its section's heading. */
struct config_place config_draft_place(const struct config_mark *,
	    const char *key);
/* "[app chat] key", without the key if that is NULL. */
void	config_draft_subject(const struct config_draft *,
	    const struct config_mark *, const char *key, struct buf *);
/* Writes "NAME:12: " into the complaint, then the text; returns -1.  Only the
 * first complaint is kept. */
int	config_draft_refuse(struct config_draft *, struct config_place,
	    const char *, ...) __attribute__((format(printf, 3, 4)));
/* The same with "[app chat] key: " in front, at the place of the key. */
int	config_draft_refuse_key(struct config_draft *,
	    const struct config_mark *, const char *key, const char *, ...)
	    __attribute__((format(printf, 4, 5)));

/* ---- documents (config_doc.c) -------------------------------------------- */

/* Text in lines of 78 columns with a prefix each; sentences: each begins a
 * line, as mdoc likes it. */
void	config_wrap(struct buf *, const char *prefix, const char *text,
	    bool sentences);
/* "live; yes | no", "reload; time, 1s to 10m": what one may write. */
void	config_kind(const struct config_key *, struct buf *);

/* ---- a load and its steps, in this order --------------------------------- */

/* All of them on a fresh draft whose env is set; ini is the text of src->file,
 * empty if there is none. */
int	config_draft_load(struct config_draft *, const struct config_source *,
	    struct bytes ini);
/* An INI file in memory.  file: its name, must outlive the draft. */
int	config_ini_parse(struct config_draft *, const char *file, struct bytes);
/* Variables that Reverb knows, then the command line. */
int	config_reverb_apply(struct config_draft *,
	    const struct config_source *);
/* The addresses of [metrics] and [page] become [listen metrics] and [listen page],
 * and are gone (config_seen.c). */
int	config_own_listens(struct config_draft *);
/* Do the values fit together? */
int	config_check(struct config_draft *);
/* Its part in config_proxy.c: proxies in front of Peal. */
int	config_check_proxies(struct config_draft *);

/* And in config_rooms.c: front doors of rooms. */
int	config_check_rooms(struct config_draft *);
/* In config_seen.c: [metrics] and [page]; in config_webhook.c: [courier] and
 * [webhook]. */
int	config_check_seen(struct config_draft *);
int	config_check_webhooks(struct config_draft *);
/* `app` of a section: a label or an id, or NULL where there is one application.
 * Becomes the id, by which every process knows it. */
int	config_check_app(struct config_draft *, const struct config_mark *,
	    char **app);
/* The application that a section's `app` has become. */
const struct config_app *config_app_of(struct config_draft *, const char *id);
/* allowed_origins of a section. */
int	config_check_origins(struct config_draft *, const struct config_mark *,
	    const struct config_strings *);

/* [backplane] (config_backplane.c): a url in force becomes host, port and so on
 * and is gone; and do its values fit together? */
int	config_backplane_expand(struct config_draft *);
int	config_backplane_check(struct config_draft *);

/* The i-th variable of Reverb and what it sets ("app", "key"); section and key
 * are NULL for one without effect.  False behind the last. */
bool	config_reverb_variable(size_t i, const char **name,
	    const char **section, const char **key);

/* May this octet stand in the name of a host or in a section's label? */
bool	config_name_octet(char);
/* The name that a wrong one was probably meant to be, or NULL. */
const char *config_nearest(struct bytes wrong, const char *const *names,
	    size_t n);

#endif
