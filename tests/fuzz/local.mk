# Fuzz targets: tests/fuzz/fuzz_NAME.c and a corpus each.  `make check` replays
# the corpora (replay_NAME); a build with --enable-fuzzing has the fuzzers
# themselves (fuzz_NAME), which contrib/fuzz runs.
noinst_PROGRAMS =
EXTRA_DIST += contrib/fuzz

if HAVE_HTTP_PARSER
HTTP_PARSER_CPPFLAGS = -DHAVE_HTTP_PARSER=1
HTTP_PARSER_LIBS = -lhttp_parser
endif
if HAVE_WSLAY
WSLAY_CPPFLAGS = -DHAVE_WSLAY=1
WSLAY_LIBS = -lwslay
endif

FUZZ_REPLAY = tests/fuzz/replay.c tests/fuzz/fuzz.h
LDFLAGS_FUZZ = $(AM_LDFLAGS) -fsanitize=fuzzer

EXTRA_DIST += tests/fuzz/corpus/http
check_PROGRAMS += tests/fuzz/replay_http
tests_fuzz_replay_http_SOURCES = tests/fuzz/fuzz_http.c $(FUZZ_REPLAY)
tests_fuzz_replay_http_CPPFLAGS = $(AM_CPPFLAGS) $(HTTP_PARSER_CPPFLAGS)
tests_fuzz_replay_http_LDADD = libpeal.a $(HTTP_PARSER_LIBS)
TESTS += tests/fuzz/replay_http
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_http
tests_fuzz_fuzz_http_SOURCES = tests/fuzz/fuzz_http.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_http_CPPFLAGS = $(AM_CPPFLAGS) $(HTTP_PARSER_CPPFLAGS)
tests_fuzz_fuzz_http_LDADD = libpeal.a $(HTTP_PARSER_LIBS)
tests_fuzz_fuzz_http_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/websocket
check_PROGRAMS += tests/fuzz/replay_websocket
tests_fuzz_replay_websocket_SOURCES = tests/fuzz/fuzz_websocket.c $(FUZZ_REPLAY)
tests_fuzz_replay_websocket_CPPFLAGS = $(AM_CPPFLAGS) $(WSLAY_CPPFLAGS)
tests_fuzz_replay_websocket_LDADD = libpeal.a $(WSLAY_LIBS)
TESTS += tests/fuzz/replay_websocket
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_websocket
tests_fuzz_fuzz_websocket_SOURCES = tests/fuzz/fuzz_websocket.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_websocket_CPPFLAGS = $(AM_CPPFLAGS) $(WSLAY_CPPFLAGS)
tests_fuzz_fuzz_websocket_LDADD = libpeal.a $(WSLAY_LIBS)
tests_fuzz_fuzz_websocket_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/deflate
check_PROGRAMS += tests/fuzz/replay_deflate
tests_fuzz_replay_deflate_SOURCES = tests/fuzz/fuzz_deflate.c $(FUZZ_REPLAY)
tests_fuzz_replay_deflate_LDADD = libpeal.a
TESTS += tests/fuzz/replay_deflate
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_deflate
tests_fuzz_fuzz_deflate_SOURCES = tests/fuzz/fuzz_deflate.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_deflate_LDADD = libpeal.a
tests_fuzz_fuzz_deflate_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/ini
check_PROGRAMS += tests/fuzz/replay_ini
tests_fuzz_replay_ini_SOURCES = tests/fuzz/fuzz_ini.c $(FUZZ_REPLAY)
tests_fuzz_replay_ini_LDADD = libpeal.a
TESTS += tests/fuzz/replay_ini
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_ini
tests_fuzz_fuzz_ini_SOURCES = tests/fuzz/fuzz_ini.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_ini_LDADD = libpeal.a
tests_fuzz_fuzz_ini_LDFLAGS = $(LDFLAGS_FUZZ)
endif

# These stand on a worker without sockets.
FAKE = tests/worker/fake.c tests/worker/fake.h
FAKE_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests

EXTRA_DIST += tests/fuzz/corpus/page
check_PROGRAMS += tests/fuzz/replay_page
tests_fuzz_replay_page_SOURCES = tests/fuzz/fuzz_page.c $(FAKE) $(FUZZ_REPLAY)
tests_fuzz_replay_page_CPPFLAGS = $(FAKE_CPPFLAGS)
tests_fuzz_replay_page_LDADD = libpeal.a
TESTS += tests/fuzz/replay_page
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_page
tests_fuzz_fuzz_page_SOURCES = tests/fuzz/fuzz_page.c $(FAKE) \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_page_CPPFLAGS = $(FAKE_CPPFLAGS)
tests_fuzz_fuzz_page_LDADD = libpeal.a
tests_fuzz_fuzz_page_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/pusher
check_PROGRAMS += tests/fuzz/replay_pusher
tests_fuzz_replay_pusher_SOURCES = tests/fuzz/fuzz_pusher.c $(FAKE) \
	$(FUZZ_REPLAY)
