/** Copies plain text, and shows for a moment that it did. */
import { announce, IconButton, toast } from "@app/design/index.ts";
import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";

/** How long the mark stays. */
const SHOWN_MS = 2_000;

/** `text` is asked for when the button is pressed: putting an answer together costs its length. */
export function CopyButton({ label, text }: { label: string; text: () => string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      setCopied(true);
      announce("Copied.");
    } catch {
      toast({ text: "The browser did not let this page copy. Select the text and copy it.", tone: "fail" });
    }
  };
  return (
    <IconButton
      label={copied ? "Copied" : label}
      icon={copied ? <Check size={16} /> : <Copy size={16} />}
      onClick={() => void copy()}
    />
  );
}
