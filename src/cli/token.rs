//! `deskbell token`: session tokens for load tests and bots.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Beside, Common, Failure, print, print_lines};
use crate::{
    desk::accounts::Denied,
    ids::{AgentId, ProjectId},
};

/// Print session tokens, one a line.
#[derive(Args)]
pub(super) struct Token {
    /// For which project
    #[arg(long, value_name = "ID")]
    project: ProjectId,
    /// For visitors, a new one with each token, or for an agent
    #[arg(long)]
    kind: TokenKind,
    /// For which agent
    #[arg(long, value_name = "ID", required_if_eq("kind", "agent"))]
    agent: Option<AgentId>,
    /// How many
    #[arg(long, default_value_t = 1, value_name = "N")]
    count: u32,
    /// How long they hold, for example 90s, 15m, 1h; at most 1h. Default: `tokens.ttl_s`
    #[arg(long, value_parser = seconds)]
    ttl: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum TokenKind {
    Visitor,
    Agent,
}

impl Token {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let ttl_s = self.ttl.unwrap_or(common.load(&[])?.token_ttl_s);
        let beside = common.open().await?;
        let tokens = self.mint(&beside, ttl_s).await;
        beside.close().await;
        let tokens = tokens?;
        if common.json {
            return print(&format!("{}\n", json!({ "tokens": tokens })));
        }
        print_lines(&tokens)
    }

    async fn mint(&self, beside: &Beside, ttl_s: u64) -> Result<Vec<String>, Failure> {
        let accounts = &beside.accounts;
        if accounts.project(self.project).is_none() {
            return Err(Failure::Failed("find the project: `deskbell project list` shows all".to_owned()));
        }
        let agent = match (self.kind, self.agent) {
            (TokenKind::Visitor, _) | (TokenKind::Agent, None) => None,
            (TokenKind::Agent, Some(id)) => {
                let known =
                    beside.log.agent(id).await?.filter(|agent| agent.project == self.project && !agent.disabled);
                Some(known.ok_or_else(|| Failure::Failed("find that agent in the project".to_owned()))?)
            }
        };
        let mint = || match &agent {
            Some(agent) => accounts.bare_agent_token(agent, ttl_s),
            None => accounts.bare_visitor_token(self.project, ttl_s),
        };
        let tokens: Result<Vec<String>, Denied> = (0..self.count).map(|_| mint()).collect();
        tokens.map_err(|error| Failure::Failed(format!("sign a token: {error}")))
    }
}

/// Reads a time such as `15m`, at most an hour.
fn seconds(text: &str) -> Result<u64, String> {
    let (digits, unit) = text.split_at(text.trim_end_matches(|letter: char| letter.is_alphabetic()).len());
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 0,
    };
    let seconds = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(factor));
    seconds.filter(|seconds| (1..=3_600).contains(seconds)).ok_or_else(|| "takes 1s to 1h, for example 15m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_written_with_their_unit() {
        assert_eq!((seconds("15m"), seconds("90"), seconds("1h")), (Ok(900), Ok(90), Ok(3_600)));
        for wrong in ["", "0", "2h", "15d", "-1s", "m", "99999999999999999999m"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
