//! tarpc over TCP, with bincode.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_bytes::ByteBuf;
use tarpc::context::{self, Context};
use tarpc::serde_transport::{self, tcp};
use tarpc::server::{BaseChannel, Channel as _};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::LengthDelimitedCodec;
use tokio::net::TcpListener;

#[tarpc::service]
trait Echo {
    async fn call(payload: ByteBuf) -> ByteBuf;
}

#[derive(Clone)]
struct Service;

impl Echo for Service {
    async fn call(self, _: Context, payload: ByteBuf) -> ByteBuf {
        payload
    }
}

pub async fn serve(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let frames = LengthDelimitedCodec::builder().new_framed(stream);
        let transport = serde_transport::new(frames, Bincode::default());
        tokio::spawn(BaseChannel::with_defaults(transport).execute(Service.serve()).for_each(|call| async {
            tokio::spawn(call);
        }));
    }
}

#[derive(Clone)]
pub struct Connection(EchoClient);

impl crate::closed_loop::Connection for Connection {
    async fn connect(address: SocketAddr) -> Connection {
        let transport = tcp::connect(address, Bincode::default).await.expect("a server");
        Connection(EchoClient::new(tarpc::client::Config::default(), transport).spawn())
    }

    async fn call(&self, payload: Bytes) -> Bytes {
        let payload = ByteBuf::from(payload.to_vec());
        self.0.call(context::current(), payload).await.expect("no call fails").into_vec().into()
    }
}
