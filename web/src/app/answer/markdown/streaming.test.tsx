// @vitest-environment jsdom
/** What is streamed in any cuts is, once done, what is read at once; and what is read at once is what Markdown means. */
import { cleanup, render } from "@testing-library/react";
import Reader from "react-markdown";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { loadHighlighter } from "../code/highlighter.ts";
import { loadMaths } from "../math/Maths.tsx";
import { CORPUS, randomDocument } from "./corpus.ts";
import { ELEMENTS } from "./elements.tsx";
import { Markdown } from "./Markdown.tsx";
import { PLUGINS } from "./syntax.ts";

beforeAll(async () => {
  await Promise.all([loadHighlighter(), loadMaths()]);
});
afterEach(cleanup);

/** How many times more random documents are tried than usual; a long run is for whoever changes how text is cut. */
const TIMES = Number(process.env.HOLDFAST_TIMES ?? "1");

/** A small generator, so that a failure can be repeated by its seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

function once(text: string): string {
  const view = render(<Markdown source={{ chunks: [text], done: true }} />);
  const html = plain(view.container);
  view.unmount();
  return html;
}

function streamed(text: string, cuts: readonly string[]): string {
  const chunks: string[] = [];
  const view = render(<Markdown source={{ chunks, done: false }} />);
  for (const chunk of cuts) {
    chunks.push(chunk);
    view.rerender(<Markdown source={{ chunks, done: false }} />);
  }
  expect(chunks.join("")).toBe(text);
  view.rerender(<Markdown source={{ chunks, done: true }} />);
  const html = plain(view.container);
  view.unmount();
  return html;
}

function plain(container: Element): string {
  return container.innerHTML.replace(/_r_[0-9a-z]+_/g, "ID");
}

function pieces(text: string, random: () => number, longest: number): string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length; ) {
    const length = 1 + Math.floor(random() * longest);
    found.push(text.slice(at, at + length));
    at += length;
  }
  return found;
}

describe("what is streamed", () => {
  for (const [name, text] of Object.entries(CORPUS)) {
    it(`is the same as at once: ${name}`, () => {
      const whole = once(text);
      // Every character on its own at the beginning; long ones go on in larger chunks.
      const long = text.length > 2_000;
      const alone = [...text.slice(0, long ? 80 : 2_000)];
      const rest = pieces(text.slice(alone.join("").length), randomFrom(1), 400);
      expect(streamed(text, [...alone, ...rest])).toBe(whole);
      expect(streamed(text, pieces(text, randomFrom(2), long ? 250 : 30))).toBe(whole);
    }, 60_000);
  }

  it(
    "is the same as at once for random documents and random cuts",
    () => {
      for (let seed = 1; seed <= 20 * TIMES; seed++) {
        const random = randomFrom(seed);
        const text = randomDocument(random);
        expect(streamed(text, pieces(text, random, 12)), `seed ${seed}: ${JSON.stringify(text)}`).toBe(
          once(text),
        );
      }
    },
    60_000 * TIMES,
  );
});

describe("what is cut into blocks", () => {
  /** Without what only blocks have: wrappers, and lists' distance, which is style. */
  function shape(shown: Element): string {
    const container = shown.cloneNode(true) as Element;
    for (const wrapper of container.querySelectorAll("[class*=chapter], [class*=_markdown_]"))
      wrapper.replaceWith(...wrapper.childNodes);
    for (const list of container.querySelectorAll("[data-loose]")) list.removeAttribute("data-loose");
    for (const piece of container.querySelectorAll("pre code"))
      piece.textContent = piece.textContent?.replace(/\n$/, "") ?? "";
    for (const marks of container.querySelectorAll("[data-token]")) marks.replaceWith(...marks.childNodes);
    return container.innerHTML.replace(/\n+/g, "\n").replace(/>\n/g, ">").replace(/\n</g, "<");
  }

  function compare(text: string, name: string) {
    const ours = render(<Markdown source={{ chunks: [text], done: true }} />);
    const theirs = render(
      <Reader remarkPlugins={PLUGINS.block} components={ELEMENTS.block}>
        {text.replace(/\r\n?/g, "\n")}
      </Reader>,
    );
    expect(shape(ours.container), name).toBe(shape(theirs.container));
    cleanup();
  }

  for (const [name, text] of Object.entries(CORPUS))
    if (!/\[\^|long/.test(text.slice(0, 40) + name) && !name.startsWith("notes"))
      it(`means what the whole text means: ${name}`, () => compare(text, name));

  it("sets a formula apart that is a paragraph of its own, in one line or in three", () => {
    expect(once("$$\nx\n$$")).toContain('display="block"');
    expect(once("$$x$$")).toBe(once("$$\nx\n$$"));
    expect(once("So $$x$$ it is")).not.toContain('display="block"');
  });

  it(
    "means what the whole text means, for random documents",
    () => {
      for (let seed = 100; seed < 100 + 50 * TIMES; seed++) {
        const text = randomDocument(randomFrom(seed));
        compare(text, `seed ${seed}: ${JSON.stringify(text)}`);
      }
    },
    60_000 * TIMES,
  );
});
