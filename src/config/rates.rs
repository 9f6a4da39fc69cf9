//! Quotas: how much of something may be done, as the settings `RATE_*` write it.
//!
//! `100/1m` is 100 at once, and 100 more with every minute, evenly: one each 600 ms. Two of them,
//! `30/1m,2000/1d`, hold both.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Reader;

/// So many at once, and so many more with each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub count: u32,
    pub period: Duration,
}

/// The quotas of a limit: one, or two that must both hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas(Vec<Quota>);

/// How much may be done how often; what each is for stands in `limits::class`.
#[derive(Clone, Debug)]
pub struct Rates {
    pub address: Quotas,
    pub auth: Quotas,
    pub sign_up: Quotas,
    pub sign_in: Quotas,
    pub mail: Quotas,
    pub read: Quotas,
    pub change: Quotas,
    pub send: Quotas,
    pub mark: Quotas,
    pub reaction: Quotas,
    pub search: Quotas,
    pub direct: Quotas,
    pub invite: Quotas,
    pub join: Quotas,
    pub upload: Quotas,
    pub export: Quotas,
    pub presence: Quotas,
    pub typing: Quotas,
    pub frame: Quotas,
    /// Wrong passwords of one login without a delay, and the longest delay behind them.
    pub sign_in_tries: u32,
    pub sign_in_delay_max: Duration,
}

/// Quotas of one limit, at the most.
pub const MOST_QUOTAS: usize = 2;

/// The longest period; what is counted in Redis is kept that long.
const LONGEST: Duration = Duration::from_hours(31 * 24);

impl Quota {
    /// The time in which one more comes.
    pub fn interval(&self) -> Duration {
        (self.period / self.count.max(1)).max(Duration::from_micros(1))
    }
}

impl Quotas {
    pub fn all(&self) -> &[Quota] {
        &self.0
    }

    /// The one that says how much may be done at once.
    pub fn first(&self) -> Quota {
        self.0[0]
    }
}

impl FromStr for Quotas {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let quotas: Vec<Quota> =
            text.split(',').map(|quota| quota.trim().parse()).collect::<Result<_, ()>>()?;
        if (1..=MOST_QUOTAS).contains(&quotas.len()) { Ok(Self(quotas)) } else { Err(()) }
    }
}

impl FromStr for Quota {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (count, period) = text.split_once('/').ok_or(())?;
        let count = count.trim().parse().ok().filter(|count| *count > 0).ok_or(())?;
        let super::Life(period) = period.trim().parse()?;
        if period > LONGEST { Err(()) } else { Ok(Self { count, period }) }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.count, self.period.as_secs())
    }
}

impl Reader<'_> {
    pub(super) fn rates(&mut self) -> Rates {
        Rates {
            address: self.quotas("RATE_ADDRESS", "300/3s"),
            auth: self.quotas("RATE_AUTH", "20/4s"),
            sign_up: self.quotas("RATE_SIGN_UP", "20/1h,100/1d"),
            sign_in: self.quotas("RATE_SIGN_IN", "60/10m"),
            mail: self.quotas("RATE_MAIL", "5/15m,20/1d"),
            read: self.quotas("RATE_READ", "300/1m"),
            change: self.quotas("RATE_CHANGE", "60/1m"),
            send: self.quotas("RATE_SEND", "100/1m"),
            mark: self.quotas("RATE_MARK", "600/1m"),
            reaction: self.quotas("RATE_REACTION", "100/1m,5000/1d"),
            search: self.quotas("RATE_SEARCH", "30/1m,2000/1d"),
            direct: self.quotas("RATE_DIRECT", "20/10m,200/1d"),
            invite: self.quotas("RATE_INVITE", "20/1m,500/1d"),
            join: self.quotas("RATE_JOIN", "20/10m,200/1d"),
            upload: self.quotas("RATE_UPLOAD", "30/1m,1000/1d"),
            export: self.quotas("RATE_EXPORT", "5/1d"),
            presence: self.quotas("RATE_PRESENCE", "60/1m"),
            typing: self.quotas("RATE_TYPING", "10/10s"),
            frame: self.quotas("RATE_FRAME", "600/10s"),
            sign_in_tries: self.number("SIGN_IN_TRIES", 5),
            sign_in_delay_max: self.life("SIGN_IN_DELAY_MAX", "15m"),
        }
    }

    fn quotas(&mut self, name: &str, default: &str) -> Quotas {
        self.parsed(name, default, "one or two of COUNT/TIME such as 100/1m or 30/1m,2000/1d")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_read_as_they_are_written() {
        let quotas: Quotas = "30/1m, 2000/1d".parse().unwrap();
        let [short, long] = quotas.all() else { panic!("there are two") };
        assert_eq!((short.count, short.period), (30, Duration::from_mins(1)));
        assert_eq!((long.count, long.period), (2_000, Duration::from_hours(24)));
        assert_eq!(short.interval(), Duration::from_secs(2));
        assert_eq!(short.to_string(), "30/60s");
        for bad in ["", "30", "0/1m", "30/0s", "30/1w", "-1/1m", "1/1s,1/1m,1/1h", "1/32d", "1/1m,"]
        {
            assert!(bad.parse::<Quotas>().is_err(), "{bad:?} was taken");
        }
    }
}
