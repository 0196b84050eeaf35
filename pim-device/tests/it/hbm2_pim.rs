//! Samsung's HBM-PIM.

mod isa;
mod oracle;
mod properties;
mod reference;
mod rules;
mod timing;
mod values;
