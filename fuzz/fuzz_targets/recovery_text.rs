//! See `spike_fuzz::recovery_text`.
#![no_main]

spike_fuzz::target!(recovery_text);
