//! `smoke`: two accounts on two nodes, one message, edit, delete and sync. The first thing to run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::client::socket::{Buffers, Socket, connect};
use crate::cluster::Cluster;
use crate::rest::{Account, Rest};

const WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct SmokeArgs {
    #[arg(long, default_value = crate::CLUSTER_FILE)]
    cluster: PathBuf,
}

pub(crate) async fn smoke(args: SmokeArgs) -> Result<u8> {
    match walk(&args).await {
        Ok(()) => {
            println!("verdict=OK");
            Ok(0)
        }
        Err(error) => {
            println!("{error:#}");
            println!("verdict=FAIL");
            Ok(1)
        }
    }
}

async fn walk(args: &SmokeArgs) -> Result<()> {
    let urls = Cluster::load(&args.cluster)?.urls();
    let (first, second) = (&urls[0], &urls[1 % urls.len()]);
    let http = reqwest::Client::new();
    let (here, there) = (Rest::new(http.clone(), first), Rest::new(http, second));
    let run = Uuid::new_v4().simple().to_string();
    let ada = sign_up(&here, &run, "ada").await?;
    let bob = sign_up(&there, &run, "bob").await?;
    let mut ada_socket = Caller::connect(first, &ada.token).await?;
    let mut bob_socket = Caller::connect(second, &bob.token).await?;
    let chat = here.create_chat(&ada.token, "smoke", &[bob.user_id]).await?;
    step("chatCreated on the other node", bob_socket.push("chatCreated").await, |data| {
        data["seq"] == 1 && data["chatId"] == json!(chat)
    })?;
    let message = converse(&mut ada_socket, &mut bob_socket, chat).await?;
    check_sync(&mut bob_socket, chat, &message).await?;
    let page: Value =
        there.get(&bob.token, &format!("/chats/{chat}/messages?after=0&limit=10")).await?;
    step("history on the other node", Ok(page), |page| {
        let items = page["items"].as_array();
        items.is_some_and(|items| items.len() == 1 && items[0]["id"] == json!(message))
    })
}

/// One message, its repetition, its edit and its deletion. Returns its id.
async fn converse(ada: &mut Caller, bob: &mut Caller, chat: Uuid) -> Result<String> {
    let text = " kept as it is \t";
    let send = json!({"chatId": chat, "clientId": Uuid::new_v4(), "body": text});
    let ack = ada.request("sendMessage", &send).await?;
    let id = ack["messageId"].as_str().context("no messageId")?.to_owned();
    let again = ada.request("sendMessage", &send).await;
    step("the same clientId again", again, |again| *again == ack)?;
    step("messageCreated", bob.push("messageCreated").await, |data| {
        data["message"]["body"] == text && data["seq"] == ack["seq"]
    })?;
    let edit = json!({"chatId": chat, "messageId": id, "body": "edited"});
    let edited = ada.request("editMessage", &edit).await?;
    step("messageEdited", bob.push("messageEdited").await, |data| {
        data["message"]["body"] == "edited" && data["seq"] == edited["seq"]
    })?;
    let delete = json!({"chatId": chat, "messageId": id});
    let deleted = ada.request("deleteMessage", &delete).await?;
    step("messageDeleted", bob.push("messageDeleted").await, |data| {
        data["messageId"] == json!(id) && data["seq"] == deleted["seq"]
    })?;
    Ok(id)
}

async fn check_sync(bob: &mut Caller, chat: Uuid, message: &str) -> Result<()> {
    let from = json!({"chats": [{"chatId": chat, "afterSeq": 1}]});
    step("sync", bob.request("sync", &from).await, |answer| {
        let changes = &answer["chats"][0];
        let messages = changes["messages"].as_array();
        changes["complete"] == true
            && changes["toSeq"] == 4
            && messages.is_some_and(|all| {
                all.iter().any(|one| one["id"] == message && one["body"].is_null())
            })
    })
}

async fn sign_up(rest: &Rest, run: &str, name: &str) -> Result<Account> {
    let name = format!("s{}_{name}", &run[..10]);
    rest.sign_up(&name, &name, &format!("Lt-{run}")).await
}

fn step(name: &str, found: Result<Value>, is_right: impl Fn(&Value) -> bool) -> Result<()> {
    let found = found.with_context(|| name.to_owned())?;
    ensure!(is_right(&found), "{name}: {found}");
    println!("{name}: as expected");
    Ok(())
}

/// A socket that is asked one thing after the other.
struct Caller {
    socket: Socket,
    next_id: u32,
    /// Pushes that came while an answer was awaited.
    pushes: Vec<Value>,
}

impl Caller {
    async fn connect(url: &str, token: &str) -> Result<Self> {
        let socket = connect(url, token, None, Buffers::BUSY).await?;
        Ok(Self { socket, next_id: 0, pushes: Vec::new() })
    }

    async fn request(&mut self, event: &str, data: &Value) -> Result<Value> {
        self.next_id += 1;
        let id = self.next_id.to_string();
        self.socket.feed(&id, event, data).await?;
        self.socket.flush().await?;
        loop {
            let frame = self.frame().await.with_context(|| format!("no answer to {event}"))?;
            if frame["id"] == json!(id) {
                ensure!(frame["ok"] == true, "{event}: {}", frame["error"]);
                return Ok(frame["data"].clone());
            }
            self.pushes.push(frame);
        }
    }

    async fn push(&mut self, event: &str) -> Result<Value> {
        loop {
            if let Some(place) = self.pushes.iter().position(|push| push["event"] == event) {
                return Ok(self.pushes.remove(place)["data"].take());
            }
            let frame = self.frame().await.with_context(|| format!("no {event}"))?;
            self.pushes.push(frame);
        }
    }

    async fn frame(&mut self) -> Result<Value> {
        loop {
            let next = timeout(WITHIN, self.socket.stream.next()).await?;
            match next.context("the connection ended")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => bail!("closed: {frame:?}"),
                _ => {}
            }
        }
    }
}
