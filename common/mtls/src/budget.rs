//! Budgets: how much of something one SPIFFE ID, and all together, may hold at one time.
//!
//! A budget counts units: connections, requests, bytes. Dropping [`Taken`] returns its units. Pure: no I/O, no clock.
//! Callers decide whether to wait, refuse or evict.
//!
//! A part of every budget is reserved for [`Class::Reserved`]: operators, Nexus and Bootstrap must get in after all
//! others have taken everything they may. Of a [fair](Budget::fair) one, no few SPIFFE IDs can take everything that the others have.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

/// The bounds of a budget, in its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What all may hold together.
    pub all: u64,
    /// What one SPIFFE ID may hold.
    pub each: u64,
    /// The part of `all` that only [`Class::Reserved`] may take.
    pub reserve: u64,
}

impl Bounds {
    /// No effective bound.
    pub const NONE: Self = Self { all: u64::MAX / 4, each: u64::MAX / 4, reserve: 0 };
}

/// The class of a SPIFFE ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A SPIFFE ID without a role of SPIKE.
    Ordinary,
    /// Operators, Nexus and Bootstrap: they may use the reserve too.
    Reserved,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    /// This SPIFFE ID holds all that it may now.
    #[error("this SPIFFE ID is at its limit")]
    Own,
    /// All SPIFFE IDs together hold all that they may.
    #[error("the limit for all SPIFFE IDs together is reached")]
    All,
}

/// One budget. Clones share it.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    bounds: Bounds,
    is_fair: bool,
    used: AtomicU64,
    accounts: Mutex<HashMap<Arc<str>, Weak<AccountInner>>>,
}

impl Budget {
    /// A budget of which nothing is taken.
    pub fn new(bounds: Bounds) -> Self {
        Self::with(bounds, false)
    }

    /// As [`Self::new`], and no ordinary ID holds more than it leaves free: one alone gets half of all, and *n* that take what
    /// they can get a share of *n* + 1, so that something is left for whoever comes. What is held already stays, and a single
    /// [`Taken`] of an ID gets whatever is free.
    pub fn fair(bounds: Bounds) -> Self {
        Self::with(bounds, true)
    }

    fn with(bounds: Bounds, is_fair: bool) -> Self {
        let (used, accounts) = (AtomicU64::new(0), Mutex::default());
        Self(Arc::new(Inner { bounds, is_fair, used, accounts }))
    }

    /// The account of `id`. All handles of one ID share it; it is removed with the last handle.
    pub fn account(&self, id: &Arc<str>, class: Class) -> Account {
        let mut accounts = self.accounts();
        if let Some(account) = accounts.get(id).and_then(Weak::upgrade) {
            return Account(account);
        }
        let account = Arc::new(AccountInner {
            id: Arc::clone(id),
            class,
            budget: Arc::clone(&self.0),
            used: AtomicU64::new(0),
        });
        accounts.insert(Arc::clone(id), Arc::downgrade(&account));
        Account(account)
    }

    /// What is taken now, by all.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The bounds.
    pub fn bounds(&self) -> Bounds {
        self.0.bounds
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<AccountInner>>> {
        self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("bounds", &self.bounds())
            .field("used", &self.used())
            .finish()
    }
}

/// What one SPIFFE ID holds of a budget. Clones share it.
#[derive(Clone)]
pub struct Account(Arc<AccountInner>);

struct AccountInner {
    id: Arc<str>,
    class: Class,
    budget: Arc<Inner>,
    used: AtomicU64,
}

impl Account {
    /// Takes `amount`.
    ///
    /// # Errors
    /// [`Over`]: nothing was taken.
    pub fn take(&self, amount: u64) -> Result<Taken, Over> {
        let mut taken = Taken { account: self.clone(), amount: 0 };
        taken.grow(amount)?;
        Ok(taken)
    }

    /// What this SPIFFE ID holds now.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("id", &self.0.id).field("used", &self.used()).finish()
    }
}

impl Drop for AccountInner {
    fn drop(&mut self) {
        let mut accounts = self.budget.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        // A new account of the same ID may have been added meanwhile.
        if accounts.get(&self.id).is_some_and(|account| account.strong_count() == 0) {
            accounts.remove(&self.id);
        }
    }
}

/// Units that were taken. Dropping this returns them.
#[derive(Debug)]
pub struct Taken {
    account: Account,
    amount: u64,
}

