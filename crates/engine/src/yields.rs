//! The yield table: how many tokens of a reference model an accelerator-hour makes.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{SetYield, YieldDefinition};
use joulebook_types::{ClassCode, ModelId, Yield};
use zerocopy::transmute;

use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

/// What one class makes of one model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) model: ModelId,
    pub(crate) class: ClassCode,
    pub(crate) yield_ktok: Yield,
    pub(crate) model_name: [u8; 24],
}

/// By model, then class. Versioned by its changes' places in the journal: an order is matched with the table of its
/// moment.
#[derive(Debug, Default)]
pub(crate) struct Yields {
    entries: Vec<Entry>,
    found: YieldTable,
}

/// From model and class to yield by open addressing: a token order asks for up to sixteen.
#[derive(Debug, Default)]
struct YieldTable {
    /// A power of two of them, at most a quarter of which are taken, or none. An entry lies at its home or behind it with
    /// no vacant one in between.
    places: Vec<YieldPlace>,
    /// What is left of a hash when only as many bits as number the places are kept.
    shift: u32,
}

/// Without a yield it is vacant.
#[derive(Clone, Copy, Debug, Default)]
struct YieldPlace {
    class: u64,
    model: ModelId,
    yield_ktok: Yield,
}

/// Classes are in the order of their bytes.
#[inline(always)]
fn number(class: ClassCode) -> u64 {
    let class: [u8; 8] = transmute!(class);
    u64::from_be_bytes(class)
}

impl YieldTable {
    const LEN_MIN: usize = 16;

    #[inline(always)]
    fn get(&self, model: ModelId, class: u64) -> Option<Yield> {
        let mut index = self.home(model, class);
        // None of no places at all.
        while let Some(place) = self.places.get(index) {
            if place.yield_ktok == Yield::ZERO {
                return None;
            }
            if place.class == class && place.model == model {
                return Some(place.yield_ktok);
            }
            index = self.next(index);
        }
        None
    }

    /// Sets the yield of an entry, which is there already or for which there is room.
    fn set(&mut self, entry: &Entry) {
        let (class, model, yield_ktok) = (number(entry.class), entry.model, entry.yield_ktok);
        let mut index = self.home(model, class);
        while self.places[index].yield_ktok != Yield::ZERO
            && (self.places[index].class, self.places[index].model) != (class, model)
        {
            index = self.next(index);
        }
        self.places[index] = YieldPlace { class, model, yield_ktok };
    }

    /// Takes in all entries anew, with room for as many more. They hardly ever get fewer.
    fn rebuild(&mut self, entries: &[Entry]) {
        let len = (8 * entries.len()).next_power_of_two().max(Self::LEN_MIN);
        self.places.clear();
        self.places.resize(len, YieldPlace::default());
        self.shift = u64::BITS - len.trailing_zeros();
        entries.iter().for_each(|entry| self.set(entry));
    }

    /// Where an entry lies unless others were there before.
    #[inline(always)]
    fn home(&self, model: ModelId, class: u64) -> usize {
        let mixed = class.wrapping_add(u64::from(model.raw())).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> (self.shift & (u64::BITS - 1))) as usize
    }

    #[inline(always)]
    fn next(&self, index: usize) -> usize {
        (index + 1) & (self.places.len() - 1)
    }
}

impl Yields {
    /// What a class makes of a model.
    #[inline(always)]
    pub(crate) fn get(&self, model: ModelId, class: ClassCode) -> Option<Yield> {
        self.found.get(model, number(class))
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// By model, then class.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = YieldDefinition> {
        self.entries.iter().map(|Entry { model, class, yield_ktok, model_name }| YieldDefinition {
            class: *class,
            yield_ktok: *yield_ktok,
            model: *model,
            model_name: *model_name,
            ..Default::default()
        })
    }

    /// Sets an entry, or takes it out when its yield is zero.
    pub(crate) fn set(&mut self, entry: Entry) {
        let key = |entry: &Entry| (entry.model.raw(), number(entry.class));
        match (self.entries.binary_search_by_key(&key(&entry), key), entry.yield_ktok == Yield::ZERO) {
            (Ok(index), false) => {
                self.entries[index] = entry;
                self.found.set(&entry);
            }
            (Ok(index), true) => {
                self.entries.remove(index);
                self.found.rebuild(&self.entries);
            }
            (Err(index), false) => {
                self.entries.insert(index, entry);
                if 4 * self.entries.len() > self.found.places.len() {
                    self.found.rebuild(&self.entries);
                } else {
                    self.found.set(&entry);
                }
            }
            (Err(_), true) => {}
        }
    }
}

impl Engine {
    pub(crate) fn set_yield(
        &mut self,
        session: SessionIx,
        set: &SetYield,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let field = Rejection::field;
        set.class.validate().map_err(|_| field(RejectReason::InvalidCode, offset_of!(SetYield, class)))?;
        if set.model.is_none() {
            return Err(field(RejectReason::InvalidYield, offset_of!(SetYield, model)));
        }
        let definition = YieldDefinition {
            class: set.class,
            yield_ktok: set.yield_ktok,
            model: set.model,
            model_name: set.model_name,
            ..Default::default()
        };
        let SetYield { model, class, yield_ktok, model_name, .. } = *set;
        self.yields.set(Entry { model, class, yield_ktok, model_name });
        self.publish(definition, out);
        Ok(self.request_done(session, set, u64::from(set.yield_ktok.raw()), out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_what_was_set_last() {
        let (mut yields, mut state) = (Yields::default(), 1_u64);
        let mut random = |below: u64| {
            state = state * 48_271 % 2_147_483_647;
            state % below
        };
        let class = |n: u64| -> ClassCode { format!("C{n}").parse().unwrap() };
        for _ in 0..4_000 {
            let (model, of) = (ModelId::new(1 + random(9) as u16), class(random(12)));
            // Every other one is taken out.
            let yield_ktok = Yield::new((random(60) as u32).saturating_sub(30));
            yields.set(Entry { model, class: of, yield_ktok, model_name: [0; 24] });
            assert_eq!(yields.get(model, of), Some(yield_ktok).filter(|set| *set != Yield::ZERO));
        }
        for (model, class) in (0..11).flat_map(|model| (0..13).map(move |n| (ModelId::new(model), class(n))))
        {
            let listed = yields.entries().iter().find(|entry| (entry.model, entry.class) == (model, class));
            assert_eq!(yields.get(model, class), listed.map(|entry| entry.yield_ktok));
        }
        assert!(yields.entries().len() > 20, "some of each are left");
    }
}
