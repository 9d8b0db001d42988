/** How a list of chats is cut into days, for people: today, yesterday, this week, this month, then months. */

/** A heading, or a row under it. */
export type Line<Row> =
  | { readonly kind: "heading"; readonly label: string }
  | { readonly kind: "row"; readonly row: Row };

/** The rows, which are newest first, with a heading before each group; `nowMs` and days by this machine's clock. */
export function groupByDay<Row extends { readonly updatedAt: number }>(
  rows: readonly Row[],
  nowMs: number,
): Line<Row>[] {
  const label = labeller(nowMs);
  const lines: Line<Row>[] = [];
  let last = "";
  for (const row of rows) {
    const next = label(row.updatedAt);
    if (next !== last) lines.push({ kind: "heading", label: next });
    last = next;
    lines.push({ kind: "row", row });
  }
  return lines;
}

function labeller(nowMs: number): (atMs: number) => string {
  const now = new Date(nowMs);
  const startOf = (daysAgo: number) =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo).getTime();
  const [today, yesterday, week, month] = [startOf(0), startOf(1), startOf(7), startOf(30)] as const;
  return (atMs) => {
    if (atMs >= today) return "Today";
    if (atMs >= yesterday) return "Yesterday";
    if (atMs >= week) return "Previous 7 days";
    if (atMs >= month) return "Previous 30 days";
    const at = new Date(atMs);
    const year = at.getFullYear() === now.getFullYear() ? {} : ({ year: "numeric" } as const);
    return at.toLocaleDateString("en", { month: "long", ...year });
  };
}
