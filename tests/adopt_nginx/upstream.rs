//! An upstream that works on a few requests at a time, and that can be held: then it answers nobody.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

#[derive(Default)]
struct State {
    busy: usize,
    is_held: bool,
    arrived: usize,
}

#[derive(Clone)]
pub struct Upstream {
    state: Arc<(Mutex<State>, Condvar)>,
    workers: usize,
    service: Duration,
}

impl Upstream {
    pub fn start(socket: &Path, workers: usize, service: Duration) -> Upstream {
        let upstream = Upstream { state: Arc::default(), workers, service };
        let listener = UnixListener::bind(socket).unwrap();
        let acceptor = upstream.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let server = acceptor.clone();
                thread::spawn(move || server.answer(stream.unwrap()));
            }
        });
        upstream
    }

    pub fn hold(&self, is_held: bool) {
        self.state.0.lock().unwrap().is_held = is_held;
        self.state.1.notify_all();
    }

    /// Waits until so many requests have arrived since the start.
    pub fn wait_for_arrivals(&self, count: usize) {
        let state = self.state.0.lock().unwrap();
        let (state, _) =
            self.state.1.wait_timeout_while(state, Duration::from_secs(60), |state| state.arrived < count).unwrap();
        assert!(state.arrived >= count, "{} of {count} requests have come through", state.arrived);
    }

    /// nginx asks with HTTP/1.0: one request for a connection. Whoever has gone is served in vain.
    fn answer(&self, mut stream: UnixStream) {
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        if lines.map_while(Result::ok).find(String::is_empty).is_none() {
            return;
        }
        let (lock, changed) = &*self.state;
        let mut state = lock.lock().unwrap();
        state.arrived += 1;
        changed.notify_all();
        state = changed.wait_while(state, |state| state.is_held || state.busy >= self.workers).unwrap();
        state.busy += 1;
        drop(state);
        thread::sleep(self.service);
        lock.lock().unwrap().busy -= 1;
        changed.notify_all();
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
    }
}
