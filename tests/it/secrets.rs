//! Secrets that are planted in every way in, on good paths and bad ones, and then looked for in all
//! that the nodes say of themselves: R-AD-6, R-AD-7, R-DE-6, F54.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

use crate::harness::{
    Answer, Http, LOG_TO, Mode, NodeProcess, Proxy, Socket, TestApp, environment, eventually,
};

/// What must not show up anywhere, each with its name.
#[derive(Default)]
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    /// A new one: long, and the same however it is encoded.
    fn plant(&mut self, what: &'static str) -> String {
        let canary = format!("canary{}{}", self.0.len(), Uuid::new_v4().simple());
        self.0.push((what, canary.clone()));
        canary
    }

    /// One that was made elsewhere.
    fn add(&mut self, what: &'static str, text: &str) {
        assert!(text.len() >= 12, "{what} is too short to be looked for");
        self.0.push((what, text.to_owned()));
    }
}

/// A directory of logs that is gone with the test.
struct Logs(PathBuf);

impl Logs {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("chat-it-logs-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&path).expect("it can be made");
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a plain path").to_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    fn all(&self) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(&self.0).expect("it is there");
        let read = |path: &Path| {
            let bytes = std::fs::read(path).expect("it can be read");
            (path.display().to_string(), String::from_utf8(bytes).expect("logs are UTF-8"))
        };
        entries.map(|entry| read(&entry.expect("it can be listed").path())).collect()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A client that keeps what it was refused with.
struct Driver {
    http: Http,
    app_token: String,
    refusals: Vec<String>,
}

impl Driver {
    async fn call(&mut self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.http.request(method, path).header("x-app-token", &self.app_token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.keep(Answer::of(request).await)
    }

    async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    fn keep(&mut self, answer: Answer) -> Answer {
        if answer.status >= 400 {
            self.refusals.push(format!("{:?} {}", answer.headers, answer.body));
        }
        answer
    }

    /// With these headers in place of the usual ones.
    async fn odd(&mut self, path: &str, headers: &[(&str, &str)], body: &str) {
        let method = if body.is_empty() { Method::GET } else { Method::POST };
        let mut request = self.http.request(method, path).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("the node answers");
        assert!(answer.status().as_u16() >= 400, "{path}");
        let headers = answer.headers().clone();
        let body = answer.text().await.expect("the answer is whole");
        self.refusals.push(format!("{headers:?} {body}"));
    }
}

/// Signs somebody up and in, rightly and wrongly. Returns the tokens that are good in the end.
async fn sign_in(driver: &mut Driver, canaries: &mut Canaries, app: &TestApp) -> (String, String) {
    let password = canaries.plant("the password");
    let wrong = canaries.plant("a wrong password");
    let body = json!({ "username": "ann", "email": "ann@example.org", "password": password });
    let signed_up = driver.post("/auth/signup", body.clone()).await.expect(201);
    canaries.add("an access token", &signed_up.text("/accessToken"));
    canaries.add("a refresh token", &signed_up.text("/refreshToken"));
    driver.post("/auth/signup", body).await.expect(409);
    driver.post("/auth/signin", json!({ "login": "ann", "password": wrong })).await.expect(401);

    let typed = 817_263_540_917_265_431_u64;
    canaries.add("a password as a number", &typed.to_string());
    driver.post("/auth/signin", json!({ "login": "ann", "password": typed })).await.expect(422);
    let misplaced = canaries.plant("a password in another field");
    let body = json!({ "login": "ann", "password": password, "device": misplaced });
    driver.post("/auth/signin", body).await.expect(422);
    let cut = canaries.plant("a password in a broken body");
    let json = [("content-type", "application/json"), ("x-app-token", driver.app_token.as_str())]
        .map(|(name, value)| (name, value.to_owned()));
    let json = json.each_ref().map(|(name, value)| (*name, value.as_str()));
    driver.odd("/auth/signin", &json, &format!("{{\"password\":\"{cut}\"")).await;
    // Would be lines of their own, if they were written as they are.
    let login = "x\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}\u{1b}[31m\u{2028}";
    driver.post("/auth/signin", json!({ "login": login, "password": wrong })).await.expect(401);

    let used = signed_up.text("/refreshToken");
    let renewed = driver.post("/auth/refresh", json!({ "refreshToken": used })).await.expect(200);
    canaries.add("the next refresh token", &renewed.text("/refreshToken"));
    canaries.add("the next access token", &renewed.text("/accessToken"));
    app.sql("update refresh_tokens set used_at = used_at - interval '1 minute'", None).await;
    driver.post("/auth/refresh", json!({ "refreshToken": used })).await.expect(401);
    let guess = canaries.plant("a guessed refresh token");
    driver.post("/auth/refresh", json!({ "refreshToken": guess })).await.expect(401);

    let body = json!({ "login": "ann", "password": password });
    let signed_in = driver.post("/auth/signin", body).await.expect(200);
    canaries.add("the last access token", &signed_in.text("/accessToken"));
    canaries.add("the last refresh token", &signed_in.text("/refreshToken"));
    (signed_in.text("/accessToken"), password)
}

/// Tokens in the wrong places, and requests that are not well-formed.
async fn guess(driver: &mut Driver, canaries: &mut Canaries, process: &NodeProcess, good: &str) {
    let forged = format!("{good}x");
    canaries.add("a forged access token", &forged);
    let app_token = driver.app_token.clone();
    let own = ("x-app-token", app_token.as_str());
    let bearer = format!("Bearer {forged}");
    driver.odd("/user/profile", &[own, ("authorization", &bearer)], "").await;
    let basic = format!("Basic {}", canaries.plant("another scheme's credentials"));
    driver.odd("/user/profile", &[own, ("authorization", &basic)], "").await;
    let cookie = format!("session={}", canaries.plant("a cookie"));
    driver.odd("/user/profile", &[own, ("cookie", &cookie)], "").await;
    let wrong = canaries.plant("a wrong app token");
    driver.odd("/user/profile", &[("x-app-token", &wrong)], "").await;
    let query = canaries.plant("a token in the query");
    driver.odd(&format!("/user/profile?access_token={query}"), &[own], "").await;
    driver.odd(&format!("/ws?token={query}"), &[own], "").await;
    let code = canaries.plant("a code in the path");
    driver.odd(&format!("/invites/{code}"), &[own], "").await;
    let forged_id = "\"},{\"level\":\"ERROR\"}";
    driver.odd("/user/profile", &[own, ("x-request-id", forged_id)], "").await;
    let offered = format!("chat.v1, bearer.{forged}");
    driver.odd("/ws", &[own, ("sec-websocket-protocol", &offered)], "").await;

    // Heads that no client library would send.
    let raw = canaries.plant("a header that is no header");
    for head in [
        format!("x-odd: \u{1b}[31m{raw}\u{1b}[0m\r\n"),
        format!("x-odd: a\r\n {raw}\r\n"),
        format!("authorization: Bearer {raw}\r\nauthorization: Bearer {raw}\r\n"),
        format!("x-odd: {raw}\n{raw}\r\n"),
    ] {
        let request = format!(
            "GET /api/v1/user/profile HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}\r\n"
        );
        let mut stream = tokio::net::TcpStream::connect(process.address).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        driver.refusals.push(String::from_utf8_lossy(&answer).into_owned());
    }
}

/// One-time tokens and new passwords, good or not.
async fn try_one_time_tokens(driver: &mut Driver, canaries: &mut Canaries) {
    let (token, new) = (canaries.plant("a one-time token"), canaries.plant("a new password"));
    driver.post("/auth/password/reset", json!({ "token": token, "newPassword": new })).await;
    driver.post("/auth/email/verify", json!({ "token": token })).await;
    let body =
        json!({ "currentPassword": canaries.plant("a guessed password"), "newPassword": new });
    driver.post("/auth/password", body).await;
}

/// Messages and frames that break the protocol.
async fn talk(driver: &mut Driver, canaries: &mut Canaries, socket: &mut Socket) -> String {
    let chat = driver.post("/chats", json!({ "title": "a group" })).await.expect(201).text("/id");
    let text = canaries.plant("a message's text");
    let id = socket.ask("sendMessage", crate::harness::message(&chat, &text)).await;
    let sent = socket.answer(&id).await;
    let edited = canaries.plant("an edited text");
    let body = json!({ "chatId": chat, "messageId": sent["data"]["messageId"], "body": edited });
    let id = socket.ask("editMessage", body).await;
    assert_eq!(socket.answer(&id).await["ok"], true);
    // The same client id with another text, and a text in the wrong place.
    let mut body = crate::harness::message(&chat, &canaries.plant("a first text"));
    let path = format!("/chats/{chat}/messages");
    let mut by_rest = body.clone();
    by_rest.as_object_mut().expect("an object").remove("chatId");
    driver.post(&path, by_rest.clone()).await.expect(201);
    by_rest["body"] = json!(canaries.plant("a conflicting text"));
    driver.post(&path, by_rest).await.expect(409);
    body["mentions"] = json!(canaries.plant("a text as mentions"));
    for (event, data) in [
        ("sendMessage", body),
        ("sendMessage", json!({ "chatId": canaries.plant("a text as an id"), "body": 1 })),
        ("authenticate", json!({ "token": canaries.plant("a guessed token") })),
        ("authenticate", json!({ "token": [canaries.plant("a token in a list")] })),
    ] {
        let id = socket.ask(event, data).await;
        let answer = socket.answer(&id).await;
        assert_eq!(answer["ok"], false, "{event}: {answer}");
        driver.refusals.push(answer.to_string());
    }
    for frame in [
        canaries.plant("no frame at all"),
        format!(
            "{{\"id\":\"9\",\"event\":\"sendMessage\",\"data\":\"{}",
            canaries.plant("cut off")
        ),
    ] {
        socket.send_raw(frame).await;
    }
    let query = canaries.plant("a search");
    driver.call(Method::GET, &format!("/messages/search?q={query}"), None).await;
    chat
}

/// The same while a store is away.
async fn talk_to_nobody(driver: &mut Driver, canaries: &mut Canaries, chat: &str, password: &str) {
    let text = canaries.plant("a text that cannot be stored");
    let body = json!({ "clientId": Uuid::now_v7(), "body": text });
    driver.post(&format!("/chats/{chat}/messages"), body).await;
    driver.post("/auth/signin", json!({ "login": "ann", "password": password })).await;
    let guess = canaries.plant("a token that cannot be checked");
    driver.post("/auth/refresh", json!({ "refreshToken": guess })).await;
    driver.call(Method::GET, "/chats", None).await;
}

/// Nodes that do not start, and say why.
async fn fail_to_start(app: &TestApp, canaries: &mut Canaries, logs: &Logs) {
    let log = logs.file("failing");
    let secret = canaries.plant("a password of Postgres");
    let url = format!("postgresql://chat:{secret}@127.0.0.1:1/none");
    let odd = format!("postgresql://chat:{secret}@127.0.0.1:port/none");
    let real = &app.database.url;
    let short = &canaries.plant("a secret in production")[..20];
    let key = logs.file("key.pem");
    let content = canaries.plant("a key's file");
    let redis = format!("redis://:{}@127.0.0.1:port", canaries.plant("a password of Redis"));
    let failing: [&[(&str, &str)]; 5] = [
        &[("DATABASE_URL", &url)],
        &[("DATABASE_URL", &odd)],
        &[("DATABASE_URL", real), ("REDIS_URL", &redis)],
        &[("APP_ENV", "production"), ("JWT_SECRET", short), ("JWT_PREVIOUS_SECRETS", short)],
        &[("JWT_ALGORITHM", "EdDSA"), ("JWT_PRIVATE_KEY_FILE", &key)],
    ];
    for settings in failing {
        std::fs::write(&key, &content).expect("it can be written");
        let settings = [&[(LOG_TO, log.as_str()), ("LOG_LEVEL", LEVEL)], settings].concat();
        app.begin_process(&settings).ended().await;
        std::fs::remove_file(&key).expect("it was written");
    }
    assert_eq!(logs.read("failing").matches("chat-service: ").count(), 5, "each says why");

    // A server that does not answer, at a URL with a password.
    let away = format!("redis://:{}@127.0.0.1:1", canaries.plant("another password of Redis"));
    let log = logs.file("waiting");
    let settings = [("REDIS_URL", away.as_str()), (LOG_TO, &log), ("LOG_LEVEL", LEVEL)];
    let mut waiting = app.begin_process(&settings);
    eventually("it says that Redis is away", async || {
        logs.read("waiting").contains("Redis does not answer")
    })
    .await;
    waiting.kill().await;

    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_chat-service"))
        .arg("config")
        .envs(canaries_in_the_environment(canaries))
        .stdin(Stdio::null())
        .output()
        .await
        .expect("it runs");
    let shown = [output.stdout, output.stderr].concat();
    std::fs::write(logs.file("config"), shown).expect("it can be written");
    assert!(logs.read("config").contains("JWT_SECRET=(set)"));
}

fn canaries_in_the_environment(canaries: &mut Canaries) -> Vec<(&'static str, String)> {
    let secrets = chat_service::config::VARIABLES.iter().filter(|variable| variable.secret);
    secrets.map(|variable| (variable.name, canaries.plant(variable.name))).collect()
}

/// Our own part at its most talkative.
const LEVEL: &str = "info,chat_service=debug";

#[tokio::test]
async fn secrets_show_up_nowhere() {
    let (mut canaries, logs) = (Canaries::default(), Logs::new());
    let app_token = canaries.plant("the app token");
    let (postgres, database) = Proxy::before(&environment("TEST_POSTGRES_URL")).await;
    let urls = environment("TEST_REDIS_URLS");
    let first = urls.split(',').next().expect("there is one").trim();
    let (redis, redis_url) = Proxy::before(first).await;
    let shared = [
        ("NODE_ROLES", "edge"),
        ("REDIS_URL", redis_url.as_str()),
        ("JWT_SECRET", &canaries.plant("the secret of tokens")),
        ("JWT_PREVIOUS_SECRETS", &canaries.plant("the former secret")),
        ("S3_ENDPOINT", &environment("TEST_S3_ENDPOINT")),
        ("S3_ACCESS_KEY", "nobody"),
        ("S3_SECRET_KEY", &canaries.plant("the secret of the store")),
    ];
    let app = TestApp::start_with(&shared).await;
    // The same database, by way of the proxy.
    let name = app.database.url.rsplit_once('/').expect("a path").1;
    let database = format!("{}/{name}", database.rsplit_once('/').expect("a path").0);
    if let Some((_, password)) = userinfo(&database) {
        canaries.add("the real password of Postgres", password);
    }

    let mut driver = Driver { http: app.client(), app_token, refusals: Vec::new() };
    for format in ["json", "text"] {
        let log = logs.file(format);
        let settings = [
            ("NODE_ROLES", "edge,writer"),
            ("DATABASE_URL", database.as_str()),
            ("APP_TOKEN", &driver.app_token),
            ("LOG_FORMAT", format),
            ("LOG_LEVEL", LEVEL),
            ("LOG_ANSWER_TIMEOUT_MS", "1000"),
            (LOG_TO, &log),
        ];
        let mut process = app.begin_process(&settings);
        process.is_ready().await;
        app.sql("delete from users", None).await;
        driver.http = Http::new(process.address);
        let (token, password) = sign_in(&mut driver, &mut canaries, &app).await;
        guess(&mut driver, &mut canaries, &process, &token).await;
        driver.http = driver.http.with_token(&token);
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("x-app-token", &driver.app_token)];
        let mut socket = Socket::open(process.address, &headers).await.expect("it opens");
        let chat = talk(&mut driver, &mut canaries, &mut socket).await;
        for proxy in [&redis, &postgres] {
            proxy.set(Mode::Cut);
            talk_to_nobody(&mut driver, &mut canaries, &chat, &password).await;
            proxy.set(Mode::Pass);
        }
        process.is_ready().await;
        try_one_time_tokens(&mut driver, &mut canaries).await;
        driver.http = Http::new(process.address);
        let metrics = reqwest::get(process.metrics_url()).await.expect("it is served");
        let metrics = metrics.text().await.expect("it is text");
        std::fs::write(logs.file(&format!("metrics-{format}")), metrics)
            .expect("it can be written");
        process.kill().await;
        app.sql("delete from chats", None).await;
    }
    fail_to_start(&app, &mut canaries, &logs).await;

    let refusals = driver.refusals.join("\n");
    assert!(driver.refusals.len() >= 50, "{}", driver.refusals.len());
    println!("canaries={} refusals={}", canaries.0.len(), driver.refusals.len());
    for (name, text) in logs.all().iter().chain([&("refusals".to_owned(), refusals)]) {
        for (what, canary) in &canaries.0 {
            let hit = text.lines().find(|line| line.contains(canary.as_str()));
            assert_eq!(hit, None, "{what} is in {name}");
        }
    }
    assert!(canaries.0.len() >= 40, "{}", canaries.0.len());
    one_event_is_one_line(&logs);
}

fn userinfo(url: &str) -> Option<(&str, &str)> {
    url.split_once("://")?.1.rsplit_once('@')?.0.split_once(':')
}

/// R-AD-7: no input makes a line of its own, or colours one.
fn one_event_is_one_line(logs: &Logs) {
    let text = logs.read("json");
    assert!(text.contains("a refresh token was used twice"), "it says what it should");
    assert!(text.contains("\"message\":\"answered\""), "at the level that was asked for");
    for line in text.lines() {
        let event: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("no event: {error}: {line:?}"));
        assert!(event["level"].is_string() && event["timestamp"].is_string(), "{line}");
        assert_ne!(event["message"], "forged");
    }
    let text = logs.read("text");
    assert!(text.contains("a refresh token was used twice"));
    for line in text.lines() {
        let is_event = line.starts_with("20") && line.get(10..11) == Some("T");
        assert!(is_event, "no event: {line:?}");
        assert!(!line.contains(['\u{1b}', '\u{2028}']), "{line:?}");
    }
}
