//! The addresses of the server.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    engine::Engine,
    failure::Failure,
    guard::{self, Guard},
    page,
    queue::Queue,
    session::Session,
    views::{about, change, draw, image, judge, levels, mix, plane, watch},
};

/// Bytes of a request with pictures in it, and of a picture file, at most.
const LARGEST: usize = 16 << 20;

/// Bytes of all requests but small ones that are not answered yet, in units of 1024: a bound on
/// memory.
const BUDGET: usize = 64 << 10;

/// Bytes of a small request at most.
const SMALL: usize = 64 << 10;

/// Pages that are told of a training at a time.
const WATCHERS: usize = 64;

/// The time in which a request must have arrived.
const PATIENCE: Duration = Duration::from_secs(20);

/// The name of the view that asks, whose newer requests replace older ones.
const VIEW: &str = "x-flow-view";
const LONGEST_VIEW: usize = 80;

/// State that all requests share.
pub(super) struct App {
    pub(super) queue: Arc<Queue>,
    session: Arc<Session>,
    budget: Semaphore,
    /// Watchers that may still come.
    watchers: Arc<Semaphore>,
}

type Shared = State<Arc<App>>;

impl App {
    pub(super) fn new(queue: Arc<Queue>, session: Arc<Session>) -> Self {
        Self {
            queue,
            session,
            budget: Semaphore::new(BUDGET),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
        }
    }
}

/// All addresses.
pub(super) fn router(app: App, guard: Guard) -> Router {
    let files = page::FILES.iter();
    let files = files.fold(Router::new(), |router, &(path, kind, content)| {
        router.route(
            path,
            get(move || async move { page::answer(kind, content) }),
        )
    });
    files
        .route("/api/about", get(about))
        .route("/api/draw", view(draw::grid))
        .route("/api/draw/pick", view(draw::pick))
        .route("/api/mix", view(mix::at))
        .route("/api/change", view(change::image))
        .route("/api/levels", view(levels::row))
        .route("/api/judge", view(judge::image))
        .route("/api/judge/place", view(judge::place))
        .route("/api/plane", view(plane::picture))
        .route("/api/watch", get(watch_course))
        .route("/api/watch/events", get(watch_events))
        .route("/api/watch/samples/{epoch}", get(watch_samples))
        .route("/api/image", view(image::named))
        .route("/api/image/sent", post(sent))
        .fallback(|| async { Failure::new(StatusCode::NOT_FOUND, "there is nothing here") })
        .method_not_allowed_fallback(|| async {
            Failure::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this address takes other requests",
            )
        })
        .with_state(Arc::new(app))
        .layer(middleware::from_fn_with_state(guard, guard::layer))
}

async fn about(State(app): Shared) -> Result<Response, Failure> {
    Ok(Json(app.queue.ask(None, about::facts).await?).into_response())
}

async fn sent(State(app): Shared, request: Request) -> Result<Response, Failure> {
    let (content, _room) = body(&app, request).await?;
    let content = content.to_vec();
    let work = move |engine: &mut Engine<'_>| image::sent(engine, content);
    Ok(Json(app.queue.ask(None, work).await?).into_response())
}

async fn watch_course(State(app): Shared) -> Result<Response, Failure> {
    let session = app.session.clone();
    Ok(Json(beside(move || watch::course(&session)).await?).into_response())
}

async fn watch_samples(State(app): Shared, Path(epoch): Path<u64>) -> Result<Response, Failure> {
    let session = app.session.clone();
    let png = beside(move || watch::samples(&session, epoch)).await?;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

async fn watch_events(State(app): Shared) -> Result<Response, Failure> {
    let permit = app.watchers.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Failure::busy())?;
    Ok(watch::events(app.session.clone(), permit)?.into_response())
}

/// Reads files without keeping other requests waiting.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Failure::failed()),
    }
}

/// Answers JSON by `work` on the engine.
fn view<Q, A>(work: fn(&mut Engine<'_>, Q) -> Result<A>) -> MethodRouter<Arc<App>>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
{
    post(move |State(app): Shared, request: Request| answer(app, request, work))
}

async fn answer<Q, A>(
    app: Arc<App>,
    request: Request,
    work: fn(&mut Engine<'_>, Q) -> Result<A>,
) -> Result<Response, Failure>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
{
    let view = view_of(request.headers())?;
    is_json(request.headers())?;
    let (content, _room) = body(&app, request).await?;
    let asked = serde_json::from_slice::<Q>(&content)
        .map_err(|error| Failure::request(format!("the request is not understood: {error}")))?;
    let answer = app.queue.ask(view, move |engine| work(engine, asked));
    Ok(Json(answer.await?).into_response())
}

/// Other types can be sent by forms of foreign pages.
fn is_json(headers: &HeaderMap) -> Result<(), Failure> {
    let kind = headers.get(header::CONTENT_TYPE);
    match kind.map(HeaderValue::as_bytes) {
        Some(b"application/json") => Ok(()),
        _ => Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the request is not of the type application/json",
        )),
    }
}

fn view_of(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(view) = headers.get(VIEW) else {
        return Ok(None);
    };
    match view.to_str() {
        Ok(view) if view.len() <= LONGEST_VIEW => Ok(Some(view.to_owned())),
        _ => Err(Failure::request(format!("`{VIEW}` is too long"))),
    }
}

/// The whole content of a request, and the room that it takes until it is answered.
async fn body(
    app: &App,
    request: Request,
) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Failure> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let length = length.unwrap_or(LARGEST);
    let too_large = || {
        let most = LARGEST >> 20;
        let sentence = format!("the request is larger than {most} MB");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, sentence)
    };
    if length > LARGEST {
        return Err(too_large());
    }
    let read = async {
        // Small ones wait for nobody: connections bound their number.
        let room = if length > SMALL {
            let room = app.budget.acquire_many((length >> 10) as u32 + 1).await;
            Some(room.map_err(|_| Failure::busy())?)
        } else {
            None
        };
        let content = axum::body::to_bytes(request.into_body(), length).await;
        Ok((content.map_err(|_| too_large())?, room))
    };
    let late = |_| {
        Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            "the request arrives too slowly",
        )
    };
    timeout(PATIENCE, read).await.map_err(late)?
}
