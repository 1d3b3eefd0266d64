//! The price war: two blocs sell the same tokens on different accelerators.
//!
//! Every number is a parameter of the scenario, and the sellers' rule is the same on both sides: which bloc wins follows
//! from floors and yields alone.

mod participants;

use joulebook_protocol::messages::pad_text;
use joulebook_protocol::messages::{ListInstrument, RegisterCapacity, SetYield};
use joulebook_types::{
    AreaCode, ClassCode, ClientOrderId, LotSize, MicroEc, ModelId, Price, TimeNs, TokenPrice, Window, Yield,
};

pub use participants::Participant;

/// One side of the war.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bloc {
    /// For people: whose hardware it is.
    pub name: &'static str,
    pub class: ClassCode,
    /// Of the reference model.
    pub yield_ktok: Yield,
    /// What an accelerator-hour costs the sellers.
    pub floor: Price,
    /// Where the sellers begin.
    pub start: Price,
    pub tick: Price,
    pub accelerators_per_lot: u16,
}

/// Everything that a run of the war depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceWar {
    pub seed: u64,
    pub area: AreaCode,
    pub model: ModelId,
    /// At most 24 bytes.
    pub model_name: &'static str,
    pub blocs: [Bloc; 2],
    /// Front windows in which both blocs sell.
    pub windows: u32,
    pub window_minutes: u16,
    pub sellers_per_bloc: u32,
    /// Lots of one bloc in one window, divided evenly among its sellers.
    pub capacity_lots: u32,
    /// Lots that one seller shows at a time.
    pub display_lots: u32,
    pub reprice_ms: u32,
    /// How far below a moving rival the sellers go at each repricing.
    pub undercut: TokenPrice,
    pub makers: u32,
    pub buyers: u32,
    /// Of all buyers together, on average.
    pub token_orders_per_second: f64,
    pub mtok_min: u64,
    pub mtok_max: u64,
    /// No buyer pays more per million tokens.
    pub cap: TokenPrice,
}

/// MLPerf Inference v5.1, closed division, data center, entry 5.1-0007: eight H200 serve Llama 2 70B (server scenario)
/// at 4,274.2 tokens a second each. Times 3,600 seconds, in thousands; the arithmetic is ours, not a metric of MLPerf's.
pub const H200_YIELD: Yield = Yield::new(15_387);

/// Tokens of a TPU hour per 1,000 tokens of an H200 hour. A parameter, not a measured fact: MLPerf Inference v5.1 has
/// no TPU entry for this model. With the default floors the blocs are level at 496.
pub const RHO_PERMILLE: u32 = 600;

/// Assumed costs of an H200 hour: 1.00 EC of energy (between 0.785 and 1.305 kWh that MLPerf's power runs of H200 and
/// B200 systems measured at the wall) and 12 EC of capital.
pub const GPU_FLOOR: Price = Price::new(13_000_000);

/// Assumed costs of a TPU v6e hour: 0.45 EC of energy and 6 EC of capital.
pub const TPU_FLOOR: Price = Price::new(6_450_000);

/// Where the GPU sellers begin: about the median listed price of an H200 hour in early 2026, $2.32, at 0.086 $/kWh.
pub const GPU_START: Price = Price::new(27_000_000);

impl PriceWar {
    /// The war of the demo.
    pub fn new(seed: u64) -> Self {
        let mut war = Self {
            seed,
            area: "DE".parse().expect("a valid zone"),
            model: ModelId::new(1),
            model_name: "llama2-70b/server",
            blocs: [gpu_bloc(), tpu_bloc()],
            windows: 32,
            window_minutes: 15,
            sellers_per_bloc: 8,
            capacity_lots: 4_000,
            display_lots: 50,
            reprice_ms: 250,
            undercut: TokenPrice::new(5_000),
            makers: 6,
            buyers: 4,
            token_orders_per_second: 20.0,
            mtok_min: 50,
            mtok_max: 2_000,
            cap: TokenPrice::new(2_500_000),
        };
        war.set_rho(RHO_PERMILLE);
        war
    }

