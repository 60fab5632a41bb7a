//! The inbox: pages of heads, newest message first.

use std::cmp::Reverse;

use sqlx::{Any, AssertSqlSafe, any::AnyArguments, query::Query};

use super::{Error, Log, rows};
use crate::{
    clock::Millis,
    domain::{Conversation, Status},
    ids::{AgentId, ConversationId, ProjectId},
};

/// Which heads the inbox shows.
#[derive(Clone, Debug, Default)]
pub struct InboxQuery {
    /// Only of this status.
    pub status: Option<Status>,
    /// Only of this agent (`Some(Some(..))`) or nobody's (`Some(None)`).
    pub assignee: Option<Option<AgentId>>,
    /// Only of visitors whose name or e-mail address contains this, upper and lower case alike.
    pub visitor: Option<String>,
    /// Only those after the page that gave this cursor. What is no cursor starts at the beginning.
    pub before: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// A page of the inbox.
#[derive(Clone, Debug)]
pub struct InboxRows {
    /// Newest message first.
    pub rows: Vec<Conversation>,
    /// For the next page; none on the last one.
    pub cursor: Option<String>,
}

impl Log {
    /// A page of the inbox.
    pub async fn inbox(&self, project: ProjectId, query: &InboxQuery) -> Result<InboxRows, Error> {
        let mut found = Vec::new();
        // One status at a time: each has an index of its own, and only a text that names the status can use it.
        for status in [Status::Open, Status::Closed] {
            if query.status.is_none_or(|wanted| wanted == status) {
                found.extend(self.page(project, query, status).await?);
            }
        }
        found.sort_by_key(|row| Reverse((row.at, row.id)));
        let limit = query.limit as usize;
        let more = found.len() > limit;
        found.truncate(limit);
        let cursor = found.last().filter(|_| more).map(|last| Cursor { at: last.at, id: last.id }.to_string());
        Ok(InboxRows { rows: found, cursor })
    }

    /// One more than the limit, of one status.
    async fn page(&self, project: ProjectId, query: &InboxQuery, status: Status) -> Result<Vec<Conversation>, Error> {
        let mut conditions = Conditions::new(project, status);
        match query.assignee {
            Some(Some(agent)) => {
                let agent = conditions.parameter(Value::Text(agent.to_string()));
                conditions.add(&format!("assignee = {agent}"));
            }
            Some(None) => conditions.add("assignee IS NULL"),
            None => {}
        }
        if let Some(wanted) = query.visitor.as_deref().map(str::trim).filter(|wanted| !wanted.is_empty()) {
            conditions.visitor_contains(wanted);
        }
        if let Some(cursor) = query.before.as_deref().and_then(Cursor::parse) {
            let at = conditions.parameter(Value::Number(cursor.at));
            let id = conditions.parameter(Value::Text(cursor.id.to_string()));
            conditions.add(&format!("(at_ms, id) < ({at}, {id})"));
        }
        let limit = conditions.parameter(Value::Number(i64::from(query.limit) + 1));
        let text = format!(
            "SELECT {} FROM conversations WHERE {} ORDER BY at_ms DESC, id DESC LIMIT {limit}",
            rows::CONVERSATION,
            conditions.text,
        );
        let found = self.readers.fetch_all(conditions.bind(sqlx::query(AssertSqlSafe(text)))).await?;
        found.iter().map(rows::conversation).collect()
    }
}

/// Where a page ended: the time and id of its last head.
#[derive(Debug, PartialEq, Eq)]
struct Cursor {
    at: Millis,
    id: ConversationId,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('.')?;
        Some(Self { at: at.parse().ok()?, id: id.parse().ok()? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}", self.at, self.id)
    }
}

enum Value {
    Text(String),
    Number(i64),
}

/// A WHERE clause that grows. Values never become part of its text.
struct Conditions {
    text: String,
    values: Vec<Value>,
}

impl Conditions {
    fn new(project: ProjectId, status: Status) -> Self {
        let text = format!("project = $1 AND status = '{}'", status.as_str());
        Self { text, values: vec![Value::Text(project.to_string())] }
    }

    fn parameter(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn add(&mut self, condition: &str) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
    }

    fn visitor_contains(&mut self, wanted: &str) {
        let mut pattern = String::from("%");
        // NUL is in no name; PostgreSQL would not take it.
        for letter in wanted.to_lowercase().chars().filter(|letter| *letter != '\0') {
            if matches!(letter, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('%');
        let pattern = self.parameter(Value::Text(pattern));
        self.add(&format!(
            "EXISTS (SELECT 1 FROM visitors WHERE visitors.project = conversations.project \
             AND visitors.id = conversations.visitor AND (visitors.name_lower LIKE {pattern} ESCAPE '\\' \
             OR LOWER(visitors.email) LIKE {pattern} ESCAPE '\\'))"
        ));
    }

    fn bind(self, query: Query<'_, Any, AnyArguments>) -> Query<'_, Any, AnyArguments> {
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        })
    }
}
