# Every everyday command. `just` is a convenience: each recipe is one line that can be typed instead.

# What there is.
default:
    @just --list

# Bring everything up on this machine: Workload API, Keepers, Nexus; Ctrl-C ends it.
up *OPTIONS:
    cargo run -p spike-dev -- up {{ OPTIONS }}

# Run one command against a fresh cluster, and tear it down.
run *COMMAND:
    cargo run -p spike-dev -- run -- {{ COMMAND }}

# Does it compile, and is it clean?
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Put the sources into their one form.
format:
    cargo fmt --all

# Every test of every crate.
test *FILTER:
    cargo test --workspace {{ FILTER }}

# The end-to-end specification alone.
specs *FILTER:
    cargo test -p spike-tests --test specs -- {{ FILTER }}

# Throughput beside the floor server: see docs/performance.md.
bench *OPTIONS:
    cargo bench -p spike-tests --bench throughput -- {{ OPTIONS }}

# docs/configuration.md is made from the table of settings.
configuration:
    UPDATE_DOCS=1 cargo test -p spike-config

# What the gate runs.
ci *STEPS:
    .ci/run {{ STEPS }}

# Forget the state of the development cluster, keys and secrets included.
forget:
    rm -rf .spike-dev
