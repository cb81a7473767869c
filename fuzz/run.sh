#!/bin/sh
# Fuzzes the parsers of untrusted bytes, as many targets at a time as there are processors.
#
#   fuzz/run.sh SECONDS_PER_TARGET [TARGET...]     (all targets, if none is named)
#
# Needs the pinned stable Rust and a C++ compiler (Debian: g++): neither nightly nor cargo-fuzz. See instrument.sh;
# libFuzzer itself comes with the crate libfuzzer-sys.
#
# Inputs that reach new code are kept in fuzz/corpus, which git ignores. A failing input is kept in fuzz/artifacts: its
# path is printed, the other targets still run, and the status is 1.
set -eu

usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
}

# One target that is built already, as this script calls itself.
is_one=false
if [ "${1-}" = --one ]; then
    is_one=true
    shift
fi

case ${1-} in
'' | *[!0-9]* | 0) usage ;;
esac
seconds=$1
shift
cd "$(dirname "$0")"

system=$(rustc -vV | sed -n 's/^host: //p')

# Runs the target $1 on its seeds, then on new inputs. Examples that it makes itself are seeds; it keeps them in its corpus.
fuzz_one() {
    target=$1
    program=target/$system/release/$target
    corpus=corpus/$target
    artifacts=artifacts/$target/
    log=${artifacts}log
    mkdir -p "$corpus" "$artifacts"

    # A limit on one input: no parser may take seconds, or hundreds of megabytes, for four kilobytes.
    if SPIKE_FUZZ_SEEDS=$corpus "$program" "seeds/$target"/* >"$log" 2>&1 &&
        "$program" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 \
            -artifact_prefix="$artifacts" -print_final_stats=1 "$corpus" "seeds/$target" >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
        echo "fuzz: $target: ok, $runs inputs in ${seconds}s, $edges edges reached"
        return
    fi
    tail -n 40 "$log"
    again=fuzz/$program
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    if [ -z "$input" ]; then # a seed, which is its own witness
        again="SPIKE_FUZZ_SEEDS=fuzz/$corpus $again"
        input=$(sed -n 's/^Running: //p' "$log" | tail -n 1)
    fi
    echo "fuzz: $target: FAILED on fuzz/${input:-?}; to repeat: $again fuzz/${input:-?}" >&2
    return 1
}

if $is_one; then
    fuzz_one "$1"
    exit
fi

known=$(for file in fuzz_targets/*.rs; do basename "$file" .rs; done)
[ $# -gt 0 ] || set -- $known
for target in "$@"; do
    [ -f "fuzz_targets/$target.rs" ] || {
        echo "fuzz: no target $target; there are:" $known >&2
        exit 2
    }
done

command -v "${CXX:-c++}" >/dev/null || {
    echo 'fuzz: no C++ compiler on PATH: on Debian, apt-get install g++' >&2
    exit 2
}

RUSTC_WRAPPER=$PWD/instrument.sh \
    cargo build --locked --release --bins --target "$system" --target-dir target || {
    echo 'fuzz: not built. If Cargo.lock is at fault: cargo update --workspace --manifest-path fuzz/Cargo.toml' >&2
    exit 2
}

printf '%s\n' "$@" | xargs -n 1 -P "$(nproc)" ./run.sh --one "$seconds" || {
    echo "fuzz: failed, as said above" >&2
    exit 1
}
