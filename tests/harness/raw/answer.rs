//! One HTTP/1 answer, unchanged.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// The largest answer that is read, in bytes. A larger one is a fault of the server.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// Status, headers and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// `HTTP/1.1`, for example.
    pub version: String,
    /// The status number.
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, with chunks put together.
    pub body: String,
    /// The body without the `reason`, which is for people.
    body_without_reason: String,
}

impl Answer {
    /// The value of the header, if it occurs exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Status and body as upstream sends them: without the `reason` that our Nexus adds to an error.
    pub fn status_and_body(&self) -> (u16, &str) {
        (self.status, &self.body_without_reason)
    }

    /// The body as JSON; `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The name of the request in the audit log.
    ///
    /// # Errors
    /// If the answer has none.
    pub fn request_id(&self) -> Result<&str> {
        self.header("x-request-id").context("an answer without request id")
    }

    /// Reads one answer. `has_body` is false for the answer to HEAD.
    pub(super) async fn read(
        stream: &mut BufReader<impl AsyncRead + Unpin>,
        has_body: bool,
    ) -> Result<Self> {
        let first = line(stream).await?;
        let mut words = first.splitn(3, ' ');
        let (Some(version), Some(status)) = (words.next(), words.next()) else {
            bail!("not the first line of an answer: {first:?}");
        };
        let (version, status) = (version.to_owned(), status.parse()?);
        let mut headers = Vec::new();
        loop {
            let header = line(stream).await?;
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').context("a header without colon")?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let (body, body_without_reason) = (String::new(), String::new());
        let mut answer = Self { version, status, headers, body, body_without_reason };
        if has_body {
            answer.body = answer.read_body(stream).await?;
        }
        answer.body_without_reason = match answer.body.split_once(",\"reason\":") {
            Some((before, _)) if status >= 400 => format!("{before}}}"),
            Some(_) | None => answer.body.clone(),
        };
        Ok(answer)
    }

    async fn read_body(&self, stream: &mut BufReader<impl AsyncRead + Unpin>) -> Result<String> {
        let mut body = Vec::new();
        if self.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = u64::from_str_radix(&line(stream).await?, 16)?;
                stream.take(size.min(MAX_ANSWER)).read_to_end(&mut body).await?;
                line(stream).await?;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = self.header("content-length") {
            let length: u64 = length.parse()?;
            stream.take(length.min(MAX_ANSWER)).read_to_end(&mut body).await?;
            if body.len() as u64 != length {
                bail!("the connection ended within a body");
            }
        } else {
            // The body ends with the connection, which some servers end without the TLS end.
            match stream.take(MAX_ANSWER).read_to_end(&mut body).await {
                Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                    return Err(error.into());
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(String::from_utf8(body)?)
    }
}

async fn line(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Result<String> {
    let mut line = Vec::new();
    stream.take(MAX_ANSWER).read_until(b'\n', &mut line).await?;
    match line.as_slice() {
        [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => Ok(String::from_utf8(text.to_vec())?),
        [] => bail!("the connection ended without an answer"),
        _ => bail!("the connection ended within an answer"),
    }
}
