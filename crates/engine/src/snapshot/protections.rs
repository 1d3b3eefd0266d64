//! Market makers' protections: limits, and what hit their quotes within the window.

use std::collections::VecDeque;

use joulebook_ledger::AccountIx;
use joulebook_types::{MicroEc, TimeNs};

use super::LoadError;
use super::reader::Reader;
use super::section::Section;
use super::writer::Writer;
use crate::Engine;
use crate::protect::{FILLS_MAX, WINDOW_MS_MAX};
use crate::protection::{Given, Protection, ProtectionLimits, Protections};

/// Without the history, whose length follows.
const PROTECTION_BYTES: usize = 48;
const ENTRY_BYTES: usize = 40;

impl Engine {
    pub(super) fn save_protections(&self, writer: &mut Writer<'_>) {
        let Protections { by_account, reached } = &self.protections;
        assert!(reached.is_empty(), "an uncross is over before its batch is");
        let all = || {
            (0..).map(AccountIx::new).zip(by_account).flat_map(|(account, of_account)| {
                of_account.iter().map(move |protection| (account, protection))
            })
        };
        let entries: usize = all().map(|(_, protection)| protection.history.len()).sum();
        let bytes = size_of::<u64>() + all().count() * PROTECTION_BYTES + entries * ENTRY_BYTES;
        writer.section(Section::Protections, bytes as u64, |writer| {
            writer.u64(all().count() as u64);
            all().for_each(|(account, protection)| save_protection(writer, account, protection));
        });
    }

    pub(super) fn load_protections(&mut self, reader: &mut Reader<'_>) -> Result<(), LoadError> {
        let mut last_account = 0;
        reader.list(Section::Protections, PROTECTION_BYTES, |reader| {
            let account = reader.u32()?;
            reader.check(last_account <= account, "accounts come in their order")?;
            last_account = account;
            let account = self.account_numbered(reader, account)?;
            let protection = self.load_protection(reader)?;
            let room = self.protections.has_room(account, protection.class);
            let of_account = &mut self.protections.by_account[account.index()];
            let last = of_account.last().map(|last| last.class);
            reader.check(last.is_none_or(|last| last < protection.class), "classes come in their order")?;
            reader.check(room, "an account protects more classes than it may")?;
            of_account.push(protection);
            Ok(())
        })
    }

    fn load_protection(&self, reader: &mut Reader<'_>) -> Result<Protection, LoadError> {
        let window_ms = reader.u32()?;
        let class = reader.class()?;
        let fills_max = reader.u32()?;
        let frozen = reader.flag()?;
        reader.zeros::<3>()?;
        let limits = ProtectionLimits {
            window_ms,
            fills_max,
            lots_max: reader.u64()?,
            credits_max: reader.credits()?,
        };
        let known = (1..=WINDOW_MS_MAX).contains(&window_ms) && (1..=FILLS_MAX).contains(&fills_max);
        reader.check(known && limits.credits_max >= MicroEc::ZERO, "a protection has limits")?;
        let (mut history, mut within) = (VecDeque::new(), Given::default());
        for _ in 0..reader.count(ENTRY_BYTES)? {
            let (time, given) = self.load_given(reader)?;
            let last = history.back().map(|(time, _): &(TimeNs, Given)| *time);
            reader.check(last.is_none_or(|last| last < time), "fills come in the order of time")?;
            within = within.checked_add(&given).ok_or(reader.error("fills add up"))?;
            history.push_back((time, given));
        }
        reader.check(!limits.are_reached(&within), "a protection that is reached starts anew")?;
        Ok(Protection { class, limits, frozen, reached_by: None, within, history })
    }

    fn load_given(&self, reader: &mut Reader<'_>) -> Result<(TimeNs, Given), LoadError> {
        let time = reader.time()?;
        let fills = reader.u32()?;
        reader.zeros::<4>()?;
        let given = Given { fills, lots: reader.u64()?, credits: reader.i128()? };
        reader.check(time <= self.time, "a fill lies in the past")?;
        reader.check(fills > 0 && given.credits >= 0, "what is given is positive")?;
        Ok((time, given))
    }
}

fn save_protection(writer: &mut Writer<'_>, account: AccountIx, protection: &Protection) {
    let Protection { class, limits, frozen, reached_by, within: _, history } = protection;
    let ProtectionLimits { window_ms, fills_max, lots_max, credits_max } = *limits;
    assert!(reached_by.is_none(), "an uncross is over before its batch is");
    writer.u32(account.raw());
    writer.u32(window_ms);
    writer.bytes(zerocopy::IntoBytes::as_bytes(class));
    writer.u32(fills_max);
    writer.flag(*frozen);
    writer.zeros::<3>();
    writer.u64(lots_max);
    writer.i64(credits_max.raw());
    writer.u64(history.len() as u64);
    for (time, Given { fills, lots, credits }) in history {
        writer.u64(time.raw());
        writer.u32(*fills);
        writer.zeros::<4>();
        writer.u64(*lots);
        writer.i128(*credits);
    }
    writer.end_record();
}
