//! Bad frames by the hundred thousand over live QUIC, and requests sent again and again, beside clients who are honest.
//!
//! `JOULEBOOK_BAD_FRAMES` and `JOULEBOOK_LIVE_RESENDS` say how many.
#![forbid(unsafe_code)]

mod attack;
mod resent;
