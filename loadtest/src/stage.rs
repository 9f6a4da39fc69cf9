//! Sets the scene: accounts over REST, one connected client each, then the chats.
//!
//! Clients connect before the chats exist, so that the first event each member sees is the
//! chat's `seq` 1.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::client::Client;
use crate::client::journal::Journal;
use crate::cluster::Cluster;
use crate::oracle::tally::Tally;
use crate::rest::{Account, Rest};
use crate::world::{Entry, Live, Room, RunTag, SEAT_QUEUE, Seat, SendKey, Texts, World};

/// Sign-ups hash passwords, which is meant to be slow.
const AT_ONCE: usize = 8;
const CONNECT_WITHIN: Duration = Duration::from_secs(90);
const CREATION_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// What a run needs to exist.
pub(crate) struct Plan {
    /// One account each, by the name to display.
    pub accounts: Vec<String>,
    pub rooms: Vec<RoomPlan>,
    /// Messages that may be unanswered in a room at a time.
    pub in_flight: usize,
}

pub(crate) struct RoomPlan {
    pub name: String,
    /// Indexes of accounts; the first one creates the chat.
    pub members: Vec<u32>,
    pub texts: Texts,
    pub book: Vec<Entry>,
}

pub(crate) struct Stage {
    pub world: Arc<World>,
    /// For each room, what was answered for good.
    pub answers: Vec<mpsc::Receiver<u32>>,
    pub http: reqwest::Client,
    pub nodes: Arc<[String]>,
    pub file: PathBuf,
    clients: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Stage {
    pub(crate) async fn set(plan: Plan, file: &Path) -> Result<Self> {
        crate::limits::raise_open_files();
        let nodes: Arc<[String]> = Cluster::load(file)?.urls().into();
        let http = reqwest::Client::new();
        let tag = RunTag::random();
        eprintln!("signing up {} accounts", plan.accounts.len());
        let accounts = sign_up(&http, &nodes, tag, &plan.accounts).await?;
        let (world, answers, queues) = build(tag, plan, accounts);
        let (stop, _) = watch::channel(false);
        let mut stage = Self {
            world,
            answers,
            http,
            nodes,
            file: file.to_owned(),
            clients: JoinSet::new(),
            stop,
        };
        stage.connect(queues).await?;
        stage.create_chats().await?;
        Ok(stage)
    }

    async fn connect(&mut self, queues: Vec<mpsc::Receiver<SendKey>>) -> Result<()> {
        let started = Instant::now();
        for (seat, sends) in (0..).zip(queues) {
            let client = Client {
                world: Arc::clone(&self.world),
                seat,
                nodes: Arc::clone(&self.nodes),
                sends,
                stop: self.stop.subscribe(),
            };
            self.clients.spawn(client.run());
        }
        let all = self.world.seats.len();
        loop {
            let seats = self.world.seats.iter();
            let open = seats.filter(|seat| seat.connected.load(Ordering::Relaxed)).count();
            if open == all {
                eprintln!("{all} connections in {:.1} s", started.elapsed().as_secs_f64());
                return Ok(());
            }
            if started.elapsed() > CONNECT_WITHIN {
                let why = crate::world::lock(&self.world.live.closes).clone();
                bail!("only {open} of {all} connections within {CONNECT_WITHIN:?}: {why:?}");
            }
            sleep(POLL).await;
        }
    }

    async fn create_chats(&self) -> Result<()> {
        let rooms = (0..).zip(&self.world.rooms);
        stream::iter(rooms.map(|(index, room)| self.create_chat(index, room)))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        let deadline = Instant::now() + CREATION_WITHIN;
        while !self.all_have(|room| room.setup_seq.load(Ordering::Relaxed)) {
            if Instant::now() >= deadline {
                eprintln!("not every member has seen its chats' creation; the oracle will say who");
                break;
            }
            sleep(POLL).await;
        }
        eprintln!("{} chats created", self.world.rooms.len());
        Ok(())
    }

    async fn create_chat(&self, index: usize, room: &Room) -> Result<()> {
        ensure!(!room.members.is_empty(), "{} has no members", room.name);
        let owner = self.world.seat(room.members[0]);
        let others: Vec<Uuid> =
            room.members[1..].iter().map(|&seat| self.world.seat(seat).user_id).collect();
        let rest = Rest::new(self.http.clone(), &self.nodes[index % self.nodes.len()]);
        let chat_id = rest.create_chat(&owner.token, &room.name, &others).await?;
        let chat = rest.chat(&owner.token, chat_id).await?;
        room.setup_seq.store(chat.last_seq, Ordering::Relaxed);
        room.chat_id.get_or_init(|| chat_id);
        Ok(())
    }

    /// Every member knows everything up to what `until` says of their room.
    pub(crate) fn all_have(&self, until: impl Fn(&Room) -> u64) -> bool {
        self.behind(until) == 0
    }

    /// How many events the members are behind, all together.
    pub(crate) fn behind(&self, until: impl Fn(&Room) -> u64) -> u64 {
        let mut behind = 0;
        for room in &self.world.rooms {
            let Some(chat_id) = room.chat_id.get() else { continue };
            let until = until(room);
            for &seat in &room.members {
                let ledger = self.world.seat(seat).ledger();
                let known = ledger.get(chat_id).map_or(0, Journal::contiguous);
                behind += until.saturating_sub(known);
            }
        }
        behind
    }

    /// Closes all sockets; what the members saw stays in their ledgers.
    pub(crate) async fn stop_clients(&mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.clients.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(10), ended).await.is_err() {
            self.clients.shutdown().await;
        }
    }
}

