// Before the first paint, so that a dark room stays dark. Not a module: those wait.
try {
  const theme = JSON.parse(localStorage.getItem("ingot.theme"));
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing follows the system.
}
