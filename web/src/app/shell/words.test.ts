/** What the shell says and where it is: the connection's line, days, addresses. */
import type { ConnectionState } from "@sdk";
import { describe, expect, it } from "vitest";
import { connectionWords } from "./connectionWords.ts";
import { excerpt } from "./excerpt.ts";
import { groupByDay } from "./groups.ts";
import { placeOf } from "./place.ts";

const NOW = new Date(2026, 5, 15, 12).getTime();
const DAY = 86_400_000;

const FINE: ConnectionState = {
  phase: "online",
  retryAt: null,
  tries: 0,
  reason: "",
  code: null,
  needsToken: false,
  draining: false,
  durable: true,
  user: "ann",
  server: "1",
  operator: false,
  limits: {},
  unsent: 0,
  since: NOW,
};

describe("connectionWords", () => {
  it("says nothing while all is well, and nothing before the start or after the end", () => {
    expect(connectionWords(FINE, NOW)).toBeNull();
    expect(connectionWords({ ...FINE, phase: "idle" }, NOW)).toBeNull();
    expect(connectionWords({ ...FINE, phase: "closed" }, NOW)).toBeNull();
  });

  it("says how many messages are kept while offline", () => {
    expect(connectionWords({ ...FINE, phase: "offline" }, NOW)?.text).toBe("You are offline.");
    expect(connectionWords({ ...FINE, phase: "offline", unsent: 1 }, NOW)?.text).toContain(
      "1 message is kept",
    );
    expect(connectionWords({ ...FINE, phase: "offline", unsent: 3 }, NOW)?.text).toContain(
      "3 messages are kept",
    );
  });

  it("asks to leave the page open where this browser keeps nothing, on line or not", () => {
    const unkept = { ...FINE, durable: false };
    expect(connectionWords(unkept, NOW)).toBeNull();
    expect(connectionWords({ ...unkept, phase: "offline", unsent: 1 }, NOW)?.text).toBe(
      "You are offline. 1 message waits; this browser cannot keep it, so leave this page open.",
    );
    expect(connectionWords({ ...unkept, unsent: 2 }, NOW)).toMatchObject({
      text: "Sending… 2 messages wait; this browser cannot keep them, so leave this page open.",
      tone: "warn",
    });
  });

  it("says what is being sent, and that a server is about to restart", () => {
    expect(connectionWords({ ...FINE, unsent: 1 }, NOW)?.text).toBe("Sending 1 message…");
    expect(connectionWords({ ...FINE, unsent: 3 }, NOW)?.text).toBe("Sending 3 messages…");
    expect(connectionWords({ ...FINE, draining: true, unsent: 3 }, NOW)?.text).toContain("about to restart");
  });

  it("counts down beside the sentence that is read aloud, never in it", () => {
    const early = connectionWords({ ...FINE, phase: "waiting", retryAt: NOW + 4200 }, NOW);
    const late = connectionWords({ ...FINE, phase: "waiting", retryAt: NOW + 4200 }, NOW + 2000);
    expect(early?.count).toBe("Next try in 5 s.");
    expect(late?.count).toBe("Next try in 3 s.");
    expect(early?.text).toBe(late?.text);
    expect(early?.action).toBe("retry");
  });

  it("tells a restart from a lost network, and a token from another refusal", () => {
    expect(connectionWords({ ...FINE, phase: "waiting", code: 1012 }, NOW)?.text).toContain("restarting");
    expect(connectionWords({ ...FINE, phase: "refused", needsToken: true }, NOW)?.action).toBe("token");
    const refused = connectionWords({ ...FINE, phase: "refused", reason: "Wrong origin." }, NOW);
    expect(refused).toMatchObject({ text: "Wrong origin.", action: "reload" });
  });
});

describe("groupByDay", () => {
  it("puts one heading before each day's rows, by the calendar and not by 24 hours", () => {
    const rows = [
      NOW,
      NOW - 11 * 3_600_000,
      NOW - 13 * 3_600_000,
      NOW - 3 * DAY,
      NOW - 20 * DAY,
      NOW - 40 * DAY,
      NOW - 400 * DAY,
    ];
    const lines = groupByDay(
      rows.map((updatedAt) => ({ updatedAt })),
      NOW,
    );
    expect(lines.map((line) => (line.kind === "heading" ? line.label : "-"))).toEqual([
      "Today",
      "-",
      "-",
      "Yesterday",
      "-",
      "Previous 7 days",
      "-",
      "Previous 30 days",
      "-",
      "May",
      "-",
      "May 2025",
      "-",
    ]);
  });
});

describe("placeOf", () => {
  it("knows the page's addresses, with or without a slash at the end", () => {
    expect(placeOf("/")).toEqual({ screen: "chat", chatId: null });
    expect(placeOf("/c/abc-1/")).toEqual({ screen: "chat", chatId: "abc-1" });
    expect(placeOf("/inbox")).toEqual({ screen: "inbox" });
    expect(placeOf("/activity")).toEqual({ screen: "activity" });
    expect(placeOf("/activity/r_1")).toEqual({ screen: "story", requestId: "r_1" });
  });

  it("is lost with anything else", () => {
    for (const path of ["/c", "/c/", "/c/a b", "/c/a/b", "/x", `/c/${"a".repeat(65)}`, "/inbox/1"]) {
      expect(placeOf(path)).toEqual({ screen: "lost" });
    }
  });
});

describe("what a search found", () => {
  it("is shown shortly after the beginning, however late in the text it stands", () => {
    const shown = excerpt(`${"some words before it ".repeat(9)}\u0002found\u0003 and after`);
    expect(shown).toMatch(/^…\S/);
    expect(shown.indexOf("\u0002")).toBeLessThan(32);
    expect(shown.endsWith("\u0002found\u0003 and after")).toBe(true);
  });

  it("is shown without the signs of Markdown", () => {
    expect(excerpt("## Head\n\n> a **bold** \u0002word\u0003 | `code`")).toBe(
      "Head a bold \u0002word\u0003 code",
    );
  });
});
