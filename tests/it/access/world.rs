//! One person of each role, and what they can ask about.
//!
//! Roles, leaving and blocking are set in the database where no call makes them yet.

use serde_json::{Value, json};
use uuid::Uuid;

use super::table::{Of, Role};
use crate::harness::{Http, Person, TestApp};

pub(super) struct World {
    pub(super) app: TestApp,
    /// In the order of [`Role::ALL`], without the first.
    people: Vec<Person>,
    /// A plain member, who has no role in the table.
    author: Person,
    hermit: Person,
    group: String,
    /// Of the owner and the blocked, from before the block.
    direct: String,
    /// Messages there of the blocked; one is used up by each deletion.
    blocked_own: Vec<String>,
    blocked_others: String,
    /// What the ex-member had sent.
    ex_own: String,
}

/// The ids that a call is about.
#[derive(Clone, Default)]
pub(super) struct Ids {
    pub(super) chat: String,
    pub(super) message: String,
    pub(super) user: String,
    pub(super) session: String,
}

impl Ids {
    /// Those of nothing at all.
    pub(super) fn missing() -> Self {
        let id = || Uuid::now_v7().to_string();
        Self { chat: id(), message: id(), user: id(), session: id() }
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let app = TestApp::start().await;
        let mut people = Vec::new();
        for role in &Role::ALL[1..] {
            people.push(app.person(role.name()).await);
        }
        let [author, hermit] = app.people(["author", "hermit"]).await;
        let of = |role: Role| &people[role as usize - 1];
        let (owner, ex) = (of(Role::Owner), of(Role::ExMember));
        let members = [&author, of(Role::Member), ex, of(Role::Moderator)];
        let group = owner.group(&members).await;
        let ex_own = send(&ex.http, &group).await;
        let blocked = of(Role::Blocked);
        let direct = owner.direct(blocked).await.expect(201).text("/id");
        let mut blocked_own = Vec::new();
        for _ in 0..8 {
            blocked_own.push(send(&blocked.http, &direct).await);
        }
        let blocked_others = send(&owner.http, &direct).await;
        let moderator = of(Role::Moderator).id.clone();
        let sql = "update chat_members set role = 'moderator' where user_id = $1";
        app.sql(sql, Some(&moderator)).await;
        let sql = "update chat_members set left_seq = joined_seq where user_id = $1";
        app.sql(sql, Some(&ex.id)).await;
        let sql = "insert into user_blocks (blocker_id, blocked_id) \
                   select blocker.id, blocked.id from users blocker, users blocked \
                   where (blocker.username, blocked.username) = ('owner', 'blocked') \
                   or (blocker.username = 'hermit' and blocked.username <> 'hermit')";
        app.sql(sql, None).await;
        Self { app, people, author, hermit, group, direct, blocked_own, blocked_others, ex_own }
    }

    /// None for the anonymous.
    pub(super) fn person(&self, role: Role) -> Option<&Person> {
        (role as usize).checked_sub(1).map(|index| &self.people[index])
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

    /// What a cell of the table is about, made for it where it may be used up.
    pub(super) async fn ids(&mut self, role: Role, of: Of) -> Ids {
        let in_direct = role == Role::Blocked;
        let chat = if in_direct { self.direct.clone() } else { self.group.clone() };
        let mut ids = Ids { chat, ..Ids::default() };
        match of {
            Of::Own | Of::Chat => {}
            Of::Person => {
                let other = if role == Role::Owner { Role::Member } else { Role::Owner };
                ids.user.clone_from(&self.person(other).expect("they have a name").id);
            }
            Of::Hermit => ids.user.clone_from(&self.hermit.id),
            Of::OwnSession => ids.session = session(&self.sign_in(role).await),
            Of::OthersSession => ids.session = session(&self.author.signed_up),
            Of::OwnMessage => {
                ids.message = match role {
                    Role::Blocked => self.blocked_own.pop().expect("there are enough"),
                    Role::ExMember => self.ex_own.clone(),
                    Role::Anonymous | Role::Stranger => send(&self.author.http, &ids.chat).await,
                    _ => send(&self.client(role), &ids.chat).await,
                };
            }
            Of::OthersMessage if in_direct => ids.message.clone_from(&self.blocked_others),
            Of::OthersMessage => ids.message = send(&self.author.http, &ids.chat).await,
        }
        ids
    }
}

fn session(signed_in: &Value) -> String {
    signed_in["session"]["id"].as_str().expect("a session has an id").to_owned()
}

async fn send(http: &Http, chat: &str) -> String {
    let body = json!({ "clientId": Uuid::now_v7(), "body": "text" });
    http.post(&format!("/chats/{chat}/messages"), body).await.expect(201).text("/id")
}
