//! gRPC, by tonic.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use self::proto::Message;
use self::proto::echo_client::EchoClient;
use self::proto::echo_server::{Echo, EchoServer};

mod proto {
    tonic::include_proto!("echo");
}

struct Service;

#[tonic::async_trait]
impl Echo for Service {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

pub async fn serve(listener: TcpListener) {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder().add_service(EchoServer::new(Service)).serve_with_incoming(incoming).await.expect("it serves");
}

#[derive(Clone)]
pub struct Connection(EchoClient<Channel>);

impl crate::closed_loop::Connection for Connection {
    async fn connect(address: SocketAddr) -> Connection {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address").tcp_nodelay(true);
        Connection(EchoClient::new(endpoint.connect().await.expect("a server")))
    }

    async fn call(&self, payload: Bytes) -> Bytes {
        self.0.clone().call(Message { payload }).await.expect("no call fails").into_inner().payload
    }
}