    /// Gives the second bloc `permille` thousandths of the first one's yield, and its start at the same price per token.
    pub fn set_rho(&mut self, permille: u32) {
        let [first, second] = &mut self.blocs;
        let scaled = u64::from(first.yield_ktok.raw()) * u64::from(permille) / 1_000;
        let scaled = u32::try_from(scaled.max(1)).expect("a yield below 4,294,967,296 ktok per hour");
        second.yield_ktok = Yield::new(scaled);
        second.start = same_per_token(first.start, first.yield_ktok, second.yield_ktok);
    }

    /// Exchanges the blocs' costs per token, and with them the winner.
    pub fn swap_floors(&mut self) {
        let [first, second] = &mut self.blocs;
        let floors = (first.floor, second.floor);
        first.floor = same_per_token(floors.1, second.yield_ktok, first.yield_ktok);
        second.floor = same_per_token(floors.0, first.yield_ktok, second.yield_ktok);
    }

    /// Sets the undercut so that the way from the start to the second-lowest floor takes about a third of a run of
    /// `seconds`. It sets the pace for both blocs alike, never the end.
    pub fn pace_for(&mut self, seconds: u32) {
        let distance = self.per_token(self.blocs[0].start) - self.per_token_of(self.second_lowest_floor());
        let steps = i64::from(seconds.max(1)) * 2_000 / i64::from(self.reprice_ms) / 3;
        self.undercut = TokenPrice::new((distance / steps.max(1)).max(1_000));
    }

    /// Gives the sellers so much that nobody sells out in a run of `seconds`, as nobody does in the demo's two minutes.
    pub fn stock_for(&mut self, seconds: u32) {
        self.capacity_lots = self.capacity_lots.saturating_mul(seconds.div_ceil(DEMO_SECONDS).max(1));
    }

    /// The bloc with the lower floor per token; `None` when they are level.
    pub fn lower_floor(&self) -> Option<&Bloc> {
        let [first, second] = &self.blocs;
        match Yield::compare_per_token(first.floor, first.yield_ktok, second.floor, second.yield_ktok) {
            core::cmp::Ordering::Less => Some(first),
            core::cmp::Ordering::Greater => Some(second),
            core::cmp::Ordering::Equal => None,
        }
    }

    /// The bloc whose floor ends the fall of prices: the other one, or the first when they are level.
    pub fn second_lowest_floor(&self) -> &Bloc {
        let [first, second] = &self.blocs;
        if self.lower_floor() == Some(first) { second } else { first }
    }

    /// `count` windows in a row that start late enough to trade through a run of `run_seconds` and to deliver after it.
    pub fn front_windows(&self, now: TimeNs, run_seconds: u32) -> impl Iterator<Item = Window> + use<> {
        let length = u32::from(self.window_minutes);
        let minutes = self.window_minutes;
        let earliest = now.minutes() + run_seconds.div_ceil(60) + GATE_MINUTES + 1;
        let first = earliest.next_multiple_of(length);
        (0..self.windows).filter_map(move |index| Window::new(first + index * length, minutes).ok())
    }

    /// Lists `window` for `bloc`, open at once.
    pub fn listing(&self, bloc: &Bloc, window: Window, client_order_id: ClientOrderId) -> ListInstrument {
        ListInstrument {
            client_order_id,
            class: bloc.class,
            area: self.area,
            start_minute: window.start_minute(),
            window_minutes: window.minutes(),
            accelerators_per_lot: bloc.accelerators_per_lot,
            tick: bloc.tick,
            band_low: bloc.tick,
            band_high: Price::new(bloc.tick.raw() * 1_000_000),
            opens: TimeNs::ZERO,
            gate: TimeNs::from_minutes(window.start_minute() - GATE_MINUTES),
            qty_max: 1_000_000,
            taker_fee_ppm: TAKER_FEE_PPM,
            maker_fee_ppm: 0,
            ..Default::default()
        }
    }

