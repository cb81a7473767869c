//! See `spike_fuzz::peer_certificate`.
#![no_main]

spike_fuzz::target!(peer_certificate);
