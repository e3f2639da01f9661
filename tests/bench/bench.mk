# SPDX-License-Identifier: GPL-2.0-or-later
# `make bench`: the figures of docs/performance.md, measured on this machine, into build/bench.json. BENCH_ARGS='--only pipeline';
# FULL=1: the long capture lasts ten minutes,
# the trace has 1e9 samples. JLS=DIR: a built source tree of the JLS library, measured beside.
$(B)/bench_pipeline: tests/bench/bench_pipeline.c $(patsubst %,$(B)/lib/lib%.a,power trace measure base_serial base_usb base)
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(call pc,--cflags jansson) -o $@ $< $(LDFLAGS_ALL) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
	  $(call pc,--libs $(sort $(PC_power) $(PC_trace) $(PC_base_serial) $(PC_base_usb))) -lpthread -lm

$(B)/bench_trace: tests/bench/bench_trace.c tests/bench/trace_data.h $(patsubst %,$(B)/lib/lib%.a,trace measure base)
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(call pc,--cflags jansson) -o $@ $< $(LDFLAGS_ALL) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
	  $(call pc,--libs $(PC_trace)) -lm

# a user's own build of the peer; its headers are not held to this project's warnings
JLS ?=
$(B)/bench_jls: tests/bench/bench_jls.c tests/bench/trace_data.h
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CSTD) -O2 -isystem $(JLS)/include -o $@ $< $(firstword $(wildcard $(JLS)/build/src/libjls.a $(JLS)/src/libjls.a $(JLS)/libjls.a)) -lpthread -lm

BENCH_PROGRAMS = $(B)/bench_pipeline $(B)/bench_trace $(if $(JLS),$(B)/bench_jls)
bench: ; @./setup.sh check && $(MAKE) --no-print-directory all $(BENCH_PROGRAMS) && tests/bench/bench.py $(if $(FULL),--full) $(if $(JLS),--jls) $(BENCH_ARGS)

# two instruments, one time: the end-to-end test with a minute between the first and the last sync train (about 100 s)
.PHONY: align-60
align-60: ; @./setup.sh check && $(MAKE) --no-print-directory all && JF_ALIGN_S=60 tests/e2e/test_two_instruments.py
