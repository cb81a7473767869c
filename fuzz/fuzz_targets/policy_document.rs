//! See `spike_fuzz::policy_document`.
#![no_main]

spike_fuzz::target!(policy_document);
