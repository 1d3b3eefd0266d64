//! How the war ended: a pure function of what the market showed.

use core::fmt;

use joulebook_types::{MicroEc, Price, Qty, Side, TokenPrice, Yield};

use crate::price_war::{Bloc, PriceWar};

/// What was seen in one second.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// The cheapest ask of both blocs, once per window and look.
    best_asks: Vec<TokenPrice>,
    /// Tokens that buyers took, per bloc.
    tokens: [u128; 2],
    /// The cheapest trade, per bloc.
    lowest_trade: [Option<Price>; 2],
}

/// Collects the facts of a run, second by second.
#[derive(Clone, Debug)]
pub struct Record {
    war: PriceWar,
    seconds: Vec<Second>,
    trades: u64,
    notional: MicroEc,
}

/// One thing that the war should have shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub passed: bool,
    /// What was measured, against what.
    pub detail: String,
}

/// What became of the war.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub checks: Vec<Check>,
    /// The bloc with the lower floor per token.
    pub winner: Option<&'static str>,
    /// Median of the best ask in every second that showed one.
    pub price_path: Vec<TokenPrice>,
    /// The second from which the price stayed where the war ends.
    pub settled_second: Option<usize>,
    /// Tokens of each bloc since then, in kilo-tokens.
    pub settled_ktok: [u64; 2],
    /// Tokens of each bloc in the whole run, in kilo-tokens.
    pub total_ktok: [u64; 2],
    pub trades: u64,
    pub notional: MicroEc,
}

/// The lower floor should take at least this share of the tokens once prices have settled, in percent.
const WINNER_SHARE_PERCENT: u128 = 90;
/// How far from the second-lowest floor the price may settle, in ticks of the coarser book.
const SETTLED_TICKS: i64 = 2;

impl Record {
    pub fn new(war: PriceWar) -> Self {
        Self { war, seconds: Vec::new(), trades: 0, notional: MicroEc::ZERO }
    }

    /// The best asks of both blocs in one window, `second` seconds into the run. Look at every window equally often.
    pub fn on_best_asks(&mut self, second: usize, asks: [Option<Price>; 2]) {
        let per_token =
            self.war.blocs.iter().zip(asks).filter_map(|(bloc, ask)| TokenPrice::of(ask?, bloc.yield_ktok));
        if let Some(best) = per_token.min_by_key(|price| price.raw()) {
            self.second(second).best_asks.push(best);
        }
    }

    /// A trade of `qty` lots of the `bloc`th bloc. In an auction nobody is the aggressor.
    pub fn on_trade(&mut self, second: usize, bloc: usize, price: Price, qty: Qty, aggressor: Option<Side>) {
        let (yield_ktok, lot) = (self.war.blocs[bloc].yield_ktok, self.war.lot(&self.war.blocs[bloc]));
        self.trades += 1;
        let paid = lot.notional(price, qty).and_then(|paid| self.notional.checked_add(paid));
        self.notional = paid.unwrap_or(MicroEc::MAX);
        let facts = self.second(second);
        // What a seller gives a maker reaches a buyer later, or nobody: only what is bought for use counts.
        if aggressor == Some(Side::Buy) {
            facts.tokens[bloc] += yield_ktok.delivers(lot, qty).raw();
        }
        let lowest = &mut facts.lowest_trade[bloc];
        *lowest = Some(lowest.map_or(price, |lowest| lowest.min(price)));
    }

    /// Trades so far.
    pub fn trades(&self) -> u64 {
        self.trades
    }

    /// Tokens that buyers took so far, per bloc, in kilo-tokens.
    pub fn total_ktok(&self) -> [u64; 2] {
        in_ktok(self.tokens(0))
    }

    fn second(&mut self, second: usize) -> &mut Second {
        if self.seconds.len() <= second {
            self.seconds.resize_with(second + 1, Second::default);
        }
        &mut self.seconds[second]
    }

    /// Judges the run. The last second counts only as far as it was seen, so stop recording at its end.
    pub fn outcome(&self) -> Outcome {
        let floor = self.war.second_lowest_floor();
        let end = End { floor: TokenPrice::of(floor.floor, floor.yield_ktok), tolerance: self.tolerance() };
        let path: Vec<(usize, TokenPrice)> = self
            .seconds
            .iter()
            .enumerate()
            .filter_map(|(second, facts)| Some((second, median(&facts.best_asks)?)))
            .collect();
        let settled = end.settled(&path);
        let settled_tokens = self.tokens(settled.unwrap_or(self.seconds.len()));
        let winner = self.war.lower_floor();
        let checks = vec![
            falls_until_it_settles(&path, &end),
            settles_at_the_floor(&path, settled, &end),
            self.winner_takes_the_volume(winner, settled_tokens),
            self.no_trade_below(winner),
        ];
        Outcome {
            checks,
            winner: winner.map(|bloc| bloc.name),
            price_path: path.iter().map(|(_, price)| *price).collect(),
            settled_second: settled,
            settled_ktok: in_ktok(settled_tokens),
            total_ktok: self.total_ktok(),
            trades: self.trades,
            notional: self.notional,
        }
    }

