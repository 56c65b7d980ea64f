//! The third tier: the posts. A request keeps a worker busy, so the tier does `workers / work` requests a second.
//!
//! Posts are made up from their ids, and what is published is forgotten: this is an example of a tier, not of a database.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Result;
use mcrpc::server::Config;
use mcrpc::{Context, Failure};

use crate::feed::{Post, PostIds, PostService, PostServiceServer, Posts, PublishReply, PublishRequest};
use crate::tier::{Options, serve};

/// Serves until it is told to end.
pub fn run(options: &Options) -> Result<()> {
    let config = Config { workers: 1, blocking_workers: options.workers, ..Config::default() };
    let store = Store { work: options.work(), published: AtomicU64::new(0) };
    serve(options, config, options.host(), |server| server.service(PostServiceServer::new(store)))
}

struct Store {
    work: Duration,
    published: AtomicU64,
}

impl PostService for Store {
    fn get_posts(&self, request: PostIds) -> Result<Posts, Failure> {
        std::thread::sleep(self.work);
        let post = |id: u64| Post { id, author: id >> 16, text: format!("what {} wrote", id >> 16) };
        Ok(Posts { posts: request.ids.into_iter().map(post).collect() })
    }

    fn put(&self, _request: PublishRequest) -> Result<PublishReply, Failure> {
        std::thread::sleep(self.work);
        let author = Context::current().map_or(0, |context| context.uin());
        Ok(PublishReply { id: author << 16 | self.published.fetch_add(1, Relaxed) & 0xffff })
    }
}
