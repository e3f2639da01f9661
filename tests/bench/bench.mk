# SPDX-License-Identifier: GPL-2.0-or-later
# `make bench`: the figures of docs/performance.md, measured on this machine, into build/bench.json. BENCH_ARGS='--only pipeline';
# FULL=1: the long capture lasts ten minutes.
$(B)/bench_pipeline: tests/bench/bench_pipeline.c $(patsubst %,$(B)/lib/lib%.a,power trace measure base_serial base_usb base)
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(call pc,--cflags jansson) -o $@ $< $(LDFLAGS_ALL) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
	  $(call pc,--libs $(sort $(PC_power) $(PC_trace) $(PC_base_serial) $(PC_base_usb))) -lpthread -lm

bench: ; @./setup.sh check && $(MAKE) --no-print-directory all $(B)/bench_pipeline && tests/bench/bench.py $(if $(FULL),--full) $(BENCH_ARGS)
