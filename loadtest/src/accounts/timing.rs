//! Whether a stranger can tell by the clock if a user exists.

use std::time::Instant;

use anyhow::Result;

use super::api::{Api, Run};
use super::{Figures, quantile};

/// Wrong passwords are spread over so many accounts, since each bears with a few only.
const ACCOUNTS: usize = 50;

/// Tries the two in turn, so that whatever else the machine does falls on both alike.
pub(super) async fn measure(node: &Api, tries: usize, figures: &mut Figures) -> Result<()> {
    let (run, nobody) = (Run::new(), Run::new());
    let accounts = tries.clamp(1, ACCOUNTS);
    for index in 0..accounts {
        node.sign_up(&run, index).await?;
    }
    let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
    let mut left_out = 0;
    for index in 0..tries {
        let account = index % accounts;
        let mut pair = [(nobody.name(account), &mut unknown), (run.name(account), &mut wrong)];
        // Neither is always the second, which may find something warm.
        if index % 2 == 1 {
            pair.reverse();
        }
        for (name, times) in pair {
            let began = Instant::now();
            let answer = node.sign_in(&name, "a wrong password").await?;
            let took = began.elapsed().as_secs_f64() * 1000.0;
            if answer.status == 401 {
                times.push(took);
            } else {
                left_out += 1;
            }
        }
    }
    let z = mann_whitney(&unknown, &wrong);
    let medians = (quantile(&mut unknown, 0.5), quantile(&mut wrong, 0.5));
    let difference = 100.0 * (medians.0 - medians.1).abs() / medians.1.max(f64::EPSILON);
    figures.count("signin_tries", (unknown.len() + wrong.len()) as u64);
    figures.count("signin_left_out", left_out);
    figures.measure("signin_unknown_user_p50_ms", medians.0);
    figures.measure("signin_wrong_password_p50_ms", medians.1);
    figures.measure("signin_difference_percent", difference);
    figures.measure("signin_mann_whitney_z", z);
    figures.must(!unknown.is_empty() && !wrong.is_empty(), "no sign-in was refused with 401");
    figures.must(difference <= 5.0, "the medians of refused sign-ins differ by over 5 %");
    Ok(())
}

/// How unlikely it is that two samples are of one kind, in standard deviations; about 0 where they
/// are, and beyond 2 or 3 where they are not.
fn mann_whitney(one: &[f64], other: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = one.iter().map(|value| (*value, true)).collect();
    all.extend(other.iter().map(|value| (*value, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Equal values share the mean of their ranks.
    let mut rank_sum = 0.0;
    for group in all.chunk_by(|a, b| a.0.to_bits() == b.0.to_bits()) {
        let before = all.partition_point(|(value, _)| *value < group[0].0) as f64;
        let rank = before + f64::midpoint(group.len() as f64, 1.0);
        rank_sum += rank * group.iter().filter(|(_, is_one)| *is_one).count() as f64;
    }
    let (n, m) = (one.len() as f64, other.len() as f64);
    let u = rank_sum - n * (n + 1.0) / 2.0;
    let deviation = (n * m * (n + m + 1.0) / 12.0).sqrt();
    if deviation > 0.0 { (u - n * m / 2.0) / deviation } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_kind_are_told_from_others() {
        let even: Vec<f64> = (0..100).map(|n| f64::from(n * 2)).collect();
        let odd: Vec<f64> = (0..100).map(|n| f64::from(n * 2 + 1)).collect();
        assert!(mann_whitney(&even, &odd).abs() < 0.5);
        let later: Vec<f64> = even.iter().map(|n| n + 100.0).collect();
        assert!(mann_whitney(&even, &later) < -7.0);
        assert!(mann_whitney(&later, &even) > 7.0);
        assert!(mann_whitney(&[1.0; 50], &[1.0; 50]).abs() < 1e-9, "ties");
        assert!(mann_whitney(&[], &[]).abs() < 1e-9);
    }
}
