//! `receipts`: what marking as read costs. Rooms whose members all have the chat open; one of each
//! sends, and in the second of two windows all others mark each message. What the windows differ by
//! is the marks'.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::client::socket::{Buffers, Socket, connect};
use crate::cluster::Cluster;
use crate::figures::cpu::{CpuRow, CpuSample};
use crate::rest::{Account, Rest};
use crate::wire::Frame;
use crate::world::bump;

const AT_ONCE: usize = 8;
/// Until what is under way at a window's edge has come.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct ReceiptsArgs {
    #[arg(long, default_value_t = 20)]
    rooms: usize,
    /// Members of each room; one sends, the others mark
    #[arg(long, default_value_t = 10)]
    members: usize,
    /// Messages a second over all rooms
    #[arg(long, default_value_t = 50)]
    rate: u64,
    /// Length of each of the two windows
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    #[arg(long, default_value = crate::CLUSTER_FILE)]
    cluster: PathBuf,
    /// Also write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Default)]
struct Live {
    marking: AtomicBool,
    stop: AtomicBool,
    sent: AtomicU64,
    delivered: AtomicU64,
    marked: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    receipts: AtomicU64,
}

/// What one window came to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Window {
    messages: u64,
    deliveries: u64,
    marks: u64,
    answered: u64,
    receipts: u64,
    redis_calls: f64,
    redis_moved: f64,
    cpu: Vec<CpuRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    chat_id: Uuid,
    seq: u64,
}

pub(crate) async fn receipts(args: ReceiptsArgs) -> Result<u8> {
    ensure!(args.members > 1 && args.rooms > 0 && args.rate > 0, "nobody would read");
    crate::limits::raise_open_files();
    let cluster = Cluster::load(&args.cluster)?;
    let live = Arc::<Live>::default();
    let mut tasks = set_up(&args, &cluster, &live).await?;
    sleep(SETTLE).await;
    let without = window(&args, &live, false).await?;
    let with = window(&args, &live, true).await?;
    live.stop.store(true, Ordering::Relaxed);
    tasks.shutdown().await;
    report(&args, &live, &without, &with)
}

async fn set_up(args: &ReceiptsArgs, cluster: &Cluster, live: &Arc<Live>) -> Result<JoinSet<()>> {
    let http = reqwest::Client::new();
    let urls = cluster.urls();
    let run = Uuid::new_v4().simple().to_string();
    let count = args.rooms * args.members;
    let signing = (0..count).map(|index| {
        let rest = Rest::new(http.clone(), &urls[index % urls.len()]);
        let (name, password) = (format!("m{}_{index}", &run[..8]), format!("Lt-{run}"));
        async move { rest.sign_up(&name, &name, &password).await }
    });
    let accounts: Vec<Account> = stream::iter(signing).buffered(AT_ONCE).try_collect().await?;
    let mut tasks = JoinSet::new();
    let each = Duration::from_secs(1).mul_f64(args.rooms as f64 / args.rate as f64);
    for (room, members) in accounts.chunks(args.members).enumerate() {
        let rest = Rest::new(http.clone(), &urls[room % urls.len()]);
        let others: Vec<Uuid> = members[1..].iter().map(|account| account.user_id).collect();
        let chat = rest.create_chat(&members[0].token, "receipts", &others).await?;
        for (index, account) in members.iter().enumerate() {
            let url = &urls[(room + index) % urls.len()];
            let mut socket = connect(url, &account.token, None, Buffers::BUSY).await?;
            socket.feed("join", "joinChat", json!({ "chatId": chat })).await?;
            socket.flush().await?;
            let live = Arc::clone(live);
            if index == 0 {
                // Rooms send in turn, not all at once.
                let first = Instant::now() + SETTLE + each.mul_f64(room as f64 / args.rooms as f64);
                tasks.spawn(async move { drop(send(socket, chat, first, each, &live).await) });
            } else {
                tasks.spawn(async move { drop(read(socket, &live).await) });
            }
        }
    }
    Ok(tasks)
}

async fn send(
    mut socket: Socket,
    chat: Uuid,
    first: Instant,
    each: Duration,
    live: &Live,
) -> Result<()> {
    let mut due = interval_at(first, each);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !live.stop.load(Ordering::Relaxed) {
        tokio::select! {
            _ = due.tick() => {
                let data = json!({ "chatId": chat, "clientId": Uuid::new_v4(), "body": "a message to be read" });
                socket.feed("send", "sendMessage", data).await?;
                socket.flush().await?;
                bump(&live.sent);
            }
            frame = socket.stream.next() => {
                note(&frame.context("the connection ended")??, live);
            }
        }
    }
    Ok(())
}

