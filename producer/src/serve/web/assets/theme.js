// The theme that was chosen, before anything is drawn.
(() => {
  try {
    const chosen = localStorage.getItem("windlass-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch { /* without storage the system's theme is used */ }
})();
