/* SPDX-License-Identifier: MIT
 *
 * What is said on a new connection, see redis_sign.h.
 *
 * Runs in: the router.
 */
#include "backplane/redis_sign.h"

#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "backplane/redis_link.h"
#include "backplane/redis_reply.h"
#include "common/log.h"
#include "common/util.h"

#define FEW	8	/* words of the usual command */

/* ---- commands ------------------------------------------------------------ */

void
redis_command(struct buf *out, size_t argc, const struct bytes *argv)
{
	const char *few_at[FEW], **at = few_at;
	size_t few_size[FEW] = { 0 }, *size = few_size;
	char *wire = NULL;
	int length;

	if (argc > FEW) {
		at = xreallocarray(NULL, argc, sizeof(*at));
		size = xreallocarray(NULL, argc, sizeof(*size));
	}
	for (size_t i = 0; i < argc; i++) {
		at[i] = argv[i].p;
		size[i] = argv[i].n;
	}
	length = redisFormatCommandArgv(&wire, (int)argc, at, size);
	if (length < 0)
		fatal("no memory for a command");
	buf_add(out, wire, (size_t)length);
	redisFreeCommand(wire);
	if (argc > FEW) {
		free(at);
		free(size);
	}
}

/* ---- what is answered ---------------------------------------------------- */

struct redis_step {
	const char	*word;
	/* NULL: well; else why not, to which the broker's text is added. */
	const char	*(*judge)(struct redis_signing *, const redisReply *);
};

static const char *
judge_auth(struct redis_signing *s, const redisReply *reply)
{
	(void)s;
	return redis_reply_is(reply, "OK") ? NULL : "sign-in refused: ";
}

static const char *
judge_select(struct redis_signing *s, const redisReply *reply)
{
	(void)s;
	return redis_reply_is(reply, "OK") ? NULL : "database refused: ";
}

static const char *
judge_name(struct redis_signing *s, const redisReply *reply)
{
	(void)s, (void)reply;
	return NULL;	/* a nicety */
}

static bool
not_permitted(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ERROR &&
	    bytes_starts(redis_reply_text(reply), B("NOPERM"));
}

static const char *
judge_role(struct redis_signing *s, const redisReply *reply)
{
	(void)s;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
	    redis_reply_is(reply->element[0], "master"))
		return NULL;
	if (not_permitted(reply))
		return NULL;
	return reply->type == REDIS_REPLY_ERROR ? "" : "it is no master";
}

static const char *
judge_ping(struct redis_signing *s, const redisReply *reply)
{
	s->mute = not_permitted(reply);
	return s->mute || redis_reply_is(reply, "PONG") ? NULL : "";
}

static const struct redis_step
	step_auth = { "AUTH", judge_auth },
	step_select = { "SELECT", judge_select },
	step_name = { "CLIENT", judge_name },
	step_role = { "ROLE", judge_role },
	step_ping = { "PING", judge_ping };

int
redis_signing_take(struct redis_signing *s, const struct redisReply *reply,
    char *why, size_t size)
{
	const char *bad = s->step[s->at]->judge(s, reply);

	if (bad != NULL) {
		snprintf(why, size, "%s%.200s", bad,
		    reply->type == REDIS_REPLY_ERROR ? reply->str :
		    bad[0] == '\0' ? "an answer that does not fit" : "");
		return -1;
	}
	return ++s->at == s->n;
}

/* ---- what is said -------------------------------------------------------- */

static void
say(struct redis_signing *s, const struct redis_step *step, struct buf *out,
    const char *a, const char *b)
{
	struct bytes argv[3];
	size_t n = 0;

	argv[n++] = bytes_str(step->word);
	if (a != NULL)
		argv[n++] = bytes_str(a);
	if (b != NULL)
		argv[n++] = bytes_str(b);
	s->step[s->n++] = step;
	redis_command(out, n, argv);
}

static bool
given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

void
redis_signing_say(struct redis_signing *s, const struct redis_sign *sign,
    struct buf *out)
{
	const char *password = sign->password != NULL ? sign->password : "";
	char number[24];

	*s = (struct redis_signing){ .n = 0 };
	if (given(sign->user))
		say(s, &step_auth, out, sign->user, password);
	else if (given(password))
		say(s, &step_auth, out, password, NULL);
	if (sign->database != 0) {
		snprintf(number, sizeof(number), "%llu",
		    (unsigned long long)sign->database);
		say(s, &step_select, out, number, NULL);
	}
	if (given(sign->name))
		say(s, &step_name, out, "SETNAME", sign->name);
	if (sign->master)
		say(s, &step_role, out, NULL, NULL);
	say(s, &step_ping, out, NULL, NULL);
}
