import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { DRAFTS_MAX, indexedDbDrafts } from "./draftStore.ts";
import { Drafts } from "./drafts.ts";
import { BranchChoices, CHOICES_MAX, KEPT_CHATS_MAX, modesIn } from "./kept.ts";
import { PREFERENCES_KEY, PreferenceStore } from "./preferences.ts";
import { memoryStorage } from "./surroundings.ts";
import { FakeSurroundings, memoryDrafts, modelFor, settled } from "./testing.ts";

let clock = 0;
const now = () => ++clock;

/** Two tabs of one browser. */
function tabs() {
  const store = memoryDrafts();
  const lines = new Map();
  const arounds = [new FakeSurroundings(lines), new FakeSurroundings(lines)] as const;
  const [here, there] = [0, 1].map((tab) => new Drafts(() => store, arounds[tab]!, now)) as [Drafts, Drafts];
  for (const each of [here, there]) {
    each.start();
    each.belongTo("u");
  }
  return { here, there, arounds, store };
}

test("a draft is kept over a reload, in IndexedDB", async () => {
  const around = new FakeSurroundings();
  const store = indexedDbDrafts("kept");
  const first = new Drafts(() => store, around, now);
  first.start();
  first.belongTo("u");
  await first.load();
  first.set("c", "half a sen");
  first.set("c", "half a sentence");
  around.pass();
  first.set("d", "other");
  around.leave(); // not waited for
  await store.load();

  const second = new Drafts(() => indexedDbDrafts("kept"), around, now);
  second.belongTo("u");
  await second.load();
  expect(second.of("c").get()).toBe("half a sentence");
  expect(second.of("d").get()).toBe("other");
  expect([...second.chats.get()].sort()).toEqual(["c", "d"]);
  second.set("c", "");
  second.flush();
  await second.load();
  expect((await store.load()).map((draft) => draft.chatId)).toEqual(["d"]);
});

test("of too many drafts the oldest are forgotten", async () => {
  const store = indexedDbDrafts("many");
  for (let at = 0; at < DRAFTS_MAX + 5; at++) await store.put({ chatId: `c${at}`, text: "x", at });
  const kept = await store.load();
  expect(kept).toHaveLength(DRAFTS_MAX);
  expect(kept.at(-1)?.chatId).toBe("c5");
});

test("what is typed in one tab shows in the other", () => {
  const { here, there, arounds } = tabs();
  here.set("c", "typed here");
  arounds[0].pass();
  expect(there.of("c").get()).toBe("typed here");
});

test("what the person types here is not overwritten by another tab, until the tab is left", () => {
  const { here, there, arounds } = tabs();
  here.set("c", "mine");
  there.set("c", "theirs, later");
  arounds[1].pass();
  expect(here.of("c").get()).toBe("mine");
  arounds[0].visible.set(false);
  there.set("c", "theirs, later still");
  arounds[1].pass();
  expect(here.of("c").get()).toBe("theirs, later still");
});

test("loading does not overwrite what was typed before it was done", async () => {
  const store = memoryDrafts();
  store.kept.set("c", { chatId: "c", text: "old", at: 0.5 });
  const drafts = new Drafts(() => store, new FakeSurroundings(), now);
  drafts.start();
  drafts.set("c", "new");
  drafts.belongTo("u");
  await settled();
  expect(drafts.of("c").get()).toBe("new");
});

test("drafts are somebody's: another who comes sees none of them, and their owner finds them again", async () => {
  const stores = { ann: memoryDrafts(), bob: memoryDrafts() };
  const around = new FakeSurroundings();
  const drafts = new Drafts((user) => stores[user as "ann" | "bob"], around, now);
  drafts.start();
  drafts.set("c", "typed before anybody was known");
  around.pass();
  drafts.belongTo("ann");
  expect(stores.ann.kept.size).toBe(1);
  drafts.set("d", "Ann's");
  drafts.belongTo("bob");
  expect(drafts.of("d").get()).toBe("");
  expect(drafts.chats.get().size).toBe(0);
  expect([stores.ann.kept.size, stores.bob.kept.size]).toEqual([2, 0]);
  drafts.belongTo("ann");
  await settled();
  expect(drafts.of("d").get()).toBe("Ann's");
  await drafts.clear();
  expect(stores.ann.kept.size).toBe(0);
});

