//! What a program does at the turns of a server's life (SPEC S15).
//!
//! | hook | process | thread | when |
//! |---|---|---|---|
//! | [`before_master_run`](Builder::before_master_run) | master | that of `start` | its addresses are bound, no child runs |
//! | [`before_child_run`](Builder::before_child_run) | each child | that of `start` | before its threads begin |
//! | [`before_epoll_io_run`](Builder::before_epoll_io_run) | each child | each IO thread | before its first connection |
//! | [`before_routine_run`](Builder::before_routine_run) | each child | each worker, each blocking worker | before its first request |
//! | [`after_child_run`](Builder::after_child_run) | each child | that of `wait` or `drain` | all is answered, its threads have ended |
//! | [`after_server_process_run`](Builder::after_server_process_run) | master | that of `wait` or `drain` | its children have ended |
//!
//! A server of one process is master and child in one: all of them run there, in this order. A process that is killed runs none.

use super::Builder;

/// Where a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The number of the process, from 0 on; the master's hooks are told 0.
    pub process: usize,
    /// The number of the thread among those of its kind in this process, from 0 on: IO threads, workers, blocking workers behind the
    /// workers.
    pub thread: usize,
}

type Hook = Box<dyn Fn(Place) + Send + Sync>;

/// The hooks of a server.
#[derive(Default)]
pub(super) struct Hooks {
    before_master_run: Vec<Hook>,
    before_child_run: Vec<Hook>,
    before_epoll_io_run: Vec<Hook>,
    before_routine_run: Vec<Hook>,
    after_child_run: Vec<Hook>,
    after_server_process_run: Vec<Hook>,
}

macro_rules! hooks {
    ($($name:ident: $text:literal;)*) => {
        impl Builder {
            $(
                #[doc = $text]
                #[doc = " See [`hooks`](super::hooks). Several of one kind run in the order in which they were given."]
                #[must_use]
                pub fn $name(mut self, hook: impl Fn(Place) + Send + Sync + 'static) -> Builder {
                    self.hooks.$name.push(Box::new(hook));
                    self
                }
            )*
        }

        impl Hooks {
            $(
                pub(super) fn $name(&self, place: Place) {
                    self.$name.iter().for_each(|hook| hook(place));
                }
            )*
        }
    };
}

hooks! {
    before_master_run: "Runs in the master, before its children.";
    before_child_run: "Runs in each process that serves, before its threads.";
    before_epoll_io_run: "Runs on each IO thread, before its first connection.";
    before_routine_run: "Runs on each worker, before its first request.";
    after_child_run: "Runs in each process that has served, after its threads.";
    after_server_process_run: "Runs in the process that was started first, when all is over.";
}
