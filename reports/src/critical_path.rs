//! The chain of jobs that decided when a token was done.
//!
//! The walk begins at the mark of a token and goes back, cause by cause, to the mark of the token before. Of each span
//! on the way it takes, from the latest to the earliest:
//!
//! ```text
//!   cause.end      ready             start      start+launch            end
//!      |--signal-----|---waiting-------|---launch----|------body---------|
//!         Launch        the holder's       Launch      the category
//! ```
//!
//! A job that waited for its resource was decided by the job that held it, not by its cause: the walk goes on with the
//! holder, whose own body is what the time was spent on (a copy that waits for a copy is communication). What no holder
//! explains is Queue. The pieces tile the token's latency to the picosecond, or the walk fails (law 1).
//!
//! *Invariant:* nothing is rounded, stretched or put down as "other" to make the sum right.

use sim_core::{Category, Span, SpanId, Time};

use crate::error::ReportError;

/// What a piece of the critical path is of its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The news of the predecessor's end travels.
    Signal,
    /// It waits for arbitration: nobody holds its resource.
    Waiting,
    /// The fixed cost at the beginning of the job.
    Launch,
    /// The job itself.
    Body,
}

/// A piece of a critical path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its beginning, in simulated time.
    pub from: Time,
    /// Its end, where the next segment begins.
    pub to: Time,
    /// What it counts as.
    pub category: Category,
    /// The span that the time was spent on.
    pub span: SpanId,
    /// The kind of that span.
    pub kind: &'static str,
    /// What it is of that span.
    pub part: Part,
}

impl Segment {
    /// How long it is.
    pub fn duration(&self) -> Time {
        self.to - self.from
    }
}

/// Actor index and number, the name of a job in any representation.
pub(crate) type JobId = (u32, u32);

/// What the walk needs to know of a job; spans in memory and rows of spans.csv both are jobs.
pub(crate) trait Job {
    fn id(&self) -> JobId;
    fn category(&self) -> Category;
    fn ready(&self) -> Time;
    fn start(&self) -> Time;
    fn end(&self) -> Time;
    fn launch(&self) -> Time;
    fn signal(&self) -> Time;
    fn cause(&self) -> Option<JobId>;
    fn held_by(&self) -> Option<JobId>;
    /// Which token's end it marks.
    fn token(&self) -> Option<u32>;
}

pub(crate) fn job_id(id: SpanId) -> JobId {
    (id.actor.index() as u32, id.number)
}

impl Job for Span {
    fn id(&self) -> JobId {
        job_id(self.id)
    }
    fn category(&self) -> Category {
        self.category
    }
    fn ready(&self) -> Time {
        self.ready
    }
    fn start(&self) -> Time {
        self.start
    }
    fn end(&self) -> Time {
        self.end
    }
    fn launch(&self) -> Time {
        self.launch
    }
    fn signal(&self) -> Time {
        self.signal
    }
    fn cause(&self) -> Option<JobId> {
        self.cause.map(job_id)
    }
    fn held_by(&self) -> Option<JobId> {
        self.held_by.map(job_id)
    }
    fn token(&self) -> Option<u32> {
        (self.kind == "token").then_some(self.tag.step)
    }
}

/// Law 1 does not hold at this job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The job's place in the slice.
    pub(crate) job: usize,
    pub(crate) what: String,
}

/// A segment that names its job by its place in the slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) from: Time,
    pub(crate) to: Time,
    pub(crate) category: Category,
    pub(crate) part: Part,
    pub(crate) job: usize,
}

/// Jobs that can be found by name.
#[derive(Debug)]
pub(crate) struct Jobs<'a, J> {
    jobs: &'a [J],
    /// Places in `jobs`, ordered by name. Not a table by number: the numbers of a file may be anything.
    by_id: Vec<u32>,
}

impl<'a, J: Job> Jobs<'a, J> {
    pub(crate) fn new(jobs: &'a [J]) -> Self {
        let mut by_id: Vec<u32> = (0..jobs.len() as u32).collect();
        by_id.sort_unstable_by_key(|&place| jobs[place as usize].id());
        Self { jobs, by_id }
    }

    /// The place of a job.
    pub(crate) fn find(&self, id: JobId) -> Option<usize> {
        let found = self.by_id.binary_search_by_key(&id, |&place| self.jobs[place as usize].id());
        found.ok().map(|i| self.by_id[i] as usize)
    }

