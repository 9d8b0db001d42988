// @vitest-environment jsdom
/** What one more word costs at 200, 2,000 and 20,000 words, for each shape of text: `npx vitest bench --run src/app/answer`. */
import { render } from "@testing-library/react";
import { test } from "vitest";
import { Markdown } from "./Markdown.tsx";

const SIZES = [200, 2_000, 20_000] as const;
const WORDS = "river stone quiet evening walks along the water and says nothing at all".split(" ");
const word = (at: number) => WORDS[at % WORDS.length]!;

/** The nth word of a text, with what stands around it. */
const SHAPES: Readonly<Record<string, (at: number) => string>> = {
  prose: (at) => (at % 60 === 59 ? `${word(at)}.\n\n` : at % 11 === 5 ? `**${word(at)}** ` : `${word(at)} `),
  code: (at) => (at === 0 ? "```ts\n" : at % 7 === 6 ? `${word(at)};\n` : `${word(at)} `),
  table: (at) =>
    at === 0 ? "| a | b |\n|---|---|\n" : at % 8 === 0 ? "|\n" : at % 4 === 1 ? "| " : `${word(at)} `,
  list: (at) => (at % 9 === 0 ? `\n- ${word(at)} ` : `${word(at)} `),
  paragraph: (at) => (at % 13 === 12 ? `${word(at)}. ` : `${word(at)} `),
};

for (const [name, wordAt] of Object.entries(SHAPES))
  test(name, async ({ bench }) => {
    const [small, middle, large] = SIZES.map((size) => {
      const chunks = Array.from({ length: size }, (_, at) => wordAt(at));
      const view = render(<Markdown source={{ chunks, done: false }} />);
      return bench(`${name}: one word more at ${size} words`, () => {
        chunks.push(wordAt(chunks.length));
        view.rerender(<Markdown source={{ chunks, done: false }} />);
      });
    });
    // A bounded number of words, so that the text stays about as long as its name says.
    await bench.compare(small!, middle!, large!, { iterations: 100, time: 0, warmup: false });
  }, 120_000);
