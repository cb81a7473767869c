//! See `spike_fuzz::arriving_bytes`.
#![no_main]

spike_fuzz::target!(arriving_bytes);
