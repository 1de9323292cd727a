/* SPDX-License-Identifier: MIT
 *
 * peal.ini(5): the manual page of the settings, in mdoc, made of
 * tables/config.def and of Reverb's variables.
 *
 * Runs in: master.  Owns: nothing.
 */
#include "common/config_parts.h"
#include "common/util.h"

static const char head[] =
".\\\" SPDX-License-Identifier: MIT\n"
".\\\" Made by `peald --manual`; change tables/config.def or config_manual.c.\n"
".Dd November 21, 2026\n"
".Dt PEAL.INI 5\n"
".Os\n"
".Sh NAME\n"
".Nm peal.ini\n"
".Nd settings of peald\n"
".Sh DESCRIPTION\n"
".Xr peald 8\n"
"reads its settings from the file given by\n"
".Fl c ,\n"
"else from\n"
".Pa /etc/peal/peal.ini\n"
"(below the prefix it was configured with) if that is there.\n"
"A setting is taken from the command line, else from the environment, else\n"
"from the file, else it has its default.\n"
"A mistake is refused with file, line, key and what is allowed; so are keys and\n"
"sections that do not exist, keys that stand twice, and values that do not go\n"
"together.\n"
".Ql peald --check\n"
"tells whether a file is good,\n"
".Ql peald --dump-config\n"
"prints what is in force; neither opens a socket.\n"
".Ss The file\n"
"A line is a section in brackets, a key with its value, or a comment, which\n"
"begins with\n"
".Ql #\n"
"or\n"
".Ql \\&; .\n"
"A comment may also follow a value behind a space.\n"
"Indentation says nothing; a line may be of any length.\n"
".Bd -literal -offset indent\n"
"[listen]\n"
"address = 0.0.0.0:8080\n"
"\n"
"[app chat]                  # any number of these\n"
"id = 1001\n"
"key = app-key\n"
"secret = ${CHAT_SECRET}\n"
"allowed_origins = example.com, *.example.com\n"
".Ed\n"
".Bl -bullet\n"
".It\n"
"A value with\n"
".Ql #\n"
"or\n"
".Ql \\&;\n"
"behind a space, or with spaces at its ends, stands in double quotes; in these,\n"
".Ql \\e\\(dq\n"
"is a quote and\n"
".Ql \\e\\e\n"
"a backslash.\n"
".It\n"
".Ql ${NAME}\n"
"is replaced by the variable from the environment or from the\n"
".Fl -env-file ,\n"
".Ql ${NAME:-default}\n"
"by the default if the variable is not set or empty.\n"
"A variable that is not set and has no default is a mistake.\n"
".Ql $${\n"
"stands for\n"
".Ql ${ .\n"
".It\n"
"A list is written with commas, or by giving the key again.\n"
".It\n"
"Yes and no may also be on and off, true and false, 1 and 0.\n"
".It\n"
"Sizes are octets, or have a unit:\n"
".Cm k , m , g\n"
"(of 1024).\n"
"Times are seconds, or have a unit:\n"
".Cm ms , s , m , h .\n"
".El\n"
".Ss When a change is in force\n"
".Ql pealctl reload\n"
"or\n"
".Dv SIGHUP\n"
"put changes in force, and no client is disconnected.\n"
"A key marked live is given to the running processes.\n"
"For one marked reload they are replaced, and hand their connections over;\n"
"only TLS connections are then told to come back, spread over\n"
".Ic [peal] reload_drain .\n"
".Sh SECTIONS\n";

static const char variables_head[] =
".Sh ENVIRONMENT\n"
"A site that ran Laravel Reverb keeps its variables.\n"
"They are taken from the environment and, where that does not set them, from\n"
"the file given by\n"
".Fl -env-file ,\n"
"which is read as Laravel reads it and never put into the environment.\n"
".Ql null\n"
"and\n"
".Ql empty\n"
"leave a setting as it is.\n"
"A variable goes before the file.\n"
".Pp\n"
"The variables of the app belong to the app of the file that has the id\n"
".Ev REVERB_APP_ID ;\n"
"if none has it, to a section\n"
".Ql [app reverb] ,\n"
"which is made if it is not there.\n"
"Without\n"
".Ev REVERB_APP_ID ,\n"
"they belong to the only app of the file.\n"
".Bl -tag -width Ds\n"
".It Ev REVERB_SERVER_HOST , REVERB_SERVER_PORT\n"
"Stand for all addresses of the first\n"
".Ql [listen] ,\n"
"as\n"
".Fl -host\n"
"and\n"
".Fl -port\n"
"do.\n"
".El\n"
".Pp\n"
"The others set one key each:\n"
".Pp\n"
".Bl -tag -width REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM -compact\n";

static const char variables_tail[] =
".El\n"
".Pp\n"
"The\n"
".Ev REDIS_\n"
"variables count only where hosts are joined, by\n"
".Ev REVERB_SCALING_ENABLED\n"
"or by\n"
".Ic driver .\n"
"What\n"
".Ev REDIS_URL\n"
"names goes before the others;\n"
".Ev REDIS_HOST\n"
"may begin with\n"
".Ql tls:// ,\n"
"or be the path of a unix socket.\n"
".Ev REDIS_TIMEOUT\n"
"is when Reverb gives up a broker that it cannot reach, and ends.\n"
"Peal never gives up: it serves its own clients and tries again, so the variable\n"
"has no effect.\n"
".Ev REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM\n"
"is all or members, and anything else is none.\n"
".Ev REVERB_APP_MAX_MESSAGE_SIZE\n"
"of 0 is the largest size there is.\n";

