//! The few calls of etcd's interface that are needed, over a connection that finds out by itself when nobody is there.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{error::Elapsed, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use super::access::{Access, AccessError, Token, root_of};
use super::api::auth_client::AuthClient;
use super::api::kv_client::KvClient;
use super::api::lease_client::LeaseClient;
use super::api::watch_client::WatchClient;
use super::api::watch_request::RequestUnion;
use super::api::{
    AuthenticateRequest, DeleteRangeRequest, KeyValue, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseKeepAliveResponse, PutRequest, RangeRequest, WatchCreateRequest, WatchRequest, WatchResponse,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection on which nothing comes is asked for a sign of life so often, and given up if it takes so long.
const ASKED_EACH: Duration = Duration::from_secs(3);
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// Keys of one answer to a list: some 200 KB.
const PAGE_KEYS: i64 = 1_000;

/// Why etcd cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// Nobody is there.
    #[error("no connection to {0}: {1}")]
    Connect(String, String),
    /// What it takes to reach it is not there.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A call failed.
    #[error("{}", .0.message())]
    Call(#[from] Status),
    /// A call took too long.
    #[error("no answer within {} s", CALL_TIMEOUT.as_secs())]
    Late(#[from] Elapsed),
    /// It has ended what should go on.
    #[error("{0}")]
    Ended(String),
}

/// A connection to one etcd.
#[derive(Clone, Debug)]
pub(super) struct Client {
    channel: InterceptedService<Channel, Token>,
}

/// A watch, from its beginning on.
pub(super) struct Watch {
    events: Streaming<WatchResponse>,
    /// Dropped, it ends the watch.
    _requests: mpsc::Sender<WatchRequest>,
}

/// A lease that lives for as long as it is renewed.
pub(super) struct Lease {
    pub(super) id: i64,
    renewals: mpsc::Sender<LeaseKeepAliveRequest>,
    answers: Streaming<LeaseKeepAliveResponse>,
}

impl Client {
    pub(super) async fn connect(address: &str, access: &Access) -> Result<Client, EtcdError> {
        let cannot = |error: tonic::transport::Error| EtcdError::Connect(address.to_owned(), root_of(&error));
        let endpoint = access
            .endpoint(address)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(ASKED_EACH)
            .keep_alive_timeout(ANSWERED_WITHIN)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect().await.map_err(cannot)?;
        let mut token = Token::default();
        if let Some((name, password)) = access.password()? {
            let who = AuthenticateRequest { name, password };
            let answer = timeout(CALL_TIMEOUT, AuthClient::new(channel.clone()).authenticate(who)).await??.into_inner();
            let value = answer.token.parse().map_err(|_| EtcdError::Ended("its token is none".to_owned()))?;
            token = Token(Some(value));
        }
        Ok(Client { channel: InterceptedService::new(channel, token) })
    }

    /// All keys from one on and before another, as they are at one revision, and that revision.
    pub(super) async fn list(&self, (from, to): (Vec<u8>, Vec<u8>)) -> Result<(Vec<KeyValue>, i64), EtcdError> {
        let mut kv = KvClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let (mut all, mut next, mut revision) = (Vec::new(), from, 0);
        loop {
            let page = RangeRequest { key: next, range_end: to.clone(), limit: PAGE_KEYS, revision };
            let page = timeout(CALL_TIMEOUT, kv.range(page)).await??.into_inner();
            if revision == 0 {
                revision = page.header.map_or(0, |header| header.revision);
            }
            all.extend(page.kvs);
            match all.last() {
                // The least key that is greater.
                Some(last) if page.more => next = [&last.key[..], &[0]].concat(),
                _ => return Ok((all, revision)),
            }
        }
    }

    /// All that happens to these keys, from a revision on.
    pub(super) async fn watch(&self, (from, to): (Vec<u8>, Vec<u8>), revision: i64) -> Result<Watch, EtcdError> {
        let mut watch = WatchClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let (sender, requests) = mpsc::channel(1);
        let create = WatchCreateRequest { key: from, range_end: to, start_revision: revision, fragment: true };
        let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        sender.try_send(create).map_err(|_| EtcdError::Ended("the watch could not be asked for".to_owned()))?;
        let mut request = Request::new(ReceiverStream::new(requests));
        // A member that is cut off from the others would be silent for ever instead.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        let events = timeout(CALL_TIMEOUT, watch.watch(request)).await??.into_inner();
        Ok(Watch { events, _requests: sender })
    }

    /// Puts a key, which goes when the lease ends.
    pub(super) async fn put(&self, key: String, value: String, lease: i64) -> Result<(), EtcdError> {
        let put = PutRequest { key: key.into_bytes(), value: value.into_bytes(), lease };
        timeout(CALL_TIMEOUT, KvClient::new(self.channel.clone()).put(put)).await??;
        Ok(())
    }

    /// Takes a key away.
    pub(super) async fn delete(&self, key: String) -> Result<(), EtcdError> {
        let delete = DeleteRangeRequest { key: key.into_bytes() };
        timeout(CALL_TIMEOUT, KvClient::new(self.channel.clone()).delete_range(delete)).await??;
        Ok(())
    }

    /// A lease that ends when it has not been renewed for so long.
    pub(super) async fn grant(&self, ttl: Duration) -> Result<Lease, EtcdError> {
        let mut lease = LeaseClient::new(self.channel.clone());
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX).max(1);
        let granted = timeout(CALL_TIMEOUT, lease.lease_grant(LeaseGrantRequest { ttl: seconds })).await??.into_inner();
        if !granted.error.is_empty() {
            return Err(EtcdError::Ended(granted.error));
        }
        let (renewals, requests) = mpsc::channel(1);
        // etcd answers to the stream with its first message.
        let first = renewals.try_send(LeaseKeepAliveRequest { id: granted.id });
        first.map_err(|_| EtcdError::Ended("the lease could not be renewed".to_owned()))?;
        let answers = timeout(CALL_TIMEOUT, lease.lease_keep_alive(ReceiverStream::new(requests))).await??.into_inner();
        let mut lease = Lease { id: granted.id, renewals, answers };
        lease.renewed().await?;
        Ok(lease)
    }
}

impl Lease {
    /// Renews it.
    pub(super) async fn renew(&mut self) -> Result<(), EtcdError> {
        let sent = self.renewals.try_send(LeaseKeepAliveRequest { id: self.id });
        sent.map_err(|_| EtcdError::Ended("the lease could not be renewed".to_owned()))?;
        self.renewed().await
    }

    async fn renewed(&mut self) -> Result<(), EtcdError> {
        let answer = timeout(CALL_TIMEOUT, self.answers.message()).await??;
        if answer.is_some_and(|answer| answer.ttl > 0) {
            return Ok(());
        }
        Err(EtcdError::Ended("the lease is lost".to_owned()))
    }
}

impl Watch {
    /// What has happened next.
    pub(super) async fn next(&mut self) -> Result<WatchResponse, EtcdError> {
        let next = self.events.message().await?;
        let next = next.ok_or_else(|| EtcdError::Ended("the watch has ended".to_owned()))?;
        if next.compact_revision > 0 {
            let what = format!("revisions before {} are compacted", next.compact_revision);
            return Err(EtcdError::Ended(what));
        }
        if next.canceled {
            return Err(EtcdError::Ended(format!("the watch was cancelled: {}", next.cancel_reason)));
        }
        Ok(next)
    }
}
