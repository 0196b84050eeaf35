//! A channel and the program that it runs, which is executed by whoever has time for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sim_core::Ahead;

use crate::error::ProgramError;
use crate::program::Program;

use super::course::Course;
use super::engine::{Engine, Execution};

/// How many commands are executed in one go by a thread that works ahead: some ten microseconds.
const PIECE: u64 = 512;

/// A channel that other threads can work on while a program runs on it.
#[derive(Debug)]
pub(super) struct Channel(Mutex<Inner>);

/// What only one thread at a time can touch.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) engine: Engine,
    /// State: the program at hand, where it is executed while it runs.
    begun: Option<Begun>,
}

/// How far it is executed.
#[derive(Debug)]
enum Begun {
    InPart(Arc<Program>, Course),
    Whole(Result<Execution, ProgramError>),
}

impl Channel {
    pub(super) fn new(engine: Engine) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner { engine, begun: None })))
    }

    /// Waits for a thread that is at it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ahead for Channel {
    fn work(&self) -> bool {
        self.0.try_lock().is_ok_and(|mut inner| inner.go_on(PIECE))
    }
}

impl Inner {
    /// Begins a program that arrives at cycle `arrival`, see [`Engine::run`].
    pub(super) fn begin(&mut self, program: Arc<Program>, arrival: u64) {
        let course = self.engine.begin(&program, arrival);
        self.begun = Some(Begun::InPart(program, course));
    }

    /// Executes about so many commands of it; false where nothing is left.
    fn go_on(&mut self, commands: u64) -> bool {
        let Some(Begun::InPart(program, course)) = &mut self.begun else { return false };
        let ended = self.engine.go_on(program, course, commands).transpose();
        let goes_on = ended.is_none();
        if let Some(execution) = ended {
            self.begun = Some(Begun::Whole(execution));
        }
        goes_on
    }

    /// Executes what is left and gives what it came to; nothing where no program has begun.
    pub(super) fn end(&mut self) -> Option<Result<Execution, ProgramError>> {
        while self.go_on(u64::MAX) {}
        if let Some(Begun::Whole(execution)) = &self.begun { Some(execution.clone()) } else { None }
    }
}
