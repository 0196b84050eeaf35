//! Trace files: a word and a hexadecimal byte address on each line.

use pim_device::controller::fifo_pim::{Fan, Request};

use super::super::error::{Place, ValidateError};
use super::super::golden::GoldenFile;
use super::{MNEMONICS, address};

/// Reads a trace. Neighbouring lines that send the same to one channel and the next become one fan.
///
/// # Errors
/// [`ValidateError::Reference`] with the place.
pub(super) fn parse(file: &GoldenFile) -> Result<Vec<Fan>, ValidateError> {
    let wrong = |line: usize, column: usize, problem: String, remedy: &str| ValidateError::Reference {
        place: Place { file: file.path.clone(), line: Some(line as u64 + 1), column: Some(column as u64 + 1) },
        problem,
        remedy: remedy.to_owned(),
    };
    let text = std::str::from_utf8(&file.bytes)
        .map_err(|_| file.wrong("this is not text in UTF-8", "a trace is text: `LD 0x00000400` and the like"))?;
    let mut fans: Vec<Fan> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words =
            line.split_ascii_whitespace().map(|word| (word.as_ptr() as usize - line.as_ptr() as usize, word));
        let Some((at, name)) = words.next() else { continue };
        let Some((_, command)) = MNEMONICS.into_iter().find(|(known, _)| *known == name) else {
            let words = MNEMONICS.map(|(name, _)| name).join(", ");
            return Err(wrong(number, at, format!("there is no request `{name}`"), &format!("there are: {words}")));
        };
        let form = "write the byte address in hexadecimal, such as 0x40000400, after the request";
        let Some((at, word)) = words.next() else {
            return Err(wrong(number, line.len(), format!("the address of `{name}` is missing"), form));
        };
        let digits =
            word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).filter(|digits| !digits.starts_with('+'));
        let Some(byte) = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()) else {
            return Err(wrong(number, at, format!("`{word}` is not a hexadecimal address"), form));
        };
        if byte >= address::STACK {
            let problem = format!("`{word}` lies behind the last byte of the stack");
            return Err(wrong(number, at, problem, "the stack has 16 GiB: the highest address is 0x3ffffffff"));
        }
        if let Some((at, word)) = words.next() {
            return Err(wrong(number, at, format!("`{word}` stands after the address"), "write one request on a line"));
        }
        let (at, column) = address::decode(byte);
        let request = Request { command, address: at, column };
        let channel = address::channel(byte);
        match fans.last_mut() {
            Some(fan) if fan.request == request && *fan.channels.end() + 1 == channel => {
                fan.channels = *fan.channels.start()..=channel;
            }
            _ => fans.push(Fan { request, channels: channel..=channel }),
        }
    }
    Ok(fans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pim_device::{Address, Command};

    fn parse_text(text: &str) -> Result<Vec<Fan>, ValidateError> {
        parse(&GoldenFile::shipped("folder", "t.trace", text))
    }

    #[test]
    fn are_equal_lines_to_neighbouring_channels_one_fan() {
        let text = "LD 0x00000420\nLD 0x40000420\r\n\nLD 0xC0000420\nPIM_BARRIER 0x0\n";
        let fans = parse_text(text).unwrap();
        let read = Request { command: Some(Command::Rd), address: Address { row: 1, ..Address::default() }, column: 1 };
        let barrier = Request { command: None, address: Address::default(), column: 0 };
        assert_eq!(
            fans,
            [
                Fan { request: read, channels: 0..=1 },
                Fan { request: read, channels: 3..=3 },
                Fan { request: barrier, channels: 0..=0 },
            ]
        );
    }

    #[track_caller]
    fn check_refused(text: &str, message: &str) {
        let error = parse_text(text).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.is_input() && !error.remedy().is_empty());
    }

    #[test]
    fn are_bad_lines_refused_with_their_place() {
        check_refused("LD 0x0\nPIM_MAC 0x0\n", "folder/t.trace:2:1: there is no request `PIM_MAC`");
        check_refused("LD 0x0\n  PIM_SFM\n", "folder/t.trace:2:10: the address of `PIM_SFM` is missing");
        check_refused("LD 1234\n", "folder/t.trace:1:4: `1234` is not a hexadecimal address");
        check_refused("LD 0x\n", "folder/t.trace:1:4: `0x` is not a hexadecimal address");
        check_refused("LD 0x+1\n", "folder/t.trace:1:4: `0x+1` is not a hexadecimal address");
        check_refused(
            "LD 0x1fffffffffffffffff\n",
            "folder/t.trace:1:4: `0x1fffffffffffffffff` is not a hexadecimal address",
        );
        check_refused("LD 0x400000000\n", "folder/t.trace:1:4: `0x400000000` lies behind the last byte of the stack");
        check_refused("LD 0x0 0x0\n", "folder/t.trace:1:8: `0x0` stands after the address");
    }

    #[test]
    fn is_what_is_no_text_refused() {
        let file = GoldenFile { name: "t".to_owned(), path: "t".to_owned(), bytes: vec![0xff, 0xfe] };
        assert_eq!(parse(&file).unwrap_err().to_string(), "t: this is not text in UTF-8");
    }
}
