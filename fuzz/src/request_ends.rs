//! Where the requests of an HTTP/1.1 connection begin and end: for the HTTP library, which carries them out, and for the reader
//! of arriving bytes, which counts their heads. Both are given the same bytes, and must not part as long as the library refuses
//! nothing.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    error::Error,
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    rt::{Read, ReadBufCursor, Write},
    service::service_fn,
};
use spike_daemon::serve::fuzzing::{ArrivingRequests, http1_builder};

/// Bits of the first byte: bodies are dropped, and not read; or they are read behind their answers. The other bits: in parts of how
/// many bytes everything arrives.
const DROPS_BODIES: u8 = 0x80;
const ANSWERS_FIRST: u8 = 0x40;

/// More polls than any input needs.
const MAX_POLLS: usize = 100_000;

/// See the module. Accepts what begins a request.
pub fn check(data: &[u8]) -> bool {
    let Some((first, bytes)) = data.split_first() else { return false };
    let seen = Rc::new(Seen::default());
    let ended = serve(bytes, *first, &seen);
    let reader = seen.reader.borrow();
    let begun = seen.begun.get();
    let is_refused = seen.has_bad_body.get() || ended.as_ref().is_err_and(hyper::Error::is_parse);
    // A connection that the library ends before the last byte has not read all that was counted.
    if !is_refused && seen.has_read_end.get() {
        let text = || format!("{:?}: {ended:?}", String::from_utf8_lossy(bytes));
        assert!(reader.is_in_step(begun), "{begun} of {}: {}", reader.heads(), text());
        let is_within_head = ended.as_ref().is_err_and(hyper::Error::is_incomplete_message);
        assert_eq!(reader.is_within_head(), is_within_head, "{}", text());
        let is_within_body = seen.has_short_body.get();
        let sees_bodies = first & (DROPS_BODIES | ANSWERS_FIRST) == 0;
        assert!(!sees_bodies || reader.is_within_body() == is_within_body, "{}", text());
    }
    begun > 0
}

/// What was seen of a connection.
#[derive(Default)]
struct Seen {
    reader: RefCell<ArrivingRequests>,
    begun: Cell<u64>,
    /// The library has read the end of the bytes.
    has_read_end: Cell<bool>,
    /// The bytes ended inside of a body.
    has_short_body: Cell<bool>,
    /// The library refused a body.
    has_bad_body: Cell<bool>,
}

impl Seen {
    /// Reads a body to its end.
    async fn read(&self, body: Incoming) {
        let mut body = pin!(body);
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            if let Err(error) = frame {
                let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
                let is_short =
                    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof);
                let kind = if is_short { &self.has_short_body } else { &self.has_bad_body };
                return kind.set(true);
            }
        }
    }
}

fn serve(bytes: &[u8], first: u8, seen: &Rc<Seen>) -> hyper::Result<()> {
    let arriving = Rc::new(RefCell::new(Vec::new()));
    let stream = Stream { arriving: Rc::clone(&arriving), seen: Rc::clone(seen) };
    let late = Rc::new(RefCell::new(Vec::<Pin<Box<dyn Future<Output = ()>>>>::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let (seen, late) = (Rc::clone(seen), Rc::clone(&late));
        seen.begun.set(seen.begun.get() + 1);
        async move {
            if first & DROPS_BODIES > 0 {
                drop(request);
            } else if first & ANSWERS_FIRST > 0 {
                late.borrow_mut()
                    .push(Box::pin(async move { seen.read(request.into_body()).await }));
            } else {
                seen.read(request.into_body()).await;
            }
            Ok::<_, Infallible>(Response::new(axum::body::Body::empty()))
        }
    });
    let mut connection = pin!(http1_builder().serve_connection(stream, service));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let part = usize::from(first & !(DROPS_BODIES | ANSWERS_FIRST)) + 1;
    let mut parts = bytes.chunks(part).map(<[u8]>::to_vec);
    for _ in 0..MAX_POLLS {
        let ended = connection.as_mut().poll(&mut cx);
        late.borrow_mut().retain_mut(|reading| reading.as_mut().poll(&mut cx).is_pending());
        if let Poll::Ready(ended) = ended {
            return ended;
        }
        if !woken.0.swap(false, Relaxed) && arriving.borrow().is_empty() {
            match parts.next() {
                Some(part) => *arriving.borrow_mut() = part,
                None => seen.has_read_end.set(true),
            }
        }
    }
    panic!("the connection does not end: {:?}", String::from_utf8_lossy(bytes));
}

/// The stream of a connection, as the daemons have it.
struct Stream {
    /// What has arrived and was not read.
    arriving: Rc<RefCell<Vec<u8>>>,
    seen: Rc<Seen>,
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let (mut reader, begun) = (self.seen.reader.borrow_mut(), self.seen.begun.get());
        assert!(reader.is_in_step(begun), "{begun} requests, {} heads", reader.heads());
        let mut arriving = self.arriving.borrow_mut();
        if arriving.is_empty() && !self.seen.has_read_end.get() {
            return Poll::Pending;
        }
        let length = arriving.len().min(buf.remaining());
        let rest = arriving.split_off(length);
        buf.put_slice(&arriving);
        reader.take(&arriving);
        *arriving = rest;
        Poll::Ready(Ok(()))
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whether the connection has asked to be polled again.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}
