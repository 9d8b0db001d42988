/**
 * Keeps the runtime's composer and the chat's draft the same, whichever of the two changed: the person types here; the
 * draft comes from storage, from another tab, from a quotation.
 *
 * Each side is compared with the text that both last agreed on, so that a change goes one way once and never back.
 */
import { useDraft } from "@app/model/index.ts";
import { useAui, useAuiState } from "@assistant-ui/react";
import { useEffect, useLayoutEffect, useRef } from "react";

/** Joins the composer around to the draft of `draftKey`. */
export function useDraftSync(draftKey: string): void {
  const [draft, setDraft] = useDraft(draftKey);
  const aui = useAui();
  const text = useAuiState((state) => state.composer.text);
  const agreed = useRef(text);
  // What the composer held when a draft was put into it, until it is seen to hold the draft: nobody typed that.
  const stale = useRef<string | null>(null);
  const shown = useRef(text);
  shown.current = text;
  // Before paint: a draft that is known when the chat is opened is there from the first frame.
  useLayoutEffect(() => {
    if (draft === agreed.current) return;
    agreed.current = draft;
    stale.current = shown.current;
    aui.composer.setText(draft);
  }, [draft, aui]);
  useEffect(() => {
    if (text === stale.current) return;
    stale.current = null;
    if (text === agreed.current) return;
    agreed.current = text;
    setDraft(text);
  }, [text, setDraft]);
}
