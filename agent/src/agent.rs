//! A second of the agent: it takes what all processes met, and publishes what follows from it, and how busy their CPUs are.
//!
//! For each endpoint the strategies file decides; where it says nothing, the generator says which share of the calls
//! passes, and the endpoint itself, by the cursor in its replies, which of them it refuses. An agent that is started anew goes
//! on from the table: an entry of an endpoint that the file does not name and that processes call was generated.

use std::collections::HashMap;

use mcrpc_core::host::control::Control;
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::id::Per10k;
use mcrpc_core::shield::rate::RateRules;
use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::time::Nanos;

use crate::cells::Cells;
use crate::cpu::sampler::Sampler;
use crate::cpu::seats::CpuSeats;
use crate::endpoints::{Endpoints, Look};
use crate::event::Event;
use crate::file::StrategiesFile;
use crate::generator::Generator;
use crate::probe::{Probed, Prober, Question};
use crate::publisher::Publisher;
use crate::reports::desk::{Desk, Host};
use crate::reports::socket::Sender;

const PASSES_ALL: Entry = Entry { pass_rate: Per10k::ALL, kind: Kind::Normal, reject_level: RejectLevel::OPEN };

/// Where strategies, shields and CPU use come from.
#[derive(Default)]
pub struct Sources {
    /// What a person has written down.
    pub file: Option<StrategiesFile>,
    /// What is computed from the outcomes of calls.
    pub generator: Option<Generator>,
    /// When an endpoint is shielded for the outcomes of all processes together.
    pub rules: Option<RateRules>,
    /// What shielded endpoints are asked; `None`: they are not probed.
    pub probes: Option<Question>,
    /// How busy the CPUs of the processes are.
    pub cpu: Option<Sampler>,
}

/// The agent, without a clock.
pub struct Agent {
    publisher: Publisher,
    file: Option<StrategiesFile>,
    generator: Option<Generator>,
    probes: Option<Question>,
    cells: Cells,
    cpu: Option<CpuSeats>,
    endpoints: Endpoints,
    /// What was published last, but what the file said.
    computed: HashMap<Endpoint, Computed>,
    /// Whether a reject level is among it.
    has_levels: bool,
    to_probe: Vec<Endpoint>,
    desk: Desk,
    is_first: bool,
    last_table_error: String,
    last_cells_error: String,
}

#[derive(Clone, Copy)]
struct Computed {
    entry: Entry,
    counts: Counts,
}

impl Agent {
    /// An agent that publishes there.
    pub fn new(publisher: Publisher, sources: Sources) -> Agent {
        let Sources { file, generator, rules, probes, cpu } = sources;
        Agent {
            publisher,
            file,
            generator,
            probes,
            cells: Cells::default(),
            cpu: cpu.map(CpuSeats::new),
            endpoints: Endpoints::new(rules),
            computed: HashMap::new(),
            has_levels: false,
            to_probe: Vec::new(),
            desk: Desk::default(),
            is_first: true,
            last_table_error: String::new(),
            last_cells_error: String::new(),
        }
    }

    /// To be called about once a second, with the time of the monotonic clock. What there is to tell.
    pub fn second(&mut self, now: Nanos) -> Vec<Event> {
        let mut events = Vec::new();
        let file_changed = self.poll_files(&mut events) | self.is_first;
        let look = self.look(now, &mut events);
        let mut computed = self.compute(&look, now);
        if let Some(file) = &self.file {
            computed.retain(|endpoint, _| !file.strategies().contains_key(endpoint));
        }
        self.publish(computed, file_changed);
        self.refresh(&mut events);
        if let Some(cpu) = &mut self.cpu {
            cpu.second(self.publisher.directory(), now);
        }
        self.to_probe = if self.probes.is_some() { look.to_probe } else { Vec::new() };
        if !look.judged.is_empty() {
            events.push(Event::Judged(look.judged));
        }
        events.extend(self.desk.refused().map(Event::ReportsRefused));
        self.is_first = false;
        events
    }

    /// Who asks what this agent wants to be asked.
    pub fn prober(&self) -> Prober {
        Prober::new(self.probes.unwrap_or_default())
    }

    /// The endpoints that are to be probed in this second, once.
    pub fn take_to_probe(&mut self) -> Vec<Endpoint> {
        std::mem::take(&mut self.to_probe)
    }

    /// A probe has ended.
    pub fn probed(&mut self, probed: &Probed, now: Nanos) {
        if let Some(cells) = self.cells.get() {
            self.endpoints.probed(&probed.endpoint, probed.is_answered, &cells, now);
        }
    }

    /// Whether there is something to add reports to: not before the first second, nor while the segment is damaged.
    pub fn counts(&self) -> bool {
        self.cells.get().is_some()
    }

    /// A process that cannot use the shared memory has sent a report ([`crate::reports`]). What it is answered.
    pub fn reported(&mut self, datagram: &[u8], sender: Option<&Sender>, now: Nanos) -> String {
        let Agent { publisher, file, cells, computed, desk, .. } = self;
        let mapping = publisher.directory().map(Segment::Control).ok();
        let control = mapping.as_ref().and_then(|mapping| Control::attach(mapping.view(), mapping.len()).ok());
        let published = |endpoint: &Endpoint| {
            let said = file.as_ref().and_then(|file| file.strategies().get(endpoint));
            said.or_else(|| computed.get(endpoint).map(|it| &it.entry)).copied().unwrap_or(PASSES_ALL)
        };
        desk.take(datagram, sender, &Host { cells: cells.get(), control, published: &published }, now)
    }

