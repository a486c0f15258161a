//! Which server is asked, and with which token: flags before the environment, the environment before profiles.
//!
//! A token that a profile keeps goes to that profile's server and to no other: `--server` beside a profile's token would
//! hand it to whoever is named there.

use std::net::IpAddr;

use quaywatch_core::Secret;
use url::{Host, Url};

use super::profiles::Profiles;
use crate::arguments::Remote;

/// A server and a token for it.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) server: Url,
    pub(crate) token: Secret<String>,
    /// The profile that the server comes from.
    pub(crate) profile: Option<String>,
}

/// Whether anything names a server.
pub(crate) fn is_named(
    remote: &Remote,
    environment: &dyn Fn(&str) -> Option<String>,
    profiles: &Profiles,
) -> bool {
    let is_set = |name| environment(name).is_some_and(|value| !value.is_empty());
    remote.server.is_some()
        || remote.profile.is_some()
        || is_set(SERVER)
        || is_set(PROFILE)
        || profiles.default.is_some()
}

const SERVER: &str = "QUAYWATCH_SERVER";
const TOKEN: &str = "QUAYWATCH_TOKEN";
const PROFILE: &str = "QUAYWATCH_PROFILE";

/// The server that is meant.
///
/// # Errors
/// A sentence that says what is missing and how to give it.
pub(crate) fn choose(
    remote: &Remote,
    environment: &dyn Fn(&str) -> Option<String>,
    profiles: &Profiles,
) -> Result<Chosen, String> {
    let of = |name| environment(name).filter(|value| !value.is_empty());
    let named = match (&remote.server, &remote.profile) {
        (Some(server), _) => Named::Server(server.clone()),
        (None, Some(profile)) => Named::Profile(profile.clone()),
        (None, None) => match (of(SERVER), of(PROFILE).or_else(|| profiles.default.clone())) {
            (Some(server), _) => Named::Server(server),
            (None, Some(profile)) => Named::Profile(profile),
            (None, None) => return Err(NO_SERVER.to_owned()),
        },
    };
    let (server, profile) = match named {
        Named::Server(text) => (parse(&text)?, None),
        Named::Profile(name) => (profiles.find(&name)?.server.clone(), Some(name)),
    };
    let kept = || match &profile {
        Some(name) => profiles.list.get(name),
        None => profiles.list.values().find(|profile| profile.server == server),
    };
    // A profile that is named by a flag is a flag: what the environment says is for other times.
    let said = match (&remote.token, &remote.profile) {
        (Some(token), _) => Some(token.clone()),
        (None, Some(_)) => None,
        (None, None) => of(TOKEN),
    };
    let token =
        said.map(|token| Secret::new(token.trim().to_owned())).or_else(|| Some(kept()?.token.clone()));
    match token {
        Some(token) => Ok(Chosen { server, token, profile }),
        None => Err(format!("there is no token for {}: {NO_TOKEN}", address(&server))),
    }
}

enum Named {
    Server(String),
    Profile(String),
}

const NO_SERVER: &str = "no server is named: use --server URL or QUAYWATCH_SERVER, or remember one by \
                         `quaywatch profile add NAME --server URL`";
const NO_TOKEN: &str = "set QUAYWATCH_TOKEN, or keep one by `quaywatch profile add NAME --server URL`; \
                        `quaywatch token create --name NAME --scope SCOPE` makes one on the server's own host";

/// A server's address as people write it.
///
/// # Errors
/// A sentence that says how to write it.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let wrong = |what: &str| {
        let shown = quaywatch_core::doc::quote(text);
        Err(format!("{shown} is no server's address: {what}, as in https://watch.example.com"))
    };
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return wrong("begin it with https:// or http://");
    }
    let Ok(mut url) = Url::parse(text) else { return wrong("write scheme, host and port") };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address holds no user name and no password: a token says who you are".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("leave out what follows the path");
    }
    // Copied from somewhere in the documents.
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/api/v1").or_else(|| path.strip_suffix("/api")).unwrap_or(path);
    let path = format!("{}/", path.trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// A server's address as people read it.
pub(crate) fn address(server: &Url) -> String {
    server.as_str().trim_end_matches('/').to_owned()
}

/// Whether what is sent can be read on the way.
pub(crate) fn is_clear_and_far(server: &Url) -> bool {
    let is_near = match server.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    };
    server.scheme() == "http" && !is_near
}

