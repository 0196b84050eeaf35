//! What a paper published, as the table has it in words: "90-98.5%", "0.12x (8.33x speedup)", "44.29 -> 50.00".

/// A published number, or the range that a paper gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Published {
    /// The least value that was published.
    pub(super) least: f64,
    /// The largest one; the same where it is a single number.
    pub(super) most: f64,
}

impl Published {
    /// The published value that is nearest to `ours`.
    pub(super) fn nearest(self, ours: f64) -> f64 {
        ours.clamp(self.least, self.most)
    }
}

/// All numbers of a text in their order. Two numbers with a hyphen or "to" between them are a range; an arrow and a slash
/// stand between numbers of their own.
pub(super) fn numbers(text: &str) -> Vec<Published> {
    let mut found: Vec<(usize, usize, f64)> = Vec::new();
    let mut rest = 0;
    while let Some(at) = text[rest..].find(|letter: char| letter.is_ascii_digit()) {
        let start = rest + at;
        let length = text[start..].find(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let mut end = length.map_or(text.len(), |length| start + length);
        // A full stop behind a number ends the sentence.
        while text[start..end].ends_with('.') {
            end -= 1;
        }
        // A number that is part of a name ("Fig12", "A100") is none.
        let in_name = text[..start].ends_with(|letter: char| letter.is_alphabetic() || letter == '_');
        if let (false, Ok(number)) = (in_name, text[start..end].parse()) {
            found.push((start, end, number));
        }
        rest = end.max(start + 1);
    }
    let mut numbers: Vec<Published> = Vec::new();
    let mut before: Option<usize> = None;
    for (start, end, number) in found {
        let range = before.is_some_and(|before| matches!(text[before..start].trim(), "-" | "to" | "\u{2013}"));
        match numbers.last_mut() {
            Some(last) if range => last.most = number,
            _ => numbers.push(Published { least: number, most: number }),
        }
        before = Some(end);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(f64, f64)]) {
        let numbers: Vec<(f64, f64)> = numbers(text).iter().map(|n| (n.least, n.most)).collect();
        assert_eq!(numbers, expected, "{text}");
    }

    #[test]
    fn are_numbers_read_as_people_write_them() {
        check("90-98.5%", &[(90.0, 98.5)]);
        check("3.4x", &[(3.4, 3.4)]);
        check("0.12x (8.33x speedup)", &[(0.12, 0.12), (8.33, 8.33)]);
        check("44.29 -> 50.00", &[(44.29, 44.29), (50.0, 50.0)]);
        check("~120 GB -> ~0 GB", &[(120.0, 120.0), (0.0, 0.0)]);
        check("1.95 to 6.5x.", &[(1.95, 6.5)]);
        check("Fig12 and A100", &[]);
        check("", &[]);
    }

    #[test]
    fn is_the_nearest_value_of_a_range_taken() {
        let range = Published { least: 90.0, most: 98.5 };
        let nearest = [80.0, 95.0, 99.0].map(|ours| format!("{}", range.nearest(ours)));
        assert_eq!(nearest, ["90", "95", "98.5"]);
    }
}
