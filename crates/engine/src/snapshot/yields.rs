//! The yield table.

use joulebook_types::{ModelId, Yield};
use zerocopy::IntoBytes;

use super::LoadError;
use super::reader::Reader;
use super::section::Section;
use super::writer::Writer;
use crate::Engine;
use crate::yields::Entry;

const YIELD_BYTES: usize = 40;

impl Engine {
    pub(super) fn save_yields(&self, writer: &mut Writer<'_>) {
        let entries = self.yields.entries();
        writer.list(Section::Yields, YIELD_BYTES, entries.len(), |writer| {
            for Entry { model, class, yield_ktok, model_name } in entries {
                writer.u16(model.raw());
                writer.zeros::<2>();
                writer.u32(yield_ktok.raw());
                writer.bytes(class.as_bytes());
                writer.bytes(model_name);
                writer.end_record();
            }
        });
    }

    pub(super) fn load_yields(&mut self, reader: &mut Reader<'_>) -> Result<(), LoadError> {
        reader.list(Section::Yields, YIELD_BYTES, |reader| {
            let model = ModelId::new(reader.u16()?);
            reader.zeros::<2>()?;
            let yield_ktok = Yield::new(reader.u32()?);
            let class = reader.class()?;
            let model_name = reader.array()?;
            reader.check(
                !model.is_none() && yield_ktok != Yield::ZERO,
                "a yield has a model and is not zero",
            )?;
            let last = self.yields.entries().last().map(|last| (last.model, last.class));
            reader.check(last.is_none_or(|last| last < (model, class)), "yields come in their order")?;
            self.yields.set(Entry { model, class, yield_ktok, model_name });
            Ok(())
        })
    }
}
