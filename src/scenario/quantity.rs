//! Quantities as people write them: `64 GB/s`, `1.5 us`, `16 GiB`, `4 TFLOP/s`, `80 %`.
//!
//! The arithmetic is exact decimal: `0.769 ns` is 769 ps and nothing else. Decimal prefixes are powers of ten (1 GB is
//! 10^9 bytes), binary ones powers of two (1 GiB is 2^30 bytes). A lower-case `b` is a bit, an upper-case `B` a byte,
//! and only rates may be given in bits: `400 Gb/s` is 50 GB/s.

use std::fmt;

use sim_core::{Bytes, Rate, Time};

/// What a number measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// A span of time, in whole picoseconds.
    Time,
    /// An amount of memory, in whole bytes.
    Bytes,
    /// Bytes per second.
    Bandwidth,
    /// Operations per second; a multiply-add is two.
    Operations,
    /// Cycles per second.
    Frequency,
    /// Energy, in whole femtojoules.
    Energy,
    /// Power, in whole microwatts.
    Power,
    /// A share: more than 0 and at most 1.
    Fraction,
}

impl Dimension {
    /// With its article, as it stands in a message.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Time => "a time",
            Self::Bytes => "an amount of memory",
            Self::Bandwidth => "a bandwidth",
            Self::Operations => "a rate of operations",
            Self::Frequency => "a frequency",
            Self::Energy => "an energy",
            Self::Power => "a power",
            Self::Fraction => "a fraction",
        }
    }

    /// Something that would be right.
    pub const fn example(self) -> &'static str {
        match self {
            Self::Time => "1.5 us",
            Self::Bytes => "16 GiB",
            Self::Bandwidth => "64 GB/s",
            Self::Operations => "4 TFLOP/s",
            Self::Frequency => "1.3 GHz",
            Self::Energy => "0.44 pJ",
            Self::Power => "60 W",
            Self::Fraction => "0.8",
        }
    }

    /// Every unit that is understood, the smallest first.
    pub fn units(self) -> impl Iterator<Item = &'static str> {
        UNITS.iter().filter(move |unit| unit.dimension == self).map(|unit| unit.name)
    }

    /// The unit that a bare number of this dimension is kept in.
    const fn base(self) -> &'static str {
        match self {
            Self::Time => "ps",
            Self::Bytes => "B",
            Self::Bandwidth => "B/s",
            Self::Operations => "FLOP/s",
            Self::Frequency => "Hz",
            Self::Energy => "fJ",
            Self::Power => "uW",
            Self::Fraction => "",
        }
    }
}

/// A number with its dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantity {
    /// A span of time.
    Time(Time),
    /// An amount of memory.
    Bytes(Bytes),
    /// Bytes per second.
    Bandwidth(Rate),
    /// Operations per second.
    Operations(Rate),
    /// Hertz.
    Frequency(Rate),
    /// Femtojoules.
    Energy(u64),
    /// Microwatts.
    Power(u64),
    /// A share of one.
    Fraction(f64),
}

impl Quantity {
    /// Reads `text` as a quantity of `dimension`.
    pub fn parse(text: &str, dimension: Dimension) -> Result<Self, QuantityError> {
        let (number, unit) = split(text.trim());
        if number.is_empty() {
            return Err(QuantityError::NotANumber { dimension });
        }
        let decimal = Decimal::parse(number, dimension)?;
        if dimension == Dimension::Fraction {
            return decimal.fraction(unit);
        }
        let Some(known) = UNITS.iter().find(|known| known.name == unit) else {
            return Err(if unit.is_empty() {
                QuantityError::NoUnit { dimension }
            } else {
                QuantityError::UnknownUnit { unit: unit.to_owned(), dimension, nearest: nearest_unit(unit, dimension) }
            });
        };
        if known.dimension != dimension {
            return Err(QuantityError::OtherDimension { found: known.dimension, dimension });
        }
        let whole = decimal.in_units_of(known)?;
        Ok(match dimension {
            Dimension::Time => Self::Time(Time::from_ps(whole)),
            Dimension::Bytes => Self::Bytes(Bytes(whole)),
            Dimension::Bandwidth => Self::Bandwidth(Rate(whole)),
            Dimension::Operations => Self::Operations(Rate(whole)),
            Dimension::Frequency | Dimension::Fraction => Self::Frequency(Rate(whole)),
            Dimension::Energy => Self::Energy(whole),
            Dimension::Power => Self::Power(whole),
        })
    }

