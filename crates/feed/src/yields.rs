//! How many tokens a class yields, for each reference model.

use joulebook_protocol::messages::YieldDefinition;
use joulebook_types::{ClassCode, ModelId, Yield};

/// The newest definition per class and model, in the order of class and model.
///
/// A removed entry stays as a zero, so that a subscriber who missed the removal is told of it later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct YieldTable(Vec<YieldDefinition>);

/// More classes times models than any exchange lists; what goes beyond is not kept.
const ENTRIES_MAX: usize = 65_536;

impl YieldTable {
    /// Takes a definition over; a yield of zero says that nothing is known any more.
    pub fn set(&mut self, definition: &YieldDefinition) {
        let key = |entry: &YieldDefinition| (entry.class, entry.model);
        let found = self.0.binary_search_by_key(&key(definition), key);
        match found {
            Ok(index) => self.0[index] = *definition,
            Err(_) if self.0.len() == ENTRIES_MAX => {}
            Err(index) => self.0.insert(index, *definition),
        }
    }

    /// Kilo-tokens per accelerator-hour; `None` when nothing is known.
    pub fn get(&self, class: ClassCode, model: ModelId) -> Option<Yield> {
        let found = self.0.binary_search_by_key(&(class, model), |entry| (entry.class, entry.model));
        found.ok().map(|index| self.0[index].yield_ktok).filter(|known| *known != Yield::ZERO)
    }

    pub fn iter(&self) -> impl Iterator<Item = &YieldDefinition> {
        self.0.iter().filter(|entry| entry.yield_ktok != Yield::ZERO)
    }

    /// Removed entries included.
    pub(crate) fn all(&self) -> &[YieldDefinition] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_removes() {
        let mut yields = YieldTable::default();
        let (class, model) = ("H200S".parse().unwrap(), ModelId::new(1));
        let mut definition =
            YieldDefinition { class, model, yield_ktok: Yield::new(15_387), ..YieldDefinition::default() };
        yields.set(&definition);
        assert_eq!(yields.get(class, model), Some(Yield::new(15_387)));
        assert_eq!(yields.get(class, ModelId::new(2)), None);
        definition.yield_ktok = Yield::ZERO;
        yields.set(&definition);
        assert_eq!((yields.get(class, model), yields.iter().count()), (None, 0));
    }
}
