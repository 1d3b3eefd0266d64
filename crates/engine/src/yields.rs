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
    /// Of the entries, each as one number: a token order looks for up to sixteen of them.
    keys: Vec<u128>,
    entries: Vec<Entry>,
}

/// Classes are in the order of their bytes.
fn key(model: ModelId, class: ClassCode) -> u128 {
    let class: [u8; 8] = transmute!(class);
    u128::from(model.raw()) << 64 | u128::from(u64::from_be_bytes(class))
}

impl Yields {
    pub(crate) fn get(&self, model: ModelId, class: ClassCode) -> Option<Yield> {
        let index = self.keys.binary_search(&key(model, class)).ok()?;
        Some(self.entries[index].yield_ktok)
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
        let key = key(entry.model, entry.class);
        match (self.keys.binary_search(&key), entry.yield_ktok == Yield::ZERO) {
            (Ok(index), false) => self.entries[index] = entry,
            (Ok(index), true) => {
                self.keys.remove(index);
                self.entries.remove(index);
            }
            (Err(index), false) => {
                self.keys.insert(index, key);
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
