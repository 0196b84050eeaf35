//! Finding a model's config.json: on disk, or among those that are built in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::catalogue::nearest;
use crate::scenario::error::Problem;
use crate::scenario::file;

macro_rules! models {
    ($($name:literal),+ $(,)?) => {
        /// The model configurations that are built in, by name, as published.
        pub const EMBEDDED_MODELS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../models/", $name, ".json"))),)+];
    };
}

models![
    "gpt3-175b",
    "llama-2-13b",
    "llama-2-70b",
    "llama-2-7b",
    "llama-3.1-70b",
    "llama-3.1-8b",
    "llama-3.2-3b-instruct",
    "mistral-7b-instruct-v0.2",
    "opt-66b",
    "qwen2.5-72b",
    "smollm2-135m-instruct",
];

/// A model's configuration and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSource {
    /// The file, or `built-in models/NAME.json`.
    pub path_shown: String,
    /// The text of the config.json.
    pub text: String,
}

impl ModelSource {
    /// How many tokens the model was trained for, if its configuration says so.
    pub(super) fn trained_length(&self) -> Result<Option<u64>, String> {
        let config: serde_json::Value =
            serde_json::from_str(&self.text).map_err(|error| format!("this is not JSON: {error}"))?;
        let Some(config) = config.as_object() else {
            return Err("a config.json holds one object".to_owned());
        };
        let length = ["max_position_embeddings", "n_positions"].iter().find_map(|key| config.get(*key)?.as_u64());
        Ok(length)
    }
}

/// Looks models up, and remembers what it has read: the points of a sweep name the same ones.
#[derive(Debug)]
pub(super) struct Models {
    /// The folder of the scenario, if it is a file.
    folder: Option<PathBuf>,
    read: BTreeMap<String, ModelSource>,
}

impl Models {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, read: BTreeMap::new() }
    }

    /// The model that a scenario calls `written`.
    pub(super) fn find(&mut self, written: &str) -> Result<ModelSource, Problem> {
        if let Some(known) = self.read.get(written) {
            return Ok(known.clone());
        }
        let source = self.look(written)?;
        self.read.insert(written.to_owned(), source.clone());
        Ok(source)
    }

    fn look(&self, written: &str) -> Result<ModelSource, Problem> {
        for candidate in self.candidates(written) {
            let candidate = if candidate.is_dir() { candidate.join("config.json") } else { candidate };
            if candidate.is_file() {
                let path_shown = candidate.display().to_string();
                // The place of the message is the scenario's line, so the message names the file.
                let text = file::read(&candidate)
                    .map_err(|problem| Problem::Model { message: format!("{path_shown}: {problem}") })?;
                return Ok(ModelSource { path_shown, text });
            }
        }
        let stem = embedded_name(written);
        if let Some((name, text)) = EMBEDDED_MODELS.iter().find(|(name, _)| *name == stem) {
            return Ok(ModelSource { path_shown: format!("built-in models/{name}.json"), text: (*text).to_owned() });
        }
        let names = || EMBEDDED_MODELS.iter().map(|(name, _)| *name);
        Err(Problem::NoModel {
            path: super::document::clip(written),
            nearest: nearest(&stem, names()).map(str::to_owned),
            built_in: names().map(str::to_owned).collect(),
        })
    }

    /// The working directory, the scenario's folder, the folder above. An absolute path replaces what it is joined to.
    fn candidates(&self, written: &str) -> Vec<PathBuf> {
        let mut candidates = vec![PathBuf::from(written)];
        if let Some(folder) = &self.folder {
            candidates.push(folder.join(written));
            candidates.push(folder.join("..").join(written));
        }
        candidates
    }
}

/// `models/llama-2-7b.json`, `llama-2-7b.json` and `Llama-2-7B` all name the built-in `llama-2-7b`.
fn embedded_name(written: &str) -> String {
    let name = Path::new(written).file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".json").unwrap_or(&name);
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_model_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let mut names: Vec<_> =
            folder.read_dir().unwrap().map(|file| embedded_name(&file.unwrap().path().to_string_lossy())).collect();
        names.sort();
        let embedded: Vec<_> = EMBEDDED_MODELS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, embedded);
    }

    #[test]
    fn a_built_in_model_answers_to_its_file_and_its_name() {
        let mut models = Models::new(None);
        for written in ["llama-2-7b", "Llama-2-7B.json", "nowhere/llama-2-7b.json"] {
            let source = models.find(written).unwrap();
            assert_eq!(source.path_shown, "built-in models/llama-2-7b.json");
            assert_eq!(source.trained_length(), Ok(Some(4096)));
        }
        assert_eq!(models.find("gpt3-175b").unwrap().trained_length(), Ok(Some(2048)));
    }
}
