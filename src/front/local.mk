libpeal_a_SOURCES += \
	src/front/front.c src/front/front.h \
	src/front/list.c \
	src/front/page.c src/front/page.h \
	src/front/page_knock.c src/front/page_line.c \
	src/front/pusher.c src/front/pusher.h \
	src/front/pusher_channel.c \
	src/front/pusher_event.c \
	src/front/pusher_text.c \
	src/front/pusher_user.c \
	src/front/room.c src/front/room.h \
	src/front/rooms.c \
	src/front/sse.c
