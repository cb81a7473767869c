//! Bodies of the policies: N7 to N10.
//!
//! A policy is addressed by its name, which clients send in the field `id`. We fill `id` with the name in answers
//! too, so that what one call returns the next can use.

use bytes::Bytes;
use time::OffsetDateTime;

use super::error::{ReplyError, decode_reply};
use super::go_json::{self, JsonError, Reader, Writer};
use super::timestamp::{ZERO_TIME, format_timestamp};

/// N7: create or replace a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyPutRequest {
    /// The name, not checked yet.
    pub name: String,
    /// Which SPIFFE IDs it is about, not checked yet.
    pub spiffeid_pattern: String,
    /// Which paths it is about, not checked yet.
    pub path_pattern: String,
    /// What it allows, not checked yet.
    pub permissions: Vec<String>,
    /// Refuse when a policy of that name exists. Upstream passes over this field and replaces the policy.
    pub create_only: bool,
}

impl PolicyPutRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        go_json::decode_object(body, |key, value| {
            if key.is("name") {
                value.text(&mut request.name)
            } else if key.is("spiffeidPattern") {
                value.text(&mut request.spiffeid_pattern)
            } else if key.is("pathPattern") {
                value.text(&mut request.path_pattern)
            } else if key.is("permissions") {
                value.texts(&mut request.permissions)
            } else if key.is("createOnly") {
                value.boolean(&mut request.create_only)
            } else {
                value.skip()
            }
        })?;
        Ok(request)
    }

    /// The body to send. `createOnly` is left out when false.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.name("name").text(&self.name);
                out.name("spiffeidPattern").text(&self.spiffeid_pattern);
                out.name("pathPattern").text(&self.path_pattern);
                write_texts(out.name("permissions"), &self.permissions);
                if self.create_only {
                    out.name("createOnly").boolean(true);
                }
            });
        })
    }
}

/// N7: the policy was put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyPutResponse {
    /// Its name. Upstream leaves it out.
    pub id: String,
}

impl PolicyPutResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let mut response = Self::default();
        decode_reply(
            body,
            |key, value| {
                if key.is("id") { value.text(&mut response.id) } else { value.skip() }
            },
        )?;
        Ok(response)
    }

    /// The body to send. An empty `id` is left out.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.text_if_any("id", &self.id);
            });
        })
    }
}

/// N8 and N9: one policy, by its name. N9 is answered by [`EmptyResponse`](super::EmptyResponse).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyNameRequest {
    /// The name, not checked yet.
    pub name: String,
}

impl PolicyNameRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        go_json::decode_object(body, |key, value| {
            if key.is("id") { value.text(&mut request.name) } else { value.skip() }
        })?;
        Ok(request)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| out.object(|out| out.name("id").text(&self.name)))
    }
}

/// N8: a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Which SPIFFE IDs it is about. Read under either spelling of its key, written under both: upstream's
    /// answer says `spiffiedPattern`, its requests say `spiffeidPattern`.
    pub spiffeid_pattern: String,
    /// Which paths it is about.
    pub path_pattern: String,
    /// What it allows.
    pub permissions: Vec<String>,
    /// When a policy of this name was first put.
    pub created_at: OffsetDateTime,
    /// When it was last put.
    pub updated_at: OffsetDateTime,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            name: String::new(),
            spiffeid_pattern: String::new(),
            path_pattern: String::new(),
            permissions: Vec::new(),
            created_at: ZERO_TIME,
            updated_at: ZERO_TIME,
        }
    }
}

