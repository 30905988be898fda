//! GitHub Apps: from a signed JSON web token to the runners.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use monitor_fakes::github::{APP_PRIVATE_KEY_PEM, APP_PUBLIC_KEY_DER};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::client::{NOON_MS, World, header, parts, send};

const NOON_SECS: i64 = NOON_MS / 1000;

fn key() -> RsaKeyPair {
    let base64: String = APP_PRIVATE_KEY_PEM.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(base64).expect("base64");
    RsaKeyPair::from_der(&der).expect("a PKCS#1 key")
}

fn sign(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let key = key();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn jwt(claims: &Value) -> String {
    sign(&json!({"alg": "RS256", "typ": "JWT"}), claims)
}

fn good_jwt() -> String {
    jwt(&json!({"iss": "7", "iat": NOON_SECS - 60, "exp": NOON_SECS + 540}))
}

async fn world() -> (World, u64) {
    let world = World::start().await;
    let installation = {
        let mut state = world.github.state();
        state.add_target("other/site");
        state.add_app(7, APP_PUBLIC_KEY_DER);
        state.install_app(7, "Acme")
    };
    (world, installation)
}

async fn create_token(world: &World, jwt: &str, installation: u64) -> (u16, Value) {
    let url = format!("{}/app/installations/{installation}/access_tokens", world.github.base_url());
    let (status, body) = parts(world.client.post(url).bearer_auth(jwt)).await;
    (status.as_u16(), body)
}

#[test]
fn the_two_halves_of_the_key_belong_together() {
    assert_eq!(key().public().as_ref(), APP_PUBLIC_KEY_DER);
}

#[tokio::test]
async fn an_installation_is_found_and_its_token_gives_access_to_its_account_only_for_an_hour() {
    let (world, installation) = world().await;
    world.add_runners("acme/web", 2);
    for path in ["/repos/acme/web/installation", "/orgs/acme/installation"] {
        let (status, body) = parts(world.get_as(&good_jwt(), path)).await;
        assert_eq!((status.as_u16(), &body["id"]), (200, &installation.into()), "{path}");
        assert_eq!(body["account"]["login"], "Acme");
    }
    for path in ["/repos/other/site/installation", "/users/acme/installation"] {
        assert_eq!(send(world.get_as(&good_jwt(), path)).await.status(), 404, "{path}");
    }

    let (status, body) = create_token(&world, &good_jwt(), installation).await;
    assert_eq!((status, &body["expires_at"]), (201, &"2026-11-23T13:00:00Z".into()));
    let token = body["token"].as_str().expect("a token").to_owned();
    for (path, status) in [
        ("/repos/acme/web/actions/runners", 200),
        ("/orgs/acme/actions/runners", 200),
        ("/repos/other/site/actions/runners", 404),
        ("/orgs/other/actions/runners", 403),
        ("/enterprises/big/actions/runners", 403),
    ] {
        assert_eq!(send(world.get_as(&token, path)).await.status(), status, "{path}");
    }
    let of_others = parts(world.get_as(&token, "/orgs/other/repos")).await;
    assert_eq!(of_others.1, json!([]));
    let answer = send(world.get_as(&token, "/orgs/acme/actions/runners")).await;
    assert_eq!(header(&answer, "github-authentication-token-expiration"), "");

    world.advance_ms(3_600_000);
    let late = send(world.get_as(&token, "/orgs/acme/actions/runners")).await;
    assert_eq!(late.status(), 401);
}

#[tokio::test]
async fn tokens_differ_and_are_revoked_with_the_installation() {
    let (world, installation) = world().await;
    let (_, first) = create_token(&world, &good_jwt(), installation).await;
    let (_, second) = create_token(&world, &good_jwt(), installation).await;
    assert_ne!(first["token"], second["token"]);
    let token = first["token"].as_str().expect("a token").to_owned();
    world.github.state().uninstall_app(installation);
    let refused = send(world.get_as(&token, "/orgs/acme/actions/runners")).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(create_token(&world, &good_jwt(), installation).await.0, 404);
}

#[tokio::test]
async fn a_bad_json_web_token_is_refused_with_githubs_message() {
    let (world, installation) = world().await;
    let times = |iat: i64, exp: i64| jwt(&json!({"iss": 7, "iat": NOON_SECS + iat, "exp": NOON_SECS + exp}));
    let good = good_jwt();
    let claims = json!({"iss": 7, "iat": NOON_SECS, "exp": NOON_SECS + 60});
    let forged = {
        let other = times(-60, 500);
        let (head, _) = other.rsplit_once('.').expect("three parts");
        let (_, signature) = good.rsplit_once('.').expect("three parts");
        format!("{head}.{signature}")
    };
    for (jwt, status, message) in [
        ("test-token".to_owned(), 401, "A JSON web token could not be decoded"),
        (format!("{good}.more"), 401, "A JSON web token could not be decoded"),
        (forged, 401, "A JSON web token could not be decoded"),
        (sign(&json!({"alg": "HS256"}), &claims), 401, "A JSON web token could not be decoded"),
        (times(-60, 601), 401, "'Expiration time' claim ('exp') is too far in the future"),
        (times(-60, 0), 401, "'Expiration time' claim ('exp') must be"),
        (times(1, 500), 401, "'Issued at' claim ('iat') must be an Integer"),
        (jwt(&json!({"iss": 8, "iat": NOON_SECS, "exp": NOON_SECS + 60})), 404, "Integration not found"),
    ] {
        let (answered, body) = create_token(&world, &jwt, installation).await;
        let said = body["message"].as_str().unwrap_or_default();
        assert_eq!(answered, status, "{said}");
        assert!(said.starts_with(message), "{said:?} instead of {message:?}");
    }
    assert_eq!(create_token(&world, &times(0, 600), installation).await.0, 201);
}
