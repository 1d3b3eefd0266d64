//! Who takes part, what they may do, and what they have in credits.

use joulebook_ledger::AccountIx;
use joulebook_types::AccountId;

use super::LoadError;
use super::reader::Reader;
use super::section::Section;
use super::writer::Writer;
use crate::Engine;
use crate::accounts::Account;
use crate::caps::Limits;
use crate::kill_switch::{CLASSES_MAX, DisabledBy};
use crate::open_account::valid_roles;

const ACCOUNT_BYTES: usize = 104;
const CLASS_BYTES: usize = 8;

impl Engine {
    pub(super) fn save_accounts(&self, writer: &mut Writer<'_>) {
        writer.list(Section::Accounts, ACCOUNT_BYTES, self.accounts.len(), |writer| {
            for (account, index) in self.accounts.iter().zip(0..) {
                self.save_account(writer, AccountIx::new(index), account);
                writer.end_record();
            }
        });
        let classes = &self.disabled.classes;
        writer.list(Section::DisabledClasses, CLASS_BYTES, classes.len(), |writer| {
            classes.iter().for_each(|class| writer.bytes(zerocopy::IntoBytes::as_bytes(class)));
        });
    }

    fn save_account(&self, writer: &mut Writer<'_>, ix: AccountIx, account: &Account) {
        let Account {
            id,
            roles,
            self_trade_group,
            public_key,
            name,
            // Every session says whose it is, and they are in the order of first logon.
            sessions: _,
            disabled,
            limits,
            // Every open order says whose it is, and what it is worth.
            open_orders: _,
            open_value: _,
        } = account;
        let Limits { open_orders_max, order_value_max, open_value_max, window_accelerators_max } = limits;
        writer.u32(id.raw());
        writer.u16(roles.bits());
        writer.u8(disabled_number(*disabled));
        writer.zeros::<1>();
        writer.u32(*self_trade_group);
        writer.u32(*open_orders_max);
        writer.u32(*window_accelerators_max);
        writer.zeros::<4>();
        writer.bytes(public_key);
        writer.bytes(name);
        let credits = self.ledger.credits(ix);
        for amount in [*order_value_max, *open_value_max, credits.free, credits.held] {
            writer.i64(amount.raw());
        }
    }

    pub(super) fn load_accounts(&mut self, reader: &mut Reader<'_>) -> Result<(), LoadError> {
        reader.list(Section::Accounts, ACCOUNT_BYTES, |reader| self.load_account(reader))?;
        reader.list(Section::DisabledClasses, CLASS_BYTES, |reader| {
            let class = reader.class()?;
            let classes = &mut self.disabled.classes;
            reader.check(classes.last().is_none_or(|last| *last < class), "classes come in their order")?;
            reader.check(classes.len() < CLASSES_MAX, "more classes are switched off than may be")?;
            classes.insert(class);
            Ok(())
        })
    }

    fn load_account(&mut self, reader: &mut Reader<'_>) -> Result<(), LoadError> {
        let id = AccountId::new(reader.u32()?);
        reader.check(!id.is_none(), "an account has an id")?;
        reader.check(self.accounts.find(id).is_none(), "an account is there twice")?;
        reader.check(!self.accounts.is_full(), "more accounts than the limit")?;
        let roles =
            valid_roles(reader.u16()?).ok_or(reader.error("an account has roles that go together"))?;
        let disabled = load_disabled(reader)?;
        reader.zeros::<1>()?;
        let self_trade_group = reader.u32()?;
        let (open_orders_max, window_accelerators_max) = (reader.u32()?, reader.u32()?);
        reader.zeros::<4>()?;
        let (public_key, name) = (reader.array()?, reader.array()?);
        let (order_value_max, open_value_max) = (reader.credits()?, reader.credits()?);
        reader.check(order_value_max.raw() >= 0 && open_value_max.raw() >= 0, "a cap is not negative")?;
        let (free, held) = (reader.credits()?, reader.credits()?);
        self.ledger.restore_account(free, held).map_err(|what| reader.error(what))?;
        self.protections.open_account();
        self.accounts.add(Account {
            open_orders: 0,
            id,
            roles,
            self_trade_group,
            public_key,
            name,
            sessions: Vec::new(),
            disabled,
            limits: Limits { open_orders_max, order_value_max, open_value_max, window_accelerators_max },
            open_value: 0,
        });
        Ok(())
    }

    /// The account with a number.
    pub(super) fn account_numbered(&self, reader: &Reader<'_>, raw: u32) -> Result<AccountIx, LoadError> {
        reader.check((raw as usize) < self.accounts.len(), "there is no account with that number")?;
        Ok(AccountIx::new(raw))
    }
}

pub(super) fn disabled_number(disabled: Option<DisabledBy>) -> u8 {
    match disabled {
        None => 0,
        Some(DisabledBy::Trader) => 1,
        Some(DisabledBy::Operator) => 2,
    }
}

pub(super) fn load_disabled(reader: &mut Reader<'_>) -> Result<Option<DisabledBy>, LoadError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => Ok(Some(DisabledBy::Trader)),
        2 => Ok(Some(DisabledBy::Operator)),
        3.. => Err(reader.error("entry is switched off by a trader or by an operator")),
    }
}
