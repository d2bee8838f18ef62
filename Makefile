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

# CI builds the sample for debugging, which takes less than two thirds of the processor time.
SAMPLE_CONFIGURATION ?= release
# The build folder; `make dist` uses another one, since it links the program differently.
BUILD ?= .build
PROGRAM = $(BUILD)/release/videnhance
VERSION = $(shell sed -n 's/.*let current = "\(.*\)"/\1/p' Sources/VidenhanceLibrary/PackageVersion.swift)
MODELS = $(wildcard Sources/EnhancementModel/Resources/*.safetensors)
# Tests see internal declarations, so their modules differ from the shipped ones and need separate folders.
TEST_FLAGS = -Xswiftc -enable-testing
CHECK_FLAGS = $(TEST_FLAGS) -Xswiftc -warnings-as-errors

# Undefined behaviour in C is reported and ends the program (Swift traps by itself). Tensor memory is not
# pooled, to detect use after free.
SANITIZE_FLAGS = $(TEST_FLAGS) -Xswiftc -DUNPOOLED --sanitize address -Xcc -fsanitize=undefined -Xcc -fno-sanitize-recover=undefined \
	--scratch-path .build-sanitize
SANITIZE_ENVIRONMENT = ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1

.PHONY: help build demo test test-arm test-onednn bench matrix fuzz faults cluster soak man check lint sanitize leaks sample docs data install \
	dist test-dist vapoursynth version clean deps
.DEFAULT_GOAL = help

help:
	@echo 'make demo      enhance a small clip at 4 bits, compare with bicubic; results in samples/out'
	@echo 'make test      run all tests'
	@echo 'make matrix    enhance over 100 generated sources, compare by ffprobe (docs/reference/video-files.md)'
	@echo 'make faults    kill it, starve it, fill its disk (docs/reference/reliability.md)'
	@echo 'make cluster   one film on a Slurm of three nodes on this machine, as root (docs/reference/cluster.md)'
	@echo 'make fuzz      feed it garbage, under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make soak      an hour of film; watch memory, descriptors and sound (MINUTES=60)'
	@echo 'make bench     time kernels, other engines and whole runs; check recorded ratios (docs/lab/performance.md)'
	@echo 'make test-arm  compile the kernels for arm64 and compare them with the scalar ones under qemu'
	@echo 'make test-onednn compile the wrapper of oneDNN for version 3 as well, and compare its convolutions'
	@echo 'make build     build $(PROGRAM)'
	@echo 'make install   install program, models, manual and completions below PREFIX ($(PREFIX))'
	@echo 'make dist      make a Debian package and a tar.gz in dist/'
	@echo 'make test-dist install, run and remove both in a bare Debian'
	@echo 'make vapoursynth  make the VapourSynth plugin, a wheel in dist/ (docs/reference/vapoursynth.md)'
	@echo 'make man       write the manual into .build/manual'
	@echo 'make docs      write the library reference (DocC) into .build/documentation'
	@echo 'make data      fetch the training material (130 MB), make degraded clips of it (13 GB)'
	@echo 'make leaks     look for leaked C objects'
	@echo 'make sample    build and run samples/FrameByFrame, a package that uses the library'
	@echo 'make check     lint, tests with warnings as errors, tests under sanitizers, leaks, the sample'
	@echo 'make clean     remove build products'
	@echo 'Missing programs and libraries are installed (Debian, as root), except Swift.'

deps:
	@Scripts/install-deps.sh

build: deps
	$(SWIFT) build -c release --product videnhance --scratch-path $(BUILD) $(SWIFT_BUILD_FLAGS)

demo: build
	@samples/demo.sh $(PROGRAM) $(DATA_TEST)

test: deps
	$(SWIFT) build -c release $(TEST_FLAGS) --product generate-manual --scratch-path .build-test
	$(SWIFT) test -c release $(TEST_FLAGS) --scratch-path .build-test

test-arm:
	Scripts/test-arm.sh

test-onednn:
	Scripts/test-onednn.sh

# `make test` only runs the cases marked as short.
matrix: deps
	VIDENHANCE_MATRIX=full $(SWIFT) test -c release $(TEST_FLAGS) --scratch-path .build-test --filter MatrixTests

# Number of inputs of each kind; FUZZ_SEED=2 generates others. An input that crashes the process is kept in
# FUZZ_DIR.
FUZZ_DIR ?= /tmp/videnhance-fuzz
fuzz: deps
	mkdir -p $(FUZZ_DIR)
	$(SANITIZE_ENVIRONMENT) \
		FUZZ_DIR=$(FUZZ_DIR) FUZZ_MODELS=$${FUZZ_MODELS:-100000} FUZZ_VIDEOS=$${FUZZ_VIDEOS:-3000} \
		FUZZ_STREAMS=$${FUZZ_STREAMS:-3000} FUZZ_OPTIONS=$${FUZZ_OPTIONS:-30000} \
		FUZZ_MANIFESTS=$${FUZZ_MANIFESTS:-100000} FUZZ_SEGMENTS=$${FUZZ_SEGMENTS:-20000} \
		$(SWIFT) test -c release $(SANITIZE_FLAGS) --filter FuzzTests

# 30 kills in each of seven kinds of work, all descriptor limits, and many memory limits.
faults: deps
	KILLS=30 $(SWIFT) test -c release $(TEST_FLAGS) --scratch-path .build-test \
		--filter 'ResumeTests|FaultTests|ClusterFaultTests|DeterminismTests'

# Runs a real Slurm with three nodes, and GNU parallel.
cluster: build
	@Scripts/install-deps.sh slurmctld slurmd slurm-client munge parallel
	Scripts/cluster-test.sh $(PROGRAM)

# `make bench BENCH_FLAGS='--docs docs/lab --record'` updates docs/lab/benchmark.md and the recorded ratios.
# BENCH_CLASS=avx2 measures a lower class of machines on one of a higher class (Benchmarks/classes.py).
BENCH_FLAGS ?=
bench: build
	Benchmarks/run.sh $(PROGRAM) $(DATA_TEST) .build-bench $(BENCH_FLAGS)

soak: build
	@Scripts/soak.sh $(PROGRAM)

check: lint
	$(SWIFT) test -c release $(CHECK_FLAGS) --scratch-path .build-check
	$(MAKE) --no-print-directory sanitize leaks sample

lint: deps
	$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests samples

# Leak detection is off: Swift's runtime never frees some of its memory.
sanitize: deps
	$(SANITIZE_ENVIRONMENT) $(SWIFT) test -c release $(SANITIZE_FLAGS)

# Detects leaks of C objects: kernels, oneDNN, and FFmpeg objects owned by Swift. Leaks in Swift's own
# libraries are suppressed.
leaks: deps
	$(SWIFT) build -c release --build-tests $(SANITIZE_FLAGS)
	ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=Tests/leaks.txt:print_suppressions=0 \
		$(SWIFT) test -c release $(SANITIZE_FLAGS) --skip-build --filter 'KernelTests|KernelsTests|LineEngineTests|TensorsTests|VideoIOTests'

# Builds a package that imports the library.
sample: deps
	$(SWIFT) build -c $(SAMPLE_CONFIGURATION) --package-path samples/FrameByFrame --scratch-path .build-sample
	ffmpeg -v error -nostdin -y -f lavfi -i testsrc2=size=96x64:rate=25:duration=0.4 .build-sample/in.mp4
	rm -f .build-sample/out.mp4
	.build-sample/$(SAMPLE_CONFIGURATION)/FrameByFrame .build-sample/in.mp4 .build-sample/out.mp4

# The library's reference documentation; needs a web server to be viewed.
docs: build
	rm -rf .build/symbols && mkdir -p .build/symbols
	swift symbolgraph-extract -module-name Videnhance -I .build/release/Modules -I Sources/CFFmpeg -I Sources/CCrypto \
		-I .build/checkouts/swift-system/Sources/CSystem/include \
		-Xcc -fmodule-map-file=$(CURDIR)/.build/release/CDNNL.build/module.modulemap \
		-Xcc -fmodule-map-file=$(CURDIR)/.build/release/CQuantKernels.build/module.modulemap \
		-target $$(swift -print-target-info | sed -n 's/.*"unversionedTriple": "\(.*\)".*/\1/p') \
		-output-dir .build/symbols
	docc convert Sources/VidenhanceLibrary/Videnhance.docc --additional-symbol-graph-dir .build/symbols \
		--output-path .build/documentation --transform-for-static-hosting > .build/docc.log 2>&1 || { cat .build/docc.log; exit 1; }
	@echo .build/documentation

data: build
	Scripts/fetch-data.sh $(DATA)
	$(PROGRAM) degrade --data $(DATA) --scale 1 --scale 2 --scale 4

# Manual pages of all commands, generated by swift-argument-parser's tool.
man: build
	$(SWIFT) build -c release --product generate-manual --scratch-path $(BUILD) $(SWIFT_BUILD_FLAGS)
	rm -rf $(BUILD)/manual
	mkdir -p $(BUILD)/manual
	$(BUILD)/release/generate-manual $(PROGRAM) --multi-page --output-directory $(BUILD)/manual
	Scripts/finish-manual.sh $(BUILD)/manual

SHARE = $(DESTDIR)$(PREFIX)/share

install: man
	install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/videnhance $(SHARE)/man/man1 $(SHARE)/zsh/site-functions \
		$(SHARE)/bash-completion/completions $(SHARE)/fish/vendor_completions.d
	install -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/videnhance
	install -m 644 $(BUILD)/manual/*.1 $(SHARE)/man/man1
	$(PROGRAM) --generate-completion-script bash > $(SHARE)/bash-completion/completions/videnhance
	$(PROGRAM) --generate-completion-script zsh > $(SHARE)/zsh/site-functions/_videnhance
	$(PROGRAM) --generate-completion-script fish > $(SHARE)/fish/vendor_completions.d/videnhance.fish
	$(if $(MODELS),install -m 644 $(MODELS) $(DESTDIR)$(PREFIX)/share/videnhance)

# Packages that need neither a compiler nor Swift.
dist:
	@Scripts/install-deps.sh binutils dpkg-dev patchelf
	rm -rf .build-dist/stage
	$(MAKE) --no-print-directory install BUILD=.build-dist SWIFT_BUILD_FLAGS=--static-swift-stdlib \
		DESTDIR=$(CURDIR)/.build-dist/stage PREFIX=/usr
	Scripts/dist.sh $(VERSION) .build-dist dist

# As root; downloads about 150 MB of Debian packages.
test-dist: dist
	@Scripts/install-deps.sh debootstrap lintian
	Scripts/test-dist.sh $(VERSION) dist

# Symbols other than the entry point are hidden. The library is never unloaded, because Swift's runtime cannot be.
VAPOURSYNTH_FLAGS = -Xlinker --version-script=$(CURDIR)/Packaging/vapoursynth.map -Xlinker -z -Xlinker nodelete
# `make test` uses the virtual environment that is made there.
vapoursynth:
	@Scripts/install-deps.sh binutils patchelf
	$(SWIFT) build -c release --product videnhance-vapoursynth --scratch-path $(BUILD) $(SWIFT_BUILD_FLAGS) $(VAPOURSYNTH_FLAGS)
	Scripts/vapoursynth.sh $(VERSION) $(BUILD) dist .build-vapoursynth

version:
	@echo $(VERSION)

clean:
	rm -rf .build .build-test .build-check .build-sanitize .build-sample .build-bench .build-dist .build-vapoursynth dist samples/out
