//! A Nexus in memory, for the unit tests of a service.
//!
//! A [`Fake`] gives out ordinary [`Client`](crate::Client)s: the service under test takes one and does not know. Everything above
//! the connection is the real code: requests and answers are written and read as they are sent, and versions, paths and
//! names follow the rules of Nexus. Retries, deadlines and [`Watch`](crate::Watch) are those of any client, so a test
//! with `#[tokio::test(start_paused = true)]` waits for nothing.
//!
//! There is no clock in it: each change happens a second after the one before, from the beginning of 2026. Its cipher
//! hides nothing. It lets every call through, until [`Fake::deny`] says otherwise; policies that are put into it are kept,
//! but decide nothing, and `explain`, `who_can` and `lint` are refused as upstream's Nexus refuses them.
//!
//! # Examples
//! ```
//! use spike_sdk::{Client, Error, fake::{Failure, Fake}};
//!
//! /// The code under test.
//! async fn password(spike: &Client) -> Result<String, Error> {
//!     let secret = spike.get("tenants/acme/db").await?;
//!     Ok(secret.expose("pass").unwrap_or_default().to_owned())
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let fake = Fake::new();
//! fake.put("tenants/acme/db", [("pass", "s3cret")]);
//! let spike = fake.client();
//! assert_eq!(password(&spike).await.unwrap(), "s3cret");
//!
//! // A restart of Nexus: the client tries again.
//! fake.fail_next(3, Failure::Unreachable);
//! assert_eq!(password(&spike).await.unwrap(), "s3cret");
//!
//! fake.deny("tenants/acme/");
//! assert!(matches!(password(&spike).await, Err(Error::Denied { .. })));
//! # })
//! ```

mod answer;
mod cipher;
mod failure;
mod policies;
mod store;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use spike_mtls::client::Ended;
use spike_wire::{Call, Operation};

pub use self::failure::Failure;
use self::{answer::Denials, policies::Policies, store::Store};

/// A Nexus in memory. Clones are the same one. See the [module](self).
///
/// # Examples
/// ```
/// let fake = spike_sdk::fake::Fake::new();
/// let version = fake.put("tenants/acme/db", [("pass", "s3cret")]);
/// assert_eq!(version, 1);
/// ```
#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    store: Store,
    policies: Policies,
    denials: Denials,
    /// Failures of the next calls, one each.
    next: VecDeque<Failure>,
    /// The failure of every call after those.
    standing: Option<Failure>,
    calls: Vec<FakeCall>,
    encryptions: u64,
}

/// A call that a [`Fake`] got.
///
/// # Examples
/// See [`Fake::calls`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FakeCall {
    /// What was asked for, as metrics of Nexus name it: `secret_get`, `secret_put`, `secret_metadata`, …
    pub operation: &'static str,
    /// The path of the secret, the prefix of a listing, or the name of the policy; empty for the cipher.
    pub subject: String,
}

