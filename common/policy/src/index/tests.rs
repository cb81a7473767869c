use super::keys::Keys;
use super::*;

/// Files the patterns, and returns how many of them a look-up finds.
fn candidates(index: &FieldIndex, filed: &[Arc<Filed>], subject: &str) -> usize {
    let slots = index.slots(subject);
    filed.iter().filter(|filed| filed.slots.iter().any(|slot| slots.contains(slot))).count()
}

fn file_all(texts: impl IntoIterator<Item = String>) -> (FieldIndex, Vec<Arc<Filed>>) {
    let mut index = FieldIndex::new();
    let filed = texts.into_iter().map(|text| index.file(&text, |_, _| false).unwrap()).collect();
    (index, filed)
}

#[test]
fn one_of_many_anchored_patterns_is_a_candidate() {
    for form in [
        r"^spiffe://example\.org/app-N$",
        r"^spiffe://example\.org/app-N(/.*)?$",
        "^spiffe://example.org/app-N$",
        "^spiffe://[a-z]xample.org/app-N",
        "^(spiffe|https)://example.org/app-N/",
        "(^spiffe://example.org/app-N$)",
    ] {
        let (index, filed) = file_all((1000..3000).map(|n| form.replace('N', &n.to_string())));
        let found = candidates(&index, &filed, "spiffe://example.org/app-2345/");
        assert!(found <= 1, "{form}: {found} candidates");
        let found = candidates(&index, &filed, "spiffe://example.org/app-2345");
        assert!(found <= 1, "{form}: {found} candidates");
    }
}

#[test]
fn patterns_without_an_anchor_are_filed_under_a_text_they_demand() {
    for form in [
        "/app-N/",
        ".*/app-N/x",
        "spiffe://.*/app-N/",
        "^spiffe://[^/]+/app-N/",
        "[a-z]+/app-N/[a-z]",
    ] {
        let (index, filed) = file_all((1000..3000).map(|n| form.replace('N', &n.to_string())));
        // For the first one all keys may have been equally rare.
        let found = candidates(&index, &filed, "spiffe://example.org/app-2345/x");
        assert!((1..=2).contains(&found), "{form}: {found} candidates");
    }
}

#[test]
fn the_same_text_is_filed_once_and_goes_with_its_last_use() {
    let mut index = FieldIndex::new();
    let first = index.file("^a/", |_, _| false).unwrap();
    let second = index.file("^a/", |_, _| false).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    index.unfile(&first);
    assert_eq!(index.slots("a/b").len(), 1);
    index.unfile(&second);
    assert_eq!(index.slots("a/b"), []);
    assert!(index.anchored.is_bare(), "the tree is empty again");
}

#[test]
fn a_tree_forgets_what_was_taken_away_in_any_order() {
    let words = ["ab", "abc", "abd", "a", "", "b", "abcde", "ab\u{fe}", "é"];
    for seed in 0..200_usize {
        let mut trie = Trie::new();
        let mut filed: Vec<(NodeId, &str, bool)> = Vec::new();
        for step in 0..30_usize {
            let turn = seed * 7919 + step * (seed + 3);
            if turn % 3 == 0 && !filed.is_empty() {
                let (node, _, exact) = filed.swap_remove(turn % filed.len());
                trie.release(node, exact);
            } else {
                let word = words[turn % words.len()];
                let exact = turn % 2 == 0;
                filed.push((trie.add(word.as_bytes(), exact), word, exact));
            }
            for subject in ["", "a", "ab", "abc", "abcdef", "b", "é!", "x"] {
                let mut found = Vec::new();
                let mut collect = |node, exact| found.push((node, exact));
                trie.visit_root(subject.as_bytes(), &mut collect);
                trie.visit(subject.as_bytes(), &mut collect);
                found.sort_unstable();
                let mut expected: Vec<(NodeId, bool)> = filed
                    .iter()
                    .filter(
                        |(_, word, exact)| {
                            if *exact { subject == *word } else { subject.starts_with(word) }
                        },
                    )
                    .map(|&(node, _, exact)| (node, exact))
                    .collect();
                expected.sort_unstable();
                expected.dedup();
                assert_eq!(found, expected, "{subject:?} among {filed:?}");
            }
        }
        for (node, _, exact) in filed {
            trie.release(node, exact);
        }
        assert!(trie.is_bare());
    }
}

#[test]
fn a_wildcard_takes_one_character_of_any_length() {
    let (index, filed) = file_all(["^a.c$".into(), "^a[^x]c$".into()]);
    for subject in ["abc", "aéc", "a中c", "a😀c"] {
        assert_eq!(candidates(&index, &filed, subject), 2, "{subject}");
        assert!(filed.iter().all(|filed| filed.is_match(subject, &CompiledPatterns::default())));
    }
    for subject in ["ac", "abbc", "ab"] {
        assert_eq!(candidates(&index, &filed, subject), 0, "{subject}");
    }
}

#[test]
fn no_key_is_longer_than_needed_however_long_the_pattern() {
    let long = format!("^{}$", "ab".repeat(10_000));
    let (index, filed) = file_all([long]);
    assert_eq!(candidates(&index, &filed, &"ab".repeat(10_000)), 1);
    let alternatives = format!("^({})x", vec!["a"; 2000].join("|"));
    let keys = Keys::of(&go_syntax::parse(&alternatives).unwrap());
    assert!(keys.choose(|_| 0).is_none_or(|keys| keys.len() <= 16));
}

#[test]
fn compiled_patterns_are_kept_up_to_a_bound_and_come_back_when_needed() {
    let (_, filed) = file_all((0..2500).map(|n| format!("^t{n}/[a-z]+$")));
    let kept = CompiledPatterns::default();
    for _ in 0..2 {
        for (n, filed) in filed.iter().enumerate() {
            assert!(filed.is_match(&format!("t{n}/abc"), &kept));
            assert!(!filed.is_match(&format!("t{n}/9"), &kept));
        }
        assert_eq!(kept.len(), filed::MAX_COMPILED);
    }
}

#[test]
fn plain_patterns_are_never_compiled() {
    let (_, filed) =
        file_all(["^a/b$", "a", "^spiffe://example.org/.*$", ".*", "^a.b"].map(Into::into));
    let kept = CompiledPatterns::default();
    for filed in &filed {
        filed.is_match("a/b", &kept);
    }
    assert_eq!(kept.len(), 0);
}
