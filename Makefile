# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets.

SWIFT ?= swift
# For `make build` and `make install`; --static-swift-stdlib makes a program that runs without Swift.
SWIFT_BUILD_FLAGS ?=
PREFIX ?= /usr/local
DESTDIR ?=
# Folders of `make data` and of the test clips.
DATA ?= data
DATA_TEST ?= data-test

PROGRAM = .build/release/videnhance
MODELS = $(wildcard Sources/EnhancementModel/Resources/*.safetensors)
# Tests see internal declarations, so their modules are other ones than those shipped: they get their own folders.
TEST_FLAGS = -Xswiftc -enable-testing
CHECK_FLAGS = $(TEST_FLAGS) -Xswiftc -warnings-as-errors

.PHONY: help build demo test test-arm bench matrix fuzz faults soak man check lint sanitize data install clean deps
.DEFAULT_GOAL = help

help:
	@echo 'make demo      enhance a small clip at 4 bits, compare with bicubic; results in samples/out'
	@echo 'make test      run all tests'
	@echo 'make matrix    enhance 100 sources of all kinds, ffprobe judges (docs/video-files.md)'
	@echo 'make faults    kill it, starve it, fill its disk (docs/reliability.md)'
	@echo 'make fuzz      feed it garbage, under AddressSanitizer'
	@echo 'make soak      an hour of film; memory, descriptors and sound are watched (MINUTES=60)'
	@echo 'make bench     time kernels, other engines and whole runs; check recorded ratios (docs/performance.md)'
	@echo 'make test-arm  compile the kernels for arm64 and compare them with the scalar ones under qemu'
	@echo 'make build     build $(PROGRAM)'
	@echo 'make install   install program, models, manual and completions below PREFIX ($(PREFIX))'
	@echo 'make man       write the manual into .build/manual'
	@echo 'make data      fetch the training material (130 MB) into DATA ($(DATA))'
	@echo 'make check     lint, tests without a single warning, tests under AddressSanitizer'
	@echo 'make clean     remove what was built'
	@echo 'Programs and libraries that are missing are installed (Debian, as root); Swift is not.'

deps:
	@Scripts/install-deps.sh

build: deps
	$(SWIFT) build -c release --product videnhance $(SWIFT_BUILD_FLAGS)

demo: build
	@samples/demo.sh $(PROGRAM) $(DATA_TEST)

test: deps
	$(SWIFT) test -c release $(TEST_FLAGS) --scratch-path .build-test

test-arm:
	Scripts/test-arm.sh

# The few of them that are marked as short are part of `make test`.
matrix: deps
	VIDENHANCE_MATRIX=full $(SWIFT) test -c release $(TEST_FLAGS) --scratch-path .build-test --filter MatrixTests

# Inputs of each kind; FUZZ_SEED=2 makes others. What ended the process is left in FUZZ_DIR.
FUZZ_DIR ?= /tmp/videnhance-fuzz
fuzz: deps
	mkdir -p $(FUZZ_DIR)
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
		FUZZ_DIR=$(FUZZ_DIR) FUZZ_MODELS=$${FUZZ_MODELS:-100000} FUZZ_VIDEOS=$${FUZZ_VIDEOS:-3000} \
		FUZZ_OPTIONS=$${FUZZ_OPTIONS:-100000} FUZZ_MANIFESTS=$${FUZZ_MANIFESTS:-100000} \
		$(SWIFT) test -c release --sanitize address $(TEST_FLAGS) --scratch-path .build-sanitize \
		--filter FuzzTests

# 30 kills in each of seven kinds of work, every number of descriptors, many limits of memory.
faults: deps
	KILLS=30 $(SWIFT) test -c release $(TEST_FLAGS) --scratch-path .build-test \
		--filter 'ResumeTests|FaultTests|DeterminismTests'

# `make bench BENCH_FLAGS='--docs docs --record'` renews docs/benchmark.md and the recorded ratios.
BENCH_FLAGS ?=
bench: build
	Benchmarks/run.sh $(PROGRAM) $(DATA_TEST) .build-bench $(BENCH_FLAGS)

soak: build
	@Scripts/soak.sh $(PROGRAM)

check: lint
	$(SWIFT) test -c release $(CHECK_FLAGS) --scratch-path .build-check
	$(MAKE) --no-print-directory sanitize

lint: deps
	$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests

# Leaks are not looked for: Swift's runtime keeps what it needs until the end.
sanitize: deps
	ASAN_OPTIONS=detect_leaks=0 $(SWIFT) test -c release --sanitize address $(TEST_FLAGS) \
		--scratch-path .build-sanitize

data: deps
	Scripts/fetch-data.sh $(DATA)

# The manual of all commands, made by swift-argument-parser's tool.
man: build
	$(SWIFT) build -c release --product generate-manual $(SWIFT_BUILD_FLAGS)
	mkdir -p .build/manual
	.build/release/generate-manual $(PROGRAM) --multi-page --output-directory .build/manual

SHARE = $(DESTDIR)$(PREFIX)/share

install: man
	install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/videnhance $(SHARE)/man/man1 $(SHARE)/zsh/site-functions \
		$(SHARE)/bash-completion/completions $(SHARE)/fish/vendor_completions.d
	install -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/videnhance
	install -m 644 .build/manual/*.1 $(SHARE)/man/man1
	$(PROGRAM) --generate-completion-script bash > $(SHARE)/bash-completion/completions/videnhance
	$(PROGRAM) --generate-completion-script zsh > $(SHARE)/zsh/site-functions/_videnhance
	$(PROGRAM) --generate-completion-script fish > $(SHARE)/fish/vendor_completions.d/videnhance.fish
	$(if $(MODELS),install -m 644 $(MODELS) $(DESTDIR)$(PREFIX)/share/videnhance)

clean:
	rm -rf .build .build-test .build-check .build-sanitize .build-bench samples/out
