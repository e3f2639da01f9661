# SPDX-License-Identifier: GPL-2.0-or-later
# The migrations, embedded in order of their numbers.
DB_SCHEMA := $(sort $(wildcard db/schema/[0-9]*.sql))
$(B)/gen/db_schema.c: daemon/embed.sh $(DB_SCHEMA)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && sh daemon/embed.sh db_schema $(DB_SCHEMA) > $@
$(B)/obj/gen/db_schema.o: $(B)/gen/db_schema.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS_ALL) -c $< -o $@
$(B)/lib/libdb.a: $(B)/obj/gen/db_schema.o
