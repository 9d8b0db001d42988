/** Leaving a browser: what was typed or waits to be sent stays behind for nobody. */
import { expect, test } from "vitest";
import { modelFor, settled } from "./testing.ts";

test("whoever leaves takes along their drafts, kept or still being typed, and what waits to be sent", async () => {
  const { model, client, around, drafts } = modelFor();
  await settled();
  model.drafts.set("c", "half a sentence");
  around.pass();
  await settled();
  expect(drafts.kept.size).toBe(1);
  model.drafts.set("d", "typed just now");
  client.submit({ request_id: "r", chat_id: "c", message_id: "m", text: "Not sent." });
  await model.signOut();
  await settled();
  around.pass();
  expect([...drafts.kept.values()]).toEqual([]);
  expect(model.drafts.of("c").get()).toBe("");
  expect(model.drafts.of("d").get()).toBe("");
  expect(client.outbox.get()).toEqual([]);
  expect(client.sent("close")).toHaveLength(1);
});

test("a storage that hangs keeps nobody", async () => {
  const { model, client, around } = modelFor();
  await settled();
  client.gates.set("clearOutbox", new Promise(() => {}));
  let gone = false;
  void model.signOut().then(() => {
    gone = true;
  });
  await settled();
  expect(gone).toBe(false);
  around.pass();
  await settled();
  expect(gone).toBe(true);
  expect(client.sent("close")).toHaveLength(1);
});
