//! A conversation as an input: a byte of choices, then steps. Both halves of a session are driven by the same steps.

use crate::input::Input;

/// What happens to a session next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    /// The other side sends bytes.
    Bytes(&'a [u8]),
    /// Time goes on, by 2 to the power of this in nanoseconds.
    Wait(u32),
    /// The session's owner does something: which, and with what.
    Act(u8, &'a [u8]),
    /// The stream takes this much of what is unsent, in units of eight bytes.
    Sent(u8),
    /// The connection ends.
    Lost(u8),
}

/// The longest wait: two minutes. Every timeout of a session is shorter.
const WAIT_MAX: u8 = 37;

impl<'a> Step<'a> {
    pub(crate) fn read(input: &mut Input<'a>) -> Option<Self> {
        if input.is_empty() {
            return None;
        }
        let choice = input.byte();
        Some(match choice % 8 {
            0..3 => {
                let count = input.u16();
                Self::Bytes(input.take(count.into()))
            }
            3 => Self::Wait(u32::from(input.byte() % (WAIT_MAX + 1))),
            4 | 5 => {
                let count = input.byte();
                Self::Act(choice / 8, input.take(count.into()))
            }
            6 => Self::Sent(input.byte()),
            _ => Self::Lost(choice / 8),
        })
    }

    /// A step that sends `bytes`, as it stands in an input.
    pub(crate) fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
        out.push(0);
        out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        out.extend_from_slice(bytes);
    }
}
