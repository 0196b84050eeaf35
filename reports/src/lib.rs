//! From spans to breakdowns, critical paths, tables, figures and traces.
//!
//! A run hands over one [`SystemInput`] per system: the spans of its simulation, the names of the actors, the meters of
//! the resources and the use of the memories. [`analyse()`] walks the [critical path](critical_path) of every generated
//! token, checks law 1 on the way (the categories add up to the latency of the token, in picoseconds) and gives a
//! [`SystemReport`]. Systems, and the points of a sweep as [`PointReport`]s, make up the [`RunReport`], from which every
//! file of a run is written: [`summary`] (summary.json), [`run_info`] (run.json), [`mod@table`] (the terminal),
//! [`figure`] (SVG) and [`html`] (one self-contained page). [`csv`], [`perfetto`] and [`trace_view`] show the spans
//! themselves. [`files`] puts a file on disk whole or not at all.
//!
//! Two shares of communication are told apart everywhere. *Exposed* communication lies on the critical path: without it
//! the token would be done sooner. *Busy* communication is the union of all transfers, hidden behind other work or not.
//!
//! ```
//! use reports::{Category, SystemInput, Time, analyse};
//! # use sim_core::{Context, Handle, Inspect, Simulation, Span, SpanId, Tag};
//! # #[derive(Debug)] struct Gpu;
//! # impl Inspect for Gpu {}
//! # impl<M: From<()>> Handle<(), M> for Gpu { fn handle(&mut self, _: (), _: &mut Context<'_, M>) {} }
//! # sim_core::system! { enum Node { Gpu(Gpu) accepts Nothing } enum Message { Nothing(()) } }
//! # let gpu = Simulation::<Node>::new(1).reserve::<Gpu>("gpu").id();
//! # let span = |number, kind, start, end, launch, cause: Option<u32>| Span {
//! #     id: SpanId { actor: gpu, number }, kind, category: Category::ComputeGpu, tag: Tag { step: 1, layer: None },
//! #     ready: Time::from_ps(start), start: Time::from_ps(start), end: Time::from_ps(end), launch: Time::from_ps(launch),
//! #     signal: Time::ZERO, bytes: 0, operations: 0, held_by: None,
//! #     cause: cause.map(|number| SpanId { actor: gpu, number }),
//! # };
//! // A kernel of 100 ps, the first 30 of which are its launch, and the mark at the end of token 1.
//! let kernel = span(0, "attention", 0, 100, 30, None);
//! let token = span(1, "token", 100, 100, 0, Some(0));
//! let input = SystemInput { name: "gpu".into(), actors: vec!["gpu".into()], spans: vec![kernel, token], ..SystemInput::default() };
//!
//! let report = analyse(&input)?;
//! assert_eq!(report.step_latency, [Time::from_ps(100)]);
//! assert_eq!(report.breakdown.get(Category::Launch), Time::from_ps(30));
//! assert_eq!(report.breakdown.get(Category::ComputeGpu), Time::from_ps(70));
//! assert_eq!(report.breakdown.total(), report.latency()); // Law 1.
//! # Ok::<(), reports::ReportError>(())
//! ```

pub mod analyse;
pub mod attention;
pub mod breakdown;
pub mod clustering;
pub mod commands;
pub mod critical_path;
pub mod csv;
pub mod energy;
pub mod error;
pub mod figure;
pub mod files;
pub mod html;
mod lanes;
pub mod laws;
pub mod perfetto;
pub mod prefill;
pub mod results;
pub mod run_info;
pub mod stopped;
pub mod summary;
mod sweep;
pub mod table;
pub mod text;
pub mod trace_view;

pub use analyse::{
    Accuracy, Assumption, KvBytes, Memory, PointReport, RunReport, SystemInput, SystemReport, Use, analyse,
};
pub use attention::AttentionView;
pub use breakdown::Breakdown;
pub use clustering::Clustering;
pub use critical_path::{Part, Segment};
pub use error::ReportError;
pub use prefill::{PrefillReport, PrefillShape};
pub use run_info::RunInfo;
pub use sim_core::{Bytes, Category, Meter, Span, SpanId, Time};
pub use stopped::{Stopped, Why};
