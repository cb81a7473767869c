//! The file of `spike policy apply`: YAML or JSON, one policy or several documents.

use std::collections::HashSet;

use spike_domain::rules;
use spike_pilot::policy_document;

/// See the module.
pub fn check(data: &[u8]) -> bool {
    let Some(policies) = policy_document(data) else { return false };
    assert!(!policies.is_empty());
    let names: HashSet<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names.len(), policies.len(), "one name twice");
    for policy in &policies {
        assert!(rules::is_name(&policy.name), "{policy:?}");
        assert!(rules::is_spiffeid_pattern(&policy.spiffeid_pattern), "{policy:?}");
        assert!(rules::is_path_pattern(&policy.path_pattern), "{policy:?}");
        assert!(!policy.permissions.is_empty(), "{policy:?}");
        // JSON is YAML, so a body from the wire is a policy file too.
        let again = policy_document(&policy.encode()).expect("what is sent can be read");
        assert_eq!(again, std::slice::from_ref(policy));
    }
    true
}
