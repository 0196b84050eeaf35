//! Names and numbers as people read them, and text that cannot break out of where it is put.

/// The name of an actor, or `actor 7` for one without.
pub(crate) fn actor_name(actors: &[String], index: usize) -> String {
    actors.get(index).cloned().unwrap_or_else(|| format!("actor {index}"))
}

/// Text without control characters, which could rewrite a terminal and are not allowed in XML.
pub fn printable(text: &str) -> String {
    let safe = |c: char| {
        !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if safe(c) { c } else { '\u{fffd}' }).collect()
}

/// Printable text with the five characters of markup escaped, for HTML and XML, in text and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// At most `most` characters, with an ellipsis where text was left out: in the middle, because names often differ at
/// their ends.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let text = printable(text);
    if text.chars().count() <= most {
        return text;
    }
    let kept = most.saturating_sub(1);
    let end = kept / 3;
    let beginning: String = text.chars().take(kept - end).collect();
    let ending: String = text.chars().skip(text.chars().count() - end).collect();
    format!("{beginning}…{ending}")
}

/// `12.3 %`. A share that is not zero never prints as zero.
pub(crate) fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.0005 {
        return "<0.1 %".to_owned();
    }
    format!("{:.1} %", share * 100.0)
}

/// With three significant digits and thousands marked: `1,234`, `56.7`, `0.0123`.
pub(crate) fn significant(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    if size >= 99.95 {
        return grouped(value.round() as u64);
    }
    // log10 of 9.995 rounds up to 10.0, which has one digit less behind the point.
    let digits = (2 - (size * 1.000_5).log10().floor() as i32).clamp(0, 12) as usize;
    format!("{value:.digits$}")
}

/// With a comma between thousands.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Whether text matches a pattern of `*` (anything), `?` (one character) and characters that stand for themselves.
///
/// ```
/// use reports::text::glob;
/// assert!(glob("gpu*.copy-?", "gpu0.copy-1"));
/// assert!(!glob("gpu?", "gpu"));
/// ```
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star was and how much of the text it has taken: on a mismatch it takes one more.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            p = at + 1;
            t = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, expected: &str) {
        assert_eq!(significant(value), expected);
    }

    #[test]
    fn are_three_digits_kept() {
        check(0.0, "0");
        check(0.012_34, "0.0123");
        check(9.996, "10.0");
        check(56.78, "56.8");
        check(99.96, "100");
        check(1_234_567.0, "1,234,567");
    }

    #[track_caller]
    fn check_glob(pattern: &str, text: &str, expected: bool) {
        assert_eq!(glob(pattern, text), expected, "{pattern} against {text}");
    }

    #[test]
    fn what_does_a_pattern_match() {
        check_glob("", "", true);
        check_glob("*", "", true);
        check_glob("?", "", false);
        check_glob("*fetch", "kv-fetch", true);
        check_glob("*a*b*", "xxaxxbxx", true);
        check_glob("*a*b", "xxaxxbxx", false);
        check_glob("a*a*a", "aa", false);
        check_glob("ü?", "üß", true);
    }

    #[test]
    fn can_a_name_break_out_of_markup_or_the_terminal() {
        assert_eq!(escape("<b a='1\">&\u{1b}"), "&lt;b a=&#39;1&quot;&gt;&amp;\u{fffd}");
        assert_eq!(shortened("abcdef", 4), "ab…f");
    }
}
