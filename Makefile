# The contract with everybody: `make run` to see it work, `make test` to know
# that it does. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The tags that Caddy's own releases and xcaddy build with.
TAGS := nobadger,nomysql,nopgx

FUZZTIME ?= 15s

.PHONY: help build vault run test bench fuzz lint fmt clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/caddy: Caddy with this plugin
	@tools/make/need.sh go
	go build -trimpath -tags $(TAGS) -o bin/caddy ./cmd/caddy

vault: ## bin/vault: the real Vault server that the tests run
	@tools/make/tool.sh vault github.com/hashicorp/vault -tags minimal

run: ## start Caddy with a demo integration and a demo upstream
	@tools/make/need.sh go
	@echo "building the demo; the first time takes a minute or two"
	@go build -trimpath -tags $(TAGS) -o bin/demo ./cmd/demo
	@exec bin/demo

test: ## all set-up and all tests
	@tools/make/test.sh

bench: ## the benchmarks, and a minute side by side with plain reverse_proxy
	@tools/make/need.sh go
	@packages=$$(tools/make/packages.sh Benchmark); go test -run '^$$' -bench . -benchmem -benchtime 0.5s $$packages
	@go run -tags $(TAGS) ./bench

fuzz: ## each fuzz target for FUZZTIME (15s)
	@tools/make/fuzz.sh $(FUZZTIME)

lint: ## Caddy's own set of linters, and a look at the texts
	@tools/make/lint.sh

fmt: ## format Go files and Caddyfiles
	@tools/make/tool.sh golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint -trimpath -ldflags='-s -w'
	bin/golangci-lint fmt
	@$(MAKE) build
	@git ls-files '*.caddyfile' '*Caddyfile' | while read -r f; do bin/caddy fmt --overwrite "$$f"; done

clean: ## remove what the targets built
	rm -rf bin
