//! Market-maker protection: what hit an account's quotes of a class within a rolling window, and when it is too much.

use std::collections::VecDeque;

use joulebook_ledger::AccountIx;
use joulebook_types::{ClassCode, MicroEc, TimeNs};

use crate::sessions::SessionIx;

/// Classes that one account may protect: their histories cost memory.
pub(crate) const CLASSES_MAX: usize = 64;

/// What quotes may give within a window; the fill that reaches one of the limits pulls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProtectionLimits {
    pub(crate) window_ms: u32,
    pub(crate) fills_max: u32,
    /// Zero: no limit.
    pub(crate) lots_max: u64,
    /// Zero: no limit.
    pub(crate) credits_max: MicroEc,
}

/// What quotes gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) fills: u32,
    pub(crate) lots: u64,
    /// Notional in micro-EC. The same credits may pass more than once, so the sum may exceed a balance.
    pub(crate) credits: i128,
}

/// What quotes may still give before the protection pulls them: the fill that uses one of them up does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) fills: u32,
    /// `None`: no limit.
    pub(crate) lots: Option<u64>,
    /// `None`: no limit.
    pub(crate) credits: Option<i128>,
}

/// The protection of one account in one class.
#[derive(Debug)]
pub(crate) struct Protection {
    pub(crate) class: ClassCode,
    pub(crate) limits: ProtectionLimits,
    /// Quotes were pulled and are kept out until a reset.
    pub(crate) frozen: bool,
    /// The session whose quote reached a limit in the uncross that is going on.
    pub(crate) reached_by: Option<SessionIx>,
    /// The sum of the history.
    pub(crate) within: Given,
    /// What was given and when, oldest first, one entry an instant. Never longer than the limit of fills.
    pub(crate) history: VecDeque<(TimeNs, Given)>,
}

/// A fill of a resting quote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuoteFill {
    pub(crate) account: AccountIx,
    pub(crate) class: ClassCode,
    pub(crate) session: SessionIx,
    pub(crate) time: TimeNs,
    pub(crate) lots: u32,
    pub(crate) notional: MicroEc,
}

/// All protections. An account without one is not limited.
#[derive(Debug, Default)]
pub(crate) struct Protections {
    /// By account, then in the order of class codes.
    pub(crate) by_account: Vec<Vec<Protection>>,
    /// Protections that reached a limit in the uncross that is going on.
    pub(crate) reached: Vec<(AccountIx, ClassCode)>,
}

impl Given {
    fn add(&mut self, other: &Self) {
        self.fills += other.fills;
        self.lots += other.lots;
        self.credits += other.credits;
    }

    /// `None` when the sum fits no such figures.
    pub(crate) fn checked_add(&self, other: &Self) -> Option<Self> {
        Some(Self {
            fills: self.fills.checked_add(other.fills)?,
            lots: self.lots.checked_add(other.lots)?,
            credits: self.credits.checked_add(other.credits)?,
        })
    }

    fn subtract(&mut self, other: &Self) {
        self.fills -= other.fills;
        self.lots -= other.lots;
        self.credits -= other.credits;
    }
}

impl ProtectionLimits {
    pub(crate) fn are_reached(&self, given: &Given) -> bool {
        let by_lots = self.lots_max != 0 && given.lots >= self.lots_max;
        let credits_max = i128::from(self.credits_max.raw());
        let by_credits = credits_max != 0 && given.credits >= credits_max;
        given.fills >= self.fills_max || by_lots || by_credits
    }

    /// Whether something given at `time` no longer counts.
    fn has_passed(&self, time: TimeNs, now: TimeNs) -> bool {
        time.saturating_add_ms(self.window_ms) <= now
    }
}

impl Allowance {
    /// Counts a fill and says whether it pulls the quotes.
    pub(crate) fn use_up(&mut self, lots: u32, notional: MicroEc) -> bool {
        self.fills = self.fills.saturating_sub(1);
        self.lots = self.lots.map(|left| left.saturating_sub(u64::from(lots)));
        self.credits = self.credits.map(|left| (left - i128::from(notional.raw())).max(0));
        self.fills == 0 || self.lots == Some(0) || self.credits == Some(0)
    }
}

