//! See `spike_fuzz::go_duration`.
#![no_main]

spike_fuzz::target!(go_duration);
