# culver: build, test, install.  `make help` lists the targets.
#
# Every module but the programs' own (those with a main) goes into one
# archive; a program links its main, what it needs of the archive, and only
# the libraries named for it here (tests/arch.sh compares with ldd).

.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:

CC ?= gcc
ifeq ($(origin CC),default)
CC = gcc
endif
PREFIX ?= /usr/local
DESTDIR ?=
SAN ?=
B ?= $(if $(SAN),build/san,build)

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wwrite-strings -Wpointer-arith -Werror
CFLAGS ?= -O2 -g -fstack-protector-strong
BASE = -std=c11 -D_GNU_SOURCE -I. $(WARN)
# Sanitizer builds run with the system call filter in log mode: the
# sanitizers' own calls are no fault of the program.
ifeq ($(SAN),)
CONFINE = -DCONFINE_REFUSE='SCMP_ACT_ERRNO(EPERM)'
SANFLAGS =
else
CONFINE = -DCONFINE_REFUSE=SCMP_ACT_LOG
SANFLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-static-libasan -static-libubsan -fno-omit-frame-pointer
endif
COMPILE = $(CC) $(BASE) $(CFLAGS) $(SANFLAGS) $(CONFINE) -MMD -MP
LINK = $(CC) $(SANFLAGS) -Wl,--as-needed -Wl,-z,relro,-z,now $(LDFLAGS)

FOLDERS = conf smtpd queue policy delivery reports
MAINS = conf/culverd.c conf/culverctl.c smtpd/main.c smtpd/sendmail.c \
	queue/main.c queue/sign.c policy/main.c policy/fetch.c \
	delivery/main.c reports/main.c