/* Where a default is not Reverb's. */
static const struct difference {
	const char	*section, *key, *text;
} differences[] = {
	{ "app", "max_channels", "Reverb has no limit." },
	{ "app", "max_channel_name",
	    "Reverb takes any name; Pusher's limit is 200." },
	{ "app", "max_event_name", "Reverb has no limit; Pusher: 200." },
	{ "app", "max_event_channels", "Reverb has no limit; Pusher: 100." },
	{ "app", "max_batch", "Reverb has no limit; Pusher: 10." },
	{ "app", "max_presence_members", "Reverb has no limit; Pusher: 100." },
	{ "app", "max_presence_member", "Reverb has no limit; Pusher: 1k." },
	{ "http", "timestamp_window",
	    "Reverb does not look at the time, so a request that was seen can "
	    "be sent again." },
	{ "http", "header_timeout", "Reverb waits for ever." },
	{ "http", "body_timeout", "Reverb waits for ever." },
	{ "http", "max_header_size",
	    "Reverb limits only the whole request." },
	{ "http", "max_headers", "Reverb has no limit." },
	{ "websocket", "max_backlog",
	    "Reverb keeps any amount for a client that does not read." },
	{ "websocket", "backlog_timeout", "Reverb waits for ever." },
	{ "websocket", "compression", "Reverb does not compress." },
	{ "router", "cache_ttl",
	    "Reverb keeps the last event as long as somebody is subscribed." },
};

static const char differences_head[] =
".Sh DIFFERENCES FROM REVERB\n"
"What Reverb has a setting for has the same default here: origins\n"
".Cm * ,\n"
"10000 octets a message and a request, client events of members, pings after\n"
"60 seconds, 30 seconds told to clients, no limit of connections and of rate.\n"
"These defaults differ:\n"
".Bl -tag -width Ds\n";

static const char tail[] =
".El\n"
".Sh FILES\n"
".Bl -tag -width Ds\n"
".It Pa /etc/peal/peal.ini\n"
"Read if there is no\n"
".Fl c .\n"
".El\n"
".Sh EXAMPLES\n"
"TLS beside plain connections, and a socket for a proxy on the same host:\n"
".Bd -literal -offset indent\n"
"[listen]\n"
"address = 127.0.0.1:8080\n"
"address = unix:/run/peal/web.sock\n"
"\n"
"[listen tls]\n"
"address = 0.0.0.0:8443, [::]:8443\n"
"certificate = /etc/ssl/example.com.pem\n"
"certificate_key = /etc/ssl/private/example.com.key\n"
".Ed\n"
".Sh SEE ALSO\n"
".Xr pealctl 1 ,\n"
".Xr peald 8\n";

/* A value that ends in punctuation would be taken for such. */
static void
show_heading(const struct config_key *k, struct buf *out)
{
	size_t n = strlen(k->def);
	bool ends = n == 0 || strchr(".,:;)]?!", k->def[n - 1]) != NULL;

	buf_fmt(out, ".It Ic %s No = %s%s\n", k->name, k->def,
	    ends ? "\\&" : "");
}

static void
show_key(const struct config_key *k, struct buf *out)
{
	struct buf text = { 0 };

	show_heading(k, out);
	config_wrap(out, "", k->help, true);
	config_kind(k, &text);
	buf_fmt(out, ".Pq %s\n", buf_cstr(&text));
	buf_done(&text);
}

static void
show_section(const struct config_section *s, struct buf *out)
{
	const struct config_key *k;

	buf_fmt(out, ".Ss Section %s%s\n", s->name, !s->many ? "" :
	    strcmp(s->name, "listen") == 0 ? ", also with a NAME" : " NAME");
	config_wrap(out, "", s->help, true);
	buf_str(out, ".Bl -tag -width Ds\n");
	for (k = s->keys; k->name != NULL; k++)
		show_key(k, out);
	buf_str(out, ".El\n");
}

static void
show_variables(struct buf *out)
{
	const char *name, *section, *key;
	size_t i;

	buf_str(out, variables_head);
	for (i = 0; config_reverb_variable(i, &name, &section, &key); i++) {
		buf_fmt(out, ".It Ev %s\n", name);
		if (key != NULL)
			buf_fmt(out, ".Ql [%s]\n.Ic %s\n", section, key);
		else
			buf_str(out, "no effect\n");
	}
	buf_str(out, variables_tail);
}

static void
show_differences(struct buf *out)
{
	const struct config_section *s;
	const struct difference *d;
	const struct config_key *k;

	buf_str(out, differences_head);
	for (d = differences; d < differences + NELEM(differences); d++) {
		s = config_section_find(bytes_str(d->section));
		k = config_key_find(s, bytes_str(d->key));
		show_heading(k, out);
		config_wrap(out, "", d->text, true);
	}
}

void
config_manual(struct buf *out)
{
	const struct config_section *s;

	buf_str(out, head);
	for (s = config_sections(); s->name != NULL; s++)
		show_section(s, out);
	show_variables(out);
	show_differences(out);
	buf_str(out, tail);
}
