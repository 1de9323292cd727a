libpeal_a_SOURCES += \
	src/backplane/backplane.c src/backplane/backplane.h \
	src/backplane/none.c
