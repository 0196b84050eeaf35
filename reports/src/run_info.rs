//! run.json: all that may differ between two runs of the same scenario.

use serde_json::{Map, Value, json};
use sim_core::Time;

/// Facts of one run that are not results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunInfo {
    /// The version of pimscope.
    pub version: String,
    /// The machine's name.
    pub host: String,
    /// Threads that were asked for.
    pub threads: usize,
    /// Wall time in seconds.
    pub wall_seconds: f64,
    /// CPU time of all threads in seconds; `None` where the system does not say.
    pub cpu_seconds: Option<f64>,
    /// Of it that of the first thread, which plans and writes the reports too.
    pub first_thread_cpu_seconds: Option<f64>,
    /// Messages that the kernel delivered, all systems together.
    pub events: u64,
    /// The most memory that the process held, in bytes; `None` where the system does not say.
    pub peak_memory_bytes: Option<u64>,
    /// How each system was executed, in the order in which they were run.
    pub systems: Vec<Executed>,
    /// Anything else, in the order given.
    pub extra: Vec<(String, Value)>,
}

/// A system at a point, and how it was executed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Executed {
    /// The system's name.
    pub system: String,
    /// The point of the sweep; empty without one.
    pub point: String,
    /// Messages that the kernel delivered.
    pub events: u64,
    /// How.
    pub execution: Execution,
    /// Commands of its PIM channels that commands.csv has no room for.
    pub commands_left_out: u64,
}

/// How the simulation of one system was executed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Execution {
    /// The least simulated time of a window, that a message between two threads takes; `None` on one thread.
    pub lookahead: Option<Time>,
    /// How many windows there were.
    pub windows: u64,
    /// What each thread did of the simulation itself; the first one is that which also plans and reports.
    pub threads: Vec<Thread>,
    /// Why it was one thread, where more were asked for.
    pub one_thread: Option<String>,
}

/// What one thread did of a system's simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thread {
    /// Actors that it ran.
    pub actors: usize,
    /// Messages that it delivered.
    pub events: u64,
    /// Wall time in which it was at work.
    pub busy_seconds: f64,
    /// Wall time in which it waited for other threads.
    pub blocked_seconds: f64,
    /// CPU time; `None` where the system does not say.
    pub cpu_seconds: Option<f64>,
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
    map.insert("cpu_seconds".to_owned(), json!(info.cpu_seconds));
    map.insert("first_thread_cpu_seconds".to_owned(), json!(info.first_thread_cpu_seconds));
    map.insert("events".to_owned(), json!(info.events));
    map.insert("events_per_second".to_owned(), json!(per_second));
    map.insert("peak_memory_bytes".to_owned(), json!(info.peak_memory_bytes));
    map.insert("systems".to_owned(), info.systems.iter().map(system).collect());
    map.extend(info.extra.iter().cloned());
    crate::summary::pretty(&Value::Object(map))
}

fn system(executed: &Executed) -> Value {
    let Executed { system, point, events, execution, .. } = executed;
    let threads: Vec<Value> = execution.threads.iter().map(thread).collect();
    json!({
        "name": system,
        "point": (!point.is_empty()).then_some(point),
        "events": events,
        "lookahead_ps": execution.lookahead.map(Time::ps),
        "windows": execution.windows,
        "one_thread": execution.one_thread,
        "threads": threads,
    })
}

fn thread(thread: &Thread) -> Value {
    json!({
        "actors": thread.actors,
        "events": thread.events,
        "busy_seconds": thread.busy_seconds,
        "blocked_seconds": thread.blocked_seconds,
        "cpu_seconds": thread.cpu_seconds,
    })
}
