//! Changes to accounts, made beside a running server, and how it hears of them.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use uuid::Uuid;

use super::{Accounts, Error, new_signing_key};
use crate::{
    bus::{Message, Revocation, Topic},
    clock::Millis,
    config::Origin,
    domain::{
        Role,
        text::{self, NAME_CHARS},
    },
    ids::{AgentId, ProjectId, SessionId},
    log::{self, AgentRecord, ControlRecord, Log, ProjectRecord},
    passwords, tokens,
};

/// A word in the table `control`: what a running server must look at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// An agent was disabled, got another role, or lost its sessions: they end.
    Agent,
    /// A project's settings or agents changed.
    Project,
    /// The signing keys changed.
    Keys,
    /// A signing key was taken away: what it signed is worth nothing.
    KeyForgotten,
    /// A visitor was shut out, or let in again.
    Visitor,
    /// A session ended: an agent signed out.
    Session,
    /// The database came out of a backup: session tokens of an older signing key are refused.
    Restored,
}

impl Word {
    const ALL: [Self; 7] =
        [Self::Agent, Self::Project, Self::Keys, Self::KeyForgotten, Self::Visitor, Self::Session, Self::Restored];

    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Project => "project",
            Self::Keys => "keys",
            Self::KeyForgotten => "key_forgotten",
            Self::Visitor => "visitor",
            Self::Session => "session",
            Self::Restored => log::RESTORED,
        }
    }

    /// Reads the word back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.as_str() == text)
    }
}

/// How long words are kept: 30 days. The life of a token, an hour, is what a node that starts must know of; the rest is for one
/// that stood still, and for people who look.
const WORDS_KEPT_MS: Millis = 30 * 24 * 3_600_000;

/// A project to be made.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// Its name.
    pub name: String,
    /// Where its widget may be embedded.
    pub origins: Vec<Origin>,
}

/// An agent to be made.
#[derive(Clone)]
pub struct NewAgent {
    /// Its project.
    pub project: ProjectId,
    /// Its e-mail address.
    pub email: String,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its password.
    pub password: String,
    /// How many conversations it takes at once.
    pub capacity: u32,
}

/// What to change about an agent.
#[derive(Clone)]
pub enum AgentChange {
    /// Shut it out, or let it in again.
    Disabled(bool),
    /// Another role.
    Role(Role),
    /// Takes so many conversations at once; its sessions go on.
    Capacity(u32),
    /// Another password; its sessions end.
    Password(String),
    /// End its sessions.
    Sessions,
}

