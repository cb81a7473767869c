//! Bodies of the policies: N7 to N10.
//!
//! A policy is addressed by its name, which clients send in the field `id`. We fill `id` with the name in answers
//! too, so that what one call returns the next can use.

use time::OffsetDateTime;

use super::go_json::{Adapter, Field, JsonError, Key, OmitZero, Reader, Writer};
use super::secret::{Limit, NextPage};

bodies! {
    /// N7: create or replace a policy.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyPutRequest: Request {
        /// The name, not checked yet.
        pub name: String = "name",
        /// Which SPIFFE IDs it is about, not checked yet.
        pub spiffeid_pattern: String = "spiffeidPattern",
        /// Which paths it is about, not checked yet.
        pub path_pattern: String = "pathPattern",
        /// What it allows, not checked yet.
        pub permissions: Vec<String> = "permissions",
        /// Refuse when a policy of that name exists. Upstream passes over this field and replaces the policy.
        pub create_only: bool = "createOnly" as OmitZero,
    }

    /// N7: the policy was put.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyPutResponse: Reply {
        /// Its name. Upstream leaves it out.
        pub id: String = "id" as OmitZero,
    }

    /// N8 and N9: one policy, by its name. N9 is answered by [`EmptyResponse`](super::EmptyResponse).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyNameRequest: Request {
        /// The name, not checked yet.
        pub name: String = "id",
    }

    /// N8: a policy.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Policy: Reply {
        /// Its name.
        pub name: String = "name" as AlsoId,
        /// Which SPIFFE IDs it is about. Read under either spelling of its key, written under both: upstream's
        /// answer says `spiffiedPattern`, its requests say `spiffeidPattern`.
        pub spiffeid_pattern: String = "spiffeidPattern" as BothSpellings,
        /// Which paths it is about.
        pub path_pattern: String = "pathPattern",
        /// What it allows.
        pub permissions: Vec<String> = "permissions",
        /// When a policy of this name was first put.
        pub created_at: OffsetDateTime = "createdAt",
        /// When it was last put.
        pub updated_at: OffsetDateTime = "updatedAt",
    }

    /// N10: policies, all of them or some. The first two fields are upstream's, which always sends them, the others ours:
    /// left out when they ask for nothing, and passed over by upstream.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyListRequest: Request {
        /// When not empty: only policies whose SPIFFE ID pattern is this text.
        pub spiffeid_pattern: String = "spiffeidPattern",
        /// When not empty, and the other is: only policies whose path pattern is this text.
        pub path_pattern: String = "pathPattern",
        /// Only policies with this in their name.
        pub name_contains: String = "nameContains" as OmitZero,
        /// Only policies with this in their SPIFFE ID pattern.
        pub spiffeid_contains: String = "spiffeidContains" as OmitZero,
        /// Only policies with this in their path pattern.
        pub path_contains: String = "pathContains" as OmitZero,
        /// Only policies whose name comes after this one.
        pub after: String = "after" as OmitZero,
        /// At most so many policies; 0 and less are no limit.
        pub limit: i64 = "limit" as Limit,
    }

    /// N10: the names of policies.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyListResponse: Reply {
        /// The names. We send them sorted; upstream's order is random.
        pub names: Vec<String> = "policies" as Listed,
        /// Where the next page begins: the `after` to ask with. `None` when this was the last; upstream sends all at once.
        pub next: Option<String> = "next" as NextPage,
    }
}

/// The name of a policy, which is its `id` too. What is read is the name.
struct AlsoId;

impl Adapter<String> for AlsoId {
    fn write(name: &String, key: &str, out: &mut Writer) {
        name.write(out.name("id"));
        name.write(out.name(key));
    }
}

/// The pattern whose key upstream's answers misspell.
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

/// Policies of which the name alone is told: a list of objects with `id` and `name`.
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
