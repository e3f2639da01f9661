# SPDX-License-Identifier: GPL-2.0-or-later
# Served files, embedded: the pages and the API's description.
DAEMON_ASSETS := daemon/openapi.json $(sort $(wildcard $(addprefix web/*.,html js css svg ico)))
$(B)/gen/daemon_assets.c: daemon/embed.sh $(DAEMON_ASSETS) web
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && sh daemon/embed.sh daemon_assets $(DAEMON_ASSETS) > $@
$(B)/obj/gen/daemon_assets.o: $(B)/gen/daemon_assets.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS_ALL) -c $< -o $@
$(B)/lib/libdaemon.a: $(B)/obj/gen/daemon_assets.o
