use super::*;

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let table = toml.parse().unwrap_or_else(|error| panic!("{error}"));
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    match Config::read(Reader::new(Some(("test.toml", table)), environment, &[])) {
        Ok(config) => Ok(config),
        Err(Error::Mistakes(mistakes)) => Err(mistakes),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn nothing_given_gives_the_defaults() {
    assert_eq!(load("", &[]), Ok(Config::default()));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let toml = r#"
        listen = "0.0.0.0:80"
        lisen = "127.0.0.1:1"
        redis.url = "redis://localhost"
        tokens.ttl_s = 5
        tls.cert_file = "/nowhere/cert.pem"
        log.format = "xml"
        log.level = "info,deskbell=loud"
        proxies.trusted = ["10.0.0.0/40"]
        telemetry.otlp_endpoint = "127.0.0.1:4318"
        telemetry.sample_ratio = 1.5
        [limits]
        frame_bytes = "big"
    "#;
    let mistakes = load(toml, &[("DESKBELL_DATABSE__URL", "x")]).err().unwrap_or_default().join("\n");
    for part in [
        "plain HTTP to the network",
        "lisen is no setting (test.toml); did you mean listen?",
        "redis.url is for several nodes, and a SQLite file serves one",
        "tokens.ttl_s takes a whole number from 60 to 3600",
        "/nowhere/cert.pem is alone",
        "come together",
        "log.format takes",
        "log.level takes",
        "proxies.trusted takes a list",
        "telemetry.otlp_endpoint takes the address of an OpenTelemetry collector",
        "telemetry.sample_ratio takes a number from 0 to 1",
        "limits.frame_bytes takes a whole number",
        "databse.url is no setting (DESKBELL_DATABSE__URL); did you mean database.url?",
    ] {
        assert!(mistakes.contains(part), "{part:?} is not in:\n{mistakes}");
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = load(
        "limits.write_burst = 7\nlisten = \"127.0.0.1:1\"",
        &[
            ("DESKBELL_LISTEN", "127.0.0.1:2"),
            ("DESKBELL_LIMITS__EXEMPT", "127.0.0.0/8, ::1/128"),
            ("DESKBELL_LIMITS__FRAGMENTS", "32"),
            ("DESKBELL_CONFIG", "/etc/deskbell.toml"),
            ("PATH", "/bin"),
        ],
    );
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    assert_eq!(config.listen.port(), 2);
    assert_eq!((config.limits.write_burst, config.limits.fragments, config.limits.exempt.len()), (7, 32, 2));
}

#[test]
fn secrets_are_not_shown() {
    for (url, said) in [
        ("mysql://desk:hunter22@db/desk", "database.url takes"),
        ("postgres://desk:hunter22@db/desk?passwort=hunter22", "database.url has a parameter that is none of"),
        ("postgres://desk:hunter22@db/desk?sslmode=allow", "sslmode takes"),
    ] {
        let mistakes = load(&format!("database.url = \"{url}\""), &[]).err().unwrap_or_default().join("\n");
        assert!(mistakes.contains(said) && !mistakes.contains("hunter22"), "{mistakes}");
    }
    let url = "postgres://desk:hunter22@db/desk?sslmode=verify-full&sslrootcert=/ca.pem&options[work_mem]=8MB";
    let config = load(&format!("database.url = \"{url}\""), &[]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    assert_eq!(config.database_url.reveal(), url);
    assert!(config.show().contains("database.url = \"****\""));
    assert!(!format!("{config:?}").contains("hunter22"));
}

#[test]
fn what_is_shown_can_be_read_back() {
    let config = Config { token_ttl_s: 120, ..Config::default() };
    assert_eq!(load(&config.show(), &[]), Ok(config));
}

#[test]
fn the_example_file_is_current_and_means_the_defaults() {
    is_current("deploy/deskbell.example.toml", &example());
    let uncommented: Vec<String> = example()
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with(' '))
        .map(str::to_owned)
        .collect();
    assert_eq!(load(&uncommented.join("\n"), &[]), Ok(Config::default()));
}

/// Compares a file of the repository with what is generated for it, or writes it.
fn is_current(path: &str, generated: &str) {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, generated).unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), generated, "`make gen` brings {path} up to date");
}

#[test]
fn the_reference_is_current() {
    is_current("docs/configuration.md", &reference());
}

/// What the reference says that a setting takes is what it takes: nothing of another kind, and numbers to their bounds.
#[test]
fn the_reference_says_what_each_setting_takes() {
    let mistakes = |key: &str, value: &str| load(&format!("{key} = {value}"), &[]).err().unwrap_or_default().join("\n");
    for setting in settings::SETTINGS {
        let key = setting.key;
        let refused = |value: &str| assert!(mistakes(key, value).contains(&format!("{key} takes")), "{key} = {value}");
        refused("1979-05-27");
        match &setting.takes {
            settings::Takes::Text(_) | settings::Takes::List(_) => ["true", "7", "[7]"].into_iter().for_each(refused),
            settings::Takes::Flag => ["\"\"", "7", "[true]"].into_iter().for_each(refused),
            settings::Takes::Share => ["\"0.5\"", "-0.1", "1.01", "2", "nan", "[0.5]"].into_iter().for_each(refused),
            settings::Takes::Number(range, _) => {
                for number in [range.start() - 1, range.end() + 1] {
                    refused(&number.to_string());
                }
                for number in [range.start(), range.end()] {
                    assert_eq!(mistakes(key, &number.to_string()), "", "{key} = {number}");
                }
            }
        }
    }
}

#[test]
fn a_share_is_taken_as_it_is_written_in_file_and_environment() {
    for (toml, environment, share) in [
        ("", None, 0.1),
        ("telemetry.sample_ratio = 0", None, 0.0),
        ("telemetry.sample_ratio = 1", None, 1.0),
        ("telemetry.sample_ratio = 0.25", None, 0.25),
        ("telemetry.sample_ratio = 1", Some(" 0.5 "), 0.5),
    ] {
        let environment: Vec<_> =
            environment.map(|text| ("DESKBELL_TELEMETRY__SAMPLE_RATIO", text)).into_iter().collect();
        let config = load(toml, &environment).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        assert!((config.sample_ratio - share).abs() < f64::EPSILON, "{toml} {environment:?}: {}", config.sample_ratio);
    }
    for wrong in ["", "much", "1.5", "-1", "NaN", "10%", "0,5"] {
        let mistakes = load("", &[("DESKBELL_TELEMETRY__SAMPLE_RATIO", wrong)]).err().unwrap_or_default().join("\n");
        let said = "telemetry.sample_ratio takes a number from 0 to 1 (DESKBELL_TELEMETRY__SAMPLE_RATIO)";
        assert!(mistakes.contains(said), "{wrong:?}: {mistakes}");
    }
}
