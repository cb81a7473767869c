//! A listing, page by page.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;

use crate::{Client, Error, calls::PAGE};

type Page = Result<(Vec<String>, Option<String>), Error>;

/// The pages of a listing; see [`Client::pages`]. It is also a [`Stream`].
///
/// # Examples
/// ```no_run
/// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
/// let mut pages = spike.pages("tenants/");
/// while let Some(page) = pages.next().await {
///     println!("{} more paths", page?.len());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Pages {
    client: Client,
    prefix: String,
    size: i64,
    /// The `after` of the next page; `None` if there is none.
    after: Option<String>,
    /// The page that was asked for. It outlives the futures of [`Pages::next`].
    asked: Option<Pin<Box<dyn Future<Output = Page> + Send>>>,
}

impl Client {
    /// The paths with this prefix that the workload may list, in the order of their bytes, in pages of at most 1000. Each
    /// page is a request of its own, with a deadline of its own. A path that is added meanwhile may be missing, or not.
    ///
    /// # Examples
    /// See [`Pages`].
    pub fn pages(&self, prefix: &str) -> Pages {
        Pages {
            client: self.clone(),
            prefix: prefix.to_owned(),
            size: PAGE,
            after: Some(String::new()),
            asked: None,
        }
    }
}

impl Pages {
    /// Pages of at most so many paths, at least one.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(spike: &spike_sdk::Client) {
    /// let pages = spike.pages("tenants/").of_size(100);
    /// # }
    /// ```
    #[must_use]
    pub fn of_size(mut self, paths: u32) -> Self {
        self.size = i64::from(paths.max(1));
        self
    }

    /// The next page; `None` after the last one, and after an error.
    ///
    /// Cancel safety: it may be dropped at any time and called again. A request that is under way goes on then, and no
    /// page is lost.
    ///
    /// # Errors
    /// [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// See [`Pages`].
    pub async fn next(&mut self) -> Option<Result<Vec<String>, Error>> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Vec<String>, Error>>> {
        let asked = match &mut self.asked {
            Some(asked) => asked,
            None => match self.after.take() {
                None => return Poll::Ready(None),
                Some(after) => {
                    let (client, prefix, size) =
                        (self.client.clone(), self.prefix.clone(), self.size);
                    self.asked.insert(Box::pin(async move {
                        client.page(client.end(), &prefix, after, size).await
                    }))
                }
            },
        };
        let page = ready!(asked.as_mut().poll(context));
        self.asked = None;
        Poll::Ready(Some(page.map(|(names, next)| {
            self.after = next;
            names
        })))
    }
}

impl Stream for Pages {
    type Item = Result<Vec<String>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("prefix", &self.prefix)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
