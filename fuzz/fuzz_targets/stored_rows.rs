//! See `spike_fuzz::stored_rows`.
#![no_main]

spike_fuzz::target!(stored_rows);
