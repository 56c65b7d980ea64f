//! Servers that take turns, in short rounds, so that what else the machine does hits them alike.

use crate::framing::Framing;
use crate::load::Load;
use crate::measure::Series;
use crate::process::{Client, Server};
use crate::shape::{Figures, Shape};

/// A server and who calls it.
pub struct Subject<'s> {
    pub name: &'static str,
    server: &'s Server,
    calls: Calls,
}

enum Calls {
    Raw(Framing, Option<(usize, Load)>),
    Client(Client),
}

/// What was found of one subject, round by round.
#[derive(Default)]
pub struct Results {
    pub per_second: Series,
    pub p50_us: Series,
    pub p99_us: Series,
    /// What the server's threads ran for, per request.
    pub server_ns: Series,
    /// What the threads of its own client ran for, per request.
    pub client_ns: Series,
    pub refused: u64,
}

impl<'s> Subject<'s> {
    /// Called by the load generator.
    pub fn raw(name: &'static str, server: &'s Server, framing: Framing) -> Subject<'s> {
        Subject { name, server, calls: Calls::Raw(framing, None) }
    }

    /// Called by its own client.
    pub fn pair(name: &'static str, server: &'s Server, client: Client) -> Subject<'s> {
        Subject { name, server, calls: Calls::Client(client) }
    }

    fn client_cpu_ns(&self) -> u64 {
        match &self.calls {
            Calls::Client(client) => client.cpu_ns(),
            Calls::Raw(..) => 0,
        }
    }

    fn round(&mut self, shape: &Shape) -> Figures {
        match &mut self.calls {
            Calls::Client(client) => client.round(shape),
            Calls::Raw(framing, load) => {
                if load.as_ref().is_none_or(|(connections, _)| *connections != shape.connections) {
                    let fresh = Load::connect(self.server.address, framing.clone(), shape.connections);
                    *load = Some((shape.connections, fresh));
                }
                let (_, load) = load.as_mut().expect("it is connected");
                load.round(shape)
            }
        }
    }
}

/// So many rounds, in each of which each subject has one turn; the shape may be another for each.
pub fn contest<const N: usize>(subjects: &mut [(Subject<'_>, Shape); N], rounds: usize) -> [Results; N] {
    let mut results = [const { None }; N].map(|_: Option<()>| Results::default());
    for round in 0..rounds {
        for turn in 0..N {
            // Whoever comes first in one round comes last in the next.
            let index = if round % 2 == 0 { turn } else { N - 1 - turn };
            let (subject, shape) = &mut subjects[index];
            let before_ns = [subject.server.cpu_ns(), subject.client_cpu_ns()];
            let figures = subject.round(shape);
            let after_ns = [subject.server.cpu_ns(), subject.client_cpu_ns()];
            let [server_ns, client_ns] =
                [0, 1].map(|side| (after_ns[side] - before_ns[side]) as f64 / figures.answered as f64);
            let found = &mut results[index];
            found.per_second.push(vec![figures.per_second]);
            found.p50_us.push(vec![figures.p50_us]);
            found.p99_us.push(vec![figures.p99_us]);
            found.server_ns.push(vec![server_ns]);
            found.client_ns.push(vec![client_ns]);
            found.refused += figures.refused;
        }
    }
    results
}
