//! `/profile/passkeys` and `/session/passkey`: signing in without a password.

use quaywatch_web::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Open;
use super::session::{Begun, origin};
use crate::framework::{Call, Created, Done, Json, Listed, Public, Routes, Shown, SignedIn, Tag, docs};
use crate::wire::passkeys::{Challenge, NewPasskey, Passkey, PasskeySignIn};

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Session);
    routes.get("/profile/passkeys", SignedIn, list, docs("passkeys_list", "List your passkeys"));
    routes.post(
        "/profile/passkeys/begin",
        SignedIn,
        begin,
        docs("passkeys_begin", "Begin to add a passkey").never_replayed(),
    );
    routes.post(
        "/profile/passkeys",
        SignedIn,
        add,
        docs("passkeys_create", "Add a passkey with the browser's answer").answers(&[401]).never_replayed(),
    );
    routes.delete("/profile/passkeys/{id}", SignedIn, remove, docs("passkeys_delete", "Remove a passkey"));
    routes.post(
        "/session/passkey/begin",
        Public,
        begin_sign_in,
        docs("session_passkey_begin", "Begin to sign in with a passkey").never_replayed(),
    );
    routes.post(
        "/session/passkey",
        Public,
        sign_in,
        docs("session_passkey", "Sign in with the browser's answer").answers(&[401]).never_replayed(),
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
struct One {
    #[schemars(range(min = 1), extend("examples" = [1]))]
    id: i64,
}

async fn list(call: Call) -> Result<Listed<Passkey>, Problem> {
    let passkeys = call.api.identity.list_passkeys(&call.caller).await?;
    Ok(Listed::whole(passkeys))
}

async fn begin(call: Call) -> Result<Shown<Challenge>, Problem> {
    Ok(Shown(call.api.identity.begin_passkey(&call.caller).await?.into()))
}

async fn add(call: Call<(), (), Json<NewPasskey>>) -> Result<Created<Passkey>, Problem> {
    let Json(NewPasskey { ceremony, name, answer }) = call.body;
    let answer = Value::Object(answer);
    let value = Passkey::from(call.api.identity.add_passkey(&call.caller, &ceremony, &name, &answer).await?);
    Ok(Created { location: format!("/profile/passkeys/{}", value.id), revision: None, value })
}

async fn remove(call: Call<One>) -> Result<Done, Problem> {
    call.api.identity.remove_passkey(&call.caller, call.path.id).await?;
    Ok(Done)
}

async fn begin_sign_in(call: Open<()>) -> Result<Shown<Challenge>, Problem> {
    Ok(Shown(call.api.identity.begin_passkey_sign_in(&origin(&call.head)).await?.into()))
}

async fn sign_in(call: Open<Json<PasskeySignIn>>) -> Result<Begun, Problem> {
    let Json(PasskeySignIn { ceremony, answer }) = call.body;
    let origin = origin(&call.head);
    let session = call.api.identity.sign_in_with_passkey(&ceremony, &Value::Object(answer), &origin).await?;
    Ok(Begun::of(&session, &call.api))
}
