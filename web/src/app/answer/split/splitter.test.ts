/** How a growing text is cut. */
import { describe, expect, it } from "vitest";
import type { Block, Cut } from "./cut.ts";
import { mended } from "./mend.ts";
import { Splitter } from "./splitter.ts";

function cutOf(...chunks: string[]): Cut {
  const splitter = new Splitter();
  for (const chunk of chunks) splitter.append(chunk);
  return splitter.cut();
}

const blocks = (cut: Cut): Block[] => cut.blocks.flat();
const sources = (block: Block | undefined) => block?.pieces.flat().map((piece) => piece.source) ?? [];

describe("Splitter", () => {
  it("closes a paragraph at a blank line, and keeps what is closed the same object", () => {
    const splitter = new Splitter();
    splitter.append("one\n\ntwo");
    const [first] = blocks(splitter.cut());
    splitter.append(" more\n\nthree");
    const after = blocks(splitter.cut());
    expect(after[0]).toBe(first);
    expect(after.map((block) => block.open)).toEqual([false, false, true]);
  });

  it("keeps the piece's name when it closes, so that its element stays", () => {
    const splitter = new Splitter();
    splitter.append("one");
    const [open] = blocks(splitter.cut());
    splitter.append("\n\n");
    const [closed] = blocks(splitter.cut());
    expect([closed!.key, closed!.pieces[0]![0]!.key]).toEqual([open!.key, open!.pieces[0]![0]!.key]);
  });

  it("does not show the beginning of what closes a fence as code", () => {
    expect(sources(blocks(cutOf("```js\na\n``"))[0])).toEqual(["a\n"]);
  });

  it("knows a fence within a fence by its length", () => {
    const cut = cutOf("````\n```\nin\n```\n````\nout");
    expect(blocks(cut).map((block) => block.kind)).toEqual(["code", "text"]);
  });

  it("makes a table of a paragraph's last line when the dashes come", () => {
    const cut = cutOf("Intro\n| a | b |\n|--", "-|---|\n| 1 | 2 |\n");
    expect(blocks(cut).map((block) => [block.kind, block.head])).toEqual([
      ["text", ""],
      ["table", "| a | b |\n|---|---|\n"],
    ]);
  });

  it("closes pieces of a long list between items only", () => {
    const text = Array.from({ length: 40 }, (_, at) => `- item ${at}\n  goes on\n`).join("");
    const [list] = blocks(cutOf(text));
    expect(list!.pieces.flat().length).toBeGreaterThan(3);
    for (const source of sources(list)) expect(source).toMatch(/^- item \d+\n/);
    expect(sources(list).join("")).toBe(text);
  });

  it("cuts a long paragraph only where no mark is open", () => {
    const text = `**${"word ".repeat(700)}end** ${"more ".repeat(900)}`;
    const [paragraph] = blocks(cutOf(text));
    expect(sources(paragraph).join("")).toBe(text);
    expect(sources(paragraph)[0]).toMatch(/end\*\* /);
  });

  it("holds the open piece within a bound whatever grows in the five long shapes", () => {
    const shapes = [
      "word and another. ".repeat(9_000),
      `\`\`\`\n${"let x = 1;\n".repeat(9_000)}`,
      `| a | b |\n|---|---|\n${"| x | y |\n".repeat(9_000)}`,
      "- item of a list\n".repeat(9_000),
      "x".repeat(100_000),
    ];
    for (const text of shapes) {
      const open = blocks(cutOf(text)).at(-1)!.pieces.flat().at(-1);
      expect(open?.source.length ?? 0).toBeLessThan(5_000);
    }
  });

  it("knows definitions that come later, and counts the first of two", () => {
    const cut = cutOf("[a] text\n\n[a]: https://one.example\n[a]: https://two.example\n\n");
    expect([...cut.marks.links]).toEqual([["A", "[a]: https://one.example"]]);
  });

  it("numbers footnotes in the order of their definitions and keeps them out of the text", () => {
    const cut = cutOf("x[^b] y[^a]\n\n[^a]: one\n[^b]: two\n\nend\n\n");
    expect([...cut.marks.notes]).toEqual([
      ["A", 1],
      ["B", 2],
    ]);
    expect(blocks(cut)).toHaveLength(2);
  });

  it("takes a return and a feed in two chunks for one end of line", () => {
    expect(sources(blocks(cutOf("a\r", "\nb\r", "c"))[0])).toEqual(["a\nb\nc"]);
  });
});

describe("mended", () => {
  it.each([
    ["text\n-", "-", "text\n"],
    ["text\n``", "``", "text\n"],
    ["```py", "```py", ""],
    ["| a |", "| a |", ""],
    ["# ", "# ", ""],
    ["some **bold te", "some **bold te", "some **bold te**"],
    ["some **", "some **", "some "],
    ["some **bold*", "some **bold*", "some **bold**"],
    ["a `cod", "a `cod", "a `cod`"],
    ["see [the text](https://ex", "see [the text](https://ex", "see the text"],
    ["see ![a pic](https://ex", "see ![a pic](https://ex", "see "],
    ["done **b** `c` [d](https://e.example)", "", "done **b** `c` [d](https://e.example)"],
  ])("shows %j as what can be said of it", (tail, line, shown) => {
    expect(mended(tail, line)).toBe(shown);
  });
});
