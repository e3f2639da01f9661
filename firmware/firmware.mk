# SPDX-License-Identifier: MIT
# Firmware: one ELF per model x board (build/firmware/<board>/<model id>.elf) out of harness, board and what jf-model emits.
# `make firmware` builds the boards of FW_BOARDS, `make firmware-qemu` the machine for tests, `make firmware-performance` performance-mode images
# (build/firmware/<board>-performance/). Without a cross compiler the rest of the project still builds; `make firmware` then says what is missing.

FW_CROSS ?= arm-none-eabi-
FW_CC := $(FW_CROSS)gcc
FW_BOARDS := nucleo-h7a3zi-q
FW_MODELS := ad01 kws01 ic01 vww01
FW_TFLITE_ad01 := firmware/models/ad01_int8.tflite
FW_TFLITE_kws01 := firmware/models/kws_ref_model.tflite
FW_TFLITE_ic01 := firmware/models/pretrainedResnet_quant.tflite
FW_TFLITE_vww01 := firmware/models/vww_96_int8.tflite

FW_HARNESS := $(sort $(wildcard firmware/harness/*.c))
FW_RUNTIME := $(sort $(wildcard firmware/runtime/*.c))
FW_HEADERS := $(wildcard firmware/harness/*.h firmware/boards/common/*.h firmware/include/*.h firmware/runtime/*.h)
# Soft float: the kernels are integer, the few conversions outside windows are not worth an FPU context (or its energy).
FW_ARCH := -mcpu=cortex-m7 -mthumb -mfloat-abi=soft
FW_CFLAGS := $(CSTD) $(WARN) $(FW_ARCH) -g -ffunction-sections -fdata-sections -fno-common -I. -ffile-prefix-map=$(CURDIR)=.
FW_LDFLAGS := $(FW_ARCH) -nostartfiles -Wl,--gc-sections -Wl,--build-id -Wl,--fatal-warnings

# The harness on the host, for its unit tests.
OBJ_harness := $(FW_HARNESS:%.c=$(B)/obj/%.o)
$(B)/lib/libharness.a: $(OBJ_harness)
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $^
$(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/firmware/test_*.c)): $(B)/lib/libharness.a

# $(1) directory under build/firmware, $(2) board, $(3) extra flags
define fw_variant
build/firmware/$(1)/obj/%.o: %.c $(FW_HEADERS)
	$$(call say,ARMCC,$$<)
	$$(Q)mkdir -p $$(@D) && $(FW_CC) $(FW_CFLAGS) -O2 $(3) -c $$< -o $$@
build/firmware/$(1)/obj/firmware/runtime/%.o: firmware/runtime/%.c $(FW_HEADERS)
	$$(call say,ARMCC,$$<)
	$$(Q)mkdir -p $$(@D) && $(FW_CC) $(FW_CFLAGS) -O3 $(3) -c $$< -o $$@
build/firmware/$(1)/obj/%.o: %.S
	$$(call say,ARMCC,$$<)
	$$(Q)mkdir -p $$(@D) && $(FW_CC) $(FW_ARCH) -c $$< -o $$@
build/firmware/$(1)/obj/firmware/boards/%.o: $$(wildcard firmware/boards/$(2)/*.h)
FW_OBJ_$(1) := $$(patsubst %,build/firmware/$(1)/obj/%.o,$$(basename $(FW_HARNESS) $(wildcard firmware/boards/common/*.c) $(FW_RUNTIME) $$(wildcard firmware/boards/$(2)/*.c firmware/boards/$(2)/*.S)))
build/firmware/$(1)/%.elf: build/firmware/models/%.o $$(FW_OBJ_$(1)) firmware/boards/$(2)/link.ld
	$$(call say,ARMLD,$$@)
	$$(Q)$(FW_CC) $(FW_LDFLAGS) -T firmware/boards/$(2)/link.ld -o $$@ $$(filter %.o,$$^)
.SECONDARY: $$(FW_OBJ_$(1))
endef
$(foreach b,$(FW_BOARDS) qemu-mps2-an500,$(eval $(call fw_variant,$(b),$(b),-DJF_MODE=JF_MODE_ENERGY)))
$(foreach b,$(FW_BOARDS) qemu-mps2-an500,$(eval $(call fw_variant,$(b)-performance,$(b),-DJF_MODE=JF_MODE_PERFORMANCE)))
