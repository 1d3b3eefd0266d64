//! Quarter hours of capacity, and what accounts have in them.

use joulebook_ledger::{AccountIx, PositionBalances, SlotKey};
use joulebook_types::{QuarterSlot, Window};
use zerocopy::IntoBytes;

use super::LoadError;
use super::reader::Reader;
use super::section::Section;
use super::writer::Writer;
use crate::Engine;

const SLOT_BYTES: usize = 24;
const POSITION_BYTES: usize = 40;
const SLOT_MINUTES: u16 = 15;

impl Engine {
    pub(super) fn save_capacity(&self, writer: &mut Writer<'_>) {
        writer.list(Section::Slots, SLOT_BYTES, self.ledger.slots().len(), |writer| {
            for (SlotKey { class, area, slot }, delivered) in self.ledger.slots() {
                writer.bytes(class.as_bytes());
                writer.bytes(area.as_bytes());
                writer.u32(slot.raw());
                writer.flag(delivered);
                writer.zeros::<3>();
                writer.end_record();
            }
        });
        let numbers = self.ledger.slot_numbers();
        let accounts = || (0..self.accounts.len() as u32).map(AccountIx::new);
        let positions = accounts().map(|account| self.ledger.places(account).count()).sum();
        writer.list(Section::Positions, POSITION_BYTES, positions, |writer| {
            for account in accounts() {
                for (asset, balances) in self.ledger.places(account) {
                    let PositionBalances { registered, free, held, escrow } = balances;
                    writer.u32(account.raw());
                    writer.u32(numbers[asset.index()]);
                    [registered, free, held].into_iter().for_each(|balance| writer.u64(balance));
                    writer.i64(escrow.raw());
                    writer.end_record();
                }
            }
        });
    }

    pub(super) fn load_capacity(&mut self, reader: &mut Reader<'_>) -> Result<(), LoadError> {
        reader.list(Section::Slots, SLOT_BYTES, |reader| {
            let (class, area) = (reader.class()?, reader.area()?);
            let slot = QuarterSlot::new(reader.u32()?);
            let delivered = reader.flag()?;
            reader.zeros::<3>()?;
            let start_minute = slot.raw().checked_mul(u32::from(SLOT_MINUTES));
            let window = start_minute.map(|start| Window::new(start, SLOT_MINUTES).is_ok());
            reader
                .check(window == Some(true) && !area.is_none(), "a slot is a quarter hour of the calendar")?;
            let key = SlotKey { class, area, slot };
            self.ledger.restore_slot(key, delivered).map_err(|what| reader.error(what))?;
            Ok(())
        })?;
        let mut last_account = 0;
        reader.list(Section::Positions, POSITION_BYTES, |reader| {
            let (account, asset) = (reader.u32()?, reader.u32()?);
            reader.check(last_account <= account, "accounts come in their order")?;
            last_account = account;
            let account = self.account_numbered(reader, account)?;
            let asset = self.ledger.slot_numbered(asset);
            let asset = asset.ok_or(reader.error("there is no slot with that number"))?;
            let balances = PositionBalances {
                registered: reader.u64()?,
                free: reader.u64()?,
                held: reader.u64()?,
                escrow: reader.credits()?,
            };
            self.ledger.restore_position(account, asset, balances).map_err(|what| reader.error(what))
        })
    }
}
