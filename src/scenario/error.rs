//! What can be wrong with a scenario, and how it is said.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use crate::catalogue::UnknownName;
use crate::scenario::document::Origin;
use crate::scenario::quantity::{Dimension, QuantityError};

/// What is wrong. Nothing was run; with the input put right, it can be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A file cannot be read.
    #[error("{reason}")]
    Unreadable {
        /// Why.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// A file or a flag is not TOML or JSON.
    #[error("this is not {format}: {message}")]
    Syntax {
        /// The format.
        format: &'static str,
        /// What the parser says.
        message: String,
    },
    /// No such key.
    #[error("unknown key `{key}`{}", in_section(section))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The section that it stands in; empty for the scenario itself.
        section: String,
        /// The key that may have been meant.
        nearest: Option<String>,
        /// The keys of the section.
        allowed: Vec<String>,
    },
    /// A field or a section that must be there is not.
    #[error("`{key}` is missing{}", in_section(section))]
    Missing {
        /// The key.
        key: String,
        /// The section that it belongs in; empty for the scenario itself.
        section: String,
        /// What to write.
        remedy: String,
    },
    /// A field stands there twice under two names.
    #[error("`{key}` stands there twice, also as `{also}`")]
    Twice {
        /// The key.
        key: String,
        /// Its other name.
        also: String,
    },
    /// A value of the wrong type.
    #[error("`{key}` is {found}; {wanted} is wanted")]
    WrongType {
        /// The key.
        key: String,
        /// What stands there.
        found: String,
        /// What should.
        wanted: String,
        /// What to write.
        remedy: String,
    },
    /// A whole number outside of its range.
    #[error("`{key}` is {value}; {}", range(*least, *most))]
    OutOfRange {
        /// The key.
        key: String,
        /// The number as written.
        value: String,
        /// The least allowed.
        least: u64,
        /// The most allowed.
        most: u64,
    },
    /// A quantity that cannot be read, or is of the wrong kind.
    #[error("`{key}` is \"{value}\": {reason}")]
    Quantity {
        /// The key.
        key: String,
        /// The text as written.
        value: String,
        /// What is wrong with it.
        reason: QuantityError,
    },
    /// Nothing at all where something is needed.
    #[error("`{key}` is \"{value}\": {} must be more than zero", dimension.phrase())]
    Zero {
        /// The key.
        key: String,
        /// The text as written.
        value: String,
        /// What it measures.
        dimension: Dimension,
    },
    /// Not one of the words.
    #[error("`{key}` cannot be \"{value}\"{}", if *later { " in this version" } else { "" })]
    UnknownWord {
        /// The key.
        key: String,
        /// The word as written.
        value: String,
        /// The word that may have been meant.
        nearest: Option<String>,
        /// The words that are allowed.
        allowed: Vec<String>,
        /// Whether the word is known, and what it means is not in this version.
        later: bool,
    },
    /// A name that cannot be one.
    #[error("`{key}` cannot be \"{value}\"")]
    BadName {
        /// The key.
        key: String,
        /// The name as written.
        value: String,
    },
    /// No such device.
    #[error("{unknown}")]
    UnknownDevice {
        /// What was looked for, and where.
        unknown: UnknownName,
    },
    /// A device of which too little is known, or on which no scenario can place work yet.
    #[error("the {kind} `{name}` is listed for its figures; scenarios cannot use it yet")]
    NotSimulated {
        /// The list that it is in.
        kind: String,
        /// Its name.
        name: String,
        /// Those that can be.
        allowed: Vec<String>,
    },
    /// No such model, neither as a file nor built in.
    #[error("there is no model `{path}`, neither as a file nor built in")]
    NoModel {
        /// The path as written.
        path: String,
        /// The built-in model that may have been meant.
        nearest: Option<String>,
        /// The built-in models.
        built_in: Vec<String>,
    },
    /// A model's config.json that cannot be used.
    #[error("{message}")]
    Model {
        /// What is wrong with it.
        message: String,
    },
    /// More tokens than the model was trained for.
    #[error("a context of {context} tokens is more than the {trained} that the model was trained for")]
    BeyondTrainedLength {
        /// The context that is asked for.
        context: u64,
        /// The trained length of the model.
        trained: u64,
    },
    /// A `--set` that cannot be understood.
    #[error("{message}")]
    BadFlag {
        /// What is wrong with it.
        message: String,
        /// What to write.
        remedy: String,
    },
    /// Values that are right by themselves and not together.
    #[error("{message}")]
    Contradiction {
        /// What contradicts what.
        message: String,
        /// What to do.
        remedy: String,
    },
    /// The schema and the code disagree: a defect of this program.
    #[error("defect in pimscope: the scenario schema has no `{key}` here")]
    Defect {
        /// The key that was asked for.
        key: &'static str,
    },
}

