use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::{
    bus::{Message, Revocation, Topic},
    config::Secret,
    domain::Role,
    log::{AgentRecord, OpenAs},
    tasks::Tasks,
};

const NOW: Millis = 1_800_000_000_000;
const PASSWORD: &str = "a measured length of rope";
const HOUR: Millis = 3_600_000;

/// Accounts on a database of their own, with a clock that stands still.
struct World {
    accounts: Accounts,
    clock: Clock,
    bus: Bus,
    _tasks: Tasks,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, bus, tasks) = (Clock::manual(NOW), Bus::local(), Tasks::new());
        let options = log::Options {
            url: Secret::new("sqlite".to_owned()),
            data_dir: folder.path().to_owned(),
            readers: 1,
            role: OpenAs::Server,
        };
        let log = Log::open(options, clock.clone(), &tasks).await.unwrap();
        let options = Options {
            token_ttl_s: 900,
            own_origins: vec!["https://chat.example.org".parse().unwrap()],
            limits: Arc::new(Limits::default()),
        };
        let accounts = Accounts::open(log, bus.clone(), clock.clone(), options).await.unwrap();
        Self { accounts, clock, bus, _tasks: tasks, _folder: folder }
    }

    async fn project(&self) -> ProjectRecord {
        let origins = vec!["https://shop.example.org".parse().unwrap()];
        self.accounts.create_project(NewProject { name: "Shop".to_owned(), origins }).await.unwrap()
    }

    async fn agent(&self, project: ProjectId) -> AgentRecord {
        let new = NewAgent {
            project,
            email: "Grace@Example.org".to_owned(),
            name: "Grace".to_owned(),
            role: Role::Agent,
            password: PASSWORD.to_owned(),
            capacity: 5,
        };
        self.accounts.create_agent(new).await.unwrap()
    }

    async fn signed_in(&self) -> String {
        self.accounts.sign_in("grace@example.org", PASSWORD, None).await.unwrap().secret
    }

    fn ask(&self, asked: Asked<'_>) -> Result<VisitorSession, Denied> {
        self.accounts.visitor_session(&asked)
    }
}

fn asked(project: &ProjectRecord) -> Asked<'_> {
    Asked { project: &project.public_key, resume: None, identity: None, origin: None }
}

