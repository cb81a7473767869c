//! See `spike_fuzz::target`.
#![no_main]

spike_fuzz::target!(target);