impl Policy {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let mut policy = Self::default();
        decode_reply(body, |key, value| {
            if key.is("name") {
                value.text(&mut policy.name)
            } else if key.is("spiffiedPattern") || key.is("spiffeidPattern") {
                value.text(&mut policy.spiffeid_pattern)
            } else if key.is("pathPattern") {
                value.text(&mut policy.path_pattern)
            } else if key.is("permissions") {
                value.texts(&mut policy.permissions)
            } else if key.is("createdAt") {
                value.time(&mut policy.created_at)
            } else if key.is("updatedAt") {
                value.time(&mut policy.updated_at)
            } else {
                value.skip()
            }
        })?;
        Ok(policy)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.name("id").text(&self.name);
                out.name("name").text(&self.name);
                out.name("spiffiedPattern").text(&self.spiffeid_pattern);
                out.name("spiffeidPattern").text(&self.spiffeid_pattern);
                out.name("pathPattern").text(&self.path_pattern);
                write_texts(out.name("permissions"), &self.permissions);
                out.name("createdAt").text(&format_timestamp(self.created_at));
                out.name("updatedAt").text(&format_timestamp(self.updated_at));
            });
        })
    }
}

/// N10: policies, all of them or some. The first two fields are upstream's, the others ours: left out when they ask for
/// nothing, and passed over by upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyListRequest {
    /// When not empty: only policies whose SPIFFE ID pattern is this text.
    pub spiffeid_pattern: String,
    /// When not empty, and the other is: only policies whose path pattern is this text.
    pub path_pattern: String,
    /// Only policies with this in their name.
    pub name_contains: String,
    /// Only policies with this in their SPIFFE ID pattern.
    pub spiffeid_contains: String,
    /// Only policies with this in their path pattern.
    pub path_contains: String,
    /// Only policies whose name comes after this one.
    pub after: String,
    /// At most so many policies; 0 and less are no limit.
    pub limit: i64,
}

impl PolicyListRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        go_json::decode_object(body, |key, value| {
            if key.is("spiffeidPattern") {
                value.text(&mut request.spiffeid_pattern)
            } else if key.is("pathPattern") {
                value.text(&mut request.path_pattern)
            } else if key.is("nameContains") {
                value.text(&mut request.name_contains)
            } else if key.is("spiffeidContains") {
                value.text(&mut request.spiffeid_contains)
            } else if key.is("pathContains") {
                value.text(&mut request.path_contains)
            } else if key.is("after") {
                value.text(&mut request.after)
            } else if key.is("limit") {
                value.integer(&mut request.limit)
            } else {
                value.skip()
            }
        })?;
        Ok(request)
    }

    /// The body to send. Upstream's keys are always there.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.name("spiffeidPattern").text(&self.spiffeid_pattern);
                out.name("pathPattern").text(&self.path_pattern);
                out.text_if_any("nameContains", &self.name_contains);
                out.text_if_any("spiffeidContains", &self.spiffeid_contains);
                out.text_if_any("pathContains", &self.path_contains);
                out.page(&self.after, self.limit);
            });
        })
    }
}

/// N10: the names of policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyListResponse {
    /// The names. We send them sorted; upstream's order is random.
    pub names: Vec<String>,
    /// Where the next page begins: the `after` to ask with. `None` when this was the last; upstream sends all at once.
    pub next: Option<String>,
}

impl PolicyListResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let (mut names, mut next) = (Vec::new(), String::new());
        decode_reply(body, |key, value| {
            if key.is("next") {
                return value.text(&mut next);
            }
            if !key.is("policies") {
                return value.skip();
            }
            names.clear();
            value.array(|item| {
                names.push(read_name(item)?);
                Ok(())
            })?;
            Ok(())
        })?;
        Ok(Self { names, next: (!next.is_empty()).then_some(next) })
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.name("policies").array(|out| {
                    for name in &self.names {
                        out.element().object(|out| {
                            out.name("id").text(name);
                            out.name("name").text(name);
                        });
                    }
                });
                if let Some(next) = &self.next {
                    out.name("next").text(next);
                }
            });
        })
    }
}

fn read_name(item: &mut Reader<'_>) -> Result<String, JsonError> {
    let mut name = String::new();
    item.object(|key, value| if key.is("name") { value.text(&mut name) } else { value.skip() })?;
    Ok(name)
}

fn write_texts(out: &mut Writer, texts: &[String]) {
    out.array(|out| {
        for text in texts {
            out.element().text(text);
        }
    });
}
