// @vitest-environment jsdom
/** Nothing that an answer holds runs, fetches or covers anything, at any moment while it streams. */
import { cleanup, render } from "@testing-library/react";
import { afterEach, beforeAll, expect, it } from "vitest";
import { loadHighlighter } from "./code/highlighter.ts";
import { Markdown } from "./markdown/Markdown.tsx";
import { loadMaths } from "./math/Maths.tsx";
import { XSS } from "./xss.ts";

beforeAll(async () => {
  await Promise.all([loadHighlighter(), loadMaths()]);
});
afterEach(cleanup);

const FORBIDDEN =
  "script, object, embed, form, link, style, meta, base, template, video, source, body body, foreignObject, svg script";

function check(root: Element, payload: string) {
  expect(root.querySelector(FORBIDDEN), payload).toBeNull();
  for (const element of root.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      expect(
        /^on/i.test(name) || name === "style" || name === "srcdoc" || name === "srcset",
        `${payload} → ${name}`,
      ).toBe(false);
      if (name === "href" || name === "xlink:href")
        expect(value, payload).toMatch(/^(?:https?:\/\/|mailto:)/);
      if (name === "src" && element.tagName === "IFRAME") {
        expect(value).toBe("/diagram.html");
        expect(element.getAttribute("sandbox")).toBe("allow-scripts");
      } else if (name === "src")
        expect(value, payload).toMatch(/^data:image\/(?:png|jpeg|gif|webp|avif);base64,/);
      if (name === "href") expect(element.getAttribute("rel"), payload).toBe("noopener noreferrer nofollow");
    }
  }
}

it("holds enough tries", () => {
  expect(new Set(XSS).size).toBeGreaterThanOrEqual(100);
});

it.each(XSS.map((payload) => [payload]))("is harmless at every character: %j", (payload) => {
  const chunks: string[] = [];
  const view = render(<Markdown source={{ chunks, done: false }} />);
  for (const character of payload) {
    chunks.push(character);
    view.rerender(<Markdown source={{ chunks, done: false }} />);
    check(view.container, payload);
  }
  view.rerender(<Markdown source={{ chunks, done: true }} />);
  check(view.container, payload);
});

it("shows HTML as it was written", () => {
  const view = render(<Markdown source={{ chunks: ["a <b onclick=x>c</b> <!-- d -->"], done: true }} />);
  expect(view.container.textContent).toBe("a <b onclick=x>c</b> <!-- d -->");
});

it("says where a link leads whose text names another place", () => {
  const view = render(
    <Markdown
      source={{
        chunks: ["[bank.example](https://evil.example/x) [evil.example](https://evil.example)"],
        done: true,
      }}
    />,
  );
  expect(view.container.textContent).toBe("bank.example (leads to evil.example) evil.example");
});
