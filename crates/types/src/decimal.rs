//! Decimal text at the edge: six places, exact, no float anywhere.

/// Why a decimal text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not `[-]digits[.digits]`.
    NotANumber,
    /// More than six decimal places that are not zero.
    TooPrecise,
    /// Does not fit 64 bits of millionths.
    TooLarge,
}

impl core::fmt::Display for DecimalError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "not a decimal number such as 27.00",
            Self::TooPrecise => "more than six decimal places",
            Self::TooLarge => "the number is too large",
        })
    }
}

impl core::error::Error for DecimalError {}

/// `"27.5"` to 27,500,000 millionths.
pub fn parse_micro(text: &str) -> Result<i64, DecimalError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return Err(DecimalError::NotANumber);
    }
    let (kept, dropped) = fraction.split_at(fraction.len().min(6));
    if dropped.bytes().any(|byte| byte != b'0') {
        return Err(DecimalError::TooPrecise);
    }
    let padded = whole.bytes().chain(kept.bytes()).chain(core::iter::repeat_n(b'0', 6 - kept.len()));
    let mut magnitude: i64 = 0;
    for byte in padded {
        magnitude = magnitude
            .checked_mul(10)
            .and_then(|value| value.checked_add(i64::from(byte - b'0')))
            .ok_or(DecimalError::TooLarge)?;
    }
    Ok(if negative { -magnitude } else { magnitude })
}

/// Millionths as text with at least `places_min` and at most six decimal places.
pub fn format_micro(micro: i64, places_min: usize) -> String {
    let magnitude = micro.unsigned_abs();
    let sign = if micro < 0 { "-" } else { "" };
    let fraction = format!("{:06}", magnitude % 1_000_000);
    let significant = fraction.trim_end_matches('0').len().max(places_min.min(6));
    let point = if significant == 0 { "" } else { "." };
    format!("{sign}{}{point}{}", magnitude / 1_000_000, &fraction[..significant])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_to_millionths_and_back() {
        let cases = [
            ("27.00", 27_000_000, "27.00"),
            ("0.000001", 1, "0.000001"),
            ("-1.5", -1_500_000, "-1.50"),
            (".5", 500_000, "0.50"),
            ("13", 13_000_000, "13.00"),
            ("1.2300000000", 1_230_000, "1.23"),
            ("9223372036854.775807", i64::MAX, "9223372036854.775807"),
        ];
        for (text, micro, shown) in cases {
            assert_eq!(parse_micro(text), Ok(micro), "{text}");
            assert_eq!(format_micro(micro, 2), shown, "{text}");
        }
        assert_eq!(format_micro(13_000_000, 0), "13");
    }

    #[test]
    fn bad_text_is_refused() {
        use DecimalError::*;
        let cases = [
            ("", NotANumber),
            ("-", NotANumber),
            (".", NotANumber),
            ("1e3", NotANumber),
            ("+1", NotANumber),
            ("1,5", NotANumber),
            ("1.0000001", TooPrecise),
            ("9223372036854.775808", TooLarge),
            ("99999999999999999999", TooLarge),
        ];
        for (text, error) in cases {
            assert_eq!(parse_micro(text), Err(error), "{text}");
        }
    }
}