MODULES = $(filter-out $(MAINS),$(wildcard $(FOLDERS:%=%/*.c)))
object = $(patsubst %.c,$(B)/obj/%.o,$(1))

LIBS_culverd = -levent_core -lseccomp
LIBS_culverctl = -ljansson
LIBS_sendmail = -lidn2
LIBS_culver-smtpd = -levent_core -lseccomp
LIBS_culver-queue = -levent_core -ldb-5.3 -lseccomp
LIBS_culver-sign = -lcrypto -lseccomp
LIBS_culver-policy = -levent_core -ldb-5.3 -lcares -lidn2 -lseccomp
LIBS_culver-fetch = -lcurl -lssl -lcrypto -lseccomp
LIBS_culver-delivery = -levent_core -lssl -lcrypto -lseccomp
LIBS_culver-reports = -levent_core -ldb-5.3 -lz -ljansson -lseccomp
LIBS_ALL = -levent_core -ldb-5.3 -lcares -lcurl -lssl -lcrypto -lidn2 \
	-ljansson -lz -lseccomp -lcmocka

BIN = $(B)/bin/culverd $(B)/bin/culverctl $(B)/bin/sendmail
LIBEXEC = $(B)/libexec/culver-smtpd $(B)/libexec/culver-queue \
	$(B)/libexec/culver-sign $(B)/libexec/culver-policy \
	$(B)/libexec/culver-fetch $(B)/libexec/culver-delivery \
	$(B)/libexec/culver-reports
PRELOADS = $(patsubst tests/preload/%.c,$(B)/tests/preload/%.so,\
	$(wildcard tests/preload/*.c))
UNITS = $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*.c))
FUZZ = $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,\
	$(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))

all: $(BIN) $(LIBEXEC)

$(B)/bin/culverd: $(call object,conf/culverd.c)
$(B)/bin/culverctl: $(call object,conf/culverctl.c)
$(B)/bin/sendmail: $(call object,smtpd/sendmail.c)
$(B)/libexec/culver-smtpd: $(call object,smtpd/main.c)
$(B)/libexec/culver-queue: $(call object,queue/main.c)
$(B)/libexec/culver-policy: $(call object,policy/main.c)
$(B)/libexec/culver-fetch: $(call object,policy/fetch.c)
$(B)/libexec/culver-sign: $(call object,queue/sign.c)
$(B)/libexec/culver-delivery: $(call object,delivery/main.c)
$(B)/libexec/culver-reports: $(call object,reports/main.c)

$(BIN) $(LIBEXEC): $(B)/libculver.a
	@mkdir -p $(@D)
	$(LINK) -o $@ $(filter %.o,$^) $(B)/libculver.a $(LIBS_$(@F))

$(B)/libculver.a: $(call object,$(MODULES))
	@rm -f $@
	ar qc $@ $^

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

$(B)/unit/%: tests/unit/%.c $(B)/libculver.a
	@mkdir -p $(@D)
	$(COMPILE) -Wno-missing-prototypes -Itests/unit -o $@ $< \
	    $(B)/libculver.a $(LIBS_ALL)

$(B)/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c $(B)/libculver.a
	@mkdir -p $(@D)
	$(COMPILE) -Wno-missing-prototypes -o $@ $< tests/fuzz/replay.c \
	    $(B)/libculver.a $(LIBS_ALL)

# Preloads are built without sanitizers: they only forward.
$(B)/tests/preload/%.so: tests/preload/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE) -Wno-missing-prototypes -O2 -g -fPIC -shared -o $@ $< -ldl

build-unit: $(UNITS)
build-fuzz: $(FUZZ)
build-preload: $(PRELOADS)

-include $(wildcard $(B)/obj/*/*.d $(B)/unit/*.d $(B)/fuzz/*.d)

.PHONY: all build-unit build-fuzz build-preload

# ---- for people ----------------------------------------------------------

# Every package that building and testing need, in one place; servers that
# the tests play with are unpacked under build/, never installed (tests/peers.sh).
PACKAGES_BUILD = gcc make libc6-dev libevent-dev libdb5.3-dev libc-ares-dev \
	libcurl4-openssl-dev libssl-dev libidn2-dev libjansson-dev \
	libseccomp-dev zlib1g-dev
PACKAGES_TEST = libcmocka-dev python3 iproute2 util-linux openssl \
	ca-certificates strace procps python3-dkim python3-nacl \
	python3-jsonschema e2fsprogs mount

help:
	@echo 'make            build under build/'
	@echo 'make demo       the main job shown on real servers, in a private network'
	@echo 'make check      every test; the last line counts them'
	@echo 'make unit       the unit tests alone, for anybody'
	@echo 'make run        a relay of your own on 127.0.0.1:2525, under ./run'
	@echo 'make install    PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)'
	@echo 'make deps       the Debian packages all this needs'
	@echo 'make bench      accept, deliver and relay beside Postfix in one run'
	@echo 'make torture    500 kills and 300 power cuts; goes on where it stopped'
	@echo 'make conformance  which RFC requirements have code and test'

deps:
	@sh tests/deps.sh $(PACKAGES_BUILD) $(PACKAGES_TEST)

# What the tests need built: plain and with sanitizers.
build-tests:
	@echo '... building'
	@$(MAKE) --no-print-directory -s all build-preload
	@echo '... building once more, with sanitizers'
	@$(MAKE) --no-print-directory -s SAN=1 all build-unit build-fuzz \
	    build-decide build-preload

$(B)/decide/table: $(wildcard tests/decide/*.[ch]) $(B)/libculver.a
	@mkdir -p $(@D)
	$(COMPILE) -Wno-missing-prototypes -o $@ $(filter %.c,$^) \
	    $(B)/libculver.a
build-decide: $(B)/decide/table

peers:
	@sh tests/as-root.sh sh tests/peers.sh

demo:
	@$(MAKE) --no-print-directory -s deps
	@echo '... building'
	@$(MAKE) --no-print-directory -s all build-preload
	@sh tests/as-root.sh sh tests/peers.sh
	@sh tests/as-root.sh /usr/bin/python3 tests/demo.py

check:
	@$(MAKE) --no-print-directory -s deps
	@$(MAKE) --no-print-directory -s build-tests
	@sh tests/check.sh all

unit:
	@$(MAKE) --no-print-directory -s SAN=1 all build-unit build-fuzz \
	    build-preload
	@sh tests/check.sh unit

conformance:
	@/usr/bin/python3 tests/conformance.py

bench: all
	@sh tests/as-root.sh sh tests/peers.sh
	@sh tests/as-root.sh /usr/bin/python3 tests/bench/bench.py

torture: all build-preload
	@mkdir -p $(B)/torture
	@sh tests/as-root.sh sh tests/peers.sh
	@sh tests/as-root.sh /usr/bin/python3 tests/torture.py \
	    --ledger $(B)/torture/ledger

# A relay under ./run, as any user; as root its spool belongs to nobody.
run: all
	@mkdir -p run/spool
	@if [ "$$(id -u)" = 0 ]; then \
		chown nobody run/spool; \
		echo 'As root: the spool run/spool belongs to nobody, and so do the programs.'; \
	fi
	@{ echo '# made by make run'; \
	   echo 'listen 127.0.0.1:2525'; \
	   echo "spool \"$(CURDIR)/run/spool\""; \
	   echo "submit-socket \"$(CURDIR)/run/submit\""; \
	   echo "control \"$(CURDIR)/run/control\""; } > run/culver.conf
	@echo 'Try: $(B)/bin/sendmail -C run/culver.conf user@domain < message'
	$(B)/bin/culverd -f -c run/culver.conf

install: all
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' B='$(B)' sh conf/install.sh

.PHONY: help deps build-tests build-decide peers demo check unit conformance \
	bench torture run install
