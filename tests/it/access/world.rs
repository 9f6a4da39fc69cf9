//! One person of each role, and what they can ask about.

use serde_json::{Value, json};
use uuid::Uuid;

use super::table::{Of, Role};
use crate::harness::{Http, PASSWORD, Person, TestApp};

/// A password to change to, and from.
pub(super) const ANOTHER_PASSWORD: &str = "another horse entirely";

pub(super) struct World {
    pub(super) app: TestApp,
    /// In the order of [`Role::ALL`], without the first.
    people: Vec<Person>,
    /// A plain member, who has no role in the table.
    author: Person,
    outsider: Person,
    hermit: Person,
    other_operator: Person,
    /// Of the owner and the blocked, from before the block.
    direct: String,
    /// Messages there of the blocked; one is used up by each deletion.
    blocked_own: Vec<String>,
    /// A message there of the owner's.
    blocked_others: String,
}

/// The ids that a call is about.
#[derive(Clone, Default)]
pub(super) struct Ids {
    pub(super) chat: String,
    pub(super) message: String,
    pub(super) user: String,
    pub(super) session: String,
    pub(super) code: String,
}

impl Ids {
    /// Those of nothing at all, but for the chat where the caller is in it.
    pub(super) fn missing(&self, role: Role) -> Self {
        let id = || Uuid::now_v7().to_string();
        let chat = if role.is_inside() { self.chat.clone() } else { id() };
        let code = Uuid::new_v4().simple().to_string()[..22].to_owned();
        Self { chat, message: id(), user: id(), session: id(), code }
    }
}

/// A group that nothing was done to yet.
struct Group {
    id: String,
    /// What the ex-member had sent.
    ex_own: String,
}

impl World {
    pub(super) async fn new() -> Self {
        let app = TestApp::start().await;
        let mut people = Vec::new();
        for role in &Role::ALL[1..] {
            people.push(match role {
                Role::Operator => app.operator(role.name()).await,
                _ => app.person(role.name()).await,
            });
        }
        let [author, outsider, hermit] = app.people(["author", "outsider", "hermit"]).await;
        let other_operator = app.operator("another").await;
        let of = |role: Role| &people[role as usize - 1];
        let (owner, blocked) = (of(Role::Owner), of(Role::Blocked));
        let direct = owner.direct(blocked).await.expect(201).text("/id");
        let mut blocked_own = Vec::new();
        for _ in 0..8 {
            blocked_own.push(send(&blocked.http, &direct).await);
        }
        let blocked_others = send(&owner.http, &direct).await;
        block(owner, blocked).await;
        for person in &people {
            block(&hermit, person).await;
        }
        Self {
            app,
            people,
            author,
            outsider,
            hermit,
            other_operator,
            direct,
            blocked_own,
            blocked_others,
        }
    }

    /// None for the anonymous.
    pub(super) fn person(&self, role: Role) -> Option<&Person> {
        (role as usize).checked_sub(1).map(|index| &self.people[index])
    }

    fn known(&self, role: Role) -> &Person {
        self.person(role).expect("they have a name")
    }

    pub(super) fn client(&self, role: Role) -> Http {
        self.person(role).map_or_else(|| self.app.client(), |person| person.http.clone())
    }

