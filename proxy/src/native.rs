//! The native side: a server that passes on what it is asked.

use std::path::Path;
use std::sync::Arc;

use mcrpc::server::{Config, StartError};
use mcrpc::{Client, Failure, Host, Reply, Request, Server, Status};

use crate::schema::Schemas;

/// Calls that each worker waits for at a time; a further one waits in the queue, where admission sees it.
const CALLS_PER_WORKER: usize = 2_048;

/// Serves at a path.
///
/// # Errors
///
/// The socket cannot be made.
pub(crate) fn serve(
    socket: &Path,
    host: &Arc<Host>,
    client: &Client,
    schemas: &Arc<Schemas>,
) -> Result<Server, StartError> {
    let config = Config::default();
    let most = (Config::MAX_REQUESTS - config.queue_limit) / config.workers.max(1);
    let config = Config { coroutines_per_worker: CALLS_PER_WORKER.min(most), ..config };
    let (calling, schemas) = (client.clone(), schemas.clone());
    Server::builder()
        .listen(format!("unix:{}", socket.display()))
        .config(config)
        .host(host.clone())
        .show_client(client)
        .fallback(move |request| forward(calling.clone(), schemas.clone(), request))
        .start()
}

async fn forward(client: Client, schemas: Arc<Schemas>, request: Request) -> Reply {
    let service = request.service().to_owned();
    if service.is_empty() {
        let text = "the request does not say which service it is for: write its name into tag 0x02";
        return Err(Failure::of_system(Status::INVALID_ARGUMENT).with_text(text));
    }
    let is_idempotent = schemas.is_idempotent(request.method_id());
    client.forward(&service, request).idempotent(is_idempotent).await
}