#[cfg(test)]
mod tests {
    use super::super::Profile;
    use super::*;

    fn profiles() -> Profiles {
        let profile = |server: &str, token: &str| Profile {
            server: parse(server).expect("an address"),
            token: Secret::new(token.to_owned()),
        };
        let list = [
            ("home".to_owned(), profile("http://127.0.0.1:8080", "qw_home")),
            ("work".to_owned(), profile("https://watch.example.com", "qw_work")),
        ];
        Profiles { default: Some("home".to_owned()), list: list.into(), ..Profiles::default() }
    }

    fn chosen(remote: &Remote, variables: &[(&str, &str)]) -> (String, String) {
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        match choose(remote, &environment, &profiles()) {
            Ok(chosen) => (address(&chosen.server), chosen.token.reveal().clone()),
            Err(error) => (error, String::new()),
        }
    }

    fn pair(server: &str, token: &str) -> (String, String) {
        (server.to_owned(), token.to_owned())
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_profiles() {
        let flags = |server: Option<&str>, token: Option<&str>, profile: Option<&str>| Remote {
            server: server.map(str::to_owned),
            token: token.map(str::to_owned),
            profile: profile.map(str::to_owned),
        };
        let nothing = flags(None, None, None);
        let both = [(SERVER, "https://env.example.com"), (TOKEN, "qw_env")];
        assert_eq!(chosen(&nothing, &[]), pair("http://127.0.0.1:8080", "qw_home"));
        assert_eq!(chosen(&nothing, &[(PROFILE, "work")]), pair("https://watch.example.com", "qw_work"));
        assert_eq!(chosen(&nothing, &both), pair("https://env.example.com", "qw_env"));
        assert_eq!(chosen(&nothing, &[(TOKEN, "qw_env")]), pair("http://127.0.0.1:8080", "qw_env"));
        let work = flags(None, None, Some("work"));
        assert_eq!(chosen(&work, &both), pair("https://watch.example.com", "qw_work"));
        let all = flags(Some("https://flag.example.com"), Some("qw_flag"), None);
        assert_eq!(chosen(&all, &both), pair("https://flag.example.com", "qw_flag"));
    }

    #[test]
    fn a_profiles_token_goes_to_no_other_server() {
        let to = |server: &str| Remote { server: Some(server.to_owned()), ..Remote::default() };
        assert_eq!(
            chosen(&to("https://watch.example.com/"), &[]),
            pair("https://watch.example.com", "qw_work"),
            "the server of a profile, written out"
        );
        for other in
            ["https://other.example.com", "http://watch.example.com", "https://watch.example.com:8443"]
        {
            let (error, token) = chosen(&to(other), &[]);
            assert_eq!((error.contains("there is no token for"), token.as_str()), (true, ""), "{other}");
        }
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, read) in [
            ("https://watch.example.com/api/v1/", "https://watch.example.com"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://example.com/watch/", "https://example.com/watch"),
        ] {
            assert_eq!(parse(text).map(|url| address(&url)).as_deref(), Ok(read));
        }
        for wrong in ["watch.example.com", "ftp://x", "https://", "https://me:pw@x", "https://x/?a=b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let far = |text| is_clear_and_far(&parse(text).expect("an address"));
        assert!(far("http://192.0.2.1") && far("http://watch.example.com"));
        assert!(!far("http://127.0.0.1:8080") && !far("http://[::1]") && !far("https://watch.example.com"));
    }
}
