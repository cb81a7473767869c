//! The declaration of bodies.
//!
//! `bodies!` takes the fields of a body and their keys, once. It generates reading, writing, and for tests and fuzz targets
//! the list of bodies, with an example of each. A field that is not declared can be neither read nor sent.

use bytes::Bytes;

use super::error::{PeerErrorCode, ReplyError};
use super::go_json::{self, Field, JsonError, Object};

/// Declares bodies. Each is `pub struct NAME: KIND { pub FIELD: TYPE = "KEY", }`; `as ADAPTER` may follow the key.
///
/// Kinds: a `Request`; a `Reply`, which is an error if it contains an error code; a `BareReply`, whose error code is
/// ignored; a `Part` of other bodies, which is not sent alone.
macro_rules! bodies {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident: $kind:ident {
            $( $(#[$doc:meta])* pub $field:ident: $type:ty = $key:literal $(as $adapter:ty)?, )*
        }
    )*) => {
        $(
            $(#[$meta])*
            pub struct $name { $( $(#[$doc])* pub $field: $type, )* }

            impl Default for $name {
                /// Every field with the value it has if the body omits it.
                fn default() -> Self {
                    Self { $( $field: <$type as super::go_json::Field>::zero(), )* }
                }
            }

            impl super::go_json::Object for $name {
                #[cfg(any(test, feature = "fuzzing"))]
                const KEYS: &'static [&'static str] = &[$( $key, )*];

                fn read_field(
                    &mut self,
                    key: &super::go_json::Key<'_>,
                    value: &mut super::go_json::Reader<'_>,
                ) -> Result<(), super::JsonError> {
                    $( if <bodies!(@adapter $($adapter)?) as super::go_json::Adapter<$type>>::is(key, $key) {
                        return <bodies!(@adapter $($adapter)?) as super::go_json::Adapter<$type>>::read(
                            &mut self.$field,
                            value,
                        );
                    } )*
                    value.skip()
                }

                fn write_fields(&self, out: &mut super::go_json::Writer) {
                    $( <bodies!(@adapter $($adapter)?) as super::go_json::Adapter<$type>>::write(
                        &self.$field,
                        $key,
                        out,
                    ); )*
                }

                #[cfg(any(test, feature = "fuzzing"))]
                fn same_fields(&self, again: &Self) -> bool {
                    true $( && super::go_json::Same::same(&self.$field, &again.$field) )*
                }

                #[cfg(any(test, feature = "fuzzing"))]
                fn example_fields() -> Self {
                    Self { $( $field: super::go_json::Example::example(), )* }
                }
            }

            bodies! { @$kind $name }
        )*

        /// The bodies declared here.
        #[cfg(any(test, feature = "fuzzing"))]
        pub(super) const BODIES: &[super::Body] = &[$(
            super::Body::of::<$name>(stringify!($name), super::BodyKind::$kind),
        )*];
    };
    (@Request $name:ident) => {
        impl $name {
            /// Reads the body.
            ///
            /// # Errors
            /// [`JsonError`](super::JsonError) when it is malformed.
            pub fn decode(body: &[u8]) -> Result<Self, super::JsonError> {
                super::body::request(body)
            }
        }
        bodies! { @encode $name }
    };
    (@Reply $name:ident) => {
        impl $name {
            /// Reads the body of a 200.
            ///
            /// # Errors
            /// [`ReplyError`](super::ReplyError) when it is malformed or carries an error code.
            pub fn decode(body: &[u8]) -> Result<Self, super::ReplyError> {
                super::body::reply(body)
            }
        }
        bodies! { @encode $name }
    };
    (@BareReply $name:ident) => {
        impl $name {
            /// Reads the body of a 200, and ignores an error code.
            ///
            /// # Errors
            /// [`ReplyError::Malformed`](super::ReplyError) when it is malformed.
            pub fn decode(body: &[u8]) -> Result<Self, super::ReplyError> {
                Ok(super::body::request(body)?)
            }
        }
        bodies! { @encode $name }
    };
    (@Part $name:ident) => {};
    (@adapter) => { super::go_json::Plain };
    (@adapter $adapter:ty) => { $adapter };
    (@encode $name:ident) => {
        impl $name {
            /// The body to send.
            pub fn encode(&self) -> ::bytes::Bytes {
                super::body::encode(self)
            }
        }
    };
}

/// Declares fields that have one of a few words. The variant with `#[default]` is used if the body omits the field; any
/// other word makes the body malformed.
macro_rules! words {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[$doc:meta])* $variant:ident = $word:literal, )* }
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { $( $(#[$doc])* $variant, )* }

        impl $name {
            /// Its word in a body.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }

        impl super::go_json::Field for $name {
            fn zero() -> Self {
                Self::default()
            }

            fn read(
                &mut self,
                from: &mut super::go_json::Reader<'_>,
            ) -> Result<(), super::JsonError> {
                from.word(&[$( ($word, Self::$variant), )*], self)
            }

            fn write(&self, out: &mut super::go_json::Writer) {
                out.text(self.as_str());
            }
        }

        #[cfg(any(test, feature = "fuzzing"))]
        impl super::go_json::Same for $name {
            fn same(&self, again: &Self) -> bool {
                self == again
            }
        }

        #[cfg(any(test, feature = "fuzzing"))]
        impl super::go_json::Example for $name {
            fn example() -> Self {
                [$( Self::$variant, )*].into_iter().find(|word| *word != Self::default()).unwrap_or_default()
            }
        }
    )* };
}

/// Reads a whole body that is one object, or `null`.
pub(super) fn request<T: Object>(body: &[u8]) -> Result<T, JsonError> {
    let mut request = T::default();
    go_json::decode(body, |reader| request.read(reader))?;
    Ok(request)
}

/// Reads the body of a 200, which may still contain an error code.
pub(super) fn reply<T: Object>(body: &[u8]) -> Result<T, ReplyError> {
    let (mut reply, mut code) = (T::default(), String::new());
    go_json::decode_object(body, |key, value| {
        if key.is("err") { code.read(value) } else { reply.read_field(key, value) }
    })?;
    if code.is_empty() {
        return Ok(reply);
    }
    Err(ReplyError::Refused(PeerErrorCode::parse(&code)))
}

/// The body to send.
pub(super) fn encode<T: Object>(body: &T) -> Bytes {
    go_json::body(|out| body.write(out))
}

/// A declaration, for tests and fuzz targets that walk all of them.
#[cfg(any(test, feature = "fuzzing"))]
#[derive(Clone, Copy, Debug)]
pub struct Body {
    /// The name of its type.
    pub name: &'static str,
    /// Its sender.
    pub kind: BodyKind,
    /// The keys that it declares.
    pub keys: &'static [&'static str],
    /// A text of it, in which every key has a value.
    pub example: fn() -> Bytes,
    /// Reads it, and writes it again.
    pub rewrite: fn(&[u8]) -> Result<Bytes, ReplyError>,
    /// Whether the second text reads as the first one does after it was sent.
    pub same: fn(&[u8], &[u8]) -> bool,
}

/// The sender of a body.
#[cfg(any(test, feature = "fuzzing"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// A client.
    Request,
    /// A server, with a 200; an error if it contains an error code.
    Reply,
    /// A server, with a 200; its error code is ignored.
    BareReply,
    /// A part of other bodies, never sent alone.
    Part,
}

#[cfg(any(test, feature = "fuzzing"))]
impl Body {
    /// The declaration of `T`.
    pub(super) const fn of<T: Object>(name: &'static str, kind: BodyKind) -> Self {
        let rewrite = match kind {
            BodyKind::Reply => |body: &[u8]| Ok(encode(&reply::<T>(body)?)),
            BodyKind::Request | BodyKind::BareReply | BodyKind::Part => {
                |body: &[u8]| Ok(encode(&request::<T>(body)?))
            }
        };
        let same = |one: &[u8], again: &[u8]| match (request::<T>(one), request::<T>(again)) {
            (Ok(one), Ok(again)) => one.same_fields(&again),
            _ => false,
        };
        Self { name, kind, keys: T::KEYS, example: || encode(&T::example_fields()), rewrite, same }
    }
}
