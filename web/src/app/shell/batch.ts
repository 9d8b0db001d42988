/** When the page is told of what happened: once a frame, and in a hidden tab, where there are no frames, by a timer. */

/** How long a hidden tab lets news gather; browsers stretch it themselves to save power. */
const HIDDEN_MS = 100;

/** Runs `run` once, with the next frame or after 100 ms, whichever comes first. */
export function frameBatch(run: () => void): void {
  const once = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    run();
  };
  const timer = setTimeout(once, HIDDEN_MS);
  const frame = requestAnimationFrame(once);
}
