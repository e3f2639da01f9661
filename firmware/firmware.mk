# SPDX-License-Identifier: MIT
# Firmware: one ELF per model x board (build/firmware/<board>/<model id>.elf) out of harness, board and what jf-model emits.
# `make firmware` (part of `all`) builds the boards of FW_BOARDS, `make firmware-qemu` the machine for tests in both modes (part of `contract`),
# `make firmware-performance` performance-mode images (build/firmware/<board>-performance/). Without a cross compiler the rest still builds and one
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
FW_RUNTIME := $(sort $(wildcard firmware/runtime/*.c))
FW_HEADERS := $(wildcard firmware/harness/*.h firmware/boards/common/*.h firmware/include/*.h firmware/runtime/*.h)
# Soft float: the kernels are integer, the few conversions outside windows are not worth an FPU context (or its energy).
FW_ARCH := -mcpu=cortex-m7 -mthumb -mfloat-abi=soft
FW_CFLAGS := $(CSTD) $(WARN) $(FW_ARCH) -g -ffunction-sections -fdata-sections -fno-common -I. -ffile-prefix-map=$(CURDIR)=.
FW_LDFLAGS := $(FW_ARCH) -nostartfiles -Wl,--gc-sections -Wl,--build-id -Wl,--fatal-warnings

# ---- the harness on the host, for its unit tests -----------------------------------------------------------------
OBJ_harness := $(FW_HARNESS:%.c=$(B)/obj/%.o)
$(B)/lib/libharness.a: $(OBJ_harness)
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $^
$(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/firmware/test_*.c)): $(B)/lib/libharness.a

# ---- models: emitted C and the harness's view of it, one object ----------------------------------------------------
# $(1) model id
define fw_model
$(F)/models/jfm_$(1).c: $(FW_TFLITE_$(1)) build/jf-model
	$$(call say,EMIT,$$@)
	$$(Q)mkdir -p $$(@D) && build/jf-model emit $$< --name $(1) --out $$(@D)
$(F)/models/$(1).o: $(F)/models/jfm_$(1).c firmware/boards/common/jf_net_model.c $(FW_HEADERS)
	$$(call say,ARMCC,$$@)
	$$(Q)$(FW_CC) $(FW_CFLAGS) -O3 -c $$< -o $(F)/models/jfm_$(1).o
	$$(Q)$(FW_CC) $(FW_CFLAGS) -O2 -DJF_NET_MODEL=jfm_$(1) -c firmware/boards/common/jf_net_model.c -o $(F)/models/net_$(1).o
	$$(Q)$(FW_CC) $(FW_ARCH) -nostdlib -r $(F)/models/jfm_$(1).o $(F)/models/net_$(1).o -o $$@
endef
$(foreach m,$(FW_MODELS),$(eval $(call fw_model,$(m))))

# ---- images: $(1) directory in build/firmware, $(2) board, $(3) extra flags ------------------------------------------
define fw_variant
FW_OBJ_$(1) := $$(patsubst %,$(F)/$(1)/obj/%.o,$$(basename $(FW_HARNESS) $(FW_RUNTIME) $$(wildcard firmware/boards/$(2)/*.c firmware/boards/$(2)/*.S)))
$(F)/$(1)/obj/firmware/runtime/%.o: firmware/runtime/%.c $(FW_HEADERS)
	$$(call say,ARMCC,$$<)
	$$(Q)mkdir -p $$(@D) && $(FW_CC) $(FW_CFLAGS) -O3 $(3) -c $$< -o $$@
$(F)/$(1)/obj/%.o: %.c $(FW_HEADERS) $$(wildcard firmware/boards/$(2)/*.h)
	$$(call say,ARMCC,$$<)
	$$(Q)mkdir -p $$(@D) && $(FW_CC) $(FW_CFLAGS) -O2 $(3) -c $$< -o $$@
$(F)/$(1)/obj/%.o: %.S
	$$(call say,ARMCC,$$<)
	$$(Q)mkdir -p $$(@D) && $(FW_CC) $(FW_ARCH) -c $$< -o $$@
$(F)/$(1)/%.elf: $(F)/models/%.o $$(FW_OBJ_$(1)) firmware/boards/$(2)/link.ld
	$$(call say,ARMLD,$$@)
	$$(Q)$(FW_CC) $(FW_LDFLAGS) -T firmware/boards/$(2)/link.ld -o $$@ $$(filter %.o,$$^)
.SECONDARY: $$(FW_OBJ_$(1)) $(FW_MODELS:%=$(F)/models/%.o)
endef
$(foreach b,$(FW_BOARDS) qemu-mps2-an500,$(eval $(call fw_variant,$(b),$(b),-DJF_MODE=JF_MODE_ENERGY)))
$(foreach b,$(FW_BOARDS) qemu-mps2-an500,$(eval $(call fw_variant,$(b)-performance,$(b),-DJF_MODE=JF_MODE_PERFORMANCE)))

FW_ELF := $(foreach b,$(FW_BOARDS),$(FW_MODELS:%=$(F)/$(b)/%.elf))
FW_ELF_PERFORMANCE := $(foreach b,$(FW_BOARDS),$(FW_MODELS:%=$(F)/$(b)-performance/%.elf))
FW_ELF_QEMU := $(FW_MODELS:%=$(F)/qemu-mps2-an500/%.elf) $(F)/qemu-mps2-an500-performance/ad01.elf

.PHONY: firmware firmware-qemu firmware-performance
ifneq ($(shell command -v $(FW_CC) 2>/dev/null),)
firmware: $(FW_ELF)
firmware-performance: $(FW_ELF_PERFORMANCE)
firmware-qemu: $(FW_ELF_QEMU)
else
firmware firmware-qemu firmware-performance:
	@echo "  no firmware: $(FW_CC) is not installed (Debian: gcc-arm-none-eabi, libnewlib-arm-none-eabi)"
endif
ifeq ($(B),build)
all: firmware
contract: firmware-qemu
endif
