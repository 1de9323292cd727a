# The live page.  Its files lie inside the program, so that a jailed worker can
# serve them.
page_files = index.html page.css page.js link.js numbers.js draw.js views.js
page_sources = \
	src/page/index.html src/page/page.css src/page/page.js \
	src/page/link.js src/page/numbers.js src/page/draw.js src/page/views.js
libpeal_a_SOURCES += \
	src/worker/page_files.c src/worker/page_files.h
nodist_libpeal_a_SOURCES += src/worker/live_page.c
CLEANFILES += src/worker/live_page.c
EXTRA_DIST += $(page_sources)
src/worker/live_page.c: $(page_sources) build-aux/embed.sh
	$(AM_V_GEN)$(MKDIR_P) src/worker && \
	for file in $(page_files); do \
		$(SHELL) $(srcdir)/build-aux/embed.sh $(srcdir)/src/page/$$file \
			page_$$(echo $$file | tr . _) worker/page_files.h || \
			exit; \
	done >$@.new && mv -f $@.new $@

# The pictures of doc/PAGE.md: a server with some traffic, watched for five minutes.
EXTRA_DIST += doc/PAGE.md doc/page.png doc/page-dark.png doc/page-events.png \
	doc/page-phone.png
.PHONY: update-screenshots
update-screenshots: peald$(EXEEXT) pealctl$(EXEEXT)
	PEALD=./peald PEALCTL=./pealctl node \
		$(srcdir)/tests/page/screenshots.mjs $(srcdir)/doc