impl Accounts {
    /// Takes up what the command line left in `control`: each word once, those about the same in their order. One that fails
    /// is tried again the next time and keeps back none about anything else; the first failure is returned.
    pub async fn catch_up(&self) -> Result<(), Error> {
        // One at a time: a word is not taken up by two.
        let mut waiting = self.waiting.lock().await;
        let told = self.log.control_after(self.heard.load(Ordering::Acquire)).await?;
        let earlier = std::mem::take(&mut *waiting);
        let mut failure = None;
        for record in earlier.into_iter().chain(told) {
            let behind = waiting.iter().any(|other| about(other) == about(&record));
            let done = if behind { Ok(false) } else { self.take_up(&record).await.map(|()| true) };
            self.heard.fetch_max(record.n, Ordering::AcqRel);
            match done {
                Ok(true) => self.changed.lock().extend(record.project),
                // Its earlier ones are as good as it: each says only that something is to be looked at.
                Ok(false) => {}
                Err(error) => {
                    failure.get_or_insert(error);
                    waiting.push(record);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Forgets words that every node has long heard; how many there were.
    pub async fn tidy_words(&self) -> Result<u64, log::Error> {
        self.log.forget_control(self.clock.now() - WORDS_KEPT_MS).await
    }

    /// The projects whose settings or agents changed since this was last asked.
    pub fn changed_projects(&self) -> BTreeSet<ProjectId> {
        std::mem::take(&mut *self.changed.lock())
    }

    /// These changed and could not be looked at: they are named again.
    pub fn still_changed(&self, projects: impl IntoIterator<Item = ProjectId>) {
        self.changed.lock().extend(projects);
    }

    async fn take_up(&self, record: &ControlRecord) -> Result<(), Error> {
        match Word::parse(&record.kind) {
            Some(Word::Agent) => {
                if let Ok(agent) = record.subject.parse::<AgentId>() {
                    self.shut_out(agent, record);
                }
            }
            Some(Word::Project) => self.read_projects().await?,
            Some(Word::Keys) => self.read_keys().await?,
            Some(Word::KeyForgotten) => {
                // At once, whether or not the other keys can be read.
                self.keyring.forget(&record.subject);
                // Then who is sent away finds another key that signs, if there is one.
                let read = self.read_keys().await;
                let revocation = Revocation::Key(record.subject.clone());
                self.bus.publish_here(Topic::Control, Message::Revoked(revocation));
                read?;
            }
            Some(Word::Visitor) => self.read_bans().await?,
            Some(Word::Session) => {
                if let Ok(session) = record.subject.parse::<SessionId>() {
                    self.end_session_here(session);
                }
            }
            // Only an empty database is restored into, so nobody has it open: whoever opens it reads this from the start.
            Some(Word::Restored) | None => {}
        }
        tracing::info!(word = record.kind, subject = record.subject, "accounts changed");
        Ok(())
    }

    fn shut_out(&self, agent: AgentId, record: &ControlRecord) {
        self.revoked.lock().agent(agent, record.n, record.at);
        self.bus.publish_here(Topic::Control, Message::Revoked(Revocation::Agent(agent)));
    }

    /// Makes a project.
    pub async fn create_project(&self, new: NewProject) -> Result<ProjectRecord, Error> {
        let name = name(&new.name)?;
        let project = ProjectRecord {
            id: ProjectId::generate(),
            name,
            public_key: public_key(),
            identity_secret: Some(tokens::new_secret()),
            identity_public_key: None,
            identity_required: false,
            sneak_peek: true,
            origins: new.origins.iter().map(ToString::to_string).collect(),
            created_at: self.clock.now(),
        };
        self.log.create_project(&project).await?;
        self.tell(Word::Project, Some(project.id), &project.id.to_string()).await?;
        Ok(project)
    }

    /// Stores a project's changed settings.
    pub async fn change_project(&self, mut project: ProjectRecord) -> Result<(), Error> {
        project.name = name(&project.name)?;
        if let Some(pem) = &project.identity_public_key
            && !tokens::is_identity_public_key(pem)
        {
            return Err(Error::Invalid("the identity key is no P-256 public key in PEM".to_owned()));
        }
        self.log.update_project(&project).await?;
        self.tell(Word::Project, Some(project.id), &project.id.to_string()).await
    }

    /// Makes a new identity secret for a project: what the old one signed is refused from now on.
    pub async fn rotate_identity_secret(&self, mut project: ProjectRecord) -> Result<ProjectRecord, Error> {
        project.identity_secret = Some(tokens::new_secret());
        self.change_project(project.clone()).await?;
        Ok(project)
    }

    /// Makes an agent.
    pub async fn create_agent(&self, new: NewAgent) -> Result<AgentRecord, Error> {
        if self.log.project(new.project).await?.is_none() {
            return Err(Error::Invalid("there is no such project; `deskbell project list` shows all".to_owned()));
        }
        let email = new.email.trim().to_lowercase();
        if !is_email(&email) {
            return Err(Error::Invalid(format!("{email:?} is no e-mail address")));
        }
        let agent = AgentRecord {
            id: AgentId::generate(),
            project: new.project,
            name: name(&new.name)?,
            role: new.role,
            password_hash: hashed(&new.password, &email)?,
            email,
            capacity: new.capacity,
            disabled: false,
            created_at: self.clock.now(),
        };
        self.log.create_agent(&agent).await.map_err(|error| match error {
            log::Error::Taken(_) => Error::Invalid("there is an agent with this e-mail address already".to_owned()),
            other => other.into(),
        })?;
        self.tell(Word::Project, Some(agent.project), &agent.project.to_string()).await?;
        Ok(agent)
    }

    /// Changes an agent; its sockets close within two seconds, if what they may do is another now.
    pub async fn change_agent(&self, mut agent: AgentRecord, change: AgentChange) -> Result<(), Error> {
        let mut signs_out = true;
        match change {
            AgentChange::Disabled(disabled) => agent.disabled = disabled,
            AgentChange::Role(role) => {
                agent.role = role;
                signs_out = false;
            }
            AgentChange::Capacity(capacity) => {
                agent.capacity = capacity;
                self.log.update_agent(&agent).await?;
                return self.tell(Word::Project, Some(agent.project), &agent.project.to_string()).await;
            }
            AgentChange::Password(password) => agent.password_hash = hashed(&password, &agent.email)?,
            AgentChange::Sessions => {}
        }
        self.log.update_agent(&agent).await?;
        if signs_out {
            self.log.delete_agent_sessions_of(agent.id).await?;
        }
        self.tell(Word::Agent, Some(agent.project), &agent.id.to_string()).await
    }

    /// Makes a new signing key and retires the others.
    pub async fn rotate_keys(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let old = self.log.signing_keys().await?;
        self.log.add_signing_key(&new_signing_key(now)).await?;
        for key in old.iter().filter(|key| key.retired_at.is_none()) {
            self.log.retire_signing_key(&key.kid, now).await?;
        }
        self.tell(Word::Keys, None, "").await
    }

    /// Takes a stolen signing key away: whatever it signed is refused from now on, and the sockets that were opened with it
    /// close within two seconds. Another key signs; one is made where there is none.
    pub async fn forget_key(&self, kid: &str) -> Result<(), Error> {
        let keys = self.log.signing_keys().await?;
        if !keys.iter().any(|key| key.kid == kid) {
            return Err(Error::Invalid("there is no such key; `deskbell keys list` shows all".to_owned()));
        }
        if keys.iter().all(|key| key.kid == kid || key.retired_at.is_some()) {
            self.log.add_signing_key(&new_signing_key(self.clock.now())).await?;
        }
        self.log.delete_signing_key(kid).await?;
        self.tell(Word::KeyForgotten, None, kid).await
    }

    /// The database, for what is only read.
    pub const fn log(&self) -> &Log {
        &self.log
    }

    pub(super) async fn tell(&self, word: Word, project: Option<ProjectId>, subject: &str) -> Result<(), Error> {
        self.log.control_append(word.as_str(), project, subject).await?;
        // Other nodes look every half second in any case.
        self.bus.publish(Topic::Control, Message::Told);
        if let Err(error) = self.catch_up().await {
            // It is changed and told: a running server takes it up when it can.
            tracing::warn!(%error, "failed to take up a change at once");
        }
        Ok(())
    }
}

/// What a word is about: of two about the same, the earlier comes first.
fn about(record: &ControlRecord) -> (&str, &str) {
    (&record.kind, &record.subject)
}

fn name(raw: &str) -> Result<String, Error> {
    match text::line(Some(raw), "name", NAME_CHARS) {
        Ok(Some(name)) => Ok(name),
        Ok(None) => Err(Error::Invalid("a name is missing".to_owned())),
        Err(refusal) => Err(Error::Invalid(refusal.to_string())),
    }
}

/// Something on both sides of an `@`, no blanks: whether mail arrives there, only mail can tell.
fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    let plain = text.chars().all(|letter| !letter.is_whitespace() && !letter.is_control());
    text.len() <= 254
        && plain
        && parts.is_some_and(|(local, host)| !local.is_empty() && host.len() >= 3 && !host.contains('@'))
}

fn hashed(password: &str, email: &str) -> Result<String, Error> {
    passwords::check(password, email).map_err(|weak| Error::Invalid(weak.to_string()))?;
    passwords::hash(password).ok_or_else(|| Error::Invalid("the password could not be hashed".to_owned()))
}

/// A public key for embed snippets: 16 random bytes, short enough for a URL.
fn public_key() -> String {
    Uuid::new_v4().simple().to_string()
}
