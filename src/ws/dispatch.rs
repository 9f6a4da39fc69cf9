//! What clients ask on a socket: one handler per event.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Edge, frame};
use crate::chats::SYNC_CHATS;
use crate::error::{Error, Result};
use crate::fanout::connection::Connection;
use crate::fanout::outbox::Covered;
use crate::log::append::Request;
use crate::log::command::Action;
use crate::log::entry::Answer;
use crate::messages::Window;
use crate::metrics::Metrics;
use crate::model::chat::Chat;
use crate::model::id::ChatId;
use crate::model::presence::UserPresence;
use crate::presence::MOST_FOLLOWED;
use crate::protocol::changes::{Changes, Marked, Receipt, Synced};
use crate::protocol::push::Wanted;
use crate::protocol::request::{
    DeleteMessage, EditMessage, Envelope, GetMessages, ID_CHARS, JoinChat, Known, LeaveChat,
    MarkRead, PresenceOf, ReactionRequest, RequestKind, SendMessage, Subscribe, Sync, Typing,
};
use crate::receipts::Mark;

/// How a frame was taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Well,
    /// It broke the protocol; a few of these are borne with.
    Malformed,
}

/// Reads a frame's envelope. One that cannot be read is answered where its `id` can.
pub(super) fn open(text: &str) -> Result<Envelope<'_>, Option<Bytes>> {
    let envelope = match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) => envelope,
        Err(error) => {
            let id = serde_json::from_str::<serde_json::Value>(text)
                .ok()
                .and_then(|frame| frame.get("id")?.as_str().map(str::to_owned))
                .filter(|id| id.chars().count() <= ID_CHARS);
            let problem = Error::Malformed(format!("the frame cannot be read: {error}"));
            return Err(id.map(|id| frame::failed(&id, &problem)));
        }
    };
    match &envelope.id {
        Some(id) if id.chars().count() > ID_CHARS => Err(None),
        _ => Ok(envelope),
    }
}

/// Does what a frame asks for. Answers go to the outbox, now or later.
pub(super) async fn take(
    edge: &Edge,
    connection: &Arc<Connection>,
    kind: RequestKind,
    envelope: &Envelope<'_>,
) -> Taken {
    let id = envelope.id.as_deref();
    let (requests, began) = (&edge.metrics.requests, Instant::now());
    // The one hot event, which has no await in its way.
    if kind == RequestKind::SendMessage {
        return match send(edge, connection, id, envelope.data) {
            Ok(()) => Taken::Well,
            Err(error) => {
                requests.refused(Some(kind), &error);
                refuse(connection, id, &error)
            }
        };
    }
    // Boxed: the states of rare requests would make every idle connection's task larger.
    let outcome = Box::pin(rare(edge, connection, kind, envelope)).await;
    let told = outcome.as_ref().copied();
    // What is answered later is counted then.
    if told.is_err() || !is_answered_later(kind) {
        requests.answered(kind, told, began.elapsed());
    }
    match outcome {
        Ok(()) => Taken::Well,
        Err(error) => refuse(connection, id, &error),
    }
}

/// Whether a request becomes a command, or a mark: their answers come later.
const fn is_answered_later(kind: RequestKind) -> bool {
    match kind {
        RequestKind::SendMessage
        | RequestKind::EditMessage
        | RequestKind::DeleteMessage
        | RequestKind::AddReaction
        | RequestKind::RemoveReaction
        | RequestKind::MarkRead => true,
        RequestKind::Authenticate
        | RequestKind::GetMessages
        | RequestKind::JoinChat
        | RequestKind::LeaveChat
        | RequestKind::Typing
        | RequestKind::Sync
        | RequestKind::Subscribe
        | RequestKind::SubscribePresence
        | RequestKind::UnsubscribePresence => false,
    }
}

/// The request that a command was, where it came from a socket.
const fn request_of(action: &Action) -> Option<RequestKind> {
    match action {
        Action::Send(_) => Some(RequestKind::SendMessage),
        Action::Edit { .. } => Some(RequestKind::EditMessage),
        Action::Delete { .. } => Some(RequestKind::DeleteMessage),
        Action::AddReaction { .. } => Some(RequestKind::AddReaction),
        Action::RemoveReaction { .. } => Some(RequestKind::RemoveReaction),
        Action::CreateGroup { .. }
        | Action::CreateDirect { .. }
        | Action::AddMembers { .. }
        | Action::Join { .. }
        | Action::Leave
        | Action::RemoveMember { .. }
        | Action::ChangeRole { .. }
        | Action::UpdateChat { .. }
        | Action::DeleteChat => None,
    }
}

