//! What the listener answers itself. Pages and API merge their routers into this one.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use quaywatch_app::observe::Observatory;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::{health, metrics};

/// Largest body of a request; larger ones are answered 413.
const MAX_BODY: usize = 1 << 20;

/// For a whole request: what takes longer is answered 503.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// `/healthz`, `/readyz`, `/metrics`, with limits around them.
pub fn router(observatory: Arc<Observatory>) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .fallback(nothing_here)
        .with_state(observatory)
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_DEADLINE))
        .layer(CatchPanicLayer::new())
}

/// Whoever mistypes is told what there is.
async fn nothing_here() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "nothing is here; there are /api/docs, /healthz, /readyz and /metrics\n")
}
