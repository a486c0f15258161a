//! `server.sessions:` and `server.oidc:` how long people stay signed in, and who else may say who they are.

use std::time::Duration;

use quaywatch_core::Secret;
use quaywatch_core::access::Role;
use quaywatch_core::doc::{Node, Path, Problems, pairs, quote};
use quaywatch_core::spec::values::At;

use super::secrets::Sources;
use super::server::secret;
use super::settings::{OIDC, SESSIONS, section};

const DAY: Duration = Duration::from_secs(86_400);

/// How people sign in.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// A session that is not used for this long has ended.
    pub idle: Duration,
    /// A session ends after this, however much it is used.
    pub absolute: Duration,
    /// Who else may say who somebody is.
    pub providers: Vec<Provider>,
}

/// A provider of OpenID Connect.
#[derive(Debug, Clone)]
pub struct Provider {
    /// What people see on the button, and what the way back is called.
    pub name: String,
    /// Exactly as it stands in its discovery document.
    pub issuer: String,
    /// What the provider calls this server.
    pub client_id: String,
    /// The secret that it was given.
    pub client_secret: Option<Secret<String>>,
    /// What people become who are not here yet; `None`: they are refused.
    pub new_members: Option<Role>,
    /// Only verified addresses of these domains; empty: of all.
    pub domains: Vec<String>,
}

impl Default for SignIn {
    fn default() -> Self {
        Self { idle: 14 * DAY, absolute: 90 * DAY, providers: Vec::new() }
    }
}

impl SignIn {
    /// Reads `sessions:`.
    pub(super) fn sessions(&mut self, at: &At<'_, '_>, problems: &mut Problems) {
        let range = Duration::from_secs(300)..=3_660 * DAY;
        section(at.node, &at.path, SESSIONS, problems, &mut |name, at, p| match name {
            "idle" => self.idle = at.duration(p, &range).unwrap_or(self.idle),
            "absolute" => self.absolute = at.duration(p, &range).unwrap_or(self.absolute),
            other => unreachable!("`{other}` is in the table but nobody reads it"),
        });
    }

    /// Reads `oidc:`, one mapping a provider under its name.
    pub(super) fn oidc(&mut self, at: &At<'_, '_>, sources: &Sources<'_>, problems: &mut Problems) {
        const FORM: &str =
            "write `oidc: {company: {issuer: https://…, client_id: quaywatch, client_secret: ${NAME}}}`";
        if at.node.is_blank() {
            return;
        }
        for (key, node) in pairs(at.node, &at.path, FORM, problems).unwrap_or_default() {
            let path = at.path.key(&key.text);
            let fits = !key.text.is_empty()
                && key.text.len() <= 32
                && key.text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
            if !fits {
                let message = format!("{} cannot be the name of a provider", quote(&key.text));
                let remedy =
                    "it stands in an address: use up to 32 small letters, digits and `-`, such as `company`";
                problems.error(&path, key.span, "bad_name", message, remedy);
            }
            if let Some(provider) = provider(&key.text, node, &path, sources, problems) {
                self.providers.push(provider);
            }
        }
    }
}

fn provider(
    name: &str,
    node: &Node<'_>,
    path: &Path<'_>,
    sources: &Sources<'_>,
    problems: &mut Problems,
) -> Option<Provider> {
    let (mut issuer, mut client_id) = (None, None);
    let mut provider = Provider {
        name: name.to_owned(),
        issuer: String::new(),
        client_id: String::new(),
        client_secret: None,
        new_members: None,
        domains: Vec::new(),
    };
    section(node, path, OIDC, problems, &mut |name, at, p| match name {
        "issuer" => issuer = issuer_url(at, p),
        "client_id" => client_id = at.line(p, 500),
        "client_secret" => provider.client_secret = secret(at, sources, p).map(Secret::new),
        "new_members" => {
            provider.new_members = at.word(
                p,
                &[
                    ("viewer", Role::Viewer),
                    ("responder", Role::Responder),
                    ("editor", Role::Editor),
                    ("admin", Role::Admin),
                ],
            );
        }
        "domains" => {
            let domains = at.names(p, "[example.com]", 100).unwrap_or_default();
            provider.domains = domains.into_iter().map(|(domain, _)| domain.to_lowercase()).collect();
        }
        other => unreachable!("`{other}` is in the table but nobody reads it"),
    });
    for (name, given) in [("issuer", node.get("issuer")), ("client_id", node.get("client_id"))] {
        if given.is_none_or(Node::is_null) {
            let message = format!("`{name}` is missing");
            problems.error(
                path,
                node.span,
                "missing",
                message,
                "the provider shows it where this server is registered",
            );
        }
    }
    Some(Provider { issuer: issuer?, client_id: client_id?, ..provider })
}

fn issuer_url(at: &At<'_, '_>, problems: &mut Problems) -> Option<String> {
    let text = at.line(problems, 1_000)?;
    let local = |url: &url::Url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let fits = |url: &url::Url| {
        (url.scheme() == "https" || (url.scheme() == "http" && local(url)))
            && url.query().is_none()
            && url.fragment().is_none()
    };
    if url::Url::parse(&text).as_ref().is_ok_and(fits) {
        return Some(text);
    }
    let message = format!("`issuer` is {}, which cannot be one", quote(&text));
    at.error(
        problems,
        "bad_url",
        message,
        "write it exactly as in the provider's `/.well-known/openid-configuration`, such as `https://id.example.com`",
    );
    None
}
