# `make help` says what there is. GNU make 4.3 or newer, Go, and git are needed;
# hack/install.sh gets the rest (Debian, Ubuntu).

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# Packages whose tests run at the same time: each of them starts daemons and
# registries of its own.
TEST_PARALLEL ?= 2
TEST_TIMEOUT  ?= 30m
TEST_FLAGS    ?=

# No C compiler is needed. `make test CGO_ENABLED=1 TEST_FLAGS=-race` wants one.
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.PHONY: build helpers tools deps test integration frontend cosign structure verify demo bench clean help

build: helpers ## bin/seatrial (the default)
	$(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/seatrial ./cmd/seatrial

# The first process of a test in its container, which seatrial embeds. Cache keys
# hold its digest: nothing in it or in the settings here may change from build to
# build.
HELPER_ARCHS   := 386 amd64 arm arm64 ppc64le riscv64 s390x
HELPER_SOURCES := $(filter-out %_test.go,$(wildcard testsuite/helper/init/*.go testsuite/helper/protocol/*.go \
	testsuite/helper/layer/*.go testsuite/helper/pack/*.go))

helpers: $(HELPER_ARCHS:%=testsuite/helper/bin/init-%.gz) ## the test helper, for all architectures

testsuite/helper/bin/init-%.gz: $(HELPER_SOURCES) go.mod
	CGO_ENABLED=0 GOOS=linux GOARCH=$* GOAMD64=v1 GOARM=6 GO386=sse2 GOFLAGS= GOEXPERIMENT= \
		$(GO) build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o $(@:.gz=) ./testsuite/helper/init
	$(GO) run ./testsuite/helper/pack $(@:.gz=)

tools: bin/buildkitd bin/buildctl bin/rootlesskit ## the daemon, built from the versions in go.mod

# Not trimmed of paths: so what is compiled here serves `go test` as well.
bin/buildkitd bin/buildctl bin/rootlesskit &: go.mod go.sum
	@mkdir -p bin
	$(GO) build -o bin/ -ldflags "-s -w -X github.com/moby/buildkit/version.Version=$$($(GO) list -m -f '{{.Version}}' github.com/moby/buildkit)" \
		github.com/moby/buildkit/cmd/buildkitd \
		github.com/moby/buildkit/cmd/buildctl \
		github.com/rootless-containers/rootlesskit/v3/cmd/rootlesskit
	@touch bin/buildkitd bin/buildctl bin/rootlesskit

# Tools that seatrial itself has no use for are modules of their own.
bin/buildkitd-old: hack/compat/go.mod hack/compat/go.sum
	@mkdir -p bin
	cd hack/compat && $(GO) build -ldflags "-s -w -X github.com/moby/buildkit/version.Version=$$($(GO) list -m -f '{{.Version}}' github.com/moby/buildkit)" \
		-o '$(CURDIR)/$@' github.com/moby/buildkit/cmd/buildkitd
	@touch $@

bin/buildx: hack/bench/buildx/go.mod hack/bench/buildx/go.sum
	cd hack/bench/buildx && $(GO) build -trimpath -buildvcs=false -ldflags '-s -w' -o '$(CURDIR)/bin/' github.com/docker/buildx/cmd/buildx
	@touch $@

bin/golangci-lint: hack/lint/go.mod hack/lint/go.sum
	cd hack/lint && $(GO) build -trimpath -buildvcs=false -ldflags '-s -w' -o '$(CURDIR)/bin/' github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

bin/cosign: hack/cosign/go.mod hack/cosign/go.sum
	cd hack/cosign && $(GO) build -trimpath -buildvcs=false -ldflags '-s -w' -o '$(CURDIR)/bin/' github.com/sigstore/cosign/v3/cmd/cosign
	@touch $@

deps: ## install the packages that the tests need (asks nothing, says what)
	hack/install.sh test

test: deps build tools bin/buildkitd-old ## all tests, against real daemons and registries
	$(GO) test -p $(TEST_PARALLEL) -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) ./...

integration: test ## the same: there are no others

frontend: deps tools ## BuildKit's own Dockerfile tests, against our frontend (PATTERN=TestCopy…; all: 15 minutes)
	hack/frontend/run.sh $(PATTERN)

cosign: deps helpers tools bin/cosign ## signatures, against cosign itself (building it takes minutes)
	$(GO) test -tags cosign -run TestCosign -count=1 $(TEST_FLAGS) ./cmd/seatrial

structure: ## structure tests, against the container-structure-test that CONTAINER_STRUCTURE_TEST=FILE is
	CONTAINER_STRUCTURE_TEST='$(abspath $(CONTAINER_STRUCTURE_TEST))' $(GO) test -tags structure -run TestRealVerdicts -count=1 $(TEST_FLAGS) ./testsuite/structure

verify: helpers bin/golangci-lint ## formatting, linters, module files, import rules
	hack/install.sh lint
	hack/verify.sh

demo: ## build, test, and push hack/examples/flask, and look at what came out
	hack/demo.sh

bench: build tools bin/buildx ## compare with buildctl and buildx bake; writes hack/bench/RESULTS.md
	hack/install.sh demo
	$(GO) run ./hack/bench $(BENCH_FLAGS)

clean: ## remove what was built
	rm -rf bin testsuite/helper/bin/init-*

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' Makefile
