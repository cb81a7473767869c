//! See `spike_fuzz::audit_lines`.
#![no_main]

spike_fuzz::target!(audit_lines);
