//! The slot of the Keeper's one share.
//!
//! The share is in memory only. The daemon keeps its memory out of swap and core dumps. A share is wiped when it is
//! replaced and when the Keeper ends.

use std::sync::{PoisonError, RwLock};

use spike_crypto::{ShareError, ShareValue};
use spike_wire::Shard;

/// A slot for one share.
#[derive(Debug, Default)]
pub struct Slot(RwLock<Option<ShareValue>>);

/// What a put changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The slot was empty.
    Filled,
    /// It held the same share.
    Same,
    /// It held another share, which was wiped: one of another key, or of another split of the same key.
    Replaced,
}

/// Whether a put may replace another share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// It may: the contributor has checked the key.
    Allowed,
    /// It may not: the held share may be the last copy.
    Forbidden,
}

/// Why a share was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// It is not a share.
    #[error(transparent)]
    InvalidShare(#[from] InvalidShare),
    /// Another share is held, and kept.
    #[error("another share is held and was not replaced")]
    HoldsAnother,
}

/// Why something is not a share. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShare {
    /// Missing, or `null`.
    #[error("the request has no share")]
    Missing,
    /// Not 32 numbers. Upstream pads a short list with zeros and cuts a long one, which is a share of no key (F4).
    #[error("the share has {elements} elements: expected 32 numbers")]
    WrongLength {
        /// The number of elements, including `null`.
        elements: usize,
    },
    /// 32 numbers that are not a P-256 scalar in 1..N-1. Upstream stores such a value, and its Nexus then crashes (F4).
    #[error(transparent)]
    OutOfRange(ShareError),
}

impl Slot {
    /// Stores a share. On an error the held share does not change.
    ///
    /// # Errors
    /// [`PutError`].
    pub fn put(&self, shard: &Shard, replacement: Replacement) -> Result<Change, PutError> {
        let new = read(shard)?;
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let change = match (&*held, replacement) {
            (Some(old), _) if old.ct_eq(&new) => return Ok(Change::Same),
            (Some(_), Replacement::Forbidden) => return Err(PutError::HoldsAnother),
            (Some(_), Replacement::Allowed) => Change::Replaced,
            (None, _) => Change::Filled,
        };
        *held = Some(new);
        Ok(change)
    }

    /// The share in its wire form, if there is one.
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

fn read(shard: &Shard) -> Result<ShareValue, InvalidShare> {
    if shard.elements() == 0 {
        return Err(InvalidShare::Missing);
    }
    if !shard.is_whole() {
        return Err(InvalidShare::WrongLength { elements: shard.elements() });
    }
    ShareValue::from_bytes(shard.expose_secret()).map_err(InvalidShare::OutOfRange)
}

#[cfg(test)]
mod tests {
    use spike_wire::ContributeRequest;

    use super::*;

    /// The order N of the P-256 group (FIPS 186-5): the first number that is not a scalar.
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
        assert_eq!(slot.put(&Shard::new(&[7; 32]), Replacement::Allowed), Ok(Change::Filled));
        assert_eq!((slot.is_filled(), held(&slot)), (true, Some([7; 32])));
    }

    #[test]
    fn the_same_share_again_changes_nothing_and_another_takes_its_place() {
        let slot = Slot::default();
        slot.put(&Shard::new(&[7; 32]), Replacement::Allowed).unwrap();
        assert_eq!(slot.put(&Shard::new(&[7; 32]), Replacement::Allowed), Ok(Change::Same));
        assert_eq!(slot.put(&Shard::new(&[8; 32]), Replacement::Allowed), Ok(Change::Replaced));
        assert_eq!(held(&slot), Some([8; 32]));
    }

    #[test]
    fn a_share_that_stays_is_not_replaced_and_the_same_one_again_is_no_other() {
        let slot = Slot::default();
        assert_eq!(slot.put(&Shard::new(&[7; 32]), Replacement::Forbidden), Ok(Change::Filled));
        assert_eq!(slot.put(&Shard::new(&[7; 32]), Replacement::Forbidden), Ok(Change::Same));
        assert_eq!(
            slot.put(&Shard::new(&[8; 32]), Replacement::Forbidden),
            Err(PutError::HoldsAnother)
        );
        assert_eq!(held(&slot), Some([7; 32]));
        slot.clear();
        assert_eq!(slot.put(&Shard::new(&[8; 32]), Replacement::Forbidden), Ok(Change::Filled));
    }

    #[test]
    fn the_largest_scalar_is_a_share_and_the_order_is_not() {
        let mut largest = ORDER;
        largest[31] -= 1;
        assert_eq!(
            Slot::default().put(&Shard::new(&largest), Replacement::Allowed),
            Ok(Change::Filled)
        );
        let refused = Slot::default().put(&Shard::new(&ORDER), Replacement::Allowed);
        let reason = InvalidShare::OutOfRange(ShareError::ValueNotBelowOrder);
        assert_eq!(refused, Err(reason.into()));
    }

    #[test]
    fn what_is_no_share_is_refused_and_the_held_one_stays() {
        let sevens = |count| format!("[{}]", vec!["7"; count].join(","));
        let nulls = format!("[{}]", vec!["null"; 32].join(","));
        let zero = InvalidShare::OutOfRange(ShareError::ValueZero);
        let slot = Slot::default();
        slot.put(&Shard::new(&[9; 32]), Replacement::Allowed).unwrap();
        for (list, reason) in [
            ("null".to_owned(), InvalidShare::Missing),
            ("[]".to_owned(), InvalidShare::Missing),
            (sevens(1), InvalidShare::WrongLength { elements: 1 }),
            (sevens(31), InvalidShare::WrongLength { elements: 31 }),
            (sevens(33), InvalidShare::WrongLength { elements: 33 }),
            (nulls, InvalidShare::WrongLength { elements: 32 }),
            (sevens(32).replace('7', "0"), zero),
            (
                sevens(32).replace('7', "255"),
                InvalidShare::OutOfRange(ShareError::ValueNotBelowOrder),
            ),
        ] {
            assert_eq!(
                slot.put(&decoded(&list), Replacement::Allowed),
                Err(reason.into()),
                "{list}"
            );
            assert_eq!(held(&slot), Some([9; 32]), "{list}");
        }
    }

    #[test]
    fn a_cleared_slot_is_empty() {
        let slot = Slot::default();
        slot.put(&Shard::new(&[7; 32]), Replacement::Allowed).unwrap();
        slot.clear();
        assert_eq!(held(&slot), None);
    }

    #[test]
    fn neither_debug_output_nor_reasons_show_a_share() {
        let slot = Slot::default();
        slot.put(&Shard::new(&[171; 32]), Replacement::Allowed).unwrap();
        let shown = format!("{slot:?} {:?}", slot.get());
        assert!(!shown.contains("171") && !shown.to_lowercase().contains("abab"), "{shown}");
        let refused = slot.put(&decoded("[171,171]"), Replacement::Allowed).unwrap_err();
        assert!(!format!("{refused:?} {refused}").contains("171"));
    }
}
