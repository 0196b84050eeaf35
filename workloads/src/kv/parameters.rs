//! Reads a codec's text: `name:parameter=value,parameter=value`.

use std::ops::RangeInclusive;

use super::error::{CodecError, suggestion};

/// One `parameter=value`, and where both stand.
#[derive(Debug)]
struct Given<'a> {
    name: &'a str,
    name_at: usize,
    value: &'a str,
    value_at: usize,
    taken: bool,
}

/// The parameters of a codec's text. A codec asks for each that it has; what is left is refused.
#[derive(Debug)]
pub struct Parameters<'a> {
    text: &'a str,
    codec: &'a str,
    given: Vec<Given<'a>>,
    /// The names that were asked for.
    known: Vec<&'static str>,
}

impl<'a> Parameters<'a> {
    /// Takes the text apart.
    ///
    /// # Errors
    /// [`CodecError::Text`] where a part is no `parameter=value`, or a parameter stands there twice.
    pub(crate) fn split(text: &'a str) -> Result<Self, CodecError> {
        let (codec, rest) = text.split_once(':').unwrap_or((text, ""));
        let mut parameters = Self { text, codec: codec.trim(), given: Vec::new(), known: Vec::new() };
        if rest.trim().is_empty() {
            return Ok(parameters);
        }
        let mut offset = codec.len() + 1;
        for part in rest.split(',') {
            let start = offset + (part.len() - part.trim_start().len());
            let Some((name, value)) = part.split_once('=') else {
                let problem = format!("`{}` is not a parameter with a value", part.trim());
                return Err(parameters.wrong(start, problem, "write name=value, with commas between them"));
            };
            let value_at = offset + name.len() + 1 + (value.len() - value.trim_start().len());
            let (name, value) = (name.trim(), value.trim());
            if parameters.given.iter().any(|given| given.name == name) {
                let problem = format!("`{name}` stands there twice");
                return Err(parameters.wrong(start, problem, "take one of them away"));
            }
            parameters.given.push(Given { name, name_at: start, value, value_at, taken: false });
            offset += part.len() + 1;
        }
        Ok(parameters)
    }

    /// An error at a byte of the text.
    fn wrong(&self, at: usize, problem: String, remedy: impl Into<String>) -> CodecError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let column = before.chars().count() + 1;
        CodecError::Text { text: self.text.to_owned(), column, problem, remedy: remedy.into() }
    }

    fn take(&mut self, name: &'static str) -> Option<(&'a str, usize)> {
        self.known.push(name);
        let given = self.given.iter_mut().find(|given| given.name == name)?;
        given.taken = true;
        Some((given.value, given.value_at))
    }

    /// A whole number in a range.
    ///
    /// # Errors
    /// [`CodecError::Text`].
    pub(crate) fn number(
        &mut self,
        name: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> Result<u32, CodecError> {
        let Some((value, at)) = self.take(name) else { return Ok(default) };
        let number = value.parse::<u32>().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let problem = format!("`{name}` is \"{value}\"");
            self.wrong(at, problem, format!("write a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// A part of the whole, from more than 0 to 1.
    ///
    /// # Errors
    /// [`CodecError::Text`].
    pub(crate) fn share(&mut self, name: &'static str, default: Share) -> Result<Share, CodecError> {
        let Some((value, at)) = self.take(name) else { return Ok(default) };
        let number = value.parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 1.0);
        number.map(Share).ok_or_else(|| {
            let problem = format!("`{name}` is \"{value}\"");
            self.wrong(at, problem, "write a number of more than 0 and at most 1, such as 0.25")
        })
    }

    /// One of several words.
    ///
    /// # Errors
    /// [`CodecError::Text`] with the nearest word.
    pub(crate) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        default: T,
        words: &[(&str, T)],
    ) -> Result<T, CodecError> {
        let Some((value, at)) = self.take(name) else { return Ok(default) };
        let found = words.iter().find(|(word, _)| *word == value);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(at, format!("`{name}` is \"{value}\""), suggestion(value, &known))
        })
    }

    /// An error in the value of a parameter; of the whole text where it was not given.
    pub(crate) fn refuse(&self, name: &str, problem: impl Into<String>, remedy: impl Into<String>) -> CodecError {
        let at = self.given.iter().find(|given| given.name == name).map_or(0, |given| given.value_at);
        self.wrong(at, problem.into(), remedy)
    }

    /// Refuses what nobody asked for.
    ///
    /// # Errors
    /// [`CodecError::Text`] with the nearest name.
    pub(crate) fn finish(&self) -> Result<(), CodecError> {
        let Some(given) = self.given.iter().find(|given| !given.taken) else { return Ok(()) };
        let problem = format!("`{}` has no parameter `{}`", self.codec, given.name);
        Err(self.wrong(given.name_at, problem, suggestion(given.name, &self.known)))
    }
}

/// A part of a whole, more than 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

impl Share {
    /// So much of a number of tokens, rounded down.
    pub fn of(self, tokens: usize) -> usize {
        (tokens as f64 * self.0) as usize
    }

    /// The same of a count in 64 bits.
    pub fn of_count(self, tokens: u64) -> u64 {
        (tokens as f64 * self.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[track_caller]
    fn check(text: &str, message: &str, remedy: &str) {
        let error = parse(text).unwrap_err();
        assert_eq!(error.to_string(), format!("{text}: {message}"));
        assert!(error.remedy().starts_with(remedy), "{}", error.remedy());
    }

    #[test]
    fn is_a_slip_located_with_the_nearest_name() {
        check("qp", "character 1: there is no codec `qp`", "there are: fp16");
        check("kivy:bits=2", "character 1: there is no codec `kivy`", "did you mean `kivi`?");
        check("pq:m=32,mm=2", "character 9: `pq` has no parameter `mm`", "did you mean `m`?");
        check("pq:m=32, k=0", "character 12: `k` is \"0\"", "write a whole number from 2 to 65536");
        check("pq:k=65537", "character 6: `k` is \"65537\"", "write a whole number from 2 to 65536");
        check("pq:weights=atention", "character 12: `weights` is \"atention\"", "did you mean `attention`?");
        check("pq:m", "character 4: `m` is not a parameter with a value", "write name=value");
        let remedy = "cluster again after fewer tokens";
        check("pq:window=9,recluster=10", "character 23: 10 new tokens do not fit a window of 9", remedy);
        check("pq:m=1,m=2", "character 8: `m` stands there twice", "take one");
        check("int:bits=4,größe=3", "character 12: `int` has no parameter `größe`", "");
        check("fp16:bits=4", "character 6: `fp16` has no parameter `bits`", "it takes no parameters");
        check("snapkv:keep=1.5", "character 13: `keep` is \"1.5\"", "write a number of more than 0");
    }

    #[test]
    fn does_every_codec_read_its_own_text() {
        for codec in super::super::codecs() {
            let text = super::super::text(codec);
            let again = parse(&text).unwrap();
            assert_eq!(super::super::text(again.as_ref()), text);
        }
    }
}