    /// Whether an endpoint's reject level is published.
    pub fn has_levels(&self) -> bool {
        self.has_levels
    }

    /// Lets the reject levels that are published follow the endpoints' cursors, which hold for a fraction of a second: a
    /// level must not outlive its cursor by a whole one.
    pub fn follow_levels(&mut self, now: Nanos) {
        let Some(cells) = self.cells.get() else { return };
        self.has_levels = false;
        for (endpoint, Computed { entry, counts }) in &mut self.computed {
            if entry.reject_level == RejectLevel::OPEN {
                continue;
            }
            let level = level(endpoint, &cells, now);
            if level != entry.reject_level {
                entry.reject_level = level;
                let _ = self.publisher.set(endpoint, entry, *counts);
            }
            self.has_levels |= level != RejectLevel::OPEN;
        }
    }

    /// Ends publishing on purpose.
    pub fn close(self) {
        self.publisher.close();
    }

    /// Whether the strategies file has changed.
    fn poll_files(&mut self, events: &mut Vec<Event>) -> bool {
        let file = self.file.as_mut().map_or(Ok(false), StrategiesFile::poll);
        let rules = self.generator.as_mut().map_or(Ok(false), Generator::poll);
        let changed = matches!(file, Ok(true));
        events.extend([file, rules].into_iter().filter_map(Result::err).map(Event::FileRefused));
        changed
    }

    fn look(&mut self, now: Nanos, events: &mut Vec<Event>) -> Look {
        let mut renewed = self.cells.renew(self.publisher.directory());
        if renewed.as_ref().is_err_and(|error| error.is_of_the_file()) {
            match self.publisher.mend() {
                Ok(segments) => {
                    events.extend(segments.into_iter().filter_map(Event::of_outcome));
                    renewed = self.cells.renew(self.publisher.directory());
                }
                Err(error) => renewed = Err(error),
            }
        }
        let error = renewed.as_ref().map_or_else(ToString::to_string, |_| String::new());
        if error != self.last_cells_error && !error.is_empty() {
            events.push(Event::NoOutcomes(error.clone()));
        }
        self.last_cells_error = error;
        let Some(cells) = self.cells.get() else { return Look::default() };
        if matches!(renewed, Ok(true)) {
            self.endpoints.rebase(&cells);
        }
        self.endpoints.look(&cells, now)
    }

    /// What follows from the outcomes.
    fn compute(&mut self, look: &Look, now: Nanos) -> HashMap<Endpoint, Computed> {
        let mut computed = HashMap::new();
        if let Some(generator) = &mut self.generator {
            if self.is_first {
                for (record, entry) in self.publisher.entries() {
                    let is_named = self.file.as_ref().is_some_and(|it| it.strategies().contains_key(&record.endpoint));
                    if entry.kind == Kind::Normal && !is_named && self.endpoints.contains(&record.endpoint) {
                        generator.adopt(record.endpoint, entry.pass_rate, now);
                    }
                }
            }
            for &endpoint in &look.left_to_breaker {
                generator.adopt(endpoint, Per10k::ALL, now);
            }
            look.gone.iter().for_each(|endpoint| generator.forget(endpoint));
            for generated in generator.next(look.totals.iter().copied(), now) {
                let (entry, counts) = (generated.entry, generated.counts);
                if !entry.passes_all() {
                    computed.insert(generated.endpoint, Computed { entry, counts });
                }
            }
        }
        for &(endpoint, reject_level) in &look.levels {
            let passes_all = Computed { entry: PASSES_ALL, counts: Counts::default() };
            computed.entry(endpoint).or_insert(passes_all).entry.reject_level = reject_level;
        }
        computed
    }

    /// What is refused now gets its place in the new table that the refresh makes.
    fn publish(&mut self, computed: HashMap<Endpoint, Computed>, file_changed: bool) {
        self.has_levels = computed.values().any(|it| it.entry.reject_level != RejectLevel::OPEN);
        let before = std::mem::replace(&mut self.computed, computed);
        let (computed, file) = (&self.computed, self.file.as_ref().map(StrategiesFile::strategies));
        let is_unwanted = |endpoint: &Endpoint| {
            !computed.contains_key(endpoint) && !file.is_some_and(|file| file.contains_key(endpoint))
        };
        let mut gone: Vec<_> = before.into_keys().filter(is_unwanted).collect();
        if file_changed {
            gone.extend(self.publisher.entries().map(|(record, _)| record.endpoint).filter(is_unwanted));
        }
        for endpoint in &gone {
            self.publisher.remove(endpoint);
        }
        for (endpoint, entry) in file.into_iter().flatten() {
            let _ = self.publisher.set(endpoint, entry, Counts::default());
        }
        for (endpoint, Computed { entry, counts }) in computed {
            let _ = self.publisher.set(endpoint, entry, *counts);
        }
    }

    fn refresh(&mut self, events: &mut Vec<Event>) {
        let error = match self.publisher.refresh() {
            Ok(refreshed) => {
                events.extend(refreshed.replaced.map(Event::TableReplaced));
                String::new()
            }
            Err(error) => error.to_string(),
        };
        if error != self.last_table_error && !error.is_empty() {
            events.push(Event::TableNotReplaced(error.clone()));
        }
        self.last_table_error = error;
    }
}

fn level(endpoint: &Endpoint, cells: &FailBuckets<'_>, now: Nanos) -> RejectLevel {
    let cell = cells.bucket(endpoint).and_then(|id| cells.health(id));
    cell.map_or(RejectLevel::OPEN, |health| RejectLevel::from_cursor(health.cursor(now)))
}
