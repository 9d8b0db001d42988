/** Says that the server has a newer page when a piece of this one is not there any more. */
import { toast } from "@app/design/index.ts";

/**
 * Begin to listen; the returned function ends that. `online`: whether the server can be reached, for without it a missing piece says
 * nothing. It is said once, and nothing reloads by itself: what is typed stays with the person, and there is no loop.
 */
export function watchForNewVersion(online: () => boolean): () => void {
  let said = false;
  const missing = () => {
    if (said || !online()) return;
    said = true;
    toast({
      text: "A new version is here.",
      action: { label: "Reload", onSelect: () => location.reload() },
    });
  };
  window.addEventListener("vite:preloadError", missing);
  return () => window.removeEventListener("vite:preloadError", missing);
}
