//! The one place of the one share.
//!
//! It is in memory only, which the daemon's frame keeps out of swap and core dumps; a value is wiped when another takes its
//! place and when the Keeper ends.

use std::sync::{PoisonError, RwLock};

use spike_crypto::{ShareError, ShareValue};
use spike_wire::Shard;

/// Room for one share.
#[derive(Debug, Default)]
pub struct Slot(RwLock<Option<ShareValue>>);

/// What a share that was put changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The slot was empty.
    Filled,
    /// The same share was there already.
    Same,
    /// Another share was there, and is gone: it belongs to another key, or to another split of the same key.
    Replaced,
}

/// What becomes of the share that is held where another is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It gives way: whoever puts the other one has a key in use.
    GivesWay,
    /// It stays: it may be the last copy.
    Stays,
}

/// Why a share was not put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPut {
    /// It is none.
    #[error(transparent)]
    NotAShare(#[from] NotAShare),
    /// Another is held, and stays.
    #[error("another share is held, and was kept")]
    HoldsAnother,
}

/// Why something is no share. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAShare {
    /// Missing, or `null`.
    #[error("there is no share in the request")]
    Missing,
    /// Not 32 numbers. Upstream fills a short list up with zeros and cuts a long one: a share of no key (F4).
    #[error("the share has {elements} elements: expected 32 numbers")]
    WrongLength {
        /// How many elements there were, `null` among them.
        elements: usize,
    },
    /// 32 numbers that make no P-256 scalar in 1..N-1. Upstream stores such a value, and its Nexus then dies of it (F4).
    #[error(transparent)]
    OutOfRange(ShareError),
}

impl Slot {
    /// Puts a share in, if it is one; otherwise the one that is held stays.
    ///
    /// # Errors
    /// [`NotPut`].
    pub fn put(&self, shard: &Shard, other: Held) -> Result<Change, NotPut> {
        let new = read(shard)?;
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let change = match (&*held, other) {
            (Some(old), _) if old.ct_eq(&new) => return Ok(Change::Same),
            (Some(_), Held::Stays) => return Err(NotPut::HoldsAnother),
            (Some(_), Held::GivesWay) => Change::Replaced,
            (None, _) => Change::Filled,
        };
        *held = Some(new);
        Ok(change)
    }

    /// The share in the form of the wire, if there is one.
    pub fn get(&self) -> Option<Shard> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|share| Shard::new(share.expose_bytes()))
    }

    /// Whether there is a share.
    pub fn is_filled(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Wipes the share.
    pub fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn read(shard: &Shard) -> Result<ShareValue, NotAShare> {
    if shard.elements() == 0 {
        return Err(NotAShare::Missing);
    }
    if !shard.is_whole() {
        return Err(NotAShare::WrongLength { elements: shard.elements() });
    }
    ShareValue::from_bytes(shard.expose_secret()).map_err(NotAShare::OutOfRange)
}

#[cfg(test)]
mod tests {
    use spike_wire::ContributeRequest;

    use super::*;

    /// The order N of the P-256 group (FIPS 186-5): the first number that is no scalar.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63,
        0x25, 0x51,
    ];

    fn held(slot: &Slot) -> Option<[u8; 32]> {
        slot.get().map(|shard| *shard.expose_secret())
    }

    fn decoded(list: &str) -> Shard {
        ContributeRequest::decode(format!(r#"{{"shard":{list}}}"#).as_bytes()).unwrap().shard
    }

    #[test]
    fn a_share_comes_back_as_it_was_put() {
        let slot = Slot::default();
        assert_eq!((slot.is_filled(), held(&slot)), (false, None));
        assert_eq!(slot.put(&Shard::new(&[7; 32]), Held::GivesWay), Ok(Change::Filled));
        assert_eq!((slot.is_filled(), held(&slot)), (true, Some([7; 32])));
    }

    #[test]
    fn the_same_share_again_changes_nothing_and_another_takes_its_place() {
        let slot = Slot::default();
        slot.put(&Shard::new(&[7; 32]), Held::GivesWay).unwrap();
        assert_eq!(slot.put(&Shard::new(&[7; 32]), Held::GivesWay), Ok(Change::Same));
        assert_eq!(slot.put(&Shard::new(&[8; 32]), Held::GivesWay), Ok(Change::Replaced));
        assert_eq!(held(&slot), Some([8; 32]));
    }

    #[test]
    fn a_share_that_stays_is_not_replaced_and_the_same_one_again_is_no_other() {
        let slot = Slot::default();
        assert_eq!(slot.put(&Shard::new(&[7; 32]), Held::Stays), Ok(Change::Filled));
        assert_eq!(slot.put(&Shard::new(&[7; 32]), Held::Stays), Ok(Change::Same));
        assert_eq!(slot.put(&Shard::new(&[8; 32]), Held::Stays), Err(NotPut::HoldsAnother));
        assert_eq!(held(&slot), Some([7; 32]));
        slot.clear();
        assert_eq!(slot.put(&Shard::new(&[8; 32]), Held::Stays), Ok(Change::Filled));
    }

    #[test]
    fn the_largest_scalar_is_a_share_and_the_order_is_not() {
        let mut largest = ORDER;
        largest[31] -= 1;
        assert_eq!(Slot::default().put(&Shard::new(&largest), Held::GivesWay), Ok(Change::Filled));
        let refused = Slot::default().put(&Shard::new(&ORDER), Held::GivesWay);
        let reason = NotAShare::OutOfRange(ShareError::ValueNotBelowOrder);
        assert_eq!(refused, Err(reason.into()));
    }

    #[test]
    fn what_is_no_share_is_refused_and_the_held_one_stays() {
        let sevens = |count| format!("[{}]", vec!["7"; count].join(","));
        let nulls = format!("[{}]", vec!["null"; 32].join(","));
        let zero = NotAShare::OutOfRange(ShareError::ValueZero);
        let slot = Slot::default();
        slot.put(&Shard::new(&[9; 32]), Held::GivesWay).unwrap();
        for (list, reason) in [
            ("null".to_owned(), NotAShare::Missing),
            ("[]".to_owned(), NotAShare::Missing),
            (sevens(1), NotAShare::WrongLength { elements: 1 }),
            (sevens(31), NotAShare::WrongLength { elements: 31 }),
            (sevens(33), NotAShare::WrongLength { elements: 33 }),
            (nulls, NotAShare::WrongLength { elements: 32 }),
            (sevens(32).replace('7', "0"), zero),
            (sevens(32).replace('7', "255"), NotAShare::OutOfRange(ShareError::ValueNotBelowOrder)),
        ] {
            assert_eq!(slot.put(&decoded(&list), Held::GivesWay), Err(reason.into()), "{list}");
            assert_eq!(held(&slot), Some([9; 32]), "{list}");
        }
    }

    #[test]
    fn a_cleared_slot_is_empty() {
        let slot = Slot::default();
        slot.put(&Shard::new(&[7; 32]), Held::GivesWay).unwrap();
        slot.clear();
        assert_eq!(held(&slot), None);
    }

    #[test]
    fn neither_debug_output_nor_reasons_show_a_share() {
        let slot = Slot::default();
        slot.put(&Shard::new(&[171; 32]), Held::GivesWay).unwrap();
        let shown = format!("{slot:?} {:?}", slot.get());
        assert!(!shown.contains("171") && !shown.to_lowercase().contains("abab"), "{shown}");
        let refused = slot.put(&decoded("[171,171]"), Held::GivesWay).unwrap_err();
        assert!(!format!("{refused:?} {refused}").contains("171"));
    }
}
