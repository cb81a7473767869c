//! The modules of a crate, and which of them the `use` lines of each name.

use std::{collections::BTreeMap, fs, io, path::Path};

use super::circle::Graph;
use crate::repository::files_below;

/// The path of a module below the root of its crate; the root is empty.
type Module = Vec<String>;

/// The sources of one crate, without its tests.
pub(super) struct Crate(BTreeMap<Module, File>);

struct File {
    /// Where it is, below `src`.
    name: String,
    /// What its `use` lines name, as written: the path, and the name it goes by here.
    uses: Vec<(Vec<String>, String)>,
}

impl Crate {
    /// Reads all files below `source`.
    pub(super) fn read(source: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for path in files_below(source.to_owned(), "rs")? {
            let inner = path.strip_prefix(source).unwrap_or(&path);
            // `main.rs` beside `lib.rs` is a crate of its own, which uses the library by its name.
            let is_other = inner.ends_with("main.rs") && path.with_file_name("lib.rs").exists();
            if is_other || is_of_tests(inner) {
                continue;
            }
            let stem = inner.file_stem().unwrap_or_default().to_string_lossy();
            let mut module: Module =
                inner.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            module.pop();
            if !matches!(&*stem, "mod" | "lib" | "main") {
                module.push(stem.into_owned());
            }
            let name = inner.display().to_string();
            files.insert(module, File { name, uses: uses(&fs::read_to_string(&path)?) });
        }
        Ok(Self(files))
    }

    /// Which file uses which. What a module passes on (`pub use`) is used where it is defined.
    pub(super) fn graph(&self) -> Graph {
        let mut graph = Graph::new();
        for (module, file) in &self.0 {
            let used = graph.entry(file.name.clone()).or_default();
            for (path, _) in &file.uses {
                let target = self.target(module, path, 0);
                // A module and what is below it are one.
                if let Some(target) = target.filter(|target| !target.starts_with(module)) {
                    used.extend(self.0.get(&target).map(|file| file.name.clone()));
                }
            }
        }
        graph
    }

    /// Whether the files are all in one folder: below one module, which is not the root.
    pub(super) fn is_one_folder(&self, names: &[String]) -> bool {
        let mut tops = self.0.iter().filter(|(_, file)| names.contains(&file.name));
        let top = tops.next().and_then(|(module, _)| module.first());
        top.is_some() && tops.all(|(module, _)| module.first() == top)
    }

    /// The module in which what `path` names is defined; `None` where that is not in this crate.
    fn target(&self, from: &[String], path: &[String], depth: usize) -> Option<Module> {
        let mut at = from.to_vec();
        let mut rest = path.iter().map(String::as_str).peekable();
        match rest.peek() {
            Some(&"crate") => at = Module::new(),
            Some(&("super" | "self")) => {}
            Some(first) => {
                at.push((*first).to_owned());
                self.0.get(&at)?;
            }
            None => return None,
        }
        if path.first().is_none_or(|first| first != "super") {
            rest.next();
        }
        while let Some(name) = rest.next() {
            if name == "super" {
                at.pop();
                continue;
            }
            let mut child = at.clone();
            child.push(name.to_owned());
            if self.0.contains_key(&child) {
                at = child;
                continue;
            }
            // Passed on by this module from another one?
            let passed = self.0.get(&at)?.uses.iter().find(|(_, known)| known == name);
            let Some((further, _)) = passed.filter(|_| depth < 8) else { return Some(at) };
            let mut whole = further.clone();
            whole.extend(rest.map(str::to_owned));
            return self.target(&at, &whole, depth + 1);
        }
        Some(at)
    }
}

/// Files of tests need what they test.
fn is_of_tests(inner: &Path) -> bool {
    inner.iter().any(|part| {
        let stem = Path::new(part).file_stem();
        stem.is_some_and(|stem| stem == "tests" || stem == "testing")
    })
}

/// A file without its tests.
pub(super) fn code(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

/// What the `use` lines of a file name, its tests aside.
pub(super) fn uses(source: &str) -> Vec<(Vec<String>, String)> {
    let source = code(source);
    let mut found = Vec::new();
    let mut rest = String::new();
    for line in source.lines() {
        let code = line.split("//").next().unwrap_or_default().trim();
        let begins = ["use ", "pub use ", "pub(crate) use ", "pub(super) use "]
            .iter()
            .find_map(|word| code.strip_prefix(word));
        match begins {
            Some(begin) if rest.is_empty() => begin.clone_into(&mut rest),
            _ if !rest.is_empty() => rest.push_str(code),
            _ => continue,
        }
        if let Some(tree) = rest.strip_suffix(';') {
            leaves(tree, &[], &mut found);
            rest.clear();
        }
    }
    found
}

/// The paths of a tree such as `a::{b, c::{self, D as E}}`.
fn leaves(tree: &str, before: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim();
    if let Some(inside) = tree.strip_prefix('{').and_then(|tree| tree.strip_suffix('}')) {
        let (mut depth, mut start) = (0, 0);
        for (at, letter) in inside.char_indices().chain([(inside.len(), ',')]) {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    leaves(inside.get(start..at).unwrap_or_default(), before, found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let mut path = before.to_vec();
    if let Some((first, rest)) = tree.split_once("::") {
        path.push(first.trim().to_owned());
        leaves(rest, &path, found);
        return;
    }
    let (name, alias) = tree.split_once(" as ").unwrap_or((tree, tree));
    if name.is_empty() {
        return;
    }
    if name != "self" && name != "*" {
        path.push(name.to_owned());
    }
    let known =
        if alias == "self" { path.last().cloned().unwrap_or_default() } else { alias.into() };
    found.push((path, known));
}

#[test]
fn a_tree_of_uses_is_taken_apart() {
    let source = "use a::{b, c::{self, D as E}};\n// use x;\npub use super::F;\n\
                  #[cfg(test)]\nmod tests {\n    use g::H;\n}\n";
    let found: Vec<_> = uses(source).into_iter().map(|(path, _)| path.join("::")).collect();
    assert_eq!(found, ["a::b", "a::c", "a::c::D", "super::F"]);
}

// They were one module, and the directory said which of them was read.
#[test]
fn a_main_beside_a_library_does_not_take_its_place() -> io::Result<()> {
    for names in [["lib.rs", "main.rs"], ["main.rs", "lib.rs"]] {
        let folder = tempfile::tempdir()?;
        for name in names {
            let text = if name == "lib.rs" { "pub use a::A;\n" } else { "use nexus::A;\n" };
            fs::write(folder.path().join(name), text)?;
        }
        fs::write(folder.path().join("a.rs"), "")?;
        fs::write(folder.path().join("b.rs"), "use crate::A;\n")?;
        let graph = Crate::read(folder.path())?.graph();
        assert_eq!(graph.keys().collect::<Vec<_>>(), ["a.rs", "b.rs", "lib.rs"]);
        // Only the library says where `crate::A` is.
        assert_eq!(graph["b.rs"].iter().collect::<Vec<_>>(), ["a.rs"]);
    }
    Ok(())
}
