//! Accelerator classes and power zones: short upper-case codes, eight bytes, zero padded.

use core::fmt;
use core::str::FromStr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Why a code was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeError {
    Empty,
    /// Longer than a symbol has room for.
    TooLong {
        chars_max: usize,
    },
    /// Only `A-Z` and `0-9`, then zero bytes.
    BadCharacter,
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the code is empty"),
            Self::TooLong { chars_max } => write!(f, "the code is longer than {chars_max} characters"),
            Self::BadCharacter => f.write_str("a code has only A-Z and 0-9"),
        }
    }
}

impl core::error::Error for CodeError {}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $chars_max:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, KnownLayout, Immutable,
        )]
        #[repr(transparent)]
        pub struct $name([u8; 8]);

        impl $name {
            /// No code: as a filter it means every one.
            pub const NONE: Self = Self([0; 8]);
            pub const CHARS_MAX: usize = $chars_max;

            pub fn is_none(&self) -> bool {
                *self == Self::NONE
            }

            /// The code as text; bytes that came from a peer are shown as they are, with `?` for what is not ASCII.
            pub fn as_str(&self) -> &str {
                let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(8);
                core::str::from_utf8(&self.0[..end]).unwrap_or("?")
            }

            /// Bytes from a peer become a code only through this check.
            pub fn validate(&self) -> Result<(), CodeError> {
                let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(8);
                if end == 0 {
                    return Err(CodeError::Empty);
                }
                if end > $chars_max {
                    return Err(CodeError::TooLong { chars_max: $chars_max });
                }
                let valid = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
                if !self.0[..end].iter().all(valid) || self.0[end..].iter().any(|byte| *byte != 0) {
                    return Err(CodeError::BadCharacter);
                }
                Ok(())
            }
        }

        impl FromStr for $name {
            type Err = CodeError;

            fn from_str(text: &str) -> Result<Self, CodeError> {
                if text.len() > $chars_max {
                    return Err(CodeError::TooLong { chars_max: $chars_max });
                }
                let mut bytes = [0; 8];
                bytes[..text.len()].copy_from_slice(text.as_bytes());
                let code = Self(bytes);
                code.validate()?;
                if text.bytes().any(|byte| byte == 0) {
                    return Err(CodeError::BadCharacter);
                }
                Ok(code)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

code!(
    /// An accelerator type in one interconnect grade, such as `H200S` or `TPU6E`. At most 8 characters.
    ClassCode,
    8
);
code!(
    /// An electricity bidding zone, such as `DE` or `NO2`. At most 6 characters.
    AreaCode,
    6
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_upper_case_and_short() {
        assert_eq!("H200S".parse::<ClassCode>().unwrap().to_string(), "H200S");
        assert_eq!("".parse::<AreaCode>(), Err(CodeError::Empty));
        assert_eq!("de".parse::<AreaCode>(), Err(CodeError::BadCharacter));
        assert_eq!("D\0E".parse::<AreaCode>(), Err(CodeError::BadCharacter));
        assert_eq!("DE\0".parse::<AreaCode>(), Err(CodeError::BadCharacter));
        assert_eq!("TOOLONG".parse::<AreaCode>(), Err(CodeError::TooLong { chars_max: 6 }));
        assert_eq!(
            AreaCode::read_from_bytes(&[b'D', 0, b'E', 0, 0, 0, 0, 0]).unwrap().validate(),
            Err(CodeError::BadCharacter)
        );
    }
}
