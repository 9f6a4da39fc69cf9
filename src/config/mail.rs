//! How mail is sent: by SMTP, or, for developing, into a directory.

use std::path::PathBuf;

use lettre::message::Mailbox;
use secrecy::SecretString;

use super::Reader;

/// Where mail goes, and what stands in it.
#[derive(Clone, Debug)]
pub struct Mail {
    pub transport: MailTransport,
    pub from: Mailbox,
    /// Before the path of every link, without a slash at its end.
    pub public_url: String,
}

#[derive(Clone, Debug)]
pub enum MailTransport {
    /// An SMTP server; the URL holds a password.
    Smtp(SecretString),
    /// A directory that gets a file for each mail.
    Directory(PathBuf),
}

/// Reads `MAIL_URL`. What is sent gives access to accounts, so outside development it leaves this
/// machine over TLS only.
///
/// # Errors
/// What is expected instead; never what was given, since that holds a password.
pub(super) fn transport(url: &str, development: bool) -> Result<MailTransport, &'static str> {
    let expected = "expected smtps://user:password@host, smtp://… or file:///directory";
    let (scheme, rest) = url.split_once("://").ok_or(expected)?;
    let smtp = || MailTransport::Smtp(url.into());
    match scheme {
        "file" if rest.starts_with('/') => Ok(MailTransport::Directory(rest.into())),
        "smtp" | "smtps" if host(rest).is_empty() => Err(expected),
        "smtps" => Ok(smtp()),
        "smtp" if development || requires_tls(rest) || is_here(host(rest)) => Ok(smtp()),
        "smtp" => Err("expected smtps://…, or smtp://…?tls=required (APP_ENV=development, or a \
                       server on this machine, does without)"),
        _ => Err(expected),
    }
}

/// Reads `MAIL_FROM`.
///
/// # Errors
/// What is expected instead.
pub(super) fn sender(text: &str) -> Result<Mailbox, &'static str> {
    let expected = "expected Name <address>";
    // A name with a line's end in it could not be written into a header.
    if text.chars().any(char::is_control) { Err(expected) } else { text.parse().or(Err(expected)) }
}

/// Reads `PUBLIC_URL`.
///
/// # Errors
/// What is expected instead.
pub(super) fn public_url(url: &str, development: bool) -> Result<String, &'static str> {
    let rest = match url.split_once("://") {
        Some(("https", rest)) => rest,
        Some(("http", rest)) if development || is_here(host(rest)) => rest,
        _ => return Err("expected https://… (http:// only with APP_ENV=development)"),
    };
    let is_plain = |c: char| c.is_ascii_graphic() && !"?#@\"<>\\".contains(c);
    if host(rest).is_empty() || !rest.chars().all(is_plain) {
        return Err("expected a host, perhaps a port and a path, and nothing behind it");
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// Of `user:password@host:port/path?query`.
fn host(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let site = authority.rsplit_once('@').map_or(authority, |(_, site)| site);
    if site.starts_with('[') {
        return site.split_inclusive(']').next().unwrap_or_default();
    }
    site.split(':').next().unwrap_or_default()
}

fn is_here(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

fn requires_tls(rest: &str) -> bool {
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| pair == "tls=required")
}

impl Reader<'_> {
    pub(super) fn mail(&mut self) -> Option<Mail> {
        let development = self.text("APP_ENV", "production") == "development";
        let url = self.optional("MAIL_URL")?;
        let (from, links) = (self.text("MAIL_FROM", ""), self.text("PUBLIC_URL", ""));
        let transport = transport(&url, development);
        let public_url = public_url(&links, development);
        let sender = sender(&from);
        for (name, problem) in [
            ("MAIL_URL".to_owned(), transport.as_ref().err().copied()),
            (format!("PUBLIC_URL={links:?}"), public_url.as_ref().err().copied()),
            (format!("MAIL_FROM={from:?}"), sender.as_ref().err().copied()),
        ] {
            self.problems.extend(problem.map(|problem| format!("{name}: {problem}")));
        }
        Some(Mail { transport: transport.ok()?, from: sender.ok()?, public_url: public_url.ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_development_mail_leaves_over_tls_only() {
        let good = [
            "smtps://ann:secret@mail.example.org",
            "smtps://mail.example.org:465/here",
            "smtp://ann:secret@mail.example.org:587?tls=required",
            "smtp://localhost:25",
            "smtp://[::1]:25",
            "file:///tmp/mail",
        ];
        for url in good {
            assert!(transport(url, false).is_ok(), "{url} was refused");
        }
        let development_only = [
            "smtp://ann:secret@mail.example.org:587",
            "smtp://ann:localhost@mail.example.org",
            "smtp://mail.example.org?tls=opportunistic",
        ];
        for url in development_only {
            assert!(transport(url, true).is_ok(), "{url} was refused");
            assert!(transport(url, false).is_err(), "{url} was accepted");
        }
        for url in ["", "mail", "smtp://", "smtps://ann:secret@", "file://mail", "http://mail"] {
            assert!(transport(url, true).is_err(), "{url} was accepted");
        }
        let problem = transport("smtp://ann:secret@mail.example.org", false).unwrap_err();
        assert!(!problem.contains("secret"));
    }

    #[test]
    fn a_sender_needs_no_name_and_no_domain_of_the_world() {
        for good in ["Chat <no-reply@example.org>", "a@b.cd", "chat-service <no-reply@localhost>"] {
            assert!(sender(good).is_ok(), "{good} was refused");
        }
        for bad in ["", "Chat", "Chat <>", "Chat\r\nBcc: e@b.cd <a@b.cd>", "a@b.cd, c@d.ef"] {
            assert!(sender(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn links_begin_with_an_address_of_their_own() {
        assert_eq!(
            public_url("https://chat.example.org/", false).unwrap(),
            "https://chat.example.org"
        );
        assert_eq!(
            public_url("https://a.org:8443/chat", false).unwrap(),
            "https://a.org:8443/chat"
        );
        assert_eq!(public_url("http://127.0.0.1:4001", false).unwrap(), "http://127.0.0.1:4001");
        assert!(public_url("http://chat.example.org", true).is_ok());
        let bad = [
            "chat.example.org",
            "http://chat.example.org",
            "https://",
            "https://a.org/?q=1",
            "https://a.org/#x",
            "https://a.org/a b",
            "https://ann@a.org",
            "https://a.org/\r\nx",
            "javascript://a.org",
        ];
        for url in bad {
            assert!(public_url(url, false).is_err(), "{url:?} was accepted");
        }
    }
}
