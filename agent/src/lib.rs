//! The host agent as a library: the directory of shared segments, the one writer of the strategies, and who judges and
//! probes the endpoints of all processes.
//!
//! | module | |
//! |---|---|
//! | [`agent`] | a second of the agent: outcomes in, strategies and shields out |
//! | [`run`] | the seconds of the agent, and what happens in between |
//! | [`event`] | what the agent has to tell a person |
//! | `cells` | the health of all endpoints, in the host's segment |
//! | [`cpu`] | how busy the CPUs are that each process may use |
//! | [`endpoints`] | what the agent knows of each endpoint |
//! | [`probe`] | looks whether shielded endpoints answer again |
//! | [`reports`] | outcomes from processes that cannot use the shared memory |
//! | [`publisher`] | the one process of a host that publishes strategies |
//! | [`started`] | what it found when it started, and what it did about it |
//! | [`strategies`] | the table and its cold segment: adopt, make, replace |
//! | [`segments`] | the segments that all processes write: keep or make |
//! | [`directory`] | open or make the directory; make, attach and replace its files |
//! | `sweep` | frees what dead processes left in the common trace ring |
//! | [`mapping`] | a file in memory |
//! | [`generator`] | strategies computed from what calls met |
//! | [`mod@file`] | strategies that a person has written into a file |
//! | [`watched`] | a file that is read again when it has changed |
//! | [`route`] | which servers a service has, and how it is called, from files |
//! | [`names`] | the servers of a service, as the agent tells the programs of its host |
//! | [`clock`] | the clocks that the segments are stamped with |

pub mod agent;
mod cells;
pub mod clock;
pub mod cpu;
pub mod directory;
pub mod endpoints;
pub mod event;
pub mod file;
pub mod generator;
pub mod mapping;
pub mod names;
pub mod probe;
pub mod publisher;
pub mod reports;
pub mod route;
pub mod run;
pub mod segments;
pub mod started;
pub mod strategies;
mod sweep;
pub mod watched;
