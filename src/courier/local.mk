libpeal_a_SOURCES += \
	src/courier/address.c src/courier/address.h \
	src/courier/body.c src/courier/body.h \
	src/courier/choice.c src/courier/choice.h \
	src/courier/courier.c src/courier/courier.h \
	src/courier/curl_late.c src/courier/curl_late.h \
	src/courier/http.c src/courier/http.h \
	src/courier/journal.c src/courier/journal.h \
	src/courier/ledger.c src/courier/ledger.h \
	src/courier/link.c src/courier/link.h \
	src/courier/miss.c src/courier/miss.h \
	src/courier/name.c src/courier/name.h \
	src/courier/news.c src/courier/news.h \
	src/courier/said.c src/courier/said.h \
	src/courier/target.c src/courier/target.h src/courier/target_list.c \
	src/courier/text.h
