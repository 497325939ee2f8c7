# SPDX-License-Identifier: MIT
# A short front door; the build itself is meson and ninja.
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

all: build

deps-%:
	@tools/deps install $*

# New programs in hazards/ are found when meson configures, so it is told when that list changes; and of a PREFIX that is given later.
configure: deps-build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) --prefix $(PREFIX)
ifneq ($(origin PREFIX),file)
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
endif
	@hazards/list-programs >$(BUILD)/programs.now
	@cmp -s $(BUILD)/programs.now $(BUILD)/programs.txt || { meson setup --reconfigure $(BUILD) >/dev/null && cp $(BUILD)/programs.now $(BUILD)/programs.txt; }

build: configure
	ninja -C $(BUILD) -j $(JOBS)

# Everything, with gcc; then clang; then the unit tests under ASan and UBSan.
check: deps-test
	@BUILD=$(BUILD) JOBS=$(JOBS) tests/run-all

# What takes long: the same binaries in three of Debian's kernels, under software emulation; half an hour, or a few minutes with kernels already fetched.
check-full: deps-test build
	@ninja -C $(BUILD) -j $(JOBS) bench-programs >/dev/null
	meson test -C $(BUILD) --setup full --suite full --num-processes 1 --print-errorlogs

# The two compilers must both be silent; the second one is only asked for its opinion, which needs no optimization. The programs of hazards/ may be warned of.
clang: deps-test
	@test -f $(BUILD)-clang/build.ninja || CC=clang meson setup $(BUILD)-clang -Dhazards=false -Doptimization=0 -Ddebug=false
	ninja -C $(BUILD)-clang -j $(JOBS)

sanitized: deps-build
	@test -f $(BUILD)-sanitized/build.ninja || meson setup $(BUILD)-sanitized -Dsanitized=true -Db_sanitize=address,undefined -Db_lundef=false
	ninja -C $(BUILD)-sanitized -j $(JOBS)

# Ten million mutations for every function that eats bytes, under ASan and UBSan.
fuzz: sanitized
	tests/fuzz/run $(BUILD)-sanitized 10000000

demo: deps-demo
	@$(MAKE) --no-print-directory build >$(BUILD)-demo.log 2>&1 || { cat $(BUILD)-demo.log; exit 1; }
	@demo/run $(BUILD)

# Eight to fifteen minutes: watching 5, restricting 2 to 4, containers 2 to 6, by how busy the machine is.
bench: deps-bench build
	@ninja -C $(BUILD) -j $(JOBS) bench-programs tests/agent/probe >/dev/null
	@bench/run $(BUILD)
	@bench/restricted $(BUILD)
	@bench/containers $(BUILD)

install: build
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD) $(BUILD)-clang $(BUILD)-sanitized $(BUILD)-demo.log

.PHONY: all build configure check check-full clang sanitized fuzz demo bench install clean
