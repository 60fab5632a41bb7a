//! Accounts: who may have a session, and whose session ended.
//!
//! Projects and revocations are kept in memory, so that a token is verified and a visitor let in without a look at the
//! database. The command line changes the database beside a running server and leaves a word in the table `control`;
//! [`Accounts::catch_up`] takes it up.

mod agents;
mod bans;
mod changes;
mod revoked;
mod visitors;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

pub use self::{
    agents::{AgentToken, SESSION_ABSOLUTE_MS, SESSION_IDLE_MS, SignIn},
    changes::{AgentChange, NewAgent, NewProject, Word},
    visitors::{Asked, VisitorSession},
};
use self::{bans::Bans, revoked::Revoked};
use crate::{
    bus::{Bus, Message, Source},
    clock::{Clock, Millis},
    config::{Limits, Origin},
    ids::{ProjectId, SessionId},
    log::{self, ControlRecord, Log, ProjectRecord, SigningKeyRecord},
    rate::Windows,
    tokens::{self, Claims, Keyring, Kind, SigningKey, TokenError},
};

/// How many passwords are hashed at once: each takes 19 MiB and a core for 20 ms.
const HASHES_AT_ONCE: usize = 2;
/// In how long a time sign-ins are counted: 15 minutes.
const LOGINS_SPAN_MS: Millis = 15 * 60_000;
/// The longest that a session token can hold: the most that `tokens.ttl_s` takes.
const MOST_TTL_MS: Millis = 3_600_000;

/// Why somebody gets no session.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No such project.
    #[error("there is no such project")]
    NotFound,
    /// The page's origin is not on the project's list.
    #[error("this page's origin is not on the project's list")]
    Origin,
    /// The visitor was shut out.
    #[error("this visitor was blocked")]
    Banned,
    /// The token or password is no good; the text says which.
    #[error("{0}")]
    Unauthorized(String),
    /// Too many attempts.
    #[error("too many attempts")]
    RateLimited {
        /// When to try again.
        retry_after_s: u64,
    },
    /// The database can't be read or written now.
    #[error("the database is not available: {0}")]
    Unavailable(String),
}

impl From<log::Error> for Denied {
    fn from(error: log::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// An account that can't be changed or a key that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database said no.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// A signing key is no good.
    #[error(transparent)]
    Key(#[from] tokens::KeyError),
    /// What was asked for can't be; the text says why.
    #[error("{0}")]
    Invalid(String),
}

/// What accounts need to know of the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a session token holds.
    pub token_ttl_s: u64,
    /// Where this server itself is: pages of it may be agents' consoles and any project's hosted chat.
    pub own_origins: Vec<Origin>,
    /// The limits.
    pub limits: Arc<Limits>,
}

/// All projects, as last read.
#[derive(Default)]
struct Projects {
    by_key: HashMap<String, Arc<ProjectRecord>>,
    by_id: HashMap<ProjectId, Arc<ProjectRecord>>,
    /// Every origin on any list.
    origins: HashSet<Origin>,
}

/// The accounts of this server. Shared by all who let somebody in.
pub struct Accounts {
    log: Log,
    bus: Bus,
    clock: Clock,
    options: Options,
    keyring: Keyring,
    projects: ArcSwap<Projects>,
    revoked: Mutex<Revoked>,
    bans: Mutex<Bans>,
    /// The last word of `control` that was taken up, or waits to be.
    heard: AtomicI64,
    /// Words that could not be taken up yet.
    waiting: tokio::sync::Mutex<Vec<ControlRecord>>,
    /// Another node says that there are new words.
    told: Arc<Notify>,
    /// Projects that others must look at again.
    changed: Mutex<BTreeSet<ProjectId>>,
    logins_by_account: Windows<String>,
    logins_by_address: Windows<IpAddr>,
    hashing: Arc<Semaphore>,
}

impl Accounts {
    /// Reads keys, projects and revocations; makes the first signing key.
    pub async fn open(log: Log, bus: Bus, clock: Clock, options: Options) -> Result<Self, Error> {
        let heard = log.control_last().await?;
        let keys = signing_keys(&log, clock.now()).await?;
        let logins = options.limits.logins_per_15_minutes;
        let accounts = Self {
            keyring: Keyring::new(&keys)?,
            projects: ArcSwap::default(),
            revoked: Mutex::new(Revoked::read(&log, clock.now()).await?),
            bans: Mutex::default(),
            heard: AtomicI64::new(heard),
            waiting: tokio::sync::Mutex::default(),
            told: Arc::default(),
            changed: Mutex::default(),
            logins_by_account: Windows::new(logins, LOGINS_SPAN_MS),
            logins_by_address: Windows::new(logins, LOGINS_SPAN_MS),
            hashing: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            log,
            bus,
            clock,
            options,
        };
        accounts.read_projects().await?;
        accounts.read_bans().await?;
        accounts.hear_nodes();
        Ok(accounts)
    }

    fn hear_nodes(&self) {
        if self.bus.is_shared() {
            let told = Arc::clone(&self.told);
            self.bus.attach(Arc::new(move |_, message, source| {
                if matches!((message, source), (Message::Told, Source::Node(_))) {
                    told.notify_one();
                }
            }));
        }
    }

    /// Waits until another node says that accounts changed. It may not be heard: to be looked for now and then all the same.
    pub async fn told(&self) {
        self.told.notified().await;
    }

