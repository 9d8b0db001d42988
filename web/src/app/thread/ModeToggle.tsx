/** Whether the person waits for the answer or lets it run. */
import { Segmented, type SegmentedOption } from "@app/design/index.ts";
import type { Mode } from "@app/model/index.ts";

const OPTIONS: readonly SegmentedOption<Mode>[] = [
  {
    value: "sync",
    label: "Wait",
    hint: "The composer waits until the answer is there. Nothing is lost if you leave.",
  },
  {
    value: "async",
    label: "Background",
    hint: "Go on at once: ask more, open another chat, close the page. The answer finds you.",
  },
];

/** The toggle between `sync` and `async`, each with what it means. */
export function ModeToggle({ value, onChange }: { value: Mode; onChange: (mode: Mode) => void }) {
  return (
    <Segmented<Mode> label="How to wait for answers" value={value} options={OPTIONS} onChange={onChange} />
  );
}
