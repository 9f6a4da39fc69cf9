//! Who may see what of whom.

use sqlx::PgExecutor;

use crate::error::Result;
use crate::model::id::UserId;

/// Whether the viewer may see the presence of user `u`: their own always; else neither has blocked
/// the other, and the viewer is among those whom `privacy.lastSeen` names. A contact shares a
/// direct chat; one that was only claimed and never made is none.
macro_rules! sees_presence {
    ($select:literal, $viewer:literal) => {
        concat!(
            $select,
            " and u.deleted_at is null
              and (u.id = ",
            $viewer,
            "
                   or not exists (
                          select from user_blocks b
                          where b.blocker_id = u.id and b.blocked_id = ",
            $viewer,
            ")
                      and not exists (
                          select from user_blocks b
                          where b.blocked_id = u.id and b.blocker_id = ",
            $viewer,
            ")
                      and (u.privacy_last_seen = 'everyone'
                           or u.privacy_last_seen = 'contacts' and exists (
                                  select from direct_chats d
                                  join chats c on c.id = d.chat_id and c.deleted_at is null
                                  where d.low = least(u.id, ",
            $viewer,
            ") and d.high = greatest(u.id, ",
            $viewer,
            "))))"
        )
    };
}

/// Those of `targets` whose presence `viewer` may see, in no order.
pub async fn presence_visible(
    db: impl PgExecutor<'_>,
    viewer: UserId,
    targets: &[UserId],
) -> Result<Vec<UserId>> {
    let visible =
        sqlx::query_scalar(sees_presence!("select u.id from users u where u.id = any($2)", "$1"))
            .bind(viewer)
            .bind(targets)
            .fetch_all(db)
            .await?;
    Ok(visible)
}

/// The same for pairs of a viewer and a target: those in which the one may see the other.
pub async fn presence_visible_pairs(
    db: impl PgExecutor<'_>,
    pairs: &[(UserId, UserId)],
) -> Result<Vec<(UserId, UserId)>> {
    let (viewers, targets): (Vec<UserId>, Vec<UserId>) = pairs.iter().copied().unzip();
    let visible = sqlx::query_as(sees_presence!(
        "select pair.viewer, pair.target
         from unnest($1::uuid[], $2::uuid[]) as pair (viewer, target)
         join users u on u.id = pair.target
         where true",
        "pair.viewer"
    ))
    .bind(viewers)
    .bind(targets)
    .fetch_all(db)
    .await?;
    Ok(visible)
}
