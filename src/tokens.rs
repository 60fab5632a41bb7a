//! Tokens: who somebody is, signed. Deskbell's own (session and resume tokens), and those by which a site vouches for its
//! visitors.
//!
//! Every key has one algorithm, fixed by its kind: what a token's header claims only ever selects a key, never how it is
//! used. Expiry is checked against the injected clock.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::RngCore as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    clock::Millis,
    domain::Role,
    ids::{ProjectId, SessionId},
};

/// The audience of every token that Deskbell signs.
const AUDIENCE: &str = "deskbell";
/// The shortest secret that signs: as long as what HMAC-SHA-256 gives, in bytes.
const SECRET_BYTES: usize = 32;
/// The longest token that is looked at, in characters. Ours have about 500; a site's may carry a few claims more.
const MAX_TOKEN_CHARS: usize = 4_096;
/// How long a resume token brings its visitor back: 90 days.
pub const RESUME_TTL_MS: Millis = 90 * 24 * 3_600 * 1_000;
/// How far ahead a site's `exp` may lie: a day, and a minute for clocks that differ.
const IDENTITY_AHEAD_S: i64 = 24 * 3_600 + 60;

/// How far the clocks of those who sign and those who verify may differ.
const CLOCKS_DIFFER_MS: Millis = 5 * 60_000;
/// How long after a key was retired a running server may still have signed with it: it hears of it within a second.
const RETIRED_GRACE_MS: Millis = 5_000;
/// The longest that a socket's token holds: an hour.
const SESSION_TTL_MS: Millis = 3_600 * 1_000;

/// Whether a token may bear the signature of a key that was retired at `at`: signed before that, and for a socket not
/// longer ago than such tokens hold. Who stole the key gains no more than that.
const fn was_signed_in_time(claims: &Claims, at: Millis, now: Millis) -> bool {
    let in_time = claims.iat * 1_000 <= at + RETIRED_GRACE_MS;
    in_time && (matches!(claims.kind, Kind::Resume) || now <= at + SESSION_TTL_MS)
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A visitor's socket.
    Visitor,
    /// An agent's socket.
    Agent,
    /// Being the same visitor again; opens no socket.
    Resume,
}

impl Kind {
    /// The word in log lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Agent => "agent",
            Self::Resume => "resume",
        }
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// In which project.
    pub project: ProjectId,
    /// What for.
    pub kind: Kind,
    /// The visitor's or agent's id.
    #[serde(rename = "sub")]
    pub subject: Uuid,
    /// The session it stands for.
    #[serde(rename = "sid")]
    pub session: SessionId,
    /// The subject's name, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// An agent's role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What the site calls a visitor that it vouches for.
    #[serde(default, rename = "ext", skip_serializing_if = "Option::is_none")]
    pub sub_external: Option<String>,
    /// The e-mail address that the site vouches for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// When it was signed, in seconds.
    pub iat: i64,
    /// When it runs out, in seconds.
    pub exp: i64,
    /// The token's own id.
    pub jti: Uuid,
    /// The last word of the command line that was known when it was signed: what was revoked by an earlier one, this token
    /// came after. Seconds could not tell.
    #[serde(default, rename = "ctl")]
    pub heard: i64,
    /// Which key signed it; stands in the header. Empty before it is signed.
    #[serde(skip)]
    pub key: Arc<str>,
}

impl Claims {
    /// When it runs out.
    pub const fn expires_at(&self) -> Millis {
        self.exp * 1_000
    }

    /// Whether it opens a socket and was signed by a clock that was wrong and has been set back since: it would hold for
    /// as long as that clock was ahead. A resume token only brings somebody back, and may.
    const fn is_of_the_future(&self, now: Millis) -> bool {
        !matches!(self.kind, Kind::Resume) && self.iat * 1_000 > now + CLOCKS_DIFFER_MS
    }
}

/// Why a token is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No token, or one of another kind.
    #[error("the token is malformed")]
    Malformed,
    /// Signed by another key, or with another algorithm than the key's.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// A site's token that holds for longer than a day.
    #[error("the token's `exp` lies more than 24 hours ahead")]
    TooLong,
    /// The session was ended, or its subject shut out.
    #[error("the session was revoked")]
    Revoked,
    /// Its visitor was shut out.
    #[error("this visitor was blocked")]
    Banned,
    /// The project has no key of the token's algorithm.
    #[error("the project has no key for the token's algorithm")]
    NoKey,
}

/// A key that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Too short to be secret.
    #[error("use signing key {0}: it is shorter than {SECRET_BYTES} bytes")]
    Short(String),
    /// There is none.
    #[error("find a signing key that is not retired")]
    None,
}

