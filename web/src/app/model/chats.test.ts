import { CommandError } from "@sdk";
import { expect, test } from "vitest";
import { ChatPatches } from "./chatPatches.ts";
import { chat, entry, FakeClient, modelFor, request, settled } from "./testing.ts";
import type { ChatBadge } from "./types.ts";

/** The badge of chat `c`. */
function badge(model: ReturnType<typeof modelFor>["model"]): ChatBadge | undefined {
  return model.chats.items.get().get("c")?.badge;
}

test("a badge tells what is under way, what waits, what failed and what is unread, in the order of their urgency", () => {
  const { model, client } = modelFor();
  client.feed.learn([chat("c")]);
  expect(badge(model)).toBe(null);
  client.feed.learn([request("r1", { status: "queued" })]);
  expect(badge(model)).toBe("running");
  client.feed.learn([request("r2", { status: "waiting" })]);
  expect(badge(model)).toBe("waiting");
  expect(model.chats.items.get().get("c")).toMatchObject({ running: 2, waiting: 1 });

  client.feed.learn([
    request("r1", { status: "completed", version: 2 }),
    request("r2", { status: "failed", version: 2 }),
    chat("c", { version: 2, last_status: "failed", last_ended_at: 50, updated_at: 50 }),
  ]);
  expect(badge(model)).toBe("failed");
  client.outbox.set([entry({ request_id: "r3", chat_id: "c", text: "More" }, 60)]);
  expect(badge(model)).toBe("unsent");
  client.outbox.set([]);
  client.feed.learn([chat("c", { version: 3, last_status: "completed", last_ended_at: 70 })]);
  expect(badge(model)).toBe("unread");
  client.feed.learn([chat("c", { version: 4, last_status: "completed", last_ended_at: 70, seen_at: 70 })]);
  expect(badge(model)).toBe(null);
});

test("what the person stopped is not unread", () => {
  const { model, client } = modelFor();
  client.feed.learn([chat("c", { last_status: "cancelled", last_ended_at: 50, updated_at: 50 })]);
  expect(model.chats.items.get().get("c")).toMatchObject({ badge: null, unread: false });
});

test("failed and unread are known after a reload from the chat's row alone", () => {
  const { model, client } = modelFor();
  client.feed.learn([
    chat("c", { last_status: "timed_out", last_ended_at: 9 }),
    chat("d", { last_status: "completed", last_ended_at: 9 }),
  ]);
  expect(badge(model)).toBe("failed");
  expect(model.chats.items.get().get("d")?.badge).toBe("unread");
});

test("what ends in the chat that is looked at is seen at once, here and on the server", async () => {
  const { model, client, around } = modelFor();
  client.feed.learn([chat("c")]);
  const leave = model.presence.show("c");
  client.feed.learn([chat("c", { version: 2, last_status: "completed", last_ended_at: 50, updated_at: 50 })]);
  expect(badge(model)).toBe(null);
  await settled();
  expect(client.sent("update_chat")).toEqual([{ chat_id: "c", seen: true }]);

  around.visible.set(false);
  const later = { last_status: "completed", last_ended_at: 5_000, updated_at: 5_000 } as const;
  client.feed.learn([chat("c", { version: 9, seen_at: 1_000, ...later })]);
  expect(badge(model)).toBe("unread");
  around.visible.set(true);
  expect(badge(model)).toBe(null);
  leave();
  expect(badge(model)).toBe(null);
  await settled();
  expect(client.sent("update_chat")).toHaveLength(2);
});

test("a server that refuses to note what was seen is asked once for each end", async () => {
  const { model, client } = modelFor();
  client.failing.set("update_chat", new CommandError("unavailable", ""));
  client.feed.learn([chat("c", { last_status: "completed", last_ended_at: 50 })]);
  model.presence.show("c");
  await settled();
  client.feed.learn([request("r1")]);
  await settled();
  expect(client.sent("update_chat")).toHaveLength(1);
});

test("a new title shows at once, stays until the row has it, and goes if the server refuses", async () => {
  const { model, client, toasts } = modelFor();
  client.feed.learn([chat("c", { title: "Old" })]);
  const title = () => model.chats.items.get().get("c")?.title;
  let open = () => {};
  client.gates.set("update_chat", new Promise((resolve) => (open = resolve)));
  const done = model.chatActions.rename("c", "New");
  expect(title()).toBe("New");
  client.feed.learn([chat("c", { title: "Old", version: 2, updated_at: 2 })]); // it was on its way
  expect(title()).toBe("New");
  open();
  await done;
  expect(title()).toBe("New");
  expect(client.feed.chats.get().get("c")?.title).toBe("New");

  client.failing.set("update_chat", new CommandError("internal", "The server failed."));
  const refused = model.chatActions.rename("c", "Newer");
  expect(title()).toBe("Newer");
  await refused;
  expect(title()).toBe("New");
  expect(toasts).toEqual([{ text: "The chat could not be renamed: The server failed.", tone: "danger" }]);
});

