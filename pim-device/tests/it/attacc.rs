//! Rule set `attacc`: against a plain oracle, and with each of its rules broken.

mod golden;
mod oracle;
mod random;
mod rules;
