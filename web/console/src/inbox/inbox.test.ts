import type { Head } from "@deskbell/client";
import { describe, expect, it } from "vitest";
import { byWaiting, changes, neighbour, steady } from "./order.ts";
import { belongs, filterOf, searchOf, viewOf } from "./view.ts";
import { waited, waitLevel } from "./wait.ts";

const head = (conversation: string, waiting_since: number | null): Head => ({
  conversation, waiting_since, epoch: "e", status: "open", seq: 1, desk_seq: 0, visitor: { id: "v" }, assignee: null, unread: 0, preview: "", at: 0,
});

describe("order", () => {
  it("puts the longest wait first and keeps the rest as it was", () => {
    const heads: Record<string, Head> = { a: head("a", null), b: head("b", 20), c: head("c", null), d: head("d", 10) };
    expect(byWaiting(["a", "b", "c", "d"], (id) => heads[id])).toEqual(["d", "b", "a", "c"]);
  });

  it("does not move rows under the pointer, but may grow at the end", () => {
    expect(steady(["a", "b"], ["b", "a"], true)).toEqual(["a", "b"]);
    expect(steady(["a", "b"], ["b"], true)).toEqual(["a", "b"]);
    expect(steady(["a", "b"], ["a", "b", "c"], true)).toEqual(["a", "b", "c"]);
    expect(steady(["a", "b"], ["b", "a"], false)).toEqual(["b", "a"]);
  });

  it("counts what waits to be shown", () => {
    expect(changes(["a", "b"], ["a", "b"])).toBe(0);
    expect(changes(["a", "b"], ["c", "a", "b"])).toBe(1);
    expect(changes(["a", "b"], ["b", "a"])).toBe(2);
  });

  it("finds where to go after a close", () => {
    expect(neighbour(["a", "b", "c"], "b")).toBe("c");
    expect(neighbour(["a", "b", "c"], "c")).toBe("b");
    expect(neighbour(["a", "b", "c"], "a", -1)).toBe("b");
    expect(neighbour(["a"], "a")).toBeNull();
    expect(neighbour(["a", "b"], "x")).toBe("a");
  });
});

describe("views", () => {
  it("reads addresses, strange ones too", () => {
    expect(viewOf("closed")).toBe("closed");
    expect(viewOf("agent-0198c0de-0000-7000-8000-000000000001")).toBe("agent-0198c0de-0000-7000-8000-000000000001");
    expect(viewOf("agent-<script>")).toBe("mine");
    expect(searchOf({ q: 12, sort: "name", details: true })).toEqual({ q: "12", details: true });
  });

  it("asks the server for exactly what the list shows", () => {
    expect(filterOf("mine", " ")).toEqual({ status: "open", assignee: "me" });
    expect(filterOf("unassigned", "ada")).toEqual({ status: "open", assignee: "none", visitor: "ada" });
    expect(filterOf("closed", undefined)).toEqual({ status: "closed", assignee: "any" });
  });

  it("knows which list a row belongs to", () => {
    expect(belongs({ status: "open", assignee: null }, "unassigned", "me")).toBe(true);
    expect(belongs({ status: "open", assignee: "me" }, "mine", "me")).toBe(true);
    expect(belongs({ status: "closed", assignee: "me" }, "mine", "me")).toBe(false);
    expect(belongs({ status: "open", assignee: "x" }, "agent-x", "me")).toBe(true);
  });
});

describe("wait timer", () => {
  it("steps up with time and survives clocks that disagree", () => {
    expect(waitLevel(0)).toBe("fresh");
    expect(waitLevel(120_000)).toBe("long");
    expect(waitLevel(300_000)).toBe("late");
    expect(waited(2_000, 1_000)).toBe(0);
    expect(waited(0, 29_999)).toBe(20_000);
  });
});
