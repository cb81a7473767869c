//! See `spike_fuzz::backup_head`.
#![no_main]

spike_fuzz::target!(backup_head);
