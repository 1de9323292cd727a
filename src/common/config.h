/* SPDX-License-Identifier: MIT
 *
 * The settings of tables/config.def as C, and all ways in and out of them: the
 * INI file, the environment, Laravel's .env file, the command line, the packed
 * form that the master sends to its children, --dump-config.
 *
 * Order of precedence: command line, environment (--env-file fills what the
 * environment leaves open), file, default.  A mistake is refused with file,
 * line, key and what is allowed.
 *
 * Runs in: master (loads), every process (config_unpack).  Owns: all strings.
 * Dies: config_free().
 */
#ifndef PEAL_CONFIG_H
#define PEAL_CONFIG_H

#include "common/buf.h"

struct config_strings {
	char	**at;
	size_t	  n;
};

#define SECTION(name, how, help)	struct config_##name { char *label;
#define TEXT(name, def, when, help)	char *name;
#define SECRET(name, def, when, help)	char *name;
#define STRINGS(name, def, when, help)	struct config_strings name;
#define SECRETS(name, when, help)	struct config_strings name;
#define FLAG(name, def, when, help)	bool name;
#define COUNT(name, def, min, max, when, help)	uint64_t name;
#define SIZE(name, def, min, max, when, help)	uint64_t name;
#define TIME(name, def, min, max, when, help)	uint64_t name;
#define CHOICE(name, def, words, when, help)	int name;
#define END	};
#include "tables/config.def"

/* Index of the word of a CHOICE, as config.def lists them. */
enum { JAIL_OFF, JAIL_ON, JAIL_LOG };
enum { TLS_1_2, TLS_1_3 };
enum { SERVE_CLIENTS, SERVE_METRICS, SERVE_PAGE };
enum { BACKPLANE_NONE, BACKPLANE_REDIS };
enum { MAX_OF_HOST, MAX_OF_CLUSTER };
enum { WIRE_ENVELOPE, WIRE_RAW };
enum { CLIENT_EVENTS_NONE, CLIENT_EVENTS_MEMBERS, CLIENT_EVENTS_ALL };

struct config {
	struct config_peal	 peal;
	struct config_http	 http;
	struct config_websocket	 websocket;
	struct config_router	 router;
	struct config_metrics	 metrics;
	struct config_page	 page;
	struct config_courier	 courier;
	struct config_backplane	 backplane;
	struct config_listen	*listen;	/* at least one */
	size_t			 n_listen;
	struct config_app	*app;		/* at least one */
	size_t			 n_app;
	struct config_rooms	*rooms;
	size_t			 n_rooms;
	struct config_webhook	*webhook;
	size_t			 n_webhook;
	/* Only of the command line: */
	bool			 debug;		/* --debug: Reverb's stream */
};

/* Where settings come from; NULL members are not given. */
struct config_source {
	const char	*file;		/* -c */
	const char	*env_file;	/* --env-file */
	char *const	*environ_;	/* environment, usually environ */
	const char	*host, *port, *path, *hostname, *workers;
	bool		 debug;
	bool		 unchecked;	/* each value, not how they fit together:
					 * enough for config_control_path() */
};

/* The INI file that a load reads: -c, else the default one if it is there, else
 * NULL. */
const char *config_file(const struct config_source *);
/* The default one, if it is there but not for this user, who has an .env to start
 * with: it is that of the service that root starts.  Else NULL. */
const char *config_file_left_out(const struct config_source *);
/* NULL with *why (caller frees): one line, "FILE:12: [app chat] secrt: unknown
 * key; known are ...".  Checks each value and that they fit together. */
struct config *config_load(const struct config_source *, char **why);
void	config_free(struct config *);

/* Which settings a role gets: no application secrets for the router, no
 * broker password for workers, of all secrets those of applications and webhooks
 * for the courier. */
enum config_view { CONFIG_ALL, CONFIG_WORKER, CONFIG_ROUTER, CONFIG_COURIER };
void	config_pack(const struct config *, enum config_view, struct buf *);
struct config *config_unpack(struct bytes, char **why);

/* INI text of all effective settings; secrets as "***" unless with_secrets. */
void	config_dump(const struct config *, bool with_secrets, struct buf *);
/* etc/peal.ini with every key commented; and peal.ini.5 (mdoc). */
void	config_template(struct buf *);
void	config_manual(struct buf *);

/* Names of the settings that differ: "app.chat.secret, peal.workers".  *reload
 * is set if one of them is not LIVE.  Empty when equal. */
void	config_diff(const struct config *, const struct config *, struct buf *,
	    bool *reload);

/* A line of JSON for each: {"setting":"app.chat.max_connections","live":true,
 * "now":"0","file":"10"}; null for a section that is not there, *** for secrets. */
void	config_diff_rows(const struct config *now, const struct config *file,
	    struct buf *);

/* The [rooms] section that an application's channel is a room of, or NULL; what
 * stands behind its `channel` is the room's ID.  app is the application's id,
 * and so is `app` of a section that was loaded. */
const struct config_rooms *config_rooms_of(const struct config *,
	    struct bytes app, struct bytes channel);

/* A [webhook] url in parts, borrowed from the text.  -1 with *why, which shows
 * nothing of it (config_target.c). */
struct config_target {
	bool		 tls;
	struct bytes	 host;		/* without brackets */
	bool		 literal;	/* host is an IP address */
	uint16_t	 port;
	struct bytes	 path;		/* and query; may be empty */
};
int	config_target_parse(struct bytes url, struct config_target *,
	    const char **why);

#define CONFIG_CA_FILE_MAX	(16u << 20)	/* octets of [courier] ca_file */

/* Path of the control socket in force; caller frees. */
char	*config_control_path(const struct config *);

#endif
