# SPDX-License-Identifier: GPL-2.0-or-later
# joulefarm: one non-recursive Makefile. `make help` lists the targets; V=1 shows commands.
# SAN=asan|tsan builds everything into build/asan, build/tsan.

SAN ?=
B := build$(if $(SAN),/$(SAN))
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

CC ?= gcc
PREFIX ?= /usr/local
DESTDIR ?=
CSTD := -std=c17
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
OPT ?= -O2 -g
SANFLAGS_asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SANFLAGS_tsan := -fsanitize=thread
SANFLAGS := $(SANFLAGS_$(SAN))
JF_VERSION := 0.1.0
CPPFLAGS += -I. -D_GNU_SOURCE -DJF_VERSION='"$(JF_VERSION)"'
CFLAGS_ALL = $(CSTD) $(WARN) $(OPT) $(SANFLAGS) $(CFLAGS)
LDFLAGS_ALL = $(SANFLAGS) $(LDFLAGS)
pc = $(shell pkg-config $(1) 2>/dev/null)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# ---- modules: each directory is one archive; main.c files belong to programs ------------------------------------
srcs = $(sort $(filter-out %/main.c,$(wildcard $(addsuffix /*.c,$(1)))))
SRC_base := $(call srcs,base)
SRC_base_proc := $(call srcs,base/proc)
SRC_base_serial := $(call srcs,base/serial)
SRC_base_usb := $(call srcs,base/usb)
SRC_power := $(call srcs,drivers/power drivers/power/ppk2)
SRC_power_sigrok := $(call srcs,drivers/power/sigrok)
SRC_flash := $(call srcs,drivers/flash drivers/flash/openocd)
SRC_measure := $(call srcs,measure)
SRC_trace := $(call srcs,measure/trace)
SRC_bench := $(call srcs,bench)
SRC_db := $(call srcs,db)
SRC_daemon := $(call srcs,daemon)
SRC_cli := $(call srcs,cli)
SRC_compiler := $(call srcs,compiler)
SRC_runtime := $(call srcs,firmware/runtime)
SRC_sim := $(call srcs,sim)
MODULES := base base_proc base_serial base_usb power power_sigrok flash measure trace bench db daemon cli compiler runtime sim

# foreign libraries, each contained in its module
PC_base_serial := libserialport
PC_base_usb := libusb-1.0
PC_power := jansson
PC_power_sigrok := libsigrok glib-2.0 jansson
PC_flash := jansson
PC_measure :=
PC_trace := libzstd nettle libsodium jansson libarchive
PC_bench := jansson libsodium
PC_db := sqlite3
PC_daemon := libmicrohttpd jansson yaml-0.1 libelf libsodium
PC_cli := libcurl jansson
PC_compiler := libsodium jansson yaml-0.1 libprotobuf-c
CFLAGS_compiler := -I$(B)/gen
PC_runtime :=
PC_sim := unicorn jansson
PC_base :=
PC_base_proc :=
CFLAGS_runtime := -O3

define module
OBJ_$(1) := $$(SRC_$(1):%.c=$$(B)/obj/%.o)
$$(OBJ_$(1)): MODCFLAGS = $$(if $$(PC_$(1)),$$(call pc,--cflags $$(PC_$(1)))) $$(CFLAGS_$(1))
$$(B)/lib/lib$(1).a: $$(OBJ_$(1))
	$$(call say,AR,$$@)
	$$(Q)mkdir -p $$(@D) && rm -f $$@ && $$(AR) rcs $$@ $$^
endef
$(foreach m,$(MODULES),$(eval $(call module,$(m))))

# the loops over samples, written for the vectoriser
$(B)/obj/measure/trace/floats.o $(B)/obj/measure/kernel.o: MODCFLAGS += -O3

$(B)/obj/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(MODCFLAGS) -MMD -MP -c $< -o $@

# ONNX messages: generated from Debian's onnx.proto; the generated code is not ours to warn about
ONNX_PROTO ?= /usr/include/onnx/onnx.proto
$(B)/gen/onnx/onnx.pb-c.c: $(ONNX_PROTO)
	$(call say,PROTOC,$@)
	$(Q)mkdir -p $(B)/gen && protoc-c --proto_path=$(patsubst %/onnx/onnx.proto,%,$(ONNX_PROTO)) --c_out=$(B)/gen onnx/onnx.proto
$(B)/obj/compiler/onnx.pb-c.o: $(B)/gen/onnx/onnx.pb-c.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) -I$(B)/gen $(CSTD) $(OPT) $(SANFLAGS) -w -c $< -o $@
$(B)/lib/libcompiler.a: $(B)/obj/compiler/onnx.pb-c.o
$(filter $(B)/obj/compiler/onnx%,$(OBJ_compiler)): | $(B)/gen/onnx/onnx.pb-c.c

# ---- programs: program = main.c + modules --------------------------------------------------------------------
PROGRAMS := joulefarmd joulefarm jf-bench jf-trace jf-model jf-vbench
MAIN_joulefarmd := daemon/main.c
USES_joulefarmd := daemon db trace measure base_proc base
MAIN_joulefarm := cli/main.c
USES_joulefarm := cli base
MAIN_jf-bench := bench/main.c
USES_jf-bench := bench power power_sigrok flash trace measure base_usb base_serial base_proc base
MAIN_jf-trace := measure/trace/main.c
USES_jf-trace := trace measure base
MAIN_jf-model := compiler/main.c
USES_jf-model := compiler runtime base_proc base
MAIN_jf-vbench := sim/main.c
USES_jf-vbench := sim base

define program
$$(B)/obj/$$(MAIN_$(1):.c=.o): MODCFLAGS = $$(call pc,--cflags $$(foreach m,$$(USES_$(1)),$$(PC_$$(m))) jansson)
$$(B)/$(1): $$(B)/obj/$$(MAIN_$(1):.c=.o) $$(foreach m,$$(USES_$(1)),$$(B)/lib/lib$$(m).a)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(call pc,--libs $$(foreach m,$$(USES_$(1)),$$(PC_$$(m)))) -lpthread -lm
PROGRAM_OBJS += $$(B)/obj/$$(MAIN_$(1):.c=.o)
endef
READY := $(foreach p,$(PROGRAMS),$(if $(wildcard $(MAIN_$(p))),$(p)))
$(foreach p,$(READY),$(eval $(call program,$(p))))

.PHONY: all help
all: $(READY:%=$(B)/%)

# ---- unit tests: tests/unit/<module>/test_*.c, cmocka, each linked with what <module> uses ------------------------
TEST_USES_base := base
TEST_USES_proc := base_proc base
TEST_USES_serial := base_serial base
TEST_USES_usb := base_usb base
TEST_USES_power := power power_sigrok base_serial base_usb base
TEST_USES_flash := flash base_usb base_proc base
TEST_USES_measure := measure base
TEST_USES_trace := trace measure base
TEST_USES_bench := bench power power_sigrok flash trace measure base_usb base_serial base_proc base
TEST_USES_db := db base
TEST_USES_daemon := daemon db trace measure base_proc base
TEST_USES_cli := cli base
TEST_USES_compiler := compiler runtime base_proc base
TEST_USES_firmware := base
TEST_USES_sim := sim measure base
UNIT_SRC := $(sort $(wildcard tests/unit/*/test_*.c))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)

define unit_module
$$(B)/unit/$(1)/%: tests/unit/$(1)/%.c $$(foreach m,$$(TEST_USES_$(1)),$$(B)/lib/lib$$(m).a)
	$$(call say,TEST,$$@)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(CPPFLAGS) $$(CFLAGS_ALL) $$(call pc,--cflags $$(foreach m,$$(TEST_USES_$(1)),$$(PC_$$(m))) jansson) -MMD -MP -MF $$@.d -o $$@ $$< $$(LDFLAGS_ALL) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(call pc,--libs $$(foreach m,$$(TEST_USES_$(1)),$$(PC_$$(m))) jansson cmocka) -lpthread -lm
endef
$(foreach m,$(patsubst TEST_USES_%,%,$(filter TEST_USES_%,$(.VARIABLES))),$(eval $(call unit_module,$(m))))

.PHONY: unit unit-build
unit-build: $(UNIT_BIN)
unit: $(UNIT_BIN)
	$(Q)$(RUN) --label unit $(UNIT_BIN)

# ---- what a person calls ------------------------------------------------------------------------------------------
# Targets that may install packages re-enter make afterwards, so that pkg-config is asked once everything is there.
.PHONY: demo check check-asan check-tsan lint fuzz soak bench install rules contract replay e2e fuzz-seeds setup-demo setup-check
demo: ; @./setup.sh demo && $(MAKE) --no-print-directory all && tests/e2e/demo.py $(if $(DEMO_EXIT),--exit) $(DEMO_ARGS)

# build, rules, unit, contract, replay, oracle, fuzz seeds, end to end; closes with one line of counts
check: ; @./setup.sh check && $(MAKE) --no-print-directory all && $(MAKE) --no-print-directory check-run
.PHONY: check-run
check-run:
	@rm -f $(B)/tally; bad=0; for t in rules unit contract replay oracle fuzz-seeds e2e; do \
	    $(MAKE) --no-print-directory TALLY=$(B)/tally $$t || bad=1; done; \
	  awk '{p+=$$1; f+=$$2; s+=$$3} END {printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0}' $(B)/tally && [ $$bad = 0 ]
TALLY ?=
RUN = tests/run.py $(if $(TALLY),--tally $(TALLY))

rules: all ; $(Q)$(RUN) --label rules tests/rules/rules.py tests/rules/docs.py
REPLAYS := $(sort $(wildcard tests/replay/test_*.py))
replay: all ; $(Q)$(RUN) --label replay $(REPLAYS)
E2E := $(sort $(wildcard tests/e2e/test_*.py))
e2e: all ; $(Q)$(RUN) --label e2e --timeout 600 $(E2E)

# the sanitizers' builds; the virtual bench stays uninstrumented under TSan (its CPU is generated code)
check-asan: ; @./setup.sh check && $(MAKE) --no-print-directory all && $(MAKE) --no-print-directory SAN=asan unit
# ... and under TSan a whole measurement and its cancelling too: daemon and workers instrumented, a report is a failed process
check-tsan: export TSAN_OPTIONS = halt_on_error=1 exitcode=66
check-tsan:
	@./setup.sh check && $(MAKE) --no-print-directory all && $(MAKE) --no-print-directory SAN=tsan unit all
	@JF_BUILD=$(CURDIR)/build/tsan tests/run.py --label tsan tests/e2e/test_measure.py tests/e2e/test_cancel.py

LINT_SRC := $(foreach m,$(MODULES),$(SRC_$(m))) $(foreach p,$(READY),$(MAIN_$(p)))
LINT_FLAGS = $(CPPFLAGS) -I$(B)/gen $(CSTD) $(call pc,--cflags $(sort $(foreach m,$(MODULES),$(PC_$(m)))))
lint: ; @./setup.sh lint && $(MAKE) --no-print-directory all && $(MAKE) --no-print-directory lint-run
.PHONY: lint-run
lint-run:
	$(Q)echo '  cppcheck'; cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --library=posix -j2 -I. -D_GNU_SOURCE -DJF_VERSION='""' $(LINT_SRC)
	$(Q)echo '  clang-tidy'; tests/rules/tidy.py $(LINT_SRC) -- $(LINT_FLAGS)
	$(Q)echo '  gcc -fanalyzer'; $(MAKE) --no-print-directory B=$(B)/analyzer CFLAGS='-fanalyzer' all

soak: ; @./setup.sh check && $(MAKE) --no-print-directory all && tests/e2e/soak.py
# what `jf-model firmware` compiles
INSTALL_FIRMWARE := firmware/LICENSE $(sort $(wildcard firmware/runtime/*.[ch] firmware/harness/*.[ch] firmware/include/*.h firmware/boards/*/*.* firmware/boards/*/*/*.*))
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/joulefarm/boards $(DESTDIR)$(PREFIX)/share/joulefarm/targets $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(READY:%=$(B)/%) $(DESTDIR)$(PREFIX)/bin
	install -m 644 config/boards/*.yaml $(DESTDIR)$(PREFIX)/share/joulefarm/boards
	install -m 644 compiler/targets/*.yaml $(DESTDIR)$(PREFIX)/share/joulefarm/targets
	for f in $(INSTALL_FIRMWARE); do install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/joulefarm/$$f; done
	install -m 644 config/*.yaml config/*.rules config/*.service $(DESTDIR)$(PREFIX)/share/joulefarm
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8

help:
	@echo 'make            build everything into build/'
	@echo 'make demo       three virtual benches, four models, a table, a page (DEMO_EXIT=1: end after the table)'
	@echo 'make paper      the campaign "paper": nine models, a table and the matrix of targets (PAPER_ARGS=--help)'
	@echo 'make check      rules, unit, contract, replay, oracle, fuzz seeds, end to end'
	@echo 'make check-asan check-tsan lint fuzz (FUZZ_S=300) soak bench install'

# module-specific rules live beside this file's generic ones; each is short and owned by its module
-include compiler/models/models.mk
-include firmware/firmware.mk
-include db/db.mk
-include daemon/daemon.mk
-include tests/contract/contract.mk
-include tests/fuzz/fuzz.mk
-include tests/bench/bench.mk
-include tests/bench/coverage.mk
-include tests/oracle/oracle.mk

-include $(shell find $(B)/obj $(B)/unit -name '*.d' 2>/dev/null)
