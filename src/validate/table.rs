//! Reference tables: CSV (RFC 4180) with a header, in which every field knows its line and column for messages.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::error::{Place, ValidateError};

/// The largest table that is read, in bytes; the largest that is shipped is a hundredth of it.
const LARGEST: u64 = 256 << 20;

/// One field of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    text: String,
    line: u64,
    column: u64,
}

/// One row of a table, read with the table's methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    fields: Vec<Field>,
}

impl Row {
    /// The line at which the row begins, from 1.
    pub fn line(&self) -> u64 {
        self.fields.first().map_or(0, |field| field.line)
    }

    /// The fields as they are written, without quotes.
    pub fn fields(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.text.clone()).collect()
    }
}

/// A reference table.
#[derive(Clone, Debug)]
pub struct Table {
    name: String,
    columns: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    /// Reads the table in the file `path`, which must have the columns `required` and may have others.
    ///
    /// # Errors
    /// [`ValidateError::Reference`] with the place.
    pub fn read(path: &Path, required: &[&str]) -> Result<Self, ValidateError> {
        let name = path.display().to_string();
        let failed = |reason: String| ValidateError::Reference {
            place: Place::file(&name),
            problem: reason,
            remedy: format!("--reference takes a CSV file with the columns {}", required.join(", ")),
        };
        if path.is_dir() {
            return Err(failed("this is a directory".to_owned()));
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| failed(format!("cannot be read: {error}")))?;
        if bytes.len() as u64 > LARGEST {
            return Err(failed(format!("is larger than {} MiB", LARGEST >> 20)));
        }
        Self::parse(&name, &bytes, required)
    }

    /// Reads a table from its text; `name` is the file in messages.
    ///
    /// # Errors
    /// [`ValidateError::Reference`] with the place.
    pub fn parse(name: &str, bytes: &[u8], required: &[&str]) -> Result<Self, ValidateError> {
        let wrong = |line: u64, column: u64, problem: &str, remedy: &str| ValidateError::Reference {
            place: Place { file: name.to_owned(), line: Some(line), column: Some(column) },
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        };
        let header = format!("the first line names the columns: {}", required.join(","));
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let (line, column) = position(&bytes[..error.valid_up_to()]);
                return Err(wrong(line, column, "this is not text in UTF-8", &header));
            }
        };
        if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
            let (line, column) = position(&bytes[..at]);
            return Err(wrong(line, column, "this is a binary file, not a table", &header));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rows = split(text).map_err(|field| {
            wrong(field.line, field.column, "a quoted field is not closed", "close it with a double quote")
        })?;
        if rows.is_empty() {
            return Err(wrong(1, 1, "the table is empty", &header));
        }
        let head = rows.remove(0);
        for column in required {
            if !head.fields.iter().any(|field| field.text == *column) {
                return Err(wrong(head.line(), 1, &format!("column `{column}` is missing"), &header));
            }
        }
        for (index, field) in head.fields.iter().enumerate() {
            if head.fields[..index].iter().any(|other| other.text == field.text) {
                let problem = format!("column `{}` stands there twice", field.text);
                return Err(wrong(field.line, field.column, &problem, "take one of them away"));
            }
        }
        if rows.is_empty() {
            return Err(wrong(
                head.line(),
                1,
                "the table has no rows",
                "write one line for each case below the header",
            ));
        }
        let columns: Vec<String> = head.fields.into_iter().map(|field| field.text).collect();
        if let Some(row) = rows.iter().find(|row| row.fields.len() != columns.len()) {
            let problem = format!("{} fields, but the header has {} columns", row.fields.len(), columns.len());
            let remedy = "a field that contains a comma is written in double quotes";
            return Err(wrong(row.line(), 1, &problem, remedy));
        }
        Ok(Self { name: name.to_owned(), columns, rows })
    }

    /// Asks for columns that only some tables of a suite need.
    ///
    /// # Errors
    /// [`ValidateError::Reference`] where one is missing.
    pub fn require(&self, columns: &[&str]) -> Result<(), ValidateError> {
        let missing = columns.iter().find(|column| !self.columns.iter().any(|name| name == *column));
        missing.map_or(Ok(()), |column| {
            Err(ValidateError::Reference {
                place: Place { file: self.name.clone(), line: Some(1), column: Some(1) },
                problem: format!("column `{column}` is missing"),
                remedy: format!("the first line names the columns: {}", columns.join(",")),
            })
        })
    }

    /// The file's name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows, in the order of the file.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    fn index(&self, column: &str) -> usize {
        self.columns.iter().position(|name| name == column).unwrap_or(usize::MAX)
    }

    /// What stands in a column; empty where there is no such column.
    pub fn text<'a>(&self, row: &'a Row, column: &str) -> &'a str {
        row.fields.get(self.index(column)).map_or("", |field| field.text.trim())
    }

    /// The finite number that stands in a column.
    ///
    /// # Errors
    /// [`ValidateError::Reference`] with the place, where it is none.
    pub fn number(&self, row: &Row, column: &str) -> Result<f64, ValidateError> {
        let text = self.text(row, column);
        text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| {
            let remedy = "write a finite number such as 0.25 or 1e-9";
            self.wrong(row, column, 0, format!("`{column}` is \"{text}\", which is not a number"), remedy)
        })
    }

    /// An error in a field, `offset` characters after its beginning.
    pub fn wrong(
        &self,
        row: &Row,
        column: &str,
        offset: u64,
        problem: String,
        remedy: impl Into<String>,
    ) -> ValidateError {
        ValidateError::Reference { place: self.place(row, column, offset), problem, remedy: remedy.into() }
    }

    /// Where a field stands, `offset` characters after its beginning.
    pub fn place(&self, row: &Row, column: &str, offset: u64) -> Place {
        let field = row.fields.get(self.index(column));
        Place {
            file: self.name.clone(),
            line: Some(field.map_or_else(|| row.line(), |field| field.line)),
            column: Some(field.map_or(1, |field| field.column + offset)),
        }
    }
}

