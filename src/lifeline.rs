//! How a part learns that its supervisor has died: its standard input, a pipe that the supervisor
//! holds and never writes to, ends.

use std::io::Read as _;

use tokio::sync::oneshot;

/// Returns when standard input has ended.
///
/// It is read by a thread of its own: a read cannot be cancelled, and one on the runtime's pool
/// would keep a process that ends for another reason from exiting.
pub async fn cut() {
    let (ended, wait) = oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while matches!(std::io::stdin().read(&mut ignored), Ok(read) if read > 0) {}
        // Nobody waits any more where the process is ending already.
        let _ = ended.send(());
    });
    let _ = wait.await;
}
