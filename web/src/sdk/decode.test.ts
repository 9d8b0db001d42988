/** Reading frames: whatever comes, a complete message or nothing. */
import { describe, expect, it } from "vitest";
import { decodeServer, parseEvent, parseTranscript } from "./decode.ts";
import { foldEvents } from "./fold.ts";
import type { FeedPush } from "./wire.gen.ts";

const decode = (value: unknown) => decodeServer(JSON.stringify(value));

describe("decodeServer", () => {
  it("fills in what was left out, and leaves out what it does not know", () => {
    expect(
      decode({ type: "chat", ref: 1, more: 1, chat: { chat_id: "c", version: 2, title: "T", later: [] } }),
    ).toEqual({
      message: {
        type: "chat",
        ref: 1,
        chat: expect.objectContaining({
          chat_id: "c",
          version: 2,
          title: "T",
          agent: null,
          archived: false,
          seen_at: 0,
        }),
      },
    });
  });

  it.each([
    ["no JSON", "{"],
    ["no object", "[1]"],
    ["no type", "{}"],
    ["a wrong field", '{"type":"pong","ref":"1","at":2}'],
    ["a missing field", '{"type":"pong","ref":1}'],
    ["a number that is no count", '{"type":"pong","ref":1,"at":1.5}'],
    ["endless nesting", "[".repeat(200_000)],
    ["a type of the prototype's", '{"type":"toString"}'],
  ])("gives nothing for %s", (_, text) => {
    expect(decodeServer(text).message).toBeNull();
  });

  it("gives nothing for a binary frame", () => {
    expect(decodeServer(new ArrayBuffer(3)).message).toBeNull();
  });

  it("leaves out a row that it cannot read, and keeps the others", () => {
    const chat = { chat_id: "c", version: 1, title: "t", created_at: 1, updated_at: 1 };
    const row = (chat_id: string) => ({ type: "chat", chat: { ...chat, chat_id } });
    const events = [row("a"), { type: "hologram" }, { type: "chat", chat: { chat_id: 3 } }, row("b")];
    const { message } = decode({ type: "feed", next: "4-1.0b0b0b0b", events });
    expect(message).toMatchObject({ next: "4-1.0b0b0b0b" });
    expect((message as FeedPush).events.map((each) => "chat" in each && each.chat.chat_id)).toEqual([
      "a",
      "b",
    ]);
  });

  it("keeps the place of a message whose transcript it cannot read", () => {
    const row = { message_id: "a", chat_id: "c", role: "assistant", parent_id: "u", created_at: 1 };
    const messages = [
      { ...row, transcript: { status: "evaporated" } },
      { ...row, role: "narrator" },
    ];
    expect(decode({ type: "messages", ref: 1, messages })).toMatchObject({
      message: { messages: [{ message_id: "a", parent_id: "u", transcript: null, damaged: true }] },
    });
  });

  it("says which command a reply was for that it cannot read", () => {
    expect(decode({ type: "chats", ref: 7, chats: 3 })).toEqual({
      message: null,
      why: "unreadable",
      ref: 7,
    });
    expect(decode({ type: "brand_new", request_id: "r" })).toEqual({
      message: null,
      why: "unknown",
      ref: null,
    });
  });
});

describe("events and parts of later releases", () => {
  it("count by their span and keep the number of the part that they open", () => {
    const later = parseEvent({ type: "hologram", at: 5, span: 3, part: 0, depth: 2 });
    expect(later).toEqual({ type: "later", kind: "hologram", at: 5, span: 3, part: 0 });
    const fold = foldEvents([
      parseEvent({ type: "accepted", at: 1, nonce: "0a", agent: "a" })!,
      parseEvent({ type: "started", at: 2, attempt: 1, term: 1, nonce: "0b" })!,
      later!,
      parseEvent({ type: "part_started", at: 6, part: 1, kind: "text" })!,
    ]);
    expect(fold.offset).toBe(6);
    expect(fold.parts().map((part) => part.kind)).toEqual(["unknown", "text"]);
  });

  it("treat a known kind with a value that is not in its table alike", () => {
    expect(parseEvent({ type: "part_started", at: 1, part: 4, kind: "smell" })).toMatchObject({
      type: "later",
      part: 4,
    });
    expect(parseEvent({ type: "delta", at: 1, part: "x", text: "" })).toMatchObject({
      type: "later",
      part: null,
    });
    expect(parseEvent("delta")).toBeNull();
  });

  it("keep the other parts of a transcript in their places", () => {
    const transcript = parseTranscript({
      parts: [{ kind: "hologram", at: 3 }, { kind: "text", at: 4, text: "x" }, 5],
    });
    expect(transcript).toBeNull();
    const sound = parseTranscript({
      parts: [
        { kind: "hologram", at: 3 },
        { kind: "text", at: 4, text: "x" },
      ],
    });
    expect(sound?.parts).toEqual([
      { kind: "unknown", at: 3, event: "hologram" },
      { kind: "text", at: 4, text: "x", open: false },
    ]);
  });
});
