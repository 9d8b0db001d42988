/** An answer as text for the clipboard: what was said, as Markdown, without what was thought and done on the way. */
import type { Part } from "@sdk";

/** The texts of the answer, what the person added, its sources and files, with blank lines between. */
export function plainText(parts: readonly Part[]): string {
  const said: string[] = [];
  const links: string[] = [];
  for (const part of parts) {
    if (part.kind === "text") said.push(part.chunks.join("").trim());
    else if (part.kind === "input") said.push(`> ${part.text.trim().replaceAll("\n", "\n> ")}`);
    else if (part.kind === "source")
      links.push(part.title ? `- ${part.title}: ${part.url}` : `- ${part.url}`);
    else if (part.kind === "file") links.push(part.name ? `- ${part.name}: ${part.url}` : `- ${part.url}`);
  }
  if (links.length > 0) said.push(links.join("\n"));
  return said.filter((text) => text !== "").join("\n\n");
}
