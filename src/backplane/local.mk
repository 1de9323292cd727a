libpeal_a_SOURCES += \
	src/backplane/backplane.c src/backplane/backplane.h \
	src/backplane/none.c \
	src/backplane/redis_slots.c src/backplane/redis_slots.h
