// Runs before the first paint, so that a chosen theme does not flash; a classic script, as modules come later.
(() => {
  const chosen = localStorage.getItem("waypost.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