tests_fuzz_replay_pusher_CPPFLAGS = $(FAKE_CPPFLAGS)
tests_fuzz_replay_pusher_LDADD = libpeal.a
TESTS += tests/fuzz/replay_pusher
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_pusher
tests_fuzz_fuzz_pusher_SOURCES = tests/fuzz/fuzz_pusher.c $(FAKE) \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_pusher_CPPFLAGS = $(FAKE_CPPFLAGS)
tests_fuzz_fuzz_pusher_LDADD = libpeal.a
tests_fuzz_fuzz_pusher_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/api
check_PROGRAMS += tests/fuzz/replay_api
tests_fuzz_replay_api_SOURCES = tests/fuzz/fuzz_api.c $(FAKE) $(FUZZ_REPLAY)
tests_fuzz_replay_api_CPPFLAGS = $(FAKE_CPPFLAGS)
tests_fuzz_replay_api_LDADD = libpeal.a
TESTS += tests/fuzz/replay_api
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_api
tests_fuzz_fuzz_api_SOURCES = tests/fuzz/fuzz_api.c $(FAKE) tests/fuzz/fuzz.h
tests_fuzz_fuzz_api_CPPFLAGS = $(FAKE_CPPFLAGS)
tests_fuzz_fuzz_api_LDADD = libpeal.a
tests_fuzz_fuzz_api_LDFLAGS = $(LDFLAGS_FUZZ)
endif

if HAVE_JANSSON
JANSSON_CPPFLAGS = $(JANSSON_CFLAGS) -DHAVE_JANSSON=1
endif

EXTRA_DIST += tests/fuzz/corpus/json
check_PROGRAMS += tests/fuzz/replay_json
tests_fuzz_replay_json_SOURCES = tests/fuzz/fuzz_json.c $(FUZZ_REPLAY)
tests_fuzz_replay_json_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CPPFLAGS)
tests_fuzz_replay_json_LDADD = libpeal.a $(JANSSON_LIBS)
TESTS += tests/fuzz/replay_json
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_json
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_json_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CPPFLAGS)
tests_fuzz_fuzz_json_LDADD = libpeal.a $(JANSSON_LIBS)
tests_fuzz_fuzz_json_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/msg
check_PROGRAMS += tests/fuzz/replay_msg
tests_fuzz_replay_msg_SOURCES = tests/fuzz/fuzz_msg.c $(FUZZ_REPLAY)
tests_fuzz_replay_msg_LDADD = libpeal.a
TESTS += tests/fuzz/replay_msg
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_msg
tests_fuzz_fuzz_msg_SOURCES = tests/fuzz/fuzz_msg.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_msg_LDADD = libpeal.a
tests_fuzz_fuzz_msg_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/proxy
check_PROGRAMS += tests/fuzz/replay_proxy
tests_fuzz_replay_proxy_SOURCES = tests/fuzz/fuzz_proxy.c $(FUZZ_REPLAY)
tests_fuzz_replay_proxy_LDADD = libpeal.a
TESTS += tests/fuzz/replay_proxy
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_proxy
tests_fuzz_fuzz_proxy_SOURCES = tests/fuzz/fuzz_proxy.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_proxy_LDADD = libpeal.a
tests_fuzz_fuzz_proxy_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/parcel
check_PROGRAMS += tests/fuzz/replay_parcel
tests_fuzz_replay_parcel_SOURCES = tests/fuzz/fuzz_parcel.c $(FUZZ_REPLAY)
tests_fuzz_replay_parcel_LDADD = libpeal.a
TESTS += tests/fuzz/replay_parcel
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_parcel
tests_fuzz_fuzz_parcel_SOURCES = tests/fuzz/fuzz_parcel.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_parcel_LDADD = libpeal.a
tests_fuzz_fuzz_parcel_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/hosts
check_PROGRAMS += tests/fuzz/replay_hosts
tests_fuzz_replay_hosts_SOURCES = tests/fuzz/fuzz_hosts.c tests/fuzz/router.h \
	$(FUZZ_REPLAY)
tests_fuzz_replay_hosts_LDADD = libpeal.a
TESTS += tests/fuzz/replay_hosts
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_hosts
tests_fuzz_fuzz_hosts_SOURCES = tests/fuzz/fuzz_hosts.c tests/fuzz/router.h \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_hosts_LDADD = libpeal.a
tests_fuzz_fuzz_hosts_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/envelope
check_PROGRAMS += tests/fuzz/replay_envelope
tests_fuzz_replay_envelope_SOURCES = tests/fuzz/fuzz_envelope.c $(FUZZ_REPLAY)
tests_fuzz_replay_envelope_LDADD = libpeal.a
TESTS += tests/fuzz/replay_envelope
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_envelope
tests_fuzz_fuzz_envelope_SOURCES = tests/fuzz/fuzz_envelope.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_envelope_LDADD = libpeal.a
tests_fuzz_fuzz_envelope_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/rooms
check_PROGRAMS += tests/fuzz/replay_rooms
tests_fuzz_replay_rooms_SOURCES = tests/fuzz/fuzz_rooms.c $(FAKE) \
	$(FUZZ_REPLAY)
