//! What one socket may ask, and how many sockets there may be.
//!
//! Frames of any kind are counted in the socket's own memory, before they are read; beyond that rate
//! it is closed with 4429. A request is counted in its class ([`class_of`]), is answered
//! `rateLimited` where that has nothing left, and closes the socket where that goes on and on.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::config::{self, Rates};
use crate::error::{Error, Result};
use crate::limits::gcra::Used;
use crate::limits::{Class, Limits, Subject, network_of};
use crate::model::id::UserId;
use crate::protocol::close::Close;
use crate::protocol::request::RequestKind;

/// Refusals of one socket before it is closed: so many at once, and so many more with each time.
const REFUSALS: config::Quota = config::Quota { count: 50, period: Duration::from_secs(10) };

/// The class of a request.
pub(super) const fn class_of(kind: RequestKind) -> Class {
    match kind {
        RequestKind::SendMessage | RequestKind::EditMessage | RequestKind::DeleteMessage => {
            Class::Send
        }
        RequestKind::AddReaction | RequestKind::RemoveReaction => Class::Reaction,
        RequestKind::JoinChat | RequestKind::GetMessages | RequestKind::Sync => Class::Read,
        RequestKind::MarkRead => Class::Mark,
        RequestKind::SubscribePresence => Class::Presence,
        RequestKind::Typing => Class::Typing,
        // These cost nothing but their frame.
        RequestKind::Authenticate
        | RequestKind::LeaveChat
        | RequestKind::Subscribe
        | RequestKind::UnsubscribePresence => Class::Frame,
    }
}

/// What one socket has used.
pub(super) struct SocketLimits {
    frames: DefaultDirectRateLimiter,
    typing: Used,
    refusals: Used,
}

