// Sets the chosen theme before the first paint, so that a dark page never flashes white. A classic script, because a module
// would run after the first paint, and a file, because the page's content policy allows no inline script.
(() => {
  try {
    const chosen = JSON.parse(localStorage.getItem("holdfast.preferences") || "{}");
    const root = document.documentElement;
    if (chosen.theme === "light" || chosen.theme === "dark") root.dataset.theme = chosen.theme;
    if (chosen.density === "compact") root.dataset.density = "compact";
    if (chosen.motion === "reduced" || chosen.motion === "full") root.dataset.motion = chosen.motion;
  } catch {
    // No storage, or something else's value: the system's theme is a good one.
  }
})();
