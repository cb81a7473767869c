//! See `spike_fuzz::https_url`.
#![no_main]

spike_fuzz::target!(https_url);
