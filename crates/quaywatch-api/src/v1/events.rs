//! `/events`: transitions as they happen, numbered, and again from where a receiver lost the stream.
//!
//! One message a transition, `event: transition`, its number as `id:`. A receiver that comes back with `Last-Event-ID`
//! gets everything in between. A comment every fifteen seconds keeps proxies from closing a quiet stream; one that
//! cannot keep up is ended, and comes back by itself. So is, within seconds, one whose token was revoked, whose session
//! ended, or who belongs to the account no more, and does not come back.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use quaywatch_app::caller::Caller;
use quaywatch_app::identity::Identity;
use quaywatch_app::identity::again::Shown;
use quaywatch_app::operations::OperationError;
use quaywatch_app::operations::transitions::{Followed, Follower};
use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_web::Credential;
use quaywatch_web::problem::{FieldError, Place, Problem};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::framework::describe::Describe;
use crate::framework::{Call, Head, Listed, Needs, Output, Routes, Tag, docs};
use crate::wire::events::Transition;
use crate::wire::paging::Limit;

const LOOK: Needs = Needs(Resource::Incidents, Level::Look);

/// How often a quiet stream says that it lives.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// How often whoever follows is asked again whether they still may. A token that is revoked on the server's own host is
/// known of in no other way.
const ASK_AGAIN_EVERY: Duration = Duration::from_secs(3);

/// When a receiver whose stream ended should come back.
const COME_BACK: Duration = Duration::from_secs(2);

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Events);
    routes.get(
        "/events",
        LOOK,
        follow,
        docs("events_follow", "Follow transitions as they happen").about(
            "Server-sent events. With `Last-Event-ID` (a header, or `after`), from after that number on.",
        ),
    );
    routes.get(
        "/transitions",
        LOOK,
        list,
        docs("transitions_list", "List transitions after a number").about("Oldest first; kept for 30 days."),
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FollowQuery {
    /// From after this number on: for receivers that cannot send `Last-Event-ID`, which wins.
    after: Option<u64>,
}

async fn follow(call: Call<(), FollowQuery>) -> Result<Stream, Problem> {
    let after = last_event(&call.head)?.or(call.query.after);
    let follower = call.api.operations.follow_transitions(&call.caller, after).await?;
    let follows = Follows { identity: call.api.identity, caller: call.caller, by: call.head.credential };
    Ok(Stream { follower, follows, stop: call.api.stop })
}

fn last_event(head: &Head) -> Result<Option<u64>, Problem> {
    let Some(value) = head.headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Problem::invalid(vec![FieldError {
            place: Place::Parameter("Last-Event-ID".to_owned()),
            code: "not_a_number".to_owned(),
            message: "`Last-Event-ID` is no number of this stream".to_owned(),
            suggestion: Some("send the `id` of the last message, or leave it out".to_owned()),
        }])
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// The number after which to begin; 0 or nothing: the oldest that is kept.
    #[schemars(length(min = 1, max = 20))]
    after: Option<String>,
    limit: Option<Limit>,
}

/// How many are listed where nobody says.
const USUAL: usize = 100;

async fn list(call: Call<(), ListQuery>) -> Result<Listed<Transition>, Problem> {
    let limit = call.query.limit.map_or(USUAL, Limit::items);
    let after = call.query.after.as_deref().unwrap_or("0");
    let after = after.parse().map_err(|_| {
        Problem::invalid(vec![FieldError {
            place: Place::Parameter("after".to_owned()),
            code: "bad_cursor".to_owned(),
            message: "`after` is no number of this stream".to_owned(),
            suggestion: Some("send the `next` of the page before, or leave it out".to_owned()),
        }])
    })?;
    let found = call.api.operations.list_transitions(&call.caller, after, limit).await?;
    let next = (found.len() == limit).then(|| found.last().map(|last| last.id.to_string())).flatten();
    Ok(Listed { items: found.into_iter().map(Transition::from).collect(), next })
}

/// An open stream.
struct Stream {
    follower: Follower,
    follows: Follows,
    stop: CancellationToken,
}

/// Who follows, and by what they were recognised.
struct Follows {
    identity: Identity,
    caller: Caller,
    by: Option<Credential>,
}

impl Follows {
    /// Whether they may not any more. While the store cannot say, they stay: it has nothing to give them either.
    async fn are_out(&self) -> bool {
        let by = match &self.by {
            Some(Credential::Token(text)) => Shown::Token(text.reveal()),
            Some(Credential::Session(secret)) => Shown::Session(secret.reveal()),
            None => return true,
        };
        match self.identity.recognise_again(&self.caller, by).await {
            Ok(now) => !now.access.allows(Policy::new(LOOK.0, LOOK.1)),
            Err(OperationError::Store(error)) => {
                tracing::debug!(%error, "whether somebody may follow still cannot be told now");
                false
            }
            Err(_) => true,
        }
    }
}

impl Output for Stream {
    const STATUS: u16 = 200;

    fn describe(describe: &mut Describe) -> Value {
        let schema = describe.written::<Transition>();
        json!({
            "description": "a stream of messages `event: transition`, each with a number (`id`) and JSON (`data`)",
            "content": { "text/event-stream": { "schema": { "type": "string" }, "x-data": schema } },
        })
    }

    fn respond(self, _: &Head) -> Response {
        let first = Event::default().retry(COME_BACK).comment("following");
        let mut again = tokio::time::interval(ASK_AGAIN_EVERY);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let Self { follower, follows, stop } = self;
        let state = State { first: Some(first), follower, follows, again, stop };
        let messages = futures_util::stream::unfold(state, |mut state| async move {
            let message = state.next().await?;
            Some((Ok::<_, Infallible>(message), state))
        });
        let alive = KeepAlive::new().interval(COMMENT_EVERY).text("quiet");
        let mut response = Sse::new(messages).keep_alive(alive).into_response();
        // Some proxies collect an answer before they pass it on.
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

struct State {
    first: Option<Event>,
    follower: Follower,
    follows: Follows,
    again: tokio::time::Interval,
    stop: CancellationToken,
}

impl State {
    /// The next message; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let next = loop {
            tokio::select! {
                // In this order: nothing more is given to somebody who is out.
                biased;
                () = self.stop.cancelled() => return None,
                _ = self.again.tick() => if self.follows.are_out().await { return None },
                next = self.follower.next() => break next,
            }
        };
        match next {
            Ok(Followed::Transition(view)) => {
                let id = view.id.to_string();
                let data =
                    serde_json::to_string(&Transition::from(view)).expect("texts and numbers become JSON");
                Some(Event::default().event("transition").id(id).data(data))
            }
            Ok(Followed::Ended { .. }) => None,
            Err(error) => {
                tracing::warn!(%error, "a stream of transitions ends: they cannot be read");
                None
            }
        }
    }
}
