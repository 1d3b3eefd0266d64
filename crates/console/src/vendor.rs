//! Who makes an accelerator class.

use joulebook_types::ClassCode;

/// The two sides of the price war.
///
/// A display rule, not a market rule: a class whose code starts with `TPU` is Google's, every other is NVIDIA's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// `H100S`, `H200S`, `B200S` and the like.
    Nvidia,
    /// `TPU5E`, `TPU6E`, `TPU7X` and the like.
    Google,
}

impl Vendor {
    /// Both, in the order in which they are shown.
    pub const ALL: [Self; Self::COUNT] = [Self::Nvidia, Self::Google];
    /// How many there are.
    pub const COUNT: usize = 2;

    /// The vendor of a class.
    pub fn of(class: ClassCode) -> Self {
        if class.as_str().starts_with("TPU") { Self::Google } else { Self::Nvidia }
    }

    /// As the page shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nvidia => "NVIDIA",
            Self::Google => "Google",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_names_the_vendor() {
        let cases = [
            ("H200S", Vendor::Nvidia),
            ("L40S", Vendor::Nvidia),
            ("TPU7X", Vendor::Google),
            ("XTPU", Vendor::Nvidia),
        ];
        for (class, vendor) in cases {
            assert_eq!(Vendor::of(class.parse().unwrap()), vendor, "{class}");
        }
    }
}
