//! `/tokens`: what programs sign in with.

use quaywatch_app::identity::tokens::NewToken;
use quaywatch_core::TokenId;
use quaywatch_core::access::{Level, Resource, Scope};
use quaywatch_web::problem::{FieldError, Place, Problem};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::framework::{Call, Created, Done, Json, Listed, Needs, Routes, Tag, docs};
use crate::wire::ids::Id;
use crate::wire::tokens::{NewTokenRequest, ShownToken, Token};

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Tokens);
    let manage = Needs(Resource::Tokens, Level::Administer);
    routes.get(
        "/tokens",
        manage,
        list,
        docs("tokens_list", "List tokens").about("The newest first, those that ended included."),
    );
    routes.post(
        "/tokens",
        manage,
        create,
        docs("tokens_create", "Make a token")
            .about("It is shown once. Nobody gives a token more than they have.")
            .example(json!({ "name": "ci", "scopes": ["monitors:write"] }))
            .never_replayed(),
    );
    routes.delete("/tokens/{id}", manage, revoke, docs("tokens_revoke", "End a token at once"));
}

#[derive(Debug, Deserialize, JsonSchema)]
struct One {
    id: Id<TokenId>,
}

async fn list(call: Call) -> Result<Listed<Token>, Problem> {
    let tokens = call.api.identity.list_tokens(&call.caller).await?;
    Ok(Listed::whole(tokens))
}

async fn create(call: Call<(), (), Json<NewTokenRequest>>) -> Result<Created<ShownToken>, Problem> {
    let Json(asked) = call.body;
    let new = NewToken {
        name: asked.name,
        scopes: scopes(&asked.scopes)?,
        expires_at: asked.expires_at.map(|at| at.0),
    };
    let value = ShownToken::from(call.api.identity.create_token(&call.caller, new).await?);
    Ok(Created { location: format!("/tokens/{}", value.about.id.0), revision: None, value })
}

fn scopes(words: &[String]) -> Result<Vec<Scope>, Problem> {
    let (mut scopes, mut errors) = (Vec::new(), Vec::new());
    for (i, word) in words.iter().enumerate() {
        match word.parse() {
            Ok(scope) => scopes.push(scope),
            Err(error) => errors.push(FieldError {
                place: Place::Pointer(format!("/scopes/{i}")),
                code: "unknown_scope".to_owned(),
                message: quaywatch_core::access::AccessError::to_string(&error),
                suggestion: None,
            }),
        }
    }
    if errors.is_empty() { Ok(scopes) } else { Err(Problem::invalid(errors)) }
}

async fn revoke(call: Call<One>) -> Result<Done, Problem> {
    call.api.identity.revoke_token(&call.caller, call.path.id.0).await?;
    Ok(Done)
}
