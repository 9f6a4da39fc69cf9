//! What the largest and the worst take, each in a process of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use super::{Folder, make, take};
use crate::media::limits::MAX_MEMORY_BYTES;

/// A field of `/proc/self/status`, in bytes.
fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// The other half of the test below: reads a path, and tells what examining it took at most.
#[test]
#[ignore = "is started by the test below, which gives it a file"]
fn one_file_alone() {
    let mut path = String::new();
    std::io::stdin().read_to_string(&mut path).unwrap();
    let path = std::path::Path::new(path.trim());
    let before = status("VmRSS:");
    // Forget what starting took.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let taken = take(path, &path.with_extension("out"), None, "");
    let outcome = match &taken {
        Ok((_, examined)) => format!("{:?}", examined.facts),
        Err(refused) => refused.to_string(),
    };
    let peak = status("VmHWM:").saturating_sub(before);
    println!("peak={peak} {outcome}");
}

/// F50, R-FI-3.
#[test]
fn the_worst_stay_within_the_memory_of_a_slot() {
    let dark = make::dark_png(4096, 4096);
    let small = make::jpeg(40, 30);
    let mut huge_webp = make::webp(40, 30, None);
    // Fourteen bits each, less one.
    huge_webp[21..25].copy_from_slice(&(4095_u32 | 4095 << 14).to_le_bytes());
    let cases = [
        ("JPEG of 4 MP", make::jpeg(2048, 2048), true),
        ("JPEG that says 64 MP", make::resized_jpeg(&small, 8192, 8192), true),
        ("PNG of 16 MP", dark.clone(), true),
        (
            "PNG that says 60000×60000",
            make::with_header(&dark, 60_000, 60_000, [1, 0, 0, 0, 0]),
            false,
        ),
        ("PNG that unpacks to more", make::with_header(&dark, 4096, 16, [8, 0, 0, 0, 0]), true),
        (
            "PNG, interlaced, that says 64 MP",
            make::with_header(&dark, 8192, 8192, [8, 0, 0, 0, 1]),
            false,
        ),
        ("GIF of 16 MP", make::gif(4096, 4096, 1), true),
        ("GIF of 10,000 frames", make::gif(1, 1, 10_000), false),
        ("WebP of 7 MP", make::webp(2600, 2600, None), true),
        ("WebP that says 16 MP", huge_webp, false),
    ];
    let folder = Folder::new();
    for (what, bytes, is_taken) in cases {
        let path = folder.write(&bytes);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "media::tests::memory::one_file_alone"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(path.to_str().unwrap().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let told = output.split("peak=").nth(1).unwrap_or_else(|| panic!("{what}: {output}"));
        let (peak, outcome) = told.split_once(' ').unwrap();
        let peak: u64 = peak.parse().unwrap();
        let outcome = outcome.lines().next().unwrap();
        println!("{what}: {} KiB, {outcome}", peak / 1024);
        assert!(peak <= MAX_MEMORY_BYTES, "{what} took {peak} bytes");
        assert_eq!(outcome.starts_with("Facts"), is_taken, "{what}: {outcome}");
    }
}