/// What is said of an event that there is not.
pub(super) fn unknown(event: &str) -> Error {
    let shown: String = event.chars().take(ID_CHARS).collect();
    Error::invalid("event", format!("{shown:?} is unknown"))
}

pub(super) fn refuse(connection: &Connection, id: Option<&str>, error: &Error) -> Taken {
    if let Some(id) = id {
        connection.outbox.answer(frame::failed(id, error));
    }
    match error {
        Error::Malformed(_) => Taken::Malformed,
        _ => Taken::Well,
    }
}

async fn rare(
    edge: &Edge,
    connection: &Arc<Connection>,
    kind: RequestKind,
    envelope: &Envelope<'_>,
) -> Result<()> {
    let (id, data) = (envelope.id.as_deref(), envelope.data);
    match kind {
        // The connection takes it before it comes here: it changes the connection itself.
        RequestKind::Authenticate => Err(Error::internal("authenticate was dispatched")),
        RequestKind::SendMessage => send(edge, connection, id, data),
        RequestKind::EditMessage => edit(edge, connection, id, data),
        RequestKind::DeleteMessage => delete(edge, connection, id, data),
        RequestKind::AddReaction => {
            let ReactionRequest { chat_id, message_id, emoji } = parse(data)?;
            let (user, messages) = (connection.user, &edge.messages);
            submit(edge, connection, id, messages.add_reaction(user, chat_id, message_id, &emoji)?);
            Ok(())
        }
        RequestKind::RemoveReaction => {
            let ReactionRequest { chat_id, message_id, emoji } = parse(data)?;
            let (user, messages) = (connection.user, &edge.messages);
            let request = messages.remove_reaction(user, chat_id, message_id, &emoji)?;
            submit(edge, connection, id, request);
            Ok(())
        }
        RequestKind::JoinChat => join_chat(edge, connection, id, data).await,
        RequestKind::LeaveChat => {
            let LeaveChat { chat_id } = parse(data)?;
            connection.close(chat_id);
            answer(connection, id, Nothing {});
            Ok(())
        }
        RequestKind::GetMessages => get_messages(edge, connection, id, data).await,
        RequestKind::Sync => sync(edge, connection, id, data).await,
        RequestKind::MarkRead => mark_read(edge, connection, id, data),
        RequestKind::Typing => typing(edge, connection, id, data).await,
        RequestKind::SubscribePresence => follow_presence(edge, connection, id, data).await,
        RequestKind::UnsubscribePresence => {
            let PresenceOf { user_ids } = of_presence(data)?;
            edge.presence.unfollow(connection, &user_ids);
            answer(connection, id, Presences { items: Vec::new() });
            Ok(())
        }
        RequestKind::Subscribe => {
            let Subscribe { events } = parse(data)?;
            let wanted = Wanted::of(&events)
                .map_err(|name| Error::invalid("events", format!("{name:?} is no event")))?;
            connection.outbox.want(wanted);
            answer(connection, id, Nothing {});
            Ok(())
        }
    }
}

/// An empty object.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Nothing {}

fn answer(connection: &Connection, id: Option<&str>, data: impl Serialize) {
    if let Some(id) = id {
        connection.outbox.answer(frame::done(id, data));
    }
}

fn parse<T: DeserializeOwned>(data: Option<&RawValue>) -> Result<T> {
    let data = data.map_or("{}", RawValue::get);
    if !data.starts_with('{') {
        return Err(Error::invalid("data", "an object is required"));
    }
    let mut reader = serde_json::Deserializer::from_str(data);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "data".to_owned() } else { format!("data.{path}") };
        Error::misshapen(&path, &error.into_inner().to_string())
    })
}

fn send(
    edge: &Edge,
    connection: &Arc<Connection>,
    id: Option<&str>,
    data: Option<&RawValue>,
) -> Result<()> {
    let (chat, new) = parse::<SendMessage>(data)?.split();
    let request = edge.messages.send(connection.user, chat, new)?;
    submit(edge, connection, id, request);
    Ok(())
}

fn edit(
    edge: &Edge,
    connection: &Arc<Connection>,
    id: Option<&str>,
    data: Option<&RawValue>,
) -> Result<()> {
    let EditMessage { chat_id, message_id, body } = parse(data)?;
    let request = edge.messages.edit(connection.user, chat_id, message_id, body)?;
    submit(edge, connection, id, request);
    Ok(())
}

