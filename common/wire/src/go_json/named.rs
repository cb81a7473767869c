//! The named values of one version of a secret, in two allocations however many they are: a million small allocations
//! would take a hundred times the bytes of their body, and leave memory that cannot be returned.

use std::fmt;

use zeroize::Zeroizing;

use super::values::SecretText;
use super::{self as go_json, Field, JsonError};

/// The most maps that are merged. Go merges any number; no client sends a map twice, and each merge sorts all names.
const MAX_MERGED: u8 = 16;

/// One value of a secret, lent.
#[derive(Clone, Copy)]
pub struct SecretStr<'a>(&'a str);

impl<'a> SecretStr<'a> {
    /// Lends the text.
    pub const fn expose_secret(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for SecretStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretStr([REDACTED])")
    }
}

/// The named values of one version of a secret, sorted by name. Names are not secret, values are.
#[derive(Default)]
pub struct SecretValues {
    /// Each name, followed by its value.
    text: Zeroizing<String>,
    /// In the order of the names.
    entries: Vec<Entry>,
    /// How many maps of a body were merged.
    merged: u8,
}

/// One name and its value: `text[name..value]` and `text[value..end]`.
#[derive(Clone, Copy)]
struct Entry {
    name: u32,
    value: u32,
    end: u32,
}

impl SecretValues {
    /// Sets a value, and replaces an earlier one of that name.
    ///
    /// # Panics
    /// If all texts together have 4 GiB or more.
    #[expect(clippy::needless_pass_by_value, reason = "the texts are wiped here")]
    #[expect(clippy::expect_used, reason = "no body in this system comes near 4 GiB")]
    pub fn insert(&mut self, name: String, value: SecretText) {
        let value = value.expose_secret();
        self.merged = 0;
        let mut adding = self.adding(1, name.len() + value.len()).expect("less than 4 GiB");
        adding.name(|text| text.push_str(&name));
        adding.value(|text| text.push_str(value));
    }

    /// The value with that name.
    pub fn get(&self, name: &str) -> Option<SecretStr<'_>> {
        let place = self.entries.binary_search_by(|entry| self.name(*entry).cmp(name)).ok()?;
        self.entries.get(place).map(|entry| self.value(*entry))
    }

    /// Names and values, in the order of the names' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, SecretStr<'_>)> {
        self.entries.iter().map(|entry| (self.name(*entry), self.value(*entry)))
    }

    /// The names, in the order of their bytes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| self.name(*entry))
    }

    /// The number of values.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no values.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The values as a JSON object, which is also their stored form: `SecretGetResponse::encode_stored` sends it
    /// unchanged.
    pub fn to_json_object(&self) -> Zeroizing<Vec<u8>> {
        go_json::secret_json(|out| self.write(out))
    }

    /// Reads a JSON object of strings. `null` is `None`: upstream stores it for a version without values.
    ///
    /// # Errors
    /// [`JsonError`] if it is anything else.
    pub fn from_json_object(json: &[u8]) -> Result<Option<Self>, JsonError> {
        let mut values = None;
        go_json::decode(json, |reader| values.read(reader))?;
        Ok(values)
    }

    /// Prepares for `values` more values, whose names and texts have `bytes` bytes together. `None`: that is too much, or
    /// too many maps were merged.
    pub(super) fn adding(&mut self, values: usize, bytes: usize) -> Option<Adding<'_>> {
        self.merged = self.merged.checked_add(1).filter(|merged| *merged <= MAX_MERGED)?;
        let needed = self.text.len().checked_add(bytes)?;
        u32::try_from(needed).ok()?;
        if needed > self.text.capacity() {
            let capacity =
                if self.text.is_empty() { needed } else { needed.max(2 * self.text.capacity()) };
            let mut larger = Zeroizing::new(String::with_capacity(capacity));
            larger.push_str(&self.text);
            self.text = larger;
        }
        if self.entries.is_empty() {
            self.entries.reserve_exact(values);
        } else {
            self.entries.reserve(values);
        }
        Some(Adding { values: self })
    }

    /// Sorts by name. Of several entries with one name, the last one that was added is kept.
    fn sort(&mut self) {
        let text = self.text.as_str();
        let name = |entry: &Entry| part(text, entry.name, entry.value);
        self.entries.sort_unstable_by(|one, other| {
            name(one).cmp(name(other)).then(one.name.cmp(&other.name)).then(one.end.cmp(&other.end))
        });
        self.entries.dedup_by(|later, earlier| {
            let is_same = name(later) == name(earlier);
            if is_same {
                *earlier = *later;
            }
            is_same
        });
    }

    fn name(&self, entry: Entry) -> &str {
        part(&self.text, entry.name, entry.value)
    }

    fn value(&self, entry: Entry) -> SecretStr<'_> {
        SecretStr(part(&self.text, entry.value, entry.end))
    }

    /// The end of the text so far. [`Self::adding`] has checked that it fits.
    fn end(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }
}

fn part(text: &str, from: u32, to: u32) -> &str {
    text.get(from as usize..to as usize).unwrap_or_default()
}

