//! See `spike_fuzz::stream_cipher`.
#![no_main]

spike_fuzz::target!(stream_cipher);
