//! See `spike_fuzz::keeper_answer`.
#![no_main]

spike_fuzz::target!(keeper_answer);
