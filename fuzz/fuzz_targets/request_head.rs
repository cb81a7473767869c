//! See `spike_fuzz::request_head`.
#![no_main]

spike_fuzz::target!(request_head);
