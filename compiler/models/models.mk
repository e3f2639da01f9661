# SPDX-License-Identifier: GPL-2.0-or-later
# The paper's five networks as untrained models: build/models/paper_*.tflite, the same bytes everywhere (tests/contract/test_paper.py holds their
# hashes). `make paper` measures them beside the four MLPerf Tiny models on virtual benches (PAPER_ARGS=--help); what it builds is told on standard
# error, so that the tables or the JSON stand alone.
PAPER_NAMES := paper_nas paper_resnet paper_simplenet paper_autoencoder paper_yolo
PAPER_TFLITE := $(PAPER_NAMES:%=build/models/%.tflite)
$(foreach m,$(PAPER_NAMES),$(eval FW_TFLITE_$(m) := build/models/$(m).tflite))

build/models/%.tflite: compiler/models/paper.py tests/replay/tflite_writer.py
	$(call say,MODEL,$@)
	$(Q)compiler/models/paper.py build/models $(*:paper_%=%)

.PHONY: paper
paper: ; @./setup.sh demo >&2 && $(MAKE) --no-print-directory all $(PAPER_TFLITE) >&2 && tests/e2e/campaign.py $(PAPER_ARGS)