    /// Publishes the bloc's yield.
    pub fn yield_entry(&self, bloc: &Bloc, client_order_id: ClientOrderId) -> SetYield {
        SetYield {
            client_order_id,
            class: bloc.class,
            yield_ktok: bloc.yield_ktok,
            model: self.model,
            reserved: 0,
            model_name: pad_text(self.model_name),
        }
    }

    /// Registers what one seller of `bloc` owns in `window`.
    pub fn registration(
        &self,
        bloc: &Bloc,
        window: Window,
        client_order_id: ClientOrderId,
    ) -> RegisterCapacity {
        RegisterCapacity {
            client_order_id,
            class: bloc.class,
            area: self.area,
            start_minute: window.start_minute(),
            window_minutes: window.minutes(),
            accelerators: self.lots_per_seller() * u32::from(bloc.accelerators_per_lot),
            ..RegisterCapacity::default()
        }
    }

    /// Lots of one seller in one window.
    pub fn lots_per_seller(&self) -> u32 {
        self.capacity_lots / self.sellers_per_bloc.max(1)
    }

    /// More than `participant` can spend in `run_seconds`: nobody's war ends for want of credits.
    pub fn credits(&self, participant: Participant, run_seconds: u32) -> MicroEc {
        let ec = match participant {
            Participant::Seller { .. } => 0,
            Participant::Buyer(_) => {
                let mtok =
                    self.token_orders_per_second * self.mtok_max as f64 * f64::from(run_seconds.max(60));
                (mtok * self.cap.raw() as f64 / 1e6) as i64
            }
            Participant::Maker(_) => 10_000_000,
        };
        MicroEc::from_ec(ec)
    }

    pub fn lot(&self, bloc: &Bloc) -> LotSize {
        LotSize::new(bloc.accelerators_per_lot, self.window_minutes).expect("lots have a size")
    }

    fn per_token_of(&self, bloc: &Bloc) -> i64 {
        TokenPrice::of(bloc.floor, bloc.yield_ktok).map_or(0, TokenPrice::raw)
    }

    fn per_token(&self, start: Price) -> i64 {
        TokenPrice::of(start, self.blocs[0].yield_ktok).map_or(0, TokenPrice::raw)
    }
}

/// The stock of [`PriceWar::new`] lasts this long.
const DEMO_SECONDS: u32 = 120;
/// Trading in a window ends this long before its delivery.
const GATE_MINUTES: u32 = 5;
const TAKER_FEE_PPM: i32 = 200;

fn gpu_bloc() -> Bloc {
    Bloc {
        name: "NVIDIA",
        class: "H200S".parse().expect("a valid class"),
        yield_ktok: H200_YIELD,
        floor: GPU_FLOOR,
        start: GPU_START,
        tick: Price::new(10_000),
        accelerators_per_lot: 8,
    }
}

fn tpu_bloc() -> Bloc {
    Bloc {
        name: "Google",
        class: "TPU6E".parse().expect("a valid class"),
        // Both follow from the first bloc's: `set_rho`.
        yield_ktok: H200_YIELD,
        start: GPU_START,
        floor: TPU_FLOOR,
        tick: Price::new(1_000),
        accelerators_per_lot: 8,
    }
}

