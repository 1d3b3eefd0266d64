//! The yield table: how many tokens of a reference model an accelerator-hour makes.

use core::mem::offset_of;
use std::collections::BTreeMap;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{SetYield, YieldDefinition};
use joulebook_types::{ClassCode, ModelId, Yield};

use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) yield_ktok: Yield,
    pub(crate) model_name: [u8; 24],
}

/// Versioned by its changes' places in the journal: an order is matched with the table of its moment.
#[derive(Debug, Default)]
pub(crate) struct Yields {
    pub(crate) entries: BTreeMap<(ModelId, ClassCode), Entry>,
}

impl Yields {
    pub(crate) fn get(&self, model: ModelId, class: ClassCode) -> Option<Yield> {
        self.entries.get(&(model, class)).map(|entry| entry.yield_ktok)
    }

    /// By model, then class.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = YieldDefinition> {
        self.entries.iter().map(|((model, class), entry)| YieldDefinition {
            class: *class,
            yield_ktok: entry.yield_ktok,
            model: *model,
            model_name: entry.model_name,
            ..Default::default()
        })
    }

    fn set(&mut self, definition: &YieldDefinition) {
        let key = (definition.model, definition.class);
        if definition.yield_ktok == Yield::ZERO {
            self.entries.remove(&key);
        } else {
            let YieldDefinition { yield_ktok, model_name, .. } = *definition;
            self.entries.insert(key, Entry { yield_ktok, model_name });
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
        self.yields.set(&definition);
        self.publish(definition, out);
        Ok(self.request_done(session, set, u64::from(set.yield_ktok.raw()), out))
    }
}
