//! The machines of one run, and what happens to them.
//!
//! Each is a process of the C++ server on a port of its own, which can be killed, started again or stopped in the middle;
//! only those that are to answer late or to reset connections are [`Switchable`].

use std::time::Duration;

use anyhow::{Context, Result};

use super::super::port::free_port;
use super::super::server::Server;
use super::clock::{Moments, sleep_until};
use super::plan::{FAILING_SHARE, FLAP, Fault, Machine, SLOW};
use super::shares;
use super::switchable::{Behaviour, Switchable};

/// The machines of a service, all running.
pub(crate) struct Fleet {
    fault: Fault,
    ports: Vec<u16>,
    /// `None`: it is down.
    running: Vec<Option<Running>>,
}

enum Running {
    Server(Box<Server>),
    Switchable(Switchable),
}

impl Fleet {
    /// Starts all machines for a fault.
    pub(crate) async fn start(fault: Fault) -> Result<Fleet> {
        let mut fleet = Fleet { fault, ports: Vec::new(), running: Vec::new() };
        let faulty = fault.faulty();
        for (index, machine) in fault.machines().iter().enumerate() {
            let port = free_port()?;
            let is_switchable = matches!(fault, Fault::Slow | Fault::Reset | Fault::All) && faulty.contains(&index);
            let running = if is_switchable {
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await;
                let listener = listener.with_context(|| format!("cannot listen on port {port}"))?;
                Running::Switchable(Switchable::new(listener, healthy(machine)))
            } else {
                Running::Server(Box::new(Server::start_with(port, machine.service_ms, &[]).await?))
            };
            fleet.ports.push(port);
            fleet.running.push(Some(running));
        }
        Ok(fleet)
    }

    /// The machines as the client's option has them.
    pub(crate) fn endpoints(&self) -> String {
        let machines = self.fault.machines().iter().zip(&self.ports);
        let texts = machines.map(|(machine, port)| format!("127.0.0.1:{port}/{}/{}", machine.zone, machine.weight));
        texts.collect::<Vec<_>>().join(",")
    }

    /// The share of the users that each machine has while all are well.
    pub(crate) fn usual_shares(&self) -> Result<Vec<f64>> {
        shares::usual(self.fault, &self.ports)
    }

    /// Lets the fault happen, from its beginning to its end.
    pub(crate) async fn suffer(&mut self, moments: &Moments) -> Result<()> {
        sleep_until(moments.fault_from_ms).await;
        if self.fault == Fault::Flap {
            return self.flap(moments).await;
        }
        self.begin().await?;
        sleep_until(moments.fault_to_ms).await;
        self.end().await
    }

    async fn begin(&mut self) -> Result<()> {
        for index in self.fault.faulty() {
            let machine = self.fault.machines()[index];
            match (self.fault, &self.running[index]) {
                (Fault::Down | Fault::Zone | Fault::Flap, _) => self.kill(index).await?,
                (Fault::Hang, Some(Running::Server(server))) => server.freeze(),
                (Fault::Slow, Some(Running::Switchable(switchable))) => switchable.set(Behaviour::Answers(SLOW)),
                (Fault::Reset, Some(Running::Switchable(switchable))) => switchable.set(Behaviour::Resets),
                (Fault::All, Some(Running::Switchable(switchable))) => {
                    switchable.set(Behaviour::ResetsShare(FAILING_SHARE, service_time(&machine)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<()> {
        for index in self.fault.faulty() {
            let machine = self.fault.machines()[index];
            match &self.running[index] {
                None => {
                    let server = Server::start_with(self.ports[index], machine.service_ms, &[]).await?;
                    self.running[index] = Some(Running::Server(Box::new(server)));
                }
                Some(Running::Server(server)) => server.thaw(),
                Some(Running::Switchable(switchable)) => switchable.set(healthy(&machine)),
            }
        }
        Ok(())
    }

    async fn kill(&mut self, index: usize) -> Result<()> {
        match self.running[index].take() {
            Some(Running::Server(server)) => server.kill().await,
            _ => Ok(()),
        }
    }

    async fn flap(&mut self, moments: &Moments) -> Result<()> {
        let half_ms = FLAP.as_millis() as u64;
        let mut at_ms = moments.fault_from_ms;
        while at_ms < moments.fault_to_ms {
            self.begin().await?;
            sleep_until((at_ms + half_ms).min(moments.fault_to_ms)).await;
            self.end().await?;
            at_ms += 2 * half_ms;
            sleep_until(at_ms.min(moments.fault_to_ms)).await;
        }
        Ok(())
    }

    /// Ends all machines; an error if one was not running well any more.
    pub(crate) async fn stop(self) -> Result<()> {
        for running in self.running {
            if let Some(Running::Server(server)) = running {
                server.stop().await?;
            }
        }
        Ok(())
    }
}

fn service_time(machine: &Machine) -> Duration {
    Duration::from_millis(machine.service_ms.into())
}

fn healthy(machine: &Machine) -> Behaviour {
    Behaviour::Answers(service_time(machine))
}