    /// What it measures.
    pub const fn dimension(self) -> Dimension {
        match self {
            Self::Time(_) => Dimension::Time,
            Self::Bytes(_) => Dimension::Bytes,
            Self::Bandwidth(_) => Dimension::Bandwidth,
            Self::Operations(_) => Dimension::Operations,
            Self::Frequency(_) => Dimension::Frequency,
            Self::Energy(_) => Dimension::Energy,
            Self::Power(_) => Dimension::Power,
            Self::Fraction(_) => Dimension::Fraction,
        }
    }

    /// The number in the base unit, and that unit: two texts that mean the same are equal here.
    pub fn normal(self) -> (serde_json::Number, &'static str) {
        let unit = self.dimension().base();
        let whole = match self {
            // A fraction was read from decimal digits, so it is finite.
            Self::Fraction(share) => {
                return (serde_json::Number::from_f64(share).unwrap_or_else(|| 0.into()), unit);
            }
            Self::Time(time) => time.ps(),
            Self::Bytes(bytes) => bytes.0,
            Self::Bandwidth(rate) | Self::Operations(rate) | Self::Frequency(rate) => rate.0,
            Self::Energy(whole) | Self::Power(whole) => whole,
        };
        (whole.into(), unit)
    }

    /// The time, if it is one, and otherwise none at all: for a caller that has parsed it as one.
    pub const fn time(self) -> Time {
        match self {
            Self::Time(time) => time,
            _ => Time::ZERO,
        }
    }

    /// Whether it is nothing at all.
    pub fn is_zero(self) -> bool {
        match self {
            Self::Time(time) => time == Time::ZERO,
            Self::Bytes(bytes) => bytes.0 == 0,
            Self::Bandwidth(rate) | Self::Operations(rate) | Self::Frequency(rate) => rate.0 == 0,
            Self::Energy(whole) | Self::Power(whole) => whole == 0,
            Self::Fraction(share) => share <= 0.0,
        }
    }
}

impl fmt::Display for Quantity {
    /// In the base unit: `769 ps`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = self.normal();
        write!(f, "{number}{}{unit}", if unit.is_empty() { "" } else { " " })
    }
}

/// Why a text is not the quantity that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantityError {
    /// The text does not begin with a number.
    #[error("{} is wanted, a number with its unit", dimension.phrase())]
    NotANumber {
        /// What is wanted.
        dimension: Dimension,
    },
    /// `nan` or `inf`.
    #[error("{} must be finite", dimension.phrase())]
    NotFinite {
        /// What is wanted.
        dimension: Dimension,
    },
    /// The number stands alone.
    #[error("the unit is missing: {} is wanted", dimension.phrase())]
    NoUnit {
        /// What is wanted.
        dimension: Dimension,
    },
    /// No dimension has this unit.
    #[error("there is no unit `{unit}`: {} is wanted", dimension.phrase())]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// What is wanted.
        dimension: Dimension,
        /// The unit that may have been meant.
        nearest: Option<&'static str>,
    },
    /// A right quantity of the wrong kind.
    #[error("that is {}; {} is wanted", found.phrase(), dimension.phrase())]
    OtherDimension {
        /// What was given.
        found: Dimension,
        /// What is wanted.
        dimension: Dimension,
    },
    /// Less than nothing.
    #[error("{} cannot be negative", dimension.phrase())]
    Negative {
        /// What is wanted.
        dimension: Dimension,
    },
    /// More than 64 bits of the base unit hold, or more digits than any quantity needs.
    #[error("the number is too large, or has more digits than can be kept exactly")]
    TooLarge {
        /// What is wanted.
        dimension: Dimension,
    },
    /// Time or memory in less than the smallest step.
    #[error("finer than one {step}")]
    TooFine {
        /// The smallest step.
        step: &'static str,
    },
    /// A share outside of 0 to 1.
    #[error("a fraction is more than 0 and at most 1")]
    NotAFraction,
}

