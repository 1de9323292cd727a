/* SPDX-License-Identifier: MIT
 *
 * Pusher protocol 7: signing in.  A user is who the application's signature
 * says; a connection is one user for its life.
 *
 * A wrong signature ends the connection (4009), as it does at Pusher: the page
 * believes itself signed in, and pusher-js would wait for ever.  Other mistakes
 * are answered on the living connection.
 *
 * Runs in: workers.
 */
#include <stdlib.h>

#include "common/util.h"
#include "front/pusher.h"
#include "worker/app.h"
#include "worker/auth.h"

/* A request to sign in. */
struct wish {
	struct bytes	 auth, user_data;
	struct bytes	 id;
	struct json	 watchlist;
};

enum refusal { ALLOWED, SIGNATURE, OTHER_USER, USER_DATA, SIZE };

static const struct {
	unsigned	 code;
	struct bytes	 words;
} refusals[] = {
[OTHER_USER]	= { 4009, BYTES("Connection is signed in as another user") },
[USER_DATA]	= { 4009, BYTES("user_data needs an id: a text of 1 to 128 "
		    "octets") },
[SIZE]		= { 4009, BYTES("user_data is too large") },
};

static int
read_wish(const struct json *data, struct wish *w)
{
	static struct buf auth_room, data_room;
	struct json auth, user_data;
	const struct json_want wants[] = {
		{ B("auth"), &auth },
		{ B("user_data"), &user_data },
	};

	memset(w, 0, sizeof(*w));
	if (json_pick(data, wants, NELEM(wants)) != 0 ||
	    auth.type != JSON_STRING || user_data.type != JSON_STRING)
		return -1;
	buf_reuse(&auth_room);
	w->auth = json_text(&auth, &auth_room);
	buf_reuse(&data_room);
	w->user_data = json_text(&user_data, &data_room);
	return 0;
}

/* The id, and the list of those it watches. */
static enum refusal
read_user(const struct client *c, struct wish *w)
{
	static struct buf room;
	struct json object, id;
	const struct json_want wants[] = {
		{ B("id"), &id },
		{ B("watchlist"), &w->watchlist },
	};
	const char *why;

	if (json_parse(w->user_data, &object, &why) != 0 ||
	    json_pick(&object, wants, NELEM(wants)) != 0 ||
	    id.type != JSON_STRING)
		return USER_DATA;
	buf_clear(&room);
	w->id = json_text(&id, &room);
	if (w->id.n == 0 || w->id.n > PUSHER_USER_ID_MAX)
		return USER_DATA;
	if (w->user_data.n - w->watchlist.raw.n >
	    c->app->set->max_presence_member)
		return SIZE;
	return ALLOWED;
}

static enum refusal
check(const struct client *c, struct wish *w)
{
	enum refusal why;
	char socket[24];

	if (!auth_user(c->app, w->auth, bytes_str(client_socket_id(c, socket)),
	    w->user_data))
		return SIGNATURE;
	why = read_user(c, w);
	if (why != ALLOWED)
		return why;
	return c->user == NULL || bytes_eq(c->user->id, w->id) ? ALLOWED :
	    OTHER_USER;
}

/*
 * Takes the first `max` users of the list; *over if there were more.  What is
 * no user id is left out.  Texts are copied into room behind each other, so
 * their places are known only when all are there.
 */
static uint32_t
read_watchlist(const struct json *list, uint64_t max, struct bytes *users,
    struct buf *room, bool *over)
{
	static struct buf scratch;
	struct json value;
	struct bytes id;
	size_t pos = 0, at;
	uint32_t n = 0, i;

	*over = false;
	while (list->type == JSON_ARRAY && json_next(list, &pos, NULL,
	    &value)) {
		buf_clear(&scratch);
		if (value.type != JSON_STRING ||
		    (id = json_text(&value, &scratch)).n == 0 ||
		    id.n > PUSHER_USER_ID_MAX)
			continue;
		if (n == max) {
			*over = true;
			break;
		}
		buf_bytes(room, id);
		users[n++].n = id.n;
	}
	for (i = 0, at = 0; i < n; at += users[i++].n)
		users[i].p = room->p + at;
	return n;
}

static void
sign_in(struct client *c, const struct wish *w)
{
	uint64_t max = c->app->set->max_watchlist;
	struct bytes *users = xcalloc(max + 1, sizeof(*users));
	struct buf room = { 0 };
	bool over;
	uint32_t n;

	n = read_watchlist(&w->watchlist, max, users, &room, &over);
	c->state.authorized = true;
	pusher_send_signed_in(c, w->user_data);
	client_signin(c, w->id, w->user_data, users, n);
	if (over)
		pusher_error(c, 4302, B("Watchlist limit exceeded"));
	buf_done(&room);
	free(users);
}

int
pusher_signin(struct client *c, const struct pusher_in *in)
{
	struct wish w;
	enum refusal why;

	if (read_wish(&in->inner, &w) != 0)
		return -1;
	why = check(c, &w);
	if (why == SIGNATURE) {
		auth_refused(c->app, c->conn, "sign-in", B(""), "");
		client_close(c, CLOSE_SIGNIN);
	} else if (why != ALLOWED)
		pusher_error(c, refusals[why].code, refusals[why].words);
	else if (c->user != NULL)
		pusher_send_signed_in(c, c->user->data);
	else
		sign_in(c, &w);
	return 0;
}
