#!/bin/sh
# Stands before rustc (RUSTC_WRAPPER) while `run.sh` builds: adds the coverage that steers libFuzzer, by the flags that
# cargo-fuzz uses and stable has, to our crates and to the parsers of others that they hand bytes to. The rest, above
# all the compiler of regular expressions, would only drown what is learnt about ours, and takes most of the time.
set -eu

case " $* " in
*' --crate-name spike_'* | *' --crate-name http '* | *' --crate-name hyper '* | *' --crate-name serde_json '* | *' --crate-name spiffe '* | \
    *' --crate-name time '* | *' --crate-name httparse '* | *' --crate-name x509_parser '* | *' --crate-name webpki '*)
    exec "$@" -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
*) exec "$@" ;;
esac
