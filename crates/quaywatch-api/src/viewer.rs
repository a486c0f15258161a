//! The document for people, at `/api/docs`: Swagger UI out of this binary, under a policy that lets a browser load
//! nothing from anywhere else. It is the one viewer that runs without inline styles and scripts.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const SCRIPT: &[u8] = include_bytes!("../assets/swagger-ui/swagger-ui-bundle.js");
const STYLE: &[u8] = include_bytes!("../assets/swagger-ui/swagger-ui.css");

/// The page around it.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Quaywatch API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<noscript>This viewer needs JavaScript. The document itself is <a href="/api/openapi.json">openapi.json</a>.</noscript>
<div id="api"></div>
<script src="/api/docs/swagger-ui.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"#;

/// What starts it. `validatorUrl: null`: the document is not sent to anybody to be judged.
const START: &str = "SwaggerUIBundle({\n  url: '/api/openapi.json',\n  dom_id: '#api',\n  validatorUrl: null,\n  deepLinking: true,\n});\n";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The routes of the viewer.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/api/docs", get(page))
        .route("/api/docs/swagger-ui.js", get(async || file("text/javascript; charset=utf-8", SCRIPT)))
        .route("/api/docs/swagger-ui.css", get(async || file("text/css; charset=utf-8", STYLE)))
        .route("/api/docs/start.js", get(async || file("text/javascript; charset=utf-8", START.as_bytes())))
}

async fn page() -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, PAGE).into_response()
}

fn file(kind: &'static str, bytes: &'static [u8]) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_viewer_is_the_one_that_the_note_names() {
        let note = include_str!("../assets/swagger-ui/README.md");
        for bytes in [SCRIPT, STYLE] {
            let hash = Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            assert!(note.contains(&hash), "{hash}");
        }
    }

    #[test]
    fn the_page_holds_no_inline_script_or_style_and_names_no_other_host() {
        assert!(!PAGE.contains("<style") && !PAGE.contains("style=") && !PAGE.contains("://"), "{PAGE}");
        assert!(!PAGE.contains("<script>") && !PAGE.contains("onload"), "{PAGE}");
    }
}
