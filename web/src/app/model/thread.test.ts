import { CommandError } from "@sdk";
import { expect, test } from "vitest";
import { chat, FakeClient, FakeSurroundings, message, modelFor, request, settled } from "./testing.ts";
import type { ThreadView } from "./thread.ts";
import { THREADS_MAX } from "./threads.ts";

/** A started model whose chat `c` is on screen. */
async function opened(client = new FakeClient(), around = new FakeSurroundings()) {
  const all = modelFor(client, around);
  const thread = all.model.threads.of("c");
  const close = thread.open();
  all.model.presence.show("c");
  await settled();
  const view = (): ThreadView => thread.view.get();
  const ids = () => view().messages.map((each) => each.id);
  return { ...all, thread, close, view, ids, actions: all.model.threadActions("c") };
}

/** A client whose chat `c` has a question and its answer. */
function answered(): FakeClient {
  const client = new FakeClient();
  client.messages = [message("u1", null, 1), message("a1", "u1", 1)];
  return client;
}

test("a finished answer shows its parts from the history", async () => {
  const { view } = await opened(answered());
  const [asked, answer] = view().messages;
  expect(asked).toMatchObject({ role: "user", text: "text of u1", status: null, unsent: false });
  expect(answer).toMatchObject({ role: "assistant", answer: null, status: "completed" });
  expect(answer?.parts?.[0]).toMatchObject({ kind: "text", text: "text of a1" });
  expect(view()).toMatchObject({ head: "a1", loading: false, missing: false, hasOlder: false });
});

test("a chat that does not exist is missing; one that was made here a moment ago is not asked for", async () => {
  const { view, model, client } = await opened();
  expect(view().missing).toBe(true);
  const fresh = model.threads.of(model.chats.newChatId());
  fresh.open();
  await settled();
  expect(fresh.view.get()).toMatchObject({ missing: false, loading: false });
  expect(client.sent("list_messages")).toHaveLength(1);
});

test("what is sent shows at once, unsent, and stays the same messages until the history has them", async () => {
  const { client, actions, view, ids } = await opened(answered());
  const answer = actions.send("And then?");
  const [, , asked, waiting] = view().messages;
  expect(asked).toMatchObject({ text: "And then?", parentId: "a1", unsent: true, status: "unsent" });
  expect(waiting).toMatchObject({ id: answer.requestId, parentId: asked?.id, unsent: true });
  expect(waiting?.answer).toBe(answer);
  expect(view().running).toEqual([answer]);

  const order = ids();
  client.accept(answer.requestId);
  expect(ids()).toEqual(order);
  expect(view().messages[2]).toMatchObject({ unsent: false, status: null });
  expect(view().messages[3]).toMatchObject({ unsent: false, status: "queued" });
});

test("a message sent while an answer runs goes under that answer", async () => {
  const { actions, ids, view } = await opened(answered());
  const first = actions.send("one");
  const second = actions.send("two");
  expect(view().messages[4]).toMatchObject({ text: "two", parentId: first.requestId });
  expect(ids().at(-1)).toBe(second.requestId);
  expect(view().running).toEqual([first, second]);
});

test("a refused message says why, is no parent of the next one, and is sent again by retry", async () => {
  const { client, actions, view } = await opened(answered());
  const refused = actions.send("one");
  client.refuse(refused.requestId, "Too long.");
  expect(view().messages[2]).toMatchObject({ refusal: "Too long.", unsent: true });
  expect(view().running).toEqual([]);
  actions.retry(refused.requestId);
  expect(client.sent("retry")).toEqual([{ requestId: refused.requestId }]);
  actions.send("two");
  expect(client.outbox.get()[1]?.submission.parent_id).toBe("a1");
});

test("unsent messages are there again after a reload", async () => {
  const client = answered();
  const first = await opened(client);
  first.actions.send("Offline");
  first.stop();
  const again = await opened(client);
  expect(again.view().messages[2]).toMatchObject({ text: "Offline", unsent: true });
});

test("what was taken back before it was sent goes at once", async () => {
  const { client, actions, ids } = await opened(answered());
  const answer = actions.send("one");
  void client.withdraw(answer.requestId);
  expect(ids()).toEqual(["u1", "a1"]);
});

test("what another tab withdrew goes, after a look at the history", async () => {
  const { client, actions, ids } = await opened(answered());
  const answer = actions.send("one");
  client.fake(answer.requestId).become({ delivery: "sending" });
  client.outbox.set([]); // gone, and nobody said that it was accepted
  expect(ids()).toHaveLength(4);
  await settled();
  expect(ids()).toEqual(["u1", "a1"]);
});

