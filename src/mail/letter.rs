//! What is written to users: plain text, in English.
//!
//! Nothing that a stranger could choose freely stands in a letter: no display name, no text. A
//! username has few characters to choose from. So a sign-up with somebody else's address cannot be
//! used to send them anything, and nothing can break out of a header.

use std::net::IpAddr;
use std::time::Duration;

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::transport::Failure;
use crate::model::id::UserId;

/// SMTP allows 998.
const MAX_LINE: usize = 900;

/// A mail to one user.
#[derive(Clone, Debug)]
pub struct Letter {
    pub user_id: UserId,
    pub username: String,
    /// Their address.
    pub email: String,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    VerifyEmail { token: SecretString, life: Duration },
    ResetPassword { token: SecretString, life: Duration, asked_from: IpAddr },
    PasswordChanged { changed_from: IpAddr },
    PasswordReset { reset_from: IpAddr },
}

impl Content {
    /// For the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "verify email",
            Self::ResetPassword { .. } => "reset password",
            Self::PasswordChanged { .. } => "password changed",
            Self::PasswordReset { .. } => "password reset",
        }
    }

    fn subject(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "Confirm your e-mail address",
            Self::ResetPassword { .. } => "Set a new password",
            Self::PasswordChanged { .. } => "Your password was changed",
            Self::PasswordReset { .. } => "Your password was set anew",
        }
    }
}

impl Letter {
    pub(super) fn to_message(&self, from: &Mailbox, public_url: &str) -> Result<Message, Failure> {
        let address = self.email.parse().map_err(|_| Failure::Unwritable)?;
        let id = format!("<{}@{}>", Uuid::now_v7(), from.email.domain());
        // Robots, such as those that answer while somebody is away, leave it alone (RFC 3834).
        let automatic = HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        );
        Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, address))
            .subject(self.content.subject())
            .message_id(Some(id))
            .date_now()
            .raw_header(automatic)
            .header(ContentType::TEXT_PLAIN)
            .body(plain(&self.text(public_url))?)
            .map_err(|_| Failure::Unwritable)
    }

    fn text(&self, public_url: &str) -> String {
        let name = &self.username;
        let no_harm =
            "If it was not you, there is nothing to do: without the link nothing changes.";
        let alarm = "If it was not you, somebody else knew your password or can read your mail. \
                     Ask for a\nnew password at once, and look after your mailbox.";
        match &self.content {
            Content::VerifyEmail { token, life } => format!(
                "Somebody, hopefully you, has given this address for the account \"{name}\".\n\n\
                 To confirm that it is yours, open this link within {}:\n\n{}\n\n{no_harm}\n",
                in_words(*life),
                link(public_url, "verify-email", token),
            ),
            Content::ResetPassword { token, life, asked_from } => format!(
                "Somebody, hopefully you, wants to set a new password for the account \"{name}\"\n\
                 (asked from {asked_from}).\n\n\
                 To do so, open this link within {}. It can be used once:\n\n{}\n\n{no_harm}\n",
                in_words(*life),
                link(public_url, "reset-password", token),
            ),
            Content::PasswordChanged { changed_from } => format!(
                "The password of the account \"{name}\" was changed (from {changed_from}).\n\
                 All other devices were signed out.\n\n{alarm}\n"
            ),
            Content::PasswordReset { reset_from } => format!(
                "A new password was set for the account \"{name}\" by a link in a mail\n\
                 (from {reset_from}). All devices were signed out.\n\n{alarm}\n"
            ),
        }
    }
}

/// A body as it is: whatever reads it, also a person in a file, finds the link in one piece.
fn plain(text: &str) -> Result<Body, Failure> {
    let is_plain = text.is_ascii() && !text.contains(['\r', '\0']);
    if !is_plain || text.lines().any(|line| line.len() > MAX_LINE) {
        return Err(Failure::Unwritable);
    }
    let text = text.replace('\n', "\r\n");
    Ok(Body::dangerous_pre_encoded(text.into_bytes(), ContentTransferEncoding::SevenBit))
}

/// A page of the client, which gives the token to the service.
fn link(public_url: &str, page: &str, token: &SecretString) -> String {
    format!("{public_url}/{page}?token={}", token.expose_secret())
}

/// Rounded down to the largest unit, so that nobody is promised too much.
fn in_words(life: Duration) -> String {
    let seconds = life.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length);
    let (length, name) = unit.unwrap_or((1, "second"));
    match seconds / length {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(email: &str, username: &str) -> Letter {
        let token = SecretString::from("t0ken");
        let content = Content::VerifyEmail { token, life: Duration::from_hours(24) };
        Letter { user_id: UserId::new(), username: username.into(), email: email.into(), content }
    }

    fn written(letter: &Letter) -> Result<String, Failure> {
        let from = "Chat <no-reply@chat.example.org>".parse().unwrap();
        let message = letter.to_message(&from, "https://chat.example.org")?;
        Ok(String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn a_letter_has_its_headers_and_its_link() {
        let text = written(&letter("ann@example.org", "ann")).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        for line in [
            "From: Chat <no-reply@chat.example.org>",
            "To: ann@example.org",
            "Subject: Confirm your e-mail address",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(head.lines().any(|found| found == line), "{line:?} is not in {head}");
        }
        assert!(head.contains("@chat.example.org>\r\n"), "the id names our domain: {head}");
        let link = "https://chat.example.org/verify-email?token=t0ken";
        assert!(body.lines().any(|line| line == link), "{body}");
        assert!(body.contains("within 1 day"), "{body}");
    }

    /// Whatever stands in the database, it stays in its place.
    #[test]
    fn nothing_breaks_out_of_a_header() {
        let addresses = [
            "ann@example.org\r\nBcc: eve@example.org",
            "ann@example.org\nBcc: eve@example.org",
            "ann\r\n@example.org",
            "Ann <ann@example.org>",
            "ann@example.org, eve@example.org",
            "",
        ];
        for address in addresses {
            assert!(
                matches!(written(&letter(address, "ann")), Err(Failure::Unwritable)),
                "{address:?}"
            );
        }
        let text = written(&letter("ann@example.org", "ann\nBcc: eve@example.org")).unwrap();
        let head = text.split_once("\r\n\r\n").unwrap().0;
        assert!(!head.contains("eve"), "{head}");
        for name in ["ann\r\nann", "ann\0", "änn", &"a".repeat(1_000)] {
            let outcome = written(&letter("ann@example.org", name));
            assert!(matches!(outcome, Err(Failure::Unwritable)), "{name:?}");
        }
    }

    #[test]
    fn a_life_is_told_in_words() {
        let cases = [(30, "30 seconds"), (60, "1 minute"), (5_400, "1 hour"), (172_800, "2 days")];
        for (seconds, words) in cases {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn a_letter_hides_its_token() {
        assert!(!format!("{:?}", letter("ann@example.org", "ann")).contains("t0ken"));
    }
}
