/** A chat as it is loaded: the newest branch, and what is left to resuming. */
import { describe, expect, it } from "vitest";
import { ACCEPTED, delta, PART, page, STARTED, settle } from "../sdk/rig.ts";
import { loadMessages } from "./history.ts";
import {
  ANSWER,
  all,
  COMPLETED,
  loaded,
  online,
  QUESTION,
  refuse,
  running,
  WHOLE,
  written,
} from "./testing.ts";

describe("loadMessages", () => {
  it("gives the newest branch, oldest first, as the stream had told it", async () => {
    const { rig, socket } = await online();
    const other = { ...WHOLE, message_id: "r-0" };
    const messages = await loaded(rig, socket, { messages: [WHOLE, other, QUESTION] });
    expect(messages.map(({ id, role }) => [id, role])).toEqual([
      ["m1", "user"],
      ["r-1", "assistant"],
    ]);
    expect(messages[1]?.parts).toContainEqual(
      expect.objectContaining({ type: "text", text: "Hello.", state: "done" }),
    );
    expect(messages[1]?.metadata).toMatchObject({ requestId: "r-1", status: "completed" });
  });

  it("reads page after page", async () => {
    const { rig, socket } = await online();
    const loading = loadMessages(rig.client, "c");
    await settle();
    socket.say({ type: "messages", ref: socket.last("list_messages").ref, messages: [WHOLE], next: "p2" });
    await settle();
    expect(socket.last("list_messages")).toMatchObject({ before: "p2" });
    socket.say({ type: "messages", ref: socket.last("list_messages").ref, messages: [QUESTION] });
    expect((await loading).map(({ id }) => id)).toEqual(["m1", "r-1"]);
  });

  it("leaves a running answer, and what it stands beside, to resuming, which finds it also when it has ended", async () => {
    const { rig, socket, transport } = await online();
    expect((await running(rig, socket)).map(({ id }) => id)).toEqual(["m1"]);
    const stream = await transport.reconnectToStream({ chatId: "c" });
    await settle();
    expect(socket.all("list_requests")).toEqual([]);
    socket.say({
      type: "subscribed",
      ref: socket.last("subscribe").ref,
      request_id: "r-2",
      status: "completed",
      reset: "start",
    });
    socket.say({ type: "snapshot", request_id: "r-2", reason: "start" });
    socket.say(page("r-2", 0, ACCEPTED, STARTED, PART, delta("Hello."), COMPLETED));
    socket.say({
      type: "caught_up",
      request_id: "r-2",
      cursor: "5-1.0b0b0b0b",
      parts: 1,
      bytes: 6,
      digest: "7984d31f",
      sealed: true,
    });
    expect(written(await all(stream!))).toBe("Hello.");
    const later = transport.reconnectToStream({ chatId: "c" });
    await settle();
    socket.say({ type: "requests", ref: socket.last("list_requests").ref, requests: [] });
    expect(await later).toBeNull();
  });

  it("keeps the place of an answer whose content is gone", async () => {
    const { rig, socket } = await online();
    const gone = { ...ANSWER, status: "failed", damaged: true };
    const messages = await loaded(rig, socket, { messages: [gone, QUESTION] });
    expect(messages[1]).toEqual({
      id: "r-1",
      role: "assistant",
      metadata: { requestId: "r-1", status: "failed" },
      parts: [],
    });
  });

  it("is empty for a chat that is not there, and rejects for anything else", async () => {
    for (const code of ["unknown_chat", "invalid"]) {
      const { rig, socket } = await online();
      const loading = loadMessages(rig.client, "c");
      await settle();
      const outcome = loading.then(
        (messages) => messages.length,
        (error: { code: string }) => error.code,
      );
      await refuse(socket, "list_messages", code);
      expect(await outcome).toBe(code === "unknown_chat" ? 0 : "invalid");
    }
  });
});
