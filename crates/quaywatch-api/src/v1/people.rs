//! `/members` and `/invitations`: who belongs to the account.

use quaywatch_app::identity::invitations::{Acceptance, Into as InvitedInto, NewInvitation};
use quaywatch_core::access::{Level, Resource};
use quaywatch_core::{Secret, UserId};
use quaywatch_web::Credential;
use quaywatch_web::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::Open;
use super::session::{Begun, origin};
use crate::framework::{
    Call, Created, Done, Json, Listed, Needs, Public, Routes, Shown, SignedIn, Tag, docs,
};
use crate::wire::ids::Id;
use crate::wire::people::{
    AcceptRequest, Invitation, Member, MemberPatch, NewInvitationRequest, Offer, OfferRequest,
    ShownInvitation,
};

const MANAGE: Needs = Needs(Resource::People, Level::Administer);

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::People);
    routes.get(
        "/members",
        Needs(Resource::People, Level::Look),
        list,
        docs("members_list", "List who belongs to the account"),
    );
    routes.patch(
        "/members/{id}",
        MANAGE,
        update,
        docs("members_update", "Make somebody something else")
            .about("Nobody makes anybody more than they are; the last owner stays one.")
            .example(json!({ "role": "editor" })),
    );
    routes.delete(
        "/members/{id}",
        // Everybody may take themselves out, so the operation alone can tell.
        SignedIn,
        remove,
        docs("members_remove", "Take somebody out of the account").about(
            "Their sessions here end and the tokens that they made are revoked. Everybody may leave; taking out others \
             needs the role admin, and as much as they are.",
        ),
    );
    routes.get("/invitations", MANAGE, invited, docs("invitations_list", "List invitations that wait"));
    routes.post(
        "/invitations",
        MANAGE,
        invite,
        docs("invitations_create", "Invite somebody")
            .about("The link is shown once; nothing is sent.")
            .example(json!({ "email": "ada@example.com", "role": "editor" }))
            .never_replayed(),
    );
    routes.delete(
        "/invitations/{id}",
        MANAGE,
        take_back,
        docs("invitations_revoke", "Take back an invitation"),
    );
    routes.post(
        "/invitations/read",
        Public,
        read,
        docs("invitations_read", "Show what an invitation offers").answers(&[401, 404]).never_replayed(),
    );
    routes.post(
        "/invitations/accept",
        Public,
        accept,
        docs("invitations_accept", "Accept an invitation and sign in")
            .about("Whoever is signed in as the person that was invited needs the secret alone; `proof` of the offer says what others do.")
            .answers(&[401, 404])
            .never_replayed(),
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
struct One {
    id: Id<UserId>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct OneInvitation {
    #[schemars(range(min = 1), extend("examples" = [1]))]
    id: i64,
}

async fn list(call: Call) -> Result<Listed<Member>, Problem> {
    let members = call.api.identity.list_members(&call.caller).await?;
    Ok(Listed::whole(members))
}

async fn update(call: Call<One, (), Json<MemberPatch>>) -> Result<Shown<Member>, Problem> {
    let role = call.body.0.role.into();
    Ok(Shown(call.api.identity.change_role(&call.caller, call.path.id.0, role).await?.into()))
}

async fn remove(call: Call<One>) -> Result<Done, Problem> {
    call.api.identity.remove_member(&call.caller, call.path.id.0).await?;
    Ok(Done)
}

async fn invited(call: Call) -> Result<Listed<Invitation>, Problem> {
    let waiting = call.api.identity.list_invitations(&call.caller).await?;
    Ok(Listed::whole(waiting))
}

async fn invite(call: Call<(), (), Json<NewInvitationRequest>>) -> Result<Created<ShownInvitation>, Problem> {
    let Json(asked) = call.body;
    let into = asked.role.map_or(InvitedInto::OwnAccount, |role| InvitedInto::Account(role.into()));
    let new = NewInvitation { email: asked.email, into };
    let value = ShownInvitation::from(call.api.identity.invite(&call.caller, new).await?);
    Ok(Created { location: format!("/invitations/{}", value.about.id), revision: None, value })
}

async fn take_back(call: Call<OneInvitation>) -> Result<Done, Problem> {
    call.api.identity.revoke_invitation(&call.caller, call.path.id).await?;
    Ok(Done)
}

async fn read(call: Open<Json<OfferRequest>>) -> Result<Shown<Offer>, Problem> {
    let (identity, origin) = (&call.api.identity, origin(&call.head));
    let offer = identity.read_offer(&call.body.0.secret, call.caller.as_ref(), &origin).await?;
    Ok(Shown(offer.into()))
}

async fn accept(call: Open<Json<AcceptRequest>>) -> Result<Begun, Problem> {
    let Json(asked) = call.body;
    let acceptance = Acceptance {
        secret: asked.secret,
        name: asked.name,
        password: asked.password.map(Secret::new),
        code: asked.code,
        account_name: asked.account_name,
    };
    let (identity, origin) = (&call.api.identity, origin(&call.head));
    let session = identity.accept_invitation(acceptance, call.caller.as_ref(), &origin).await?;
    if let Some(Credential::Session(old)) = &call.head.credential {
        // Its cookie is replaced: nobody holds it any more.
        identity.sign_out(old.reveal(), &origin).await?;
    }
    Ok(Begun::of(&session, &call.api))
}
