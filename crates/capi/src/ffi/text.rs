//! Numbers as words.

use std::ffi::CString;
use std::sync::OnceLock;

use joulebook_protocol::{CancelReason, RejectReason, TABLE};

use super::pointer::TextOut;
use crate::Status;
use crate::declare::exports;
use crate::exchange::message_info;

exports! {
    /// What a status means, in a sentence; never NULL.
    fn jb_error_text(status: i32) -> TextOut {
        let found = Status::ALL.iter().position(|known| known.raw() == status);
        pick(&texts().statuses, found)
    }

    /// The name of a reject reason, such as InsufficientCredits; never NULL.
    fn jb_reject_name(reason: u16) -> TextOut {
        pick(&texts().reject_names, reject_index(reason))
    }

    /// What a reject reason means, in a sentence; never NULL.
    fn jb_reject_text(reason: u16) -> TextOut {
        pick(&texts().reject_texts, reject_index(reason))
    }

    /// What a cancel reason means, in a sentence; never NULL.
    fn jb_cancel_text(reason: u8) -> TextOut {
        pick(&texts().cancels, CancelReason::ALL.iter().position(|known| known.raw() == reason))
    }

    /// The name of a message, such as NewOrder; never NULL.
    fn jb_message_name(template_id: u16) -> TextOut {
        pick(&texts().messages, TABLE.iter().position(|info| info.template_id == template_id))
    }

    /// The size of a message's struct in bytes; zero for an unknown one.
    fn jb_message_size(template_id: u16) -> usize {
        message_info(template_id).map_or(0, |info| info.block_len)
    }
}

/// Texts with a zero byte at the end, made at first use and kept.
struct Texts {
    statuses: Vec<CString>,
    reject_names: Vec<CString>,
    reject_texts: Vec<CString>,
    cancels: Vec<CString>,
    messages: Vec<CString>,
}

fn texts() -> &'static Texts {
    static TEXTS: OnceLock<Texts> = OnceLock::new();
    TEXTS.get_or_init(|| Texts {
        statuses: all(Status::ALL.iter().map(|status| status.explanation())),
        reject_names: all(RejectReason::ALL.iter().map(|reason| reason.name())),
        reject_texts: all(RejectReason::ALL.iter().map(|reason| reason.explanation())),
        cancels: all(CancelReason::ALL.iter().map(|reason| reason.explanation())),
        messages: all(TABLE.iter().map(|info| info.name)),
    })
}

fn all<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<CString> {
    texts.map(|text| CString::new(text.trim()).expect("our own texts have no zero bytes")).collect()
}

fn pick(texts: &'static [CString], index: Option<usize>) -> TextOut {
    let text = index.and_then(|index| texts.get(index)).map_or(c"unknown", CString::as_c_str);
    TextOut::of(Some(text))
}

fn reject_index(reason: u16) -> Option<usize> {
    RejectReason::ALL.iter().position(|known| known.raw() == reason)
}
