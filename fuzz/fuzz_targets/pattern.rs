//! See `spike_fuzz::pattern`.
#![no_main]

spike_fuzz::target!(pattern);
