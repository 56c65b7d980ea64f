//! HTTP: the page, its data, and the metrics. Everything can only be read.

use std::convert::Infallible;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mcrpc_discovery::names::Names;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::WatchStream;

use super::access::Access;
use super::connections::Bounds;
use super::history::History;
use super::sample::Sample;
use super::text::{self, Format};
use super::{connections, view};

const SECOND: Duration = Duration::from_secs(1);
/// Pages that are looked at, each of which costs a little every second.
const MAX_VIEWERS: usize = 32;
const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// The page's own files, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page shows, shared by those who look.
#[derive(Clone)]
pub(super) struct Web {
    dir: Arc<PathBuf>,
    names: Names,
    access: Access,
    world: Arc<Mutex<World>>,
    ticks: watch::Sender<Tick>,
    viewers: Arc<Semaphore>,
}

#[derive(Default)]
struct World {
    sample: Arc<Sample>,
    history: History,
}

/// A second, and what those see in it who look for nothing in particular.
#[derive(Clone, Default)]
struct Tick(Arc<OnceLock<String>>);

/// What somebody looks for.
#[derive(serde::Deserialize)]
struct Wanted {
    #[serde(default)]
    find: String,
}

impl Web {
    /// Of the host in this directory.
    pub(super) fn new(dir: PathBuf, names: Names, access: Access) -> Web {
        Web {
            dir: Arc::new(dir),
            names,
            access,
            world: Arc::default(),
            ticks: watch::Sender::default(),
            viewers: Arc::new(Semaphore::new(MAX_VIEWERS)),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) {
        let sample = Sample::take(&self.dir, &self.names);
        let mut world = self.world();
        world.history.observe(&sample);
        world.sample = Arc::new(sample);
        drop(world);
        self.ticks.send_replace(Tick::default());
    }

    fn state(&self, tick: &Tick, find: &str) -> String {
        let write = || {
            let world = self.world();
            view::state(&world.sample, &world.history, find)
        };
        if find.is_empty() { tick.0.get_or_init(write).clone() } else { write() }
    }
}

/// Serves for ever.
pub(super) async fn serve(listener: TcpListener, web: Web) -> std::io::Result<()> {
    web.look();
    let looks = async {
        let mut seconds = interval(SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        seconds.tick().await;
        loop {
            seconds.tick().await;
            web.look();
        }
    };
    let routes = Router::new()
        .route("/", get(|| async { ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE) }))
        .route("/page.css", get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE) }))
        .route("/page.js", get(|| async { ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT) }))
        .route("/metrics", get(show_metrics))
        .route("/api/graph", get(show_graph))
        .route("/api/hour", get(show_hour))
        .route("/api/state", get(show_state))
        .route("/api/events", get(show_events))
        .layer(from_fn_with_state(web.access.clone(), check))
        .with_state(web.clone());
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tokio::select! {
        () = connections::serve(listener, routes, Bounds::DEFAULT) => {}
        () = looks => {}
    }
    Ok(())
}

async fn check(State(access): State<Access>, request: Request, next: Next) -> Response {
    let mut response = match access.check(request.headers()) {
        // It is not read, so the connection cannot go on.
        Ok(()) if !request.body().is_end_stream() => {
            (StatusCode::PAYLOAD_TOO_LARGE, [(header::CONNECTION, "close")], "send nothing\n").into_response()
        }
        Ok(()) => next.run(request).await,
        Err(StatusCode::UNAUTHORIZED) => {
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"mcrpc agent: the token is the password\"")];
            (StatusCode::UNAUTHORIZED, ask, "the token is missing or wrong\n").into_response()
        }
        Err(code) => (code, "call this host by its address, or as localhost\n").into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn show_metrics(State(web): State<Web>, headers: HeaderMap) -> Response {
    let sample = web.world().sample.clone();
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let is_open = accepted.into_iter().any(|value| value.contains("application/openmetrics-text"));
    let format = if is_open { Format::Open } else { Format::Plain };
    ([(header::CONTENT_TYPE, format.media_type())], text::body(sample, format)).into_response()
}

fn json(text: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.into()).into_response()
}

async fn show_graph(State(web): State<Web>) -> Response {
    let world = web.world();
    json(view::callers(&world.sample, &world.history))
}

async fn show_hour(State(web): State<Web>) -> Response {
    let world = web.world();
    json(view::hour(&world.sample, &world.history))
}

async fn show_state(State(web): State<Web>, Query(wanted): Query<Wanted>) -> Response {
    let tick = web.ticks.borrow().clone();
    json(web.state(&tick, &wanted.find))
}

async fn show_events(State(web): State<Web>, Query(wanted): Query<Wanted>) -> Response {
    let Ok(seen) = web.viewers.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many look already\n").into_response();
    };
    let ticks = WatchStream::new(web.ticks.subscribe());
    let events = ticks.map(move |tick| {
        let _seen = &seen;
        Ok::<_, Infallible>(Event::default().data(web.state(&tick, &wanted.find)))
    });
    Sse::new(events).into_response()
}
