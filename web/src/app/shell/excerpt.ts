/** What is shown of a message that a search found. */

/** What may stand before what was found, so that this is within the lines that are shown. */
const LEAD_CHARS = 28;

/** The snippet as a line of text: without Markdown's signs, beginning shortly before what was found. */
export function excerpt(snippet: string): string {
  const plain = snippet
    .replace(/```\w*|\*\*|__|~~|`|^#{1,6}\s|(?<=\s)(?:#{1,6}|>)(?=\s)|\|/g, " ")
    .replace(/\s+/g, " ")
    .trim();
  const found = plain.indexOf("\u0002");
  if (found <= LEAD_CHARS) return plain;
  const lead = plain.slice(found - LEAD_CHARS, found);
  return `…${lead.slice(lead.indexOf(" ") + 1)}${plain.slice(found)}`;
}
