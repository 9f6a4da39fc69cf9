//! The mails that a test's nodes have written into the test's own directory.

use std::path::{Path, PathBuf};

use super::eventually;

/// Where `MAIL_URL` points to; every cluster has its own.
pub(crate) const PUBLIC_URL: &str = "https://chat.example.org";

/// A mail, as it would be sent.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    head: String,
    pub(crate) text: String,
}

impl Mail {
    fn read(path: &Path) -> Self {
        let mail = std::fs::read_to_string(path).expect("a mail is text");
        let (head, text) = mail.split_once("\r\n\r\n").expect("a mail has a head");
        Self { head: head.to_owned(), text: text.to_owned() }
    }

    /// The value of a header that stands there once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let mut found = self.head.lines().filter_map(|line| line.strip_prefix(start.as_str()));
        let (Some(value), None) = (found.next(), found.next()) else {
            panic!("{name} does not stand once in {}", self.head)
        };
        value
    }

    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// The token of its link, which has a line of its own.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        let links = self.text.lines().filter(|line| line.starts_with(PUBLIC_URL));
        let tokens: Vec<&str> =
            links.filter_map(|link| Some(link.split_once("?token=")?.1)).collect();
        let [token] = tokens[..] else { panic!("not one link in {}", self.text) };
        token.to_owned()
    }
}

/// A directory for mails; removed when it is dropped.
pub(super) struct Mails(PathBuf);

impl Mails {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("chat-mail-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&path).expect("it can be made");
        Self(path)
    }

    pub(super) fn url(&self) -> String {
        format!("file://{}", self.0.display())
    }

    /// To this address with this subject, the oldest first.
    pub(super) fn find(&self, address: &str, subject: &str) -> Vec<Mail> {
        let entries = std::fs::read_dir(&self.0).expect("it is there");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        let mut paths: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|end| end == "eml")).collect();
        paths.sort();
        let mails = paths.iter().map(|path| Mail::read(path));
        mails
            .filter(|mail| mail.header("To") == address && mail.header("Subject") == subject)
            .collect()
    }

    /// Waits until there are as many.
    pub(super) async fn wait(&self, address: &str, subject: &str, count: usize) -> Vec<Mail> {
        let what = format!("{count} mails to {address}: {subject}");
        eventually(&what, async || self.find(address, subject).len() >= count).await;
        let found = self.find(address, subject);
        assert_eq!(found.len(), count, "{found:#?}");
        found
    }
}

impl Drop for Mails {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
