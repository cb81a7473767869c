//! Bodies of policies. Those of questions about them are in `explain`.
//!
//! A policy is addressed by its name, which clients send in the field `id`. Answers here have the name in `id`
//! too, so that a client can pass it on to the next call.

use time::OffsetDateTime;

use super::go_json::{Adapter, AtMost, Field, JsonError, Key, OmitZero, Reader, Writer};
use super::secret::{Limit, NextPage};

bodies! {
    /// Creates or replaces a policy (N7).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyPutRequest: Request {
        /// The name, not checked yet.
        pub name: String = "name",
        /// The pattern of SPIFFE IDs, not checked yet.
        pub spiffeid_pattern: String = "spiffeidPattern",
        /// The pattern of paths, not checked yet.
        pub path_pattern: String = "pathPattern",
        /// The permissions, not checked yet.
        pub permissions: Vec<String> = "permissions" as AtMost<MAX_PERMISSIONS>,
        /// Whether to fail if the policy exists. Upstream ignores this and replaces the policy.
        pub create_only: bool = "createOnly" as OmitZero,
    }

    /// The policy was stored (N7).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyPutResponse: Reply {
        /// Its name. Upstream omits it.
        pub id: String = "id" as OmitZero,
    }

    /// A policy by its name (N8, N9). N9 is answered by [`EmptyResponse`](super::EmptyResponse).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyNameRequest: Request {
        /// The name, not checked yet.
        pub name: String = "id",
    }

    /// A policy (N8).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Policy: Reply {
        /// Its name.
        pub name: String = "name" as AlsoId,
        /// The pattern of SPIFFE IDs. Read with either spelling of its key, and written with both: upstream's
        /// answers use `spiffiedPattern`, its requests `spiffeidPattern`.
        pub spiffeid_pattern: String = "spiffeidPattern" as BothSpellings,
        /// The pattern of paths.
        pub path_pattern: String = "pathPattern",
        /// The permissions.
        pub permissions: Vec<String> = "permissions",
        /// When a policy of this name was first put.
        pub created_at: OffsetDateTime = "createdAt",
        /// When it was last put.
        pub updated_at: OffsetDateTime = "updatedAt",
    }

    /// Lists policies, all or some of them (N10). Upstream has only the first two fields, and always sends them. It
    /// ignores the others, which are omitted if they are empty.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyListRequest: Request {
        /// If not empty: only policies with exactly this SPIFFE ID pattern.
        pub spiffeid_pattern: String = "spiffeidPattern",
        /// If not empty, and the other one is: only policies with exactly this path pattern.
        pub path_pattern: String = "pathPattern",
        /// Only policies with this in their name.
        pub name_contains: String = "nameContains" as OmitZero,
        /// Only policies with this in their SPIFFE ID pattern.
        pub spiffeid_contains: String = "spiffeidContains" as OmitZero,
        /// Only policies with this in their path pattern.
        pub path_contains: String = "pathContains" as OmitZero,
        /// Only policies whose name comes after this one.
        pub after: String = "after" as OmitZero,
        /// The most policies; 0 and less are no limit.
        pub limit: i64 = "limit" as Limit,
    }

    /// The names of policies (N10).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyListResponse: Reply {
        /// The names, sorted. Upstream's order is random.
        pub names: Vec<String> = "policies" as Listed,
        /// The `after` of the next page. `None` on the last page; upstream sends everything at once.
        pub next: Option<String> = "next" as NextPage,
    }
}

/// The most permissions in a request. There are fewer words for them.
const MAX_PERMISSIONS: usize = 64;

/// The name of a policy, written as its `id` too. Only the name is read.
struct AlsoId;

impl Adapter<String> for AlsoId {
    fn write(name: &String, key: &str, out: &mut Writer) {
        name.write(out.name("id"));
        name.write(out.name(key));
    }
}

/// The pattern whose key is misspelt in upstream's answers.
struct BothSpellings;

impl BothSpellings {
    const MISSPELT: &str = "spiffiedPattern";
}

impl Adapter<String> for BothSpellings {
    fn is(key: &Key<'_>, name: &str) -> bool {
        key.is(Self::MISSPELT) || key.is(name)
    }

    fn write(pattern: &String, key: &str, out: &mut Writer) {
        pattern.write(out.name(Self::MISSPELT));
        pattern.write(out.name(key));
    }
}

/// Policies by name only: a list of objects with `id` and `name`.
struct Listed;

impl Adapter<Vec<String>> for Listed {
    fn read(names: &mut Vec<String>, from: &mut Reader<'_>) -> Result<(), JsonError> {
        names.clear();
        from.array(|policy| {
            let mut name = String::new();
            policy.object(
                |key, value| {
                    if key.is("name") { name.read(value) } else { value.skip() }
                },
            )?;
            names.push(name);
            Ok(())
        })
        .map(drop)
    }

    fn write(names: &Vec<String>, key: &str, out: &mut Writer) {
        out.name(key).array(|out| {
            for name in names {
                out.element().object(|out| AlsoId::write(name, "name", out));
            }
        });
    }
}
