//! See `spike_fuzz::manifest`.
#![no_main]

spike_fuzz::target!(manifest);