    /// A name to sign in with; the anonymous know somebody's.
    pub(super) fn login(&self, role: Role) -> &'static str {
        if self.person(role).is_some() { role.name() } else { "author" }
    }

    /// Another session of theirs.
    pub(super) async fn sign_in(&self, role: Role) -> Value {
        self.app.client().sign_in(self.login(role), json!({})).await.body
    }

    /// After their sessions were ended.
    pub(super) async fn return_of(&mut self, role: Role) {
        let token = self.sign_in(role).await["accessToken"].as_str().map(str::to_owned);
        let token = token.expect("they can sign in");
        let index = (role as usize).checked_sub(1).expect("the anonymous have no session");
        let person = &mut self.people[index];
        person.http = person.http.with_token(&token);
        person.token = token;
    }

    /// After their password was changed.
    pub(super) async fn take_password_back(&self, role: Role) {
        let body = json!({ "currentPassword": ANOTHER_PASSWORD, "newPassword": PASSWORD });
        self.client(role).post("/auth/password", body).await.expect(204);
    }

    /// The token of a mail that somebody new has got.
    pub(super) async fn mailed_token(&self, subject: &str) -> String {
        let name = new_name();
        self.app.person(&name).await;
        let address = format!("{name}@example.org");
        if subject == FORGOTTEN {
            let body = json!({ "email": address });
            self.app.client().post("/auth/password/forgot", body).await.expect(202);
        }
        self.app.mails(&address, subject, 1).await[0].token()
    }

    /// What a cell of the table is about, made for it, since the call may end it.
    pub(super) async fn ids(&mut self, role: Role, of: Of) -> Ids {
        let in_direct = role == Role::Blocked;
        let group = match of {
            Of::Own | Of::OwnSession | Of::OthersSession | Of::OtherOperator => None,
            _ => Some(self.group(of == Of::InviteAfterBan).await),
        };
        let Group { id: group, ex_own } = group.unwrap_or_else(Group::none);
        let owner = &self.known(Role::Owner).http;
        let chat = if in_direct { self.direct.clone() } else { group.clone() };
        let mut ids = Ids { chat, ..Ids::default() };
        match of {
            Of::Own | Of::Chat => {}
            Of::Person => {
                let other = if role == Role::Owner { Role::Member } else { Role::Owner };
                ids.user.clone_from(&self.known(other).id);
            }
            Of::PlainMember => ids.user.clone_from(&self.author.id),
            Of::Outsider => ids.user.clone_from(&self.outsider.id),
            Of::Hermit => ids.user.clone_from(&self.hermit.id),
            Of::OtherOperator => ids.user.clone_from(&self.other_operator.id),
            Of::OwnSession => ids.session = session(&self.sign_in(role).await),
            Of::OthersSession => ids.session = session(&self.author.signed_up),
            Of::OwnMessage => {
                ids.message = match role {
                    Role::Blocked => self.blocked_own.pop().expect("there are enough"),
                    Role::ExMember => ex_own,
                    _ if role.is_inside() => send(&self.client(role), &ids.chat).await,
                    _ => send(&self.author.http, &ids.chat).await,
                };
            }
            Of::OthersMessage | Of::OwnersMessage if in_direct => {
                ids.message.clone_from(&self.blocked_others);
            }
            Of::OthersMessage => ids.message = send(&self.author.http, &ids.chat).await,
            Of::OwnersMessage => ids.message = send(owner, &ids.chat).await,
            Of::Invite | Of::InviteAfterBan => ids.code = invite(owner, &group).await,
            Of::RevokedInvite => {
                ids.code = invite(owner, &group).await;
                let path = format!("/chats/{group}/invites/{}", ids.code);
                owner.delete(&path).await.expect(204);
            }
            Of::OtherChatsInvite => {
                let other = self.outsider.group(&[]).await;
                ids.code = invite(&self.outsider.http, &other).await;
            }
        }
        ids
    }

    async fn group(&self, ban: bool) -> Group {
        let (owner, ex) = (self.known(Role::Owner), self.known(Role::ExMember));
        let (moderator, admin) = (self.known(Role::Moderator), self.known(Role::Admin));
        let members = [&self.author, self.known(Role::Member), ex, moderator, admin];
        let id = owner.group(&members).await;
        let ex_own = send(&ex.http, &id).await;
        let path = |person: &Person| format!("/chats/{id}/members/{}", person.id);
        for (person, role) in [(moderator, "moderator"), (admin, "admin")] {
            owner.http.patch(&path(person), json!({ "role": role })).await.expect(200);
        }
        owner.http.delete(&format!("{}?ban={ban}", path(ex))).await.expect(204);
        Group { id, ex_own }
    }
}

impl Group {
    /// For calls that are about no chat.
    fn none() -> Self {
        Self { id: String::new(), ex_own: String::new() }
    }
}

/// The subject of the mail to who has forgotten their password.
pub(super) const FORGOTTEN: &str = "Set a new password";

pub(super) fn new_name() -> String {
    format!("n{}", &Uuid::new_v4().simple().to_string()[..16])
}

fn session(signed_in: &Value) -> String {
    signed_in["session"]["id"].as_str().expect("a session has an id").to_owned()
}

async fn send(http: &Http, chat: &str) -> String {
    let body = json!({ "clientId": Uuid::now_v7(), "body": "text" });
    http.post(&format!("/chats/{chat}/messages"), body).await.expect(201).text("/id")
}

async fn invite(http: &Http, chat: &str) -> String {
    http.post(&format!("/chats/{chat}/invites"), json!({})).await.expect(201).text("/code")
}

async fn block(person: &Person, other: &Person) {
    person.http.post(&format!("/user/block/{}", other.id), json!({})).await.expect(204);
}
