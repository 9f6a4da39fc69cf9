//! Finding a user's own chats: by what they are called, and by who is in them.
//!
//! Both begin with the chats that the user is in, so they cost what that is, however many chats and
//! users there are; the second looks into the liveliest and into small ones alone. What is compared
//! is plain text in one form ([`Words`]): no statement has a pattern language. [`TIME`] bounds both.

use sqlx::{FromRow, PgConnection};

use crate::error::Result;
use crate::model::id::{ChatId, UserId};

/// What a search may take, in ms, as Postgres wants it; then it is `unavailable`.
const TIME: &str = "1000";

/// Chats whose members are looked at, the liveliest; and members of each, at the most.
const CHATS: i64 = 2_000;
pub const MEMBERS: i32 = 200;

/// Letters from which on a name need only be like what is searched for.
const LIKE_FROM: usize = 4;

/// Up to where a list of results was read: how well the chat fits, the best first, and which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Found {
    pub rank: i32,
    pub id: ChatId,
}

/// What is searched for, in the form that names are compared in.
struct Words {
    whole: String,
    each: Vec<String>,
}

/// Sets the transaction's limits, and brings the words into their form.
async fn begin(db: &mut PgConnection, query: &str) -> Result<Words> {
    let each: Vec<&str> = query.split_whitespace().collect();
    let (each, _): (Vec<String>, String) = sqlx::query_as(
        "select array(
                    select lower(normalize(i.word, nfkc))
                    from unnest($1::text[]) with ordinality i (word, ord)
                    order by i.ord
                ),
                set_config('statement_timeout', $2, true)",
    )
    .bind(each)
    .bind(TIME)
    .fetch_one(db)
    .await?;
    Ok(Words { whole: each.join(" "), each })
}

/// The user's groups that have all of the words in title or description, behind `after`: first those
/// whose titles begin so, then those with all in the title. Wants a transaction of its own.
pub async fn by_name(
    db: &mut PgConnection,
    user: UserId,
    query: &str,
    after: Option<Found>,
    limit: i64,
) -> Result<Vec<Found>> {
    let words = begin(&mut *db, query).await?;
    let found = sqlx::query_as(include_str!("chat_search/by_name.sql"))
        .bind(user)
        .bind(words.whole)
        .bind(words.each)
        .bind(after.map(|after| after.rank))
        .bind(after.map(|after| after.id))
        .bind(limit)
        .fetch_all(db)
        .await?;
    Ok(found)
}

/// The user's chats with somebody who is called so, behind `after`: first those whose name begins so,
/// then those with a word in it that does, then those whose name is like it. Nobody is found over a
/// block, either way. Wants a transaction of its own.
pub async fn by_people(
    db: &mut PgConnection,
    user: UserId,
    query: &str,
    after: Option<Found>,
    limit: i64,
) -> Result<Vec<Found>> {
    let words = begin(&mut *db, query).await?;
    let letters = words.whole.chars().filter(|c| c.is_alphanumeric()).count();
    let found = sqlx::query_as(include_str!("chat_search/by_people.sql"))
        .bind(user)
        .bind(words.whole)
        .bind(letters >= LIKE_FROM)
        .bind(after.map(|after| after.rank))
        .bind(after.map(|after| after.id))
        .bind(limit)
        .bind(MEMBERS)
        .bind(CHATS)
        .fetch_all(db)
        .await?;
    Ok(found)
}
