//! run.json: all that may differ between two runs of the same scenario.

use serde_json::{Map, Value, json};

/// Facts of one run that are not results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunInfo {
    /// The version of pimscope.
    pub version: String,
    /// The machine's name.
    pub host: String,
    /// Threads used.
    pub threads: usize,
    /// Wall time in seconds.
    pub wall_seconds: f64,
    /// Messages that the kernel delivered, all systems together.
    pub events: u64,
    /// The most memory that the process held, in bytes; `None` where the system does not say.
    pub peak_memory_bytes: Option<u64>,
    /// Anything else, in the order given.
    pub extra: Vec<(String, Value)>,
}

/// run.json as text.
pub fn to_json(info: &RunInfo) -> String {
    let per_second = if info.wall_seconds > 0.0 { info.events as f64 / info.wall_seconds } else { 0.0 };
    let mut map = Map::new();
    map.insert("schema".to_owned(), json!("pimscope/run/1"));
    map.insert("version".to_owned(), json!(info.version));
    map.insert("host".to_owned(), json!(info.host));
    map.insert("threads".to_owned(), json!(info.threads));
    map.insert("wall_seconds".to_owned(), json!(info.wall_seconds));
    map.insert("events".to_owned(), json!(info.events));
    map.insert("events_per_second".to_owned(), json!(per_second));
    map.insert("peak_memory_bytes".to_owned(), json!(info.peak_memory_bytes));
    map.extend(info.extra.iter().cloned());
    crate::summary::pretty(&Value::Object(map))
}
