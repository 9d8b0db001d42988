/** Walks the versions of a message: « 2 / 3 ». */
import { IconButton } from "@app/design/index.ts";
import { BranchPickerPrimitive } from "@assistant-ui/react";
import { ChevronLeft, ChevronRight } from "lucide-react";
import styles from "./message.module.css";
import { useRow } from "./row.ts";

/** Nothing where there is one version only. The counts are the model's: the runtime may know fewer of very many. */
export function Branches() {
  const { message } = useRow();
  const { index, count } = message.siblings;
  const kind = message.role === "user" ? "wording" : "answer";
  return (
    <BranchPickerPrimitive.Root
      hideWhenSingleBranch
      className={styles.branches}
      role="group"
      aria-label="Versions"
    >
      <BranchPickerPrimitive.Previous asChild>
        <IconButton label={`Previous ${kind}`} shortcut="[" icon={<ChevronLeft size={16} />} />
      </BranchPickerPrimitive.Previous>
      <span className={styles.branchCount}>
        <span aria-hidden="true">
          {index + 1} / {count}
        </span>
        <span className={styles.hidden}>
          Version {index + 1} of {count}
        </span>
      </span>
      <BranchPickerPrimitive.Next asChild>
        <IconButton label={`Next ${kind}`} shortcut="]" icon={<ChevronRight size={16} />} />
      </BranchPickerPrimitive.Next>
    </BranchPickerPrimitive.Root>
  );
}