impl Protection {
    fn new(class: ClassCode, limits: ProtectionLimits) -> Self {
        Self {
            class,
            limits,
            frozen: false,
            reached_by: None,
            within: Given::default(),
            history: VecDeque::new(),
        }
    }

    /// What was given within the window that ends now.
    fn given(&self, now: TimeNs) -> Given {
        let mut given = self.within;
        let passed = self.history.iter().take_while(|(time, _)| self.limits.has_passed(*time, now));
        passed.for_each(|(_, earlier)| given.subtract(earlier));
        given
    }

    fn forget_passed(&mut self, now: TimeNs) {
        while let Some((time, earlier)) = self.history.front()
            && self.limits.has_passed(*time, now)
        {
            self.within.subtract(earlier);
            self.history.pop_front();
        }
    }

    fn forget_all(&mut self) {
        self.within = Given::default();
        self.history.clear();
    }

    fn count(&mut self, fill: &QuoteFill) {
        self.forget_passed(fill.time);
        let given = Given { fills: 1, lots: u64::from(fill.lots), credits: i128::from(fill.notional.raw()) };
        self.within.add(&given);
        match self.history.back_mut() {
            Some((time, earlier)) if *time == fill.time => earlier.add(&given),
            Some(_) | None => self.history.push_back((fill.time, given)),
        }
    }

    /// For the state hash: what was given and when, oldest first.
    pub(crate) fn history(&self) -> impl ExactSizeIterator<Item = &(TimeNs, Given)> {
        self.history.iter()
    }
}

impl Protections {
    pub(crate) fn open_account(&mut self) {
        self.by_account.push(Vec::new());
    }

    pub(crate) fn of_account(&self, account: AccountIx) -> &[Protection] {
        &self.by_account[account.index()]
    }

    /// Whether the account may set a protection for the class: it has one there, or room for another.
    pub(crate) fn has_room(&self, account: AccountIx, class: ClassCode) -> bool {
        self.find(account, class).is_some() || self.of_account(account).len() < CLASSES_MAX
    }

    /// Sets the limits and starts the window anew. Quotes that are kept out stay out.
    pub(crate) fn set(&mut self, account: AccountIx, class: ClassCode, limits: ProtectionLimits) {
        let protections = &mut self.by_account[account.index()];
        match protections.binary_search_by_key(&class, |protection| protection.class) {
            Ok(index) => {
                protections[index].limits = limits;
                protections[index].forget_all();
            }
            Err(index) => protections.insert(index, Protection::new(class, limits)),
        }
    }

    pub(crate) fn remove(&mut self, account: AccountIx, class: ClassCode) {
        self.by_account[account.index()].retain(|protection| protection.class != class);
    }

    /// Lets quotes in again. Returns whether they were kept out.
    pub(crate) fn reset(&mut self, account: AccountIx, class: ClassCode) -> bool {
        match self.find_mut(account, class) {
            Some(protection) => core::mem::take(&mut protection.frozen),
            None => false,
        }
    }

    pub(crate) fn is_frozen(&self, account: AccountIx, class: ClassCode) -> bool {
        self.find(account, class).is_some_and(|protection| protection.frozen)
    }

    /// What the account's quotes of the class may still give; `None` when nothing protects them.
    pub(crate) fn allowance(&self, account: AccountIx, class: ClassCode, now: TimeNs) -> Option<Allowance> {
        let protection = self.find(account, class)?;
        let ProtectionLimits { fills_max, lots_max, credits_max, .. } = protection.limits;
        let given = protection.given(now);
        let credits_max = i128::from(credits_max.raw());
        Some(Allowance {
            fills: fills_max.saturating_sub(given.fills),
            lots: (lots_max != 0).then(|| lots_max.saturating_sub(given.lots)),
            credits: (credits_max != 0).then(|| (credits_max - given.credits).max(0)),
        })
    }

    /// Counts a fill. Returns whether a limit is reached.
    pub(crate) fn count(&mut self, fill: &QuoteFill) -> bool {
        let Some(protection) = self.find_mut(fill.account, fill.class) else { return false };
        protection.count(fill);
        protection.limits.are_reached(&protection.within)
    }

    /// Counts a fill of an uncross: all quotes that take part trade before any is pulled.
    pub(crate) fn count_in_uncross(&mut self, fill: &QuoteFill) {
        if !self.count(fill) {
            return;
        }
        let protection = self.find_mut(fill.account, fill.class).expect("it counted");
        if protection.reached_by.is_none() {
            protection.reached_by = Some(fill.session);
            self.reached.push((fill.account, fill.class));
        }
    }

