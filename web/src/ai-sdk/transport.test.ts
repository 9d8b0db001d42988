/** What the transport sends, and how what goes wrong comes back; the socket's other end is the test. */
import type { UIMessage } from "ai";
import { describe, expect, it } from "vitest";
import { ACCEPTED, delta, PART, page, Rig, STARTED, settle } from "../sdk/rig.ts";
import {
  accept,
  all,
  answered,
  asked,
  COMPLETED,
  online,
  refuse,
  running,
  unanswered,
  written,
} from "./testing.ts";
import { HoldfastTransport } from "./transport.ts";

describe("sendMessages", () => {
  it("submits the first question as a root, and each after it under the answer before", async () => {
    const { socket, send, submitted } = await online({ agent: "demo" });
    await send([asked("m1", "One")]);
    expect(submitted()).toMatchObject({
      chat_id: "c",
      message_id: "m1",
      text: "One",
      root: true,
      agent: "demo",
    });
    const first = await accept(socket);
    await send([asked("m1", "One"), answered(first), asked("m2", "Two")]);
    expect(submitted()).toMatchObject({ message_id: "m2", text: "Two", parent_id: first });
    expect(submitted()).not.toHaveProperty("root");
  });

  it("passes over what the server has not: greetings, and answers that are not its own", async () => {
    const { send, submitted } = await online();
    const greeting: UIMessage = { id: "g", role: "assistant", parts: [{ type: "text", text: "Hello!" }] };
    await send([greeting, asked("m1", "One")]);
    expect(submitted()).toMatchObject({ root: true });
  });

  it("gives an edited question an id of its own, and knows it by that from then on", async () => {
    const { socket, send, submitted } = await online();
    await send([asked("m1", "Other")], { messageId: "m1" });
    const { message_id } = submitted();
    expect(message_id).not.toBe("m1");
    await accept(socket);
    await send([asked("m1", "Other")], { trigger: "regenerate-message" });
    expect(submitted()).toMatchObject({ parent_id: message_id });
    expect(submitted()).not.toHaveProperty("text");
  });

  it("tells a refusal as an error, keeps nothing of it, and asks anew when asked again", async () => {
    const { rig, socket, send, submitted } = await online();
    const stream = await send([asked("m1", "One")]);
    const refused = submitted().request_id;
    await refuse(socket, "submit", "invalid");
    expect((await all(stream)).at(-1)).toEqual({ type: "error", errorText: "It is invalid." });
    await settle();
    expect(rig.client.outbox.get()).toEqual([]);
    await send([asked("m1", "One")], { trigger: "regenerate-message" });
    expect(submitted()).toMatchObject({ text: "One", root: true });
    expect(submitted().request_id).not.toBe(refused);
    await accept(socket);
    await send([asked("m0", "Zero"), answered(refused), asked("m2", "Two")]);
    expect(submitted()).toMatchObject({ parent_id: "m0" });
  });

  it("hands on options from the body", async () => {
    const { send, submitted } = await online({ options: (body) => ({ ...body, seed: 1 }) });
    await send([asked("m1", "One")], { body: { words: 2 } });
    expect(submitted()).toMatchObject({ options: { words: 2, seed: 1 } });
  });

  it("rejects what cannot be asked", async () => {
    const { send, socket } = await online();
    await expect(send([asked("m1", "One")], { chatId: "no id" })).rejects.toThrow("chat's id");
    await expect(send([answered("a")])).rejects.toThrow("the person's");
    const file = { type: "file", mediaType: "text/plain", url: "data:," } as const;
    await expect(send([{ id: "m", role: "user", parts: [file] }])).rejects.toThrow("Files");
    expect(socket.all("submit")).toEqual([]);
  });

  it("goes on in the same stream when the connection was lost", async () => {
    const { rig, socket, send } = await online();
    const stream = await send([asked("m1", "One")]);
    const id = await accept(socket);
    socket.say(page(id, 0, ACCEPTED, STARTED, PART, delta("Hel")));
    const next = await rig.reconnect();
    await settle();
    const { ref, cursor } = next.last("subscribe");
    expect(cursor).toBe("4-1.0b0b0b0b");
    next.say({ type: "subscribed", ref, request_id: id, status: "running" });
    next.say(page(id, 4, delta("lo."), COMPLETED));
    next.say({
      type: "caught_up",
      request_id: id,
      cursor: "6-1.0b0b0b0b",
      parts: 1,
      bytes: 6,
      digest: "7984d31f",
      sealed: true,
    });
    const chunks = await all(stream);
    expect(written(chunks)).toBe("Hello.");
    expect(chunks.filter(({ type }) => type === "start" || type === "reset-step")).toHaveLength(1);
    expect(chunks.at(-1)).toMatchObject({ type: "finish", finishReason: "stop" });
  });
});