impl Problem {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { remedy, .. }
            | Self::Missing { remedy, .. }
            | Self::WrongType { remedy, .. }
            | Self::BadFlag { remedy, .. }
            | Self::Contradiction { remedy, .. } => remedy.clone(),
            Self::UnknownKey { nearest, allowed, .. } => meant(nearest.as_deref(), "keys", allowed),
            Self::UnknownWord { nearest, allowed, .. } => meant(nearest.as_deref(), "allowed", allowed),
            Self::UnknownDevice { unknown } => meant(unknown.nearest.as_deref(), "there are", &unknown.all),
            Self::NoModel { nearest, built_in, .. } => meant(nearest.as_deref(), "built in", built_in),
            Self::NotSimulated { allowed, .. } => meant(None, "simulated", allowed),
            Self::Quantity { reason, .. } => reason.help(),
            Self::Twice { key, .. } => format!("keep `{key}`"),
            Self::BadName { .. } => format!(
                "a name has 1 to {} characters, no slash or control character, and does not begin with a dot",
                super::schema::NAME_LENGTH
            ),
            Self::BeyondTrainedLength { trained, .. } => format!(
                "lower `workload.context` to {trained}, or set `workload.beyond_trained_length = true` to look only at \
                 the cost"
            ),
            Self::Syntax { format: "TOML", .. } => {
                "texts and quantities stand in quotes: home = \"host\", block = \"64 KiB\"".to_owned()
            }
            Self::Defect { .. } => "please report it with the scenario".to_owned(),
            Self::Syntax { .. } | Self::OutOfRange { .. } | Self::Zero { .. } | Self::Model { .. } => return None,
        })
    }

    /// A few words for the arrow in the source.
    fn label(&self) -> &'static str {
        match self {
            Self::UnknownKey { .. } => "unknown key",
            Self::UnknownDevice { .. } | Self::NotSimulated { .. } | Self::NoModel { .. } => "this name",
            Self::Missing { .. } => "in here",
            Self::Unreadable { .. } | Self::Syntax { .. } => "here",
            _ => "this value",
        }
    }
}

fn in_section(section: &str) -> String {
    if section.is_empty() { String::new() } else { format!(" in `{section}`") }
}

fn range(least: u64, most: u64) -> String {
    match (least, most) {
        (least, most) if least == most => format!("only {least} is possible in this version"),
        (least, u64::MAX) => format!("a whole number from {least} is wanted"),
        (least, most) => format!("a whole number from {least} to {most} is wanted"),
    }
}

fn meant(nearest: Option<&str>, heading: &str, all: &[String]) -> String {
    let all = all.join(", ");
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`? {heading}: {all}"),
        None => format!("{heading}: {all}"),
    }
}

/// Where it is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A line and column of a file, both from 1, the column in characters.
    Line {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A key path of a JSON file.
    Key {
        /// The file.
        path: PathBuf,
        /// The key path, such as `system[0].kv.home`.
        key: String,
    },
    /// A file as a whole.
    File {
        /// The file.
        path: PathBuf,
    },
    /// An argument of the command line.
    Flag {
        /// As it was written, without `--set`.
        set: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Key { path, key } => write!(f, "{}: {key}", path.display()),
            Self::File { path } => write!(f, "{}", path.display()),
            Self::Flag { set } => write!(f, "--set {}", super::document::clip(set)),
        }
    }
}

/// A scenario that cannot be run: what is wrong, where, and what to do. Shown by miette with the lines of the file.
#[derive(Debug)]
pub struct ScenarioError(Box<Located>);

#[derive(Debug)]
struct Located {
    problem: Problem,
    place: Place,
    snippet: Option<(NamedSource<String>, Range<usize>)>,
}

impl ScenarioError {
    /// An error of a model's config.json, as `workloads` finds them.
    pub fn in_model(path: &str, message: impl Into<String>) -> Self {
        Self::new(Problem::Model { message: message.into() }, Place::File { path: path.into() })
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Where.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    pub(super) fn new(problem: Problem, place: Place) -> Self {
        Self(Box::new(Located { problem, place, snippet: None }))
    }

    /// In the file `path`, which holds `text`.
    pub(super) fn located(fault: Fault, path: &Path, text: &str) -> Self {
        let Parts { problem, origin } = *fault.0;
        let span = match origin {
            Origin::Span(span) => span,
            Origin::Path(key) => {
                let path = path.to_owned();
                let place = if key.is_empty() { Place::File { path } } else { Place::Key { path, key } };
                return Self::new(problem, place);
            }
            Origin::Flag(set) => return Self::new(problem, Place::Flag { set }),
            Origin::Whole => return Self::new(problem, Place::File { path: path.to_owned() }),
        };
        let start = boundary(text, span.start);
        let end = boundary(text, span.end).max(start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let place = Place::Line {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
        };
        // An arrow marks one line; a table that goes over many is marked where it begins.
        let rest = &text[start..];
        let line_end = start + rest.find(['\n', '\r']).unwrap_or(rest.len());
        let end = end.min(line_end);
        // Nobody reads a line of a thousand characters, and the context lines could be as long.
        let long = text.lines().any(|line| line.len() > 400);
        let snippet = (!long && !text.trim().is_empty())
            .then(|| (NamedSource::new(path.display().to_string(), harmless(text)), start..end));
        Self(Box::new(Located { problem, place, snippet }))
    }
}

/// The text without what a terminal would obey: control characters become question marks, of as many bytes, so that
/// places stay where they are.
fn harmless(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => c.to_string(),
        _ if c.is_control() => "?".repeat(c.len_utf8()),
        _ => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// The last character boundary at or before `offset`.
fn boundary(text: &str, offset: usize) -> usize {
    text.floor_char_boundary(offset)
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.place, self.0.problem)
    }
}

impl std::error::Error for ScenarioError {}

impl Diagnostic for ScenarioError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.problem.help().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.snippet.as_ref().map(|(source, _)| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, span) = self.0.snippet.as_ref()?;
        let label = LabeledSpan::new_primary_with_span(Some(self.0.problem.label().to_owned()), span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

/// A problem at a node of the document, before the file is known.
#[derive(Debug)]
pub(super) struct Fault(Box<Parts>);

#[derive(Debug)]
struct Parts {
    problem: Problem,
    origin: Origin,
}

impl Fault {
    pub(super) fn new(problem: Problem, origin: Origin) -> Self {
        Self(Box::new(Parts { problem, origin }))
    }
}
