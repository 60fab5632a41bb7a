//! Projects, agents, keys, and what the command line tells the server.

use deskbell::{
    domain::Role,
    log::{AgentRecord, AgentSessionRecord, Error, ProjectRecord, SigningKeyRecord},
};

use super::*;

pub(super) fn project(public_key: &str) -> ProjectRecord {
    ProjectRecord {
        id: ProjectId::generate(),
        name: "Acme".to_owned(),
        public_key: public_key.to_owned(),
        identity_secret: Some("a secret".to_owned()),
        identity_public_key: None,
        identity_required: false,
        sneak_peek: true,
        origins: vec!["https://acme.example".to_owned(), "http://localhost:3000".to_owned()],
        created_at: START,
    }
}

pub(super) fn agent(project: ProjectId, email: &str) -> AgentRecord {
    AgentRecord {
        id: AgentId::generate(),
        project,
        email: email.to_owned(),
        name: "Grace".to_owned(),
        role: Role::Agent,
        password_hash: "$argon2id$...".to_owned(),
        capacity: 5,
        disabled: false,
        created_at: START,
    }
}

#[tokio::test]
async fn projects_are_found_changed_and_kept_apart() {
    let mut story = Story::begin().await;
    let mut acme = project("pk_acme");
    story.log.create_project(&acme).await.unwrap();
    assert!(matches!(story.log.create_project(&project("pk_acme")).await, Err(Error::Taken("public key"))));
    acme.public_key = "pk_new".to_owned();
    acme.identity_required = true;
    assert!(story.log.update_project(&acme).await.unwrap());
    assert!(!story.log.update_project(&project("pk_nobody")).await.unwrap());

    let other = project("pk_other");
    story.log.create_project(&other).await.unwrap();
    acme.public_key = "pk_other".to_owned();
    assert!(matches!(story.log.update_project(&acme).await, Err(Error::Taken("public key"))));
    acme.public_key = "pk_new".to_owned();

    story.restart().await;
    assert_eq!(story.log.project(acme.id).await.unwrap().as_ref(), Some(&acme));
    assert_eq!(story.log.project_by_public_key("pk_new").await.unwrap().as_ref(), Some(&acme));
    assert_eq!(story.log.project_by_public_key("pk_acme").await.unwrap(), None);
    assert_eq!(story.log.projects().await.unwrap(), [acme, other]);
    story.stop().await;
}

#[tokio::test]
async fn agents_sign_in_by_one_address_on_the_whole_server() {
    let story = Story::begin().await;
    let (acme, other) = (project("pk_acme"), project("pk_other"));
    for project in [&acme, &other] {
        story.log.create_project(project).await.unwrap();
    }
    let mut grace = agent(acme.id, "grace@example.org");
    story.log.create_agent(&grace).await.unwrap();
    let taken = story.log.create_agent(&agent(other.id, " GRACE@example.org")).await;
    assert!(matches!(taken, Err(Error::Taken("e-mail address"))));
    assert_eq!(story.log.agent_by_email("Grace@Example.org ").await.unwrap().as_ref(), Some(&grace));

    grace.disabled = true;
    grace.role = Role::Admin;
    grace.capacity = 9;
    assert!(story.log.update_agent(&grace).await.unwrap());
    assert_eq!(story.log.agent(grace.id).await.unwrap().as_ref(), Some(&grace));
    assert_eq!(story.log.agents(acme.id).await.unwrap(), [grace]);
    assert!(story.log.agents(other.id).await.unwrap().is_empty());
    story.stop().await;
}

#[tokio::test]
async fn sign_ins_end_one_by_one_or_all_at_once() {
    let story = Story::begin().await;
    let acme = project("pk_acme");
    story.log.create_project(&acme).await.unwrap();
    let grace = agent(acme.id, "grace@example.org");
    story.log.create_agent(&grace).await.unwrap();
    for id_hash in ["one", "two", "three"] {
        let session = AgentSessionRecord {
            id_hash: id_hash.to_owned(),
            project: acme.id,
            agent: grace.id,
            session: SessionId::generate(),
            created_at: START,
            seen_at: START,
        };
        story.log.create_agent_session(&session).await.unwrap();
        assert_eq!(story.log.agent_session(id_hash).await.unwrap(), Some(session));
    }
    story.log.touch_agent_session("one", START + 5).await.unwrap();
    assert_eq!(story.log.agent_session("one").await.unwrap().unwrap().seen_at, START + 5);
    story.log.delete_agent_session("one").await.unwrap();
    assert_eq!(story.log.agent_session("one").await.unwrap(), None);
    story.log.delete_agent_sessions_of(grace.id).await.unwrap();
    assert_eq!(story.log.agent_session("three").await.unwrap(), None);
    story.stop().await;
}

