//! Bodies without fields.

use super::JsonError;
#[cfg(any(test, feature = "fuzzing"))]
use super::body::{Body, BodyKind};
use super::go_json::{Key, Object, Reader, Writer};

macro_rules! empty {
    ($( $(#[$doc:meta])* $kind:ident $name:ident )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub struct $name;

            impl Object for $name {
                #[cfg(any(test, feature = "fuzzing"))]
                const KEYS: &'static [&'static str] = &[];

                fn read_field(&mut self, _: &Key<'_>, value: &mut Reader<'_>) -> Result<(), JsonError> {
                    value.skip()
                }

                fn write_fields(&self, _: &mut Writer) {}

                #[cfg(any(test, feature = "fuzzing"))]
                fn same_fields(&self, _: &Self) -> bool {
                    true
                }

                #[cfg(any(test, feature = "fuzzing"))]
                fn example_fields() -> Self {
                    Self
                }
            }

            bodies! { @$kind $name }
        )*

        #[cfg(any(test, feature = "fuzzing"))]
        pub(super) const BODIES: &[Body] = &[$( Body::of::<$name>(stringify!($name), BodyKind::$kind), )*];
    };
}

empty! {
    /// A request without fields: the body `{}` of N13 and K2. Any object is valid, and `null`.
    Request EmptyRequest

    /// An answer without fields: N1, N3, N4, N9 and K1.
    Reply EmptyResponse
}
