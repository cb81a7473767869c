//! See `spike_fuzz::json_bodies`.
#![no_main]

spike_fuzz::target!(json_bodies, with examples);
