libpeal_a_SOURCES += \
	src/backplane/backplane.c src/backplane/backplane.h \
	src/backplane/none.c \
	src/backplane/redis.c src/backplane/redis.h \
	src/backplane/redis_cluster.c \
	src/backplane/redis_dial.c src/backplane/redis_dial.h \
	src/backplane/redis_fixed.c \
	src/backplane/redis_health.c \
	src/backplane/redis_link.c src/backplane/redis_link.h \
	src/backplane/redis_moves.c src/backplane/redis_moves.h \
	src/backplane/redis_node.c \
	src/backplane/redis_outbox.c src/backplane/redis_outbox.h \
	src/backplane/redis_reply.c src/backplane/redis_reply.h \
	src/backplane/redis_sentinel.c \
	src/backplane/redis_settings.c src/backplane/redis_settings.h \
	src/backplane/redis_sign.c src/backplane/redis_sign.h \
	src/backplane/redis_slots.c src/backplane/redis_slots.h \
	src/backplane/redis_told.c src/backplane/redis_told.h \
	src/backplane/redis_topics.c src/backplane/redis_topics.h
