/** What can be done with an answer, under it. */
import { plainText } from "@app/answer/index.ts";
import { IconButton, Menu } from "@app/design/index.ts";
import { ActionBarPrimitive, useAuiState } from "@assistant-ui/react";
import type { Part } from "@sdk";
import { Ellipsis, History, Quote, RefreshCw, Square, Trash2 } from "lucide-react";
import { Branches } from "./Branches.tsx";
import { CopyButton } from "./CopyButton.tsx";
import { offersStop } from "./composerRules.ts";
import styles from "./message.module.css";
import { useRow } from "./row.ts";
import { useThreadScreen } from "./screen.ts";

/** The row of actions. While the answer is on its way it can be stopped here, unless the composer offers just that. */
export function AnswerActions(props: {
  live: boolean;
  parts: readonly Part[];
  isLast: boolean;
  onStory: () => void;
}) {
  const { live, parts, isLast, onStory } = props;
  const { message } = useRow();
  const { actions, askRemoval, focusComposer } = useThreadScreen();
  const stopsBelow = useStopsBelow(isLast && live);
  const quote = () => {
    actions.quote(plainText(parts));
    focusComposer();
  };
  return (
    <ActionBarPrimitive.Root className={styles.actions} data-always={isLast || live || undefined}>
      <Branches />
      {live && !stopsBelow && (
        <IconButton
          label="Stop this answer"
          icon={<Square size={14} fill="currentColor" />}
          onClick={() => void actions.stop(message.id)}
        />
      )}
      {!live && (
        <>
          <CopyButton label="Copy as text" text={() => plainText(parts)} />
          <ActionBarPrimitive.Reload asChild>
            <IconButton label="Answer again" icon={<RefreshCw size={16} />} />
          </ActionBarPrimitive.Reload>
          <IconButton label="Quote in my message" icon={<Quote size={16} />} onClick={quote} />
        </>
      )}
      <Menu
        label="More for this answer"
        align="start"
        keepFocus
        trigger={<IconButton label="More" icon={<Ellipsis size={16} />} />}
        items={[
          { label: "How it came about", icon: <History size={16} />, onSelect: onStory },
          {
            label: "Delete…",
            icon: <Trash2 size={16} />,
            danger: true,
            separatorBefore: true,
            onSelect: () => askRemoval(message.id, "assistant"),
          },
        ]}
      />
    </ActionBarPrimitive.Root>
  );
}

/** Whether the composer stops this answer: as `offersStop` says, and it is the `tail` of the thread that it stops. */
function useStopsBelow(tail: boolean): boolean {
  const { waits } = useThreadScreen();
  const empty = useAuiState((state) => state.thread.composer.text.trim() === "");
  return tail && offersStop({ running: true, waiting: waits, empty });
}
