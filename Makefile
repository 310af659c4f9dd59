# The project's everyday commands. `make` lists them. Only Rust, a C compiler and make have to be there: what else a
# target needs it installs (see .ci/need).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Targets share one build folder: two cargos at once would only wait for each other.
.NOTPARALLEL:

# make demo FOR=20s: check everything that the demo prints, and exit.
FOR ?=
# make fuzz FUZZ_SECONDS=600: how long the parser of DNS queries is fuzzed, and then as long all of them together.
FUZZ_SECONDS ?= 30
# make bench BENCH_ARGS="…": options of the benchmark; PEERS= in the environment names other binaries to compare with.
BENCH_ARGS ?=
# make bench DNS_ARGS="…", REGISTRY_ARGS="…": the same of the name server's part and of the registry's.
DNS_ARGS ?=
REGISTRY_ARGS ?=
export PEERS

# The part of nginx that passes TCP; elsewhere than on Debian it comes with nginx, or its column stays empty.
NGINX_STREAM = $(if $(shell command -v apt-get),/usr/lib/nginx/modules/ngx_stream_module.so=libnginx-mod-stream)

# The parts of Knot and PowerDNS that answer by place and that read zone files, where they are not there.
DNS_MODULES = $(if $(wildcard /usr/lib/*/knot/modules-*/geoip.so),,/usr/lib/knot/geoip.so=knot-module-geoip) \
	$(if $(wildcard /usr/lib/*/pdns/libbindbackend.so),,/usr/lib/pdns/bind.so=pdns-backend-bind) \
	$(if $(wildcard /usr/lib/*/pdns/libgeoipbackend.so),,/usr/lib/pdns/geoip.so=pdns-backend-geoip)

CARGO ?= cargo

# Tools of Python that tests run, each in a folder of its own: all versions are those of the file. What is there stays,
# until the file changes.
define INSTALL
@cmp --silent $(1) target/$@/installed || { \
	python3 -c 'import ensurepip' 2>/dev/null || .ci/need /python3-venv=python3-venv; \
	python3 -m venv --clear target/$@; \
	target/$@/bin/pip install --quiet --disable-pip-version-check --requirement $(1); \
	cp $(1) target/$@/installed; }
endef

.PHONY: help demo check test fuzz bench soak schemathesis dnspython fmt clean

help: ## this list
	@grep -hE '^[a-z]+:.* ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.* ## /\1\t/' | while IFS=$$'\t' read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

# The demo runs without them, what it prints does not.
demo: ## a balancer and five backends on this machine, with ten things to try (FOR=20s: check them and exit)
	@.ci/need curl dig=bind9-dnsutils || true
	@$(CARGO) run --release --locked --quiet -p fulcrum --bin fulcrum -- demo $(if $(FOR),--for $(FOR))

check: ## the quick checks of a change: format, lints, unit tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --workspace --lib --bins --locked

test: ## everything that must hold: format, lints, fuzzing for a moment, all tests
	.ci/need curl dig=bind9-dnsutils g++ nginx=nginx-light haproxy prometheus redis-server python3 node=nodejs unshare=util-linux mount ip=iproute2
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(MAKE) fuzz
	$(MAKE) schemathesis dnspython
	$(CARGO) test --workspace --doc --locked
	$(CARGO) test --workspace --lib --bins --tests --examples --locked

fuzz: ## the parsers against random input (FUZZ_SECONDS=30)
	.ci/need g++
	tests/fuzz/run $(FUZZ_SECONDS) query
	tests/fuzz/run $(FUZZ_SECONDS)

schemathesis: ## install the fuzzer of the registry's API into target/
	$(call INSTALL,tests/registry/schemathesis.txt)

dnspython: ## install the DNS library of a test's witness into target/
	$(call INSTALL,tests/dns/dnspython.txt)

bench: ## Fulcrum beside nginx and HAProxy (PEERS=, BENCH_ARGS=) and name servers (DNS_ARGS=), its registry (REGISTRY_ARGS=); see benches/README.md
	.ci/need nginx=nginx-light haproxy wrk $(NGINX_STREAM) dnsperf gdnsd knotd=knot pdns_server=pdns-server $(DNS_MODULES)
	$(CARGO) bench --locked -p fulcrum --bench http -- $(BENCH_ARGS)
	$(CARGO) bench --locked -p fulcrum --bench dns -- $(DNS_ARGS)
	$(CARGO) bench --locked -p fulcrum --bench registry -- $(REGISTRY_ARGS)

# One at a time: some measure latencies, and others take every core.
soak: ## the long forms of the tests, and twenty minutes of fuzzing
	.ci/need strace haproxy ip=iproute2
	$(MAKE) fuzz FUZZ_SECONDS=600
	$(MAKE) schemathesis dnspython
	$(CARGO) test --workspace --release --locked -- --ignored --test-threads=1

fmt: ## format the sources
	$(CARGO) fmt --all

clean: ## remove everything that was built
	$(CARGO) clean
