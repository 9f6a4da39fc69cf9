//! The AsyncAPI document of the socket, made of the very types that frames are read into and
//! written from. A request or a push that is added without being described does not compile.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::connection::Authenticated;
use super::dispatch::{Joined, Nothing, Presences};
use super::frame::{Problem, Sent, Seq};
use crate::chats::SYNC_CHATS;
use crate::config::Config;
use crate::error::CODES;
use crate::model::event::EventKind;
use crate::model::presence::UserPresence;
use crate::protocol::changes::{Marked, MessagePage, Synced};
use crate::protocol::close::Close;
use crate::protocol::push::{self, Notice};
use crate::protocol::request::{self, ID_CHARS, RequestKind};

const CHANNEL: &str = "#/channels/socket";

/// The whole document, with the limits of this node.
pub fn document(config: &Config) -> Value {
    let mut parts = Parts::default();
    parts.add_requests();
    parts.add_pushes();
    let Parts { mut schemas, messages, operations } = parts;
    let codes: Vec<&str> = CODES.iter().map(|code| code.name).collect();
    let mut names = push::NAMES.to_vec();
    names.push("*");
    let limits = [
        ("SendMessage", "body", "maxLength", json!(config.limits.body_chars)),
        ("EditMessage", "body", "maxLength", json!(config.limits.body_chars)),
        ("Sync", "chats", "maxItems", json!(SYNC_CHATS)),
        ("Subscribe", "events", "items", json!({ "type": "string", "enum": names })),
        ("Problem", "code", "enum", json!(codes)),
    ];
    for (schema, property, limit, value) in limits {
        let schema = schemas.get_mut(schema).expect("the limited schema exists");
        schema["properties"][property][limit] = value;
    }
    let in_channel: Map<String, Value> = messages
        .keys()
        .map(|name| (name.clone(), reference(&format!("#/components/messages/{name}"))))
        .collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Chat service: the socket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT" },
        },
        "defaultContentType": "application/json",
        "servers": { "node": server() },
        "channels": { "socket": channel(&in_channel) },
        "operations": operations,
        "components": {
            "schemas": schemas,
            "messages": messages,
            "securitySchemes": security_schemes(),
        },
    })
}

const DESCRIPTION: &str = "One JSON object a text frame. A request with an `id` is answered; one \
    without is not. Commands are answered when they are decided, so answers may come in another \
    order than their requests. A socket that was opened without a token has to send \
    `authenticate` first. What REST offers beside it is described by `/docs/openapi.json`.";

fn server() -> Value {
    json!({
        "host": "{host}",
        "pathname": "/api/v1",
        "protocol": "wss",
        "description": "Any node. Plain `ws` only where nobody else can listen.",
        "variables": { "host": { "default": "localhost:4001" } },
        "security": [
            reference("#/components/securitySchemes/bearer"),
            reference("#/components/securitySchemes/subprotocol"),
            reference("#/components/securitySchemes/appToken"),
        ],
    })
}

fn security_schemes() -> Value {
    json!({
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
        "subprotocol": {
            "type": "httpApiKey",
            "in": "header",
            "name": "Sec-WebSocket-Protocol",
            "description": "For browsers: `chat.v1, bearer.<token>`, and `app.<token>` where the \
                service asks for the app's own token",
        },
        "appToken": {
            "type": "httpApiKey",
            "in": "header",
            "name": "X-App-Token",
            "description": "The app's own token, beside the user's, where the service asks for one",
        },
    })
}

fn channel(messages: &Map<String, Value>) -> Value {
    let mut closes = String::from("The server closes the socket with\n");
    for close in Close::ALL {
        let (code, reason, advice) = (close.code(), close.reason(), close.advice());
        closes = format!("{closes}\n- {code}: {reason}; {advice}");
    }
    let codes = Close::ALL.map(
        |close| json!({ "code": close.code(), "reason": close.reason(), "advice": close.advice() }),
    );
    json!({
        "address": "/ws",
        "servers": [reference("#/servers/node")],
        "description": closes,
        "messages": messages,
        "bindings": { "ws": { "method": "GET", "bindingVersion": "0.1.0" } },
        "x-close-codes": codes,
    })
}

#[derive(Default)]
struct Parts {
    schemas: BTreeMap<String, Value>,
    messages: BTreeMap<String, Value>,
    operations: BTreeMap<String, Value>,
}

impl Parts {
    fn add_requests(&mut self) {
        let error = self.schema::<Problem>();
        let failed = json!({
            "type": "object",
            "required": ["id", "ok", "error"],
            "properties": { "id": id(), "ok": { "const": false }, "error": error },
        });
        self.messages.insert("refused".into(), message("A request was refused", &failed));
        for kind in RequestKind::ALL {
            let (data, answer) = self.request(*kind);
            let (name, ok) = (kind.name(), format!("{}.ok", kind.name()));
            let asked = json!({
                "type": "object",
                "required": ["event", "data"],
                "properties": { "id": id(), "event": { "const": name }, "data": data },
            });
            let answered = json!({
                "type": "object",
                "required": ["id", "ok", "data"],
                "properties": { "id": id(), "ok": { "const": true }, "data": answer },
            });
            self.messages.insert(name.into(), message("A request", &asked));
            self.messages.insert(ok.clone(), message("It was done", &answered));
            let operation = json!({
                "action": "receive",
                "channel": reference(CHANNEL),
                "messages": [in_channel(name)],
                "reply": {
                    "channel": reference(CHANNEL),
                    "messages": [in_channel(&ok), in_channel("refused")],
                },
            });
            self.operations.insert(name.into(), operation);
        }
    }