/// A new secret: 32 random bytes in base64url.
pub fn new_secret() -> String {
    let mut bytes = [0_u8; SECRET_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// One of Deskbell's own signing keys.
#[derive(Clone)]
pub struct SigningKey {
    /// Names it in a token's header.
    pub id: String,
    /// The secret, in base64url.
    pub secret: String,
    /// Since when it signs nothing more. What it signed before holds until it runs out.
    pub retired_at: Option<Millis>,
}

#[derive(Clone)]
struct Key {
    decoding: DecodingKey,
    retired_at: Option<Millis>,
}

#[derive(Clone)]
struct Keys {
    current: (String, EncodingKey),
    all: BTreeMap<Arc<str>, Key>,
}

/// Deskbell's signing keys: the newest signs, retired ones verify what they signed. Cheap to clone.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<ArcSwap<Keys>>,
}

impl Keyring {
    /// A ring of `keys`, oldest first; the last that is not retired signs.
    pub fn new(keys: &[SigningKey]) -> Result<Self, KeyError> {
        Ok(Self { keys: Arc::new(ArcSwap::from_pointee(Keys::new(keys)?)) })
    }

    /// Takes up keys that were added or retired.
    pub fn reload(&self, keys: &[SigningKey]) -> Result<(), KeyError> {
        self.keys.store(Arc::new(Keys::new(keys)?));
        Ok(())
    }

    /// Takes a key away: what it signed is verified no more. What signs anew is told by the next [`Keyring::reload`].
    pub fn forget(&self, id: &str) {
        self.keys.rcu(|keys| {
            let mut keys = Keys::clone(keys);
            keys.all.remove(id);
            keys
        });
    }

    /// Signs `claims`.
    pub fn mint(&self, claims: &Claims) -> Result<String, TokenError> {
        #[derive(Serialize)]
        struct Signed<'a> {
            aud: &'static str,
            #[serde(flatten)]
            claims: &'a Claims,
        }
        let keys = self.keys.load();
        let (id, key) = &keys.current;
        let header = Header { kid: Some(id.clone()), ..Header::new(Algorithm::HS256) };
        let signed = Signed { aud: AUDIENCE, claims };
        jsonwebtoken::encode(&header, &signed, key).map_err(|_| TokenError::Malformed)
    }

    /// Reads a token of Deskbell's own, of any kind.
    pub fn verify(&self, token: &str, now: Millis) -> Result<Claims, TokenError> {
        let header = header(token)?;
        let keys = self.keys.load();
        let key = header.kid.as_deref().and_then(|id| keys.all.get_key_value(id));
        let (id, key) = key.ok_or(TokenError::BadSignature)?;
        if key.retired_at.is_some_and(|at| now > at + RESUME_TTL_MS) {
            return Err(TokenError::BadSignature);
        }
        let mut validation = without_clock(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.validate_aud = true;
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        let mut claims: Claims = decode(token, &key.decoding, &validation)?;
        claims.key = Arc::clone(id);
        if now >= claims.expires_at() || claims.is_of_the_future(now) {
            return Err(TokenError::Expired);
        }
        match key.retired_at {
            Some(at) if !was_signed_in_time(&claims, at, now) => Err(TokenError::BadSignature),
            _ => Ok(claims),
        }
    }
}

impl Keys {
    fn new(keys: &[SigningKey]) -> Result<Self, KeyError> {
        let mut all = BTreeMap::new();
        let mut current = None;
        for key in keys {
            let secret = BASE64_URL_SAFE_NO_PAD.decode(&key.secret).unwrap_or_default();
            if secret.len() < SECRET_BYTES {
                return Err(KeyError::Short(key.id.clone()));
            }
            if key.retired_at.is_none() {
                current = Some((key.id.clone(), EncodingKey::from_secret(&secret)));
            }
            let decoding = DecodingKey::from_secret(&secret);
            all.insert(key.id.as_str().into(), Key { decoding, retired_at: key.retired_at });
        }
        Ok(Self { current: current.ok_or(KeyError::None)?, all })
    }
}

/// Whom a site vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// What the site calls its visitor.
    #[serde(rename = "sub")]
    pub subject: String,
    /// The visitor's name.
    #[serde(default)]
    pub name: Option<String>,
    /// The visitor's e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    exp: i64,
}

/// The keys by which a project's site vouches for its visitors.
#[derive(Clone, Copy, Debug)]
pub struct IdentityKeys<'a> {
    /// For HS256: the project's secret, its characters as they are.
    pub secret: Option<&'a str>,
    /// For ES256: a public key, PEM.
    pub public_key: Option<&'a str>,
}

/// Reads a token by which a site vouches for its visitor.
pub fn verify_identity(keys: IdentityKeys<'_>, token: &str, now: Millis) -> Result<Identity, TokenError> {
    let algorithm = header(token)?.alg;
    let key = match algorithm {
        Algorithm::HS256 => keys.secret.map(|secret| DecodingKey::from_secret(secret.as_bytes())),
        Algorithm::ES256 => keys.public_key.and_then(|pem| DecodingKey::from_ec_pem(pem.as_bytes()).ok()),
        _ => return Err(TokenError::BadSignature),
    };
    let key = key.ok_or(TokenError::NoKey)?;
    let identity: Identity = decode(token, &key, &without_clock(algorithm))?;
    if !(1..=255).contains(&identity.subject.chars().count()) {
        return Err(TokenError::Malformed);
    }
    match identity.exp.saturating_sub(now / 1_000) {
        ..=0 => Err(TokenError::Expired),
        1..=IDENTITY_AHEAD_S => Ok(identity),
        _ => Err(TokenError::TooLong),
    }
}

/// Whether `pem` is a public key that can verify ES256.
pub fn is_identity_public_key(pem: &str) -> bool {
    DecodingKey::from_ec_pem(pem.as_bytes()).is_ok()
}

fn header(token: &str) -> Result<Header, TokenError> {
    if token.len() > MAX_TOKEN_CHARS {
        return Err(TokenError::Malformed);
    }
    jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)
}

/// Validation of the signature only: the crate reads the system's clock, this program does not.
fn without_clock(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.set_required_spec_claims(&["exp", "sub"]);
    validation
}

fn decode<T: DeserializeOwned>(token: &str, key: &DecodingKey, validation: &Validation) -> Result<T, TokenError> {
    use jsonwebtoken::errors::ErrorKind;
    jsonwebtoken::decode::<T>(token, key, validation).map(|data| data.claims).map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAudience => {
            TokenError::BadSignature
        }
        _ => TokenError::Malformed,
    })
}

#[cfg(test)]
mod tests;
