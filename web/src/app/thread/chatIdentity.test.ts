import { expect, it } from "vitest";
import { nextIdentity } from "./chatIdentity.ts";

function walk(routes: (string | null)[]) {
  let minted = 0;
  const mint = () => `new${++minted}`;
  let identity = { route: routes[0] ?? null, minted: mint(), used: false };
  return routes.map((route) => {
    identity = nextIdentity(identity, route, mint);
    return route ?? identity.minted;
  });
}

it("a new chat keeps its id when its address gets it", () => {
  expect(walk([null, "new1", "new1"])).toEqual(["new1", "new1", "new1"]);
});

it("the next new chat has another id, also when one looked at other chats in between", () => {
  expect(walk([null, "new1", null])).toEqual(["new1", "new1", "new2"]);
  expect(walk([null, "new1", "old", null])).toEqual(["new1", "new1", "old", "new2"]);
});

it("an id that nothing was sent under is kept for the next time", () => {
  expect(walk([null, "old", null, "old", null])).toEqual(["new1", "old", "new1", "old", "new1"]);
});
