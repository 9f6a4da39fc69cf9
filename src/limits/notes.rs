//! Lines in the log about what was refused: one a minute for each subject and class, however much
//! is refused, and so many subjects at the most. How much it was is in the metrics.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{Class, Subject};

/// Until a subject's next line.
const PAUSE: Duration = Duration::from_mins(1);
/// Subjects of one minute; refusals of further ones are only counted.
const CAPACITY: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Notes {
    said: Mutex<HashMap<(Class, Subject), Instant>>,
}

impl Notes {
    pub(super) fn say(&self, class: Class, subject: Subject, now: Instant) {
        if self.is_news(class, subject, now) {
            tracing::info!(limit = class.name(), subject = %subject, "over the limit");
        }
    }

    fn is_news(&self, class: Class, subject: Subject, now: Instant) -> bool {
        let mut said = self.said.lock().expect("nothing panics while the lock is held");
        match said.get(&(class, subject)) {
            Some(at) if now < *at + PAUSE => return false,
            None if said.len() >= CAPACITY => {
                said.retain(|_, at| now < *at + PAUSE);
                if said.len() >= CAPACITY {
                    return false;
                }
            }
            _ => {}
        }
        said.insert((class, subject), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::UserId;

    #[test]
    fn a_flood_is_a_line_a_minute_and_many_subjects_are_bounded() {
        let (notes, now) = (Notes::default(), Instant::now());
        let user = || Subject::User(UserId::new());
        let one = user();
        assert!(notes.is_news(Class::Send, one, now));
        assert!(!notes.is_news(Class::Send, one, now + PAUSE / 2));
        assert!(notes.is_news(Class::Read, one, now));
        assert!(notes.is_news(Class::Send, one, now + PAUSE));
        for _ in 0..CAPACITY {
            notes.is_news(Class::Send, user(), now + PAUSE);
        }
        assert!(!notes.is_news(Class::Send, user(), now + PAUSE));
        assert!(notes.is_news(Class::Send, user(), now + PAUSE * 3));
    }
}
