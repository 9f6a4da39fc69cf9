//! Counts of violations by kind, with the first few of them in words.

use std::collections::BTreeMap;

use serde::Serialize;

const EXAMPLES: usize = 20;
/// So that one noisy kind does not hide the others.
const EXAMPLES_PER_KIND: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Acknowledged but not in history, or in history but not with a member.
    Lost,
    /// The same message twice in history, or the same `seq` twice on one connection.
    Duplicated,
    /// Readers disagree on what is where, or a sender's order was not kept.
    Reordered,
    /// A `seq` that nothing stands at.
    Gap,
    /// Seen by somebody, or in history, without being part of the input.
    Phantom,
    /// The text is not what was sent.
    Corrupt,
    /// `replyTo` is not what was asked for.
    WrongReply,
    /// One `clientId` was acknowledged with two different results.
    AckChanged,
    /// A connection was passed over without `resyncRequired`, even if a sync filled it later.
    SilentJump,
    /// A send or sync was refused for good.
    Refused,
    /// No answer until the very end.
    Unanswered,
    /// Not what the contract says frames look like.
    Malformed,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Gap => "gaps",
            Self::Phantom => "phantom",
            Self::Corrupt => "corrupt",
            Self::WrongReply => "wrong_reply",
            Self::AckChanged => "ack_changed",
            Self::SilentJump => "silent_jumps",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Malformed => "malformed",
        }
    }

    /// Those without a place of their own in the summary line.
    pub(crate) const OTHERS: [Self; 8] = [
        Self::Phantom,
        Self::Corrupt,
        Self::WrongReply,
        Self::AckChanged,
        Self::SilentJump,
        Self::Refused,
        Self::Unanswered,
        Self::Malformed,
    ];
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    counts: BTreeMap<Kind, u64>,
    examples: Vec<(Kind, String)>,
}

impl Tally {
    pub(crate) fn note(&mut self, kind: Kind, text: impl FnOnce() -> String) {
        self.note_many(kind, 1, text);
    }

    pub(crate) fn note_many(&mut self, kind: Kind, count: u64, text: impl FnOnce() -> String) {
        if count == 0 {
            return;
        }
        *self.counts.entry(kind).or_default() += count;
        let of_kind = self.examples.iter().filter(|(known, _)| *known == kind).count();
        if self.examples.len() < EXAMPLES && of_kind < EXAMPLES_PER_KIND {
            self.examples.push((kind, text()));
        }
    }

    pub(crate) fn count(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    pub(crate) fn examples(&self) -> impl Iterator<Item = String> {
        self.examples.iter().map(|(kind, text)| format!("{}: {text}", kind.name()))
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        for (&kind, &count) in &other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
        let free = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(free).cloned());
    }
}
