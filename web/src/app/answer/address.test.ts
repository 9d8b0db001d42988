/** Which addresses may be followed, and when it must be said where they lead. */
import { describe, expect, it } from "vitest";
import { ADDRESS_CHARS_MAX, deceives, isOwnPicture, safeAddress, withBidiShown } from "./address.ts";

describe("safeAddress", () => {
  it.each([
    ["https://a.example/x?y#z", "a.example"],
    ["HTTP://A.example:8080/", "a.example:8080"],
    ["mailto:ada@a.example?subject=x", "ada@a.example"],
    ["https://b%C3%BCcher.example/", "xn--bcher-kva.example"],
  ])("follows %s to %s", (written, host) => {
    expect(safeAddress(written)?.host).toBe(host);
  });

  it.each([
    "javascript:alert(1)",
    "java\nscript:alert(1)",
    " https://a.example",
    "//a.example",
    "/path",
    "https:a.example",
    "https:\\\\a.example",
    "https://bank.example@evil.example",
    "https://a.example/\u202Egnp",
    "https://a.example/%E2%80%AEgnp",
    "data:text/html,x",
    "blob:https://a.example/x",
    "mailto:",
    `https://a.example/${"x".repeat(ADDRESS_CHARS_MAX)}`,
  ])("does not follow %j", (written) => {
    expect(safeAddress(written)).toBeNull();
  });
});

describe("deceives", () => {
  const to = safeAddress("https://www.evil.example/x")!;
  it.each([
    ["bank.example", true],
    ["https://bank.example/login", true],
    ["Read more", false],
    ["evil.example", false],
    ["https://www.evil.example/x", false],
    ["bank。example", true],
  ])("of the text %j says %s", (text, expected) => {
    expect(deceives(text, to)).toBe(expected);
  });
});

describe("isOwnPicture", () => {
  it("takes raster types only", () => {
    expect(isOwnPicture("data:image/png;base64,iVBORw0KGgo=")).toBe(true);
    expect(isOwnPicture("data:image/svg+xml;base64,PHN2Zz4=")).toBe(false);
    expect(isOwnPicture("https://a.example/a.png")).toBe(false);
  });
});

describe("withBidiShown", () => {
  it("writes out what turns the direction", () => {
    expect(withBidiShown("if (a\u202E) // \u2066x")).toBe("if (a⟨U+202E⟩) // ⟨U+2066⟩x");
  });
});
