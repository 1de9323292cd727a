/* SPDX-License-Identifier: MIT
 *
 * What the live page's clients say, a message a line: the first as a stranger,
 * the others as one who has logged in.  Nobody gets in without the token; what
 * the router is asked is JSON of one line with a verb of the list; what comes
 * back, here what was asked, is JSON.
 */
#include "fuzz.h"

#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "front/page.h"
#include "worker/ask.h"
#include "worker/fake.h"

#define TOKEN	"0123456789abcdef"

static struct json
must_be_json(struct bytes text)
{
	struct json v;
	const char *why;

	MUST(json_parse(text, &v, &why) == 0);
	MUST(v.type == JSON_OBJECT);
	return v;
}

static void
check_text(struct bytes text)
{
	(void)must_be_json(text);
}

void
ask_router(struct asking *a, struct bytes line)
{
	static const char verbs[] = " channels users inspect hosts backplane "
	    "tail publish terminate kick ";
	struct json v = must_be_json(line), verb;
	const struct json_want want = { B("verb"), &verb };
	struct buf word = { 0 }, answer = { 0 };

	MUST(bytes_find(line, '\n') < 0);
	MUST(line.n < 200000);
	MUST(json_pick(&v, &want, 1) == 0 && verb.type == JSON_STRING);
	buf_char(&word, ' ');
	buf_bytes(&word, bytes_of(verb.raw.p + 1, verb.raw.n - 2));
	buf_char(&word, ' ');
	MUST(strstr(verbs, buf_cstr(&word)) != NULL);
	a->armed = true;
	buf_bytes(&answer, line);
	buf_str(&answer, "\n");
	a->told(a, buf_view(&answer), false);
	if (line.n % 3 != 0) {
		buf_str(&answer, "{\"ok\":true}\n");
		a->armed = false;
		a->told(a, buf_view(&answer), true);
	}
	buf_done(&word);
	buf_done(&answer);
}

void
ask_master(struct asking *a, unsigned what)
{
	(void)what;
	a->told(a, B("{\"ok\":true}\n"), true);
}

void ask_cancel(struct asking *a) { a->armed = false; }
void ask_on_told(const struct msg_told *m) { (void)m; }
void ask_on_report(const struct msg_report *m) { (void)m; }
void ask_lost(void) { }

static struct bytes
line(struct bytes *in)
{
	ptrdiff_t end = bytes_find(*in, '\n');
	struct bytes first = bytes_of(in->p, end < 0 ? in->n : (size_t)end);

	*in = bytes_skip(*in, end < 0 ? in->n : first.n + 1);
	return first;
}

/* A transport gives nothing else. */
static void
say(struct fake_client *f, struct bytes text)
{
	if (utf8_valid(text) && text.n <= f->c.front->limit(&f->c) &&
	    f->closed == CLOSE_NONE)
		fake_say(f, text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = bytes_of(p, n);
	struct fake_client *f;

	log_set_level(LOG_LEVEL_ERROR);
	fake_setup();
	fake.config.page = (struct config_page){
		.enabled = true, .max_viewers = 9, .actions = n % 5 != 0,
		.path = (char *)(uintptr_t)"/peal/",
		.token = (char *)(uintptr_t)TOKEN,
	};
	worker.master = (struct ipc *)(uintptr_t)&fake;
	fake.on_text = check_text;
	fronts_settings(&fake.config);
	knock_forget();
	f = fake_connect("/peal/ws", "", NULL);
	MUST(f != NULL);
	say(f, line(&in));
	MUST(f->closed != CLOSE_NONE || f->sent.n == 0 ||
	    bytes_starts(buf_view(&f->sent), B("{\"ok\":true,")));
	if (f->closed == CLOSE_NONE && f->sent.n == 0)
		fake_say(f, B("{\"do\":\"login\",\"token\":\"" TOKEN "\"}"));
	if (f->closed != CLOSE_NONE) {
		worker.now++;
		knock_forget();
		f = fake_connect("/peal/ws", "", NULL);
		fake_say(f, B("{\"do\":\"login\",\"token\":\"" TOKEN "\"}"));
	}
	while (in.n > 0) {
		worker.now++;
		say(f, line(&in));
	}
	fake_teardown();
	worker.master = NULL;
	return 0;
}
