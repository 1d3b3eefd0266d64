//! What the message table says of a template, by its number.

use joulebook_protocol::messages::{
    AccountQuery, CancelOrder, KillSwitch, MassCancel, OrderBatch, OrderQuery, ReduceOrder,
};
use joulebook_protocol::{Frame, Message, Sender, TABLE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) block_len: u16,
    /// The shortest block, whose rest is zero.
    pub(crate) block_min: u16,
    pub(crate) kind: Kind,
    pub(crate) from_client: bool,
}

impl Template {
    /// A block of this length says nothing that this version does not know, and leaves out no part of a field.
    pub(crate) fn knows_all_of(self, block_len: u16) -> bool {
        (self.block_min..=self.block_len).contains(&block_len) && block_len.is_multiple_of(8)
    }
}

/// The ranges of the message table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Session,
    Command,
    Event,
    Public,
    Feed,
}

/// `None` for a number that this version does not know.
#[inline]
pub(crate) fn template(template_id: u16) -> Option<Template> {
    TEMPLATES.get(usize::from(template_id)).copied().flatten()
}

/// Requests that take orders out: they have their own throttle and are welcome when new orders are not.
pub(crate) const fn is_cancel(template_id: u16) -> bool {
    matches!(
        template_id,
        CancelOrder::TEMPLATE_ID
            | ReduceOrder::TEMPLATE_ID
            | MassCancel::TEMPLATE_ID
            | KillSwitch::TEMPLATE_ID
    )
}

/// How many requests a command's frame stands for.
pub(crate) fn requests_in(frame: &Frame<'_>) -> u64 {
    const COUNT: usize = core::mem::offset_of!(OrderBatch, count);
    match frame.header.template_id {
        OrderBatch::TEMPLATE_ID => frame
            .block
            .get(COUNT)
            .map_or(1, |count| u64::from(*count).clamp(1, OrderBatch::ENTRIES_MAX as u64)),
        _ => 1,
    }
}

/// Requests that change nothing and may be repeated at will.
pub(crate) const fn is_query(template_id: u16) -> bool {
    matches!(template_id, OrderQuery::TEMPLATE_ID | AccountQuery::TEMPLATE_ID)
}

static TEMPLATES: [Option<Template>; 128] = {
    let mut templates = [None; 128];
    let mut index = 0;
    while index < TABLE.len() {
        let info = &TABLE[index];
        templates[info.template_id as usize] = Some(Template {
            block_len: info.block_len as u16,
            block_min: info.block_min as u16,
            kind: match info.template_id {
                0..20 => Kind::Session,
                20..60 => Kind::Command,
                60..80 => Kind::Event,
                80..100 => Kind::Public,
                _ => Kind::Feed,
            },
            from_client: matches!(info.sender, Sender::Client | Sender::Either),
        });
        index += 1;
    }
    templates
};

#[cfg(test)]
mod tests {
    use super::*;
    use joulebook_protocol::{Command, Event, FeedMessage, FrameHeader, PublicEvent, SessionMessage};

    #[test]
    fn kinds_are_those_of_the_enums() {
        for info in TABLE {
            let block = vec![0; info.block_len];
            let header = FrameHeader {
                block_len: info.block_len as u16,
                template_id: info.template_id,
                schema_id: joulebook_protocol::SCHEMA_ID,
                version: joulebook_protocol::VERSION,
            };
            let frame = Frame { header, block: &block };
            let decodes = match template(info.template_id).unwrap().kind {
                Kind::Session => SessionMessage::decode(&frame).is_ok(),
                Kind::Command => Command::decode(&frame).is_ok(),
                Kind::Event => Event::decode(&frame).is_ok(),
                Kind::Public => PublicEvent::decode(&frame).is_ok(),
                Kind::Feed => FeedMessage::decode(&frame).is_ok(),
            };
            assert!(decodes, "{}", info.name);
        }
        assert_eq!(template(0), None);
        assert_eq!(template(u16::MAX), None);
    }
}