    /// Checks that every job has a name of its own, times in order, and a cause that explains when it was ready.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        for pair in self.by_id.windows(2) {
            if self.jobs[pair[0] as usize].id() == self.jobs[pair[1] as usize].id() {
                let what = "two spans have this name".to_owned();
                return Err(Broken { job: pair[1] as usize, what });
            }
        }
        (0..self.jobs.len()).try_for_each(|job| self.cause_of(job).map(|_| ()))
    }

    /// Where each token ends: the places of the marks of token 1, 2, ..., with that of the prefill before them.
    pub(crate) fn tokens(&self) -> Result<Vec<usize>, Broken> {
        let marks = self.jobs.iter().enumerate();
        let mut marks: Vec<(u32, usize)> = marks.filter_map(|(i, job)| Some((job.token()?, i))).collect();
        marks.sort_unstable();
        let mut last = Time::ZERO;
        // Token 0 is what a prefill ends with; without one the first is token 1.
        let first = marks.first().map_or(1, |&(step, _)| step.min(1));
        for (&(step, job), expected) in marks.iter().zip(first..) {
            if step != expected {
                let what = format!("it marks the end of token {step} where token {expected} was due");
                return Err(Broken { job, what });
            }
            let end = self.jobs[job].end();
            if end < last {
                let what =
                    format!("token {step} ends at {} ps, before token {} at {} ps", end.ps(), step - 1, last.ps());
                return Err(Broken { job, what });
            }
            last = end;
        }
        Ok(marks.into_iter().map(|(_, job)| job).collect())
    }

    /// The critical path of every token, in the order of time.
    pub(crate) fn critical_paths(&self) -> Result<Vec<Vec<Piece>>, Broken> {
        let mut from = Time::ZERO;
        let mut paths = Vec::new();
        for token in self.tokens()? {
            paths.push(self.walk(token, from)?);
            from = self.jobs[token].end();
        }
        Ok(paths)
    }

    /// The order of a job's own times.
    fn check_times(&self, job: usize) -> Result<&'a J, Broken> {
        let span = &self.jobs[job];
        let (ready, start, end) = (span.ready(), span.start(), span.end());
        let broken = |what| Err(Broken { job, what });
        if ready > start || start > end {
            let (ready, start, end) = (ready.ps(), start.ps(), end.ps());
            return broken(format!("ready {ready} ps, start {start} ps and end {end} ps are not in this order"));
        }
        if span.launch() > end - start {
            let (launch, length) = (span.launch().ps(), (end - start).ps());
            return broken(format!("its launch of {launch} ps is longer than the {length} ps from start to end"));
        }
        if span.signal() > span.ready() {
            let (signal, ready) = (span.signal().ps(), ready.ps());
            return broken(format!(
                "its signal of {signal} ps would have been sent before time 0 to arrive at {ready} ps"
            ));
        }
        Ok(span)
    }

    /// The place of the cause, which ended exactly one signal before the job was ready.
    fn cause_of(&self, job: usize) -> Result<Option<usize>, Broken> {
        let span = self.check_times(job)?;
        let Some(id) = span.cause() else { return Ok(None) };
        let Some(cause) = self.find(id) else {
            let what = format!("its cause {}:{} is not among the spans", id.0, id.1);
            return Err(Broken { job, what });
        };
        let end = self.jobs[cause].end();
        if end + span.signal() != span.ready() {
            let (end, signal, ready) = (end.ps(), span.signal().ps(), span.ready().ps());
            let what = format!(
                "its cause {}:{} ended at {end} ps and the signal took {signal} ps, but it was ready at {ready} ps",
                id.0, id.1
            );
            return Err(Broken { job, what });
        }
        Ok(Some(cause))
    }

    fn walk(&self, token: usize, from: Time) -> Result<Vec<Piece>, Broken> {
        let mut path = Path { pieces: Vec::new(), from, steps: 0 };
        let mut job = token;
        loop {
            let span = self.check_times(job)?;
            path.job(job, span, span.end());
            if span.start() <= from {
                break;
            }
            let before = if let Some(holder) = self.holder_of(job)? {
                path.push(self.jobs[holder].end(), span.start(), Category::Queue, Part::Waiting, job);
                Some(holder)
            } else {
                path.push(span.ready(), span.start(), Category::Queue, Part::Waiting, job);
                let sent = span.ready() - span.signal();
                path.push(sent, span.ready(), Category::Launch, Part::Signal, job);
                let cause = self.cause_of(job)?;
                if sent <= from {
                    break;
                }
                cause
            };
            // Each job is left at a time not after the one at which it was entered, so only jobs without any length can
            // go in a circle.
            path.steps += 1;
            job = match before {
                Some(before) if path.steps <= self.jobs.len() => before,
                Some(_) => {
                    let what = "its causes go in a circle".to_owned();
                    return Err(Broken { job, what });
                }
                None => {
                    let what = format!("it was ready at {} ps without a cause", span.ready().ps());
                    return Err(Broken { job, what });
                }
            };
        }
        path.pieces.reverse();
        self.check_tiling(token, from, &path.pieces)?;
        Ok(path.pieces)
    }

    /// The job that kept this one waiting: it held the resource after this one was ready.
    fn holder_of(&self, job: usize) -> Result<Option<usize>, Broken> {
        let span = &self.jobs[job];
        let Some(id) = span.held_by().filter(|_| span.ready() < span.start()) else { return Ok(None) };
        let Some(holder) = self.find(id) else {
            let what = format!("the span {}:{} that held its resource is not among the spans", id.0, id.1);
            return Err(Broken { job, what });
        };
        let held = self.check_times(holder)?;
        if held.end() > span.start() {
            let (end, start) = (held.end().ps(), span.start().ps());
            let what = format!("it started at {start} ps, while {}:{} held its resource until {end} ps", id.0, id.1);
            return Err(Broken { job, what });
        }
        Ok(Some(holder).filter(|_| held.end() > span.ready()))
    }

    /// Law 1: the pieces follow each other without hole or overlap.
    fn check_tiling(&self, token: usize, from: Time, pieces: &[Piece]) -> Result<(), Broken> {
        let mut at = from;
        for piece in pieces {
            if piece.from != at {
                let what = format!("the critical path goes from {} ps to {} ps", at.ps(), piece.from.ps());
                return Err(Broken { job: piece.job, what });
            }
            at = piece.to;
        }
        let end = self.jobs[token].end();
        if at != end {
            let what = format!("the critical path ends at {} ps, the token at {} ps", at.ps(), end.ps());
            return Err(Broken { job: token, what });
        }
        Ok(())
    }
}