test("an edit is a sibling of the message, and the branch goes with it", async () => {
  const client = answered();
  client.messages.push(message("u2", "a1", 2), message("a2", "u2", 2));
  const { actions, view, ids } = await opened(client);
  const edited = actions.edit("u2", "Otherwise?");
  expect(view().messages.map((each) => each.text)).toEqual(["text of u1", "", "Otherwise?", ""]);
  expect(view().messages[2]?.siblings).toEqual({ index: 1, count: 2 });
  expect(client.outbox.get()[0]?.submission).toMatchObject({ parent_id: "a1", text: "Otherwise?" });

  view().branch(view().messages[2]!.id, -1);
  expect(ids()).toEqual(["u1", "a1", "u2", "a2"]);
  view().branch("u2", 1);
  expect(ids().at(-1)).toBe(edited?.requestId);
});

test("other first words stand beside the first ones", async () => {
  const { actions, client, view } = await opened(answered());
  actions.edit("u1", "Otherwise?");
  const { submission } = client.outbox.get()[0]!;
  expect(submission).toMatchObject({ chat_id: "c", root: true, text: "Otherwise?" });
  expect(submission.parent_id).toBeUndefined();
  expect(view().messages.map((each) => each.text)).toEqual(["Otherwise?", ""]);
  expect(view().messages[0]?.siblings).toEqual({ index: 1, count: 2 });
});

test("regenerating asks for another answer to the same message, beside the first", async () => {
  const { actions, client, view } = await opened(answered());
  const answer = actions.regenerate("a1");
  const { submission } = client.outbox.get()[0]!;
  expect(submission).toMatchObject({ chat_id: "c", parent_id: "u1" });
  expect(submission.text).toBeUndefined();
  expect(view().messages[1]).toMatchObject({ id: answer?.requestId, siblings: { index: 1, count: 2 } });
});

test("a chosen branch is remembered over a reload", async () => {
  const client = answered();
  client.messages.push(message("b1", "u1", 5));
  const around = new FakeSurroundings();
  const first = await opened(client, around);
  expect(first.ids()).toEqual(["u1", "b1"]);
  first.view().branch("b1", -1);
  expect(first.ids()).toEqual(["u1", "a1"]);
  expect((await opened(client, around)).ids()).toEqual(["u1", "a1"]);
});

test("answers of the chat on screen are followed, and let go when it leaves the screen", async () => {
  const client = answered();
  client.messages[1] = message("a1", "u1", 1, { transcript: null, status: null });
  const { close, view } = await opened(client);
  expect(client.fake("a1").holds).toBe(1);
  expect(view().messages[1]?.answer).toBe(client.answer("a1"));
  close();
  expect(client.fake("a1").holds).toBe(0);
});

test("deltas change nothing here; a status changes its message alone", async () => {
  const client = answered();
  client.messages.push(message("u2", "a1", 2), message("a2", "u2", 2, { transcript: null, status: null }));
  const { view } = await opened(client);
  const before = view();
  client.fake("a2").become({ status: "running", sync: "live", offset: 3 });
  const running = view();
  expect(running.messages[3]?.status).toBe("running");
  expect(running.messages[3]).not.toBe(before.messages[3]);
  for (const at of [0, 1, 2]) expect(running.messages[at]).toBe(before.messages[at]);

  client.fake("a2").delta([{ kind: "text", at: 1, text: "Hel", open: true, chunks: ["Hel"] }]);
  client.fake("a2").become({ offset: 5 });
  expect(view()).toBe(running);
});

test("an answer that ends on screen goes on being shown from what was followed, then from the history", async () => {
  const client = answered();
  client.messages[1] = message("a1", "u1", 1, { transcript: null, status: null });
  const { thread, close, view } = await opened(client);
  client.fake("a1").become({ status: "running", sync: "live", offset: 3 });
  client.fake("a1").become({ status: "completed", sync: "ended", offset: 9 });
  const ended = view().messages[1];
  expect(ended).toMatchObject({ status: "completed", parts: null });
  expect(view().running).toEqual([]);

  client.messages[1] = message("a1", "u1", 1);
  await thread.refresh();
  expect(view().messages[1]).toBe(ended);

  close();
  thread.open();
  expect(view().messages[1]).toMatchObject({ answer: null, status: "completed" });
  expect(view().messages[1]?.parts).toHaveLength(1);
});

test("coming back shows at once what was there, whole, though the answer ended meanwhile", async () => {
  const client = answered();
  client.messages[1] = message("a1", "u1", 1, { transcript: null, status: null });
  const { model, close } = await opened(client);
  close();
  client.messages[1] = message("a1", "u1", 1);
  client.feed.learn([request("a1", { status: "completed", version: 2, message_id: "u1" })]);
  await settled();
  const back = model.threads.of("c");
  back.open();
  expect(back.view.get().messages[1]).toMatchObject({ answer: null, status: "completed" });
});

