//! The schedule of a run: what is sent when, fixed before the first byte leaves.

use joulebook_agents::Random;
use ring::digest::{Context, SHA256};
use serde::Serialize;

/// What a request does to the exchange; histograms and interval logs are kept apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Operation {
    /// A limit order that may rest.
    New = 0,
    /// An immediate-or-cancel order.
    Ioc = 1,
    Cancel = 2,
    /// A replace.
    Move = 3,
    /// A token order.
    Token = 4,
}

impl Operation {
    pub const ALL: [Self; 5] = [Self::New, Self::Ioc, Self::Cancel, Self::Move, Self::Token];

    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Ioc => "ioc",
            Self::Cancel => "cancel",
            Self::Move => "move",
            Self::Token => "token",
        }
    }
}

/// One request to come. Which order a cancel or a move names is decided from `draw` among those that are
/// acknowledged by then: the exchange decides when that is, so the plan cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Intended send time after the start of the run.
    pub at_ns: u64,
    /// All further chance of this request: price, size, target.
    pub draw: u64,
    pub session: u16,
    pub book: u16,
    pub operation: Operation,
}

/// When requests are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// At equal distances.
    Even,
    /// As independent clients would send them.
    Poisson,
}

/// The whole schedule.
#[derive(Clone, Debug)]
pub struct Plan {
    pub requests: Vec<Planned>,
}

impl Plan {
    /// Requests at `rate` per second for `span_ns`; `next` decides what each one is.
    pub fn timed(
        arrivals: Arrivals,
        rate: u64,
        span_ns: u64,
        random: &mut Random,
        mut next: impl FnMut(&mut Random) -> Unscheduled,
    ) -> Self {
        let expected = u128::from(rate) * u128::from(span_ns) / 1_000_000_000;
        let mut requests = Vec::with_capacity(expected as usize + 1);
        let mut at_ns = 0;
        for count in 1_u64.. {
            at_ns = match arrivals {
                Arrivals::Even => (u128::from(count) * 1_000_000_000 / u128::from(rate)) as u64,
                Arrivals::Poisson => at_ns + random.exponential_ns(rate as f64),
            };
            if span_ns <= at_ns {
                break;
            }
            let Unscheduled { session, book, operation } = next(random);
            requests.push(Planned { at_ns, draw: random.next_u64(), session, book, operation });
        }
        Self { requests }
    }

    /// SHA-256 over every field of every request: the same seed gives the same stream, byte for byte.
    pub fn hash(&self) -> String {
        let mut context = Context::new(&SHA256);
        for request in &self.requests {
            context.update(&request.at_ns.to_le_bytes());
            context.update(&request.draw.to_le_bytes());
            context.update(&request.session.to_le_bytes());
            context.update(&request.book.to_le_bytes());
            context.update(&[request.operation as u8]);
        }
        context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A request before it has a time.
#[derive(Clone, Copy, Debug)]
pub struct Unscheduled {
    pub session: u16,
    pub book: u16,
    pub operation: Operation,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arrivals: Arrivals, seed: u64) -> Plan {
        let mut random = Random::from_seed(seed);
        Plan::timed(arrivals, 10_000, 1_000_000_000, &mut random, |random| Unscheduled {
            session: random.below(4) as u16,
            book: 0,
            operation: Operation::ALL[random.below(5)],
        })
    }

    #[test]
    fn a_seed_is_a_stream() {
        for arrivals in [Arrivals::Even, Arrivals::Poisson] {
            assert_eq!(plan(arrivals, 7).hash(), plan(arrivals, 7).hash());
            assert_ne!(plan(arrivals, 7).hash(), plan(arrivals, 8).hash());
            let one_less = Plan { requests: plan(arrivals, 7).requests[1..].to_vec() };
            assert_ne!(one_less.hash(), plan(arrivals, 7).hash());
        }
    }

    #[test]
    fn rates_are_kept() {
        let even = plan(Arrivals::Even, 1);
        assert_eq!(even.requests.len(), 9_999, "the last one would fall on the end");
        assert!(even.requests.windows(2).all(|pair| pair[1].at_ns - pair[0].at_ns == 100_000));
        let poisson = plan(Arrivals::Poisson, 1).requests.len();
        assert!((9_600..10_400).contains(&poisson), "{poisson} arrivals for 10,000 expected");
    }
}
