//! `/healthz`: the process answers. `/readyz`: monitors are scheduled, and with which configuration.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use quaywatch_app::observe::{ConfigState, Observatory};

const JSON: [(header::HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];

pub(crate) async fn alive() -> impl IntoResponse {
    (JSON, "{\"status\":\"ok\"}\n")
}

pub(crate) async fn ready(State(observatory): State<Arc<Observatory>>) -> impl IntoResponse {
    let config = observatory.readiness.config();
    let status =
        if observatory.readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = serde_json::json!({ "ready": status == StatusCode::OK, "config": config.as_str() });
    match config {
        ConfigState::Stale { since, errors, first } => {
            body["since"] = since.to_string().into();
            body["errors"] = errors.into();
            body["first_error"] = first.into();
        }
        ConfigState::Fresh { since } => body["since"] = since.to_string().into(),
        ConfigState::Loading | ConfigState::None => {}
    }
    (status, JSON, format!("{body}\n"))
}
