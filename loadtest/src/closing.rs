//! The end of a run: heal, wait until nothing is under way, read all histories, judge, print.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use crate::client::journal::Journal;
use crate::faults::Faults;
use crate::figures::report::{Findings, Report};
use crate::figures::window::Measured;
use crate::oracle::history::read;
use crate::oracle::{Case, Member, judge};
use crate::rest::Rest;
use crate::stage::Stage;
use crate::world::{Entry, Room};

/// Without any progress for this long, what is still missing will not come.
const PATIENCE: Duration = Duration::from_secs(30);
const DELIVERY_PATIENCE: Duration = Duration::from_secs(10);
/// For repeats and stragglers to show up once all seems done.
const QUIET: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(200);
const ROOMS_AT_ONCE: usize = 8;

/// Returns the exit code.
pub(crate) async fn finish(
    mut stage: Stage,
    measured: Measured,
    faults: Option<Faults>,
    json: Option<PathBuf>,
) -> Result<u8> {
    let faults = match faults {
        Some(faults) => Some(faults.heal(&stage.http).await?),
        None => None,
    };
    wait_for(PATIENCE, || unanswered(&stage)).await;
    wait_for(DELIVERY_PATIENCE, || stage.behind(last_acked)).await;
    sleep(QUIET).await;
    stage.stop_clients().await;
    eprintln!("reading {} histories", stage.world.rooms.len());
    let findings = investigate(&stage).await;
    let report = Report::new(&stage.world, &findings, measured, faults);
    report.print();
    if let Some(path) = json {
        report.write_json(&path)?;
    }
    Ok(report.exit_code())
}

/// Until nothing is left, or what is left has not become less for `patience`.
async fn wait_for(patience: Duration, left: impl Fn() -> u64) {
    let mut best = u64::MAX;
    let mut since = Instant::now();
    loop {
        let now = left();
        if now == 0 {
            return;
        }
        if now < best {
            best = now;
            since = Instant::now();
        } else if since.elapsed() > patience {
            eprintln!("gave up waiting with {now} left");
            return;
        }
        sleep(POLL).await;
    }
}

fn unanswered(stage: &Stage) -> u64 {
    let is_open = |entry: &&Entry| entry.ack.is_none() && entry.refused.is_none();
    stage.world.rooms.iter().map(|room| room.book().iter().filter(is_open).count() as u64).sum()
}

fn last_acked(room: &Room) -> u64 {
    let acked = room.book().iter().filter_map(|entry| Some(entry.ack?.seq)).max();
    acked.unwrap_or_else(|| room.setup_seq.load(Ordering::Relaxed))
}

async fn investigate(stage: &Stage) -> Findings {
    let mut findings = Findings { tally: stage.world.tally().clone(), ..Findings::default() };
    let rooms = (0..).zip(&stage.world.rooms);
    let mut reading = stream::iter(rooms.map(|(index, room)| investigate_room(stage, index, room)))
        .buffer_unordered(ROOMS_AT_ONCE);
    while let Some(found) = reading.next().await {
        match found {
            Ok(found) => {
                findings.tally.absorb(&found.tally);
                findings.delivered += found.delivered;
                findings.stored += found.stored;
            }
            Err(error) => findings.unread.push(format!("{error:#}")),
        }
    }
    findings
}

async fn investigate_room(stage: &Stage, index: u32, room: &Room) -> Result<Findings> {
    let world = &*stage.world;
    // The owner wrote by way of their own node (`seat` modulo nodes); read from the next one.
    let reader = room.members[0];
    let node = (reader as usize + 1) % stage.nodes.len();
    let rest = Rest::new(stage.http.clone(), &stage.nodes[node]);
    let history = read(world, &rest, &world.seat(reader).token, index, room).await?;
    let chat_id = room.chat_id.get().copied().unwrap_or_default();
    let journals: Vec<Journal> = room
        .members
        .iter()
        .map(|&seat| world.seat(seat).ledger().remove(&chat_id).unwrap_or_default())
        .collect();
    let members = room.members.iter().zip(&journals).map(|(&seat, journal)| {
        let seat = world.seat(seat);
        Member { name: &seat.name, user: seat.user_id, journal }
    });
    let mut findings = Findings::default();
    let case = Case {
        tag: world.tag,
        room: index,
        name: &room.name,
        setup_seq: room.setup_seq.load(Ordering::Relaxed),
        last_seq: history.last_seq,
        history: &history.messages,
        book: &room.book(),
        members: members.collect(),
        users: &|seat| world.seat(seat).user_id,
    };
    let counts = judge(&case, &mut findings.tally);
    findings.delivered = counts.delivered;
    findings.stored = counts.stored;
    Ok(findings)
}
