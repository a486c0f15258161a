//! The REST API below `/api/v1`: wire types, routes, and the document that describes them.
//!
//! Nothing is decided here: an endpoint turns what was sent into the arguments of one operation of `quaywatch-app`, and
//! what that answers into JSON. The types of the wire are this crate's own and are converted by hand, so that a change
//! inside is never a change outside by accident.

pub mod framework;

mod invite;
mod page;
mod setup;
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
use quaywatch_app::identity::Identity;
use quaywatch_app::operations::Operations;
use quaywatch_core::Clock;
use quaywatch_web::problem::Problem;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use framework::Routes;
use framework::replay::Replays;

/// What endpoints work with.
#[derive(Clone)]
pub struct Api {
    /// Everything that can be done.
    pub operations: Operations,
    /// Who people and programs are.
    pub identity: Identity,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Ends streams, so that the server can end.
    pub stop: CancellationToken,
    document: Arc<Document>,
    replays: Arc<Replays>,
}

/// What an API is made of.
#[derive(Clone)]
#[expect(missing_docs, reason = "see the fields of the same names of `Api`")]
pub struct Parts {
    pub operations: Operations,
    pub identity: Identity,
    pub clock: Arc<dyn Clock>,
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Document {
    bytes: Bytes,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// The routes of an API, for [`Gate::around`](quaywatch_web::Gate::around).
    pub fn router(parts: Parts) -> Router {
        let (router, document) = framework::document::finish(routes());
        let bytes = serde_json::to_vec(&document).expect("a JSON value becomes JSON").into();
        let Parts { operations, identity, clock, stop } = parts;
        let (document, replays) = (Arc::new(Document { bytes }), Arc::default());
        let api = Self { operations, identity, clock, stop, document, replays };
        router
            .route("/api/openapi.json", get(show_document))
            .merge(viewer::router())
            .merge(setup::router())
            .merge(invite::router())
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
