//! The reflection service of gRPC, by which tools such as grpcurl find out what they can call.
//!
//! Names of services come from the table of methods, their messages from the descriptors that the program has given.

use std::collections::BTreeSet;
use std::future::poll_fn;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use mcrpc_core::status::Status;
use prost::Message as _;

use super::answers::{self, Answer};
use super::call;
use super::message::PREFIX_LEN;
use super::status::{self, Code};
use crate::server::shared::Shared;

/// The method, of the two versions that tools know: they are the same on the wire.
pub(super) const INFO: [&str; 2] = [
    "grpc.reflection.v1.ServerReflection.ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo",
];
/// The longest question that is read.
const MAX_QUESTION: usize = 4 << 10;

/// Answers what a tool asks, until it asks nothing more.
pub(super) async fn serve(shared: &Shared, mut body: RecvStream, mut respond: SendResponse<Bytes>) {
    let Ok(mut stream) = respond.send_response(status::response(), false) else { return };
    let mut received = Vec::new();
    // A tool that has gone hears nothing.
    while let Some(Ok(piece)) = poll_fn(|cx| body.poll_data(cx)).await {
        received.extend_from_slice(&piece);
        let _ = body.flow_control().release_capacity(piece.len());
        while let Some((&[_, ref len @ ..], rest)) = received.split_first_chunk::<PREFIX_LEN>() {
            let len = u32::from_be_bytes(*len) as usize;
            if len > MAX_QUESTION {
                return stream.send_reset(Reason::ENHANCE_YOUR_CALM);
            }
            let Some(question) = rest.get(..len) else { break };
            let Answer { message, .. } = answers::of_reply(answer(question, shared));
            received.drain(..PREFIX_LEN + len);
            if let Err(reason) = call::send_all(&mut stream, message, shared.live().stall_timeout).await {
                return stream.send_reset(reason);
            }
        }
    }
    let _ = stream.send_trailers(status::trailers(&Answer::of_status(Status::OK, "")));
}

/// The answer to one question.
fn answer(question: &[u8], shared: &Shared) -> Vec<u8> {
    let asked = Asked::decode(question).unwrap_or_default();
    let descriptors = &shared.observed.descriptors;
    let file = |found: Option<&Bytes>| match found {
        Some(file) => Told::Files(Files { file: vec![file.clone()] }),
        None => Told::failure(Code::NotFound, "the server was given no descriptor of it"),
    };
    let told = match &asked.what {
        Some(What::FileByName(name)) => file(descriptors.by_name(name)),
        Some(What::FileOfSymbol(symbol)) => file(descriptors.by_symbol(symbol)),
        Some(What::ListServices(_)) => {
            let names: BTreeSet<&str> = shared.methods.iter().map(|method| method.names().0).collect();
            let service = names.into_iter().map(|name| Service { name: name.to_owned() }).collect();
            Told::Services(Services { service })
        }
        None => Told::failure(Code::Unimplemented, "the server tells files and services"),
    };
    let told = Response { host: asked.host.clone(), original: Some(asked), told: Some(told) };
    told.encode_to_vec()
}

/// `ServerReflectionRequest`, without its questions for extensions.
#[derive(Clone, PartialEq, prost::Message)]
struct Asked {
    #[prost(string, tag = "1")]
    host: String,
    #[prost(oneof = "What", tags = "3, 4, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileByName(String),
    #[prost(string, tag = "4")]
    FileOfSymbol(String),
    #[prost(string, tag = "7")]
    ListServices(String),
}

/// `ServerReflectionResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(string, tag = "1")]
    host: String,
    #[prost(message, optional, tag = "2")]
    original: Option<Asked>,
    #[prost(oneof = "Told", tags = "4, 6, 7")]
    told: Option<Told>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Told {
    #[prost(message, tag = "4")]
    Files(Files),
    #[prost(message, tag = "6")]
    Services(Services),
    #[prost(message, tag = "7")]
    Failure(Failure),
}

impl Told {
    fn failure(code: Code, text: &str) -> Told {
        Told::Failure(Failure { code: code as i32, text: text.to_owned() })
    }
}

/// `FileDescriptorResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Files {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

/// `ListServiceResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Services {
    #[prost(message, repeated, tag = "1")]
    service: Vec<Service>,
}

/// `ServiceResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
}

/// `ErrorResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Failure {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    text: String,
}
