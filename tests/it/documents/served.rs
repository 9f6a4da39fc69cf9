//! How `/docs` is served.

use chat_service::error::CODES;

use crate::harness::TestApp;

struct Page {
    status: u16,
    kind: String,
    policy: String,
    text: String,
}

async fn get(app: &TestApp, path: &str) -> Page {
    let answer =
        reqwest::get(format!("http://{}{path}", app.address)).await.expect("the node answers");
    let header = |name: &str| {
        let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (kind, policy) = (header("content-type"), header("content-security-policy"));
    let status = answer.status().as_u16();
    Page { status, kind, policy, text: answer.text().await.expect("it is text") }
}

/// R-DE-12: a policy that forbids other hosts and scripts in pages, and pages that need neither.
#[tokio::test]
async fn the_page_needs_no_other_host_and_no_script_of_its_own() {
    let app = TestApp::start().await;
    // By way of the redirection from `/docs`.
    let page = get(&app, "/docs").await;
    assert_eq!((page.status, page.kind.as_str()), (200, "text/html"));
    for forbidden in ["unsafe-inline", "unsafe-eval", "http:", "https:", "*"] {
        assert!(!page.policy.contains(forbidden), "{}", page.policy);
    }
    assert!(page.policy.contains("default-src 'none'"), "{}", page.policy);
    assert!(!page.text.contains("://"), "{}", page.text);
    let mut files = 0;
    for tag in
        page.text.split('<').filter(|tag| tag.starts_with("script") || tag.starts_with("link"))
    {
        let (_, rest) = tag.split_once("src=\"").or_else(|| tag.split_once("href=\"")).unwrap();
        let (file, rest) = rest.split_once('"').unwrap();
        let content = rest.split_once('>').unwrap().1;
        assert!(content.trim().is_empty(), "a script stands in the page: {content}");
        let file = get(&app, &format!("/docs/{}", file.trim_start_matches("./"))).await;
        assert_eq!(file.status, 200);
        files += 1;
    }
    assert!(files >= 5, "{files} files");
    let settings = get(&app, "/docs/swagger-initializer.js").await.text;
    assert!(settings.contains("/docs/openapi.json"), "{settings}");
    assert!(settings.contains("\"validatorUrl\": \"none\""), "{settings}");
    assert!(!settings.contains("petstore"), "{settings}");
    assert_eq!(get(&app, "/docs/nothing.js").await.status, 404);
}

#[tokio::test]
async fn every_problem_is_explained_where_its_type_leads() {
    let app = TestApp::start().await;
    let page = get(&app, "/docs/problems").await;
    assert_eq!(page.status, 200);
    for code in CODES {
        assert!(page.text.contains(&format!("<dt id=\"{}\">", code.name)), "{}", code.name);
    }
    let refused = app.client().get("/user/profile").await.expect(401);
    assert_eq!(refused.text("/type"), "/docs/problems#unauthenticated");
}

/// R-AD-1: an operator can keep the documents from the public port.
#[tokio::test]
async fn the_documents_can_be_turned_off() {
    let app = TestApp::start_with(&[("DOCS", "false")]).await;
    for path in ["/docs", "/docs/", "/docs/openapi.json", "/docs/asyncapi.json", "/docs/problems"] {
        assert_eq!(get(&app, path).await.status, 404, "{path}");
    }
}
