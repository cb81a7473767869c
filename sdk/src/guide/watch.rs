//! How to follow a secret that changes.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! # async fn example(spike: spike_sdk::Client, mut stop: tokio::sync::oneshot::Receiver<()>) {
//! let mut watch = spike.watch("tenants/acme/db", Duration::from_secs(30));
//! loop {
//!     tokio::select! {
//!         changed = watch.next() => match changed {
//!             Ok(secret) => println!("reconnect with version {:?}", secret.version()),
//!             Err(error) => eprintln!("the last version stays in use: {error}"),
//!         },
//!         _ = &mut stop => return,
//!     }
//! }
//! # }
//! ```
//!
//! The first version is returned at once, then each new one. If versions come faster than polls, only the newest of them is
//! returned. A [`Watch`](crate::Watch) is also a `Stream` without end.
//!
//! **After an error** it waits too: as long as the interval, then twice as long each time, up to a minute, and as long as a busy
//! Nexus asks for. So a loop may call it again at once. Keep the last version in use: an error says nothing about it. If you
//! have to know when the secret can be read again, call [`reset`](crate::Watch::reset) after the error.
//!
//! **Cancel safety.** [`next`](crate::Watch::next) may be dropped at any time, as `select!` does. Its request goes on, its pause
//! is not begun anew, and no version is lost.
//!
//! **What it costs.** Each poll is one request for metadata, and one line in the audit log of Nexus. At an interval of 30 s that is
//! 2880 lines a day for each secret and process, at 5 s it is 17,280; `docs/sdk.md` says how many bytes that is. Pauses vary by
//! half of the interval, so that many watchers do not ask at the same time. A new version is noticed after half of the interval on
//! average.