fn delete(
    edge: &Edge,
    connection: &Arc<Connection>,
    id: Option<&str>,
    data: Option<&RawValue>,
) -> Result<()> {
    let DeleteMessage { chat_id, message_id } = parse(data)?;
    let request = edge.messages.delete(connection.user, chat_id, message_id);
    submit(edge, connection, id, request);
    Ok(())
}

/// Hands a command to the log; its answer comes when its writer has decided.
fn submit(edge: &Edge, connection: &Arc<Connection>, id: Option<&str>, request: Request) {
    connection.outbox.expect_answer();
    let connection = Arc::clone(connection);
    let (id, metrics) = (id.map(str::to_owned), Arc::clone(&edge.metrics));
    let (started, kind) = (Instant::now(), request_of(&request.action));
    edge.messages.submit(
        request,
        Box::new(move |outcome| {
            if let Some(kind) = kind {
                note(&metrics, kind, &outcome, started.elapsed());
            }
            connection.outbox.late_answer(id.map(|id| frame::answered(&id, outcome)));
        }),
    );
}

fn note(metrics: &Metrics, kind: RequestKind, outcome: &Result<Answer>, took: Duration) {
    let refusal = match outcome {
        Ok(Answer::Refused(refusal)) => Some(refusal.into_error()),
        _ => None,
    };
    let told = match (outcome, &refusal) {
        (Err(error), _) | (_, Some(error)) => Err(error),
        _ => Ok(()),
    };
    metrics.requests.answered(kind, told, took);
}

async fn get_messages(
    edge: &Edge,
    connection: &Connection,
    id: Option<&str>,
    data: Option<&RawValue>,
) -> Result<()> {
    let GetMessages { chat_id, before, after, around, limit } = parse(data)?;
    let window = Window { before, after, around, limit };
    let page = edge.messages.page(connection.user, chat_id, window).await?;
    answer(connection, id, page);
    Ok(())
}

/// Answered when it is set, together with other marks of the moment; what the socket asks behind it
/// does not wait.
fn mark_read(
    edge: &Edge,
    connection: &Arc<Connection>,
    id: Option<&str>,
    data: Option<&RawValue>,
) -> Result<()> {
    let MarkRead { chat_id, seq } = parse(data)?;
    let (user, from) = (connection.user, Some(connection.id));
    let mark = Mark { chat: chat_id, user, seq: Some(seq), from };
    connection.outbox.expect_answer();
    let connection = Arc::clone(connection);
    let (id, metrics, began) = (id.map(str::to_owned), Arc::clone(&edge.metrics), Instant::now());
    let done = move |outcome: Result<Marked>| {
        let told = outcome.as_ref().map(drop);
        metrics.requests.answered(RequestKind::MarkRead, told, began.elapsed());
        let answer = id.map(|id| match outcome {
            Ok(marked) => frame::done(&id, marked),
            Err(error) => frame::failed(&id, &error),
        });
        connection.outbox.late_answer(answer);
    };
    edge.receipts.submit(mark, Box::new(done));
    Ok(())
}

async fn typing(
    edge: &Edge,
    connection: &Connection,
    id: Option<&str>,
    data: Option<&RawValue>,
) -> Result<()> {
    let Typing { chat_id, typing } = parse(data)?;
    if !connection.is_in(chat_id) {
        return Err(Error::NotFound("chat"));
    }
    // Answered all the same: nobody is to learn from it who blocks whom.
    if edge.hub.may_be_heard(connection, chat_id) {
        edge.ephemera.typing(chat_id, connection.user, typing).await;
    }
    answer(connection, id, Nothing {});
    Ok(())
}

/// The answer to `subscribePresence` and `unsubscribePresence`.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Presences {
    items: Vec<UserPresence>,
}

fn of_presence(data: Option<&RawValue>) -> Result<PresenceOf> {
    let named = parse::<PresenceOf>(data)?;
    if named.user_ids.len() > MOST_FOLLOWED {
        return Err(Error::invalid("data.userIds", format!("at most {MOST_FOLLOWED}")));
    }
    Ok(named)
}

async fn follow_presence(
    edge: &Edge,
    connection: &Arc<Connection>,
    id: Option<&str>,
    data: Option<&RawValue>,
) -> Result<()> {
    let PresenceOf { user_ids } = of_presence(data)?;
    let tell = |items| answer(connection, id, Presences { items });
    edge.presence.follow(connection, &user_ids, tell).await
}