test("a message of another device appears under the branch on screen", async () => {
  const client = answered();
  const { ids, view } = await opened(client);
  client.messages.push(message("u2", "a1", 2), message("r2", "u2", 2, { transcript: null, status: null }));
  client.feed.learn([request("r2", { message_id: "u2", status: "queued" })]);
  expect(ids()).toEqual(["u1", "a1"]); // its question is not here yet: nothing jumps
  await settled();
  expect(ids()).toEqual(["u1", "a1", "u2", "r2"]);
  expect(view().messages[3]?.answer).toBe(client.answer("r2"));
});

test("an answer is not shown before its question is there", async () => {
  const client = answered();
  let come = () => {};
  client.gates.set("list_messages", new Promise((resolve) => (come = resolve)));
  const { ids, view, thread } = await opened(client);
  client.messages.push(message("u2", "a1", 2), message("r2", "u2", 2, { transcript: null, status: null }));
  client.feed.learn([request("r2", { message_id: "u2" })]);
  thread.rebuild();
  expect(ids()).toEqual([]);
  expect(view().loading).toBe(true);
  come();
  await settled();
  expect(ids()).toEqual(["u1", "a1", "u2", "r2"]);
});

test("what was deleted on another device goes with all that is under it", async () => {
  const client = answered();
  client.messages.push(message("u2", "a1", 2), message("a2", "u2", 2));
  const { ids, thread } = await opened(client);
  client.feed.learn([request("a1", { message_id: "u1", deleted: true, version: 9 })]);
  expect(ids()).toEqual(["u1"]);
  client.messages = client.messages.slice(0, 1);
  await thread.refresh();
  expect(ids()).toEqual(["u1"]);
});

test("a message that is gone from the history goes from the screen", async () => {
  const client = answered();
  client.messages.push(message("u2", "a1", 2), message("a2", "u2", 2));
  const { ids, thread } = await opened(client);
  client.messages = client.messages.slice(0, 2);
  await thread.refresh();
  expect(ids()).toEqual(["u1", "a1"]);
});

test("a deleted message goes at once, and comes back if the server refuses", async () => {
  const client = answered();
  client.messages.push(message("u2", "a1", 2), message("a2", "u2", 2));
  const { actions, ids, toasts } = await opened(client);
  client.failing.set("delete_message", new CommandError("unavailable", "Try again."));
  const done = actions.removeMessage("u2");
  expect(ids()).toEqual(["u1", "a1"]);
  await done;
  expect(ids()).toEqual(["u1", "a1", "u2", "a2"]);
  expect(toasts.at(-1)).toMatchObject({ tone: "danger" });
});

test("stopping what was not sent puts its text back into the composer", async () => {
  const { actions, client, ids, model } = await opened(answered());
  const answer = actions.send("Wait");
  await actions.stop(answer.requestId);
  expect(ids()).toEqual(["u1", "a1"]);
  expect(model.drafts.of("c").get()).toBe("Wait");
  expect(client.sent("cancel")).toEqual([]);
});

test("older messages come page by page; a refresh leaves no gap", async () => {
  const client = new FakeClient();
  client.pageRows = 4;
  for (let n = 1; n <= 5; n++)
    client.messages.push(message(`u${n}`, n > 1 ? `a${n - 1}` : null, n), message(`a${n}`, `u${n}`, n));
  const { view, ids, thread } = await opened(client);
  expect(ids()).toEqual(["u4", "a4", "u5", "a5"]);
  expect(view().hasOlder).toBe(true);
  view().loadOlder();
  expect(view().loadingOlder).toBe(true);
  await settled();
  expect(ids()).toHaveLength(8);
  for (let n = 6; n <= 10; n++)
    client.messages.push(message(`u${n}`, `a${n - 1}`, n), message(`a${n}`, `u${n}`, n));
  await thread.refresh();
  expect(ids()).toHaveLength(18);
  expect(ids()[0]).toBe("u2");
  view().loadOlder();
  await settled();
  expect(ids()).toHaveLength(20);
  expect(view().hasOlder).toBe(false);
});

test("a message is revealed on its branch, however old, and one that is not there is not", async () => {
  const client = new FakeClient();
  client.pageRows = 2;
  client.messages = [
    message("u1", null, 1),
    message("a1", "u1", 2),
    message("u2", "a1", 3),
    message("a2", "u2", 4),
    message("u3", "a1", 5),
    message("a3", "u3", 6),
  ];
  const { thread, ids } = await opened(client);
  expect(ids()).toEqual(["u3", "a3"]);
  expect(await thread.reveal("a2")).toBe(true);
  expect(ids()).toEqual(["u2", "a2"]);
  expect(await thread.reveal("nowhere")).toBe(false);
  expect(ids()).toEqual(["u1", "a1", "u2", "a2"]);
});

