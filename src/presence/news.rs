//! What nodes tell each other of comings and goings, over pub/sub.

use serde::{Deserialize, Serialize};

use crate::model::id::UserId;

/// What one process has to tell.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct News {
    /// `<node>/<boot>`.
    pub(super) process: String,
    pub(super) changes: Vec<Change>,
}

/// A user, whether they are there now, and when they came or went, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change(pub(super) UserId, pub(super) bool, pub(super) i64);

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes of two versions talk to each other while one replaces the other.
    #[test]
    fn the_form_is_frozen() {
        let change = Change(UserId(uuid::Uuid::nil()), true, 7);
        let news = News { process: "n1/b".into(), changes: vec![change] };
        let text =
            r#"{"process":"n1/b","changes":[["00000000-0000-0000-0000-000000000000",true,7]]}"#;
        assert_eq!(serde_json::to_string(&news).unwrap(), text);
        let read: News = serde_json::from_str(text).unwrap();
        assert_eq!(read.changes, [change]);
    }
}
