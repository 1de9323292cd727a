libpeal_a_SOURCES += \
	src/courier/courier.c src/courier/courier.h
