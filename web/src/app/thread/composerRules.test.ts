import { describe, expect, it } from "vitest";
import { bytesOf, formatBytes, type KeyPress, keyMeaning, roomFor } from "./composerRules.ts";

const press = (over: Partial<KeyPress>): KeyPress => ({
  key: "Enter",
  shiftKey: false,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  isComposing: false,
  keyCode: 13,
  ...over,
});
const enterSends = { enterSends: true, empty: false };

describe("keyMeaning", () => {
  it("sends with Enter, breaks the line with Shift+Enter", () => {
    expect(keyMeaning(press({}), enterSends)).toBe("send");
    expect(keyMeaning(press({ shiftKey: true }), enterSends)).toBe("newline");
  });

  it("sends with Ctrl or Cmd and Enter where the person wants Enter to break lines", () => {
    const state = { enterSends: false, empty: false };
    expect(keyMeaning(press({}), state)).toBe("newline");
    expect(keyMeaning(press({ ctrlKey: true }), state)).toBe("send");
    expect(keyMeaning(press({ metaKey: true }), state)).toBe("send");
  });

  it("leaves every key to an input method that composes", () => {
    expect(keyMeaning(press({ isComposing: true }), enterSends)).toBe("nothing");
    expect(keyMeaning(press({ keyCode: 229 }), enterSends)).toBe("nothing");
    expect(keyMeaning(press({ key: "Escape", isComposing: true }), enterSends)).toBe("nothing");
  });

  it("edits the last message with Up only where there is nothing to move in", () => {
    const up = press({ key: "ArrowUp", keyCode: 38 });
    expect(keyMeaning(up, { enterSends: true, empty: true })).toBe("editLast");
    expect(keyMeaning(up, enterSends)).toBe("nothing");
    expect(keyMeaning({ ...up, altKey: true }, { enterSends: true, empty: true })).toBe("nothing");
  });
});

describe("sizes", () => {
  it("are counted in UTF-8", () => {
    expect(bytesOf("aé漢😀")).toBe(1 + 2 + 3 + 4);
  });

  it("are told only near the limit, and exactly there", () => {
    expect(roomFor("x".repeat(100), 1_000)).toMatchObject({ tell: false, over: false });
    expect(roomFor("漢".repeat(300), 1_000)).toEqual({ left: 100, tell: true, over: false });
    expect(roomFor("x".repeat(1_001), 1_000)).toEqual({ left: -1, tell: true, over: true });
  });

  it("read as people say them", () => {
    expect(formatBytes(640)).toBe("640 bytes");
    expect(formatBytes(524_288)).toBe("524 kB");
  });
});
