//! `replay`: real IRC days, one chat for each file, one account for each nick.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::CommonArgs;
use crate::closing::finish;
use crate::dispatch::{Dispatch, Step};
use crate::faults::Faults;
use crate::figures::window::Window;
use crate::irc::{Day, load_folder};
use crate::progress::Progress;
use crate::stage::{Plan, RoomPlan, Stage};
use crate::world::{Entry, SendKey, Texts, World, micros};

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The folder with the days
    folder: PathBuf,
    /// Times real time; 0 is as fast as the limit of unanswered messages allows
    #[arg(long, default_value_t = 0.0)]
    speed: f64,
    /// Unanswered messages in a chat at a time
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Only files whose name contains this
    #[arg(long, default_value = "")]
    files: String,
    /// At most this many messages of each file
    #[arg(long)]
    limit: Option<usize>,
    #[command(flatten)]
    common: CommonArgs,
}

/// One chat's part: what to send, and when.
struct Part {
    room: u32,
    steps: Vec<Step>,
    at: Vec<Duration>,
    speed: f64,
    limit: usize,
}

pub(crate) async fn replay(args: ReplayArgs) -> Result<u8> {
    ensure!(args.speed >= 0.0 && args.speed.is_finite(), "--speed is 0 or above");
    let days = load_folder(&args.folder, &args.files, args.limit)?;
    let skipped: usize = days.iter().map(|day| day.empty).sum();
    let system: usize = days.iter().map(|day| day.system).sum();
    let (plan, parts) = plan(days, &args);
    let total: usize = parts.iter().map(|part| part.steps.len()).sum();
    eprintln!("{total} messages; skipped {skipped} empty and {system} system lines");
    let mut stage = Stage::set(plan, &args.common.cluster).await?;
    let window = Window::open(&stage.world, stage.file.clone()).await?;
    let faults = Faults::start(&args.common.faults, &stage.file);
    let progress = Progress::start(&stage.world, Some(total as u64));
    let mut drivers = JoinSet::new();
    for (part, answers) in parts.into_iter().zip(stage.answers.drain(..)) {
        drivers.spawn(drive(Arc::clone(&stage.world), part, answers));
    }
    while let Some(driven) = drivers.join_next().await {
        driven?;
    }
    drop(progress);
    let measured = window.close(&stage.world).await?;
    finish(stage, measured, faults, args.common.json).await
}

fn plan(days: Vec<Day>, args: &ReplayArgs) -> (Plan, Vec<Part>) {
    // One account for a nick, in however many chats it speaks.
    let mut seats: HashMap<String, u32> = HashMap::new();
    let mut accounts = Vec::new();
    let mut rooms = Vec::new();
    let mut parts = Vec::new();
    for (room, day) in (0..).zip(days.into_iter().filter(|day| !day.lines.is_empty())) {
        let mut members: Vec<u32> = Vec::new();
        let mut steps = Vec::new();
        for line in &day.lines {
            let sender = *seats.entry(line.nick.clone()).or_insert_with(|| {
                accounts.push(line.nick.clone());
                accounts.len() as u32 - 1
            });
            if !members.contains(&sender) {
                members.push(sender);
            }
            steps.push(Step { sender, parent: line.answers.map(|parent| parent as u32) });
        }
        let entry =
            |step: &Step| Entry { sender: step.sender, reply_to: step.parent, ..Entry::default() };
        let book = steps.iter().map(entry).collect();
        let at = day.lines.iter().map(|line| line.at).collect();
        parts.push(Part { room, steps, at, speed: args.speed, limit: args.in_flight });
        let texts = Texts::Lines(day.lines.into_iter().map(|line| line.text).collect());
        rooms.push(RoomPlan { name: day.name, members, texts, book });
    }
    (Plan { accounts, rooms, in_flight: args.in_flight }, parts)
}

/// Sends one chat's lines and returns when the last one is answered.
async fn drive(world: Arc<World>, part: Part, mut answers: mpsc::Receiver<u32>) {
    let started = Instant::now();
    let started_us = world.now_us();
    // At speed 0 everything is due at once.
    let due = |line: usize| {
        if part.speed == 0.0 { Duration::ZERO } else { part.at[line].div_f64(part.speed) }
    };
    let senders: Vec<u32> = part.steps.iter().map(|step| step.sender).collect();
    let mut dispatch = Dispatch::new(part.steps, part.limit);
    while !dispatch.is_done() {
        let mut ready = Vec::new();
        while dispatch.next().is_some_and(|line| due(line) <= started.elapsed()) {
            ready.extend(dispatch.admit());
        }
        let next = dispatch.next().map(|line| started + due(line));
        if ready.is_empty() {
            tokio::select! {
                Some(index) = answers.recv() => ready = dispatch.answer(index),
                () = sleep_until(next.unwrap_or(started).into()), if next.is_some() => {}
            }
        }
        for index in ready {
            let intended_us = if part.speed == 0.0 {
                world.now_us()
            } else {
                started_us + micros(due(index as usize))
            };
            let key = SendKey { room: part.room, index };
            world.room(key).book()[index as usize].intended_us = intended_us;
            // A seat takes no more sends only if its task ended, which the oracle will tell.
            let _ = world.seat(senders[index as usize]).queue.send(key).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::irc::parse_day;

    #[test]
    fn a_nick_is_one_account_in_all_its_chats() {
        let one = parse_day("one", b"[01:00] <a> x\n[01:00] <b> y\n", "0 1 -\n", 9);
        let two = parse_day("two", b"[01:00] <b> z\n[01:00] <c> z\n[01:01] <b> z\n", "", 9);
        let args = ReplayArgs {
            folder: PathBuf::new(),
            speed: 0.0,
            in_flight: 4,
            files: String::new(),
            limit: None,
            common: CommonArgs::default(),
        };
        let (plan, parts) = plan(vec![one, Day::default(), two], &args);
        assert_eq!(plan.accounts, ["a", "b", "c"]);
        assert_eq!(plan.rooms[0].members, [0, 1]);
        assert_eq!(plan.rooms[1].members, [1, 2]);
        assert_eq!(plan.rooms[0].book[1].reply_to, Some(0));
        assert_eq!((parts[1].room, parts[1].steps.len()), (1, 3));
    }
}
