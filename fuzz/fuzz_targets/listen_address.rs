//! See `spike_fuzz::listen_address`.
#![no_main]

spike_fuzz::target!(listen_address);
