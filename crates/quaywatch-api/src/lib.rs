//! The REST API below `/api/v1`: wire types, routes, and the document that describes them.
//!
//! Nothing is decided here: an endpoint turns what was sent into the arguments of one operation of `quaywatch-app`, and
//! what that answers into JSON. The types of the wire are this crate's own and are converted by hand, so that a change
//! inside is never a change outside by accident.

pub mod framework;

mod v1;
mod viewer;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use quaywatch_app::operations::Operations;
use quaywatch_web::problem::Problem;
use serde_json::Value;

use framework::Routes;

/// What endpoints work with.
#[derive(Debug, Clone)]
pub struct Api {
    /// Everything that can be done.
    pub operations: Operations,
    document: Arc<Document>,
}

#[derive(Debug)]
struct Document {
    bytes: Bytes,
}

impl Api {
    /// An API over these operations.
    #[must_use]
    pub fn router(operations: Operations) -> Router {
        let (router, document) = framework::document::finish(routes());
        let bytes = serde_json::to_vec(&document).expect("a JSON value becomes JSON").into();
        let api = Self { operations, document: Arc::new(Document { bytes }) };
        router
            .route("/api/openapi.json", get(show_document))
            .merge(viewer::router())
            .route("/api", get(nothing_here))
            .route("/api/{*rest}", axum::routing::any(nothing_here))
            .with_state(api)
    }
}

/// The document, for tests and for whoever writes it to a file.
#[must_use]
pub fn document() -> Value {
    framework::document::finish(routes()).1
}

fn routes() -> Routes {
    let mut routes = Routes::default();
    v1::routes(&mut routes);
    routes
}

async fn show_document(State(api): State<Api>) -> impl IntoResponse {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], api.document.bytes.clone())
}

async fn nothing_here() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "nothing is here; `/api/openapi.json` lists what there is, `/api/docs` shows it",
    )
}
