//! What the pages for people share: they work without scripts, load nothing from elsewhere, and stand in no cache and no
//! frame.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use quaywatch_app::identity::Origin;
use quaywatch_app::operations::OperationError;
use quaywatch_web::{Client, RequestId};

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// A page with a title and what stands in it.
pub(crate) fn page(status: StatusCode, title: &str, content: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title}</title><link rel=\"icon\" href=\"data:,\">\
         <link rel=\"stylesheet\" href=\"/setup/setup.css\"></head><body><main>{content}</main></body></html>\n"
    );
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // The address holds a key, which nobody else may read. Not `no-referrer`: then browsers that reach the server
        // over plain HTTP send the form from the origin `null`, and it is refused as another site's.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, html).into_response()
}

/// Text as text, in a page or between quotes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What stood in a form that was sent.
pub(crate) struct Fields(BTreeMap<String, String>);

impl Fields {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// What was said there; nothing where it was left empty.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }
}

/// Everything that is wrong, above a form.
pub(crate) fn alerts(html: &mut String, wrong: &[String]) {
    for wrong in wrong {
        let _ = write!(html, "<p class=\"wrong\" role=\"alert\">{}</p>", escaped(wrong));
    }
}

/// What is wrong with what was sent, each for itself.
pub(crate) fn each(error: &OperationError) -> Vec<String> {
    if let OperationError::Invalid(problems) = error {
        return problems.sorted().into_iter().map(ToString::to_string).collect();
    }
    vec![error.to_string()]
}

/// From where a form was sent.
pub(crate) fn origin(client: Client, request: &RequestId) -> Origin {
    Origin { address: client.address, agent: None, request_id: Some(request.0.as_ref().into()) }
}