async fn read(mut socket: Socket, live: &Live) -> Result<()> {
    while !live.stop.load(Ordering::Relaxed) {
        let frame = socket.stream.next().await.context("the connection ended")??;
        if let Some(Created { chat_id, seq }) = note(&frame, live)
            && live.marking.load(Ordering::Relaxed)
        {
            let data = json!({ "chatId": chat_id, "seq": seq });
            socket.feed("mark", "markRead", data).await?;
            socket.flush().await?;
            bump(&live.marked);
        }
    }
    Ok(())
}

/// Counts a frame; gives back a message that was delivered.
fn note(frame: &Message, live: &Live) -> Option<Created> {
    let Message::Text(text) = frame else { return None };
    let frame: Frame<'_> = serde_json::from_str(text).ok()?;
    match (frame.event, frame.id, frame.ok) {
        (Some("messageCreated"), ..) => {
            bump(&live.delivered);
            return serde_json::from_str(frame.data?.get()).ok();
        }
        (Some("readReceipt"), ..) => bump(&live.receipts),
        (_, Some("mark"), Some(true)) => bump(&live.answered),
        (_, Some(_), Some(false)) => bump(&live.refused),
        _ => {}
    }
    None
}

async fn window(args: &ReceiptsArgs, live: &Live, marking: bool) -> Result<Window> {
    live.marking.store(marking, Ordering::Relaxed);
    sleep(SETTLE).await;
    let http = reqwest::Client::new();
    let cluster = Cluster::load(&args.cluster)?;
    let counts = || {
        let all = [&live.sent, &live.delivered, &live.marked, &live.answered, &live.receipts];
        all.map(|count| count.load(Ordering::Relaxed))
    };
    let (calls, moved, before) =
        (scraped(&http, &cluster, CALLS).await?, scraped(&http, &cluster, MOVED).await?, counts());
    let start = CpuSample::take(&cluster);
    sleep(Duration::from_secs(args.seconds)).await;
    let end = CpuSample::take(&cluster);
    let after = counts();
    let since = |index: usize| after[index] - before[index];
    Ok(Window {
        messages: since(0),
        deliveries: since(1),
        marks: since(2),
        answered: since(3),
        receipts: since(4),
        redis_calls: scraped(&http, &cluster, CALLS).await? - calls,
        redis_moved: scraped(&http, &cluster, MOVED).await? - moved,
        cpu: start.until(&end, since(0)),
    })
}

const CALLS: (&str, &str) = ("chat_receipt_calls_total", "");
const MOVED: (&str, &str) = ("chat_receipts_total", "step=\"moved\"");

/// A counter, summed over the nodes.
async fn scraped(
    http: &reqwest::Client,
    cluster: &Cluster,
    (name, label): (&str, &str),
) -> Result<f64> {
    let mut sum = 0.0;
    for url in cluster.nodes.iter().filter_map(|node| node.metrics_url.as_ref()) {
        let text = http.get(url).send().await?.text().await?;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        sum += lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>();
    }
    Ok(sum)
}

fn report(args: &ReceiptsArgs, live: &Live, without: &Window, with: &Window) -> Result<u8> {
    let refused = live.refused.load(Ordering::Relaxed);
    ensure!(with.marks > 0 && without.messages > 0, "nothing was marked");
    let marks = with.marks as f64;
    println!(
        "messages_without={} messages_with={} marks={} answered={} refused={refused} \
         receipts_per_mark={:.2} marks_per_redis_call={:.2} moved={}",
        without.messages,
        with.messages,
        with.marks,
        with.answered,
        with.receipts as f64 / marks,
        marks / with.redis_calls.max(1.0),
        with.redis_moved,
    );
    // The windows may differ by a few messages.
    let scale = with.messages as f64 / without.messages as f64;
    let mut each = Vec::new();
    for row in &with.cpu {
        let base = without.cpu.iter().find(|base| base.process == row.process);
        let (Some(cpu_us), Some(base)) = (row.cpu_us, base.and_then(|base| base.cpu_us)) else {
            println!("cpu {}: it did not live through both windows", row.process);
            continue;
        };
        let us_per_mark = (cpu_us as f64 - base as f64 * scale) / marks;
        let per_message = base as f64 / without.messages as f64;
        println!(
            "cpu {} us_per_mark={us_per_mark:.1} us_per_message_without={per_message:.1}",
            row.process
        );
        each.push(json!({ "process": row.process, "usPerMark": us_per_mark }));
    }
    if let Some(path) = &args.json {
        let figures = json!({ "without": without, "with": with, "cpu": each });
        std::fs::write(path, serde_json::to_string_pretty(&figures)?)?;
    }
    // What is under way at the edges is no loss.
    let is_whole = refused == 0 && with.answered as f64 >= marks * 0.9;
    println!("verdict={}", if is_whole { "OK" } else { "FAIL" });
    Ok(u8::from(!is_whole))
}
