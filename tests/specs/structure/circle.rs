//! Circles of a graph: nodes that can be reached from themselves.

use std::collections::{BTreeMap, BTreeSet};

/// From each file to those that it uses.
pub(super) type Graph = BTreeMap<String, BTreeSet<String>>;

/// The largest sets of nodes that all reach each other, of two nodes or more.
pub(super) fn all(graph: &Graph) -> Vec<Vec<String>> {
    let reached: BTreeMap<_, _> = graph.keys().map(|node| (node, reach(graph, node))).collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (node, there) in &reached {
        let mutual = |other: &&String| reached.get(other).is_some_and(|back| back.contains(*node));
        let circle: Vec<String> = there.iter().filter(mutual).cloned().collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// All that can be reached from `node` in one step or more.
fn reach(graph: &Graph, node: &String) -> BTreeSet<String> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![node]);
    while let Some(node) = next.pop() {
        for other in graph.get(node).into_iter().flatten() {
            if seen.insert(other.clone()) {
                next.push(other);
            }
        }
    }
    seen
}

#[test]
fn a_circle_is_found_and_a_line_is_not() {
    let graph = |edges: &[(&str, &str)]| -> Graph {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    };
    assert_eq!(all(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])), Vec::<Vec<String>>::new());
    let circle = all(&graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]));
    assert_eq!(circle, [["b", "c"].map(str::to_owned).to_vec()]);
}
