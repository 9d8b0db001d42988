/** Which message a row shows, for the components inside it. */
import type { ThreadMessage } from "@app/model/index.ts";
import { createContext, useContext } from "react";

/** A row's message and its place. */
export interface Row {
  readonly message: ThreadMessage;
  readonly isLast: boolean;
}

/** Filled by the list around each row. */
export const RowContext = createContext<Row | null>(null);

/** The row around. Throws outside of one: that would be a mistake in the page. */
export function useRow(): Row {
  const row = useContext(RowContext);
  if (!row) throw new Error("This belongs inside a row of a thread.");
  return row;
}
