//! A bar on stderr while messages flow, where somebody is looking.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::world::World;

const REFRESH: Duration = Duration::from_millis(250);

/// Ends the bar when dropped.
pub(crate) struct Progress(Option<JoinHandle<()>>);

impl Progress {
    /// `total` is how many messages will be sent, as far as that is known.
    pub(crate) fn start(world: &Arc<World>, total: Option<u64>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let world = Arc::clone(world);
        Self(Some(tokio::spawn(async move { show(&world, total).await })))
    }
}

async fn show(world: &World, total: Option<u64>) {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let style = "{elapsed_precise} {wide_bar} {pos}/{len} acked, {per_sec} {msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    loop {
        bar.set_position(world.live.acked.load(Ordering::Relaxed));
        let delivered = world.live.delivered.load(Ordering::Relaxed);
        let reconnects = world.live.reconnects.load(Ordering::Relaxed);
        bar.set_message(format!("{delivered} delivered, {reconnects} reconnects"));
        sleep(REFRESH).await;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}