test("a chat that is gone from the server goes from the screen, and what is unsent in it stays", async () => {
  const client = answered();
  const { thread, view, ids, actions } = await opened(client);
  client.messages = [];
  await thread.refresh();
  expect(view()).toMatchObject({ missing: true, messages: [] });
  actions.send("still mine");
  expect(ids()).toHaveLength(2);
});

test("an older page that comes after all was read anew leaves no gap", async () => {
  const client = new FakeClient();
  client.pageRows = 1;
  client.messages = Array.from({ length: 4 }, (_, at) => message(`u${at}`, at ? `u${at - 1}` : null, at));
  const { thread, view } = await opened(client);
  const history = () => view().messages.map((each) => each.id);
  let open = () => {};
  client.gates.set("list_messages", new Promise<void>((resolve) => (open = resolve)));
  view().loadOlder();
  client.gates.delete("list_messages");
  for (let at = 4; at < 20; at++) client.messages.push(message(`u${at}`, `u${at - 1}`, at));
  await thread.refresh();
  open();
  await settled();
  const all = history();
  expect(all).toEqual(Array.from({ length: all.length }, (_, at) => `u${20 - all.length + at}`));
});

test("what other devices did without a word is seen when the page is looked at again", async () => {
  const client = answered();
  const { around, ids } = await opened(client);
  around.visible.set(false);
  client.messages.pop();
  around.visible.set(true);
  await settled();
  expect(ids()).toEqual(["u1"]);
});

test("when somebody else signs in the page begins anew", async () => {
  const client = answered();
  const { around } = await opened(client);
  client.connection.set({ ...client.connection.get(), phase: "connecting" });
  client.connection.set({ ...client.connection.get(), phase: "online" });
  expect(around.reloads).toBe(0);
  client.connection.set({ ...client.connection.get(), user: "another" });
  expect(around.reloads).toBe(1);
});

test("a thousand chats looked at one after another leave no listener and no hold behind", async () => {
  const client = new FakeClient();
  client.chats = [chat("c")];
  const { model } = modelFor(client);
  const counted = { outbox: 0, rows: 0 };
  const { outbox, feed } = client;
  const [subscribe, onRow] = [outbox.subscribe.bind(outbox), feed.onRow.bind(feed)];
  outbox.subscribe = (listener) => {
    counted.outbox++;
    return subscribe(listener);
  };
  feed.onRow = (listener) => {
    counted.rows++;
    return onRow(listener);
  };
  for (let turn = 0; turn < 1_000; turn++) {
    const close = model.threads.of(`c${turn}`).open();
    const leave = model.presence.show(`c${turn}`);
    if (turn % 100 === 0) await settled();
    leave();
    close();
  }
  await settled();
  expect(counted).toEqual({ outbox: 0, rows: 0 });
  expect([...client.answers.values()].every((answer) => answer.holds === 0)).toBe(true);
});

test("a refresh that finds nothing new changes nothing", async () => {
  const client = answered();
  const { view, thread } = await opened(client);
  const before = view();
  client.messages = [message("u1", null, 1), message("a1", "u1", 1)]; // other objects, same content
  await thread.refresh();
  expect(view()).toBe(before);
});

test("trouble with loading is said, and the next load clears it", async () => {
  const client = answered();
  client.failing.set("list_messages", new CommandError("internal", "The server failed."));
  const { view, thread } = await opened(client);
  expect(view()).toMatchObject({ error: "The server failed.", missing: false, loading: false });
  client.failing.clear();
  await thread.refresh();
  expect(view().error).toBe("");
});

test("threads that are not on screen are kept up to a bound, the longest unused going first", async () => {
  const { model, thread } = await opened(answered());
  const early = model.threads.of("early");
  for (let n = 0; n < THREADS_MAX; n++) model.threads.of(`c${n}`);
  expect(model.threads.of("c")).toBe(thread); // on screen
  expect(model.threads.of("early")).not.toBe(early);
});

test("two thousand messages: a status makes one new message, and a delta none", async () => {
  const client = new FakeClient();
  client.pageRows = 2_000;
  for (let n = 1; n <= 1_000; n++) {
    const open = n === 1_000 ? { transcript: null, status: null } : {};
    client.messages.push(message(`u${n}`, n > 1 ? `a${n - 1}` : null, n), message(`a${n}`, `u${n}`, n, open));
  }
  const { view } = await opened(client);
  const before = view();
  expect(before.messages).toHaveLength(2_000);
  client.fake("a1000").become({ status: "running", sync: "live", offset: 1 });
  const changed = view().messages.filter((each, at) => each !== before.messages[at]);
  expect(changed.map((each) => each.id)).toEqual(["a1000"]);
  const running = view();
  for (let n = 0; n < 1_000; n++) client.fake("a1000").become({ offset: n });
  expect(view()).toBe(running);
});
