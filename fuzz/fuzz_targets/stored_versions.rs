//! See `spike_fuzz::stored_versions`.
#![no_main]

spike_fuzz::target!(stored_versions);
