//! `run`: synthetic load, on a schedule (open loop) or as fast as answers come (closed loop).

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::CommonArgs;
use crate::closing::finish;
use crate::faults::Faults;
use crate::figures::window::Window;
use crate::progress::Progress;
use crate::schedule::{Schedule, seating};
use crate::stage::{Plan, RoomPlan, Stage};
use crate::world::{Entry, SendKey, Texts, World, bump, micros};

/// The timer's own grain.
const TICK: Duration = Duration::from_millis(1);

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[arg(long, default_value_t = 50)]
    rooms: u32,
    /// Members of each room
    #[arg(long, default_value_t = 10)]
    members: u32,
    /// Messages a second over all rooms; 0 sends as fast as answers come
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// Length of the measuring window
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds of load before the window
    #[arg(long, default_value_t = 3)]
    warmup: u64,
    #[arg(long, default_value_t = 100)]
    body_bytes: usize,
    /// Accounts, each with one socket, to deal the rooms' members from [default: rooms × members]
    #[arg(long)]
    connections: Option<u32>,
    /// Unanswered messages in a room at a time, for `--rate 0`
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    #[command(flatten)]
    common: CommonArgs,
}

pub(crate) async fn run(args: RunArgs) -> Result<u8> {
    ensure!(args.rate >= 0.0 && args.rate.is_finite(), "--rate is 0 or above");
    ensure!(args.body_bytes <= 8000, "a body has at most 8,000 characters");
    let mut stage = Stage::set(plan(&args)?, &args.common.cluster).await?;
    let warmup = Duration::from_secs(args.warmup);
    let length = warmup + Duration::from_secs(args.seconds);
    let total = (args.rate > 0.0).then_some((args.rate * length.as_secs_f64()) as u64);
    let progress = Progress::start(&stage.world, total);
    let until = Instant::now() + length;
    let mut drivers = JoinSet::new();
    if args.rate > 0.0 {
        let schedule = Schedule {
            per_second: args.rate,
            rooms: u64::from(args.rooms),
            members: u64::from(args.members),
        };
        drivers.spawn(open_loop(Arc::clone(&stage.world), schedule, until));
    } else {
        for (room, answers) in (0..).zip(stage.answers.drain(..)) {
            let world = Arc::clone(&stage.world);
            drivers.spawn(closed_loop(world, room, args.in_flight, answers, until));
        }
    }
    sleep(warmup).await;
    let window = Window::open(&stage.world, stage.file.clone()).await?;
    let faults = Faults::start(&args.common.faults, &stage.file);
    sleep_until(until.into()).await;
    let measured = window.close(&stage.world).await?;
    while let Some(driven) = drivers.join_next().await {
        driven?;
    }
    drop(progress);
    finish(stage, measured, faults, args.common.json).await
}

fn plan(args: &RunArgs) -> Result<Plan> {
    let accounts = args.connections.unwrap_or(args.rooms.saturating_mul(args.members));
    let seats = seating(args.rooms, args.members, accounts)?;
    let rooms = seats.into_iter().enumerate().map(|(index, members)| RoomPlan {
        name: format!("room {index}"),
        members,
        texts: Texts::Made { bytes: args.body_bytes },
        book: Vec::new(),
    });
    let rooms = rooms.collect();
    let names = (0..accounts).map(|index| format!("member {index}")).collect();
    Ok(Plan { accounts: names, rooms, in_flight: args.in_flight })
}

async fn open_loop(world: Arc<World>, schedule: Schedule, until: Instant) {
    let started = Instant::now();
    let started_us = world.now_us();
    let mut number = 0;
    loop {
        let now = Instant::now().min(until);
        let due = schedule.due(now.duration_since(started));
        while number < due {
            let (room, member) = schedule.place(number);
            let intended_us = started_us + micros(schedule.at(number));
            if !post(&world, room, member, intended_us) {
                bump(&world.live.dropped);
            }
            number += 1;
        }
        if now >= until {
            return;
        }
        sleep(TICK).await;
    }
}

/// Keeps so many messages of one room unanswered, until time is up and all are answered.
async fn closed_loop(
    world: Arc<World>,
    room: usize,
    in_flight: usize,
    mut answers: mpsc::Receiver<u32>,
    until: Instant,
) {
    let members = world.rooms[room].members.len();
    let mut sent = 0;
    for _ in 0..in_flight {
        post(&world, room, sent % members, world.now_us());
        sent += 1;
    }
    while Instant::now() < until {
        tokio::select! {
            Some(_) = answers.recv() => {
                post(&world, room, sent % members, world.now_us());
                sent += 1;
            }
            () = sleep_until(until.into()) => {}
        }
    }
}

/// Enters a message into the room's book and hands it to its sender's client, unless too many
/// wait there already.
fn post(world: &World, room: usize, member: usize, intended_us: u64) -> bool {
    let place = &world.rooms[room];
    let sender = place.members[member];
    let mut book = place.book();
    let key = SendKey { room: room as u32, index: book.len() as u32 };
    book.push(Entry { sender, intended_us, ..Entry::default() });
    let taken = world.seat(sender).queue.try_send(key).is_ok();
    if !taken {
        book.pop();
    }
    taken
}