    /// The next protection that reached a limit in the uncross, and by whose quote: in the order of accounts, then of
    /// class codes.
    pub(crate) fn next_reached(&mut self) -> Option<(AccountIx, ClassCode, SessionIx)> {
        let (index, (account, class)) =
            self.reached.iter().copied().enumerate().min_by_key(|(_, reached)| *reached)?;
        self.reached.swap_remove(index);
        let protection = self.find_mut(account, class).expect("it counted");
        let session = protection.reached_by.take().expect("it reached a limit");
        Some((account, class, session))
    }

    /// Keeps quotes out from now on. Returns what they gave within the window, which starts anew.
    pub(crate) fn freeze(&mut self, account: AccountIx, class: ClassCode) -> Given {
        let protection = self.find_mut(account, class).expect("only a protection that counts is reached");
        protection.frozen = true;
        let given = protection.within;
        protection.forget_all();
        given
    }

    fn find(&self, account: AccountIx, class: ClassCode) -> Option<&Protection> {
        let protections = &self.by_account[account.index()];
        let index = protections.binary_search_by_key(&class, |protection| protection.class).ok()?;
        protections.get(index)
    }

    fn find_mut(&mut self, account: AccountIx, class: ClassCode) -> Option<&mut Protection> {
        let protections = &mut self.by_account[account.index()];
        let index = protections.binary_search_by_key(&class, |protection| protection.class).ok()?;
        protections.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: AccountIx = AccountIx::new(1);

    fn class(code: &str) -> ClassCode {
        code.parse().unwrap()
    }

    fn limits(window_ms: u32, fills_max: u32, lots_max: u64, credits_max: i64) -> ProtectionLimits {
        ProtectionLimits { window_ms, fills_max, lots_max, credits_max: MicroEc::new(credits_max) }
    }

    fn protected(limits: ProtectionLimits) -> Protections {
        let mut protections = Protections::default();
        protections.open_account();
        protections.open_account();
        protections.set(ACCOUNT, class("H200S"), limits);
        protections
    }

    fn fill(ms: u64, lots: u32, notional: i64) -> QuoteFill {
        QuoteFill {
            account: ACCOUNT,
            class: class("H200S"),
            session: SessionIx::NONE,
            time: TimeNs::new(ms * 1_000_000),
            lots,
            notional: MicroEc::new(notional),
        }
    }

    #[test]
    fn each_limit_is_reached_by_the_fill_that_meets_it() {
        let cases: &[(&str, ProtectionLimits, &[QuoteFill], bool)] = &[
            ("one fill fewer", limits(100, 3, 0, 0), &[fill(1, 9, 9), fill(1, 9, 9)], false),
            ("fills", limits(100, 3, 0, 0), &[fill(1, 1, 1), fill(2, 1, 1), fill(3, 1, 1)], true),
            ("fills of one instant", limits(100, 2, 0, 0), &[fill(1, 1, 1), fill(1, 1, 1)], true),
            ("one lot fewer", limits(100, 9, 10, 0), &[fill(1, 5, 1), fill(2, 4, 1)], false),
            ("lots", limits(100, 9, 10, 0), &[fill(1, 5, 1), fill(2, 5, 1)], true),
            ("one micro-EC fewer", limits(100, 9, 0, 50), &[fill(1, 1, 49)], false),
            ("credits", limits(100, 9, 0, 50), &[fill(1, 1, 49), fill(1, 1, 1)], true),
            ("at the window's edge", limits(100, 2, 0, 0), &[fill(1, 1, 1), fill(101, 1, 1)], false),
            ("just within the window", limits(100, 2, 0, 0), &[fill(2, 1, 1), fill(101, 1, 1)], true),
        ];
        for (name, limits, fills, reached) in cases {
            let mut protections = protected(*limits);
            let answers: Vec<bool> = fills.iter().map(|fill| protections.count(fill)).collect();
            assert_eq!(answers.last(), Some(reached), "{name}");
            assert!(answers[..answers.len() - 1].iter().all(|earlier| !earlier), "{name}");
        }
    }

    #[test]
    fn an_allowance_foretells_what_counting_says() {
        let limits = limits(50, 4, 13, 1_000);
        for start in 0..40_u64 {
            let mut protections = protected(limits);
            // A history of fills of different sizes, part of which has passed.
            let mut frozen = (0..start % 4).any(|n| protections.count(&fill(n * 20, 2, 90)));
            assert!(!frozen);
            let now = start * 2 + 60;
            let time = TimeNs::new(now * 1_000_000);
            let mut allowance = protections.allowance(ACCOUNT, class("H200S"), time).unwrap();
            while !frozen {
                let (lots, notional) = (1 + (start as u32 + allowance.fills) % 5, 100 + 37 * start as i64);
                frozen = protections.count(&fill(now, lots, notional));
                assert_eq!(allowance.use_up(lots, MicroEc::new(notional)), frozen, "{start}: {allowance:?}");
            }
        }
    }

    #[test]
    fn what_is_frozen_stays_until_it_is_reset_or_removed() {
        let mut protections = protected(limits(100, 1, 0, 0));
        assert!(protections.count(&fill(1, 7, 70)));
        let given = protections.freeze(ACCOUNT, class("H200S"));
        assert_eq!(given, Given { fills: 1, lots: 7, credits: 70 });
        assert!(protections.is_frozen(ACCOUNT, class("H200S")));
        assert!(!protections.is_frozen(ACCOUNT, class("B200")), "other classes are not");
        assert!(!protections.is_frozen(AccountIx::new(0), class("H200S")), "other accounts are not");
        protections.set(ACCOUNT, class("H200S"), limits(100, 2, 0, 0));
        assert!(protections.is_frozen(ACCOUNT, class("H200S")), "new limits do not let in again");
        assert!(protections.reset(ACCOUNT, class("H200S")));
        assert!(!protections.reset(ACCOUNT, class("H200S")), "it was not frozen any more");
        assert!(!protections.count(&fill(2, 1, 1)), "the window starts anew after a freeze");
        assert!(protections.count(&fill(3, 1, 1)));
        protections.freeze(ACCOUNT, class("H200S"));
        protections.remove(ACCOUNT, class("H200S"));
        assert!(!protections.is_frozen(ACCOUNT, class("H200S")));
        assert_eq!(protections.allowance(ACCOUNT, class("H200S"), TimeNs::ZERO), None);
    }

    #[test]
    fn an_uncross_fires_afterwards_in_the_order_of_accounts_and_classes() {
        let mut protections = protected(limits(100, 1, 0, 0));
        protections.set(ACCOUNT, class("B200"), limits(100, 2, 0, 0));
        protections.set(AccountIx::new(0), class("H200S"), limits(100, 1, 0, 0));
        let of = |account, code| QuoteFill { account, class: class(code), ..fill(1, 1, 1) };
        for _ in 0..3 {
            protections.count_in_uncross(&of(ACCOUNT, "H200S"));
            protections.count_in_uncross(&of(ACCOUNT, "B200"));
            protections.count_in_uncross(&of(AccountIx::new(0), "H200S"));
            protections.count_in_uncross(&of(AccountIx::new(0), "B200"));
        }
        let mut order = Vec::new();
        while let Some((account, class, _)) = protections.next_reached() {
            order.push((account.raw(), class.to_string(), protections.freeze(account, class).fills));
        }
        let expected =
            [(0, "H200S", 3), (1, "B200", 3), (1, "H200S", 3)].map(|(a, c, n)| (a, c.to_owned(), n));
        assert_eq!(order, expected);
    }

    #[test]
    fn memory_is_bounded_by_fills_and_classes() {
        let mut protections = protected(limits(60_000, 10_000, 0, 0));
        for n in 0..9_999 {
            assert!(!protections.count(&fill(n / 2, 1, 1)));
        }
        assert_eq!(protections.of_account(ACCOUNT)[0].history().len(), 5_000, "one entry an instant");
        for n in 1..CLASSES_MAX {
            assert!(protections.has_room(ACCOUNT, class(&format!("C{n}"))));
            protections.set(ACCOUNT, class(&format!("C{n}")), limits(1, 1, 0, 0));
        }
        assert!(!protections.has_room(ACCOUNT, class("ONEMORE")));
        assert!(protections.has_room(ACCOUNT, class("C1")), "a class that it has may be set anew");
    }
}
