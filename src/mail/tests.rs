//! The queue and its end, against a small SMTP server of the test's own.

use std::sync::Mutex;

use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::model::id::UserId;

/// What a server has seen, a line each.
type Seen = Arc<Mutex<Vec<String>>>;

/// A server that answers the first `RCPT TO`s as told, and takes all else.
async fn server(answers: &'static [&'static str]) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let (log, answers) = (Arc::clone(&seen), Arc::new(Mutex::new(answers.iter())));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (log, answers) = (Arc::clone(&log), Arc::clone(&answers));
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                write.write_all(b"220 ready\r\n").await.ok();
                let mut in_data = false;
                while let Ok(Some(line)) = lines.next_line().await {
                    log.lock().unwrap().push(line.clone());
                    let answer = match line.split(' ').next().unwrap_or_default() {
                        "." => "250 taken",
                        _ if in_data => continue,
                        "DATA" => "354 go on",
                        "RCPT" => answers.lock().unwrap().next().unwrap_or(&"250 fine"),
                        "QUIT" => "221 bye",
                        _ => "250 fine",
                    };
                    in_data = answer.starts_with("354");
                    write.write_all(format!("{answer}\r\n").as_bytes()).await.ok();
                }
            });
        }
    });
    (url, seen)
}

fn letter() -> Letter {
    Letter {
        user_id: UserId::new(),
        username: "ann".to_owned(),
        email: "ann@example.org".to_owned(),
        content: Content::VerifyEmail {
            token: SecretString::from("t0ken"),
            life: Duration::from_hours(1),
        },
    }
}

fn mailer(url: &str) -> (Mailer, Outgoing, PrometheusHandle) {
    let settings = config::Mail {
        transport: config::MailTransport::Smtp(url.into()),
        from: "Chat <no-reply@example.org>".parse().unwrap(),
        public_url: "https://chat.example.org".to_owned(),
    };
    let (metrics, printer) = Metrics::new("n1");
    let (mailer, outgoing) = Mailer::new(Some(&settings), metrics).unwrap();
    (mailer, outgoing.unwrap(), printer)
}

fn count(printer: &PrometheusHandle, result: &str) -> String {
    let text = printer.render();
    let start = "chat_mails_total{";
    let mut lines = text.lines().filter(|line| line.starts_with(start) && line.contains(result));
    lines.next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned()
}

async fn reaches(printer: &PrometheusHandle, result: &str, wanted: &str) {
    let waiting = async {
        while count(printer, result) != wanted {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), waiting).await.expect("it comes in a moment");
}

fn stopped() -> CancellationToken {
    let stop = CancellationToken::new();
    stop.cancel();
    stop
}

#[tokio::test]
async fn what_lies_in_the_queue_is_sent_before_the_end() {
    let (url, seen) = server(&[]).await;
    let (mailer, outgoing, printer) = mailer(&url);
    for _ in 0..10 {
        mailer.send(letter());
    }
    outgoing.run(stopped()).await;
    assert_eq!(count(&printer, "sent"), "10");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.iter().filter(|line| *line == "RCPT TO:<ann@example.org>").count(), 10);
    let link = "https://chat.example.org/verify-email?token=t0ken";
    assert_eq!(seen.iter().filter(|line| *line == link).count(), 10);
}

#[tokio::test]
async fn a_letter_is_sent_again_where_that_may_help_and_only_there() {
    let (url, seen) = server(&["451 later", "250 fine", "550 nobody here"]).await;
    let (mailer, outgoing, printer) = mailer(&url);
    mailer.send(letter());
    let stop = CancellationToken::new();
    let running = tokio::spawn(outgoing.run(stop.clone()));
    reaches(&printer, "sent", "1").await;
    mailer.send(letter());
    reaches(&printer, "failed", "1").await;
    stop.cancel();
    running.await.unwrap();
    let tries = seen.lock().unwrap().iter().filter(|line| line.starts_with("RCPT")).count();
    assert_eq!(tries, 3, "two for the first letter, one for the second");
}

#[tokio::test]
async fn a_full_queue_and_an_absent_server_cost_letters_not_time() {
    // Nobody listens there.
    let (mailer, outgoing, printer) = mailer("smtp://127.0.0.1:1");
    for _ in 0..QUEUE + 3 {
        mailer.send(letter());
    }
    assert_eq!(count(&printer, "dropped"), "3");
    outgoing.run(stopped()).await;
    mailer.send(letter());
    let all = (QUEUE + 4).to_string();
    assert_eq!(count(&printer, "dropped"), all, "what was left, and what came later");
}

#[tokio::test]
async fn without_settings_letters_are_counted_and_dropped() {
    let (metrics, printer) = Metrics::new("n1");
    let (mailer, outgoing) = Mailer::new(None, metrics).unwrap();
    assert!(outgoing.is_none());
    mailer.send(letter());
    assert_eq!(count(&printer, "dropped"), "1");
}
