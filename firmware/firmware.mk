# SPDX-License-Identifier: MIT
# Firmware: one ELF per model x board (build/firmware/<board>/<model id>.elf), made by `jf-model firmware` as boards/<board>/build.conf says.
# `make firmware` (part of `all`) builds the boards of FW_BOARDS, `make firmware-qemu` the machine for tests in both modes (part of `contract`),
# `make firmware-performance` performance-mode images (build/firmware/<board>-performance/), `make firmware-paper` the paper's five models
# (compiler/models/models.mk; part of `contract`). Without a cross compiler the rest still builds and one
# line says what is missing. All of it lies in build/, whatever the sanitizer: it is not instrumented.

FW_CROSS ?= arm-none-eabi-
FW_CC := $(FW_CROSS)gcc
FW_BOARDS := nucleo-h7a3zi-q
FW_MODELS := ad01 kws01 ic01 vww01
FW_TFLITE_ad01 := firmware/models/ad01_int8.tflite
FW_TFLITE_kws01 := firmware/models/kws_ref_model.tflite
FW_TFLITE_ic01 := firmware/models/pretrainedResnet_quant.tflite
FW_TFLITE_vww01 := firmware/models/vww_96_int8.tflite
F := build/firmware

FW_HARNESS := $(sort $(wildcard firmware/harness/*.c))
# ---- the harness on the host, for its unit tests -----------------------------------------------------------------
OBJ_harness := $(FW_HARNESS:%.c=$(B)/obj/%.o)
$(B)/lib/libharness.a: $(OBJ_harness)
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $^
$(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/firmware/test_*.c)): $(B)/lib/libharness.a

# ---- images: $(1) directory in build/firmware, $(2) board, $(3) mode, $(4) model -------------------------------------
FW_SHARED := $(wildcard $(addprefix firmware/,runtime/*.[ch] harness/*.[ch] include/*.h boards/common/*))
define fw_image
$(F)/$(1)/$(4).elf: $(FW_TFLITE_$(4)) build/jf-model $(FW_SHARED) $(wildcard firmware/boards/$(2)/*)
	$$(call say,ARMCC,$$@)
	$$(Q)mkdir -p $$(@D) && build/jf-model firmware $$< --board $(2) --mode $(3) --name $(4) --out $$@ --firmware-dir firmware --strict >/dev/null
endef
$(foreach m,$(FW_MODELS),$(foreach b,$(FW_BOARDS) qemu-mps2-an500,$(eval $(call fw_image,$(b),$(b),energy,$(m)))\
  $(eval $(call fw_image,$(b)-performance,$(b),performance,$(m)))))

$(foreach m,$(PAPER_NAMES),$(eval $(call fw_image,nucleo-h7a3zi-q,nucleo-h7a3zi-q,energy,$(m))))
$(eval $(call fw_image,qemu-mps2-an500,qemu-mps2-an500,energy,paper_autoencoder))

FW_ELF := $(foreach b,$(FW_BOARDS),$(FW_MODELS:%=$(F)/$(b)/%.elf))
FW_ELF_PERFORMANCE := $(foreach b,$(FW_BOARDS),$(FW_MODELS:%=$(F)/$(b)-performance/%.elf))
FW_ELF_PAPER := $(PAPER_NAMES:%=$(F)/nucleo-h7a3zi-q/%.elf) $(F)/qemu-mps2-an500/paper_autoencoder.elf
FW_ELF_QEMU := $(FW_MODELS:%=$(F)/qemu-mps2-an500/%.elf) $(F)/qemu-mps2-an500-performance/ad01.elf

.PHONY: firmware firmware-qemu firmware-performance firmware-paper
ifneq ($(shell command -v $(FW_CC) 2>/dev/null),)
firmware: $(FW_ELF)
firmware-performance: $(FW_ELF_PERFORMANCE)
firmware-qemu: $(FW_ELF_QEMU)
firmware-paper: $(FW_ELF_PAPER)
else
firmware firmware-qemu firmware-performance firmware-paper:
	@echo "  no firmware: $(FW_CC) is not installed (Debian: gcc-arm-none-eabi, libnewlib-arm-none-eabi)"
endif
ifeq ($(B),build)
all: firmware
contract: firmware-qemu firmware-paper
endif
