//! What all nodes of one installation share and nobody else knows.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{Error, Log, rows};

impl Log {
    /// The installation's secret for `name`: 32 bytes, made at random by whichever node asks first.
    pub async fn secret(&self, name: &str) -> Result<Vec<u8>, Error> {
        let value = BASE64_STANDARD.encode(rand::random::<[u8; 32]>());
        let insert = "INSERT INTO secrets (name, value, created_ms) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
        let insert = sqlx::query(insert).bind(name.to_owned()).bind(value).bind(self.clock.now());
        self.execute(insert).await?;
        let select = sqlx::query("SELECT value FROM secrets WHERE name = $1").bind(name.to_owned());
        let row = self.readers.fetch_one(select).await?;
        BASE64_STANDARD.decode(rows::text(&row, "value")?).map_err(|_| Error::Damaged("secret"))
    }
}
