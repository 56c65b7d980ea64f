//! The first tier: what users call. Its handlers mostly wait for the second one.

use std::time::Duration;

use anyhow::Result;
use mcrpc::server::Config;
use mcrpc::{Class, Failure, Status};

use crate::feed::{
    FeedRequest, FeedService, FeedServiceServer, Posts, PublishReply, PublishRequest, TimelineServiceClient,
};
use crate::tier::{Options, serve};

/// A server behind this one ended while it had the call: nobody knows whether it was run. The tier in C++ has it too.
pub const LOST_BEHIND: i32 = 7_001;
/// The tier behind could not answer.
pub const FAILED_BEHIND: i32 = 7_002;

/// Serves until it is told to end.
pub fn run(options: &Options) -> Result<()> {
    let host = options.host();
    let client = options.client("feed.front", host.clone())?;
    let front = Front { work: options.work(), timeline: TimelineServiceClient::from(client.clone()) };
    let config = Config { workers: options.workers, ..Config::default() };
    serve(options, config, host, |server| server.show_client(&client).service(FeedServiceServer::new(front)))
}

struct Front {
    work: Duration,
    timeline: TimelineServiceClient,
}

impl FeedService for Front {
    async fn get_feed(&self, request: FeedRequest) -> Result<Posts, Failure> {
        tokio::time::sleep(self.work).await;
        self.timeline.get_timeline(&request).await.map_err(behind)
    }

    async fn publish(&self, request: PublishRequest) -> Result<PublishReply, Failure> {
        tokio::time::sleep(self.work).await;
        self.timeline.append(&request).await.map_err(behind)
    }
}

/// How a call of the next tier failed, for our own caller. A refusal is passed on as it is. Everything else becomes a code of the
/// service: as the library's own it would say that *this* server is broken, and have the caller shield it and try again, though the
/// call was tried again already.
fn behind(failure: Failure) -> Failure {
    let code = match (failure.status(), failure.status().class()) {
        (Status::READ_FAILED | Status::WRITE_FAILED | Status::WORKER_LOST, _) => LOST_BEHIND,
        (_, Class::System | Class::Protocol | Class::Usage) => FAILED_BEHIND,
        _ => return failure,
    };
    Failure::of_service(code, format!("timeline: {failure}"))
}
