//! The sample's implementation: it answers with what it was asked, so that its callers can see what arrived.

use mcrpc::server::Config;
use mcrpc::{Context, Failure, Server};

use crate::crawl::get_list_reply::Entry;
use crate::crawl::{Admin, AdminServer, CrawlService, CrawlServiceServer, GetListReply, GetListRequest, Score};

/// Serves both services on a port that the system chooses.
pub fn server() -> Server {
    Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, blocking_workers: 1, ..Config::default() })
        .service(CrawlServiceServer::new(Crawl))
        .service(AdminServer::new(Forgetful))
        .start()
        .expect("a port of this machine is free")
}

struct Crawl;

impl CrawlService for Crawl {
    /// As many entries as are asked for, which say what came with the request.
    async fn get_list(&self, request: GetListRequest) -> Result<GetListReply, Failure> {
        let context = Context::current().expect("a handler has the context of its request");
        let url = format!("user {}, priority {}, business {}", request.user, context.priority(), context.business_id());
        let left_ms = context.remaining().map_or(String::new(), |left| left.as_millis().to_string());
        let count = request.page.map_or(0, |page| page.count);
        Ok(GetListReply { entries: vec![Entry { url, body: left_ms.into() }; count as usize] })
    }

    fn put_entry(&self, entry: Entry) -> Result<(), Failure> {
        if entry.url.is_empty() { Err(Failure::of_service(7_001, "an entry needs a url")) } else { Ok(()) }
    }

    fn rate(&self, entry: Entry) -> Result<Score, Failure> {
        let uin = Context::current().map_or(0, |context| context.uin());
        Ok(Score { value: uin as f64 + entry.body.len() as f64 / 2.0 })
    }

    async fn delete(&self, _request: GetListRequest) -> Result<(), Failure> {
        Err(Failure::of_service(7_002, "nothing is ever deleted"))
    }
}

struct Forgetful;

impl Admin for Forgetful {
    async fn new_(&self, (): ()) -> Result<(), Failure> {
        Ok(())
    }
}
