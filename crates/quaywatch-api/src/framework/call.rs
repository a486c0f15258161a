//! One call of an endpoint: who asks, for what, with what.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use quaywatch_app::caller::Caller;
use quaywatch_web::problem::{FieldError, Place, Problem};
use quaywatch_web::{Client, Credential, Identified, RequestId};

use crate::Api;

/// What a handler gets: `P` from the path, `Q` from the query, `B` the body, `W` whom the route's rule lets in.
#[derive(Debug)]
pub struct Call<P = (), Q = (), B = (), W = Caller> {
    /// What endpoints work with.
    pub api: Api,
    /// Who asks.
    pub caller: W,
    /// From the path.
    pub path: P,
    /// From the query.
    pub query: Q,
    /// What was sent.
    pub body: B,
    /// The rest of the request.
    pub head: Head,
}

/// What else a request says.
#[derive(Debug, Clone)]
pub struct Head {
    /// Whether it only looks: `GET` or `HEAD`.
    pub only_looks: bool,
    /// Its target.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Where it came from.
    pub client: Client,
    /// Its id.
    pub request: RequestId,
    /// How the caller was recognised.
    pub credential: Option<Credential>,
}

impl Head {
    pub(super) fn of(parts: &axum::http::request::Parts) -> Self {
        let extensions = &parts.extensions;
        let nowhere = Client { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), secure: false };
        let credential = match extensions.get::<Identified>() {
            Some(Identified::Caller(_, credential)) => Some(credential.clone()),
            Some(Identified::Nobody | Identified::Refused(_)) | None => None,
        };
        Self {
            only_looks: matches!(parts.method, Method::GET | Method::HEAD),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            client: extensions.get::<Client>().copied().unwrap_or(nowhere),
            request: extensions.get::<RequestId>().cloned().unwrap_or_else(|| RequestId(Arc::from("none"))),
            credential,
        }
    }

    /// Whether whoever looks has what is tagged so already (`If-None-Match`, compared as RFC 9110 has it for that).
    pub fn has(&self, tag: &HeaderValue) -> bool {
        let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let tag = bare(tag.to_str().unwrap_or_default());
        let given =
            self.headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        // A tag of ours holds no comma, and one of others is none of ours.
        let mut given = given.flat_map(|value| value.split(','));
        self.only_looks && given.any(|one| one.trim() == "*" || bare(one) == tag)
    }

    /// The revision that `If-Match` asks for; `*` and no header ask for none. What stands behind it in the tag of
    /// something that was looked at does not matter: a change of status is no edit.
    ///
    /// # Errors
    /// 422 where it is no tag at all, as this server gives them.
    pub fn expected_revision(&self) -> Result<Option<u64>, Problem> {
        let Some(value) = self.headers.get(header::IF_MATCH) else { return Ok(None) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(None);
        }
        let tag = text.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let revision = tag.and_then(|tag| tag.split('-').next()?.parse().ok());
        revision.map(Some).ok_or_else(|| {
            Problem::invalid(vec![FieldError {
                place: Place::Parameter("If-Match".to_owned()),
                code: "no_tag".to_owned(),
                message: "`If-Match` is no tag that this server gave".to_owned(),
                suggestion: Some("send the `ETag` of the last answer, or `*`".to_owned()),
            }])
        })
    }

    /// `Link` to the page after this one: the same query with another cursor.
    pub(super) fn link_to_next(&self, cursor: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let given = url::form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        query.extend_pairs(given.filter(|(name, _)| name != "after"));
        query.append_pair("after", cursor);
        format!("<{}?{}>; rel=\"next\"", self.uri.path(), query.finish())
    }
}
