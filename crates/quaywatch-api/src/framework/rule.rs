//! Who may use a route. There is no route without a rule: it is an argument of its registration, and what it lets in is
//! a type, so that a handler of a public route cannot count on a caller.

use axum::http::StatusCode;
use quaywatch_app::caller::Caller;
use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_web::Identified;
use quaywatch_web::problem::Problem;
use serde_json::{Value, json};

/// Lets somebody in, or not.
pub trait Rule: Copy + Send + Sync + 'static {
    /// Whom a handler may count on.
    type Who: Send + 'static;

    /// Lets in, or says why not.
    ///
    /// # Errors
    /// 401 where nobody is recognised, 403 where somebody is who may not.
    fn admit(self, identified: &Identified) -> Result<Self::Who, Problem>;

    /// As the document says it.
    fn describe(self) -> Value;

    /// Whether it can refuse.
    fn is_open(self) -> bool {
        false
    }
}

/// A role or a scope is needed.
#[derive(Debug, Clone, Copy)]
pub struct Needs(pub Resource, pub Level);

/// Anybody who is recognised: what is done is about themselves.
#[derive(Debug, Clone, Copy)]
pub struct SignedIn;

/// Everybody, known or not.
#[derive(Debug, Clone, Copy)]
pub struct Public;

impl Rule for Needs {
    type Who = Caller;

    fn admit(self, identified: &Identified) -> Result<Caller, Problem> {
        let caller = SignedIn.admit(identified)?;
        let policy = Policy::new(self.0, self.1);
        // The operation asks again: this is for the answer to come before anything is read.
        if caller.access.allows(policy) { Ok(caller) } else { Err(Problem::denied(policy)) }
    }

    fn describe(self) -> Value {
        json!({ "resource": self.0.word(), "level": self.1.word() })
    }
}

impl Rule for SignedIn {
    type Who = Caller;

    fn admit(self, identified: &Identified) -> Result<Caller, Problem> {
        match identified {
            Identified::Caller(caller, _) => Ok(caller.as_ref().clone()),
            Identified::Refused(problem) => Err(problem.as_ref().clone()),
            Identified::Nobody => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "sign in, or send a token: `Authorization: Bearer …`",
            )),
        }
    }

    fn describe(self) -> Value {
        json!("signed_in")
    }
}

impl Rule for Public {
    type Who = Option<Caller>;

    fn admit(self, identified: &Identified) -> Result<Option<Caller>, Problem> {
        Ok(identified.caller().cloned())
    }

    fn describe(self) -> Value {
        json!("public")
    }

    fn is_open(self) -> bool {
        true
    }
}
