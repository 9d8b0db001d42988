/** Texts that the tests of streamed Markdown run over, and a maker of random ones. */

const words = (count: number) =>
  Array.from({ length: count }, (_, at) => ["river", "stone", "quiet", "evening", "walks"][at % 5]).join(" ");

export const CORPUS: Readonly<Record<string, string>> = {
  "prose with headings":
    "# One\n\nText with *stress*, **weight**, `code` and ~~no~~.\nA second line.\n\n## Two\nDirectly below.\n\nUnder\n=====\n\nAlso\n---\n\n***\n\nEnd.",
  "lists tight and loose":
    "Here are:\n- a\n- b **c**\n  - d\n    more\n  - e\n- f\n\n1. one\n2. two\n\n   para in two\n\n3. three\n\nafter\n\n* x\n+ y\n7) seven\n8) eight\n",
  "list with code in it":
    "1. Do:\n   ```sh\n   make\n   ```\n2. Then:\n\n   ```py\n   x = 1\n\n   y = 2\n   ```\nNot in it\n\n- [ ] open\n- [x] done\n",
  fences:
    "```js\nconst a = 1;\n\n```\ntext\n~~~\n```\ninside\n~~~\n\n````md\n```\nnested\n```\n````\n  ```\n  indented\n    more\n  ```\n\n    indented code\n\n    goes on\n\nend\n```\nnever closed\n",
  tables:
    "| a | b |\n|---|--:|\n| 1 | 2 |\n| `x\\|y` | **z** |\n\nIntro\n| c | d |\n| :-: | --- |\n| 3 | 4 |\nno pipe\n- list after\n\na | b\n--- | ---\n1 | 2\n> quote after\n",
  quotes: "> one\n> two\nlazy\n\n> - item\n>   more\n>\n> ```\n> code\n> ```\nnot lazy\n> # head\n\nend",
  maths: "Inline $a^2$ and $$b_1$$ costs $5 and $10 done.\n\n$$\n\\frac{a}{b}\n$$\ntext\n$$\nx\n$$\n",
  "maths in one line": "Before\n\n$$\\frac{a}{b}$$\n\n- $$x$$\n\nAfter $$c$$ it\n\n$$y$$",
  "maths that is none": "$\\notacommand{$ and\n\n$$\n\\frac{\n$$\n",
  "links by reference":
    'See [one][1], [two], [Three][] and ![pic][1].\n\n- [in list][1]\n- x\n\n| [t][1] | b |\n|---|---|\n| [two] | c |\n\n[1]: https://one.example/a\n[two]: <https://two.example> "Title"\n[three]: https://three.example\nand text\n\n[1]: https://other.example\n',
  "notes with footnotes":
    "A[^1] and B[^long note] and C[^x].\n\n[^1]: First *note*.\n[^x]: Second\n    goes on\n\n    para two\n\nAfter[^1].\n",
  html: '<div onclick="x()">\n\n**bold** <b>text</b> <!-- c -->\n\n<script>alert(1)</script>\n\n<details>\n<summary>S</summary>\n\n- a\n\n</details>\n',
  "windows line ends": "one\r\ntwo\r\n\r\n- a\r\n- b\r\n\r\n```\r\ncode\r\n```\r\n\r\nold\rmac\r",
  "long paragraph": `${words(2_000)} **bold ${words(20)}** \`${words(10)}\`. ${words(1_500)}\nand a line\n${words(900)}\n\nEnd.`,
  "long word": "x".repeat(12_000),
  "long list": `${Array.from({ length: 120 }, (_, at) => `- item ${at} ${words(12)}${at % 10 === 3 ? "\n  - inner\n\n    more" : ""}`).join("\n")}\n\nEnd.`,
  "long numbers": Array.from({ length: 60 }, (_, at) => `${at + 3}. item ${words(6)}`).join("\n"),
  "long table": `| n | text |\n|--:|---|\n${Array.from({ length: 100 }, (_, at) => `| ${at} | ${words(5)} |`).join("\n")}\n\nEnd.`,
  "long code": `\`\`\`ts\n${Array.from({ length: 200 }, (_, at) => `const v${at} = "${words(4)}"; /* ${at} */`).join("\n")}\n\`\`\`\nEnd.`,
  "several long paragraphs of blocks": Array.from(
    { length: 80 },
    (_, at) => `## H${at}\n\n${words(30)}`,
  ).join("\n\n"),
};

const LINES = [
  "plain text",
  "more *stress* here",
  "**bold** and `code`",
  "",
  "",
  "",
  "- item",
  "- other",
  "  - inner",
  "  more",
  "* star",
  "1. one",
  "2. two",
  "3) three",
  "   para",
  "> quote",
  "> - q item",
  "> ",
  "# head",
  "## head two",
  "---",
  "===",
  "***",
  "```",
  "```js",
  "~~~",
  "  ```",
  "   ```",
  "| a | b |",
  "|---|---|",
  "| 1 | 2 |",
  "a | b",
  "$$",
  "x + y",
  "[ref]",
  "[ref]: https://ref.example",
  "text [ref] text",
  "-",
  "<b>html</b>",
  "+ plus",
  "10. ten",
  "- - -",
  "- # head in item",
  "-   wide",
];

/** A document of lines that mean something, in an order that often does not. */
export function randomDocument(random: () => number): string {
  const count = 3 + Math.floor(random() * 14);
  let text = "";
  for (let at = 0; at < count; at++) text += `${LINES[Math.floor(random() * LINES.length)]}\n`;
  return random() < 0.3 ? text.slice(0, -1) : text;
}