impl Fake {
    /// An empty one.
    ///
    /// # Examples
    /// See [`Fake`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a version, as another writer would, and returns its number. No failure or denial applies to it.
    ///
    /// # Panics
    /// If the path or a name is one that Nexus refuses.
    ///
    /// # Examples
    /// See [`Fake`].
    pub fn put<'a>(&self, path: &str, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> i64 {
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        match self.state().store.put(path, Some(&values.collect())) {
            Ok(number) => number,
            Err(reason) => invalid(path, &reason),
        }
    }

    /// Deletes versions, as another writer would; an empty list means the current one.
    ///
    /// # Examples
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let fake = spike_sdk::fake::Fake::new();
    /// fake.put("db", [("pass", "s3cret")]);
    /// fake.delete("db", &[]);
    /// assert!(matches!(fake.client().get("db").await, Err(spike_sdk::Error::NotFound)));
    /// # })
    /// ```
    pub fn delete(&self, path: &str, versions: &[i64]) {
        self.state().store.delete(path, versions);
    }

    /// Denies every call on paths that begin with `prefix`; `""` means all. The cipher has the path
    /// `spike/system/cipher/exec`, policies have `spike/system/acl`. Listings leave such paths out.
    ///
    /// # Examples
    /// See the [module](self).
    pub fn deny(&self, prefix: &str) {
        self.state().denials.deny(prefix, false);
    }

    /// As [`Self::deny`], for calls that change something only.
    ///
    /// # Examples
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let fake = spike_sdk::fake::Fake::new();
    /// fake.put("db", [("pass", "s3cret")]);
    /// fake.deny_writes("");
    /// assert!(fake.client().get("db").await.is_ok());
    /// assert!(fake.client().put("db", [("pass", "mine")]).await.is_err());
    /// # })
    /// ```
    pub fn deny_writes(&self, prefix: &str) {
        self.state().denials.deny(prefix, true);
    }

    /// Takes back what [`Self::deny`] and [`Self::deny_writes`] were told about exactly this prefix.
    ///
    /// # Examples
    /// ```
    /// let fake = spike_sdk::fake::Fake::new();
    /// fake.deny("tenants/");
    /// fake.allow("tenants/");
    /// ```
    pub fn allow(&self, prefix: &str) {
        self.state().denials.allow(prefix);
    }

    /// Lets every call fail like this, until [`Self::recover`].
    ///
    /// # Examples
    /// ```
    /// use spike_sdk::{Error, Retry, fake::{Failure, Fake}};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let fake = Fake::new();
    /// fake.fail(Failure::Sealed);
    /// let spike = fake.client().with_retry(Retry::none());
    /// assert!(matches!(spike.get("db").await, Err(Error::Sealed { .. })));
    /// fake.recover();
    /// assert!(matches!(spike.get("db").await, Err(Error::NotFound)));
    /// # })
    /// ```
    pub fn fail(&self, failure: Failure) {
        self.state().standing = Some(failure);
    }

    /// Lets the next `calls` fail like this; each try of a client is a call.
    ///
    /// # Examples
    /// See the [module](self).
    pub fn fail_next(&self, calls: usize, failure: Failure) {
        self.state().next.extend(std::iter::repeat_n(failure, calls));
    }

    /// Ends what [`Self::fail`] and [`Self::fail_next`] began.
    ///
    /// # Examples
    /// See [`Self::fail`].
    pub fn recover(&self) {
        let mut state = self.state();
        state.standing = None;
        state.next.clear();
    }

    /// Every call so far, failed ones too, in the order in which they came.
    ///
    /// # Examples
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let fake = spike_sdk::fake::Fake::new();
    /// fake.client().put("db", [("pass", "s3cret")]).await.unwrap();
    /// assert_eq!(fake.calls()[0].operation, "secret_put");
    /// assert_eq!(fake.calls()[0].subject, "db");
    /// # })
    /// ```
    pub fn calls(&self) -> Vec<FakeCall> {
        self.state().calls.clone()
    }

    /// One try of a call. It waits before and after it is done, as on a connection, so that a future that is dropped is
    /// dropped there.
    pub(crate) async fn call<C: Call>(&self, request: &C::Request) -> Ended<C::Reply> {
        tokio::task::yield_now().await;
        let Ended { outcome, request_id, retry_after } =
            self.state().answer(C::OPERATION, &C::encode(request));
        tokio::task::yield_now().await;
        let outcome = outcome.and_then(|body| Ok(C::decode_reply(&body)?));
        Ended { outcome, request_id, retry_after }
    }

    /// A test that panicked does not spoil the fake of another thread.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::panic, reason = "a mistake in a test ends the test")]
fn invalid(path: &str, reason: &str) -> ! {
    panic!("{path:?} cannot be put: {reason}")
}

/// Without values.
impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Fake")
            .field("calls", &state.calls.len())
            .field("standing", &state.standing)
            .finish_non_exhaustive()
    }
}

impl State {
    fn note(&mut self, operation: Operation, subject: String) {
        self.calls.push(FakeCall { operation: operation.label(), subject });
    }
}
