//! The place of the data. Its disk may hang, so every look at it is taken off the threads that serve requests, and within a limit.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::store::{Change, Files, Home, Look, Looks, NoAnswer, Opening, Sight, Store, Unopened};

/// The pause before another first look, where one was not answered.
const PAUSE: Duration = Duration::from_millis(500);

/// The place of the data, and the data as this process first saw it there.
#[derive(Clone, Debug)]
pub struct DataDirectory {
    /// `None` for the lite backend, which has none.
    home: Option<Home>,
    looks: Looks,
    /// A look that hangs holds the lock, so only looks and attempts to open the data take it.
    sight: Arc<Mutex<Sight>>,
}

/// What is at the place of the data.
#[derive(Debug)]
pub(super) enum Content {
    /// Data, which verifies a key.
    Data,
    /// None, and why that is uncertain, if it is.
    Nothing { doubt: Option<String> },
}

/// What may be opened.
#[derive(Debug)]
pub(super) struct Openable {
    pub(super) files: Files,
    pub(super) opening: Opening,
    /// [`Sight::holds`]: others than these files are not opened.
    pub(super) holds: bool,
}

impl DataDirectory {
    /// With the data that is there now. Blocks while the disk works.
    pub fn seen(home: Option<Home>) -> Self {
        let sight = Sight::of(home.as_ref());
        Self { home, looks: Looks::default(), sight: Arc::new(Mutex::new(sight)) }
    }

    /// The same, off this thread. Waits for the disk without limit: without a first look, nothing shows what has changed since.
    /// `explain` is called with the reason whenever there is no answer.
    pub(crate) async fn first_seen(home: Option<Home>, explain: impl Fn(&NoAnswer)) -> Self {
        let looks = Looks::default();
        let mut is_logged = false;
        loop {
            let place = home.clone();
            match looks.take(move || Self::seen(place)).await {
                Ok(seen) => return seen,
                Err(error) => {
                    explain(&error);
                    if !is_logged {
                        tracing::warn!(reason = %error, "still waiting for the data directory");
                    }
                    is_logged = true;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The place.
    pub(super) const fn home(&self) -> Option<&Home> {
        self.home.as_ref()
    }

    /// The directory, if the data has one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.home.as_ref().and_then(Home::directory)
    }

    /// The same, for an error.
    pub(super) fn named(&self) -> PathBuf {
        self.path().map(Path::to_owned).unwrap_or_default()
    }

    /// Whether there is data.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub(super) async fn is_there(&self) -> Result<bool, NoAnswer> {
        let Some(home) = self.home.clone() else { return Ok(false) };
        self.looks.take(move || Store::exists(&home)).await
    }

    /// What is there, for the decision what to do with a key.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub(super) async fn find(&self) -> Result<Content, NoAnswer> {
        let Some(home) = self.home.clone() else { return Ok(Content::Nothing { doubt: None }) };
        let look = move || {
            if Store::exists(&home) {
                return Content::Data;
            }
            let Look { doubt, .. } = home.look();
            Content::Nothing { doubt }
        };
        self.looks.take(look).await
    }

    /// What is there now, if it may be opened.
    ///
    /// # Errors
    /// [`NoAnswer`]; in it, [`Change`], as [`Sight::look`].
    pub(super) async fn as_before(&self) -> Result<Result<Openable, Change>, NoAnswer> {
        let data = self.clone();
        let look = move || {
            let sight = data.sight();
            sight.look(data.home()).map(|files| {
                let (opening, holds) = (sight.expected(), sight.holds());
                Openable { files, opening, holds }
            })
        };
        self.looks.take(look).await
    }

    /// As [`Sight::failed`]. Blocks while the disk works.
    pub(super) fn failed(&self, before: Files, attempt: &Unopened) {
        self.sight().failed(self.home(), before, attempt);
    }

    fn sight(&self) -> MutexGuard<'_, Sight> {
        self.sight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
