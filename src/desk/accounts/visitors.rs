//! Visitors: anonymous until their site vouches for them.

use super::{Accounts, Denied, lists};
use crate::{
    clock::Millis,
    config::Origin,
    domain::text::{self, NAME_CHARS},
    ids::{ProjectId, SessionId, VisitorId},
    log::{ProjectRecord, VisitorRecord},
    tokens::{self, Claims, Identity, IdentityKeys, Kind},
};

/// The longest e-mail address, in characters (RFC 5321).
const EMAIL_CHARS: usize = 254;

/// What a page asks a visitor's session with.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The project's public key.
    pub project: &'a str,
    /// What an earlier session gave.
    pub resume: Option<&'a str>,
    /// By what the site vouches for its visitor.
    pub identity: Option<&'a str>,
    /// The page's origin, if a browser asks.
    pub origin: Option<&'a str>,
}

/// A visitor's session.
pub struct VisitorSession {
    /// For the socket.
    pub token: String,
    /// When the token runs out.
    pub expires_at: Millis,
    /// Brings the same visitor back later.
    pub resume: String,
    /// Who it is.
    pub visitor: VisitorId,
    /// Its name, if its site vouched for one.
    pub name: Option<String>,
    /// Whether its site vouches for it.
    pub identified: bool,
    /// The project.
    pub project: std::sync::Arc<ProjectRecord>,
    /// An anonymous visitor who turned out to be this one, and what is known of it now: its conversations move.
    pub adopts: Option<(VisitorId, VisitorRecord)>,
}

impl Accounts {
    /// Lets a visitor in.
    pub fn visitor_session(&self, asked: &Asked<'_>) -> Result<VisitorSession, Denied> {
        let project = self.project_by_key(asked.project).ok_or(Denied::NotFound)?;
        self.check_origin(&project, asked.origin)?;
        let identity = asked.identity.map(|token| self.identity(&project, token)).transpose()?;
        if identity.is_none() && project.identity_required {
            return Err(Denied::Unauthorized("this project's visitors are signed in on its site first".to_owned()));
        }
        let earlier = asked.resume.map(|token| self.earlier(project.id, token)).transpose()?.flatten();
        let visitor = match &identity {
            Some(identity) => VisitorId::for_subject(project.id, &identity.subject),
            None => earlier.unwrap_or_else(VisitorId::generate),
        };
        if self.is_banned(project.id, visitor) {
            return Err(Denied::Banned);
        }
        let adopts = earlier.filter(|from| *from != visitor).zip(identity.as_ref());
        let adopts = adopts.map(|(from, identity)| (from, self.record_of(project.id, visitor, identity)));
        let session = SessionId::generate();
        let (token, expires_at) =
            self.mint(self.vouched(Kind::Visitor, project.id, visitor, session, identity.as_ref()))?;
        let (resume, _) = self.mint(self.vouched(Kind::Resume, project.id, visitor, session, identity.as_ref()))?;
        let (name, identified) = (identity.as_ref().and_then(|identity| identity.name.clone()), identity.is_some());
        Ok(VisitorSession { token, expires_at, resume, visitor, name, identified, project, adopts })
    }

    /// A token for a new anonymous visitor, for load tests and bots.
    pub fn bare_visitor_token(&self, project: ProjectId, ttl_s: u64) -> Result<String, Denied> {
        let mut claims = self.claims(Kind::Visitor, project, VisitorId::generate().as_uuid(), SessionId::generate());
        claims.exp = claims.iat + i64::try_from(ttl_s).unwrap_or(i64::MAX - claims.iat);
        Ok(self.mint(claims)?.0)
    }

    fn check_origin(&self, project: &ProjectRecord, origin: Option<&str>) -> Result<(), Denied> {
        let Some(origin) = origin else { return Ok(()) };
        match origin.parse::<Origin>() {
            Ok(origin) if self.is_own(&origin) || lists(project, &origin) => Ok(()),
            _ => Err(Denied::Origin),
        }
    }

    fn identity(&self, project: &ProjectRecord, token: &str) -> Result<Identity, Denied> {
        let keys = IdentityKeys {
            secret: project.identity_secret.as_deref(),
            public_key: project.identity_public_key.as_deref(),
        };
        let mut identity = tokens::verify_identity(keys, token, self.clock.now())
            .map_err(|error| Denied::Unauthorized(format!("`identity`: {error}")))?;
        let clean = |value: &Option<String>, field, most| {
            text::line(value.as_deref(), field, most).map_err(|refusal| Denied::Unauthorized(refusal.to_string()))
        };
        identity.name = clean(&identity.name, "identity.name", NAME_CHARS)?;
        identity.email = clean(&identity.email, "identity.email", EMAIL_CHARS)?;
        Ok(identity)
    }

    /// The visitor that a resume token brings back. One that its site had vouched for comes back only by a new vouching:
    /// else the next person at the same browser would read what the last one wrote while signed in.
    fn earlier(&self, project: ProjectId, token: &str) -> Result<Option<VisitorId>, Denied> {
        let refused = |why: String| Denied::Unauthorized(format!("`resume`: {why}"));
        let claims = self.keyring.verify(token, self.clock.now()).map_err(|error| refused(error.to_string()))?;
        if claims.kind != Kind::Resume || claims.project != project || self.revoked.lock().holds(&claims) {
            return Err(refused("the token is none of this project's, or was revoked".to_owned()));
        }
        // Also when its site vouches for it now: who is shut out does not get around it by signing in.
        if self.is_banned(project, claims.subject.into()) {
            return Err(Denied::Banned);
        }
        Ok(claims.sub_external.is_none().then(|| claims.subject.into()))
    }

    fn vouched(
        &self,
        kind: Kind,
        project: ProjectId,
        visitor: VisitorId,
        session: SessionId,
        identity: Option<&Identity>,
    ) -> Claims {
        let mut claims = self.claims(kind, project, visitor.as_uuid(), session);
        if let Some(identity) = identity {
            claims.sub_external = Some(identity.subject.clone());
            if kind == Kind::Visitor {
                claims.name.clone_from(&identity.name);
                claims.email.clone_from(&identity.email);
            }
        }
        claims
    }

    fn record_of(&self, project: ProjectId, id: VisitorId, identity: &Identity) -> VisitorRecord {
        let now = self.clock.now();
        VisitorRecord {
            project,
            id,
            subject: Some(identity.subject.clone()),
            name: identity.name.clone(),
            email: identity.email.clone(),
            fields: std::collections::BTreeMap::new(),
            created_at: now,
            seen_at: now,
        }
    }
}
