//! See `spike_fuzz::request_ends`.
#![no_main]

spike_fuzz::target!(request_ends);
