//! Reading a file that a person named, whatever it turns out to be.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::scenario::document::clip;
use crate::scenario::error::Problem;

/// The largest scenario or model configuration. Real ones have a few kilobytes.
const LIMIT: u64 = 1 << 20;

/// The text of `path`.
pub(super) fn read(path: &Path) -> Result<String, Problem> {
    let unreadable = |reason: String, remedy: &str| Problem::Unreadable { reason, remedy: remedy.to_owned() };
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            unreadable("there is no such file".to_owned(), "check the path; it is seen from the working directory")
        }
        ErrorKind::PermissionDenied => unreadable("the file may not be read".to_owned(), "check its permissions"),
        _ => unreadable(format!("the file cannot be read: {}", clip(&error.to_string())), "check the path"),
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(unreadable("this is a folder; a file is wanted".to_owned(), "name the file in it"));
    }
    let mut bytes = Vec::new();
    // One more than the limit, and never by the size that the file claims: devices claim none and have no end.
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LIMIT {
        return Err(unreadable(
            "the file is larger than 1 MiB".to_owned(),
            "a scenario or a config.json has a few kilobytes: is this the right file?",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        unreadable(
            format!("this is not text: byte {} is not UTF-8", error.utf8_error().valid_up_to()),
            "scenarios are TOML or JSON in UTF-8: is this the right file?",
        )
    })?;
    // Some editors begin a file with this mark; it means nothing.
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}
