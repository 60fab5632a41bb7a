import { describe, expect, it } from "vitest";
import { chatUrl, doubts, snippet } from "./snippet.ts";

const profile = (origins: string[], public_url = "https://chat.example.org/") => ({ project: { id: "p", name: "P", public_key: "pk_1", origins }, public_url });

describe("set-up guide", () => {
  it("prints addresses without a double slash", () => {
    expect(snippet(profile([]))).toContain('src="https://chat.example.org/w/loader.js"');
    expect(chatUrl(profile([]))).toBe("https://chat.example.org/chat/pk_1");
  });

  it("says what does not make sense", () => {
    expect(doubts(profile(["https://shop.example"]), "https://chat.example.org/c/setup")).toEqual([]);
    expect(doubts(profile(["https://chat.example.org"]), "https://chat.example.org/")).toEqual(["no-origins"]);
    expect(doubts(profile(["http://shop.example", "http://localhost:3000"]), "http://10.0.0.1/")).toEqual(["plain-http", "other-host"]);
    expect(doubts(profile(["http://127.0.0.1:8080", "http://localhost:3000"]), "https://chat.example.org/")).toEqual([]);
  });
});