/// The line and column of what follows these bytes.
fn position(before: &[u8]) -> (u64, u64) {
    let text = String::from_utf8_lossy(before);
    let line = text.matches('\n').count() as u64 + 1;
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
    (line, column)
}

/// All rows; blank lines are passed over. The error is the field whose quotes are not closed.
fn split(text: &str) -> Result<Vec<Row>, Field> {
    let mut rows = Vec::new();
    let mut fields: Vec<Field> = Vec::new();
    let mut field = Field { text: String::new(), line: 1, column: 1 };
    let (mut line, mut column) = (1, 0);
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        column += 1;
        if character == '\n' {
            line += 1;
            column = 0;
        }
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                column += 1;
                field.text.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.text.is_empty() => {
                quoted = true;
                // What is quoted begins after the quote.
                field.column = column + 1;
            }
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            ',' | '\n' if !quoted => {
                let next = Field { text: String::new(), line, column: column + 1 };
                fields.push(std::mem::replace(&mut field, next));
                if character == '\n' {
                    end_row(&mut rows, std::mem::take(&mut fields));
                }
            }
            other => field.text.push(other),
        }
    }
    if quoted {
        return Err(field);
    }
    fields.push(field);
    end_row(&mut rows, fields);
    Ok(rows)
}

fn end_row(rows: &mut Vec<Row>, fields: Vec<Field>) {
    let blank = fields.len() == 1 && fields[0].text.trim().is_empty();
    if !blank {
        rows.push(Row { fields });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [&str; 2] = ["model", "value"];

    #[track_caller]
    fn check_refused(bytes: &[u8], message: &str) {
        let error = Table::parse("t.csv", bytes, &REQUIRED).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.is_input() && !error.remedy().is_empty());
    }

    #[test]
    fn are_quotes_commas_and_line_ends_read() {
        let text = "\u{feff}model,value\r\n\"a,\"\"b\"\"\",1\r\n\r\n\"two\nlines\",2";
        let table = Table::parse("t.csv", text.as_bytes(), &REQUIRED).unwrap();
        assert_eq!(table.columns(), ["model", "value"]);
        let rows = table.rows();
        assert_eq!(table.text(&rows[0], "model"), "a,\"b\"");
        assert_eq!(table.text(&rows[1], "model"), "two\nlines");
        assert_eq!((rows[0].line(), rows[1].line()), (2, 4));
        assert_eq!(table.place(&rows[0], "value", 0).to_string(), "t.csv:2:11");
        assert_eq!(table.place(&rows[1], "value", 0).to_string(), "t.csv:5:8");
        assert_eq!(table.text(&rows[0], "formula"), "");
    }

    #[test]
    fn are_bad_tables_refused_with_their_place() {
        check_refused(b"", "t.csv:1:1: the table is empty");
        check_refused(b"\n\n", "t.csv:1:1: the table is empty");
        check_refused(b"model,value\n", "t.csv:1:1: the table has no rows");
        check_refused(b"model,metric\na,b\n", "t.csv:1:1: column `value` is missing");
        check_refused(b"model,value,model\na,1,b\n", "t.csv:1:13: column `model` stands there twice");
        check_refused(b"model,value\na,1\nb\n", "t.csv:3:1: 1 fields, but the header has 2 columns");
        check_refused(b"model,value\n\"a,1\n", "t.csv:2:2: a quoted field is not closed");
        check_refused(b"model,value\na,\xff\n", "t.csv:2:3: this is not text in UTF-8");
        check_refused(b"model,value\na,\0\n", "t.csv:2:3: this is a binary file, not a table");
    }

    #[test]
    fn is_what_is_no_number_refused_with_its_place() {
        let table = Table::parse("t.csv", b"model,value\na,1.5e3\nb,two\nc,NaN\nd,\n", &REQUIRED).unwrap();
        let number = |row: usize| table.number(&table.rows()[row], "value");
        assert!((number(0).unwrap() - 1_500.0).abs() < 1e-9);
        assert_eq!(number(1).unwrap_err().to_string(), "t.csv:3:3: `value` is \"two\", which is not a number");
        assert!(number(2).is_err() && number(3).is_err());
    }

    #[test]
    fn are_files_that_cannot_be_read_refused() {
        let directory = tempfile::tempdir().unwrap();
        let error = Table::read(directory.path(), &REQUIRED).unwrap_err().to_string();
        assert!(error.ends_with("this is a directory"), "{error}");
        let error = Table::read(&directory.path().join("none.csv"), &REQUIRED).unwrap_err().to_string();
        assert!(error.contains("none.csv: cannot be read"), "{error}");
    }
}