/// A critical path as it is found, latest piece first.
#[derive(Debug)]
struct Path {
    pieces: Vec<Piece>,
    /// The end of the token before; nothing earlier belongs to the path.
    from: Time,
    steps: usize,
}

impl Path {
    fn push(&mut self, from: Time, to: Time, category: Category, part: Part, job: usize) {
        let from = from.max(self.from);
        if from < to {
            self.pieces.push(Piece { from, to, category, part, job });
        }
    }

    /// `start..end` of a job, up to `to`.
    fn job<J: Job>(&mut self, job: usize, span: &J, to: Time) {
        let body = span.start() + span.launch();
        self.push(body, to, span.category(), Part::Body, job);
        self.push(span.start(), body, Category::Launch, Part::Launch, job);
    }
}

/// The critical path of every token, that of the prefill (token 0) before them: the first from time 0 to its mark, the others from mark to mark.
///
/// # Errors
/// [`ReportError::LawBroken`] where a span contradicts its cause, where tokens are missing or out of order, and where
/// the path does not reach back to the token before.
pub fn critical_path(system: &str, actors: &[String], spans: &[Span]) -> Result<Vec<Vec<Segment>>, ReportError> {
    let jobs = Jobs::new(spans);
    let paths = jobs.check().and_then(|()| jobs.critical_paths());
    let paths = paths.map_err(|broken| law_broken(system, actors, spans, &broken))?;
    let segment = |piece: &Piece| Segment {
        from: piece.from,
        to: piece.to,
        category: piece.category,
        span: spans[piece.job].id,
        kind: spans[piece.job].kind,
        part: piece.part,
    };
    Ok(paths.iter().map(|path| path.iter().map(segment).collect()).collect())
}

fn law_broken(system: &str, actors: &[String], spans: &[Span], broken: &Broken) -> ReportError {
    let span = &spans[broken.job];
    ReportError::LawBroken {
        law: 1,
        system: system.to_owned(),
        actor: crate::text::actor_name(actors, span.id.actor.index()),
        subject: format!("span {} ({})", span.id, span.kind),
        at: span.start,
        what: broken.what.clone(),
    }
}