tests_fuzz_replay_rooms_CPPFLAGS = $(FAKE_CPPFLAGS)
tests_fuzz_replay_rooms_LDADD = libpeal.a
TESTS += tests/fuzz/replay_rooms
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_rooms
tests_fuzz_fuzz_rooms_SOURCES = tests/fuzz/fuzz_rooms.c $(FAKE) \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_rooms_CPPFLAGS = $(FAKE_CPPFLAGS)
tests_fuzz_fuzz_rooms_LDADD = libpeal.a
tests_fuzz_fuzz_rooms_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/redis_told
check_PROGRAMS += tests/fuzz/replay_redis_told
tests_fuzz_replay_redis_told_SOURCES = tests/fuzz/fuzz_redis_told.c \
	$(FUZZ_REPLAY)
tests_fuzz_replay_redis_told_LDADD = libpeal.a
TESTS += tests/fuzz/replay_redis_told
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_redis_told
tests_fuzz_fuzz_redis_told_SOURCES = tests/fuzz/fuzz_redis_told.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_redis_told_LDADD = libpeal.a
tests_fuzz_fuzz_redis_told_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/redis
check_PROGRAMS += tests/fuzz/replay_redis
tests_fuzz_replay_redis_SOURCES = tests/fuzz/fuzz_redis.c $(FUZZ_REPLAY)
tests_fuzz_replay_redis_LDADD = libpeal.a
TESTS += tests/fuzz/replay_redis
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_redis
tests_fuzz_fuzz_redis_SOURCES = tests/fuzz/fuzz_redis.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_redis_LDADD = libpeal.a
tests_fuzz_fuzz_redis_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/state
check_PROGRAMS += tests/fuzz/replay_state
tests_fuzz_replay_state_SOURCES = tests/fuzz/fuzz_state.c $(FUZZ_REPLAY)
tests_fuzz_replay_state_LDADD = libpeal.a
TESTS += tests/fuzz/replay_state
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_state
tests_fuzz_fuzz_state_SOURCES = tests/fuzz/fuzz_state.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_state_LDADD = libpeal.a
tests_fuzz_fuzz_state_LDFLAGS = $(LDFLAGS_FUZZ)
endif

# Records of connections; the corpus is that of tests/worker/records.
EXTRA_DIST += tests/fuzz/corpus/thaw
check_PROGRAMS += tests/fuzz/replay_thaw
tests_fuzz_replay_thaw_SOURCES = tests/fuzz/fuzz_thaw.c $(FUZZ_REPLAY)
tests_fuzz_replay_thaw_LDADD = libpeal.a
TESTS += tests/fuzz/replay_thaw
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_thaw
tests_fuzz_fuzz_thaw_SOURCES = tests/fuzz/fuzz_thaw.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_thaw_LDADD = libpeal.a
tests_fuzz_fuzz_thaw_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/heir
check_PROGRAMS += tests/fuzz/replay_heir
tests_fuzz_replay_heir_SOURCES = tests/fuzz/fuzz_heir.c tests/fuzz/router.h \
	$(FUZZ_REPLAY)
tests_fuzz_replay_heir_LDADD = libpeal.a
TESTS += tests/fuzz/replay_heir
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_heir
tests_fuzz_fuzz_heir_SOURCES = tests/fuzz/fuzz_heir.c tests/fuzz/router.h \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_heir_LDADD = libpeal.a
tests_fuzz_fuzz_heir_LDFLAGS = $(LDFLAGS_FUZZ)
endif

EXTRA_DIST += tests/fuzz/corpus/control
check_PROGRAMS += tests/fuzz/replay_control
tests_fuzz_replay_control_SOURCES = tests/fuzz/fuzz_control.c \
	tests/fuzz/router.h $(FUZZ_REPLAY)
tests_fuzz_replay_control_LDADD = libpeal.a
TESTS += tests/fuzz/replay_control
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_control
tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz_control.c \
	tests/fuzz/router.h tests/fuzz/fuzz.h
tests_fuzz_fuzz_control_LDADD = libpeal.a
tests_fuzz_fuzz_control_LDFLAGS = $(LDFLAGS_FUZZ)
endif

# The courier's journal: files and records.
EXTRA_DIST += tests/fuzz/corpus/journal
check_PROGRAMS += tests/fuzz/replay_journal
tests_fuzz_replay_journal_SOURCES = tests/fuzz/fuzz_journal.c $(FUZZ_REPLAY)
tests_fuzz_replay_journal_LDADD = libpeal.a
TESTS += tests/fuzz/replay_journal
if FUZZING
noinst_PROGRAMS += tests/fuzz/fuzz_journal
tests_fuzz_fuzz_journal_SOURCES = tests/fuzz/fuzz_journal.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_journal_LDADD = libpeal.a
tests_fuzz_fuzz_journal_LDFLAGS = $(LDFLAGS_FUZZ)
endif
