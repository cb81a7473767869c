//! What an engine other than SQLite may do with a work: wait for each row, send the work between threads, and run it again.

use std::collections::BTreeMap;
use std::future::Future;

use spike_domain::Version;
use tokio::task::yield_now;

use super::*;
use crate::store::change::{Change, Effects};
use crate::store::engine::{Unit, Work};
use crate::store::format::head::{Head, HeadRow, VersionRow};
use crate::store::format::identity::Identity;
use crate::store::format::keyring::ENCRYPTIONS_PER_KEY;
use crate::store::format::keyring::Ring;
use crate::store::format::policy::PolicyRow;
use crate::store::format::policy_list::{PolicyListRow, PolicyLists};
use crate::store::format::row::{Cipher, Column, Row, Sealed};
use crate::store::work::{DeletePolicy, PutPolicy, PutVersion, Restamp, RestampVersions};

/// One column, and a row of them.
#[derive(Debug, Clone)]
enum Value {
    Bytes(Vec<u8>),
    Number(Option<i64>),
}

type Columns = Vec<Value>;

/// Tables in maps. Every call yields once before it returns, like one that waits for a server.
#[derive(Debug, Clone, Default)]
struct Tables {
    heads: BTreeMap<String, Columns>,
    versions: BTreeMap<(String, i64), Columns>,
    policies: BTreeMap<String, Columns>,
    lists: BTreeMap<i64, Columns>,
}

fn columns<R: Row>(row: &Sealed<R>) -> Columns {
    let mut columns = Vec::new();
    row.columns(&mut |column| {
        columns.push(match column {
            Column::Text(text) => Value::Bytes(text.as_bytes().to_vec()),
            Column::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Column::Number(number) => Value::Number(Some(number)),
            Column::Optional(number) => Value::Number(number),
        });
    });
    columns
}

impl Value {
    fn text(&self) -> String {
        let Self::Bytes(bytes) = self else { panic!("no text: {self:?}") };
        String::from_utf8(bytes.clone()).unwrap()
    }

    fn optional(&self) -> Option<i64> {
        let Self::Number(number) = self else { panic!("no number: {self:?}") };
        *number
    }

    fn number(&self) -> i64 {
        self.optional().unwrap()
    }
}

fn cipher(columns: &Columns) -> Cipher {
    let [.., key_number, Value::Bytes(nonce), Value::Bytes(ciphertext)] = columns.as_slice() else {
        panic!("no encrypted end: {columns:?}")
    };
    Cipher::new(u32::try_from(key_number.number()).unwrap(), nonce, ciphertext).unwrap()
}

impl Unit for Tables {
    async fn head<'p>(
        &mut self,
        path: &'p SecretPath,
    ) -> Result<Option<(HeadRow<'p>, Cipher)>, StoreError> {
        yield_now().await;
        let Some(columns) = self.heads.get(path.as_str()) else { return Ok(None) };
        let row = HeadRow {
            path: path.as_str(),
            last_version: columns[1].number(),
            max_versions: columns[2].number(),
            created: columns[3].number(),
            updated: columns[4].number(),
        };
        Ok(Some((row, cipher(columns))))
    }

    async fn version<'p>(
        &mut self,
        path: &'p SecretPath,
        number: i64,
    ) -> Result<Option<(VersionRow<'p>, Cipher)>, StoreError> {
        yield_now().await;
        let path = path.as_str();
        let Some(columns) = self.versions.get(&(path.to_owned(), number)) else { return Ok(None) };
        let (created, deleted) = (columns[2].number(), columns[3].optional());
        let row = VersionRow { path, version: Version { number, created, deleted } };
        Ok(Some((row, cipher(columns))))
    }

    async fn policy<'n>(
        &mut self,
        name: &'n str,
    ) -> Result<Option<(PolicyRow<'n>, Cipher)>, StoreError> {
        yield_now().await;
        let Some(columns) = self.policies.get(name) else { return Ok(None) };
        let (created, updated) = (columns[1].number(), columns[2].number());
        Ok(Some((PolicyRow { name, created, updated }, cipher(columns))))
    }

    async fn policy_list(&mut self, number: u8) -> Result<Option<Cipher>, StoreError> {
        yield_now().await;
        Ok(self.lists.get(&i64::from(number)).map(cipher))
    }

    async fn put_head(&mut self, row: &Sealed<HeadRow<'_>>) -> Result<(), StoreError> {
        yield_now().await;
        let columns = columns(row);
        self.heads.insert(columns[0].text(), columns);
        Ok(())
    }

    async fn put_version(&mut self, row: &Sealed<VersionRow<'_>>) -> Result<(), StoreError> {
        yield_now().await;
        let columns = columns(row);
        self.versions.insert((columns[0].text(), columns[1].number()), columns);
        Ok(())
    }

    async fn put_policy(&mut self, row: &Sealed<PolicyRow<'_>>) -> Result<(), StoreError> {
        yield_now().await;
        let columns = columns(row);
        self.policies.insert(columns[0].text(), columns);
        Ok(())
    }

    async fn put_policy_list(&mut self, row: &Sealed<PolicyListRow>) -> Result<(), StoreError> {
        yield_now().await;
        let columns = columns(row);
        self.lists.insert(columns[0].number(), columns);
        Ok(())
    }

    async fn put_import(&mut self, _row: &Sealed<ImportRecord>) -> Result<(), StoreError> {
        Err(StoreError::Bug)
    }

    async fn erase_version(&mut self, path: &SecretPath, number: i64) -> Result<(), StoreError> {
        yield_now().await;
        self.versions.remove(&(path.as_str().to_owned(), number));
        Ok(())
    }

    async fn erase_policy(&mut self, name: &str) -> Result<bool, StoreError> {
        yield_now().await;
        Ok(self.policies.remove(name).is_some())
    }
}