impl Taken {
    /// Takes `more` in addition. Nothing more is never refused: what is held stays, whatever others have taken since.
    ///
    /// # Errors
    /// [`Over`]: only what was taken before is held.
    pub fn grow(&mut self, more: u64) -> Result<(), Over> {
        if more == 0 {
            return Ok(());
        }
        let AccountInner { class, budget, used, .. } = &*self.account.0;
        let Bounds { all, each, reserve } = budget.bounds;
        let (all, each) = match class {
            Class::Ordinary => {
                let all = all.saturating_sub(reserve);
                let held = budget.used.load(Ordering::Relaxed);
                let left = all.saturating_sub(held).saturating_sub(more);
                // Whoever holds nothing else gets whatever is free, at once or bit by bit: then only the bound for all counts.
                let share = left.max(self.amount.saturating_add(more));
                (all, if budget.is_fair { each.min(share) } else { each })
            }
            Class::Reserved => (all, each),
        };
        add(used, more, each).ok_or(Over::Own)?;
        if add(&budget.used, more, all).is_none() {
            used.fetch_sub(more, Ordering::Relaxed);
            return Err(Over::All);
        }
        self.amount += more;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.account.0.budget.used.fetch_sub(self.amount, Ordering::Relaxed);
        self.account.0.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

/// Adds `more` unless the sum would be above `bound`.
fn add(used: &AtomicU64, more: u64, bound: u64) -> Option<u64> {
    let sum = |used: u64| used.checked_add(more).filter(|sum| *sum <= bound);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { all: 10, each: 6, reserve: 3 };

    fn account(budget: &Budget, id: &str, class: Class) -> Account {
        budget.account(&Arc::from(id), class)
    }

    #[test]
    fn an_id_gets_no_more_than_its_own_bound_over_all_its_handles() {
        let budget = Budget::new(BOUNDS);
        let one = account(&budget, "a", Class::Ordinary);
        let same = account(&budget, "a", Class::Ordinary);
        let held = one.take(4).unwrap();
        assert_eq!(same.take(3).unwrap_err(), Over::Own);
        let rest = same.take(2).unwrap();
        assert_eq!((one.used(), budget.used()), (6, 6));
        drop((held, rest));
        assert_eq!((one.used(), budget.used()), (0, 0));
    }

    #[test]
    fn the_reserve_is_there_for_operators_when_all_others_have_taken_what_they_may() {
        let budget = Budget::new(BOUNDS);
        let _a = account(&budget, "a", Class::Ordinary).take(6).unwrap();
        let _b = account(&budget, "b", Class::Ordinary).take(1).unwrap();
        assert_eq!(account(&budget, "c", Class::Ordinary).take(1).unwrap_err(), Over::All);
        let operator = account(&budget, "operator", Class::Reserved);
        let held = operator.take(3).unwrap();
        assert_eq!(operator.take(1).unwrap_err(), Over::All);
        drop(held);
        assert_eq!(budget.used(), 7);
    }

    /// Four IDs without rights held all there was, and kept everybody else out.
    #[test]
    fn of_a_fair_budget_something_is_left_for_whoever_comes_however_many_take_what_they_can_get() {
        let budget = Budget::fair(Bounds { all: 1100, each: 1000, reserve: 100 });
        for greedy in 1..=50 {
            let mut held = Vec::new();
            let ids: Vec<_> = (0..greedy)
                .map(|id| account(&budget, &format!("greedy {id}"), Class::Ordinary))
                .collect();
            let mut takes_more = true;
            while takes_more {
                let taken: Vec<_> = ids.iter().filter_map(|id| id.take(1).ok()).collect();
                takes_more = !taken.is_empty();
                held.extend(taken);
            }
            let used = budget.used();
            assert!((500..1000).contains(&used), "{greedy} hold {used}");
            let late = account(&budget, "late", Class::Ordinary);
            let got: Vec<_> = std::iter::from_fn(|| late.take(1).ok()).take(1000).collect();
            assert!(got.len() >= 1000 / (2 * (greedy + 1)), "{greedy}: {}", got.len());
        }
        let operator = account(&budget, "operator", Class::Reserved);
        assert!(operator.take(100).is_ok());
    }

    #[test]
    fn who_holds_nothing_of_a_fair_budget_gets_whatever_is_free() {
        let budget = Budget::fair(Bounds { all: 10, each: 10, reserve: 0 });
        let large = account(&budget, "a", Class::Ordinary).take(10).unwrap();
        assert_eq!(account(&budget, "b", Class::Ordinary).take(1).unwrap_err(), Over::All);
        drop(large);
        let half = account(&budget, "a", Class::Ordinary);
        let _half: Vec<_> = std::iter::from_fn(|| half.take(1).ok()).collect();
        assert_eq!(half.used(), 5);
        assert!(account(&budget, "b", Class::Ordinary).take(5).is_ok());
    }

    #[test]
    fn what_cannot_grow_keeps_what_it_has() {
        let budget = Budget::new(BOUNDS);
        let mut held = account(&budget, "a", Class::Ordinary).take(5).unwrap();
        assert_eq!(held.grow(2), Err(Over::Own));
        assert_eq!(budget.used(), 5);
        held.grow(1).unwrap();
        assert_eq!(budget.used(), 6);
    }

    #[test]
    fn an_amount_that_no_number_holds_is_refused_and_not_wrapped() {
        let budget = Budget::new(Bounds::NONE);
        let a = account(&budget, "a", Class::Ordinary);
        let _held = a.take(1).unwrap();
        assert_eq!(a.take(u64::MAX).unwrap_err(), Over::Own);
    }

    #[test]
    fn an_id_that_holds_nothing_and_is_gone_is_forgotten() {
        let budget = Budget::new(BOUNDS);
        let held = account(&budget, "a", Class::Ordinary).take(1).unwrap();
        assert_eq!(budget.accounts().len(), 1);
        drop(held);
        assert_eq!(budget.accounts().len(), 0);
    }

    proptest! {
        /// It was refused for what it held as soon as others had taken their part, even if it needed no more.
        #[test]
        fn whoever_holds_something_of_a_fair_budget_keeps_it_and_whoever_holds_nothing_else_gets_what_is_free(
            steps in proptest::collection::vec((0_usize..4, 1_u64..70, any::<bool>()), 0..100)
        ) {
            let bounds = Bounds { all: 110, each: 60, reserve: 10 };
            let budget = Budget::fair(bounds);
            let ids = ["a", "b", "c", "operator"];
            let of = |who: usize| {
                let class = if who == 3 { Class::Reserved } else { Class::Ordinary };
                account(&budget, ids[who], class)
            };
            let mut held: Vec<(usize, Taken)> = Vec::new();
            for (who, amount, give_back) in steps {
                if give_back && !held.is_empty() {
                    held.swap_remove(usize::try_from(amount).unwrap() % held.len());
                    continue;
                }
                // At once, or one of them first.
                let parts = if amount % 2 == 0 { vec![amount] } else { vec![1, amount - 1] };
                let all = if who == 3 { bounds.all } else { bounds.all - bounds.reserve };
                let free = all.saturating_sub(budget.used());
                let held_nothing = of(who).used() == 0;
                let taken = of(who).take(parts[0]).and_then(|mut taken| {
                    parts[1..].iter().try_for_each(|more| taken.grow(*more)).map(|()| taken)
                });
                if held_nothing {
                    prop_assert_eq!(taken.is_ok(), amount <= free.min(bounds.each));
                }
                held.extend(taken.ok().map(|taken| (who, taken)));
                for (who, taken) in &mut held {
                    prop_assert_eq!(taken.grow(0), Ok(()));
                    prop_assert!(of(*who).take(0).is_ok());
                }
            }
        }

        #[test]
        fn no_order_of_taking_and_giving_back_passes_a_bound_or_loses_a_unit(
            steps in proptest::collection::vec((0_usize..4, 0_u64..8, any::<bool>()), 0..200)
        ) {
            let budget = Budget::new(BOUNDS);
            let ids = ["a", "b", "c", "operator"];
            let mut held: Vec<(usize, u64, Taken)> = Vec::new();
            for (who, amount, give_back) in steps {
                if give_back && !held.is_empty() {
                    held.swap_remove(usize::try_from(amount).unwrap() % held.len());
                    continue;
                }
                let class = if who == 3 { Class::Reserved } else { Class::Ordinary };
                if let Ok(taken) = account(&budget, ids[who], class).take(amount) {
                    held.push((who, amount, taken));
                }
                let sum = |of: &dyn Fn(usize) -> bool| -> u64 {
                    held.iter().filter(|(who, ..)| of(*who)).map(|(_, amount, _)| amount).sum()
                };
                prop_assert_eq!(budget.used(), sum(&|_| true));
                prop_assert!(budget.used() <= BOUNDS.all);
                prop_assert!((0..4).all(|who| sum(&|other| other == who) <= BOUNDS.each));
            }
            drop(held);
            prop_assert_eq!(budget.used(), 0);
        }
    }
}
