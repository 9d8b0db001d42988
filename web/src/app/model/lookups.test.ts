import { CommandError, type HitRow } from "@sdk";
import { expect, test } from "vitest";
import { Search } from "./lookups.ts";
import { FakeClient, modelFor, settled } from "./testing.ts";

const hit = (chatId: string): HitRow => ({
  chat_id: chatId,
  title: chatId,
  message_id: null,
  role: null,
  snippet: "",
  created_at: 1,
});

/** A client whose searches end when the test says so. */
function searching() {
  const client = new FakeClient();
  const ends: ((hits: readonly HitRow[] | CommandError) => void)[] = [];
  client.call = (_type, fields) => {
    client.calls.push({ type: "search", fields });
    return new Promise((resolve, reject) => {
      ends.push((hits) => (hits instanceof CommandError ? reject(hits) : resolve({ hits })));
    });
  };
  return { search: new Search(client.sdk), ends, client };
}

test("the latest query counts, whichever reply comes last; its predecessor's hits stand until then", async () => {
  const { search, ends } = searching();
  const first = search.look("one");
  ends[0]?.([hit("a")]);
  await first;
  expect(search.view.get()).toMatchObject({ state: "done", hits: [{ chat_id: "a" }] });
  const second = search.look("two");
  const third = search.look("three");
  expect(search.view.get()).toMatchObject({ state: "loading", hits: [{ chat_id: "a" }] });
  ends[2]?.([hit("c")]);
  await third;
  ends[1]?.([hit("b")]);
  await second;
  expect(search.view.get()).toMatchObject({ state: "done", hits: [{ chat_id: "c" }] });
});

test("an empty query asks nothing; a long one is cut; a refused one finds nothing; trouble is said", async () => {
  const { search, ends, client } = searching();
  await search.look("  ");
  expect(client.calls).toEqual([]);
  const long = search.look("x".repeat(500));
  expect(client.calls[0]?.fields.query).toBe("x".repeat(200));
  ends[0]?.(new CommandError("invalid", "No word in it."));
  await long;
  expect(search.view.get()).toEqual({ state: "done", hits: [], error: "" });
  const failing = search.look("y");
  ends[1]?.(new CommandError("internal", "The server failed."));
  await failing;
  expect(search.view.get()).toEqual({ state: "error", hits: [], error: "The server failed." });
});

test("with each connection the agents are asked for, and what is on screen is looked at again", async () => {
  const { model, client } = modelFor();
  client.chats = [];
  model.threads.of("c").open();
  await settled();
  expect(model.agents.rows.get()).toMatchObject([{ name: "demo" }]);
  client.connection.set({ ...client.connection.get(), phase: "offline" });
  const before = client.calls.length;
  client.connection.set({ ...client.connection.get(), phase: "online" });
  await settled();
  const asked = client.calls.slice(before).map((call) => call.type);
  expect(asked.sort()).toEqual(["list_agents", "list_messages", "list_requests"]);
});
