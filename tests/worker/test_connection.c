/* SPDX-License-Identifier: MIT
 *
 * What the router is told of connections that begin and end, for webhooks:
 * which ones, as what, and nothing of those that move.
 */
#include "tests/worker/peers.h"

#define BOTH	"[webhook a]\napp = one\nurl = https://hooks.example.org/\n" \
		"events = connection_opened, connection_closed\n"
#define CLOSED	"[webhook a]\napp = one\nurl = https://hooks.example.org/\n" \
		"events = client_event, connection_closed\n"

/* Settings are kept as long as a client may have them. */
static void
use(const char *webhooks)
{
	static struct config *kept[16];
	static size_t n;
	struct buf text = { 0 };

	buf_str(&text, peers_settings);
	buf_str(&text, webhooks);
	assert_true(n < NELEM(kept));
	kept[n] = peers_load(buf_cstr(&text));
	peers_use(kept[n++]);
	buf_done(&text);
}

static void
say(struct peer *p, struct buf *b)
{
	peer_say(p, buf_view(b));
	buf_clear(b);
}

static void
upgrade(struct peer *p, unsigned n, const char *target)
{
	struct buf b = { 0 };

	peer_open(p, n, false);
	say_upgrade(&b, target, false);
	say(p, &b);
	buf_done(&b);
}

/* It has read all, and goes. */
static void
leave(struct peer *p)
{
	peer_read_all(p);
	peer_done(p);
}

/* Lines of the log that are about connections, and empties it. */
static const char *
told_of(void)
{
	static struct buf out;
	const char *line = buf_cstr(&played.log), *end;

	buf_clear(&out);
	for (; *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		if (strncmp(line, "opened ", 7) == 0 ||
		    strncmp(line, "closed ", 7) == 0)
			buf_add(&out, line, (size_t)(end + 1 - line));
	}
	buf_clear(&played.log);
	return buf_cstr(&out);
}

/* A frame that closes, as a client says it. */
static void
say_close(struct peer *p, const char *payload, size_t n)
{
	struct buf b = { 0 };

	say_frame(&b, 0x88, bytes_of(payload, n), 0x01020304);
	say(p, &b);
	buf_done(&b);
}

static void
how_they_end(void **state)
{
	struct msg_terminate kick = { .app = B("1"), .user = B("ann") };
	struct buf text = { 0 }, b = { 0 };
	struct peer p;

	(void)state;
	use(BOTH);
	upgrade(&p, 1, "/app/app-key");
	assert_string_equal(told_of(), "opened 1 101.601 user= code=0 \n");
	leave(&p);
	assert_string_equal(told_of(),
	    "closed 1 101.601 user= code=1006 closed by client\n");

	upgrade(&p, 2, "/app/app-key");
	told_of();
	say_close(&p, "\x0f\xa1" "good bye", 10);
	assert_string_equal(told_of(),
	    "closed 1 102.602 user= code=4001 good bye\n");
	peer_done(&p);
	upgrade(&p, 3, "/app/app-key");
	told_of();
	say_close(&p, "", 0);
	assert_string_equal(told_of(),
	    "closed 1 103.603 user= code=1005 \n");
	peer_done(&p);

	/* Whose it was, and that of a member of a channel is no sign-in. */
	upgrade(&p, 4, "/app/app-key");
	say_signin(&text, &p, "app-key", "{\"id\":\"ann\"}");
	say_frame(&b, 0x81, buf_view(&text), 0x12345678);
	say(&p, &b);
	told_of();
	client_on_terminate(&kick);
	run_for(&p);
	assert_string_equal(told_of(), "closed 1 104.604 user=ann code=4009 "
	    "Connection terminated by the application\n");
	peer_done(&p);
	assert_string_equal(told_of(), "");
	buf_done(&text);
	buf_done(&b);
}

static void
through_other_doors(void **state)
{
	struct peer room, stream;

	(void)state;
	use(BOTH);
	upgrade(&room, 5, "/?room=x");
	assert_string_equal(told_of(), "opened 1 105.605 user= code=0 \n");
	say_close(&room, "", 0);
	assert_string_equal(told_of(), "closed 1 105.605 user= code=1005 \n");
	peer_done(&room);
	peer_open(&stream, 6, false);
	peers_now = 6;
	peer_say(&stream, B("GET /sse/x HTTP/1.1\r\nHost: h\r\n"
	    "Accept: text/event-stream\r\n\r\n"));
	assert_string_equal(told_of(), "opened 1 106.606 user= code=0 \n");
	leave(&stream);
	assert_string_equal(told_of(),
	    "closed 1 106.606 user= code=1006 closed by client\n");
}

/* Nobody else is told of, and of these only what is wanted. */
static void
only_what_is_wanted(void **state)
{
	struct peer p;

	(void)state;
	use(CLOSED);
	upgrade(&p, 7, "/app/key-two");
	peer_done(&p);
	assert_string_equal(told_of(), "");
	upgrade(&p, 8, "/app/no-such-key");
	peer_done(&p);
	assert_string_equal(told_of(), "");
	upgrade(&p, 9, "/app/app-key");
	assert_string_equal(told_of(), "");
	/* What happens to settings while it is there. */
	use("");
	leave(&p);
	assert_string_equal(told_of(), "");
	upgrade(&p, 9, "/app/app-key");
	use(CLOSED);
	leave(&p);
	assert_string_equal(told_of(),
	    "closed 1 109.609 user= code=1006 closed by client\n");
}

static void
not_of_those_that_move(void **state)
{
	struct peer a, room;

	(void)state;
	use(BOTH);
	upgrade(&a, 11, "/app/app-key");
	upgrade(&room, 12, "/?room=x");
	told_of();
	assert_true(move(&a));
	assert_true(move(&room));
	assert_true(move(&a));
	assert_string_equal(told_of(), "");
	leave(&a);
	leave(&room);
	assert_string_equal(told_of(),
	    "closed 1 111.611 user= code=1006 closed by client\n"
	    "closed 1 112.612 user= code=1006 closed by client\n");
}

/* One that the application has no room for is not open, and does not close. */
static void
not_of_those_refused(void **state)
{
	struct peer p;

	(void)state;
	use("[webhook a]\napp = two\nurl = https://hooks.example.org/\n"
	    "events = connection_opened, connection_closed\n");
	played.slow = true;
	upgrade(&p, 13, "/app/key-two");
	assert_string_equal(told_of(), "");
	assert_int_equal(played.n_asked, 1);
	played.n_asked = 0;
	client_on_grant(&(struct msg_grant){ .app = B("2"), .conn = p.conn });
	free(played.asked[0].app);
	run_for(&p);
	peer_done(&p);
	assert_string_equal(told_of(), "");
	played.slow = false;
	upgrade(&p, 14, "/app/key-two");
	assert_string_equal(told_of(), "opened 2 114.614 user= code=0 \n");
	peer_done(&p);
	told_of();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#undef T
#define T(fn)	cmocka_unit_test_setup_teardown(fn, peers_setup, peers_teardown)
		T(how_they_end),
		T(through_other_doors),
		T(only_what_is_wanted),
		T(not_of_those_that_move),
		T(not_of_those_refused),
	};

	return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}