impl QuantityError {
    /// What to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::UnknownUnit { nearest: Some(nearest), dimension, .. } => {
                format!("did you mean `{nearest}`? {}", units_help(*dimension))
            }
            Self::NotANumber { dimension }
            | Self::NotFinite { dimension }
            | Self::NoUnit { dimension }
            | Self::UnknownUnit { dimension, .. }
            | Self::OtherDimension { dimension, .. }
            | Self::Negative { dimension } => {
                format!("write for example \"{}\"; {}", dimension.example(), units_help(*dimension))
            }
            Self::TooLarge { dimension } => {
                match UNITS.iter().filter(|unit| unit.dimension == *dimension).max_by_key(|unit| unit.times / unit.per)
                {
                    // Of the largest unit; a smaller one only takes more digits.
                    Some(unit) => format!(
                        "{} is at most {} {}; write fewer digits",
                        dimension.phrase(),
                        u128::from(u64::MAX) * u128::from(unit.per) / u128::from(unit.times),
                        unit.name
                    ),
                    None => units_help(*dimension),
                }
            }
            Self::TooFine { step } => format!("round it to a whole {step}"),
            Self::NotAFraction => "write for example 0.8 or \"80 %\"".to_owned(),
        }
    }
}

fn units_help(dimension: Dimension) -> String {
    if dimension == Dimension::Fraction {
        return "a plain number, or percent with `%`".to_owned();
    }
    let units: Vec<_> = dimension.units().collect();
    format!("units: {}", units.join(", "))
}

/// A unit: one of it is `times / per` of the base unit.
struct Unit {
    name: &'static str,
    dimension: Dimension,
    times: u64,
    per: u64,
}

const fn unit(name: &'static str, dimension: Dimension, times: u64, per: u64) -> Unit {
    Unit { name, dimension, times, per }
}

const KILO: u64 = 1_000;
const MEGA: u64 = 1_000_000;
const GIGA: u64 = 1_000_000_000;
const TERA: u64 = 1_000_000_000_000;
const PETA: u64 = 1_000_000_000_000_000;

const UNITS: &[Unit] = &[
    unit("ps", Dimension::Time, 1, 1),
    unit("ns", Dimension::Time, KILO, 1),
    unit("us", Dimension::Time, MEGA, 1),
    // Both the micro sign and the Greek letter: keyboards differ, and they look the same.
    unit("\u{b5}s", Dimension::Time, MEGA, 1),
    unit("\u{3bc}s", Dimension::Time, MEGA, 1),
    unit("ms", Dimension::Time, GIGA, 1),
    unit("s", Dimension::Time, TERA, 1),
    unit("B", Dimension::Bytes, 1, 1),
    unit("kB", Dimension::Bytes, KILO, 1),
    unit("KB", Dimension::Bytes, KILO, 1),
    unit("MB", Dimension::Bytes, MEGA, 1),
    unit("GB", Dimension::Bytes, GIGA, 1),
    unit("TB", Dimension::Bytes, TERA, 1),
    unit("KiB", Dimension::Bytes, 1 << 10, 1),
    unit("MiB", Dimension::Bytes, 1 << 20, 1),
    unit("GiB", Dimension::Bytes, 1 << 30, 1),
    unit("TiB", Dimension::Bytes, 1 << 40, 1),
    unit("B/s", Dimension::Bandwidth, 1, 1),
    unit("kB/s", Dimension::Bandwidth, KILO, 1),
    unit("KB/s", Dimension::Bandwidth, KILO, 1),
    unit("MB/s", Dimension::Bandwidth, MEGA, 1),
    unit("GB/s", Dimension::Bandwidth, GIGA, 1),
    unit("TB/s", Dimension::Bandwidth, TERA, 1),
    unit("KiB/s", Dimension::Bandwidth, 1 << 10, 1),
    unit("MiB/s", Dimension::Bandwidth, 1 << 20, 1),
    unit("GiB/s", Dimension::Bandwidth, 1 << 30, 1),
    unit("TiB/s", Dimension::Bandwidth, 1 << 40, 1),
    unit("Mb/s", Dimension::Bandwidth, MEGA, 8),
    unit("Gb/s", Dimension::Bandwidth, GIGA, 8),
    unit("Tb/s", Dimension::Bandwidth, TERA, 8),
    unit("FLOP/s", Dimension::Operations, 1, 1),
    unit("MFLOP/s", Dimension::Operations, MEGA, 1),
    unit("GFLOP/s", Dimension::Operations, GIGA, 1),
    unit("TFLOP/s", Dimension::Operations, TERA, 1),
    unit("PFLOP/s", Dimension::Operations, PETA, 1),
    unit("GOP/s", Dimension::Operations, GIGA, 1),
    unit("TOP/s", Dimension::Operations, TERA, 1),
    unit("POP/s", Dimension::Operations, PETA, 1),
    unit("Hz", Dimension::Frequency, 1, 1),
    unit("kHz", Dimension::Frequency, KILO, 1),
    unit("MHz", Dimension::Frequency, MEGA, 1),
    unit("GHz", Dimension::Frequency, GIGA, 1),
    unit("fJ", Dimension::Energy, 1, 1),
    unit("pJ", Dimension::Energy, KILO, 1),
    unit("nJ", Dimension::Energy, MEGA, 1),
    unit("uW", Dimension::Power, 1, 1),
    unit("mW", Dimension::Power, KILO, 1),
    unit("W", Dimension::Power, MEGA, 1),
    unit("kW", Dimension::Power, GIGA, 1),
];

