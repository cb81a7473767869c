//! See `spike_fuzz::imported_cell`.
#![no_main]

spike_fuzz::target!(imported_cell);
