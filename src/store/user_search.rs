//! Finding users by what they are called.
//!
//! Three statements, one behind the other until a page is full: usernames that begin with the words,
//! then display names that do, then names in which something is like them. Each user is found by
//! the first that fits, so none comes twice. The first two go along an index from the page's place
//! on; the third reads what shares enough trigrams, and is bounded by [`TIME`]. Words are compared
//! as plain text throughout: no statement has a pattern language. Nothing here reads an address.

use sqlx::{FromRow, PgConnection};

use crate::error::Result;
use crate::model::id::UserId;

/// What a search may take, in ms, as Postgres wants it; then it is `unavailable`.
const TIME: &str = "1000";

/// How like a part of a name must be: the share of the words' trigrams that it has. One letter wrong
/// among four leaves 0.4. Three letters have no room for a slip: they must begin a part.
fn likeness(letters: usize) -> Option<&'static str> {
    match letters {
        // One letter is like everything.
        0 | 1 => None,
        2 | 3 => Some("0.6"),
        _ => Some("0.4"),
    }
}

/// Up to where a list of results was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Username(String),
    Name(String, UserId),
    Likeness(f32, UserId),
}

#[derive(FromRow)]
struct ByName {
    id: UserId,
    key: String,
}

#[derive(FromRow)]
struct ByLikeness {
    id: UserId,
    likeness: f32,
}

/// Up to `limit` users that `viewer` may find, behind `after`, each with its place. Wants a
/// transaction of its own, which it gives its limits.
pub async fn find(
    db: &mut PgConnection,
    viewer: UserId,
    words: &str,
    after: Option<Place>,
    limit: usize,
) -> Result<Vec<(UserId, Place)>> {
    let letters = words.chars().filter(|c| c.is_alphanumeric()).count();
    let likeness = likeness(letters);
    let words = begin(&mut *db, words, likeness.unwrap_or("1")).await?;
    let mut found = Vec::new();
    let mut after = after;
    if matches!(after, None | Some(Place::Username(_))) {
        let key = match after.take() {
            Some(Place::Username(key)) => Some(key),
            _ => None,
        };
        found = by_username(&mut *db, viewer, &words, key, limit).await?;
    }
    if found.len() < limit && matches!(after, None | Some(Place::Name(..))) {
        let place = match after.take() {
            Some(Place::Name(key, id)) => Some((key, id)),
            _ => None,
        };
        found.extend(by_name(&mut *db, viewer, &words, place, limit - found.len()).await?);
    }
    if found.len() < limit && likeness.is_some() {
        let place = match after {
            Some(Place::Likeness(likeness, id)) => Some((likeness, id)),
            _ => None,
        };
        found.extend(by_likeness(db, viewer, &words, place, limit - found.len()).await?);
    }
    Ok(found)
}

/// Sets the transaction's limits, and gives the words in the form that names are compared in.
async fn begin(db: &mut PgConnection, words: &str, likeness: &str) -> Result<String> {
    let (words, _, _): (String, String, String) = sqlx::query_as(
        "select lower(normalize($1, nfkc)),
                set_config('statement_timeout', $2, true),
                set_config('pg_trgm.word_similarity_threshold', $3, true)",
    )
    .bind(words)
    .bind(TIME)
    .bind(likeness)
    .fetch_one(db)
    .await?;
    Ok(words)
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

async fn by_username(
    db: &mut PgConnection,
    viewer: UserId,
    words: &str,
    after: Option<String>,
    limit: usize,
) -> Result<Vec<(UserId, Place)>> {
    let rows: Vec<ByName> = sqlx::query_as(include_str!("user_search/by_username.sql"))
        .bind(viewer)
        .bind(words)
        .bind(after)
        .bind(most(limit))
        .fetch_all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, Place::Username(row.key))).collect())
}

async fn by_name(
    db: &mut PgConnection,
    viewer: UserId,
    words: &str,
    after: Option<(String, UserId)>,
    limit: usize,
) -> Result<Vec<(UserId, Place)>> {
    let (key, id) = after.unzip();
    let rows: Vec<ByName> = sqlx::query_as(include_str!("user_search/by_name.sql"))
        .bind(viewer)
        .bind(words)
        .bind(key)
        .bind(id)
        .bind(most(limit))
        .fetch_all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, Place::Name(row.key, row.id))).collect())
}

async fn by_likeness(
    db: &mut PgConnection,
    viewer: UserId,
    words: &str,
    after: Option<(f32, UserId)>,
    limit: usize,
) -> Result<Vec<(UserId, Place)>> {
    let (likeness, id) = after.unzip();
    let rows: Vec<ByLikeness> = sqlx::query_as(include_str!("user_search/by_likeness.sql"))
        .bind(viewer)
        .bind(words)
        .bind(likeness)
        .bind(id)
        .bind(most(limit))
        .fetch_all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, Place::Likeness(row.likeness, row.id))).collect())
}
