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
    /// The classes of the entries, each as one number: a token order looks for up to sixteen of one model.
    classes: Vec<u64>,
}

/// What the classes make of one model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfModel<'a> {
    entries: &'a [Entry],
    classes: &'a [u64],
}

/// Classes are in the order of their bytes.
#[inline]
fn number(class: ClassCode) -> u64 {
    let class: [u8; 8] = transmute!(class);
    u64::from_be_bytes(class)
}

impl OfModel<'_> {
    #[inline]
    pub(crate) fn get(&self, class: ClassCode) -> Option<Yield> {
        let index = self.classes.binary_search(&number(class)).ok()?;
        Some(self.entries[index].yield_ktok)
    }
}

impl Yields {
    pub(crate) fn of_model(&self, model: ModelId) -> OfModel<'_> {
        let first = self.entries.partition_point(|entry| entry.model.raw() < model.raw());
        let count = self.entries[first..].partition_point(|entry| entry.model == model);
        let places = first..first + count;
        OfModel { entries: &self.entries[places.clone()], classes: &self.classes[places] }
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
            (Ok(index), false) => self.entries[index] = entry,
            (Ok(index), true) => {
                self.classes.remove(index);
                self.entries.remove(index);
            }
            (Err(index), false) => {
                self.classes.insert(index, number(entry.class));
                self.entries.insert(index, entry);
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
