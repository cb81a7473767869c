//! See `spike_fuzz::json_replies`.
#![no_main]

spike_fuzz::target!(json_replies, with examples);
