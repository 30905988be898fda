// Replaces the page's content when the stored state changes. Without this script the page reloads itself each minute.
(() => {
  const main = () => document.querySelector("main");
  let waiting = false;
  async function renew() {
    // A person who types or selects must not lose it.
    const typing = document.activeElement && document.activeElement.matches("input, select");
    if (document.hidden || typing || String(getSelection())) {
      waiting = true;
      return;
    }
    waiting = false;
    try {
      const answer = await fetch(location.href, { cache: "no-cache" });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const focused = document.activeElement && document.activeElement.getAttribute("href");
      main().replaceChildren(...page.querySelector("main").childNodes);
      document.querySelector(".top .age").textContent = page.querySelector(".top .age").textContent;
      document.title = page.title;
      if (focused) [...main().querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
    } catch {
      // The next event, or the next minute, tries again.
      waiting = true;
    }
  }
  const source = new EventSource("/events");
  let first = true;
  source.addEventListener("message", () => {
    // The first event says what the page already shows, unless the connection was lost in between.
    if (!first || waiting) renew();
    first = false;
  });
  source.addEventListener("error", () => { waiting = true; });
  document.addEventListener("visibilitychange", () => { if (waiting) renew(); });
  document.addEventListener("focusout", () => setTimeout(() => { if (waiting) renew(); }, 0));
  // Ages grow even if nothing changes.
  setInterval(renew, 30000);
})();