impl SocketLimits {
    pub(super) fn new(rates: &Rates) -> Self {
        let config::Quota { count, .. } = rates.frame.first();
        let quota = Quota::with_period(rates.frame.first().interval())
            .expect("an interval is not zero")
            .allow_burst(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        Self {
            frames: RateLimiter::direct(quota),
            typing: Used::default(),
            refusals: Used::default(),
        }
    }

    /// Counts a frame, before anything is done about it.
    pub(super) fn frame(&self, limits: &Limits, subject: Subject) -> Result<(), Close> {
        self.frames.check().map_err(|_| {
            limits.note_refusal(Class::Frame, subject);
            Close::TooMany
        })
    }

    /// Counts a request. The outer error ends the socket.
    pub(super) async fn request(
        &mut self,
        limits: &Limits,
        rates: &Rates,
        user: UserId,
        class: Class,
    ) -> Result<Result<()>, Close> {
        let subject = Subject::User(user);
        let refused = match class {
            Class::Frame => return Ok(Ok(())),
            Class::Typing => {
                self.typing.take(rates.typing.all(), 1, Instant::now()).inspect_err(|_| {
                    limits.note_refusal(class, subject);
                })
            }
            _ => limits.take(class, subject).await.map(drop).map_err(|no| no.retry_after),
        };
        let Err(retry_after) = refused else { return Ok(Ok(())) };
        let goes_on = self.refusals.take(&[REFUSALS], 1, Instant::now()).is_err();
        if goes_on {
            limits.note_refusal(Class::Frame, subject);
            return Err(Close::TooMany);
        }
        Ok(Err(Error::RateLimited { retry_after }))
    }
}

/// How many sockets are open at this node: in all, by address, and by user. Each entry lives as long
/// as its sockets, so there are never more of them than sockets.
#[derive(Default)]
pub struct OpenSockets {
    all: AtomicUsize,
    of_address: Counts<IpAddr>,
    /// Of these, without authentication.
    waiting: Counts<IpAddr>,
    of_user: Counts<UserId>,
}

struct Counts<K>(Mutex<HashMap<K, usize>>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A socket's place in the counts, given back when it is dropped.
pub(super) struct Place {
    sockets: Arc<OpenSockets>,
    network: IpAddr,
    is_waiting: bool,
    user: Option<UserId>,
}

impl OpenSockets {
    /// A place for a socket of this address; whether its user is known is known already.
    ///
    /// # Errors
    /// `Unavailable` where the node is full, `RateLimited` where the address has too many.
    pub(super) fn take(
        self: &Arc<Self>,
        bounds: &config::Socket,
        address: IpAddr,
        is_known: bool,
    ) -> Result<Place> {
        let network = network_of(address);
        let sockets = Arc::clone(self);
        let mut place = Place { sockets, network, is_waiting: false, user: None };
        let before = self.all.fetch_add(1, Ordering::Relaxed);
        let of_address = self.of_address.add(network);
        if before >= bounds.max_connections {
            return Err(Error::unavailable("this node"));
        }
        place.is_waiting = !is_known;
        let waiting = if is_known { 0 } else { self.waiting.add(network) };
        if of_address > bounds.per_address || waiting > bounds.waiting_per_address {
            return Err(Error::RateLimited { retry_after: bounds.auth_timeout });
        }
        Ok(place)
    }

    pub fn count(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }
}

impl Place {
    /// The socket's user is known now. An error closes it: the user has too many.
    pub(super) fn belongs_to(&mut self, user: UserId, most: usize) -> Result<(), Close> {
        if std::mem::take(&mut self.is_waiting) {
            self.sockets.waiting.remove(self.network);
        }
        self.user = Some(user);
        if self.sockets.of_user.add(user) > most { Err(Close::TooMany) } else { Ok(()) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let sockets = &self.sockets;
        sockets.all.fetch_sub(1, Ordering::Relaxed);
        sockets.of_address.remove(self.network);
        if self.is_waiting {
            sockets.waiting.remove(self.network);
        }
        if let Some(user) = self.user {
            sockets.of_user.remove(user);
        }
    }
}

impl<K: Copy + Eq + Hash> Counts<K> {
    /// Counts one more, and returns how many there are.
    fn add(&self, key: K) -> usize {
        let mut counts = self.0.lock().expect("nothing panics while the lock is held");
        let count = counts.entry(key).or_default();
        *count += 1;
        *count
    }

    fn remove(&self, key: K) {
        let mut counts = self.0.lock().expect("nothing panics while the lock is held");
        if let Some(count) = counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> config::Socket {
        config::Socket {
            outbox_bytes: 1,
            heartbeat: Duration::from_secs(1),
            auth_timeout: Duration::from_secs(1),
            in_flight: 1,
            max_connections: 4,
            per_address: 3,
            waiting_per_address: 1,
            per_user: 2,
        }
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let (sockets, bounds) = (Arc::<OpenSockets>::default(), bounds());
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let user = UserId::new();
        let mut first = sockets.take(&bounds, address(1), false).unwrap();
        assert!(sockets.take(&bounds, address(1), false).is_err(), "one waits already");
        first.belongs_to(user, bounds.per_user).unwrap();
        let mut second = sockets.take(&bounds, address(1), false).unwrap();
        second.belongs_to(user, bounds.per_user).unwrap();
        let mut third = sockets.take(&bounds, address(1), false).unwrap();
        assert_eq!(third.belongs_to(user, bounds.per_user), Err(Close::TooMany));
        assert!(matches!(
            sockets.take(&bounds, address(1), false).map(drop),
            Err(Error::RateLimited { .. })
        ));
        let _other = sockets.take(&bounds, address(2), true).unwrap();
        let full = sockets.take(&bounds, address(3), false).map(drop);
        assert!(matches!(full, Err(Error::Unavailable { .. })));
        drop((first, second, third));
        assert_eq!(sockets.count(), 1);
        assert!(sockets.of_user.0.lock().unwrap().is_empty());
        assert_eq!(sockets.of_address.0.lock().unwrap().len(), 1);
        assert!(sockets.take(&bounds, address(1), false).is_ok());
    }
}
