//! FP16 arithmetic, one rounding (to nearest, ties to even) for each operation.
//!
//! Products of two FP16 numbers have 22 bits and sums at most 41, so that both are exact in `f64` before they are rounded.

/// The number that 16 bits stand for.
///
/// ```
/// use pim_device::hbm2_pim::fp16;
/// assert_eq!(fp16::value(0x3c00), 1.0);
/// assert_eq!(fp16::bits(65_504.0), 0x7bff);
/// assert_eq!(fp16::add(fp16::bits(1.0), fp16::bits(0.5)), fp16::bits(1.5));
/// ```
pub fn value(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1_023));
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (1_024.0 + fraction) * 2_f64.powi(exponent - 25),
    }
}

/// The FP16 number nearest to a value; infinity beyond the largest.
pub fn bits(value: f64) -> u16 {
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let size = value.abs();
    sign | if size.is_nan() {
        0x7e00
    } else if size >= 65_520.0 {
        0x7c00
    } else if size < 2_f64.powi(-14) {
        (size * 2_f64.powi(24)).round_ties_even() as u16
    } else {
        // Between 1,024 and 2,048 with the binary point moved; what is rounded up to 2,048 carries into the exponent.
        let exponent = (size.to_bits() >> 52) as i32 - 1_023;
        let digits = (size * 2_f64.powi(10 - exponent)).round_ties_even() as u16;
        ((exponent + 14) as u16).wrapping_mul(1_024) + digits
    }
}

/// a + b.
pub fn add(a: u16, b: u16) -> u16 {
    bits(value(a) + value(b))
}

/// a x b.
pub fn mul(a: u16, b: u16) -> u16 {
    bits(value(a) * value(b))
}

/// Negative numbers become 0.
pub const fn relu(a: u16) -> u16 {
    if a >> 15 == 1 { 0 } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_every_number_read_back() {
        for number in 0..=u16::MAX {
            if value(number).is_nan() {
                assert!(value(bits(value(number))).is_nan());
            } else {
                assert_eq!(bits(value(number)), number);
            }
        }
    }

    #[test]
    fn are_ties_rounded_to_even() {
        assert_eq!(bits(2_049.0), bits(2_048.0));
        assert_eq!(bits(2_051.0), bits(2_052.0));
        assert_eq!(bits(65_519.9), 0x7bff);
        assert_eq!(bits(65_520.0), 0x7c00);
        assert_eq!(bits(2_f64.powi(-25)), 0);
        assert_eq!(bits(1.5 * 2_f64.powi(-24)), 2);
        assert_eq!(add(bits(2_048.0), bits(1.0)), bits(2_048.0));
        assert_eq!(relu(bits(-0.5)), 0);
    }
}
