//! Ours: the real core, at the server and in the callers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicU64;

use bumpalo::Bump;
use mcrpc_core::admission::{self, Admission, Config, Cursor, Line};
use mcrpc_core::host::fail::{self, FailBuckets};
use mcrpc_core::host::region::Shared;
use mcrpc_core::select::call::Attempt;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{Settings, Spec};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::Nanos;

use super::{Answer, BlindRetries, CallView, ClientPolicy, Policy, QueueView, Request, Sending, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

/// How long a cursor holds that comes with a reply.
const HOLD_MS: u32 = 300;

/// A part of the whole that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Calls of a task in progress skip the cursor.
    Sticky,
    /// Callers do not send what would be refused, and tell of it; retries have a budget and go where there is room.
    Callers,
    /// Between windows requests are judged by their estimated wait.
    Gate,
    /// The least important part of what the cursor admits is judged more strictly.
    Band,
    /// More is admitted than the learnt capacity.
    Headroom,
    /// The number of workers is known.
    Workers,
    /// The processes of a server share one controller.
    Sharing,
    /// Replies say where the queue has moved the cursor.
    MovingCursor,
    /// Callers tell of what they withheld.
    Reports,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 9] = [
        Part::Sticky,
        Part::Callers,
        Part::Gate,
        Part::Band,
        Part::Headroom,
        Part::Workers,
        Part::Sharing,
        Part::MovingCursor,
        Part::Reports,
    ];

    /// The name of the policy without it.
    pub const fn without(self) -> &'static str {
        match self {
            Part::Sticky => "mcrpc without sticky",
            Part::Callers => "mcrpc without callers",
            Part::Gate => "mcrpc without gate",
            Part::Band => "mcrpc without band",
            Part::Headroom => "mcrpc without headroom",
            Part::Workers => "mcrpc, workers unknown",
            Part::Sharing => "mcrpc per process",
            Part::MovingCursor => "mcrpc, fixed cursor in replies",
            Part::Reports => "mcrpc without reports",
        }
    }
}

/// The policy.
pub struct Mcrpc {
    without: Option<Part>,
    policy: admission::Policy,
}

impl Mcrpc {
    /// All parts.
    pub fn whole() -> Mcrpc {
        Mcrpc { without: None, policy: admission::Policy::FeedForward }
    }

    /// All but one.
    pub fn without(part: Part) -> Mcrpc {
        Mcrpc { without: Some(part), ..Mcrpc::whole() }
    }

    /// With the library's pass rate in place of its own cursor.
    pub fn pass_rate() -> Mcrpc {
        Mcrpc { policy: admission::Policy::PassRate, ..Mcrpc::whole() }
    }

    fn has(&self, part: Part) -> bool {
        self.without != Some(part)
    }

    pub(super) fn config(&self, service: &Service, queues: usize) -> Config {
        const NO_LIMIT_MS: u32 = Config::MAX_MS;
        let workers = if self.has(Part::Workers) { service.workers_per_queue } else { 0 };
        let defaults = Config::DEFAULT;
        let gate = self.has(Part::Gate);
        Config {
            queue_count: queues as u32,
            workers_per_queue: workers as u32,
            policy: self.policy,
            fair_share: service.fair_share,
            soft_wait_limit_ms: if gate { defaults.soft_wait_limit_ms } else { NO_LIMIT_MS },
            hard_wait_limit_ms: if gate { defaults.hard_wait_limit_ms } else { NO_LIMIT_MS },
            marginal_band_per_10k: if self.has(Part::Band) { defaults.marginal_band_per_10k } else { 0 },
            headroom_per_10k: if self.has(Part::Headroom) { defaults.headroom_per_10k } else { 0 },
            ..defaults
        }
    }
}

impl Policy for Mcrpc {
    fn name(&self) -> &'static str {
        match (self.without, self.policy) {
            (Some(part), _) => part.without(),
            (None, admission::Policy::FeedForward) => "mcrpc",
            (None, admission::Policy::PassRate) => "mcrpc pass rate",
        }
    }

    fn server<'m>(&self, service: &Service, memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        let processes = service.queues * service.processes_per_queue;
        let shared = self.has(Part::Sharing);
        let config = self.config(service, if shared { service.queues } else { 1 });
        let controllers = if shared { 1 } else { processes };
        Box::new(Server {
            controllers: (0..controllers).map(|_| controller(&config, memory)).collect(),
            processes_per_queue: service.processes_per_queue,
            wrong_clock_ns: service.wrong_clock_ns,
            sticky: self.has(Part::Sticky),
            moving_cursor: self.has(Part::MovingCursor),
            reports: self.has(Part::Reports),
            fair_share: service.fair_share,
        })
    }

    fn clients<'m>(
        &self,
        services: &[Service],
        processes_of_hosts: &[usize],
        memory: &'m Bump,
    ) -> Box<dyn ClientPolicy + 'm> {
        if !self.has(Part::Callers) {
            return Box::new(BlindRetries);
        }
        let settings = Settings::DEFAULT;
        let mut processes = Vec::new();
        for &count in processes_of_hosts {
            let host: &FailBuckets = memory.alloc(host_cells(memory));
            processes.extend((0..count).map(|_| {
                Process {
                    sets: (0..services.len())
                        .map(|service| set(service, services[service].servers, &settings, host, memory))
                        .collect(),
                    host,
                }
            }));
        }
        Box::new(Clients { processes })
    }
}

