//! What can be wrong with a codec, its parameters or the tensors it is given.

use std::fmt;

/// Why a codec cannot be had or cannot store what it is given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// A codec's text is wrong.
    #[error("{text}: character {column}: {problem}")]
    Text {
        /// The whole text.
        text: String,
        /// Where in it, in characters from 1.
        column: usize,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The parameters do not go with the tensors.
    #[error("{codec}: {problem}")]
    Shape {
        /// The codec's text.
        codec: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The codec needs to know which tokens are important.
    #[error("{codec}: needs {needs}")]
    Missing {
        /// The codec's text.
        codec: String,
        /// What is not there.
        needs: &'static str,
    },
    /// A file of tensors cannot be used.
    #[error("{file}: {problem}")]
    Tensors {
        /// The file, as it was named.
        file: String,
        /// What is wrong, with the tensor and the element.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

impl CodecError {
    /// A name that no codec has.
    pub(crate) fn unknown(text: &str, name: &str, known: &[&str]) -> Self {
        Self::Text {
            text: text.to_owned(),
            column: 1,
            problem: format!("there is no codec `{name}`"),
            remedy: suggestion(name, known),
        }
    }

    /// Parameters that do not go with the tensors.
    pub(crate) fn shape(codec: &dyn super::Codec, problem: impl fmt::Display, remedy: impl Into<String>) -> Self {
        Self::Shape { codec: super::text(codec), problem: problem.to_string(), remedy: remedy.into() }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Text { remedy, .. } | Self::Shape { remedy, .. } | Self::Tensors { remedy, .. } => remedy.clone(),
            Self::Missing { .. } => "take a codec without weights, or a file with these tensors".to_owned(),
        }
    }
}

/// The nearest of the known names, and all of them.
pub(crate) fn suggestion(name: &str, known: &[&str]) -> String {
    let likeness = |known: &str| strsim::jaro_winkler(known, name);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let hint = nearest.filter(|nearest| likeness(nearest) > 0.75);
    let hint = hint.map_or_else(String::new, |nearest| format!("did you mean `{nearest}`? "));
    if known.is_empty() {
        "it takes no parameters".to_owned()
    } else {
        format!("{hint}there are: {}", known.join(", "))
    }
}
