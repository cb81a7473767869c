//! Complete bodies that take much work or memory for their size.

/// A kind of large body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargeBody {
    /// As many names of values as fit.
    Names,
    /// One name of a value, again and again.
    OneName,
    /// The map of values, again and again.
    Maps,
    /// One long value.
    Value,
    /// One long value of escapes.
    Escapes,
    /// One long key that no request has.
    LongKey,
    /// A list under a key that no request has.
    Unknown,
    /// Versions to delete.
    Versions,
    /// Permissions of a policy.
    Permissions,
    /// Numbers of a share.
    Share,
}

impl LargeBody {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Names,
        Self::OneName,
        Self::Maps,
        Self::Value,
        Self::Escapes,
        Self::LongKey,
        Self::Unknown,
        Self::Versions,
        Self::Permissions,
        Self::Share,
    ];

    /// The target of its request.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Versions => "/v1/store/secrets?action=delete",
            Self::Permissions => "/v1/acl/policy",
            Self::Share => "/v1/operator/restore",
            Self::Names
            | Self::OneName
            | Self::Maps
            | Self::Value
            | Self::Escapes
            | Self::LongKey
            | Self::Unknown => "/v1/store/secrets",
        }
    }

    /// A body of this kind with up to `most` bytes, and not many fewer.
    pub fn body(self, most: usize) -> String {
        let numbered = |number: usize| format!(r#""{number:x}":"""#);
        let (start, end) = match self {
            Self::Names | Self::OneName => (r#"{"path":"large","values":{"#, "}}"),
            Self::Maps => (r#"{"path":"large","#, "}"),
            Self::Value | Self::Escapes => (r#"{"path":"large","values":{"name":""#, r#""}}"#),
            Self::LongKey => (r#"{"path":"large",""#, r#"":1,"values":{}}"#),
            Self::Unknown => (r#"{"path":"large","values":{},"unknown":["#, "]}"),
            Self::Versions => (r#"{"path":"large","versions":["#, "]}"),
            Self::Permissions => (
                r#"{"name":"large","spiffeidPattern":"^a$","pathPattern":"^b$","permissions":["#,
                "]}",
            ),
            Self::Share => (r#"{"id":1,"shard":["#, "]}"),
        };
        let between = |element: &str| match self {
            Self::Value | Self::Escapes | Self::LongKey => element.to_owned(),
            _ => format!(",{element}"),
        };
        let mut body = String::with_capacity(most);
        body.push_str(start);
        for number in 0.. {
            let element = match self {
                Self::Names => numbered(number),
                Self::OneName => numbered(0),
                Self::Maps => r#""values":{"name":""}"#.to_owned(),
                Self::Value | Self::LongKey => "x".repeat(1000),
                Self::Escapes => r"\u0041".to_owned(),
                Self::Unknown => "[]".to_owned(),
                Self::Versions | Self::Share => "1".to_owned(),
                Self::Permissions => r#""a""#.to_owned(),
            };
            let element = if number == 0 { element } else { between(&element) };
            if body.len() + element.len() + end.len() > most {
                break;
            }
            body.push_str(&element);
        }
        body.push_str(end);
        body
    }
}