fn controller<'m>(config: &Config, memory: &'m Bump) -> Admission<'m> {
    let len = Admission::memory_size(config).expect("the settings are within their ranges") / size_of::<Line>();
    let lines = memory.alloc_slice_fill_with(len, |_| Line::zeroed());
    Admission::new(lines, config, Nanos(1)).expect("the memory is as long as was asked")
}

struct Server<'m> {
    controllers: Vec<Admission<'m>>,
    processes_per_queue: usize,
    wrong_clock_ns: u64,
    sticky: bool,
    moving_cursor: bool,
    reports: bool,
    fair_share: bool,
}

impl<'m> Server<'m> {
    /// The controller that a request meets, and the number of its queue there.
    fn of(&self, request: &Request) -> (&Admission<'m>, u32) {
        match self.controllers.len() {
            1 => (&self.controllers[0], request.queue as u32),
            _ => (&self.controllers[request.queue * self.processes_per_queue + request.process], 0),
        }
    }

    /// A time on the clock of the process that a request came to.
    fn clock(&self, request: &Request, at: Nanos) -> Nanos {
        let is_wrong = request.queue == 0 && request.process == 0;
        at.plus(if is_wrong { self.wrong_clock_ns } else { 0 })
    }
}

impl ServerPolicy for Server<'_> {
    fn admit(&mut self, request: &Request, _: QueueView, _: &mut Stream, now: Nanos) -> Result<(), Status> {
        let (controller, queue) = self.of(request);
        if request.withheld.count > 0 && self.reports {
            controller.withheld(queue, request.withheld.key, request.withheld.count)?;
        }
        let request_of_core = admission::Request {
            key: request.key,
            deadline: self.clock(request, request.deadline),
            is_retry: request.is_retry,
            continues_task: request.continues_task && self.sticky,
            tenant: if self.fair_share { request.caller as u16 % 63 + 1 } else { 0 },
        };
        controller.admit(queue, &request_of_core, self.clock(request, now))
    }

    fn dequeue(&mut self, request: &Request, _: QueueView, now: Nanos) -> Result<(), Status> {
        let (controller, queue) = self.of(request);
        let [admitted, deadline, now] = [request.received, request.deadline, now].map(|at| self.clock(request, at));
        controller.dequeued(queue, admitted, deadline, now)
    }

    fn done(&mut self, request: &Request, started: Nanos, _: QueueView, now: Nanos) {
        let (controller, queue) = self.of(request);
        controller.done(queue, self.clock(request, started), self.clock(request, now)).expect("there is such a queue");
    }

    fn level(&mut self, request: &Request, _: QueueView, _: Nanos) -> u32 {
        let (controller, queue) = self.of(request);
        let cursor = controller.cursor(queue);
        // Open is open: while nobody waits.
        if self.moving_cursor || cursor == Cursor::OPEN { cursor.0 } else { controller.snapshot().cursor.0 }
    }
}

/// What the processes of a host know together.
fn host_cells<'m>(memory: &'m Bump) -> FailBuckets<'m> {
    const CAPACITY: u32 = 64;
    let len = fail::segment_len(CAPACITY);
    let words = Shared::new(memory.alloc_slice_fill_with(len / 8, |_| AtomicU64::new(0)));
    fail::create(words, CAPACITY, 1, 1).expect("the memory is as long as was asked");
    FailBuckets::attach(words, len as u64).expect("it was just created")
}

fn set<'m>(
    service: usize,
    servers: usize,
    settings: &Settings,
    host: &FailBuckets<'m>,
    memory: &'m Bump,
) -> EndpointSet<'m> {
    let len = EndpointSet::memory_len(settings).expect("the settings are within their ranges");
    let words = Shared::new(memory.alloc_slice_fill_with(len, |_| AtomicU64::new(0)));
    let set = EndpointSet::create(words, settings).expect("the memory is as long as was asked");
    let spec = |server: usize| Spec {
        endpoint: Endpoint::new(
            SocketAddr::from((Ipv4Addr::new(10, service as u8, (server >> 8) as u8, server as u8), 80)),
            service as u32,
        ),
        weight: 100,
        region: 0,
        zone: 0,
        group: 0,
        user_data: server as u64,
    };
    set.replace(servers, &spec, &[], &view(host)).expect("there is room for the servers");
    set
}

fn view<'h, 'a>(host: &'h FailBuckets<'a>) -> HostView<'h, 'a> {
    HostView { fail: Some(host), ..HostView::default() }
}

struct Process<'m> {
    sets: Vec<EndpointSet<'m>>,
    host: &'m FailBuckets<'m>,
}

struct Clients<'m> {
    processes: Vec<Process<'m>>,
}

impl ClientPolicy for Clients<'_> {
    fn send(&mut self, call: &mut CallView<'_>, _: &mut Stream, now: Nanos) -> Option<Sending> {
        let process = &self.processes[call.process];
        let choice = process.sets[call.service].select(call.call, Attempt::Next, &view(process.host), now).ok()?;
        Some(Sending { server: choice.user_data as usize, withheld: choice.withheld, choice: Some(choice) })
    }

    fn answered(&mut self, call: &CallView<'_>, sent: &Sending, answer: &Answer, now: Nanos) {
        let process = &self.processes[call.process];
        let (set, host) = (&process.sets[call.service], view(process.host));
        let Some(choice) = &sent.choice else { return };
        set.report(choice, Outcome::of(answer.status), answer.elapsed_ns, &host, now);
        if let Some(level) = answer.level {
            set.heard(choice, Cursor(level), HOLD_MS, &host, now);
        }
    }
}