    /// The data of a request, and of its answer.
    fn request(&mut self, kind: RequestKind) -> (Value, Value) {
        match kind {
            RequestKind::Authenticate => self.pair::<request::Authenticate, Authenticated>(),
            RequestKind::SendMessage => self.pair::<request::SendMessage, Sent>(),
            RequestKind::EditMessage => self.pair::<request::EditMessage, Seq>(),
            RequestKind::DeleteMessage => self.pair::<request::DeleteMessage, Seq>(),
            RequestKind::AddReaction | RequestKind::RemoveReaction => {
                self.pair::<request::ReactionRequest, Seq>()
            }
            RequestKind::GetMessages => self.pair::<request::GetMessages, MessagePage>(),
            RequestKind::JoinChat => self.pair::<request::JoinChat, Joined>(),
            RequestKind::LeaveChat => self.pair::<request::LeaveChat, Nothing>(),
            RequestKind::MarkRead => self.pair::<request::MarkRead, Marked>(),
            RequestKind::Typing => self.pair::<request::Typing, Nothing>(),
            RequestKind::Sync => self.pair::<request::Sync, Synced>(),
            RequestKind::Subscribe => self.pair::<request::Subscribe, Nothing>(),
            RequestKind::SubscribePresence | RequestKind::UnsubscribePresence => {
                self.pair::<request::PresenceOf, Presences>()
            }
        }
    }

    fn add_pushes(&mut self) {
        for kind in EventKind::ALL {
            let data = self.event(*kind);
            self.push(kind.name(), "A durable event, in the order of `seq`", &data);
        }
        for notice in Notice::ALL {
            let data = self.notice(*notice);
            self.push(notice.name(), "A notice", &data);
        }
    }

    fn event(&mut self, kind: EventKind) -> Value {
        match kind {
            EventKind::MessageCreated | EventKind::MessageEdited => {
                self.schema::<push::MessagePush<'_>>()
            }
            EventKind::MessageDeleted => self.schema::<push::MessageDeleted>(),
            EventKind::ReactionAdded | EventKind::ReactionRemoved => {
                self.schema::<push::ReactionChanged<'_>>()
            }
            EventKind::ChatCreated => self.schema::<push::ChatCreated<'_>>(),
            EventKind::MemberJoined | EventKind::MemberLeft | EventKind::MemberRoleChanged => {
                self.schema::<push::MemberChanged<'_>>()
            }
            EventKind::ChatUpdated | EventKind::ChatDeleted => {
                self.schema::<push::ChatChanged<'_>>()
            }
        }
    }

    fn notice(&mut self, notice: Notice) -> Value {
        match notice {
            Notice::Ready => self.schema::<push::Ready>(),
            Notice::Typing => self.schema::<push::Typing>(),
            Notice::ResyncRequired => self.schema::<push::ResyncRequired<'_>>(),
            Notice::GoingAway => self.schema::<push::GoingAway>(),
            Notice::TokenExpiring => self.schema::<push::TokenExpiring>(),
            Notice::SessionRevoked => self.schema::<push::SessionRevoked>(),
            Notice::UserUpdated => self.schema::<push::UserUpdated<'_>>(),
            Notice::PresenceChanged => self.schema::<UserPresence>(),
            Notice::ReadReceipt => self.schema::<push::ReadReceipt>(),
            Notice::ChatStateChanged => self.schema::<push::ChatState>(),
        }
    }

    /// `typing` is asked and pushed, so the names of pushes have a place of their own.
    fn push(&mut self, event: &str, title: &str, data: &Value) {
        let name = format!("push.{event}");
        let pushed = json!({
            "type": "object",
            "required": ["event", "data"],
            "properties": { "event": { "const": event }, "data": data },
        });
        self.messages.insert(name.clone(), message(title, &pushed));
        let operation = json!({
            "action": "send",
            "channel": reference(CHANNEL),
            "messages": [in_channel(&name)],
        });
        self.operations.insert(name, operation);
    }

    fn pair<Data: ToSchema, Answer: ToSchema>(&mut self) -> (Value, Value) {
        (self.schema::<Data>(), self.schema::<Answer>())
    }

    /// Keeps a type's schema, and those that it names; returns a reference to it.
    ///
    /// # Panics
    /// Where two types have one name.
    fn schema<T: ToSchema>(&mut self) -> Value {
        let name = T::name().into_owned();
        let mut found = vec![(name.clone(), T::schema())];
        T::schemas(&mut found);
        for (name, schema) in found {
            let schema = json!(schema);
            let before = self.schemas.insert(name.clone(), schema.clone());
            assert!(before.is_none_or(|before| before == schema), "two schemas are called {name}");
        }
        reference(&format!("#/components/schemas/{name}"))
    }
}

fn message(title: &str, payload: &Value) -> Value {
    json!({ "title": title, "contentType": "application/json", "payload": payload })
}

fn id() -> Value {
    json!({ "type": "string", "maxLength": ID_CHARS })
}

fn in_channel(message: &str) -> Value {
    reference(&format!("{CHANNEL}/messages/{message}"))
}

fn reference(place: &str) -> Value {
    json!({ "$ref": place })
}
