//! Accepting connections.
//!
//! Our own loop, since a public listener needs what `axum::serve` does not set: a limit on how long
//! a request's head may take, and going on after the process ran out of descriptors.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::shutdown::Tasks;

/// How long a request's head may take, and an idle connection be kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The first read buffer of a connection; it grows with large heads up to the bound.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// After a failed accept: the cause (mostly: no descriptors left) does not pass at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Serves until `stop`; then lets each connection finish the request that it is answering.
pub async fn serve(listener: TcpListener, router: Router, tasks: Tasks, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let serving = connection(stream, peer, router.clone(), stop.clone());
                tasks.spawn_many(serving);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(serving);
    // How a connection ended concerns nobody but its client.
    tokio::select! {
        _ = &mut serving => {}
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await.ok();
        }
    }
}