    fn tokens(&self, from_second: usize) -> [u128; 2] {
        let mut total = [0; 2];
        for facts in self.seconds.iter().skip(from_second) {
            total = [total[0] + facts.tokens[0], total[1] + facts.tokens[1]];
        }
        total
    }

    fn tolerance(&self) -> i64 {
        let tick = |bloc: &Bloc| (bloc.tick.raw() * 1_000).div_euclid(i64::from(bloc.yield_ktok.raw())) + 1;
        let coarser = self.war.blocs.iter().map(tick).max().unwrap_or(1);
        SETTLED_TICKS * coarser
    }

    fn winner_takes_the_volume(&self, winner: Option<&Bloc>, tokens: [u128; 2]) -> Check {
        let total = tokens[0] + tokens[1];
        let won = winner.map_or(0, |winner| {
            let is_winner = |bloc: &Bloc| bloc.class == winner.class;
            (0..2).filter(|index| is_winner(&self.war.blocs[*index])).map(|index| tokens[index]).sum()
        });
        let share_permille = (won * 1_000).checked_div(total).unwrap_or(0);
        Check {
            name: "the lower floor per token takes the volume",
            passed: winner.is_some() && total > 0 && share_permille >= WINNER_SHARE_PERCENT * 10,
            detail: format!(
                "{} sold {}.{} % of the tokens after prices settled; at least {WINNER_SHARE_PERCENT} % expected",
                winner.map_or("nobody", |bloc| bloc.name),
                share_permille / 10,
                share_permille % 10
            ),
        }
    }

    fn no_trade_below(&self, winner: Option<&Bloc>) -> Check {
        let floor = winner.unwrap_or(&self.war.blocs[0]);
        let below = |bloc: &Bloc, price: Price| {
            Yield::compare_per_token(price, bloc.yield_ktok, floor.floor, floor.yield_ktok).is_lt()
        };
        let lowest = |index: usize| self.seconds.iter().filter_map(|facts| facts.lowest_trade[index]).min();
        let offenders: Vec<String> = self
            .war
            .blocs
            .iter()
            .enumerate()
            .filter_map(|(index, bloc)| Some((bloc, lowest(index).filter(|price| below(bloc, *price))?)))
            .map(|(bloc, price)| format!("{} at {price} EC per hour", bloc.class))
            .collect();
        let floor_text = TokenPrice::of(floor.floor, floor.yield_ktok).unwrap_or(TokenPrice::ZERO);
        Check {
            name: "no trade under the winner's floor",
            passed: offenders.is_empty() && self.trades > 0,
            detail: if offenders.is_empty() {
                format!("{} trades, none below {floor_text} EC/Mtok", self.trades)
            } else {
                format!("below {floor_text} EC/Mtok: {}", offenders.join(", "))
            },
        }
    }
}

/// Where prices should come to rest.
struct End {
    floor: Option<TokenPrice>,
    /// Micro-EC per million tokens.
    tolerance: i64,
}

impl End {
    /// Signed distance from the floor.
    fn distance(&self, price: TokenPrice) -> i64 {
        price.raw() - self.floor.map_or(0, TokenPrice::raw)
    }

    /// The second from which every median lies at the floor.
    fn settled(&self, path: &[(usize, TokenPrice)]) -> Option<usize> {
        let away = |price: &TokenPrice| self.distance(*price).abs() > self.tolerance;
        let first = path.iter().rposition(|(_, price)| away(price)).map_or(0, |last_away| last_away + 1);
        path.get(first).map(|(second, _)| *second)
    }
}

fn falls_until_it_settles(path: &[(usize, TokenPrice)], end: &End) -> Check {
    // The last undercut may reach below the floor where the rival cannot follow; what comes after is no fall any more.
    let reached = path.iter().position(|(_, price)| end.distance(*price) <= end.tolerance);
    let falling = &path[..reached.map_or(path.len(), |reached| reached + 1)];
    let rise = falling.windows(2).find(|pair| pair[1].1.raw() > pair[0].1.raw());
    Check {
        name: "the best ask per token never rises on its way down",
        passed: rise.is_none() && !path.is_empty(),
        detail: match (rise, falling.first(), falling.last()) {
            (Some(pair), ..) => format!("rose from {} to {} in second {}", pair[0].1, pair[1].1, pair[1].0),
            (None, Some(first), Some(last)) => {
                format!("fell from {} to {} EC/Mtok by second {}", first.1, last.1, last.0)
            }
            (None, ..) => "no asks were seen".to_owned(),
        },
    }
}

fn settles_at_the_floor(path: &[(usize, TokenPrice)], settled: Option<usize>, end: &End) -> Check {
    let floor = end.floor.unwrap_or(TokenPrice::ZERO);
    Check {
        name: "the price settles at the second-lowest floor",
        passed: settled.is_some() && end.floor.is_some(),
        detail: match (settled, path.last()) {
            (Some(second), Some((_, price))) => {
                format!("at {price} EC/Mtok from second {second} on, two ticks or less from {floor}")
            }
            (_, Some((_, price))) => format!("at {price} EC/Mtok in the end, {floor} expected"),
            (_, None) => "no asks were seen".to_owned(),
        },
    }
}

