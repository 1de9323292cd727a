# Tests of src/front: TAP programs.

# Clients that write down what they are sent, a router that is played.
check_PROGRAMS += tests/front/test_pusher
tests_front_test_pusher_SOURCES = tests/front/test_pusher.c \
	tests/front/test_pusher.h tests/worker/fake.c tests/worker/fake.h
tests_front_test_pusher_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
tests_front_test_pusher_LDADD = $(TEST_LDADD)
TESTS += tests/front/test_pusher

check_PROGRAMS += tests/front/test_pusher_events
tests_front_test_pusher_events_SOURCES = tests/front/test_pusher_events.c \
	tests/front/test_pusher.h tests/worker/fake.c tests/worker/fake.h
tests_front_test_pusher_events_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
tests_front_test_pusher_events_LDADD = $(TEST_LDADD)
TESTS += tests/front/test_pusher_events

check_PROGRAMS += tests/front/test_rooms
tests_front_test_rooms_SOURCES = tests/front/test_rooms.c \
	tests/worker/fake.c tests/worker/fake.h
tests_front_test_rooms_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
tests_front_test_rooms_LDADD = $(TEST_LDADD)
TESTS += tests/front/test_rooms

# Router and master are played, too (worker/ask.c).
check_PROGRAMS += tests/front/test_page
tests_front_test_page_SOURCES = tests/front/test_page.c \
	tests/worker/fake.c tests/worker/fake.h
tests_front_test_page_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
tests_front_test_page_LDADD = $(TEST_LDADD)
TESTS += tests/front/test_page
