//! A request, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use mcrpc::{Client, Failure, Status};

use super::answer;
use super::body::Room;
use super::headers::Asked;
use crate::schema::Schemas;
use crate::transcode::{to_json, to_message};

/// What the proxy's own service is called.
pub(super) const PROXY: &str = "mcrpc.Proxy";
const USUAL_TIMEOUT: Duration = Duration::from_secs(1);
const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

/// What makes calls for those that come by HTTP.
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) schemas: Arc<Schemas>,
    pub(super) room: Room,
}

/// A failure, and the code of HTTP if the failure's status does not say it.
struct Refused(Option<StatusCode>, Failure);

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused(None, failure)
    }
}

impl Caller {
    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match self.call(request).await {
            Ok((content_type, body)) => answer::success(content_type, body),
            Err(Refused(code, failure)) => answer::failure(code, &failure),
        }
    }

    async fn call(&self, request: Request<Incoming>) -> Result<(&'static str, Bytes), Refused> {
        if request.method() != Method::POST {
            let failure = usage("a call is a POST");
            return Err(Refused(Some(StatusCode::METHOD_NOT_ALLOWED), failure));
        }
        let Some((service, method)) = callee(request.uri().path()) else {
            let text = "the path is not /SERVICE/pkg.Service/Method, as /VOA.Crawl/crawl.CrawlService/GetList would be";
            return Err(Failure::of_system(Status::NO_METHOD).with_text(text).into());
        };
        let (service, method) = (service.to_owned(), method);
        let schema = self.schemas.find(&method);
        let is_json = is_json(request.headers())?;
        let json = if is_json { Some(schema.clone().ok_or_else(|| self.no_schema(&method))?) } else { None };
        let asked = Asked::read(request.headers(), schema.as_deref())?;
        let body = self.room.read(request.into_body()).await?;
        let payload = match &json {
            Some(schema) => to_message(&body.bytes, &schema.input)?,
            None => body.bytes.clone(),
        };
        let timeout = asked.timeout.unwrap_or(USUAL_TIMEOUT);
        let call = self.client.call(PROXY, &method, payload).context(asked.context).timeout(timeout);
        let call = call.of_service(&service);
        let call = if asked.caller.is_empty() { call } else { call.caller(&asked.caller) };
        let reply = call.await?;
        Ok(match &json {
            Some(schema) => (JSON, to_json(reply, &schema.output)?),
            None => (PROTOBUF, reply),
        })
    }

    fn no_schema(&self, method: &str) -> Failure {
        let text = match self.schemas.directory() {
            Some(directory) => format!("there is no {method} in the .proto files below {}", directory.display()),
            None => format!(
                "the proxy knows no messages of {method}: start the agent with --proxy-protos DIR, or send {PROTOBUF}"
            ),
        };
        Failure::of_system(Status::NO_METHOD).with_text(text)
    }
}

/// The service as discovery knows it, and the full name of the method.
fn callee(path: &str) -> Option<(&str, String)> {
    let mut parts = path.strip_prefix('/')?.split('/');
    let (service, proto_service, method) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && [service, proto_service, method].iter().all(|part| !part.is_empty());
    is_whole.then(|| (service, format!("{proto_service}.{method}")))
}

fn is_json(headers: &HeaderMap) -> Result<bool, Refused> {
    let said = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    match said.map(|said| said.split(';').next().unwrap_or_default().trim()) {
        // curl says so of whatever it sends.
        None | Some(JSON | "application/x-www-form-urlencoded") => Ok(true),
        Some(PROTOBUF | "application/protobuf") => Ok(false),
        Some(other) => {
            let failure = usage(format!("the content-type is {other:?}: it may be {JSON} or {PROTOBUF}"));
            Err(Refused(Some(StatusCode::UNSUPPORTED_MEDIA_TYPE), failure))
        }
    }
}

fn usage(text: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::of_system(Status::INVALID_ARGUMENT).with_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_service_as_discovery_knows_it_and_the_method() {
        assert_eq!(
            callee("/VOA.Crawl/crawl.CrawlService/GetList"),
            Some(("VOA.Crawl", "crawl.CrawlService.GetList".to_owned()))
        );
        for path in ["", "/", "/a", "/a/b", "/a//c", "//b/c", "/a/b/", "/a/b/c/d", "a/b/c"] {
            assert_eq!(callee(path), None, "{path}");
        }
    }
}