#[tokio::test]
async fn signing_keys_retire_once() {
    let story = Story::begin().await;
    let key = |kid: &str, created_at| SigningKeyRecord {
        kid: kid.to_owned(),
        secret: "c2VjcmV0".to_owned(),
        created_at,
        retired_at: None,
    };
    story.log.add_signing_key(&key("a", START)).await.unwrap();
    story.log.add_signing_key(&key("b", START + 1)).await.unwrap();
    assert!(matches!(story.log.add_signing_key(&key("a", START)).await, Err(Error::Taken("key id"))));
    story.log.retire_signing_key("a", START + 7).await.unwrap();
    story.log.retire_signing_key("a", START + 9).await.unwrap();
    let retired = SigningKeyRecord { retired_at: Some(START + 7), ..key("a", START) };
    assert_eq!(story.log.signing_keys().await.unwrap(), [retired, key("b", START + 1)]);
    story.stop().await;
}

#[tokio::test]
async fn revocations_hold_until_the_tokens_would_have_expired() {
    let mut story = Story::begin().await;
    let (short, long) = (SessionId::generate(), SessionId::generate());
    story.log.revoke_session(story.project, short, START + 10).await.unwrap();
    story.log.revoke_session(story.project, long, START + 99).await.unwrap();
    story.log.revoke_session(story.project, long, START + 1).await.unwrap();
    story.restart().await;
    assert_eq!(story.log.revoked_sessions().await.unwrap().len(), 2);
    story.clock.set(START + 11);
    assert_eq!(story.log.revoked_sessions().await.unwrap(), [long]);
    story.stop().await;
}

#[tokio::test]
async fn a_command_beside_the_server_is_heard() {
    let story = Story::begin().await;
    assert_eq!(story.log.control_last().await.unwrap(), 0);
    let tasks = Tasks::new();
    let command = Log::open(Options { role: OpenAs::Command, ..story.options.clone() }, story.clock.clone(), &tasks)
        .await
        .unwrap();
    assert_eq!(command.control_append("agent", Some(story.project), "someone").await.unwrap(), 1);
    assert_eq!(command.control_append("keys", None, "").await.unwrap(), 2);
    command.close().await;

    let told = story.log.control_after(0).await.unwrap();
    assert_eq!(
        told.iter().map(|record| (record.n, record.kind.as_str())).collect::<Vec<_>>(),
        [(1, "agent"), (2, "keys")]
    );
    assert_eq!((told[0].project, told[0].subject.as_str(), told[0].at), (Some(story.project), "someone", START));
    assert_eq!(story.log.control_after(1).await.unwrap().len(), 1);
    assert_eq!(story.log.control_last().await.unwrap(), 2);
    story.stop().await;
}

#[tokio::test]
async fn what_a_server_was_told_long_ago_is_forgotten_and_numbers_go_on() {
    let story = Story::begin().await;
    for at in [START, START + 10, START + 20] {
        story.clock.set(at);
        story.log.control_append("keys", None, "").await.unwrap();
    }
    let numbers = async || story.log.control_after(0).await.unwrap().iter().map(|word| word.n).collect::<Vec<_>>();
    assert_eq!((story.log.forget_control(START).await.unwrap(), numbers().await), (0, vec![1, 2, 3]));
    assert_eq!((story.log.forget_control(START + 10).await.unwrap(), numbers().await), (1, vec![2, 3]));
    assert_eq!((story.log.forget_control(START + 99).await.unwrap(), numbers().await), (1, vec![3]), "the last stays");
    assert_eq!(story.log.control_append("keys", None, "").await.unwrap(), 4);
    story.stop().await;
}
