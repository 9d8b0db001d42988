import { expect, test } from "vitest";
import { tabTitle } from "./tabTitle.ts";
import { chat, FakeClient, FakeSurroundings, modelFor, request, settled } from "./testing.ts";

const DONE = { status: "completed", ended_at: 50, version: 2 } as const;

/** What the inbox shows, shortly. */
function shown(model: ReturnType<typeof modelFor>["model"]) {
  return model.inbox.view.get().items.map((item) => [item.requestId, item.kind, item.seen]);
}

test("what ended or waits is in the inbox, newest first; what runs or was stopped is not", () => {
  const { model, client } = modelFor();
  client.feed.learn([
    chat("c"),
    request("r1", DONE),
    request("r2", { status: "interrupted", ended_at: 70 }),
    request("r3", { status: "waiting", updated_at: 60 }),
    request("r4", { status: "running" }),
    request("r5", { status: "cancelled", ended_at: 80 }),
  ]);
  expect(shown(model)).toEqual([
    ["r2", "failed", false],
    ["r3", "waiting", false],
    ["r1", "done", false],
  ]);
  expect(model.inbox.view.get().unseen).toBe(3);
});

test("seeing the chat on another device sees its items here", () => {
  const { model, client } = modelFor();
  client.feed.learn([chat("c"), request("r1", DONE), request("r2", { ...DONE, ended_at: 90 })]);
  client.feed.learn([chat("c", { version: 2, seen_at: 60 })]);
  expect(shown(model)).toEqual([
    ["r2", "done", false],
    ["r1", "done", true],
  ]);
});

test("after a reload the inbox is there again, from the server's list", async () => {
  const client = new FakeClient();
  client.requests = [request("r1", DONE)];
  client.feed.learn([chat("c")]);
  const { model } = modelFor(client);
  expect(model.inbox.view.get().loading).toBe(true);
  await settled();
  expect(shown(model)).toEqual([["r1", "done", false]]);
  expect(model.inbox.view.get().loading).toBe(false);
});

test("all seen: chats are told to the server, requests without a chat are remembered here; what waits stays", async () => {
  const around = new FakeSurroundings();
  const { model, client } = modelFor(new FakeClient(), around);
  client.feed.learn([
    chat("c", { last_status: "completed", last_ended_at: 50 }),
    request("r1", DONE),
    request("r2", { ...DONE, chat_id: null }),
    request("r3", { status: "waiting" }),
  ]);
  expect(model.inbox.view.get().unseen).toBe(3);
  model.inbox.view.get().markAllSeen();
  expect(shown(model).filter(([, , seen]) => !seen)).toEqual([["r3", "waiting", false]]);
  await settled();
  expect(client.sent("update_chat")).toEqual([{ chat_id: "c", seen: true }]);

  const again = modelFor(new FakeClient(), around);
  again.client.feed.learn([request("r2", { ...DONE, chat_id: null })]);
  expect(shown(again.model)).toEqual([["r2", "done", true]]);
});

test("what happens in the chat that is looked at is seen", () => {
  const { model, client } = modelFor();
  client.feed.learn([chat("c")]);
  model.presence.show("c");
  client.feed.learn([request("r1", { status: "waiting" })]);
  expect(model.inbox.view.get().unseen).toBe(0);
});

test("items stay the same objects while they show the same", () => {
  const { model, client } = modelFor();
  client.feed.learn([chat("c"), request("r1", DONE)]);
  const view = model.inbox.view.get();
  client.feed.learn([request("r9", { chat_id: "d" })]);
  expect(model.inbox.view.get()).toBe(view);
});

test("an answer that ends where nobody looks is told of in passing, and opens from there", () => {
  const { client, toasts, around } = modelFor();
  client.feed.learn([chat("c", { title: "Trip" }), request("r1")]);
  client.feed.learn([request("r1", DONE)]);
  around.pass();
  expect(toasts).toMatchObject([{ text: "“Trip” is answered", action: { label: "Open" } }]);
  toasts[0]?.action?.onSelect();
  expect(around.opened).toEqual(["/c/c"]);
});

test("many that end together are told of together; those that are looked at, or were over before, not at all", () => {
  const { model, client, toasts, around } = modelFor();
  client.feed.learn([request("r0", DONE)]);
  around.pass();
  expect(toasts).toEqual([]);
  const chats = ["d", "e", "f"];
  for (const each of [...chats, "c"]) client.feed.learn([request(`r-${each}`, { chat_id: each })]);
  model.presence.show("c");
  for (const each of [...chats, "c"]) client.feed.learn([request(`r-${each}`, { chat_id: each, ...DONE })]);
  around.pass();
  expect(toasts).toMatchObject([{ text: "3 answers have news", action: { label: "Inbox" } }]);
});

test("the tab's title counts chats with news and marks what runs", () => {
  const { model, client } = modelFor();
  const title = (chatId: string | null) => tabTitle(model.chats.items.get().values(), chatId);
  expect(title(null)).toBe("Holdfast");
  client.feed.learn([chat("c", { title: "Trip" }), chat("d", { last_status: "failed", last_ended_at: 9 })]);
  expect(title("c")).toBe("(1) Trip — Holdfast");
  client.feed.learn([request("r1", { status: "waiting" })]);
  expect(title("c")).toBe("(2) Trip — Holdfast");
  client.feed.learn([request("r2")]);
  expect(title(null)).toBe("(2) ● Holdfast");
});

test("what ended in a chat that was put away is done with, now and after a reload", () => {
  const { model, client } = modelFor();
  client.feed.learn([chat("c"), request("r1", DONE)]);
  client.feed.learn([chat("c", { version: 2, archived: true })]);
  expect(shown(model)).toEqual([["r1", "done", true]]);
});
