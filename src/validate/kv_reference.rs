//! What the three suites about KV codecs share: where their references are, and what a row of one says.

use std::path::{Path, PathBuf};

use workloads::kv::{self, Codec, CodecError};

use super::error::{Place, ValidateError};
use super::table::{Row, Table};

/// Something wrong with a file as a whole.
pub(super) fn wrong_file(file: &str, problem: impl Into<String>, remedy: impl Into<String>) -> ValidateError {
    ValidateError::Reference { place: Place::file(file), problem: problem.into(), remedy: remedy.into() }
}

/// The files of a folder whose names end like this, sorted.
pub(super) fn files(folder: &Path, begins: &str, ends: &str) -> Result<Vec<PathBuf>, ValidateError> {
    let name = folder.display().to_string();
    let entries = std::fs::read_dir(folder)
        .map_err(|error| wrong_file(&name, format!("cannot be read: {error}"), "name a folder that can be read"))?;
    let matches = |path: &PathBuf| {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        file.starts_with(begins) && file.ends_with(ends) && path.is_file()
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(matches).collect();
    files.sort();
    Ok(files)
}

/// The bytes of a file.
pub(super) fn bytes(path: &Path, remedy: &str) -> Result<Vec<u8>, ValidateError> {
    let name = path.display().to_string();
    std::fs::read(path).map_err(|error| wrong_file(&name, format!("cannot be read: {error}"), remedy))
}

/// The settings `name=value` of a field, separated by `;` or `,`, and the words among them.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    pub(super) table: &'a Table,
    pub(super) row: &'a Row,
    column: &'static str,
    /// Name, value, and where the setting begins.
    given: Vec<(&'a str, &'a str, u64)>,
    used: Vec<&'a str>,
}

impl<'a> Settings<'a> {
    /// Of a column of a row.
    pub(super) fn of(table: &'a Table, row: &'a Row, column: &'static str, separator: char) -> Self {
        let mut given = Vec::new();
        let mut offset = 0;
        for part in table.text(row, column).split(separator) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if !part.trim().is_empty() {
                given.push((name.trim(), value.trim(), offset));
            }
            offset += part.chars().count() as u64 + 1;
        }
        Self { table, row, column, given, used: Vec::new() }
    }

    /// The value of a setting, where there is one. A word without a value has an empty one.
    pub(super) fn get(&mut self, name: &str) -> Option<&'a str> {
        let (name, value, _) = self.given.iter().find(|(known, _, _)| *known == name)?;
        self.used.push(name);
        Some(value)
    }

    /// The value of a setting that there must be.
    pub(super) fn need(&mut self, name: &str) -> Result<&'a str, ValidateError> {
        self.get(name).ok_or_else(|| self.wrong(0, format!("`{name}=` is missing"), "write all settings of the method"))
    }

    /// The value of a setting that is written with a space instead of `=`.
    pub(super) fn need_spaced(&mut self, name: &str) -> Result<&'a str, ValidateError> {
        let spaced = self.given.iter().find_map(|(word, _, _)| Some((*word, word.strip_prefix(name)?.trim())));
        let Some((word, value)) = spaced else { return self.need(name) };
        self.used.push(word);
        Ok(value)
    }

    /// A number of a type.
    pub(super) fn number<T: std::str::FromStr>(&mut self, name: &str) -> Result<T, ValidateError> {
        let value = self.need(name)?;
        value.parse().map_err(|_| self.wrong_value(name, format!("`{name}` is \"{value}\""), "write a number"))
    }

    /// An error in the value of a setting.
    pub(super) fn wrong_value(&self, name: &str, problem: String, remedy: &str) -> ValidateError {
        let offset = self.given.iter().find(|(known, _, _)| *known == name).map_or(0, |(_, _, offset)| *offset);
        self.wrong(offset, problem, remedy)
    }

    /// An error `offset` characters after the beginning of the field.
    pub(super) fn wrong(&self, offset: u64, problem: String, remedy: &str) -> ValidateError {
        self.table.wrong(self.row, self.column, offset, problem, remedy)
    }

    /// Refuses what nobody has asked for.
    pub(super) fn finish(&self) -> Result<(), ValidateError> {
        match self.given.iter().find(|(name, _, _)| !self.used.contains(name)) {
            Some((name, _, offset)) => Err(self.wrong(
                *offset,
                format!("`{name}` is unknown here"),
                "take it away: the method has no such setting",
            )),
            None => Ok(()),
        }
    }

    /// The codec of a text that was made from the settings.
    pub(super) fn codec(&self, text: &str) -> Result<Box<dyn Codec>, ValidateError> {
        kv::parse(text).map_err(|error| self.refused(&error))
    }

    /// What a codec says is wrong, at the field.
    pub(super) fn refused(&self, error: &CodecError) -> ValidateError {
        self.wrong(0, error.to_string(), &error.remedy())
    }
}