/// The answer to `joinChat`.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Joined {
    chat: Chat,
    receipts: Vec<Receipt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Changes>,
}

async fn join_chat(
    edge: &Edge,
    connection: &Connection,
    id: Option<&str>,
    data: Option<&RawValue>,
) -> Result<()> {
    let JoinChat { chat_id, after_seq } = parse(data)?;
    // Opened first: a receipt that comes while the others are read is pushed. Held first and read
    // afterwards, too, so that catching up and live pushes leave no hole.
    let was_open = connection.has_opened(chat_id);
    connection.open(chat_id);
    if after_seq.is_some() {
        connection.outbox.hold(chat_id);
    }
    let joined = joined(edge, connection, chat_id, after_seq).await;
    let changes = joined.as_ref().ok().and_then(|joined| joined.changes.as_ref());
    let covered = changes.map_or(Covered::Nothing, covered_by);
    match &joined {
        Ok(joined) => answer(connection, id, joined),
        Err(_) if !was_open => connection.close(chat_id),
        Err(_) => {}
    }
    if after_seq.is_some() {
        connection.outbox.release(chat_id, covered);
    }
    joined.map(drop)
}

async fn joined(
    edge: &Edge,
    connection: &Connection,
    chat_id: ChatId,
    after_seq: Option<i64>,
) -> Result<Joined> {
    let user = connection.user;
    let mut chat = edge.chats.find(user, chat_id).await?;
    edge.presence.show_in(user, chat.peer.iter_mut().collect()).await;
    let receipts = edge.chats.live_receipts(user, &chat).await?;
    let changes = match after_seq {
        Some(after_seq) => Some(edge.chats.changes(user, chat_id, after_seq, None).await?),
        None => None,
    };
    Ok(Joined { chat, receipts, changes })
}

async fn sync(
    edge: &Edge,
    connection: &Connection,
    id: Option<&str>,
    data: Option<&RawValue>,
) -> Result<()> {
    let Sync { chats: known } = parse(data)?;
    if known.len() > SYNC_CHATS {
        return Err(Error::invalid("data.chats", format!("at most {SYNC_CHATS}")));
    }
    edge.metrics.sync_chats.increment(known.len() as u64);
    for known in &known {
        connection.outbox.hold(known.chat_id);
    }
    let mut synced = edge.chats.sync(connection.user, &known).await;
    if let Ok((Synced { chats, added, .. }, _)) = &mut synced {
        let changed = chats.iter_mut().filter_map(|changes| changes.chat.as_mut());
        let peers = changed.chain(added).filter_map(|chat| chat.peer.as_mut());
        edge.presence.show_in(connection.user, peers.collect()).await;
    }
    if let Ok((synced, _)) = &synced {
        answer(connection, id, synced);
    }
    for known in &known {
        let covered = match &synced {
            Ok((synced, standings)) => covered_by_sync(synced, standings, *known),
            Err(_) => Covered::Nothing,
        };
        connection.outbox.release(known.chat_id, covered);
    }
    synced.map(drop)
}

fn covered_by_sync(synced: &Synced, standings: &HashMap<ChatId, i64>, known: Known) -> Covered {
    let changes = synced.chats.iter().find(|changes| changes.chat_id == known.chat_id);
    match (changes, standings.get(&known.chat_id)) {
        (Some(changes), _) => covered_by(changes),
        // Left out, since the client knows it all; this node may be behind what the client knows.
        (None, Some(last_seq)) => Covered::UpTo(known.after_seq.min(*last_seq)),
        (None, None) => Covered::Nothing,
    }
}

fn covered_by(changes: &Changes) -> Covered {
    if changes.complete { Covered::UpTo(changes.to_seq) } else { Covered::InPart }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_cannot_be_read_is_answered_where_its_id_can() {
        assert!(matches!(open("no JSON"), Err(None)));
        assert!(matches!(open("[1,2]"), Err(None)));
        let answer = open(r#"{"id":"5"}"#).err().flatten().unwrap();
        let answer = String::from_utf8(answer.to_vec()).unwrap();
        assert!(answer.starts_with(r#"{"id":"5","ok":false,"error":{"code":"invalid""#));
        let long = format!(r#"{{"id":"{}","event":"x"}}"#, "i".repeat(65));
        assert!(matches!(open(&long), Err(None)));
        let envelope = open(r#"{"id":"\u0041","event":"typing","data":{"a":[1]}}"#).ok().unwrap();
        assert_eq!(envelope.id.as_deref(), Some("A"));
    }
}
