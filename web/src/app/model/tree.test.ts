import { expect, test } from "vitest";
import { ROOT, Tree, type TreeNode } from "./tree.ts";

const NONE: ReadonlyMap<string, string> = new Map();

/** `u1<-a1` pairs: "id parent at". */
function tree(...lines: string[]): Tree {
  const nodes = new Map<string, TreeNode>();
  for (const line of lines) {
    const [id, parent, at] = line.split(" ") as [string, string, string];
    const role = id.startsWith("u") ? "user" : "assistant";
    nodes.set(id, { id, parentId: parent === "-" ? null : parent, role, createdAt: Number(at) });
  }
  return new Tree(nodes);
}

test("without a choice the branch of the newest message is shown", () => {
  const forked = tree("u1 - 1", "a1 u1 1", "u2 a1 2", "a2 u2 2", "u3 a1 3", "a3 u3 3");
  expect(forked.branch([], NONE)).toEqual(["u1", "a1", "u3", "a3"]);
  expect(forked.siblings("u2")).toEqual(["u2", "u3"]);
});

test("a fork follows the person's choice, and the newest below it", () => {
  const forked = tree("u1 - 1", "a1 u1 1", "u2 a1 2", "a2 u2 2", "b2 u2 4", "u3 a1 5", "a3 u3 5");
  expect(forked.branch([], new Map([["a1", "u2"]]))).toEqual(["u1", "a1", "u2", "b2"]);
});

test("the branch on screen stays when another device makes a newer one, and grows at its end", () => {
  const pinned = ["u1", "a1", "u2", "a2"];
  const more = tree("u1 - 1", "a1 u1 1", "u2 a1 2", "a2 u2 2", "u4 a2 9", "a4 u4 9", "u3 a1 10");
  expect(more.branch(pinned, NONE)).toEqual(["u1", "a1", "u2", "a2", "u4", "a4"]);
});

test("when the end of the branch on screen was deleted, what is left of it is shown", () => {
  const left = tree("u1 - 1", "a1 u1 1");
  expect(left.branch(["u1", "a1", "u2", "a2"], NONE)).toEqual(["u1", "a1"]);
});

test("the first message has siblings too", () => {
  const roots = tree("u1 - 1", "a1 u1 1", "u2 - 2", "a2 u2 2");
  expect(roots.siblings("u1")).toEqual(["u1", "u2"]);
  expect(roots.branch([], new Map([[ROOT, "u1"]]))).toEqual(["u1", "a1"]);
});

test("messages whose parents are not loaded top trees of their own; the newest is shown", () => {
  const part = tree("u8 gone 8", "a8 u8 8", "u9 other 9", "a9 u9 9");
  expect(part.branch([], NONE)).toEqual(["u9", "a9"]);
});

test("messages in a ring of parents are not shown, and do not hang the page", () => {
  const ring = tree("u1 a2 1", "a1 u1 1", "u2 a1 2", "a2 u2 2", "u3 - 3", "u4 u4 4");
  expect(ring.branch([], NONE)).toEqual(["u3"]);
  expect(ring.branch(["a2"], NONE)).toEqual(["u3"]);
  expect([...ring.subtree("u1")].sort()).toEqual(["a1", "a2", "u1", "u2"]);
});

test("a branch of many thousands of messages is walked without running out of stack", () => {
  const lines = ["u0 - 0"];
  for (let n = 1; n < 20_000; n++) lines.push(`u${n} u${n - 1} ${n}`);
  expect(tree(...lines).branch([], NONE)).toHaveLength(20_000);
});
