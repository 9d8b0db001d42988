/** One answer: its parts, how it went, and its text for copying. */
export { loadMarkdown, Markdown } from "./markdown/lazy.tsx";
export type { MarkdownSource } from "./markdown/Markdown.tsx";
export { AnswerFooter, type AnswerFooterProps, factsOf } from "./parts/AnswerFooter.tsx";
export { AnswerParts, type AnswerPartsProps } from "./parts/AnswerParts.tsx";
export { outcomeWords } from "./parts/outcome.ts";
export { ThoughtsUnfolded } from "./parts/Reasoning.tsx";
export { plainText } from "./plainText.ts";
