# SPDX-License-Identifier: GPL-2.0-or-later
# Contract tests: one suite over every driver or runner. tests/contract/test_*.c are cmocka programs, each linked with all of
# tests/contract/fake_*.c and with what the worker is linked with; tests/contract/test_*.py are run as they are.
CONTRACT_USES := $(USES_jf-bench)
CONTRACT_LIBS := $(CONTRACT_USES:%=$(B)/lib/lib%.a)
CONTRACT_PC := $(sort $(foreach m,$(CONTRACT_USES),$(PC_$(m))) jansson cmocka)
CONTRACT_FAKES := $(sort $(wildcard tests/contract/fake_*.c))
CONTRACT_SRC := $(sort $(wildcard tests/contract/test_*.c))
CONTRACT_BIN := $(CONTRACT_SRC:tests/contract/%.c=$(B)/contract/%)
CONTRACT_PY := $(sort $(wildcard tests/contract/test_*.py)) tests/contract/openapi_walk.py
PTY_SHIM := $(B)/contract/pty_shim.so

$(B)/contract/%: tests/contract/%.c $(CONTRACT_FAKES) $(wildcard tests/contract/*.h) $(CONTRACT_LIBS)
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS_ALL) -DJF_BUILD='"$(B)"' $(call pc,--cflags $(CONTRACT_PC)) -o $@ $< $(CONTRACT_FAKES) $(LDFLAGS_ALL) \
	  -Wl,--start-group $(CONTRACT_LIBS) -Wl,--end-group $(call pc,--libs $(CONTRACT_PC)) -lpthread -lm

# answers the modem-line ioctls that a pty refuses, so that libserialport itself can be tested on one (never instrumented: preloaded)
$(PTY_SHIM): tests/contract/pty_shim.c
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CSTD) $(WARN) $(OPT) -fPIC -shared -o $@ $<

# a replay helper: decodes a recorded PPK2 stream into text
$(B)/contract/ppk2_decode: tests/replay/ppk2_decode.c $(CONTRACT_LIBS)
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS_ALL) -o $@ $< $(LDFLAGS_ALL) -Wl,--start-group $(CONTRACT_LIBS) -Wl,--end-group \
	  $(call pc,--libs $(CONTRACT_PC)) -lpthread -lm

contract: all $(CONTRACT_BIN) $(PTY_SHIM)
	$(Q)$(RUN) --label contract $(CONTRACT_BIN) $(CONTRACT_PY)
replay: $(B)/contract/ppk2_decode
