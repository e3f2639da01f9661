# SPDX-License-Identifier: GPL-2.0-or-later
# The coverage study of U95: `make coverage RUNS=1000`. Its quick form is tests/unit/measure/test_coverage.c.
RUNS ?= 100
$(B)/coverage_study: tests/bench/coverage_study.c tests/bench/coverage.h tests/unit/measure/synth.h $(B)/lib/libmeasure.a $(B)/lib/libbase.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -o $@ $< $(LDFLAGS_ALL) $(B)/lib/libmeasure.a $(B)/lib/libbase.a -lm

.PHONY: coverage
coverage: $(B)/coverage_study
	$(Q)$< $(RUNS)
