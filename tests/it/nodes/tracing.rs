//! A trace goes on from node to node.

use super::Pair;
use crate::support::{Collector, message};

#[tokio::test]
async fn what_another_node_delivers_belongs_to_the_senders_trace() {
    let collector = Collector::start().await;
    let endpoint = ("telemetry.otlp_endpoint", format!("\"{}\"", collector.url));
    let pair = Pair::start_set(&[endpoint, ("telemetry.sample_ratio", "1.0".to_owned())]).await;
    let (_, mut grace) = pair.agent_on_other("Grace").await;
    let mut visitor = pair.one.visitor().await;
    let chat = visitor.rings("Hello").await;
    grace.watches(&chat).await;
    let sent = visitor.ask(message(&chat, "Are you there?")).await;
    grace.find("the message", |frame| frame["body"]["text"] == "Are you there?").await;

    let trace = collector.trace_with("deskbell.entry", sent["entry"].as_str().unwrap()).await;
    let spans = collector
        .trace(&trace, |spans| {
            spans.iter().filter(|it| it.name == "delivery").count() == 2 && spans.iter().any(|it| it.name == "edge")
        })
        .await;
    let edge = spans.iter().find(|it| it.name == "edge").unwrap();
    let there = spans.iter().find(|it| it.name == "delivery" && it.node != edge.node).unwrap();
    let heard = spans.iter().find(|it| it.id == there.parent).unwrap();
    let said = spans.iter().find(|it| it.id == heard.parent).unwrap();
    assert_eq!((heard.name.as_str(), &heard.node), ("bus", &there.node), "{spans:#?}");
    assert_eq!((said.name.as_str(), &said.node), ("bus", &edge.node), "{spans:#?}");
}