test("a confirmed change stays until the row that is shown has it", () => {
  const patches = new ChatPatches();
  const old = chat("c", { title: "Old", version: 2 });
  expect(patches.over(old)).toBe(old);
  const laid = patches.lay("c", { title: "New", seenAt: 9 });
  laid.confirm(4);
  expect(patches.over(old)).toMatchObject({ title: "New", seen_at: 9 });
  expect(patches.over(chat("c", { title: "Old", version: 3 })).title).toBe("New");
  const newer = chat("c", { title: "Newest", version: 4 });
  expect(patches.over(newer)).toBe(newer);
  expect(patches.over(old)).toBe(old);
});

test("a deleted chat goes at once and undo brings it back", async () => {
  const { model, client, toasts } = modelFor();
  client.feed.learn([chat("c", { title: "Mine" }), chat("d")]);
  const ids = () => model.chats.lists.active.get().rows.map((row) => row.chatId);
  await model.chatActions.remove("c");
  expect(ids()).toEqual(["d"]);
  client.feed.learn([chat("c", { title: "Mine", version: 2, deleted: true })]);
  expect(ids()).toEqual(["d"]);
  toasts[0]?.action?.onSelect();
  expect(ids()).toEqual(["d", "c"]);
  await settled();
  expect(ids()).toEqual(["d", "c"]);
  expect(client.sent("restore_chat")).toEqual([{ chat_id: "c" }]);
});

test("a chat that the server does not delete is back", async () => {
  const { model, client } = modelFor();
  client.feed.learn([chat("c")]);
  client.failing.set("delete_chat", new CommandError("internal", ""));
  const done = model.chatActions.remove("c");
  expect(model.chats.items.get().has("c")).toBe(false);
  await done;
  expect(model.chats.items.get().has("c")).toBe(true);
});

test("archiving moves a chat to the other list", async () => {
  const { model, client } = modelFor();
  client.feed.learn([chat("c")]);
  const done = model.chatActions.archive("c", true);
  expect(model.chats.lists.active.get().rows).toEqual([]);
  expect(model.chats.lists.archived.get().rows).toHaveLength(1);
  await done;
  expect(model.chats.lists.archived.get().rows).toHaveLength(1);
});

test("a chat that is only in the outbox is listed, and stays so until its row comes", () => {
  const { model, client } = modelFor();
  const listed = () => model.chats.lists.active.get().rows.map((row) => [row.chatId, row.title, row.badge]);
  client.outbox.set([entry({ request_id: "r", chat_id: "c", text: "First\nline" }, 5)]);
  expect(listed()).toEqual([["c", "First", "unsent"]]);
  client.outbox.set([]);
  client.feed.learn([request("r", { status: "queued", title: "First" })]);
  expect(listed()).toEqual([["c", "First", "running"]]);
  client.feed.learn([chat("c", { title: "First" })]);
  expect(listed()).toEqual([["c", "First", "running"]]);
});

test("lines and lists stay the same objects while they show the same", () => {
  const { model, client } = modelFor();
  client.feed.learn([chat("c"), chat("d", { updated_at: 5, seen_at: 5 })]);
  const list = model.chats.lists.active.get();
  client.feed.learn([request("x", { chat_id: "other", status: "completed" })]);
  expect(model.chats.lists.active.get()).toBe(list);
  client.feed.learn([request("r1")]);
  const rows = model.chats.lists.active.get().rows;
  expect(rows[0]).toBe(list.rows[0]); // d did not change
  expect(rows[1]).not.toBe(list.rows[1]);
});

test("chats deleted while the connection was away go from the list", async () => {
  const client = new FakeClient();
  client.chats = [chat("c"), chat("d")];
  const { model } = modelFor(client);
  model.chats.want("active");
  await settled();
  expect(model.chats.items.get().size).toBe(2);
  client.connection.set({ ...client.connection.get(), phase: "waiting" });
  client.chats = [chat("d")];
  client.connection.set({ ...client.connection.get(), phase: "online" });
  await settled();
  expect([...model.chats.items.get().keys()]).toEqual(["d"]);
});

test("a title cannot turn round or break what stands beside it", () => {
  const { client, model } = modelFor();
  client.feed.learn([chat("c", { title: "\u202etxt.\u2066exe\n\u0007שלום\u0000" })]);
  expect(model.chats.items.get().get("c")?.title).toBe("txt. exe שלום");
});

test("a draft is told of in the chat's line", () => {
  const { model, client } = modelFor();
  client.feed.learn([chat("c")]);
  model.drafts.set("c", "half a");
  expect(model.chats.items.get().get("c")?.draft).toBe(true);
  model.drafts.set("c", "");
  expect(model.chats.items.get().get("c")?.draft).toBe(false);
});

test("the agent of a chat that does not exist yet goes with its first message", () => {
  const { model, client } = modelFor();
  const id = model.chatActions.newChatId();
  model.chatActions.setAgent(id, "tools");
  expect(model.chats.agentOf(id)).toBe("tools");
  model.threadActions(id).send("Hello");
  expect(client.outbox.get()[0]?.submission).toMatchObject({ chat_id: id, agent: "tools" });
  expect(client.sent("update_chat")).toEqual([]);
});
