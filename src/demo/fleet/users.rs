//! The users: their calls arrive at random and whether or not they are answered, through the client for Rust.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use mcrpc::{Class, Client, Failure, Status};
use mcrpc_example_feed::feed::{FeedRequest, FeedServiceClient, PublishRequest};
use mcrpc_example_feed::front::LOST_BEHIND;
use mcrpc_example_feed::tier::IDC;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::host::health::status_name;

use super::plan::{BUCKET, DEADLINE, PUBLISHING_OF_TEN, SEED};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Ok,
    /// On purpose, by a server or by a caller on its behalf.
    Refused,
    /// A server died that had it: nobody knows whether it was run.
    Held,
    Failed,
}

impl End {
    fn of(failure: &Failure) -> End {
        match (failure.status(), failure.status().class()) {
            (Status::READ_FAILED | Status::WRITE_FAILED | Status::WORKER_LOST | Status(LOST_BEHIND), _) => End::Held,
            (_, Class::Overload | Class::Deadline | Class::Shielded) => End::Refused,
            _ => End::Failed,
        }
    }
}

/// What became of calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) offered: u64,
    /// By the number of the [`End`].
    pub(crate) ends: [u64; 4],
    pub(crate) published: u64,
    pub(crate) publishing: u64,
    /// Why the others were not answered, by the names of statuses.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Of those that were answered.
    pub(crate) latencies_us: Vec<u64>,
}

impl Counts {
    pub(crate) const fn get(&self, end: End) -> u64 {
        self.ends[end as usize]
    }

    fn add(&mut self, other: &Counts) {
        self.offered += other.offered;
        self.ends.iter_mut().zip(other.ends).for_each(|(sum, more)| *sum += more);
        self.published += other.published;
        self.publishing += other.publishing;
        other.reasons.iter().for_each(|(name, count)| *self.reasons.entry(name.clone()).or_default() += count);
        self.latencies_us.extend(&other.latencies_us);
    }
}

/// The calls, in buckets by the moment in which they arrived.
#[derive(Debug, Default)]
pub(crate) struct Record(Vec<Counts>);

impl Record {
    fn bucket(&mut self, at: Duration) -> &mut Counts {
        let index = (at.as_millis() / BUCKET.as_millis()) as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, Counts::default());
        }
        &mut self.0[index]
    }

    pub(crate) fn buckets(&self) -> &[Counts] {
        &self.0
    }

    /// All buckets from one moment up to another, as one.
    pub(crate) fn sum(&self, from: Duration, to: Duration) -> Counts {
        let place = |at: Duration| ((at.as_millis() / BUCKET.as_millis()) as usize).min(self.0.len());
        let mut sum = Counts::default();
        self.0[place(from)..place(to).max(place(from))].iter().for_each(|bucket| sum.add(bucket));
        sum
    }
}

/// What users and whoever watches them share.
#[derive(Clone)]
pub(crate) struct Users {
    began: Instant,
    record: Rc<RefCell<Record>>,
    rate_per_s: Rc<Cell<f64>>,
    is_over: Rc<Cell<bool>>,
}

impl Users {
    /// Users who do not call yet.
    pub(crate) fn new() -> Users {
        let record = Rc::default();
        Users { began: Instant::now(), record, rate_per_s: Rc::new(Cell::new(1.0)), is_over: Rc::default() }
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// From now on they call so often.
    pub(crate) fn set_rate(&self, rate_per_s: f64) {
        self.rate_per_s.set(rate_per_s);
    }

    /// They call no more.
    pub(crate) fn end(&self) {
        self.is_over.set(true);
    }

    pub(crate) fn record(&self) -> std::cell::Ref<'_, Record> {
        self.record.borrow()
    }

    /// Calls until [`Users::end`], and until all calls are over.
    pub(crate) async fn call(self, routes: &Path) -> Result<()> {
        let client = Client::builder("users").routes(routes, IDC).default_timeout(DEADLINE).build()?;
        let feed = FeedServiceClient::from(client);
        let mut random = StdRng::seed_from_u64(SEED);
        let mut calls = JoinSet::new();
        let mut at = Instant::now();
        while !self.is_over.get() {
            let (uin, publishes) = (random.random(), random.random_range(0..10) < PUBLISHING_OF_TEN);
            calls.spawn_local(self.clone().call_once(feed.clone(), uin, publishes, at));
            // In (0, 1], so the logarithm is finite.
            let uniform: f64 = 1.0 - random.random::<f64>();
            at += Duration::from_secs_f64(-uniform.ln() / self.rate_per_s.get());
            while calls.try_join_next().is_some() {}
            sleep_until(at).await;
        }
        while calls.join_next().await.is_some() {}
        Ok(())
    }

    /// A call that was meant to begin at a moment: what the machine is late counts.
    async fn call_once(self, feed: FeedServiceClient, uin: u64, publishes: bool, at: Instant) {
        let arrival = at.duration_since(self.began);
        {
            let mut record = self.record.borrow_mut();
            let bucket = record.bucket(arrival);
            bucket.offered += 1;
            bucket.publishing += u64::from(publishes);
        }
        let ended = if publishes {
            feed.publish(&PublishRequest { text: "news".to_owned() }).uin(uin).await.map(drop)
        } else {
            feed.get_feed(&FeedRequest { count: 10 }).uin(uin).await.map(drop)
        };
        let end = ended.as_ref().map_or_else(End::of, |()| End::Ok);
        let reason = ended.err().map(|failure| status_name(failure.status()));
        let mut record = self.record.borrow_mut();
        let bucket = record.bucket(arrival);
        bucket.ends[end as usize] += 1;
        reason.into_iter().for_each(|name| *bucket.reasons.entry(name).or_default() += 1);
        if end == End::Ok {
            bucket.published += u64::from(publishes);
            bucket.latencies_us.push(at.elapsed().as_micros() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_tell_what_was_refused_from_what_was_lost() {
        for (status, end) in [
            (Status::WITHHELD, End::Refused),
            (Status::DEADLINE_IN_QUEUE, End::Refused),
            (Status::READ_FAILED, End::Held),
            (Status(LOST_BEHIND), End::Held),
            (Status::CONNECT_FAILED, End::Failed),
            (Status::TIMED_OUT, End::Failed),
        ] {
            assert_eq!(End::of(&Failure::of_system(status)), end, "{status}");
        }
    }

    #[test]
    fn buckets_are_added_up_by_arrival() {
        let mut record = Record::default();
        for ms in [0, 99, 100, 250] {
            record.bucket(Duration::from_millis(ms)).offered += 1;
        }
        let offered = |from, to| record.sum(Duration::from_millis(from), Duration::from_millis(to)).offered;
        assert_eq!([offered(0, 100), offered(0, 300), offered(100, 200), offered(300, 900)], [2, 4, 1, 0]);
    }
}