async fn sign_up(
    http: &reqwest::Client,
    nodes: &[String],
    tag: RunTag,
    names: &[String],
) -> Result<Vec<Account>> {
    let password = format!("Lt-{}", Uuid::new_v4().simple());
    let password = password.as_str();
    let calls = names.iter().enumerate().map(|(index, display)| {
        let rest = Rest::new(http.clone(), &nodes[index % nodes.len()]);
        let name = format!("r{}_{index}", tag.short());
        async move { rest.sign_up(&name, display, password).await }
    });
    stream::iter(calls).buffered(AT_ONCE).try_collect().await
}

type Built = (Arc<World>, Vec<mpsc::Receiver<u32>>, Vec<mpsc::Receiver<SendKey>>);

fn build(tag: RunTag, plan: Plan, accounts: Vec<Account>) -> Built {
    let mut queues = Vec::with_capacity(accounts.len());
    let seats = accounts.into_iter().map(|account| {
        let (queue, sends) = mpsc::channel(SEAT_QUEUE);
        queues.push(sends);
        Seat {
            name: account.name,
            user_id: account.user_id,
            token: account.token,
            queue,
            ledger: Mutex::default(),
            connected: AtomicBool::new(false),
        }
    });
    let seats = seats.collect();
    let mut answers = Vec::with_capacity(plan.rooms.len());
    let rooms = plan.rooms.into_iter().map(|room| {
        // At most `in_flight` messages are unanswered, and each is answered for good once.
        let (answered, receiver) = mpsc::channel(plan.in_flight.max(1));
        answers.push(receiver);
        Room {
            name: room.name,
            chat_id: OnceLock::new(),
            members: room.members,
            texts: room.texts,
            book: Mutex::new(room.book),
            setup_seq: AtomicU64::new(0),
            answered,
        }
    });
    let rooms = rooms.collect();
    let world = World {
        tag,
        started: Instant::now(),
        rooms,
        seats,
        live: Live::default(),
        tally: Mutex::new(Tally::default()),
    };
    (Arc::new(world), answers, queues)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One room of two members, with a book of so many messages that the first one sends.
    pub(crate) fn world_of_two(messages: usize) -> Arc<World> {
        let account = |name: &str, id: u128| Account {
            name: name.to_owned(),
            user_id: Uuid::from_u128(id),
            token: String::new(),
        };
        let room = RoomPlan {
            name: "room".to_owned(),
            members: vec![0, 1],
            texts: Texts::Made { bytes: 20 },
            book: vec![Entry { attempts: 1, ..Entry::default() }; messages],
        };
        let plan = Plan { accounts: Vec::new(), rooms: vec![room], in_flight: 4 };
        build(RunTag::random(), plan, vec![account("ada", 1), account("bob", 2)]).0
    }
}
