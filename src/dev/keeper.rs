//! Keeps one part running: whatever it dies of, it is started again.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::board::Board;
use super::console::say;
use super::plan::Plan;
use super::process::Process;

/// Before the first restart, and doubled for each further one up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A part that has lived this long had started well: the next pause is the first again.
const STEADY: Duration = Duration::from_secs(10);

/// The task that keeps a part. Dropping it kills the part.
pub(super) struct Keeper {
    token: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Keeper {
    pub(super) fn start(plan: Plan, board: Arc<Board>) -> Self {
        let token = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(keep(plan, board, token.clone())));
        Self { token, task }
    }

    /// Ends the part in its own way; bounded by its plan.
    pub(super) async fn end(self) {
        self.token.cancel();
        let _ = self.task.await;
    }
}

async fn keep(plan: Plan, board: Arc<Board>, token: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    loop {
        let since = Instant::now();
        let reason = match Process::spawn(&plan) {
            Ok(mut process) => {
                board.started(&plan.name, process.pid());
                tokio::select! {
                    status = process.wait() => status.map_or_else(|e| e.to_string(), describe),
                    () = token.cancelled() => {
                        process.stop().await;
                        return board.ended(&plan.name);
                    }
                }
            }
            Err(error) => format!("{error:#}"),
        };
        board.died(&plan.name);
        if since.elapsed() > STEADY {
            pause = FIRST_PAUSE;
        }
        say(&format!("{} has ended ({reason}); it is started again", plan.name));
        tokio::select! {
            () = sleep(pause) => {}
            () = token.cancelled() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn describe(status: ExitStatus) -> String {
    status.to_string()
}
