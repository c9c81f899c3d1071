// What this browser remembers of the console. A browser that keeps nothing still works.

export function kept(name, otherwise) {
  try {
    const text = localStorage.getItem(`ingot.${name}`);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

export function keep(name, value) {
  try {
    if (value === undefined) localStorage.removeItem(`ingot.${name}`);
    else localStorage.setItem(`ingot.${name}`, JSON.stringify(value));
  } catch {
    // Full, or not allowed.
  }
}

// For the life of this tab alone: conversations.
export function keptInTab(name) {
  try {
    return JSON.parse(sessionStorage.getItem(`ingot.${name}`));
  } catch {
    return null;
  }
}

export function keepInTab(name, value) {
  try {
    sessionStorage.setItem(`ingot.${name}`, JSON.stringify(value));
  } catch {
    // Too long to be kept: it stays on the page.
  }
}
