//! Keeps the routes of one IDC up to date: what callers read is always a whole configuration, swapped in one step.
//!
//! A thread looks when the operating system says that a file has changed, and every second in any case: not every file
//! system says so. A program that forks starts it in the child, since threads do not live on there, or calls
//! [`Routes::poll`] from a loop of its own.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::error::Faults;
use super::files::{Files, GLOBAL};
use super::follow::{Follower, News, SETTLE_MS};
use super::load::Route;
use crate::clock;

const SETTLE: Duration = Duration::from_millis(SETTLE_MS as u64);
/// How often the files are looked at when nobody says that they have changed.
pub const POLLED_EACH: Duration = Duration::from_secs(1);
/// How often a service is looked at before files that never stay the same are given up.
const MAX_FIRST_POLLS: u32 = 25;

/// The routes of one IDC.
#[derive(Debug)]
pub struct Routes {
    root: PathBuf,
    idc: String,
    services: Mutex<BTreeMap<String, Followed>>,
}

#[derive(Debug)]
struct Followed {
    follower: Follower,
    current: RouteHandle,
}

/// The configuration that is in force, for one service. Reading it takes no lock and waits for nobody.
#[derive(Clone, Debug)]
pub struct RouteHandle(Arc<ArcSwap<Route>>);

impl RouteHandle {
    /// What is in force now. It stays as it is for as long as it is kept.
    pub fn get(&self) -> Arc<Route> {
        self.0.load_full()
    }
}

/// Something has happened to the files of a service.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which service.
    pub service: String,
    /// What is in force now, or why the files are not.
    pub result: Result<Arc<Route>, Arc<Faults>>,
}

impl Routes {
    /// The routes below a root, for the programs of one IDC.
    pub fn new(root: &Path, idc: &str) -> Routes {
        Routes { root: root.to_owned(), idc: idc.to_owned(), services: Mutex::default() }
    }

    /// Follows a service from now on. Waits for files that are being written.
    ///
    /// # Errors
    ///
    /// Its files are not good, so that there is nothing to start with.
    pub fn service(&self, service: &str) -> Result<RouteHandle, Arc<Faults>> {
        if let Some(followed) = self.services().get(service) {
            return Ok(followed.current.clone());
        }
        let files = Files::new(&self.root, &self.idc, service)?;
        let mut follower = Follower::new(files, SystemTime::now());
        for _ in 0..MAX_FIRST_POLLS {
            match follower.poll(clock::monotonic()) {
                News::Loaded(route) => {
                    let current = RouteHandle(Arc::new(ArcSwap::new(route)));
                    let followed = Followed { follower, current };
                    return Ok(self.services().entry(service.to_owned()).or_insert(followed).current.clone());
                }
                News::Refused(faults) => return Err(faults),
                News::None | News::Settling => thread::sleep(SETTLE),
            }
        }
        Err(follower.files().never_settled().into())
    }

    /// Looks at all files, and lets what has changed and settled take effect. Whether something is still settling.
    pub fn poll(&self, mut on_change: impl FnMut(&Change)) -> bool {
        let mut is_settling = false;
        let mut changes = Vec::new();
        for (service, followed) in self.services().iter_mut() {
            let result = match followed.follower.poll(clock::monotonic()) {
                News::None => continue,
                News::Settling => {
                    is_settling = true;
                    continue;
                }
                News::Loaded(route) => {
                    followed.current.0.store(Arc::clone(&route));
                    Ok(route)
                }
                News::Refused(faults) => Err(faults),
            };
            changes.push(Change { service: service.clone(), result });
        }
        // Without the lock, so that it may ask for a service.
        changes.iter().for_each(&mut on_change);
        is_settling
    }

    /// Polls in a thread of its own until the result is dropped. `on_change` is told what takes effect, and what is refused.
    ///
    /// # Errors
    ///
    /// There is no thread to be had.
    pub fn watch(self: &Arc<Self>, on_change: impl FnMut(&Change) + Send + 'static) -> io::Result<Watch> {
        // One wake is enough, however often a file changes until the thread looks.
        let (sender, wakes) = sync_channel(1);
        let watcher = self.watcher(sender.clone());
        let routes = Arc::clone(self);
        let thread = thread::Builder::new().name("mcrpc-routes".to_owned());
        let thread = thread.spawn(move || routes.run(&wakes, on_change))?;
        Ok(Watch { sender, thread: Some(thread), _watcher: watcher })
    }

    /// Wakes the thread when a file changes. Where the operating system refuses that, polling has to do.
    fn watcher(&self, sender: SyncSender<Wake>) -> Option<RecommendedWatcher> {
        let on_event = move |event: notify::Result<notify::Event>| {
            // To read a file is no change of it.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                let _ = sender.try_send(Wake::Look);
            }
        };
        let mut watcher = notify::recommended_watcher(on_event).ok()?;
        for (kind, idc) in [("client", self.idc.as_str()), ("route", &self.idc), ("route", GLOBAL)] {
            // One that is missing may come later: polling sees it.
            let _ = watcher.watch(&self.root.join(kind).join(idc), RecursiveMode::NonRecursive);
        }
        Some(watcher)
    }

    fn run(&self, wakes: &Receiver<Wake>, mut on_change: impl FnMut(&Change)) {
        loop {
            let patience = if self.poll(&mut on_change) { SETTLE } else { POLLED_EACH };
            match wakes.recv_timeout(patience) {
                Ok(Wake::Look) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn services(&self) -> MutexGuard<'_, BTreeMap<String, Followed>> {
        // Whoever panicked has left each service as it was or as it should be.
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Wake {
    Look,
    Stop,
}

/// The thread that follows the files; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    sender: SyncSender<Wake>,
    thread: Option<JoinHandle<()>>,
    _watcher: Option<RecommendedWatcher>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.sender.send(Wake::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
