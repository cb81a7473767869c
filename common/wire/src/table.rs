//! What a row of the table of operations says, and what is made of the rows.

use super::error::ErrorFrame;
use super::route::Route;
use super::rule::{Needs, Rule};

/// The table's row of one operation.
#[derive(Debug)]
pub(super) struct Row {
    /// A stable name for metrics and logs.
    pub(super) label: &'static str,
    /// Who may use it.
    pub(super) rule: Rule,
    /// What it requires.
    pub(super) needs: Needs,
    /// Whether it makes a lasting change, or transfers key material.
    pub(super) changes: bool,
    /// How upstream writes the request.
    pub(super) route: Route,
    /// `Component` and `Action` in upstream's audit log.
    pub(super) audit: (&'static str, &'static str),
    /// How upstream answers an error.
    pub(super) error: ErrorFrame,
}

/// Declares operations, a row each: `VARIANT(REQUEST => REPLY) => Row { … }`, or without bodies. `calls by NAME!($)` declares their
/// calls too, and the macro `NAME`, which finds the call of an operation. It gets `$` because a macro cannot write one in another.
macro_rules! operations {
    (@calls) => {};
    (@calls $matcher:ident $d:tt $( $variant:ident: $request:ty => $reply:ty; )+) => {
        /// The call of each operation of Nexus.
        pub mod call {
            use bytes::Bytes;

            use super::super::*;

            calls! { $( $variant: $request => $reply; )+ }
        }

        /// What an expression yields for the [`Call`](crate::Call) of an operation that is known at run time only:
        /// `match_call!(operation, C => C::OPERATION.label())`. The expression has to compile for each call.
        #[macro_export]
        macro_rules! $matcher {
            ($d operation:expr, $d call:ident => $d then:expr) => {
                match $d operation { $(
                    $crate::Operation::$variant => {
                        type $d call = $crate::call::$variant;
                        $d then
                    }
                )+ }
            };
        }
    };
    (
        $(#[$meta:meta])*
        $name:ident $( calls by $matcher:ident!($d:tt) )? { $(
            $(#[doc = $doc:literal])+ $variant:ident $( ($request:ty => $reply:ty) )? => $row:expr,
        )* }
    ) => {
        operations! { @calls $( $matcher $d )? $( $( $variant: $request => $reply; )? )* }

        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $( $(#[doc = $doc])+ $variant, )* }

        impl $name {
            /// Every operation, in the order of the reference.
            pub const ALL: &[Self] = &[ $( Self::$variant, )* ];

            const fn row(self) -> &'static Row {
                match self { $( Self::$variant => const { &$row }, )* }
            }

            /// What it does, in a sentence that begins with its number in the reference, if it has one.
            pub const fn summary(self) -> &'static str {
                match self { $( Self::$variant => concat!($( $doc ),+).trim_ascii(), )* }
            }

            /// Who may use it.
            pub const fn rule(self) -> Rule {
                self.row().rule
            }

            /// What it requires.
            pub const fn needs(self) -> Needs {
                self.row().needs
            }

            /// Whether it makes a lasting change, or transfers key material.
            pub const fn changes(self) -> bool {
                self.row().changes
            }

            /// The operation of a POST to the decoded `path` with this query. Path and action are compared exactly; a
            /// missing action is the empty one. `None` is answered by the fallback.
            pub fn from_request(path: &str, query: Option<&str>) -> Option<Self> {
                let action = first_action(query.unwrap_or_default());
                Self::ALL.iter().copied().find(|operation| operation.row().route.is(path, &action))
            }

            /// Path and query, as clients send them.
            pub const fn path_and_query(self) -> &'static str {
                self.row().route.target
            }

            /// The path alone.
            pub const fn path(self) -> &'static str {
                self.row().route.path
            }

            /// The action; empty if there is none.
            pub const fn action(self) -> &'static str {
                self.row().route.action
            }

            /// A stable name for metrics.
            pub const fn label(self) -> &'static str {
                self.row().label
            }

            /// `Component` in upstream's audit log.
            pub const fn audit_component(self) -> &'static str {
                self.row().audit.0
            }

            /// `Action` in upstream's audit log, between `enter` and `exit`.
            pub const fn audit_action(self) -> &'static str {
                self.row().audit.1
            }

            /// The error body of this operation.
            pub fn error_body(self, code: ErrorCode) -> Bytes {
                self.row().error.body(code, None)
            }

            /// As [`Self::error_body`], with a sentence for people in `reason`, a key that upstream's clients ignore.
            /// It must not quote secret values.
            pub fn error_body_with_reason(self, code: ErrorCode, reason: &str) -> Bytes {
                self.row().error.body(code, Some(reason))
            }
        }

        impl AnyOperation for $name {
            fn of_request(path: &str, query: Option<&str>) -> Option<Self> {
                Self::from_request(path, query)
            }

            fn label(self) -> &'static str {
                self.row().label
            }

            fn audit(self) -> (&'static str, &'static str) {
                self.row().audit
            }

            fn changes(self) -> bool {
                self.row().changes
            }

            fn error(self, code: ErrorCode, reason: Option<&str>) -> Bytes {
                self.row().error.body(code, reason)
            }
        }

        impl fmt::Display for $name {
            /// The label.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.label())
            }
        }
    };
}
