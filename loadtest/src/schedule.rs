//! When each message of a synthetic load is to be sent, and by whom: decided before the run by
//! the clock alone, so that a slow server cannot slow the load that it is measured with.

use std::time::Duration;

use anyhow::{Result, ensure};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub per_second: f64,
    pub rooms: u64,
    pub members: u64,
}

impl Schedule {
    pub(crate) fn at(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.per_second)
    }

    /// How many messages are due after `elapsed`.
    pub(crate) fn due(&self, elapsed: Duration) -> u64 {
        (elapsed.as_secs_f64() * self.per_second).floor() as u64 + 1
    }

    /// All rooms in turn, and in each room all members in turn.
    pub(crate) fn place(&self, number: u64) -> (usize, usize) {
        let room = number % self.rooms;
        let member = (number / self.rooms) % self.members;
        (room as usize, member as usize)
    }
}

/// The members of each room, dealt round robin from the accounts.
pub(crate) fn seating(rooms: u32, members: u32, accounts: u32) -> Result<Vec<Vec<u32>>> {
    ensure!(rooms > 0 && members > 0, "there must be rooms and members");
    ensure!(accounts >= members, "{accounts} connections cannot fill a room of {members}");
    let seat = |room: u32, member: u32| {
        let place = u64::from(room) * u64::from(members) + u64::from(member);
        (place % u64::from(accounts)) as u32
    };
    Ok((0..rooms).map(|room| (0..members).map(|member| seat(room, member)).collect()).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_message_is_due_from_its_time_on_and_not_before() {
        let schedule = Schedule { per_second: 3000.0, rooms: 7, members: 3 };
        for number in 0..10_000 {
            let at = schedule.at(number);
            let tolerance = Duration::from_micros(1);
            assert!(schedule.due(at + tolerance) > number);
            assert!(schedule.due(at.saturating_sub(tolerance)) <= number.max(1));
        }
    }

    #[test]
    fn every_member_of_every_room_gets_the_same_share() {
        let schedule = Schedule { per_second: 1.0, rooms: 4, members: 3 };
        let mut counts = [[0; 3]; 4];
        for number in 0..120 {
            let (room, member) = schedule.place(number);
            counts[room][member] += 1;
        }
        assert_eq!(counts, [[10; 3]; 4]);
    }

    #[test]
    fn rooms_have_distinct_members_even_with_few_accounts() {
        let rooms = seating(50, 10, 25).expect("fits");
        for members in &rooms {
            assert_eq!(members.iter().collect::<HashSet<_>>().len(), 10);
        }
        let used: HashSet<u32> = rooms.concat().into_iter().collect();
        assert_eq!(used.len(), 25);
        assert!(seating(1, 10, 9).is_err());
        assert!(seating(0, 1, 1).is_err());
    }
}
