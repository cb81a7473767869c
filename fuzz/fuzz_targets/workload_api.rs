//! See `spike_fuzz::workload_api`.
#![no_main]

spike_fuzz::target!(workload_api);