test("a day of going through chats leaves no trace of each", () => {
  const drafts = new Drafts(() => memoryDrafts(), new FakeSurroundings(), now);
  drafts.set("kept", "text");
  const before = drafts.of("first");
  for (let chat = 0; chat < 1_000; chat++) drafts.of(`c${chat}`);
  expect(drafts.of("first")).not.toBe(before);
  expect(drafts.of("kept").get()).toBe("text");
});

test("sending clears the draft, in the store too; quoting adds to it", () => {
  const { model, around, drafts } = modelFor();
  const actions = model.threadActions("c");
  actions.quote("one\ntwo");
  expect(model.drafts.of("c").get()).toBe("> one\n> two\n\n");
  around.pass();
  expect(drafts.kept.size).toBe(1);
  actions.send("> one\n> two\n\nWhy?");
  expect(model.drafts.of("c").get()).toBe("");
  around.pass();
  expect(drafts.kept.size).toBe(0);
});

test("preferences are kept, shown on the document, and the same in all tabs", () => {
  const around = new FakeSurroundings();
  const dataset: Record<string, string | undefined> = {};
  const store = new PreferenceStore(around, dataset);
  store.start();
  expect(store.view.get()).toMatchObject({ theme: "system", mode: "sync", enterSends: true });
  expect(dataset).toEqual({});
  store.view.get().setTheme("dark");
  store.view.get().set({ density: "compact" });
  expect(dataset).toEqual({ theme: "dark", density: "compact" });

  around.local.setItem(PREFERENCES_KEY, '{"theme":"light","mode":"async","density":7}');
  around.stored(PREFERENCES_KEY);
  expect(store.view.get()).toMatchObject({ theme: "light", mode: "async", density: "comfortable" });
  expect(dataset).toEqual({ theme: "light" });

  around.lessMotion.set(true);
  expect(store.view.get().reducedMotion).toBe(true);
  store.view.get().set({ motion: "full" });
  expect(store.view.get().reducedMotion).toBe(false);
});

test("storage with something else in it, or none, is taken for empty", () => {
  const storage = memoryStorage();
  for (const broken of ["[1]", "null", "{", '{"c":{"u":1}}', '{"c":"loud"}']) {
    storage.setItem("holdfast.branches", broken);
    storage.setItem("holdfast.modes", broken);
    expect(new BranchChoices(storage).of("c").size).toBe(0);
    expect(modesIn(storage).get("c")).toBeUndefined();
  }
});

test("what is remembered of chats and forks is bounded", () => {
  const storage = memoryStorage();
  const modes = modesIn(storage);
  for (let n = 0; n <= KEPT_CHATS_MAX; n++) modes.set(`c${n}`, "async");
  expect(modesIn(storage).get("c0")).toBeUndefined();
  expect(modesIn(storage).get("c1")).toBe("async");
  const choices = new BranchChoices(storage);
  for (let n = 0; n <= CHOICES_MAX; n++) choices.choose("c", `fork${n}`, "x");
  expect(new BranchChoices(storage).of("c").size).toBe(CHOICES_MAX);
  expect(choices.of("c").has("fork0")).toBe(false);
});

test("steady typing is written all the same", () => {
  const { here, arounds, store } = tabs();
  here.set("c", "one");
  here.set("c", "one two");
  arounds[0].pass(); // the wait that began with the first key
  expect(store.kept.get("c")?.text).toBe("one two");
});

test("what was typed as a page left is kept where the database did not get it", () => {
  const around = new FakeSurroundings();
  const dead = { ...memoryDrafts(), put: () => new Promise<void>(() => {}) };
  for (const [chatId, text] of [
    ["c", "last words"],
    ["d", "of another tab"],
  ] as const) {
    const left = new Drafts(() => dead, around, now);
    const stop = left.start();
    left.belongTo("u");
    left.set(chatId, text);
    around.leave();
    stop();
  }
  const other = new Drafts(() => memoryDrafts(), around, now);
  other.belongTo("somebody else");
  expect(other.of("d").get()).toBe("");

  const store = memoryDrafts();
  const back = new Drafts(() => store, around, now);
  const stop = back.start();
  back.belongTo("u");
  expect([back.of("c").get(), back.of("d").get()]).toEqual(["last words", "of another tab"]);
  expect(store.kept.get("c")?.text).toBe("last words");
  back.set("c", "");
  around.leave();
  stop();
  const again = new Drafts(() => store, around, now);
  again.belongTo("u");
  expect(again.of("c").get()).toBe("");
});