    /// Who presents `token` to open or go on with a socket.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let claims = self.keyring.verify(token, self.clock.now())?;
        if claims.kind == Kind::Resume {
            return Err(TokenError::Malformed);
        }
        if self.revoked.lock().holds(&claims) {
            return Err(TokenError::Revoked);
        }
        let is_banned = claims.kind == Kind::Visitor && self.is_banned(claims.project, claims.subject.into());
        if is_banned { Err(TokenError::Banned) } else { Ok(claims) }
    }

    /// Whether a page of `origin` may open sockets at all: before there is a token to ask for its project.
    pub fn knows_origin(&self, origin: &str) -> bool {
        let Ok(origin) = origin.parse::<Origin>() else { return false };
        self.is_own(&origin) || self.projects.load().origins.contains(&origin)
    }

    /// Whether a page of `origin` may have the session of `claims`. Programs that are no browsers send none.
    pub fn admits(&self, claims: &Claims, origin: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        let Ok(origin) = origin.parse::<Origin>() else { return false };
        let listed = || self.project(claims.project).is_some_and(|project| lists(&project, &origin));
        self.is_own(&origin) || (claims.kind == Kind::Visitor && listed())
    }

    /// Whether `origin` is this server itself.
    pub fn is_own(&self, origin: &Origin) -> bool {
        self.options.own_origins.contains(origin)
    }

    /// The project that an embed snippet names.
    pub fn project_by_key(&self, public_key: &str) -> Option<Arc<ProjectRecord>> {
        self.projects.load().by_key.get(public_key).cloned()
    }

    /// The project of that id.
    pub fn project(&self, id: ProjectId) -> Option<Arc<ProjectRecord>> {
        self.projects.load().by_id.get(&id).cloned()
    }

    /// All projects.
    pub fn projects(&self) -> Vec<Arc<ProjectRecord>> {
        self.projects.load().by_id.values().cloned().collect()
    }

    async fn read_projects(&self) -> Result<(), log::Error> {
        let mut projects = Projects::default();
        for project in self.log.projects().await? {
            projects.origins.extend(project.origins.iter().filter_map(|origin| origin.parse().ok()));
            let project = Arc::new(project);
            projects.by_key.insert(project.public_key.clone(), Arc::clone(&project));
            projects.by_id.insert(project.id, project);
        }
        self.projects.store(Arc::new(projects));
        Ok(())
    }

    async fn read_keys(&self) -> Result<(), Error> {
        let keys = signing_keys(&self.log, self.clock.now()).await?;
        Ok(self.keyring.reload(&keys)?)
    }

    /// Signs a session token, unless what it says is no longer so.
    fn mint(&self, mut claims: Claims) -> Result<(String, Millis), Denied> {
        let revoked = self.revoked.lock();
        claims.iat = claims.iat.max(revoked.earliest(&claims));
        if revoked.holds(&claims) {
            return Err(Denied::Unauthorized("the account was changed just now; sign in again".to_owned()));
        }
        drop(revoked);
        let token = self.keyring.mint(&claims).map_err(|error| Denied::Unavailable(error.to_string()))?;
        Ok((token, claims.expires_at()))
    }

    /// The last word of the command line that is known. To be asked before an account is read that a token will speak of:
    /// whoever is shut out later, is so by a later word, and the token is refused.
    fn heard(&self) -> i64 {
        self.heard.load(Ordering::Acquire)
    }

    fn claims(&self, kind: Kind, project: ProjectId, subject: Uuid, session: SessionId) -> Claims {
        let iat = self.clock.now().div_euclid(1_000);
        let ttl_s = match kind {
            Kind::Resume => tokens::RESUME_TTL_MS / 1_000,
            Kind::Visitor | Kind::Agent => i64::try_from(self.options.token_ttl_s).unwrap_or(900),
        };
        Claims {
            project,
            kind,
            subject,
            session,
            name: None,
            role: None,
            sub_external: None,
            email: None,
            iat,
            exp: iat + ttl_s,
            jti: Uuid::now_v7(),
            heard: 0,
            key: Arc::default(),
        }
    }
}

/// Whether `project` lets pages of `origin` embed its widget.
fn lists(project: &ProjectRecord, origin: &Origin) -> bool {
    project.origins.iter().any(|listed| listed.parse::<Origin>().is_ok_and(|listed| listed == *origin))
}

/// The signing keys; the first start makes one. Of several nodes that start for the first time at once, all take the same:
/// its id is its number, and the second to store it finds it there.
async fn signing_keys(log: &Log, now: Millis) -> Result<Vec<SigningKey>, log::Error> {
    let mut keys = log.signing_keys().await?;
    while !keys.iter().any(|key| key.retired_at.is_none()) {
        let mut numbers = (1..).map(|number| format!("key-{number}"));
        let free = numbers.find(|kid| keys.iter().all(|key| key.kid != *kid)).unwrap_or_default();
        match log.add_signing_key(&SigningKeyRecord { kid: free, ..new_signing_key(now) }).await {
            Ok(()) | Err(log::Error::Taken(_)) => keys = log.signing_keys().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(keys.into_iter().map(|key| SigningKey { id: key.kid, secret: key.secret, retired_at: key.retired_at }).collect())
}

fn new_signing_key(now: Millis) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: Uuid::now_v7().to_string(),
        secret: tokens::new_secret(),
        created_at: now,
        retired_at: None,
    }
}

#[cfg(test)]
mod tests;
