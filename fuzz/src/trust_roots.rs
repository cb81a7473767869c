//! Lists of trust roots, and the IDs they recognize. The first line is the list, the rest a SPIFFE ID.

use spike_domain::{Role, TrustRoots};

/// See the module.
pub fn check(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let (list, id) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(roots) = TrustRoots::parse(list) else { return false };

    assert_eq!(TrustRoots::parse(&roots.to_string()), Ok(roots.clone()), "prints what reads back");
    assert_eq!(roots.iter().count(), list.split(',').count(), "no root is lost");
    for root in roots.iter() {
        let alone = TrustRoots::parse(root).expect("what is compared can be set");
        let neighbour = format!("spiffe://{root}/{}2", Role::Nexus.path());
        assert!(!alone.hold(Role::Nexus, &neighbour), "{neighbour}");
    }
    for role in Role::ALL {
        for own in roots.ids(role) {
            assert!(roots.hold(role, &own), "{own}");
            assert!(roots.hold(role, &format!("{own}/pod-0")), "{own}");
        }
        let expected = roots.ids(role).any(|own| {
            id.strip_prefix(&own).is_some_and(|below| below.is_empty() || below.starts_with('/'))
        });
        assert_eq!(roots.hold(role, id), expected, "{role}: {id}");
    }
    true
}
