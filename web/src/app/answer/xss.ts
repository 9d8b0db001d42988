/** Answers that try to run something, to fetch something, or to deceive: shown as text, or as what is harmless of them. For tests. */
import corpus from "./xss.json";

/** All of them, each an answer's whole text. They are a file of their own because the browser tests send them too. */
export const XSS: readonly string[] = corpus;
