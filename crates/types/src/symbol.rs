//! `CLASS.AREA.YYYYMMDDThhmm.LEN`, such as `H200S.DE.20261124T1400.H`: at most 32 bytes of ASCII.

use core::fmt;
use core::str::FromStr;

use crate::time::{parse_minute, write_minute};
use crate::{AreaCode, ClassCode, CodeError, Window, WindowError};

/// What an instrument delivers, where and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol {
    pub class: ClassCode,
    pub area: AreaCode,
    pub window: Window,
}

/// Why a symbol was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolError {
    /// Not four parts with dots between.
    Shape,
    Class(CodeError),
    Area(CodeError),
    /// Not a time of the form `YYYYMMDDThhmm`.
    Start,
    Window(WindowError),
}

impl fmt::Display for SymbolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => {
                f.write_str("a symbol is CLASS.AREA.YYYYMMDDThhmm.LEN, such as H200S.DE.20261124T1400.H")
            }
            Self::Class(error) => write!(f, "accelerator class: {error}"),
            Self::Area(error) => write!(f, "power zone: {error}"),
            Self::Start => f.write_str("the start is not a UTC time of the form 20261124T1400"),
            Self::Window(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SymbolError {}

impl FromStr for Symbol {
    type Err = SymbolError;

    fn from_str(text: &str) -> Result<Self, SymbolError> {
        let mut parts = text.split('.');
        let (Some(class), Some(area), Some(start), Some(length), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SymbolError::Shape);
        };
        let class = class.parse().map_err(SymbolError::Class)?;
        let area = area.parse().map_err(SymbolError::Area)?;
        let minutes = match length {
            "Q" => 15,
            "H" => 60,
            "D" => 1_440,
            _ => return Err(SymbolError::Window(WindowError::BadLength)),
        };
        let start = parse_minute(start).ok_or(SymbolError::Start)?;
        let window = Window::new(start, minutes).map_err(SymbolError::Window)?;
        Ok(Self { class, area, window })
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.", self.class, self.area)?;
        write_minute(f, self.window.start_minute())?;
        write!(f, ".{}", self.window.length_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_read_and_write() {
        for text in ["H200S.DE.20261124T1400.H", "TPU7X.NO2.20261124T1415.Q", "GB200.CAISO.20280229T0000.D"] {
            assert_eq!(text.parse::<Symbol>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_symbols_say_why() {
        let cases = [
            ("H200S.DE.20261124T1400", SymbolError::Shape),
            ("H200S.DE.20261124T1400.H.X", SymbolError::Shape),
            ("h200s.DE.20261124T1400.H", SymbolError::Class(CodeError::BadCharacter)),
            ("H200S..20261124T1400.H", SymbolError::Area(CodeError::Empty)),
            ("H200S.DE.20261324T1400.H", SymbolError::Start),
            ("H200S.DE.20260229T1400.H", SymbolError::Start),
            ("H200S.DE.2026112éT140.H", SymbolError::Start),
            ("H200S.DE.20261124T1415.H", SymbolError::Window(WindowError::Unaligned)),
            ("H200S.DE.20261124T1400.W", SymbolError::Window(WindowError::BadLength)),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Symbol>(), Err(error), "{text}");
        }
    }
}
