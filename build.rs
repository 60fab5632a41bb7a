//! Looks whether the pages are built, before a release is made without them. Never calls npm.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DESKBELL_WITHOUT_PAGES");
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if !is_release {
        return;
    }
    println!("cargo::rerun-if-changed=web/dist");
    let pages = ["console/index.html", "w/loader.js", "w/chat.html", "demo/index.html"];
    let missing: Vec<&str> = pages.into_iter().filter(|page| !Path::new("web/dist").join(page).exists()).collect();
    if !missing.is_empty() && std::env::var_os("DESKBELL_WITHOUT_PAGES").is_none() {
        println!(
            "cargo::error=web/dist has no {}: run `make web` first, or set DESKBELL_WITHOUT_PAGES=1 for a server without pages",
            missing.join(", ")
        );
    }
}