fn nearest_unit(written: &str, dimension: Dimension) -> Option<&'static str> {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    // TFLOPS, TFLOPs and Gbps are what people write for the per-second units.
    let respelt = written.trim_end_matches("ps").trim_end_matches(['s', 'S']).trim_end_matches('/');
    dimension
        .units()
        .find(|name| same(name, written))
        .or_else(|| dimension.units().find(|name| same(name.trim_end_matches("/s"), respelt)))
}

/// The number and the unit of `64 GB/s`. The number is empty where the text does not begin with one.
fn split(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let mut end = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let word = &text[end..];
    for special in ["nan", "inf"] {
        if word.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(special)) {
            return (&text[..end + 3], text[end + 3..].trim_start());
        }
    }
    let digits_from =
        |start: usize| bytes.get(start..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits_from(end);
    end += whole;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits_from(end + 1);
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return ("", text);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits_from(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    // Everything up to `end` is ASCII, so this is a boundary.
    (&text[..end], text[end..].trim())
}

/// `digits` times ten to the `exponent`.
#[derive(Clone, Copy, Debug)]
struct Decimal {
    digits: u128,
    exponent: i32,
}

impl Decimal {
    /// Reads what [`split`] found to be a number.
    fn parse(number: &str, dimension: Dimension) -> Result<Self, QuantityError> {
        let unsigned = number.strip_prefix('+').unwrap_or(number);
        let (unsigned, negative) = match unsigned.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (unsigned, false),
        };
        if unsigned.eq_ignore_ascii_case("nan") || unsigned.eq_ignore_ascii_case("inf") {
            return Err(QuantityError::NotFinite { dimension });
        }
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let mut digits: u128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            digits = digits
                .checked_mul(10)
                .and_then(|digits| digits.checked_add(u128::from(byte.wrapping_sub(b'0'))))
                .ok_or(QuantityError::TooLarge { dimension })?;
        }
        if digits == 0 {
            // A zero is a zero whatever its exponent, and has no sign.
            return Ok(Self { digits, exponent: 0 });
        }
        if negative {
            return Err(QuantityError::Negative { dimension });
        }
        // An exponent that does not fit in 32 bits is out of reach of every unit in either direction.
        let exponent: i32 =
            exponent.parse().unwrap_or(if exponent.starts_with('-') { i32::MIN / 2 } else { i32::MAX / 2 });
        let places = i32::try_from(fraction.len()).map_err(|_| QuantityError::TooLarge { dimension })?;
        Ok(Self { digits, exponent: exponent.saturating_sub(places) })
    }

    /// In whole base units of `unit`. Amounts must come out even; rates, which are measured, are rounded.
    fn in_units_of(self, unit: &Unit) -> Result<u64, QuantityError> {
        let too_large = QuantityError::TooLarge { dimension: unit.dimension };
        let scaled = self.digits.checked_mul(u128::from(unit.times)).ok_or_else(|| too_large.clone())?;
        if scaled == 0 {
            return Ok(0);
        }
        let power = |exponent: u32| 10_u128.checked_pow(exponent);
        let (whole, rest, divisor) = if self.exponent >= 0 {
            let grown = power(self.exponent.unsigned_abs())
                .and_then(|power| scaled.checked_mul(power))
                .ok_or_else(|| too_large.clone())?;
            let divisor = u128::from(unit.per);
            (grown / divisor, grown % divisor, divisor)
        } else {
            match power(self.exponent.unsigned_abs()).and_then(|power| power.checked_mul(u128::from(unit.per))) {
                Some(divisor) => (scaled / divisor, scaled % divisor, divisor),
                // The divisor does not fit in 128 bits, the number does: less than one.
                None => (0, scaled, u128::MAX),
            }
        };
        let whole = match unit.dimension {
            Dimension::Time if rest != 0 => return Err(QuantityError::TooFine { step: "picosecond" }),
            Dimension::Bytes if rest != 0 => return Err(QuantityError::TooFine { step: "byte" }),
            _ => whole + u128::from(rest >= divisor - divisor / 2),
        };
        u64::try_from(whole).map_err(|_| too_large)
    }

    fn fraction(self, unit: &str) -> Result<Quantity, QuantityError> {
        let exponent = match unit {
            "" => self.exponent,
            "%" => self.exponent.saturating_sub(2),
            _ => {
                let dimension = Dimension::Fraction;
                let known = UNITS.iter().find(|known| known.name == unit);
                return Err(match known {
                    Some(known) => QuantityError::OtherDimension { found: known.dimension, dimension },
                    None => QuantityError::UnknownUnit { unit: unit.to_owned(), dimension, nearest: None },
                });
            }
        };
        // Through the text, because Rust rounds that correctly: 80 % and 0.8 become the same number.
        let share: f64 = format!("{}e{exponent}", self.digits).parse().map_err(|_| QuantityError::NotAFraction)?;
        if share > 0.0 && share <= 1.0 { Ok(Quantity::Fraction(share)) } else { Err(QuantityError::NotAFraction) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, dimension: Dimension, expected: &str) {
        let found = match Quantity::parse(text, dimension) {
            Ok(quantity) => quantity.to_string(),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn decimals_are_exact() {
        check("0.769 ns", Dimension::Time, "769 ps");
        check("1.5 us", Dimension::Time, "1500000 ps");
        check("1.5us", Dimension::Time, "1500000 ps");
        check("2.5 \u{b5}s", Dimension::Time, "2500000 ps");
        check("2.5 \u{3bc}s", Dimension::Time, "2500000 ps");
        check("0 ns", Dimension::Time, "0 ps");
        check("1e-3 ms", Dimension::Time, "1000000 ps");
        check("16 GiB", Dimension::Bytes, "17179869184 B");
        check("0.5 KiB", Dimension::Bytes, "512 B");
        check("80 GB", Dimension::Bytes, "80000000000 B");
        check("670.4 GB/s", Dimension::Bandwidth, "670400000000 B/s");
        check("400 Gb/s", Dimension::Bandwidth, "50000000000 B/s");
        check("3 TB/s", Dimension::Bandwidth, "3000000000000 B/s");
        check("4 TFLOP/s", Dimension::Operations, "4000000000000 FLOP/s");
        check("1.3 GHz", Dimension::Frequency, "1300000000 Hz");
        check("0.8", Dimension::Fraction, "0.8");
        check("80 %", Dimension::Fraction, "0.8");
        check("100%", Dimension::Fraction, "1.0");
    }

    #[test]
    fn rates_round_and_amounts_do_not() {
        check("0.3 B/s", Dimension::Bandwidth, "0 B/s");
        check("0.5 B/s", Dimension::Bandwidth, "1 B/s");
        check("1 Gb/s", Dimension::Bandwidth, "125000000 B/s");
        check("0.5 ps", Dimension::Time, "! finer than one picosecond");
        check("0.3 GiB", Dimension::Bytes, "! finer than one byte");
        check("1e-999999999999 s", Dimension::Time, "! finer than one picosecond");
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("64 GB", Dimension::Bandwidth, "! that is an amount of memory; a bandwidth is wanted");
        check("64", Dimension::Bandwidth, "! the unit is missing: a bandwidth is wanted");
        check("GB/s", Dimension::Bandwidth, "! a bandwidth is wanted, a number with its unit");
        check("", Dimension::Time, "! a time is wanted, a number with its unit");
        check("-", Dimension::Time, "! a time is wanted, a number with its unit");
        check("-4 us", Dimension::Time, "! a time cannot be negative");
        check("nan us", Dimension::Time, "! a time must be finite");
        check("-inf", Dimension::Fraction, "! a fraction must be finite");
        check("5 parsec", Dimension::Time, "! there is no unit `parsec`: a time is wanted");
        check("1.2", Dimension::Fraction, "! a fraction is more than 0 and at most 1");
        check("0", Dimension::Fraction, "! a fraction is more than 0 and at most 1");
        let too_large = "! the number is too large, or has more digits than can be kept exactly";
        check("1e30 s", Dimension::Time, too_large);
        check("18446744073709551616 ps", Dimension::Time, too_large);
        check("18446744073709551615 ps", Dimension::Time, "18446744073709551615 ps");
        check("1e99999999999999999999 B", Dimension::Bytes, too_large);
    }

    #[test]
    fn what_is_too_large_has_a_bound() {
        let help = |text: &str, dimension| Quantity::parse(text, dimension).unwrap_err().help();
        assert_eq!(help("99999999 s", Dimension::Time), "a time is at most 18446744 s; write fewer digits");
        assert_eq!(Quantity::parse("18446744 s", Dimension::Time).unwrap().to_string(), "18446744000000000000 ps");
        assert!(Quantity::parse("18446745 s", Dimension::Time).is_err());
        let digits = "9".repeat(40);
        let bandwidth = "a bandwidth is at most 16777215 TiB/s; write fewer digits";
        assert_eq!(help(&format!("{digits} B/s"), Dimension::Bandwidth), bandwidth);
        assert_eq!(help(&digits, Dimension::Fraction), "a plain number, or percent with `%`");
    }

    #[test]
    fn a_misspelt_unit_is_recognised() {
        for (text, dimension, nearest) in [
            ("64 gb/s", Dimension::Bandwidth, "GB/s"),
            ("4 TFLOPS", Dimension::Operations, "TFLOP/s"),
            ("64 GBps", Dimension::Bandwidth, "GB/s"),
            ("3 NS", Dimension::Time, "ns"),
        ] {
            let help = Quantity::parse(text, dimension).unwrap_err().help();
            assert!(help.starts_with(&format!("did you mean `{nearest}`?")), "{text}: {help}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}", exponent in "[0-9]{1,3}(\\.[0-9]{0,40})?e-?[0-9]{1,12} ?[a-zA-Z/%]{0,6}") {
            for dimension in [Dimension::Time, Dimension::Bytes, Dimension::Bandwidth, Dimension::Fraction] {
                for text in [&text, &exponent] {
                    if let Err(error) = Quantity::parse(text, dimension) {
                        prop_assert!(!error.to_string().is_empty() && !error.help().is_empty());
                    }
                }
            }
        }

        #[test]
        fn what_is_printed_reads_back(ps in 0_u64..) {
            let time = Quantity::Time(Time::from_ps(ps));
            prop_assert_eq!(Quantity::parse(&time.to_string(), Dimension::Time), Ok(time));
        }
    }
}
