//! Connections: accepted up to a bound, and cut off where the other side is too slow.

use std::{
    io,
    net::{IpAddr, ToSocketAddrs},
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, Sleep, sleep},
};

use super::{
    engine,
    guard::Guard,
    queue::Queue,
    routes::{self, App},
    session::Session,
    source::Source,
};
use crate::output::report;

/// Connections at a time; more wait in the system.
const CONNECTIONS: usize = 256;

/// The time in which the head of a request must have arrived, also the first.
const HEAD: Duration = Duration::from_secs(10);

/// The time in which a client must take some of an answer.
const STALL: Duration = Duration::from_secs(20);

/// Bytes of the head of a request at most.
const LARGEST_HEAD: usize = 64 << 10;

/// Serves the page for as long as the program runs.
pub(crate) fn serve(session: Session) -> Result<()> {
    let session = Arc::new(session);
    let source = Source::new(session.clone());
    let loaded = source.load()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the server")?;
    runtime.block_on(async {
        let listener = listen(&session).await?;
        let address = listener.local_addr()?;
        let is_local = address.ip().is_loopback();
        let host = &session.args.host;
        let shown = match host.parse::<IpAddr>() {
            Ok(_) => address.to_string(),
            Err(_) => format!("{host}:{}", address.port()),
        };
        let url = format!("http://{shown}/");
        report::bytes(format!("{url}\n").as_bytes())?;
        if !is_local {
            tracing::warn!("everyone who reaches {shown} can use the model");
        }
        if session.args.open {
            open::that_detached(&url).with_context(|| format!("cannot open {url} in a browser"))?;
        }
        let queue = Arc::new(Queue::default());
        let app = App::new(queue.clone(), session.clone());
        thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || engine::run(&queue, source, loaded))
            .context("cannot start the engine")?;
        let guard = Guard::new(host, address.port(), is_local);
        accept(listener, routes::router(app, guard)).await
    })
}

async fn listen(session: &Session) -> Result<TcpListener> {
    let (host, port) = (session.args.host.as_str(), session.args.port);
    let cannot = || format!("cannot listen on {host}, port {port}");
    let addresses = (host, port).to_socket_addrs().with_context(cannot)?;
    let listener = TcpListener::bind(&*addresses.collect::<Vec<_>>()).await;
    listener.with_context(cannot)
}

async fn accept(listener: TcpListener, router: Router) -> Result<()> {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = free.clone().acquire_owned().await?;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Such as when the system has no more file descriptors.
                tracing::warn!("a connection is not accepted: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let router = router.clone();
        tokio::spawn(async move {
            // Clients come and go as they like.
            let _ = connection(stream, router).await;
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, router: Router) -> hyper::Result<()> {
    let _ = stream.set_nodelay(true);
    let stream = Impatient {
        stream,
        stalled: Box::pin(sleep(STALL)),
        is_stalled: false,
    };
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}

/// A stream that ends in an error if the other side takes nothing for too long.
struct Impatient {
    stream: TcpStream,
    stalled: Pin<Box<Sleep>>,
    is_stalled: bool,
}

impl Impatient {
    /// The result of a write, or an error once the other side has had time enough.
    fn judge<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut TaskContext<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_stalled = false;
            return written;
        }
        if !self.is_stalled {
            self.is_stalled = true;
            self.stalled.as_mut().reset(Instant::now() + STALL);
        }
        ready!(self.stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(flushed, context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judge(shut, context)
    }
}
