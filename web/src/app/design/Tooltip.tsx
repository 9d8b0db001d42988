/**
 * Tooltips: one floating element for the whole page, for whatever carries `data-tip`.
 *
 * A list of five hundred buttons costs nothing here: `TooltipLayer`, mounted once, listens on the document. The tooltip goes
 * into the top layer (a manual popover), so it is seen above dialogs. It opens after a short rest of the pointer or at once
 * with keyboard focus, stays while the pointer is on it, and Escape takes it away (WCAG 1.4.13).
 */
import { useEffect, useRef } from "react";
import { keysLabel } from "./shortcuts.ts";
import styles from "./tooltip.module.css";

/** How long the pointer must rest: shorter feels nervous, longer feels broken. */
const REST_MS = 450;
/** How long it stays after the pointer left, so that the pointer can reach it. */
const LEAVE_MS = 120;

/** The one tooltip of the page; mount it once, after everything else. */
export function TooltipLayer() {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const tip = ref.current;
    return tip?.showPopover ? follow(tip) : undefined;
  }, []);
  return <div ref={ref} className={styles.tip} popover="manual" aria-hidden="true" />;
}

function follow(tip: HTMLDivElement): () => void {
  let owner: Element | null = null;
  let timer = 0;
  let byKey = false;

  function hide() {
    clearTimeout(timer);
    owner = null;
    if (tip.matches(":popover-open")) tip.hidePopover();
  }

  function show(element: Element) {
    const text = element.getAttribute("data-tip");
    if (!text || !element.isConnected) return hide();
    const keys = element.getAttribute("data-tip-keys");
    tip.textContent = keys ? `${text}  ${keysLabel(keys)}` : text;
    if (!tip.matches(":popover-open")) tip.showPopover();
    const at = element.getBoundingClientRect();
    const own = tip.getBoundingClientRect();
    const left = Math.max(6, Math.min(at.left + at.width / 2 - own.width / 2, innerWidth - own.width - 6));
    const below = at.bottom + 6;
    tip.style.left = `${left}px`;
    tip.style.top = `${below + own.height > innerHeight - 6 ? at.top - own.height - 6 : below}px`;
  }

  function over(event: Event) {
    if (!(event.target instanceof Element)) return;
    if (tip.contains(event.target)) return clearTimeout(timer);
    if (event instanceof PointerEvent && event.pointerType === "touch") return;
    const next = event.target.closest("[data-tip]");
    if (next === owner) return clearTimeout(timer);
    clearTimeout(timer);
    if (!next) {
      if (owner) timer = window.setTimeout(hide, LEAVE_MS);
      return;
    }
    const wasOpen = owner !== null;
    timer = window.setTimeout(
      () => {
        owner = next;
        show(next);
      },
      wasOpen ? LEAVE_MS : REST_MS,
    );
  }

  function focus(event: Event) {
    // Only where the person went with the keyboard: what a dialog or a screen focuses by itself needs no tooltip.
    if (!byKey || !(event.target instanceof Element) || !event.target.matches(":focus-visible"))
      return hide();
    const next = event.target.closest("[data-tip]");
    hide();
    if (next) {
      owner = next;
      show(next);
    }
  }

  function keydown(event: KeyboardEvent) {
    byKey = event.key === "Tab" || event.key.startsWith("Arrow");
    if (event.key === "Escape" || event.key === "Enter" || event.key === " ") hide();
  }

  const stop = new AbortController();
  const options = { signal: stop.signal, capture: true, passive: true };
  document.addEventListener("pointerover", over, options);
  document.addEventListener("pointerdown", hide, options);
  document.addEventListener("focusin", focus, options);
  document.addEventListener("keydown", keydown, options);
  document.addEventListener("scroll", hide, options);
  window.addEventListener("blur", hide, options);
  return () => {
    stop.abort();
    clearTimeout(timer);
  };
}