/// The price at which hardware of yield `to` costs as much per token as hardware of yield `from` at `price`; rounded
/// down to a micro-EC.
fn same_per_token(price: Price, from: Yield, to: Yield) -> Price {
    let scaled = i128::from(price.raw()) * i128::from(to.raw()) / i128::from(from.raw());
    Price::new(i64::try_from(scaled).expect("a price within 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floors(war: &PriceWar) -> [TokenPrice; 2] {
        [0, 1]
            .map(|index: usize| TokenPrice::of(war.blocs[index].floor, war.blocs[index].yield_ktok).unwrap())
    }

    #[test]
    fn the_default_floors_are_those_of_the_sources() {
        let war = PriceWar::new(1);
        assert_eq!(war.blocs[1].yield_ktok, Yield::new(9_232));
        assert_eq!(floors(&war).map(|floor| floor.to_string()), ["0.844869", "0.698656"]);
        assert_eq!(war.lower_floor().unwrap().name, "Google");
        let starts = war.blocs.map(|bloc| TokenPrice::of(bloc.start, bloc.yield_ktok).unwrap().raw());
        assert!((starts[0] - starts[1]).abs() <= 1, "both begin at {starts:?}");
    }

    #[test]
    fn who_wins_follows_from_the_parameters() {
        let mut war = PriceWar::new(1);
        for (permille, winner) in [(600, "Google"), (497, "Google"), (496, "NVIDIA"), (450, "NVIDIA")] {
            war.set_rho(permille);
            assert_eq!(war.lower_floor().unwrap().name, winner, "rho {permille}");
        }
        war.blocs[1] = Bloc { name: "mirror", ..war.blocs[0] };
        assert_eq!(war.lower_floor(), None);
    }

    #[test]
    fn swapping_floors_swaps_them_per_token() {
        let mut war = PriceWar::new(1);
        let before = floors(&war);
        war.swap_floors();
        let after = floors(&war);
        assert!(
            (after[0].raw() - before[1].raw()).abs() <= 1 && (after[1].raw() - before[0].raw()).abs() <= 1
        );
        assert_eq!(war.lower_floor().unwrap().name, "NVIDIA");
        war.swap_floors();
        assert_eq!(war.lower_floor().unwrap().name, "Google");
    }

    #[test]
    fn windows_open_after_the_run_and_their_gates_too() {
        let war = PriceWar::new(1);
        let now = TimeNs::from_minutes(1_000_001);
        let windows: Vec<Window> = war.front_windows(now, 120).collect();
        assert_eq!(windows.len(), 32);
        let listing = war.listing(&war.blocs[0], windows[0], ClientOrderId::new(1));
        assert!(listing.gate.raw() > now.raw() + 120_000_000_000, "trading goes on through the run");
        assert!(windows[0].start_minute() < now.minutes() + 30);
        for bloc in &war.blocs {
            assert!(war.lot(bloc).is_exact_tick(bloc.tick));
            let listing = war.listing(bloc, windows[0], ClientOrderId::new(1));
            assert_eq!(listing.band_high.raw() % bloc.tick.raw(), 0);
            assert!(bloc.start < listing.band_high);
        }
    }

    #[test]
    fn the_pace_fits_the_run() {
        let mut war = PriceWar::new(1);
        // 0.91 EC/Mtok in 20 seconds at eight steps a second.
        war.pace_for(60);
        assert!((5_000..6_500).contains(&war.undercut.raw()), "{}", war.undercut);
        war.pace_for(3_600);
        assert_eq!(war.undercut.raw(), 1_000, "never less than a tick or two");
    }

    #[test]
    fn nobody_sells_out() {
        for seconds in [60, 120, 3_600] {
            let mut war = PriceWar::new(1);
            war.stock_for(seconds);
            let mean_mtok = 1_950.0 / f64::ln(40.0);
            let demand = war.token_orders_per_second * mean_mtok * f64::from(seconds);
            for bloc in &war.blocs {
                let lots = joulebook_types::Qty::from(war.capacity_lots);
                let supply =
                    bloc.yield_ktok.delivers(war.lot(bloc), lots).kilo_tokens().raw() as f64 / 1_000.0;
                assert!(
                    demand * 1.2 < supply * f64::from(war.windows),
                    "{} in {seconds} s: {demand} of {supply} Mtok",
                    bloc.name
                );
            }
        }
    }
}
