//! The AsyncAPI document. That live frames agree with it is checked wherever a test reads one.

use chat_service::model::event::EventKind;
use chat_service::protocol::close::Close;
use chat_service::protocol::push::Notice;
use chat_service::protocol::request::RequestKind;
use serde_json::Value;

use super::openapi::references_lead_somewhere;
use crate::harness::{TestApp, document};

#[tokio::test]
async fn every_request_and_push_is_described() {
    let app = TestApp::start().await;
    let document = document(app.address, "asyncapi").await;
    assert_eq!(document["asyncapi"], "3.0.0");
    references_lead_somewhere(&document, &document);
    let operations = document["operations"].as_object().unwrap();
    for kind in RequestKind::ALL {
        let operation = &operations[kind.name()];
        assert_eq!(operation["action"], "receive", "{}", kind.name());
        assert_eq!(operation["reply"]["messages"].as_array().unwrap().len(), 2);
        check_payload(&document, kind.name());
        check_payload(&document, &format!("{}.ok", kind.name()));
    }
    let durable = EventKind::ALL.iter().map(|kind| kind.name());
    let notices = Notice::ALL.iter().map(|notice| notice.name());
    let pushes: Vec<&str> = durable.chain(notices).collect();
    for name in &pushes {
        let name = format!("push.{name}");
        assert_eq!(operations[&name]["action"], "send", "{name}");
        check_payload(&document, &name);
    }
    assert_eq!(operations.len(), RequestKind::ALL.len() + pushes.len(), "nothing else");
    let closes = document["channels"]["socket"]["x-close-codes"].as_array().unwrap();
    let codes: Vec<u64> = closes.iter().map(|close| close["code"].as_u64().unwrap()).collect();
    assert_eq!(codes, Close::ALL.map(|close| u64::from(close.code())));
}

fn check_payload(document: &Value, message: &str) {
    let payload = &document["components"]["messages"][message]["payload"];
    assert!(payload["properties"]["data"]["$ref"].is_string(), "{message} has no data");
    let in_channel = &document["channels"]["socket"]["messages"][message];
    assert_eq!(in_channel["$ref"], format!("#/components/messages/{message}"));
}

/// What the code can say by name is what clients can subscribe to, but for what concerns the
/// connection itself.
#[test]
fn what_can_be_subscribed_to_is_what_is_pushed() {
    let own = ["ready", "resyncRequired", "goingAway", "tokenExpiring", "sessionRevoked"];
    for notice in Notice::ALL.iter().map(|notice| notice.name()) {
        let is_known = chat_service::protocol::push::NAMES.contains(&notice);
        assert_ne!(is_known, own.contains(&notice), "{notice}");
    }
}