describe("an abort", () => {
  it("ends the request, or only the reading of it", async () => {
    for (const abort of ["cancel", "detach"] as const) {
      const { socket, send } = await online({ abort });
      const stop = new AbortController();
      const stream = await send([asked("m1", "One")], { abortSignal: stop.signal });
      await accept(socket);
      stop.abort();
      expect((await all(stream)).at(-1)).toEqual({ type: "abort" });
      await settle();
      expect(socket.all("cancel")).toHaveLength(abort === "cancel" ? 1 : 0);
    }
  });

  it("takes back a question that was not sent, which then is nobody's parent", async () => {
    const rig = new Rig();
    rig.client.start();
    await settle();
    const transport = new HoldfastTransport({ client: rig.client });
    const stop = new AbortController();
    const given = { chatId: "c", trigger: "submit-message", messageId: undefined } as const;
    await transport.sendMessages({ ...given, messages: [asked("m1", "One")], abortSignal: stop.signal });
    await settle();
    stop.abort();
    await settle();
    expect(rig.client.outbox.get()).toEqual([]);
    const messages = [asked("m1", "One"), asked("m2", "Two")];
    await transport.sendMessages({ ...given, messages, abortSignal: undefined });
    const socket = await rig.greet();
    expect(socket.last("submit").request).toMatchObject({ text: "Two", root: true });
  });
});

describe("reconnectToStream", () => {
  it("finds the running request, or none", async () => {
    const { socket, transport } = await online();
    const none = transport.reconnectToStream({ chatId: "c" });
    await settle();
    expect(socket.last("list_requests")).toMatchObject({ chat_id: "c", active: true });
    socket.say({ type: "requests", ref: socket.last("list_requests").ref, requests: [] });
    expect(await none).toBeNull();
    const some = transport.reconnectToStream({ chatId: "c" });
    await settle();
    const row = {
      request_id: "r-9",
      version: 1,
      status: "running",
      agent: "demo",
      created_at: 1,
      updated_at: 1,
    };
    socket.say({ type: "requests", ref: socket.last("list_requests").ref, requests: [row] });
    expect(await some).not.toBeNull();
    await settle();
    expect(socket.last("subscribe")).toMatchObject({ request_id: "r-9" });
  });

  it("finds a question that still waits to be sent", async () => {
    const { rig, socket, transport, send, submitted } = await online();
    await send([asked("m1", "One")]);
    expect((await unanswered(rig, socket)).map(({ id }) => id)).toEqual(["m1"]);
    const found = transport.reconnectToStream({ chatId: "c" });
    await settle();
    socket.say({ type: "requests", ref: socket.last("list_requests").ref, requests: [] });
    expect((await (await found)?.getReader().read())?.value).toMatchObject({
      messageId: submitted().request_id,
    });
  });

  it("does not end a request because it is resumed once more", async () => {
    const { rig, socket, transport } = await online();
    await running(rig, socket);
    const first = new AbortController();
    const stream = await transport.reconnectToStream({ chatId: "c", abortSignal: first.signal });
    first.abort();
    const second = new AbortController();
    const again = await transport.reconnectToStream({ chatId: "c", abortSignal: second.signal });
    expect((await all(stream!)).at(-1)).toEqual({ type: "abort" });
    expect(socket.all("cancel")).toEqual([]);
    second.abort();
    expect((await all(again!)).at(-1)).toEqual({ type: "abort" });
    await settle();
    expect(socket.all("cancel")).toHaveLength(1);
  });

  it("is null where it was aborted before there was a stream", async () => {
    const { rig, socket, transport } = await online();
    await running(rig, socket);
    const stop = new AbortController();
    const found = transport.reconnectToStream({ chatId: "c", abortSignal: stop.signal });
    stop.abort();
    expect(await found).toBeNull();
    await settle();
    expect(socket.all("cancel")).toEqual([]);
  });
});