/// From kilo-token minutes.
fn in_ktok(tokens: [u128; 2]) -> [u64; 2] {
    tokens.map(|tokens| u64::try_from(tokens / 60).unwrap_or(u64::MAX))
}

fn median(prices: &[TokenPrice]) -> Option<TokenPrice> {
    let mut sorted: Vec<i64> = prices.iter().map(|price| price.raw()).collect();
    let middle = sorted.len() / 2;
    if sorted.is_empty() {
        return None;
    }
    Some(TokenPrice::new(*sorted.select_nth_unstable(middle).1))
}

impl Outcome {
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}: {}", if self.passed { "pass" } else { "FAIL" }, self.name, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A war as it should go: prices fall for ten seconds, then the TPU bloc sells just below the GPU bloc's floor.
    fn fought(bloc_that_sells: usize) -> Record {
        let mut record = Record::new(PriceWar::new(1));
        for second in 0..30 {
            let gpu = Price::new((27_000_000 - 1_400_000 * second as i64).max(13_000_000));
            let tpu = Price::new((16_200_000 - 840_000 * second as i64).max(7_799_000));
            for _ in 0..32 {
                record.on_best_asks(second, [Some(gpu), Some(tpu)]);
            }
            let price = [gpu, tpu][bloc_that_sells];
            record.on_trade(second, bloc_that_sells, price, Qty::new(40), Some(Side::Buy));
            record.on_trade(second, 0, gpu, Qty::new(1), Some(Side::Buy));
        }
        record
    }

    fn failed(record: &Record) -> Vec<&'static str> {
        record.outcome().checks.into_iter().filter(|check| !check.passed).map(|check| check.name).collect()
    }

    const FALL: &str = "the best ask per token never rises on its way down";
    const SETTLE: &str = "the price settles at the second-lowest floor";
    const VOLUME: &str = "the lower floor per token takes the volume";
    const FLOOR: &str = "no trade under the winner's floor";

    #[test]
    fn a_proper_war_passes() {
        let outcome = fought(1).outcome();
        assert!(outcome.passed(), "{:#?}", outcome.checks);
        assert_eq!((outcome.winner, outcome.settled_second, outcome.trades), (Some("Google"), Some(10), 60));
        // 40 lots of 18.464 Mtok and one of 30.774 a second, for twenty seconds.
        assert_eq!(outcome.settled_ktok, [30_774 * 20, 18_464 * 40 * 20]);
        assert_eq!(outcome.price_path.len(), 30);
    }

    #[test]
    fn each_check_can_fail() {
        assert_eq!(failed(&Record::new(PriceWar::new(1))), [FALL, SETTLE, VOLUME, FLOOR], "nothing happened");
        assert_eq!(failed(&fought(0)), [VOLUME], "the wrong bloc sold");

        let mut rises = fought(1);
        for _ in 0..100 {
            rises.on_best_asks(5, [Some(Price::new(27_000_000)), None]);
        }
        assert_eq!(failed(&rises), [FALL]);

        let mut never_settles = fought(1);
        for _ in 0..100 {
            never_settles.on_best_asks(29, [None, Some(Price::new(6_900_000))]);
        }
        assert_eq!(failed(&never_settles), [SETTLE, VOLUME]);

        let mut ruinous = fought(1);
        ruinous.on_trade(20, 1, Price::new(6_449_000), Qty::new(1), Some(Side::Sell));
        assert_eq!(failed(&ruinous), [FLOOR]);
        let mut at_the_floor = fought(1);
        at_the_floor.on_trade(20, 1, Price::new(6_450_000), Qty::new(1), Some(Side::Sell));
        assert_eq!(failed(&at_the_floor), [""; 0]);
    }

    #[test]
    fn swapped_floors_swap_the_verdict() {
        let mut war = PriceWar::new(1);
        war.swap_floors();
        let mut record = fought(1);
        record.war = war;
        let outcome = record.outcome();
        assert_eq!(outcome.winner, Some("NVIDIA"));
        assert!(outcome.checks.iter().any(|check| check.name == VOLUME && !check.passed));
    }

    #[test]
    fn one_undercut_below_the_floor_is_no_rise() {
        let mut record = fought(1);
        // In second 10 the TPU bloc has gone a step too far; it returns to just below the GPU floor afterwards.
        for _ in 0..100 {
            record.on_best_asks(10, [Some(GPU_AT_FLOOR), Some(Price::new(7_700_000))]);
        }
        let outcome = record.outcome();
        assert!(outcome.passed(), "{:#?}", outcome.checks);
        assert_eq!(outcome.settled_second, Some(11));
    }

    const GPU_AT_FLOOR: Price = Price::new(13_000_000);
}
