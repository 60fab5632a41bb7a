use serde_json::{Value, json};

use super::*;

const NOW: Millis = 1_800_000_000_000;

fn key(id: &str, retired_at: Option<Millis>) -> SigningKey {
    SigningKey { id: id.to_owned(), secret: new_secret(), retired_at }
}

fn ring(keys: &[SigningKey]) -> Keyring {
    Keyring::new(keys).unwrap_or_else(|error| panic!("{error}"))
}

fn claims(exp: i64) -> Claims {
    Claims {
        project: ProjectId::generate(),
        kind: Kind::Visitor,
        subject: Uuid::now_v7(),
        session: SessionId::generate(),
        name: None,
        role: None,
        sub_external: None,
        email: None,
        iat: NOW / 1_000,
        exp,
        jti: Uuid::now_v7(),
        heard: 0,
        key: Arc::default(),
    }
}

fn minted(ring: &Keyring, claims: &Claims) -> String {
    ring.mint(claims).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_was_signed_reads_back_until_it_runs_out() {
    let ring = ring(&[key("a", None)]);
    let claims = claims(NOW / 1_000 + 900);
    let token = minted(&ring, &claims);
    assert_eq!(ring.verify(&token, NOW), Ok(Claims { key: "a".into(), ..claims }));
    assert_eq!(ring.verify(&token, NOW + 899_999).map(|claims| claims.kind), Ok(Kind::Visitor));
    assert_eq!(ring.verify(&token, NOW + 900_000), Err(TokenError::Expired));
}

#[test]
fn who_stole_a_retired_key_signs_nothing_new_with_it() {
    let (old, new) = (key("old", None), key("new", None));
    let thief = ring(std::slice::from_ref(&old));
    let ring = ring(&[SigningKey { retired_at: Some(NOW), ..old }, new]);
    let later = NOW / 1_000 + 60;
    let forged = minted(&thief, &Claims { iat: later, ..claims(later + 900) });
    assert_eq!(ring.verify(&forged, NOW + 61_000), Err(TokenError::BadSignature));
}

#[test]
fn a_retired_key_verifies_and_signs_no_more() {
    let (old, new) = (key("old", None), key("new", None));
    let ring = ring(std::slice::from_ref(&old));
    let token = minted(&ring, &claims(NOW / 1_000 + 900));
    ring.reload(&[SigningKey { retired_at: Some(NOW), ..old }, new]).unwrap_or_else(|error| panic!("{error}"));
    assert!(ring.verify(&token, NOW + 1_000).is_ok());
    assert!(ring.verify(&token, NOW + SESSION_TTL_MS + 1).is_err(), "not for ever");
    let fresh = minted(&ring, &claims(NOW / 1_000 + 900));
    assert_eq!(header(&fresh).ok().and_then(|header| header.kid).as_deref(), Some("new"));
}

#[test]
fn short_keys_and_no_keys_refuse_to_start() {
    let short = SigningKey { id: "s".to_owned(), secret: BASE64_URL_SAFE_NO_PAD.encode("secret"), retired_at: None };
    assert!(matches!(Keyring::new(&[short]), Err(KeyError::Short(_))));
    assert!(matches!(Keyring::new(&[key("r", Some(NOW))]), Err(KeyError::None)));
}

#[test]
fn forged_tokens_are_refused() {
    let mine = ring(&[key("a", None)]);
    let theirs = ring(&[key("a", None)]);
    let claims = claims(NOW / 1_000 + 900);
    let token = minted(&mine, &claims);
    assert_eq!(theirs.verify(&token, NOW), Err(TokenError::BadSignature));
    let parts: Vec<&str> = token.split('.').collect();
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none","kid":"a"}"#);
    for forged in [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], BASE64_URL_SAFE_NO_PAD.encode("{}"), parts[2]),
        String::new(),
        "a.b.c".to_owned(),
        "x".repeat(100_000),
    ] {
        assert!(mine.verify(&forged, NOW).is_err(), "{forged:.80}");
    }
}

const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWTFfCGljY6aw3Hrt\n\
    kHmPRiazukxPLb6ilpRAewjW8nihRANCAATDskChT+Altkm9X7MI69T3IUmrQU0L\n\
    950IxEzvw/x5BMEINRMrXLBJhqzO9Bm+d6JbqA21YQmd1Kt4RzLJR1W+\n\
    -----END PRIVATE KEY-----";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEw7JAoU/gJbZJvV+zCOvU9yFJq0FN\n\
    C/edCMRM78P8eQTBCDUTK1ywSYaszvQZvneiW6gNtWEJndSreEcyyUdVvg==\n\
    -----END PUBLIC KEY-----";

fn vouch(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, key).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_site_vouches_with_its_secret_or_its_key() {
    let secret = new_secret();
    let keys = IdentityKeys { secret: Some(&secret), public_key: Some(PUBLIC) };
    let claims = json!({"sub": "ada", "name": "Ada", "exp": NOW / 1_000 + 60});
    let private = EncodingKey::from_ec_pem(PRIVATE.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    for token in [
        vouch(Algorithm::HS256, &EncodingKey::from_secret(secret.as_bytes()), &claims),
        vouch(Algorithm::ES256, &private, &claims),
    ] {
        let identity = verify_identity(keys, &token, NOW);
        assert_eq!(identity.map(|identity| (identity.subject, identity.name)), Ok(("ada".into(), Some("Ada".into()))));
        assert_eq!(verify_identity(keys, &token, NOW + 60_000), Err(TokenError::Expired));
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let claims = json!({"sub": "ada", "exp": NOW / 1_000 + 60});
    let swapped = vouch(Algorithm::HS256, &EncodingKey::from_secret(PUBLIC.as_bytes()), &claims);
    let only_public = IdentityKeys { secret: None, public_key: Some(PUBLIC) };
    assert_eq!(verify_identity(only_public, &swapped, NOW), Err(TokenError::NoKey));
    let both = IdentityKeys { secret: Some("another secret"), public_key: Some(PUBLIC) };
    assert_eq!(verify_identity(both, &swapped, NOW), Err(TokenError::BadSignature));
}

#[test]
fn a_site_may_not_leave_out_the_end_or_put_it_far_off() {
    let secret = new_secret();
    let keys = IdentityKeys { secret: Some(&secret), public_key: None };
    let sign = |claims: &Value| vouch(Algorithm::HS256, &EncodingKey::from_secret(secret.as_bytes()), claims);
    assert_eq!(verify_identity(keys, &sign(&json!({"sub": "ada"})), NOW), Err(TokenError::Malformed));
    let far = sign(&json!({"sub": "ada", "exp": NOW / 1_000 + 90_000}));
    assert_eq!(verify_identity(keys, &far, NOW), Err(TokenError::TooLong));
    assert_eq!(verify_identity(keys, &sign(&json!({"exp": NOW / 1_000 + 60})), NOW), Err(TokenError::Malformed));
    let other = vouch(Algorithm::HS512, &EncodingKey::from_secret(secret.as_bytes()), &json!({"sub": "a", "exp": 1}));
    assert_eq!(verify_identity(keys, &other, NOW), Err(TokenError::BadSignature));
}
