/** What other parts of the page use of the shell. */
export { BrandMark } from "./BrandMark.tsx";
export { useTopBarPlace } from "./topBarPlace.ts";
export { Welcome } from "./Welcome.tsx";
