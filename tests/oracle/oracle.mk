# SPDX-License-Identifier: GPL-2.0-or-later
# The independent executors that the compiler is compared with: built and installed under build/oracle, nothing in the tree.
ORACLE := build/oracle

$(ORACLE)/armnn_oracle: tests/oracle/armnn_oracle.cpp
	$(call say,CXX,$@)
	$(Q)mkdir -p $(@D) && g++ -std=c++17 -O1 -Wall -Wextra -o $@ $< -larmnn -larmnnTfLiteParser

$(ORACLE)/node_modules/.package-lock.json: tests/oracle/package.json tests/oracle/package-lock.json tests/oracle/.npmrc
	$(call say,NPM,$(ORACLE))
	$(Q)mkdir -p $(ORACLE) && cp $^ $(ORACLE)/ && cd $(ORACLE) && npm ci --ignore-scripts --silent && touch node_modules/.package-lock.json

.PHONY: oracle-setup
oracle-setup: $(ORACLE)/armnn_oracle $(ORACLE)/node_modules/.package-lock.json

# jf-model beside them; MODELS=1000 SEEDS=25 make oracle: the long study
oracle: all oracle-setup ; $(Q)$(RUN) --label oracle --timeout 3600 tests/oracle/test_oracles.py
.PHONY: oracle