fn vouched(secret: &str, subject: &str) -> String {
    let claims = json!({"sub": subject, "name": "Ada", "email": "ada@example.org", "exp": NOW / 1_000 + 60});
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

fn is_unauthorized<T>(result: &Result<T, Denied>) -> bool {
    matches!(result, Err(Denied::Unauthorized(_)))
}

#[tokio::test]
async fn a_visitor_comes_back_as_the_same_one() {
    let world = World::new().await;
    let project = world.project().await;
    let first = world.ask(asked(&project)).unwrap();
    assert!(!first.identified && first.adopts.is_none());
    let again = world.ask(Asked { resume: Some(&first.resume), ..asked(&project) }).unwrap();
    assert_eq!(again.visitor, first.visitor);
    let claims = world.accounts.verify(&again.token).unwrap();
    assert_eq!((claims.project, claims.subject), (project.id, first.visitor.as_uuid()));
    assert!(world.accounts.verify(&first.resume).is_err(), "a resume token opens no socket");
    assert!(is_unauthorized(&world.ask(Asked { resume: Some(&first.token), ..asked(&project) })));
}

#[tokio::test]
async fn another_projects_tokens_are_worth_nothing() {
    let world = World::new().await;
    let (here, there) = (world.project().await, world.project().await);
    let theirs = world.ask(asked(&there)).unwrap();
    assert!(is_unauthorized(&world.ask(Asked { resume: Some(&theirs.resume), ..asked(&here) })));
    let identity = vouched(there.identity_secret.as_deref().unwrap(), "ada");
    assert!(is_unauthorized(&world.ask(Asked { identity: Some(&identity), ..asked(&here) })));
    assert_eq!(world.ask(Asked { project: "nothing", ..asked(&here) }).err(), Some(Denied::NotFound));
}

#[tokio::test]
async fn who_is_vouched_for_is_the_same_everywhere_and_takes_over_what_it_wrote_before() {
    let world = World::new().await;
    let project = world.project().await;
    let identity = vouched(project.identity_secret.as_deref().unwrap(), "ada");
    let anonymous = world.ask(asked(&project)).unwrap();
    let known =
        world.ask(Asked { resume: Some(&anonymous.resume), identity: Some(&identity), ..asked(&project) }).unwrap();
    assert!(known.identified);
    assert_eq!(known.name.as_deref(), Some("Ada"));
    let (from, to) = known.adopts.unwrap();
    assert_eq!((from, to.id, to.email.as_deref()), (anonymous.visitor, known.visitor, Some("ada@example.org")));
    let elsewhere = world.ask(Asked { identity: Some(&identity), ..asked(&project) }).unwrap();
    assert_eq!(elsewhere.visitor, known.visitor);
}

#[tokio::test]
async fn signed_out_of_the_site_it_is_somebody_else() {
    let world = World::new().await;
    let project = world.project().await;
    let identity = vouched(project.identity_secret.as_deref().unwrap(), "ada");
    let known = world.ask(Asked { identity: Some(&identity), ..asked(&project) }).unwrap();
    let next = world.ask(Asked { resume: Some(&known.resume), ..asked(&project) }).unwrap();
    assert!(next.visitor != known.visitor && !next.identified);
    world.accounts.change_project(ProjectRecord { identity_required: true, ..project.clone() }).await.unwrap();
    assert!(is_unauthorized(&world.ask(asked(&project))));
    assert!(world.ask(Asked { identity: Some(&identity), ..asked(&project) }).is_ok());
}

#[tokio::test]
async fn only_listed_pages_get_sessions_and_sockets() {
    let world = World::new().await;
    let project = world.project().await;
    let from = |origin| world.ask(Asked { origin: Some(origin), ..asked(&project) });
    let visitor = from("https://shop.example.org").unwrap();
    assert!(from("https://chat.example.org").is_ok(), "the server's own pages");
    for origin in ["https://evil.example", "http://shop.example.org", "https://shop.example.org:8443", "null"] {
        assert_eq!(from(origin).err(), Some(Denied::Origin), "{origin}");
        assert!(!world.accounts.knows_origin(origin), "{origin}");
    }
    let visitor = world.accounts.verify(&visitor.token).unwrap();
    let agent = world.agent(project.id).await;
    let agent = world.accounts.verify(&world.accounts.bare_agent_token(&agent, 60).unwrap()).unwrap();
    assert!(world.accounts.admits(&visitor, Some("https://shop.example.org")));
    assert!(world.accounts.admits(&visitor, None), "no browser");
    assert!(!world.accounts.admits(&agent, Some("https://shop.example.org")), "an agent's token in a shop's page");
    assert!(world.accounts.admits(&agent, Some("https://chat.example.org")));
}

#[tokio::test]
async fn a_sign_in_ends_when_it_is_idle_and_in_any_case_after_a_week() {
    let world = World::new().await;
    world.agent(world.project().await.id).await;
    let secret = world.signed_in().await;
    assert_eq!(world.accounts.agent_token(&secret).await.unwrap().agent.email, "grace@example.org");
    world.clock.set(NOW + 9 * HOUR);
    assert!(is_unauthorized(&world.accounts.agent_token(&secret).await));
    let busy = world.signed_in().await;
    for hour in (9..9 + 7 * 24).step_by(6) {
        world.clock.set(NOW + hour * HOUR);
        assert!(world.accounts.agent_token(&busy).await.is_ok(), "hour {hour}");
    }
    world.clock.set(NOW + (10 + 7 * 24) * HOUR);
    assert!(is_unauthorized(&world.accounts.agent_token(&busy).await));
}

#[tokio::test]
async fn signing_out_ends_the_sockets() {
    let world = World::new().await;
    world.agent(world.project().await.id).await;
    let secret = world.signed_in().await;
    let token = world.accounts.agent_token(&secret).await.unwrap().token;
    let session = world.accounts.verify(&token).unwrap().session;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    world.bus.attach(Arc::new(move |topic, message: &Message, _| sink.lock().push((topic, message.clone()))));
    world.accounts.sign_out(&secret).await.unwrap();
    let words = [Message::Revoked(Revocation::Session(session)), Message::Told];
    assert_eq!(*heard.lock(), words.map(|word| (Topic::Control, word)));
    assert_eq!(world.accounts.verify(&token), Err(TokenError::Revoked));
    assert!(is_unauthorized(&world.accounts.agent_token(&secret).await));
}

#[tokio::test]
async fn another_role_ends_tokens_and_the_next_one_has_it() {
    let world = World::new().await;
    let agent = world.agent(world.project().await.id).await;
    let secret = world.signed_in().await;
    let before = world.accounts.agent_token(&secret).await.unwrap().token;
    world.accounts.change_agent(agent.clone(), AgentChange::Role(Role::Viewer)).await.unwrap();
    assert_eq!(world.accounts.verify(&before), Err(TokenError::Revoked));
    let after = world.accounts.agent_token(&secret).await.unwrap().token;
    assert_eq!(world.accounts.verify(&after).unwrap().role, Some(Role::Viewer));
    world.accounts.change_agent(agent, AgentChange::Disabled(true)).await.unwrap();
    assert!(is_unauthorized(&world.accounts.agent_token(&secret).await));
    assert!(is_unauthorized(&world.accounts.sign_in("grace@example.org", PASSWORD, None).await));
}

#[tokio::test]
async fn guesses_are_counted_by_account_and_by_address() {
    let world = World::new().await;
    world.agent(world.project().await.id).await;
    let address = |text: &str| Some(text.parse().unwrap());
    for _ in 0..10 {
        let guess = world.accounts.sign_in("grace@example.org", "wrong wrong wrong", address("203.0.113.9")).await;
        assert!(is_unauthorized(&guess));
    }
    for (email, from) in [("grace@example.org", "198.51.100.1"), ("nobody@example.org", "203.0.113.9")] {
        let refused = world.accounts.sign_in(email, PASSWORD, address(from)).await;
        assert!(matches!(refused, Err(Denied::RateLimited { retry_after_s: 900 })), "{email} {from}");
    }
    world.clock.set(NOW + 899_000);
    let early = world.accounts.sign_in("grace@example.org", PASSWORD, address("198.51.100.1")).await;
    assert!(matches!(early, Err(Denied::RateLimited { retry_after_s: 1 })), "an eleventh within 15 minutes");
    world.clock.set(NOW + 900_000);
    assert!(world.accounts.sign_in("GRACE@example.org ", PASSWORD, address("198.51.100.1")).await.is_ok());
}

#[tokio::test]
async fn sign_ins_that_ended_are_deleted_when_another_comes() {
    let world = World::new().await;
    world.agent(world.project().await.id).await;
    let old = world.signed_in().await;
    world.clock.set(NOW + 7 * HOUR);
    let kept = world.signed_in().await;
    let stored =
        async |secret: &str| world.accounts.log().agent_session(&agents::hash_of(secret)).await.unwrap().is_some();
    assert!(stored(&old).await);
    world.clock.set(NOW + 9 * HOUR);
    world.signed_in().await;
    assert_eq!((stored(&old).await, stored(&kept).await), (false, true));
    world.clock.set(NOW + 20 * HOUR);
    assert_eq!(world.accounts.tidy_sign_ins().await.unwrap(), 2);
}

#[tokio::test]
async fn words_are_forgotten_after_a_month_and_not_while_a_token_may_hold() {
    let world = World::new().await;
    let agent = world.agent(world.project().await.id).await;
    world.accounts.change_agent(agent.clone(), AgentChange::Sessions).await.unwrap();
    let told = world.accounts.log.control_after(0).await.unwrap().len();
    world.clock.set(NOW + 29 * 24 * HOUR);
    assert_eq!(world.accounts.tidy_words().await.unwrap(), 0);
    world.clock.set(NOW + 31 * 24 * HOUR);
    assert_eq!(world.accounts.tidy_words().await.unwrap(), u64::try_from(told).unwrap() - 1);
    world.accounts.change_agent(agent, AgentChange::Sessions).await.unwrap();
    assert_eq!(world.accounts.log.control_after(0).await.unwrap().len(), 2, "the last one, and the new one");
}

/// All within one second: what came first is told by the words' order, not by the time.
#[tokio::test]
async fn a_token_of_the_second_of_a_shut_out_is_refused_by_the_next_one() {
    let world = World::new().await;
    let agent = world.agent(world.project().await.id).await;
    let token = async |secret: &str| world.accounts.agent_token(secret).await.unwrap().token;
    let secret = world.signed_in().await;
    let mut earlier = token(&secret).await;
    for role in [Role::Viewer, Role::Admin, Role::Agent] {
        world.accounts.change_agent(agent.clone(), AgentChange::Role(role)).await.unwrap();
        assert_eq!(world.accounts.verify(&earlier), Err(TokenError::Revoked), "{role:?}");
        earlier = token(&secret).await;
        assert_eq!(world.accounts.verify(&earlier).unwrap().role, Some(role));
    }
}

/// The agent was read, then shut out, then the token is to be signed.
#[tokio::test]
async fn who_is_shut_out_meanwhile_gets_no_token() {
    let world = World::new().await;
    let agent = world.agent(world.project().await.id).await;
    let heard = world.accounts.heard();
    world.clock.set(NOW + 5_000);
    world.accounts.change_agent(agent.clone(), AgentChange::Disabled(true)).await.unwrap();
    world.clock.set(NOW + 9_000);
    let late = world.accounts.token_of(&agent, SessionId::generate(), heard, 900);
    assert!(is_unauthorized(&late));
}

#[tokio::test]
async fn rotated_keys_honour_what_they_signed() {
    let world = World::new().await;
    let project = world.project().await;
    let before = world.ask(asked(&project)).unwrap();
    world.accounts.rotate_keys().await.unwrap();
    assert!(world.accounts.verify(&before.token).is_ok());
    assert!(world.ask(Asked { resume: Some(&before.resume), ..asked(&project) }).is_ok());
    assert_eq!(world.accounts.log().signing_keys().await.unwrap().len(), 2);
}
