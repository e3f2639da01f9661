# SPDX-License-Identifier: GPL-2.0-or-later
# Fuzz targets: tests/fuzz/fuzz_<name>.c with seeds in tests/fuzz/seeds/<name>/. `make fuzz-seeds` replays the seeds with a
# plain main; `make fuzz FUZZ_S=300` runs each under libFuzzer (clang) with ASan and UBSan for FUZZ_S seconds.
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_S ?= 300
# what each target links: sources, compiled with the fuzzer's own instrumentation
FUZZ_SRC_tflite = $(filter compiler/ir% compiler/tflite% compiler/flatbuf% compiler/passes% compiler/lower% compiler/plan% compiler/exec% compiler/overlap%,$(SRC_compiler)) $(SRC_runtime) $(SRC_base)
FUZZ_SRC_onnx = $(filter compiler/ir% compiler/onnx% compiler/passes% compiler/lower% compiler/plan% compiler/exec% compiler/overlap%,$(SRC_compiler)) $(SRC_runtime) $(SRC_base)
FUZZ_EXTRA_onnx = -I$(B)/gen -w -x c $(B)/gen/onnx/onnx.pb-c.c -x none -lprotobuf-c
FUZZ_SRC_target = $(filter compiler/target% compiler/yaml_doc% compiler/quantity% compiler/ir% compiler/vendor_report%,$(SRC_compiler)) $(SRC_runtime) $(SRC_base)
FUZZ_SRC_ppk2 = drivers/power/ppk2/ppk2_proto.c drivers/power/ppk2/ppk2_stream.c $(SRC_base)
FUZZ_SRC_scpi = drivers/power/sigrok/scpi_proto.c $(SRC_base)
FUZZ_SRC_mlperf_line = bench/dut_proto.c $(SRC_base)
FUZZ_SRC_mlperf_cmd = $(wildcard firmware/harness/*.c) $(SRC_base)
FUZZ_SRC_http_json = daemon/jobspec.c daemon/blob.c daemon/elf.c daemon/conf.c daemon/conf_check.c daemon/conf_tables.c db/states.c $(SRC_base)
FUZZ_SRC_session = $(SRC_trace) $(SRC_measure) $(SRC_base)
FUZZ_SRC_trace = $(filter-out measure/trace/import% measure/trace/export%,$(SRC_trace)) $(SRC_measure) $(SRC_base)
FUZZ_PC = $(sort $(PC_trace) jansson libsodium sqlite3 libmicrohttpd yaml-0.1 libelf)
FUZZ_CFLAGS = $(CPPFLAGS) $(CSTD) -g -O1 -Ifirmware/include -Ifirmware/runtime -Ifirmware/harness $(call pc,--cflags $(FUZZ_PC))

$(B)/fuzz/seeds_%: tests/fuzz/fuzz_%.c tests/fuzz/standalone_main.c $(MAKEFILE_LIST)
	$(call say,FUZZ,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(FUZZ_CFLAGS) $(SANFLAGS_asan) -o $@ $(filter %.c,$^) $(FUZZ_SRC_$*) $(FUZZ_EXTRA_$*) $(call pc,--libs $(FUZZ_PC)) -lpthread -lm
$(B)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(MAKEFILE_LIST)
	$(call say,FUZZ,$@)
	$(Q)mkdir -p $(@D) && clang $(FUZZ_CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -o $@ $< $(FUZZ_SRC_$*) $(FUZZ_EXTRA_$*) $(call pc,--libs $(FUZZ_PC)) -lpthread -lm

# both are named here: a file that only a pattern rule knows is intermediate, and make would delete it after the first run
fuzz-seeds: $(FUZZ_NAMES:%=$(B)/fuzz/seeds_%) $(FUZZ_NAMES:%=$(B)/fuzz/run_%)
	$(Q)$(RUN) --label fuzz-seeds $(FUZZ_NAMES:%=$(B)/fuzz/run_%)
# a target without seeds is an error that the replaying main reports
$(B)/fuzz/run_%: $(B)/fuzz/seeds_%
	$(Q)printf '#!/bin/sh\nexec %s/fuzz/seeds_%s tests/fuzz/seeds/%s\n' $(B) $* $* >$@ && chmod +x $@

fuzz: ; @./setup.sh fuzz && $(MAKE) --no-print-directory fuzz-run
.PHONY: fuzz-run
fuzz-run: $(FUZZ_NAMES:%=$(B)/fuzz/fuzz_%)
	$(Q)for n in $(FUZZ_NAMES); do mkdir -p $(B)/fuzz/corpus/$$n $(B)/fuzz/found/$$n; echo "fuzz $$n for $(FUZZ_S) s"; \
	  $(B)/fuzz/fuzz_$$n -max_total_time=$(FUZZ_S) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	    -artifact_prefix=$(B)/fuzz/found/$$n/ $(B)/fuzz/corpus/$$n tests/fuzz/seeds/$$n >$(B)/fuzz/$$n.log 2>&1 \
	    || { tail -40 $(B)/fuzz/$$n.log; exit 1; }; grep -E 'stat::number_of_executed_units|stat::new_units_added' $(B)/fuzz/$$n.log; done
