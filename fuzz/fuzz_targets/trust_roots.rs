//! See `spike_fuzz::trust_roots`.
#![no_main]

spike_fuzz::target!(trust_roots);
