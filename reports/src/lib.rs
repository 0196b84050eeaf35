//! From spans to breakdowns, critical paths, tables, figures and traces.
