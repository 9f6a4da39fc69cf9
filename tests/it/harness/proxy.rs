//! A TCP proxy before Redis or Postgres that can hold back, slow down, cut, and lose a reply.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Every piece comes later by this.
    Delay(Duration),
    /// Nothing passes, but all stays connected.
    Stall,
    /// All connections end, and new ones at once too.
    Cut,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// What a request holds whose reply shall be lost.
    loses_reply_to: Mutex<Option<Vec<u8>>>,
    lost: AtomicUsize,
}

impl Proxy {
    /// Before whatever listens at `target`, `host:port`.
    pub(crate) async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (mode, watched) = watch::channel(Mode::Pass);
        let state = Arc::<State>::default();
        let (target, shared) = (target.to_owned(), Arc::clone(&state));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&target).await else { continue };
                tokio::spawn(connection(client, server, watched.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, mode, state }
    }

    /// Before the server of a URL; also returns the URL that leads through the proxy.
    pub(crate) async fn before(url: &str) -> (Self, String) {
        let start = url.find("://").map_or(0, |at| at + 3);
        let end = url[start..].find('/').map_or(url.len(), |at| start + at);
        let start = url[start..end].rfind('@').map_or(start, |at| start + at + 1);
        let proxy = Self::start(&url[start..end]).await;
        let through = format!("{}{}{}", &url[..start], proxy.address, &url[end..]);
        (proxy, through)
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// The next request that holds these bytes gets through, its reply does not, and the
    /// connection ends.
    pub(crate) fn lose_reply_to(&self, bytes: &str) {
        let mut armed = self.state.loses_reply_to.lock().expect("nobody panics here");
        *armed = Some(bytes.as_bytes().to_vec());
    }

    /// How many replies were lost.
    pub(crate) fn lost(&self) -> usize {
        self.state.lost.load(Ordering::Relaxed)
    }
}

async fn connection(
    client: TcpStream,
    server: TcpStream,
    mode: watch::Receiver<Mode>,
    state: Arc<State>,
) {
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let loses = AtomicBool::new(false);
    let mut cut = mode.clone();
    let watch_request = |piece: &[u8]| {
        let mut armed = state.loses_reply_to.lock().expect("nobody panics here");
        let matches = armed.as_deref().is_some_and(|bytes| contains(piece, bytes));
        if matches {
            *armed = None;
            loses.store(true, Ordering::Relaxed);
        }
        true
    };
    let watch_reply = |_: &[u8]| {
        let lost = loses.load(Ordering::Relaxed);
        if lost {
            state.lost.fetch_add(1, Ordering::Relaxed);
        }
        !lost
    };
    // Either end's end is the end of both, since all halves are dropped here.
    tokio::select! {
        () = pump(from_client, to_server, mode.clone(), watch_request) => {}
        () = pump(from_server, to_client, mode, watch_reply) => {}
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

/// Carries pieces over until one is refused or an end is gone.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    may_pass: impl Fn(&[u8]) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let now = *mode.borrow();
        if let Mode::Delay(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if mode.wait_for(|mode| *mode != Mode::Stall).await.is_err() {
            return;
        }
        let piece = &buffer[..length];
        if !may_pass(piece) || to.write_all(piece).await.is_err() {
            return;
        }
    }
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}
