use core::fmt;

use joulebook_types::{Role, Roles, TimeNs};

use super::PriceWar;
use crate::{Agent, Buyer, BuyerConfig, Maker, MakerConfig, Random, Seller, SellerConfig};

/// Who takes part. Each has an account and a session of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Participant {
    /// The `index`th seller of a bloc (0 or 1).
    Seller {
        bloc: usize,
        index: u32,
    },
    Buyer(u32),
    Maker(u32),
}

impl Participant {
    pub fn roles(self) -> Roles {
        Roles::NONE.with(match self {
            Self::Seller { .. } => Role::Seller,
            Self::Buyer(_) => Role::Buyer,
            Self::Maker(_) => Role::Maker,
        })
    }
}

/// The account's name, at most 16 bytes.
impl fmt::Display for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seller { bloc, index } => write!(f, "seller-{bloc}-{index}"),
            Self::Buyer(index) => write!(f, "buyer-{index}"),
            Self::Maker(index) => write!(f, "maker-{index}"),
        }
    }
}

const MAKER_INTERVAL_NS: u64 = 500_000_000;

impl PriceWar {
    /// Everybody, in a fixed order.
    pub fn participants(&self) -> Vec<Participant> {
        let sellers = (0..self.blocs.len()).flat_map(|bloc| {
            (0..self.sellers_per_bloc).map(move |index| Participant::Seller { bloc, index })
        });
        let buyers = (0..self.buyers).map(Participant::Buyer);
        let makers = (0..self.makers).map(Participant::Maker);
        sellers.chain(buyers).chain(makers).collect()
    }

    /// The strategy of `participant`, in a run that begins at `start`.
    pub fn agent(&self, participant: Participant, start: TimeNs) -> Box<dyn Agent> {
        match participant {
            Participant::Seller { bloc, index } => Box::new(Seller::new(self.seller(bloc, index, start))),
            Participant::Buyer(index) => {
                Box::new(Buyer::new(self.buyer(start), Random::for_agent(self.seed, u64::from(index))))
            }
            Participant::Maker(index) => Box::new(Maker::new(self.maker(index, start))),
        }
    }

    pub(crate) fn seller(&self, bloc: usize, index: u32, start: TimeNs) -> SellerConfig {
        let (own, rival) = (&self.blocs[bloc], &self.blocs[1 - bloc]);
        let interval_ns = u64::from(self.reprice_ms) * 1_000_000;
        // The blocs take turns, half an interval apart. A bloc's sellers share the same eighth of it, spread a little so
        // that they do not all send at once.
        let turn_ns = interval_ns / 2 * bloc as u64;
        let spread_ns = interval_ns / 8 * u64::from(index) / u64::from(self.sellers_per_bloc.max(1));
        SellerConfig {
            class: own.class,
            rival: rival.class,
            area: self.area,
            model: self.model,
            floor: own.floor,
            start: own.start,
            capacity_lots: self.lots_per_seller(),
            display_lots: self.display_lots,
            undercut: self.undercut,
            interval_ns,
            first_look: TimeNs::new(start.raw() + turn_ns + spread_ns),
        }
    }

    pub(crate) fn buyer(&self, start: TimeNs) -> BuyerConfig {
        BuyerConfig {
            classes: self.blocs.iter().map(|bloc| bloc.class).collect(),
            area: self.area,
            model: self.model,
            orders_per_second: self.token_orders_per_second / f64::from(self.buyers.max(1)),
            mtok_min: self.mtok_min,
            mtok_max: self.mtok_max,
            limit: self.cap,
            start,
        }
    }

    /// Makers alternate between the classes and stand a little wider, one behind the other.
    pub(crate) fn maker(&self, index: u32, start: TimeNs) -> MakerConfig {
        let bloc = &self.blocs[index as usize % self.blocs.len()];
        let rank = index / self.blocs.len() as u32;
        MakerConfig {
            class: bloc.class,
            area: self.area,
            bid_ticks: 4 + 2 * rank,
            ask_ticks: 2 + 2 * rank,
            quote_lots: 4,
            inventory_lots_max: 16,
            reference_lots_min: u64::from(self.display_lots / 2).max(1),
            interval_ns: MAKER_INTERVAL_NS,
            first_round: TimeNs::new(
                start.raw() + MAKER_INTERVAL_NS / u64::from(self.makers.max(1)) * u64::from(index),
            ),
        }
    }
}