/// Values that are being added. They count once this is dropped.
pub(super) struct Adding<'v> {
    values: &'v mut SecretValues,
}

impl Adding<'_> {
    /// Begins a value with the name that `append` appends.
    pub(super) fn name(&mut self, append: impl FnOnce(&mut String)) {
        let name = self.values.end();
        append(&mut self.values.text);
        let value = self.values.end();
        self.values.entries.push(Entry { name, value, end: value });
    }

    /// Appends the text of the value that was begun last.
    pub(super) fn value(&mut self, append: impl FnOnce(&mut String)) {
        append(&mut self.values.text);
        let end = self.values.end();
        if let Some(entry) = self.values.entries.last_mut() {
            entry.end = end;
        }
    }
}

impl Drop for Adding<'_> {
    fn drop(&mut self) {
        self.values.sort();
    }
}

impl fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl FromIterator<(String, SecretText)> for SecretValues {
    /// # Panics
    /// As [`SecretValues::insert`].
    #[expect(clippy::expect_used, reason = "no body in this system comes near 4 GiB")]
    fn from_iter<I: IntoIterator<Item = (String, SecretText)>>(pairs: I) -> Self {
        let pairs: Vec<_> = pairs.into_iter().collect();
        let bytes = pairs.iter().map(|(name, value)| name.len() + value.expose_secret().len());
        let mut values = Self::default();
        let mut adding = values.adding(pairs.len(), bytes.sum()).expect("less than 4 GiB");
        for (name, value) in &pairs {
            adding.name(|text| text.push_str(name));
            adding.value(|text| text.push_str(value.expose_secret()));
        }
        drop(adding);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{PolicyPutRequest, SecretPutRequest, SecretVersionsRequest};
    use super::*;

    fn read(json: &str) -> SecretValues {
        SecretValues::from_json_object(json.as_bytes()).unwrap().unwrap()
    }

    fn pairs(values: &SecretValues) -> Vec<(&str, &str)> {
        values.iter().map(|(name, value)| (name, value.expose_secret())).collect()
    }

    /// Each name and each value was an allocation of its own: a body of 4 MiB took 90 MiB, which did not come back.
    #[test]
    fn many_values_take_two_allocations_of_the_size_that_they_need() {
        let json: Vec<String> = (0..10_000).map(|n| format!(r#""{n:x}":"\u0041""#)).collect();
        let values = read(&format!("{{{}}}", json.join(",")));
        assert_eq!(values.len(), 10_000);
        assert_eq!(values.text.capacity(), values.text.len());
        assert_eq!(values.entries.capacity(), values.len());
        assert_eq!(size_of::<Entry>(), 12);
        assert_eq!(values.get("ff").map(SecretStr::expose_secret), Some("A"));
    }

    #[test]
    fn of_several_values_with_one_name_the_last_one_counts_and_names_are_sorted() {
        let values = read(r#"{"b":"1","":"empty","a":"2","b":"3","\u0062":"4","a":null}"#);
        assert_eq!(pairs(&values), [("", "empty"), ("a", ""), ("b", "4")]);
        let mut values = read(r#"{"b":"1"}"#);
        values.insert("a".to_owned(), SecretText::from("2"));
        values.insert("b".to_owned(), SecretText::from("3"));
        assert_eq!(pairs(&values), [("a", "2"), ("b", "3")]);
        assert_eq!(values.get("c").map(SecretStr::expose_secret), None);
    }

    #[test]
    fn maps_that_are_sent_again_and_again_are_merged_a_few_times_and_then_refused() {
        let body = |count: usize| {
            let maps: Vec<String> =
                (0..count).map(|n| format!(r#""values":{{"k{n}":"v"}}"#)).collect();
            SecretPutRequest::decode(format!("{{{}}}", maps.join(",")).as_bytes())
        };
        assert_eq!(body(16).unwrap().values.unwrap().len(), 16);
        assert!(body(17).is_err());
        let emptied = br#"{"values":{"a":"1"},"values":null,"values":{"b":"2"}}"#;
        let emptied = SecretPutRequest::decode(emptied).unwrap().values.unwrap();
        assert_eq!(pairs(&emptied), [("b", "2")]);
    }

    /// Two million versions took 48 MiB, and a million permissions more.
    #[test]
    fn lists_in_requests_end_where_no_client_needs_more() {
        let versions = |count: usize| {
            let body = format!(r#"{{"path":"p","versions":[{}]}}"#, vec!["1"; count].join(","));
            SecretVersionsRequest::decode(body.as_bytes()).map(|read| read.versions.len())
        };
        assert_eq!(versions(4096), Ok(4096));
        assert!(versions(4097).is_err());
        let permissions = |count: usize| {
            let body = format!(r#"{{"permissions":[{}]}}"#, vec![r#""read""#; count].join(","));
            PolicyPutRequest::decode(body.as_bytes()).map(|read| read.permissions.len())
        };
        assert_eq!(permissions(64), Ok(64));
        assert!(permissions(65).is_err());
    }
}