/// A store in maps.
struct Maps {
    tables: Tables,
    ring: Ring,
    identity: Identity,
}

impl Maps {
    fn new() -> Self {
        let (ring, _row) = Ring::create(&root_key(1), ENCRYPTIONS_PER_KEY, NOON).unwrap();
        let identity = Identity {
            root_key: root_key(1).fingerprint().to_bytes(),
            generation: Identity::FIRST_GENERATION,
            quorum: None,
            active_key: ring.active(),
            policy_epoch: 1,
            created: NOON,
            imported: None,
            last_export: None,
            policy_lists: PolicyLists::none(),
        };
        Self { tables: Tables::default(), ring, identity }
    }

    /// Runs a work twice, as if the database had required a retry, and keeps the second run.
    async fn write<W: Work>(&mut self, work: W) -> Result<W::Output, StoreError> {
        let Self { tables, ring, identity } = self;
        let mut last = None;
        for _attempt in 0..2 {
            let (mut changed, mut effects) = (identity.clone(), Effects::default());
            let unit = tables.clone();
            let mut change = Change { unit, ring, identity: &mut changed, effects: &mut effects };
            let outcome = can_be_sent(work.run(&mut change)).await;
            last = Some((change.unit, changed, outcome));
        }
        let (unit, changed, outcome) = last.unwrap();
        if outcome.is_ok() {
            (*tables, *identity) = (unit, changed);
        }
        outcome
    }

    async fn head(&mut self, name: &str) -> Head {
        let path = path(name);
        let (row, cipher) = self.tables.head(&path).await.unwrap().unwrap();
        Head::open(&row, &cipher, self.ring.keys()).unwrap()
    }
}

fn can_be_sent<F: Future + Send>(future: F) -> F {
    future
}

#[tokio::test]
async fn a_work_that_waits_and_is_run_again_does_what_it_does_in_sqlite() {
    let mut maps = Maps::new();
    let put = |text: &str| PutVersion {
        path: path("a"),
        plaintext: value(text),
        max_versions: NonZeroU32::new(2).unwrap(),
        prune_imported: false,
        now: NOON,
    };
    for (number, text) in (1..).zip(["one", "two", "three"]) {
        assert_eq!(maps.write(put(text)).await.unwrap(), number);
    }
    let restamp = |restamp| RestampVersions {
        path: path("a"),
        selectors: selectors(&[3]),
        restamp,
        now: NOON + MINUTE,
    };
    assert_eq!(maps.write(restamp(Restamp::Delete)).await.unwrap(), Some(vec![3]));
    let head = maps.head("a").await;
    let times: Vec<_> =
        head.history.versions().iter().map(|version| (version.number, version.deleted)).collect();
    assert_eq!(times, [(2, None), (3, Some(NOON + MINUTE))]);
    assert_eq!(maps.tables.versions.len(), 2, "version 1 is erased");
    assert_eq!(maps.write(restamp(Restamp::Undelete)).await.unwrap(), Some(vec![3]));

    let head = maps.head("a").await;
    let path = path("a");
    let stored = maps.tables.version(&path, 3).await.unwrap();
    let current = *head.history.current().unwrap();
    let mut value = Vec::new();
    let sealed = head.value(&path, current, stored, maps.ring.keys()).unwrap();
    sealed.open_into(&path, &mut value).unwrap();
    assert_eq!(value, b"three");
}

#[tokio::test]
async fn policies_are_listed_whatever_keeps_them() {
    let mut maps = Maps::new();
    let text = PolicyText {
        spiffe_id_pattern: "x".to_owned(),
        path_pattern: "y".to_owned(),
        permissions: vec![],
    };
    let put = |create_only| PutPolicy {
        name: "web".to_owned(),
        text: text.clone(),
        create_only,
        now: NOON,
    };
    assert!(maps.write(put(true)).await.unwrap());
    assert!(!maps.write(put(true)).await.unwrap());
    assert_eq!(maps.identity.policy_epoch, 2);
    // A row is removed from the engine.
    maps.tables.policies.clear();
    assert!(matches!(maps.write(put(true)).await, Err(StoreError::Tampered { .. })));
    assert!(maps.write(put(false)).await.unwrap());
    assert!(maps.write(DeletePolicy { name: "web".to_owned() }).await.unwrap());
    assert!(!maps.write(DeletePolicy { name: "web".to_owned() }).await.unwrap());
}
