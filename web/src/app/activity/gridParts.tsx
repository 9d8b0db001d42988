/** Rows and cells of a grid that is laid out by CSS rather than by a table: the roles, in one place. */
import type { ComponentProps } from "react";

/** The grid itself; it needs a name. */
export function Grid(props: ComponentProps<"div"> & { [data: `data-${string}`]: unknown }) {
  // biome-ignore lint/a11y/useSemanticElements: see Row
  return <div role="grid" {...props} />;
}

/** A row of a grid; give it a tab index if it is one that the keyboard reaches. */
export function Row(props: ComponentProps<"div">) {
  // biome-ignore lint/a11y/useSemanticElements lint/a11y/useFocusableInteractive: windowed rows cannot be table rows; the grid moves the focus
  return <div role="row" {...props} />;
}

/** A cell; what can be pressed in it has its own place in the tab order. */
export function Cell(props: ComponentProps<"span"> & { [data: `data-${string}`]: unknown }) {
  // biome-ignore lint/a11y/useSemanticElements lint/a11y/useFocusableInteractive: see Row
  return <span role="gridcell" {...props} />;
}

/** The head of a column. */
export function HeadCell(props: ComponentProps<"span">) {
  // biome-ignore lint/a11y/useSemanticElements lint/a11y/useFocusableInteractive: see Row
  return <span role="columnheader" {...props} />;
}
